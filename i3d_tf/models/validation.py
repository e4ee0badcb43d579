"""Checks of what the networks' functions are given: each raises ValueError with the choices."""

from collections.abc import Mapping

from i3d_tf.specs.inception_v1 import MIN_SIZE
from i3d_tf.specs.streams import CHANNELS, JOINT, STREAM_CHOICES, STREAMS, streams_of


def check_network(classes, dropout_rate, width_multiplier):
    """Checks the arguments that all networks have."""
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 1:
        raise ValueError(f"`classes` must be a whole number of at least 1; received {classes!r}.")
    if not 0.0 <= dropout_rate < 1.0:
        raise ValueError(f"`dropout_rate` must be in [0, 1); received {dropout_rate!r}.")
    if not width_multiplier > 0.0:
        raise ValueError(f"`width_multiplier` must be positive; received {width_multiplier!r}.")


def check_stream(stream):
    """Checks the name of a stream, or of both."""
    if stream not in STREAM_CHOICES:
        raise ValueError(f"`stream` must be one of {STREAM_CHOICES}; received {stream!r}.")


def check_clip_shape(shape, channels, min_frames=1, frames=None, fixed="", argument="input_shape"):
    """Checks the shape of one stream's clips.

    Args:
        shape: What was given, (T, H, W, C).
        channels: List of the allowed C.
        min_frames: The least T.
        frames: The only T allowed, where there is one.
        fixed: Axes among "THW" whose length must be given; the others may be None.
        argument: What the shape is called in errors.

    Returns:
        The shape as a tuple.
    """
    shape = tuple(shape)
    if len(shape) != 4:
        raise ValueError(f"`{argument}` must be (T, H, W, C); received {shape}.")
    minima = (min_frames, MIN_SIZE, MIN_SIZE)
    for axis, length, least in zip("THW", shape, minima, strict=False):
        if axis == "T" and frames is not None:
            allowed, fits = f"= {frames}", length == frames
        else:
            allowed = f">= {least}{'' if axis in fixed else ' or None'}"
            fits = axis not in fixed if length is None else _is_whole(length) and length >= least
        if not fits:
            raise ValueError(f"`{argument}` must have {axis} {allowed}; received {shape}.")
    if shape[3] not in channels:
        named = ", ".join(f"{CHANNELS[s]} for {s}" for s in STREAMS if CHANNELS[s] in channels)
        raise ValueError(f"`{argument}` must have C = {named}; received {shape}.")
    return shape


def shapes_of_streams(stream, input_shape, defaults):
    """The shape of every stream of a two-stream network.

    Args:
        stream: "rgb", "flow" or "joint".
        input_shape: None; (T, H, W, C); or, for "joint", {"rgb": (T, H, W, 3), "flow": (...)}.
        defaults: Stream to shape, for None.

    Returns:
        Stream to shape, for the streams that are to be built; not checked further.
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


def argument_of(stream, shapes):
    """What the shape of a stream is called in errors: `input_shape`, or a part of it."""
    return f"input_shape[{stream!r}]" if len(shapes) > 1 else "input_shape"


def _is_whole(length):
    return isinstance(length, int) and not isinstance(length, bool)
