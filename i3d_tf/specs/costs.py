"""Multiply-adds of each architecture for one clip, counted from its table.

Convolutions, dense layers and the LSTM's gates are counted; padding counts as work. What is added
or multiplied elsewhere (batch norm, pooling) is left out.
"""

from math import prod

from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.baselines import C3D, C3D_DENSE, FLOW_PER_STEP, FUSION, LSTM_UNITS, widen_units
from i3d_tf.specs.geometry import convolutions, count_multiply_adds, endpoint_shapes
from i3d_tf.specs.inception_v1 import I3D, INCEPTION_V1, widen
from i3d_tf.specs.streams import CHANNELS


def architecture_multiply_adds(name, clip_shapes, classes=400, width_multiplier=1.0) -> int:
    """Multiply-adds of an architecture for one clip of each of its streams.

    Args:
        name: One of `ARCHITECTURES`.
        clip_shapes: Stream to (T, H, W, C), for the streams that are counted.
        classes: Number of logits.
        width_multiplier: As of the networks.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"`name` must be one of {tuple(ARCHITECTURES)}; received {name!r}.")
    if name == "fused_3d":
        return _fused_3d(clip_shapes, classes, width_multiplier)
    count = {
        "convnet_lstm": _convnet_lstm,
        "c3d": _c3d,
        "two_stream": _two_stream,
        "two_stream_i3d": _i3d,
    }[name]
    return sum(count(shape, classes, width_multiplier) for shape in clip_shapes.values())


def _widened(rows, width_multiplier):
    return [widen(row, width_multiplier) for row in rows]


def _convolutions(rows, shape):
    """Multiply-adds of rows alone, and the shape after them."""
    shapes = endpoint_shapes(rows, shape)
    total = sum(
        prod(shapes[path.partition("/")[0]][:-1]) * prod(conv.kernel) * filters_in * conv.filters
        for path, conv, filters_in in convolutions(rows, shape[-1])
    )
    return total, shapes[rows[-1].name]


def _image_trunk(shape, width_multiplier):
    """Of Inception-v1 up to `Mixed_5c`: multiply-adds for one image (H, W, C), and its shape."""
    return _convolutions(_widened(INCEPTION_V1, width_multiplier), shape)


def _i3d(shape, classes, width_multiplier):
    return count_multiply_adds(_widened(I3D, width_multiplier), shape, classes)


def _two_stream(shape, classes, width_multiplier):
    frames, height, width, channels = shape
    rows = _widened(INCEPTION_V1, width_multiplier)
    return count_multiply_adds(rows, (height, width, frames * channels), classes)


def _convnet_lstm(shape, classes, width_multiplier):
    frames, *image = shape
    per_image, (_, _, features) = _image_trunk(image, width_multiplier)
    units = widen_units(LSTM_UNITS, width_multiplier)
    return frames * (per_image + 4 * units * (features + units) + units * classes)


def _c3d(shape, classes, width_multiplier):
    total, after = _convolutions(_widened(C3D, width_multiplier), shape)
    features = prod(after)
    for row in C3D_DENSE:
        units = widen_units(row.units, width_multiplier)
        total, features = total + features * units, units
    return total + features * classes


def _fused_3d(clip_shapes, classes, width_multiplier):
    total, channels = 0, 0
    for stream, (frames, height, width, _) in clip_shapes.items():
        stacked = 1 if stream == "rgb" else FLOW_PER_STEP
        image = (height, width, stacked * CHANNELS[stream])
        steps = frames // stacked
        per_image, (rows, columns, filters) = _image_trunk(image, width_multiplier)
        total, channels = total + steps * per_image, channels + filters
    fused, after = _convolutions(
        _widened(FUSION, width_multiplier), (steps, rows, columns, channels)
    )
    return total + fused + prod(after) * classes
