"""Options of feature extraction, and the rows of a video that come of them, with their times."""

import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from i3d_tf.features.frame_options import OWN_FRAMES, FrameOptions, parse_frame_rate, parse_size
from i3d_tf.specs.feature_profiles import (
    FED_FLOW_ROUNDINGS,
    POOLS,
    SHORT_VIDEOS,
    TAILS,
    FeatureSettings,
    ProfileUse,
)
from i3d_tf.specs.geometry import Span, receptive_fields, time_steps
from i3d_tf.specs.inception_v1 import HEAD, HEAD_POOL, I3D, MIN_FRAMES
from i3d_tf.specs.streams import STREAM_CHOICES
from i3d_tf.specs.validation import check_choice, check_integer

LAST = I3D[-1].name  # the endpoint below the head
ENDPOINTS = (*(row.name for row in I3D), HEAD_POOL, HEAD)
MAX_WINDOW = 4096  # frames
MAX_BATCH = 1024  # windows
FILLS = ("loop", "repeat", "pad")  # of `short`: those that make a window of a shorter video
WHOLE_SHORT = ("skip", "loop", "repeat", "empty")  # what can be done without windows


@dataclass(frozen=True)
class FeatureConfig:
    """Features to compute of each stream; `feature_config` checks them and knows the defaults.

    Attributes:
        endpoint: One of `ENDPOINTS`; of windows, also a layer of a network with other names.
        pool: Axes that are averaged: the positions of each time step ("space"), all of the window
            or the video ("space_time"), or none ("none"). "head" averages as the network's head:
            over all positions of each two neighboring time steps, and, of a window, then over time,
            so that its first and its last step count half.
        window: Frames of the clip that each row is computed of; None feeds the video whole.
        stride: Frames from one row to the next; None where the whole video is one row.
        tail: The frames behind the last whole window, see `FeatureSettings`.
        short: Videos shorter than a window, see `FeatureSettings`.
        lookahead: Frames behind a window without which it does not count as whole.
        keep_axes: Whether rows keep the axes that were averaged.
    """

    endpoint: str
    pool: str
    window: int | None
    stride: int | None
    tail: str = "drop"
    short: str = "skip"
    lookahead: int = 0
    keep_axes: bool = False

    @property
    def row_steps(self) -> int | None:
        """Time steps of the whole video in the mean that is one row; None for all."""
        return self.stride and self.stride // _span(self.endpoint).jump[0]

    @property
    def pools_pairs(self) -> bool:
        """Returns whether neighboring time steps are averaged, as in the network's head."""
        return self.endpoint in (HEAD_POOL, HEAD) or self.pool == "head"

    @property
    def min_frames(self) -> int:
        """Frames without which a video has no row of its own, and `short` decides."""
        if self.window is None:
            return MIN_FRAMES
        return self.window + (self.lookahead if self.tail == "drop" else 0)

    def metadata(self) -> dict[str, Any]:
        """Returns plain values; those that earlier versions did not have only where not usual."""
        usual = FeatureConfig(self.endpoint, self.pool, self.window, self.stride)
        values, usual_values = asdict(self), asdict(usual)
        always = ("endpoint", "pool", "window", "stride")
        return {
            name: value
            for name, value in values.items()
            if name in always or value != usual_values[name]
        }


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
            "video_features" rounds as that program, see `i3d_tf.flow.quantize`.
        frames: FrameOptions.
        profile: The profile that the options came from, for the metadata; None where they did not.
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
    frames: FrameOptions = OWN_FRAMES
    profile: tuple[FeatureSettings, ProfileUse] | None = None

    def __post_init__(self):
        check_choice("stream", self.stream, STREAM_CHOICES)
        check_integer("batch_size", self.batch_size, 1, MAX_BATCH)
        if self.flow_rounding is not None:
            check_choice("flow_rounding", self.flow_rounding, FED_FLOW_ROUNDINGS)


def feature_config(
    endpoint: str = LAST,
    pool: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    tail: str = "drop",
    short: str | None = None,
    lookahead: int = 0,
    keep_axes: bool = False,
) -> FeatureConfig:
    """Returns a checked FeatureConfig.

    Args:
        endpoint: See `FeatureConfig`.
        pool: One of `POOLS`. "mean" is "space" for the whole video and "space_time" for windows.
            By default "head" for windows of the last endpoint, else "mean".
        window: Frames, at least 9 for an endpoint of I3D; None feeds the video whole.
        stride: Frames. Without windows a multiple of the endpoint's own stride, which is the
            default: each row is the mean of that many time steps. With windows any number; by
            default they follow each other without overlap.
        tail: See `FeatureSettings`; without windows "drop".
        short: See `FeatureSettings`; None is the same as the tail, or "skip".
        lookahead: See `FeatureSettings`; 0 without windows, and where the tail is not dropped.
        keep_axes: See `FeatureSettings`.

    Raises:
        ValueError: An argument is invalid.
    """
    if window is None:
        _check_whole_endpoint(endpoint)
    has_head = endpoint in (LAST, HEAD_POOL)
    if pool is None:
        pool = "head" if window is not None and has_head else "mean"
    check_choice("pool", pool, POOLS)
    if pool == "mean":
        pool = "space" if window is None else "space_time"
    if pool == "head" and not has_head:
        raise ValueError(
            f"`pool` must not be 'head' for {endpoint}: the head follows {LAST}. Give 'mean'."
        )
    check_choice("tail", tail, TAILS)
    if short is None:
        short = "skip" if tail == "drop" else tail
    check_choice("short", short, SHORT_VIDEOS if window is not None else WHOLE_SHORT)
    check_integer("lookahead", lookahead, 0, MAX_WINDOW)
    if window is None and (tail != "drop" or lookahead):
        raise ValueError(
            "`tail` and `lookahead` are of windows; received no `window`. Give one, or leave them."
        )
    if tail != "drop" and lookahead:
        raise ValueError("`lookahead` must be 0 where the tail is not dropped.")
    if window is None:
        stride = _whole_video_stride(endpoint, pool, stride)
        return FeatureConfig(endpoint, pool, None, stride, short=short, keep_axes=keep_axes)
    check_integer("window", window, MIN_FRAMES if endpoint in ENDPOINTS else 1, MAX_WINDOW)
    stride = window if stride is None else check_integer("stride", stride, 1, MAX_WINDOW)
    return FeatureConfig(endpoint, pool, window, stride, tail, short, lookahead, keep_axes)


