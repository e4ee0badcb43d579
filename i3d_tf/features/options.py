"""What a row of a feature file is: an endpoint's time steps, or windows; and when they are."""

from dataclasses import dataclass

import numpy as np

from i3d_tf.specs.geometry import receptive_fields, time_steps
from i3d_tf.specs.inception_v1 import HEAD, HEAD_POOL, I3D, MIN_FRAMES
from i3d_tf.specs.streams import JOINT, STREAMS

LAST = I3D[-1].name  # the endpoint that the head stands on
ENDPOINTS = (*(row.name for row in I3D), HEAD_POOL, HEAD)
POOLS = ("space", "space_time", "none")
CHOICES = (*STREAMS, JOINT)
MAX_FRAMES = 4096  # of a window


@dataclass(frozen=True)
class FeatureConfig:
    """What is computed of a stream; see `feature_rules` for what may be left out.

    Attributes:
        endpoint: One of `ENDPOINTS`.
        pool: What is averaged: the positions of each time step ("space"), all of the window or the
            video ("space_time"), or nothing ("none").
        window: Frames of a clip of its own for each row; None shows the video whole.
        stride: Frames from one row to the next; None where the whole video is one row.
    """

    endpoint: str
    pool: str
    window: int | None
    stride: int | None

    @property
    def row_steps(self) -> int | None:
        """Time steps that a row of the whole video is the mean of; None for all."""
        return self.stride and self.stride // _span(self.endpoint).jump[0]


@dataclass(frozen=True)
class FeatureOptions:
    """What the features of all videos of a job are made with.

    Attributes:
        rules: FeatureConfig.
        stream: "rgb", "flow" or "joint".
        rgb_weights: A name in the checkpoint directory, or the folder of a training run.
        flow_weights: The same for flow; of a stream that is not asked for, nothing is read.
        checkpoint_dir: Where names are looked up.
        engine: A name in `i3d_tf.flow.engines.ENGINES`, or "auto".
        precision: "float32" or "bfloat16", see `i3d_tf.fuse_for_inference`.
        batch_size: Windows at once.
    """

    rules: FeatureConfig
    stream: str
    rgb_weights: str = "rgb_imagenet"
    flow_weights: str = "flow_imagenet"
    checkpoint_dir: str = "checkpoints"
    engine: str = "auto"
    precision: str = "float32"
    batch_size: int = 8

    def __post_init__(self):
        if self.stream not in CHOICES:
            raise ValueError(f"`stream` must be one of {CHOICES}; received {self.stream!r}.")
        if not isinstance(self.batch_size, int) or not 1 <= self.batch_size <= 1024:
            raise ValueError(
                f"`batch_size` must be an integer within 1..1024; received {self.batch_size!r}."
            )


def feature_rules(endpoint=LAST, pool=None, window=None, stride=None) -> FeatureConfig:
    """Fills in what was not said.

    Args:
        endpoint: One of `ENDPOINTS`.
        pool: One of `POOLS`; None means "space" for the whole video, "space_time" for windows.
        window: Frames, at least 9; or None.
        stride: Frames. Without windows a multiple of the endpoint's own stride, which is the
            default: rows are then the means of so many time steps. With windows any number; by
            default they follow each other without overlap.

    Raises:
        ValueError: An argument is not as above.
    """
    if endpoint not in ENDPOINTS:
        raise ValueError(f"`endpoint` must be one of {ENDPOINTS}; received {endpoint!r}.")
    if pool is None:
        pool = "space" if window is None else "space_time"
    if pool not in POOLS:
        raise ValueError(f"`pool` must be one of {POOLS}; received {pool!r}.")
    if window is None:
        return FeatureConfig(endpoint, pool, None, _whole_stride(endpoint, pool, stride))
    _check_frames("window", window, MIN_FRAMES)
    stride = window if stride is None else stride
    _check_frames("stride", stride, 1)
    return FeatureConfig(endpoint, pool, window, stride)


def _whole_stride(endpoint, pool, stride):
    if pool == "space_time":
        if stride is not None:
            raise ValueError(
                f"`stride` must be None where the whole video is one row; received {stride!r}. For "
                "several rows, give a `window`, or pool over space alone."
            )
        return None
    own = _span(endpoint).jump[0]
    stride = own if stride is None else stride
    _check_frames("stride", stride, own)
    if stride % own:
        raise ValueError(
            f"`stride` must be a multiple of {own}, the stride of {endpoint}; received {stride}. "
            "Other strides need a `window`."
        )
    return stride


def _check_frames(name, value, least):
    if not isinstance(value, int) or not least <= value <= MAX_FRAMES:
        raise ValueError(
            f"`{name}` must be an integer within {least}..{MAX_FRAMES} (frames); received "
            f"{value!r}."
        )


def _span(endpoint):
    spans = receptive_fields(I3D)
    return spans["head" if endpoint in (HEAD_POOL, HEAD) else endpoint]


def receptive_field(endpoint) -> int:
    """How many frames a time step of an endpoint sees."""
    return _span(endpoint).field[0]


def row_times(rules: FeatureConfig, num_frames: int) -> np.ndarray:
    """When the rows of a video are, counted in frames.

    Without windows, the stretches of the rows follow each other from the first frame to the last,
    and the middle is that of what the network's time step sees, which SAME padding puts as much as
    two frames after the middle of the stretch. The head's steps are means of two, and overlap.

    Args:
        rules: FeatureConfig.
        num_frames: Of the video.

    Returns:
        float64 (N, 3): begin, middle and end.
    """
    if rules.window is not None:
        count = max(0, (num_frames - rules.window) // rules.stride + 1)
        begin = np.arange(count)[:, np.newaxis] * float(rules.stride)
        return begin + np.array([0, rules.window / 2, rules.window])
    own = rules.endpoint if rules.endpoint in ENDPOINTS[: len(I3D)] else LAST
    count, first, jump = time_steps(I3D, own, num_frames)
    begin = np.arange(count) * float(jump)
    end = np.minimum(begin + jump, num_frames)
    # The middle of frame k is k + 0.5; zeros behind the video are nothing to look at.
    times = np.stack([begin, np.clip(first + 0.5 + begin, begin, end), end], axis=1)
    if own != rules.endpoint:
        times = _together(times[:-1], times[1:])
    steps = rules.row_steps or len(times)
    parts = [times[at : at + steps] for at in range(0, len(times), steps)]
    return np.array([[part[0, 0], part[:, 1].mean(), part[-1, 2]] for part in parts])


def _together(earlier, later):
    """The times of the means of two neighbours."""
    middle = (earlier[:, 1] + later[:, 1]) / 2
    return np.stack([earlier[:, 0], middle, later[:, 2]], axis=1)
