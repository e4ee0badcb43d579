"""Options of feature extraction, and the times of the rows that come of them."""

import os
from dataclasses import dataclass

import numpy as np

from i3d_tf.flow.quantize import check_rounding
from i3d_tf.specs.geometry import Span, receptive_fields, time_steps
from i3d_tf.specs.inception_v1 import HEAD, HEAD_POOL, I3D, MIN_FRAMES
from i3d_tf.specs.streams import STREAM_CHOICES
from i3d_tf.specs.validation import check_choice, check_integer

LAST = I3D[-1].name  # the endpoint below the head
ENDPOINTS = (*(row.name for row in I3D), HEAD_POOL, HEAD)
POOLS = ("space", "space_time", "none")
MAX_WINDOW = 4096  # frames
MAX_BATCH = 1024  # windows


@dataclass(frozen=True)
class FeatureConfig:
    """Features to compute of each stream; `feature_config` checks them and knows the defaults.

    Attributes:
        endpoint: One of `ENDPOINTS`.
        pool: Axes that are averaged: the positions of each time step ("space"), all of the window
            or the video ("space_time"), or none ("none").
        window: Frames of the clip that each row is computed of; None feeds the video whole.
        stride: Frames from one row to the next; None where the whole video is one row.
    """

    endpoint: str
    pool: str
    window: int | None
    stride: int | None

    @property
    def row_steps(self) -> int | None:
        """Time steps of the whole video in the mean that is one row; None for all."""
        return self.stride and self.stride // _span(self.endpoint).jump[0]


@dataclass(frozen=True)
class FeatureOptions:
    """Options that all videos of a job share.

    Attributes:
        config: FeatureConfig.
        stream: "rgb", "flow" or "joint".
        rgb_checkpoint: The RGB network: a release or another known name, or the folder of a
            training run. It is only opened if the stream needs it.
        flow_checkpoint: The flow network, likewise.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        flow_engine: A name in `i3d_tf.flow.engines.ENGINES`, or "auto".
        precision: "float32" or "bfloat16", see `i3d_tf.fuse_for_inference`.
        batch_size: Windows in a batch.
        flow_rounding: See `i3d_tf.Predictor`; flow files must have been rounded so.
    """

    config: FeatureConfig
    stream: str
    rgb_checkpoint: str = "rgb_imagenet"
    flow_checkpoint: str = "flow_imagenet"
    checkpoint_dir: os.PathLike | str | None = None
    flow_engine: str = "auto"
    precision: str = "float32"
    batch_size: int = 8
    flow_rounding: str | None = None

    def __post_init__(self):
        check_choice("stream", self.stream, STREAM_CHOICES)
        check_integer("batch_size", self.batch_size, 1, MAX_BATCH)
        check_rounding(self.flow_rounding)


def feature_config(
    endpoint: str = LAST,
    pool: str | None = None,
    window: int | None = None,
    stride: int | None = None,
) -> FeatureConfig:
    """Returns a checked FeatureConfig.

    Args:
        endpoint: One of `ENDPOINTS`.
        pool: One of `POOLS`; by default "space" for the whole video, "space_time" for windows.
        window: Frames, at least 9; None feeds the video whole.
        stride: Frames. Without windows a multiple of the endpoint's own stride, which is the
            default: each row is the mean of that many time steps. With windows any number; by
            default they follow each other without overlap.

    Raises:
        ValueError: An argument is invalid.
    """
    check_choice("endpoint", endpoint, ENDPOINTS)
    if pool is None:
        pool = "space" if window is None else "space_time"
    check_choice("pool", pool, POOLS)
    if window is None:
        return FeatureConfig(endpoint, pool, None, _whole_video_stride(endpoint, pool, stride))
    check_integer("window", window, MIN_FRAMES, MAX_WINDOW)
    stride = window if stride is None else check_integer("stride", stride, 1, MAX_WINDOW)
    return FeatureConfig(endpoint, pool, window, stride)


def _whole_video_stride(endpoint, pool, stride):
    if pool == "space_time":
        if stride is not None:
            raise ValueError(
                f"`stride` must be None where the whole video is one row; received {stride!r}. For "
                "several rows, give a `window`, or pool over space alone."
            )
        return None
    own = _span(endpoint).jump[0]
    stride = own if stride is None else check_integer("stride", stride, own, MAX_WINDOW)
    if stride % own:
        raise ValueError(
            f"`stride` must be a multiple of {own}, the stride of {endpoint}; received {stride}. "
            "For other strides, give a `window`."
        )
    return stride


def _span(endpoint) -> Span:
    spans = receptive_fields(I3D)
    return spans["head" if endpoint in (HEAD_POOL, HEAD) else endpoint]


def receptive_field(endpoint: str) -> int:
    """Returns the frames that one time step of an endpoint depends on."""
    return _span(endpoint).field[0]


def timestamps(config: FeatureConfig, num_frames: int) -> np.ndarray:
    """Returns the times of a video's rows, in frames.

    Without windows, the rows divide the video from its first frame to its last, and the middle is
    that of the frames that the network's time step depends on; SAME padding puts it up to two
    frames behind the middle of the row's part. Steps of the head are means of two, and overlap.

    Args:
        config: FeatureConfig.
        num_frames: Frames of the video.

    Returns:
        float64 (N, 3): start, middle and end.
    """
    if config.window is not None:
        return _times_of_windows(config.window, config.stride, num_frames)
    is_head = config.endpoint in (HEAD_POOL, HEAD)
    count, first, jump = time_steps(I3D, LAST if is_head else config.endpoint, num_frames)
    start = np.arange(count) * float(jump)
    end = np.minimum(start + jump, num_frames)
    # The middle of frame k is k + 0.5; a middle in the padding moves to the edge of the video.
    times = np.stack([start, np.clip(first + 0.5 + start, start, end), end], axis=1)
    if is_head:
        times = _merge(times[:-1], times[1:])
    steps = config.row_steps or len(times)
    parts = [times[at : at + steps] for at in range(0, len(times), steps)]
    return np.array([[part[0, 0], part[:, 1].mean(), part[-1, 2]] for part in parts])


def _times_of_windows(window, stride, num_frames):
    count = max(0, (num_frames - window) // stride + 1)
    start = np.arange(count)[:, np.newaxis] * float(stride)
    return start + np.array([0, window / 2, window])


def _merge(earlier, later):
    """Times of the means of two neighboring steps."""
    middle = (earlier[:, 1] + later[:, 1]) / 2
    return np.stack([earlier[:, 0], middle, later[:, 2]], axis=1)