def settings_options(
    settings: FeatureSettings, use: ProfileUse | None = None, **more: Any
) -> FeatureOptions:
    """Returns the options that settings stand for.

    Args:
        settings: See `i3d_tf.specs.feature_profiles.resolve_settings`.
        use: The profile that they came from, or None.
        **more: Arguments of `FeatureOptions`: checkpoints, engine, precision, batch size.

    Raises:
        ValueError: A setting is invalid.
    """
    config = feature_config(
        settings.endpoint,
        settings.pool,
        settings.window,
        settings.stride,
        settings.tail,
        settings.short,
        settings.lookahead,
        settings.keep_axes,
    )
    frames = FrameOptions(
        frame_rate=parse_frame_rate(settings.frame_rate),
        size=parse_size(settings.size),
        interpolation=settings.interpolation,
        geometry=settings.geometry,
        crops=settings.crops,
        crop_order=settings.crop_order,
        mirror_flow=settings.mirror_flow,
        value_range=settings.value_range,
    )
    return FeatureOptions(
        config,
        settings.stream,
        flow_rounding=settings.flow_rounding,
        frames=frames,
        profile=None if use is None else (settings, use),
        **more,
    )


def _check_whole_endpoint(endpoint):
    if endpoint not in ENDPOINTS:
        raise ValueError(
            f"`endpoint` must be one of {ENDPOINTS} where no `window` is given; received "
            f"{endpoint!r}. Networks with other layers take windows alone."
        )


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


def num_windows(config: FeatureConfig, num_frames: int) -> int:
    """Returns the number of windows of a video.

    Args:
        config: FeatureConfig with a window.
        num_frames: Frames of the video.
    """
    window, stride = config.window, config.stride
    if window is None or stride is None:
        raise ValueError(f"`config` must have a window; received {config}.")
    if num_frames < config.min_frames:
        return int(config.short in FILLS and num_frames > 0)
    whole = (num_frames - config.min_frames) // stride + 1
    if config.tail == "drop":
        return whole
    is_left = (whole - 1) * stride + window < num_frames and whole * stride < num_frames
    return whole + is_left


def timestamps(config: FeatureConfig, num_frames: int) -> np.ndarray:
    """Returns the times of a video's rows, in frames.

    Without windows, the rows divide the video from its first frame to its last, and the middle is
    that of the frames that the network's time step depends on; SAME padding puts it up to two
    frames behind the middle of the row's part. Steps of the head are means of two, and overlap. The
    times of a window that is filled up count all its frames.

    Args:
        config: FeatureConfig.
        num_frames: Frames of the video.

    Returns:
        float64 (N, 3): start, middle and end.
    """
    if config.window is not None and config.stride is not None:
        start = np.arange(num_windows(config, num_frames))[:, np.newaxis] * float(config.stride)
        return start + np.array([0, config.window / 2, config.window])
    if num_frames < MIN_FRAMES:
        if config.short not in FILLS:
            return np.zeros((0, 3))
        num_frames = MIN_FRAMES
    count, first, jump = time_steps(
        I3D, LAST if config.pools_pairs else config.endpoint, num_frames
    )
    start = np.arange(count) * float(jump)
    end = np.minimum(start + jump, num_frames)
    # The middle of frame k is k + 0.5; a middle in the padding moves to the edge of the video.
    times = np.stack([start, np.clip(first + 0.5 + start, start, end), end], axis=1)
    if config.pools_pairs:
        times = _merge(times[:-1], times[1:])
    steps = config.row_steps or len(times)
    parts = [times[at : at + steps] for at in range(0, len(times), steps)]
    return np.array([[part[0, 0], part[:, 1].mean(), part[-1, 2]] for part in parts])


def _merge(earlier, later):
    """Times of the means of two neighboring steps."""
    middle = (earlier[:, 1] + later[:, 1]) / 2
    return np.stack([earlier[:, 0], middle, later[:, 2]], axis=1)
