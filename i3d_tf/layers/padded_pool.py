"""Max-pooling with half a kernel of padding on both sides, as PyTorch's networks have it."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape


@keras.saving.register_keras_serializable(package="i3d_tf")
class PaddedMaxPool3D(keras.layers.MaxPooling3D):
    """`keras.layers.MaxPooling3D` with its own padding; what is padded is never the largest.

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
