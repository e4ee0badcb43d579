"""Parameters and multiply-adds of each architecture, counted from its rows.

Table 1 of arXiv:1705.07750 prints millions of parameters, for 400 classes. Counted here, batch-norm
statistics included:

    ConvNet+LSTM     8,964,768    9M
    3D-ConvNet      79,656,464   79M
    Two-Stream      12,087,680   12M
    3D-Fused        39,785,968   39M
    Two-Stream I3D  25,387,136   25M

so the table cuts off after the millions, except for ConvNet+LSTM, which it rounds up (or counts
more of: batch norm inside the recurrence has statistics of its own). The numbers also settle two
points that the text leaves open: C3D's last pool is padded (unpadded, fc6 would have 14.7M
parameters less), and 3D-Fused averages over positions before its last layer (over all 3 x 4 x 4 of
them, it would have 9.6M more).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.baselines import (
    C3D,
    C3D_DENSE,
    FLOW_PER_STEP,
    FUSED_3D,
    LSTM_UNITS,
    widen_units,
)
from i3d_tf.specs.geometry import convolutions, endpoint_shapes
from i3d_tf.specs.inception_v1 import I3D, INCEPTION_V1, Row, rank_of, widen
from i3d_tf.specs.protocol import clip_shape
from i3d_tf.specs.streams import CHANNELS, JOINT, STREAMS
from i3d_tf.specs.validation import check_choice

# Values per channel: beta, moving mean and moving variance.
_BATCH_NORM = 3

# Stream to (T, H, W, C).
ClipShapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Complexity:
    """Counts of a network, or of a part of one.

    Attributes:
        parameters: Values in all variables, batch-norm statistics included.
        multiply_adds: Multiply-adds for one clip; padding counts as work.
    """

    parameters: int
    multiply_adds: int

    def __add__(self, other: "Complexity") -> "Complexity":
        return Complexity(
            self.parameters + other.parameters, self.multiply_adds + other.multiply_adds
        )

    def repeated(self, times: int) -> "Complexity":
        """Returns the counts of the same part applied several times."""
        return Complexity(self.parameters, times * self.multiply_adds)


def architecture_complexity(
    name: str,
    clip_shapes: ClipShapes | None = None,
    classes: int = 400,
    width_multiplier: float = 1.0,
) -> Complexity:
    """Counts an architecture for one clip of each of its streams.

    Args:
        name: One of `ARCHITECTURES`.
        clip_shapes: Stream to (T, H, W, C), for the streams to count; default: the paper's training
            clip. Parameters depend on the size only for C3D, because of its dense layers.
        classes: Number of logits.
        width_multiplier: Scale of the number of filters.

    Raises:
        ValueError: The name is unknown.
    """
    check_choice("name", name, ARCHITECTURES)
    if clip_shapes is None:
        clip_shapes = _training_clips(name)
    return _COUNTERS[name](clip_shapes, classes, width_multiplier)


def inception_complexity(
    rows: Sequence[Row], clip_shape: Sequence[int], classes: int
) -> Complexity:
    """Counts I3D or Inception-v1 with its head.

    Args:
        rows: The network, widened if it is to be.
        clip_shape: (T, H, W, C), or (H, W, C) for rows without time.
        classes: Number of logits.
    """
    trunk, (*size, filters) = _convolutions(rows, clip_shape)
    head_steps = size[0] - 1 if rank_of(rows) == 3 else 1  # after the head's average pool
    return trunk + _dense(filters, classes, positions=head_steps)


def _training_clips(name):
    architecture = ARCHITECTURES[name]
    streams = STREAMS if JOINT in architecture.streams else architecture.streams
    return {
        stream: clip_shape(
            stream, architecture.train_frames, architecture.rgb_step, architecture.crop_size
        )
        for stream in streams
    }


def _widened(rows, width_multiplier):
    return [widen(row, width_multiplier) for row in rows]


def _convolutions(rows, shape):
    """Returns the counts of rows without a head, and the shape after them."""
    shapes = endpoint_shapes(rows, shape)
    parameters = multiply_adds = 0
    for path, conv, filters_in in convolutions(rows, shape[-1]):
        kernel = prod(conv.kernel) * filters_in * conv.filters
        parameters += kernel + _BATCH_NORM * conv.filters
        multiply_adds += kernel * prod(shapes[path.partition("/")[0]][:-1])
    return Complexity(parameters, multiply_adds), shapes[rows[-1].name]


def _dense(inputs, units, positions=1):
    """Returns the counts of a fully connected layer with bias, or of a 1x1x1 convolution."""
    return Complexity((inputs + 1) * units, positions * inputs * units)


def _convnet_lstm(clip_shapes, classes, width_multiplier):
    ((frames, *image),) = clip_shapes.values()
    trunk, (*_, features) = _convolutions(_widened(INCEPTION_V1, width_multiplier), image)
    units = widen_units(LSTM_UNITS, width_multiplier)
    norms = Complexity(_BATCH_NORM * (features + units), 0)
    gates = _dense(features + units, 4 * units)
    return (trunk + norms + gates + _dense(units, classes)).repeated(frames)


def _c3d(clip_shapes, classes, width_multiplier):
    (shape,) = clip_shapes.values()
    total, after = _convolutions(_widened(C3D, width_multiplier), shape)
    features = prod(after)
    for row in C3D_DENSE:
        units = widen_units(row.units, width_multiplier)
        total += Complexity((features + _BATCH_NORM) * units, features * units)
        features = units
    return total + _dense(features, classes)


def _two_stream(clip_shapes, classes, width_multiplier):
    total = Complexity(0, 0)
    for frames, height, width, channels in clip_shapes.values():
        stacked = (height, width, frames * channels)
        total += inception_complexity(_widened(INCEPTION_V1, width_multiplier), stacked, classes)
    return total


def _fused_3d(clip_shapes, classes, width_multiplier):
    total, channels = Complexity(0, 0), 0
    for stream, (frames, height, width, _) in clip_shapes.items():
        stacked = 1 if stream == "rgb" else FLOW_PER_STEP
        image = (height, width, stacked * CHANNELS[stream])
        steps = frames // stacked
        trunk, (rows, columns, filters) = _convolutions(
            _widened(INCEPTION_V1, width_multiplier), image
        )
        total, channels = total + trunk.repeated(steps), channels + filters
    joined, (*positions, filters) = _convolutions(
        _widened(FUSED_3D, width_multiplier), (steps, rows, columns, channels)
    )
    return total + joined + _dense(filters, classes, prod(positions))


def _two_stream_i3d(clip_shapes, classes, width_multiplier):
    total = Complexity(0, 0)
    for shape in clip_shapes.values():
        total += inception_complexity(_widened(I3D, width_multiplier), shape, classes)
    return total


_COUNTERS = {
    "convnet_lstm": _convnet_lstm,
    "c3d": _c3d,
    "two_stream": _two_stream,
    "fused_3d": _fused_3d,
    "two_stream_i3d": _two_stream_i3d,
}
