"""Max-pools of clips, and pools with the padding of PyTorch's and Caffe's networks.

On a CPU, TensorFlow's 3D max-pool gives each of several equal largest values of a window the whole
gradient, eagerly and in graphs without oneDNN (seen in 2.21), and equal values are common: where
nothing moves, and where a pool of stride 1 copies a value into neighboring windows, as in the
Inception blocks. A pool over space and
then one over time, both 2D, have the same values, and give the gradient to the first of them, as
JAX, PyTorch and GPUs do.

PyTorch pads half a kernel on both sides. Caffe without padding rounds the number of windows up, so
that the last one may reach over the end; and its average pools count the zeros that they pad.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape


@keras.saving.register_keras_serializable(package="i3d_tf")
class MaxPool3D(keras.layers.MaxPooling3D):
    """`keras.layers.MaxPooling3D`, whose gradient is right on a CPU, too; see the module.

    (N, T, H, W, C) -> (N, T', H', W', C).

    Args:
        pool_size: See `keras.layers.MaxPooling3D`, as all others.
        strides: None for those of `pool_size`.
        padding: "valid" or "same".
        data_format: Of "channels_first", the gradient is TensorFlow's.
        **kwargs: See `keras.layers.MaxPooling3D`.
    """

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str = "channels_last",
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Pools: (N, T, H, W, C) -> (N, T', H', W', C)."""
        if self.data_format != "channels_last":
            return super().call(inputs)
        return _max_pool(inputs, self.pool_size, self.strides, self.padding)


def _max_pool(inputs, pool_size, strides, padding):
    """Pools clips or images whose channels are last; with TensorFlow, clips as the module says."""
    if len(pool_size) != 3 or keras.backend.backend() != "tensorflow":
        return ops.max_pool(inputs, pool_size, strides, padding, "channels_last")
    return _pool_space_and_time(inputs, pool_size, strides, padding)


def _pool_space_and_time(clips, pool_size, strides, padding):
    """Pools over space, then over time: (N, T, H, W, C) -> (N, T', H', W', C)."""
    (time_size, *space_size), (time_stride, *space_stride) = pool_size, strides
    batch, time, *size, channels = ops.shape(clips)

    def pooled(images, window, stride):
        return ops.max_pool(images, tuple(window), tuple(stride), padding, "channels_last")

    if (*space_size, *space_stride) != (1, 1, 1, 1):
        clips = pooled(ops.reshape(clips, (-1, *size, channels)), space_size, space_stride)
        _, *size, _ = ops.shape(clips)
    if (time_size, time_stride) != (1, 1):
        height, width = size
        clips = ops.reshape(clips, (-1, time, height * width, channels))
        clips = pooled(clips, (time_size, 1), (time_stride, 1))
        _, time, _, _ = ops.shape(clips)
    return ops.reshape(clips, (batch, time, *size, channels))


@keras.saving.register_keras_serializable(package="i3d_tf")
class PaddedMaxPool3D(MaxPool3D):
    """`MaxPool3D` with its own padding; what is padded is never the largest.

    (N, T, H, W, C) -> (N, T', H', W', C).

    Args:
        pool_size: (time, height, width).
        strides: Like `pool_size`.
        pads: Positions before and after each axis; default: half of `pool_size`.
        **kwargs: See `keras.layers.MaxPooling3D`.
    """

    def __init__(
        self,
        pool_size: Sequence[int],
        strides: Sequence[int],
        pads: Sequence[int] | None = None,
        **kwargs: Any,
    ):
        kwargs.pop("padding", None)  # always "valid": inputs are padded before
        super().__init__(pool_size, strides, padding="valid", **kwargs)
        self.pads = tuple(size // 2 for size in self.pool_size) if pads is None else tuple(pads)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Pads and pools: (N, T, H, W, C) -> (N, T', H', W', C)."""
        widths = [(0, 0), *((pad, pad) for pad in self.pads), (0, 0)]
        return super().call(ops.pad(inputs, widths, constant_values=-float("inf")))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T', H', W', C)."""
        batch, *positions, channels = input_shape
        padded = [
            None if length is None else length + 2 * pad
            for length, pad in zip(positions, self.pads, strict=True)
        ]
        return super().compute_output_shape((batch, *padded, channels))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "pads": self.pads}


@keras.saving.register_keras_serializable(package="i3d_tf")
class CeilMaxPool(keras.layers.Layer):
    """Max-pooling as Caffe's without padding, or PyTorch's with `ceil_mode`; 2D or 3D.

    Of n positions ceil((n - pool_size) / strides) + 1 are left, at least 1; what a window has
    beyond the end is never the largest. Of 3/2, an even n gives SAME, an odd one VALID.

    Args:
        pool_size: (height, width), or (time, height, width).
        strides: Like `pool_size`, none larger.
        **kwargs: See `keras.layers.Layer`.

    Raises:
        ValueError: A stride is larger than its window.
    """

    def __init__(self, pool_size: Sequence[int], strides: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.pool_size, self.strides = tuple(pool_size), tuple(strides)
        if any(map(int.__gt__, self.strides, self.pool_size)):
            raise ValueError(
                f"`strides` must be at most `pool_size`, {self.pool_size}; received {self.strides}."
            )

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Pools: (N, *positions, C) -> (N, *fewer positions, C)."""
        ends = [
            _missing(*axis)
            for axis in zip(inputs.shape[1:-1], self.pool_size, self.strides, strict=True)
        ]
        if any(ends):
            widths = [(0, 0), *((0, end) for end in ends), (0, 0)]
            inputs = ops.pad(inputs, widths, constant_values=-float("inf"))
        return _max_pool(inputs, self.pool_size, self.strides, "valid")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, *fewer positions, C)."""
        batch, *positions, channels = input_shape
        left = [
            None
            if length is None
            else (length + _missing(length, size, stride) - size) // stride + 1
            for length, size, stride in zip(positions, self.pool_size, self.strides, strict=True)
        ]
        return (batch, *left, channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "pool_size": self.pool_size, "strides": self.strides}


def _windows(length, size, stride):
    return -(-max(0, length - size) // stride) + 1


def _missing(length, size, stride):
    """Returns how many positions a last, partial window needs beyond the end of an axis."""
    if length is None:  # as many make a window of any rest, and none of no rest
        return stride - 1
    return max(0, (_windows(length, size, stride) - 1) * stride + size - length)


@keras.saving.register_keras_serializable(package="i3d_tf")
class PaddedAveragePool2D(keras.layers.AveragePooling2D):
    """Average pool of stride 1 with zeros around the image, which count.

    (N, H, W, C) -> (N, H, W, C). Keras's, with SAME padding, divides by the pixels alone.

    Args:
        pool_size: An odd number.
        **kwargs: See `keras.layers.AveragePooling2D`.
    """

    def __init__(self, pool_size: int, **kwargs: Any):
        for name in ("padding", "strides"):
            kwargs.pop(name, None)  # always "valid" and 1: inputs are padded before
        super().__init__(pool_size, 1, padding="valid", **kwargs)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Pads and averages: (N, H, W, C) -> (N, H, W, C)."""
        rows, columns = (size // 2 for size in self.pool_size)
        return super().call(ops.pad(inputs, [(0, 0), (rows, rows), (columns, columns), (0, 0)]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, H, W, C)."""
        return input_shape
