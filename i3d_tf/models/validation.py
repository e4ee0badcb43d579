"""Checks of the arguments that the networks' functions share; each raises ValueError."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import MIN_SIZE
from i3d_tf.specs.streams import CHANNELS, JOINT, STREAMS, streams_of
from i3d_tf.specs.validation import check_fraction, check_integer, check_positive, is_integer


def check_network(classes: int, dropout_rate: float, width_multiplier: float) -> None:
    """Checks the arguments that all networks have."""
    check_integer("classes", classes, 1)
    check_fraction("dropout_rate", dropout_rate)
    check_positive("width_multiplier", width_multiplier)


def check_input_shape(
    shape: Sequence[int | None],
    axes: str = "THWC",
    channels: Collection[int] | None = None,
    min_frames: int = 1,
    frames: int | None = None,
    fixed: str = "",
    argument: str = "input_shape",
) -> Shape:
    """Checks the shape of a network's input, without the batch.

    Args:
        shape: The given shape.
        axes: Names of its axes, "THWC" or "HWC".
        channels: The allowed C; None allows any.
        min_frames: The smallest T.
        frames: The only allowed T, if there is one.
        fixed: Axes among "THW" whose length must be given; the others may be None.
        argument: Name of the shape in errors.

    Returns:
        The shape as a tuple.
    """
    shape = tuple(shape)
    if len(shape) != len(axes):
        raise ValueError(f"`{argument}` must be ({', '.join(axes)}); received {shape}.")
    minima = {"T": min_frames, "H": MIN_SIZE, "W": MIN_SIZE}
    for axis, length in zip(axes[:-1], shape, strict=False):
        if axis == "T" and frames is not None:
            allowed, fits = f"= {frames}", length == frames
        else:
            allowed = f">= {minima[axis]}{'' if axis in fixed else ' or None'}"
            fits = axis not in fixed if length is None else _is_at_least(length, minima[axis])
        if not fits:
            raise ValueError(f"`{argument}` must have {axis} {allowed}; received {shape}.")
    if channels is None:
        allowed, fits = ">= 1, such as 3 for RGB and 2 for flow", _is_at_least(shape[-1], 1)
    else:
        named = (f"{CHANNELS[s]} for {s}" for s in STREAMS if CHANNELS[s] in channels)
        allowed, fits = f"= {', '.join(named)}", shape[-1] in channels
    if not fits:
        raise ValueError(f"`{argument}` must have C {allowed}; received {shape}.")
    return shape


def shapes_of_streams(
    stream: str, input_shape: Any, defaults: Mapping[str, Shape]
) -> dict[str, Shape]:
    """Returns the shape of every stream of a two-stream network.

    Args:
        stream: "rgb", "flow" or "joint".
        input_shape: None; (T, H, W, C); or, for "joint", {"rgb": (T, H, W, 3), "flow": (...)}.
        defaults: Stream to shape, for None.

    Returns:
        Stream to shape, for the streams of the network; the shapes are not checked.
    """
    streams = streams_of(stream)
    if input_shape is None:
        return {name: defaults[name] for name in streams}
    if stream != JOINT:
        if isinstance(input_shape, Mapping):
            raise ValueError(
                f"`input_shape` must be (T, H, W, C) for stream {stream!r}; received {input_shape}."
            )
        return {stream: input_shape}
    if not isinstance(input_shape, Mapping) or set(input_shape) != set(STREAMS):
        raise ValueError(
            f"`input_shape` must have a shape (T, H, W, C) for each of {STREAMS}, as in "
            f"{dict(defaults)}; received {input_shape!r}."
        )
    return {name: input_shape[name] for name in STREAMS}


def shape_argument(stream: str, shapes: Mapping[str, Shape]) -> str:
    """Returns the name of a stream's shape in errors: `input_shape`, or a part of it."""
    return f"input_shape[{stream!r}]" if len(shapes) > 1 else "input_shape"


def _is_at_least(length, minimum):
    return is_integer(length) and length >= minimum
