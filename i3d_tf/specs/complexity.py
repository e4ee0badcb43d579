"""How many parameters each architecture has, counted from its table.

Table 1 of arXiv:1705.07750 prints millions, for 400 classes. Counted here, batch-norm statistics
included:

    ConvNet+LSTM     8,964,768    9M
    3D-ConvNet      79,656,464   79M
    Two-Stream      12,087,680   12M
    3D-Fused        39,785,968   39M
    Two-Stream I3D  25,387,136   25M

so the table drops what follows the millions, but for ConvNet+LSTM, which it rounds up (or counts
more of: batch norm inside the recurrence has statistics of its own). The numbers also tell what the
text does not: C3D's last pool is padded (unpadded, fc6 would have 14.7M parameters less), and
3D-Fused averages over positions before its last layer (over all 3 x 4 x 4 of them, it would have
9.6M more).
"""

from collections.abc import Sequence
from math import prod

from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.baselines import (
    C3D,
    C3D_CROP_SIZE,
    C3D_DENSE,
    C3D_FRAMES,
    FLOW_PER_STEP,
    FUSION,
    LSTM_UNITS,
    widen_units,
)
from i3d_tf.specs.geometry import convolutions, count_multiply_adds, endpoint_shapes, filters_out
from i3d_tf.specs.inception_v1 import I3D, INCEPTION_V1, Row, widen
from i3d_tf.specs.streams import CHANNELS

# One value each of beta, moving mean and moving variance per channel.
_BATCH_NORM = 3
_RGB, _FLOW = CHANNELS["rgb"], CHANNELS["flow"]
_STACKED_FLOW = FLOW_PER_STEP * _FLOW


def count_parameters(
    name: str, classes: int = 400, width_multiplier: float = 1.0, clip_shape=None
) -> int:
    """Values in all variables of an architecture with all its streams.

    Args:
        name: One of `ARCHITECTURES`.
        classes: Number of logits.
        width_multiplier: As of the networks.
        clip_shape: (T, H, W, C) for C3D, whose dense layers depend on it; default 16 x 112 x 112 x
            3. The others have one number for all sizes.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"`name` must be one of {tuple(ARCHITECTURES)}; received {name!r}.")
    if name == "c3d":
        shape = (
            (C3D_FRAMES, C3D_CROP_SIZE, C3D_CROP_SIZE, _RGB) if clip_shape is None else clip_shape
        )
        return _c3d_parameters(shape, classes, width_multiplier)
    count = {
        "convnet_lstm": _convnet_lstm_parameters,
        "two_stream": _two_stream_parameters,
        "fused_3d": _fused_3d_parameters,
        "two_stream_i3d": _two_stream_i3d_parameters,
    }[name]
    return count(classes, width_multiplier)


def _rows(rows: Sequence[Row], channels: int, width_multiplier: float) -> tuple[int, int]:
    """Parameters of convolutions with batch norm, and the channels after them."""
    rows = [widen(row, width_multiplier) for row in rows]
    total = sum(
        prod(conv.kernel) * filters_in * conv.filters + _BATCH_NORM * conv.filters
        for _, conv, filters_in in convolutions(rows, channels)
    )
    for row in rows:
        channels = filters_out(row, channels)
    return total, channels


def _network(rows, channels, classes, width_multiplier):
    """Parameters of a network whose head is one convolution with bias."""
    total, features = _rows(rows, channels, width_multiplier)
    return total + (features + 1) * classes


def _convnet_lstm_parameters(classes, width_multiplier):
    total, features = _rows(INCEPTION_V1, _RGB, width_multiplier)
    units = widen_units(LSTM_UNITS, width_multiplier)
    gates = 4 * units * (features + units + 1)
    return total + _BATCH_NORM * (features + units) + gates + (units + 1) * classes


def _c3d_parameters(clip_shape, classes, width_multiplier):
    total, _ = _rows(C3D, clip_shape[-1], width_multiplier)
    rows = [widen(row, width_multiplier) for row in C3D]
    features = prod(endpoint_shapes(rows, clip_shape)[rows[-1].name])
    for row in C3D_DENSE:
        units = widen_units(row.units, width_multiplier)
        total += (features + _BATCH_NORM) * units
        features = units
    return total + (features + 1) * classes


def _two_stream_parameters(classes, width_multiplier):
    return sum(
        _network(INCEPTION_V1, channels, classes, width_multiplier)
        for channels in (_RGB, _STACKED_FLOW)
    )


def _fused_3d_parameters(classes, width_multiplier):
    total, features = 0, 0
    for channels in (_RGB, _STACKED_FLOW):
        trunk, filters = _rows(INCEPTION_V1, channels, width_multiplier)
        total, features = total + trunk, features + filters
    return total + _network(FUSION, features, classes, width_multiplier)


def _two_stream_i3d_parameters(classes, width_multiplier):
    return sum(_network(I3D, channels, classes, width_multiplier) for channels in (_RGB, _FLOW))


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
        return _fused_3d_multiply_adds(clip_shapes, classes, width_multiplier)
    count = {
        "convnet_lstm": _convnet_lstm_multiply_adds,
        "c3d": _c3d_multiply_adds,
        "two_stream": _two_stream_multiply_adds,
        "two_stream_i3d": _i3d_multiply_adds,
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


def _i3d_multiply_adds(shape, classes, width_multiplier):
    return count_multiply_adds(_widened(I3D, width_multiplier), shape, classes)


def _two_stream_multiply_adds(shape, classes, width_multiplier):
    frames, height, width, channels = shape
    rows = _widened(INCEPTION_V1, width_multiplier)
    return count_multiply_adds(rows, (height, width, frames * channels), classes)


def _convnet_lstm_multiply_adds(shape, classes, width_multiplier):
    frames, *image = shape
    per_image, (_, _, features) = _image_trunk(image, width_multiplier)
    units = widen_units(LSTM_UNITS, width_multiplier)
    return frames * (per_image + 4 * units * (features + units) + units * classes)


def _c3d_multiply_adds(shape, classes, width_multiplier):
    total, after = _convolutions(_widened(C3D, width_multiplier), shape)
    features = prod(after)
    for row in C3D_DENSE:
        units = widen_units(row.units, width_multiplier)
        total, features = total + features * units, units
    return total + features * classes


def _fused_3d_multiply_adds(clip_shapes, classes, width_multiplier):
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
