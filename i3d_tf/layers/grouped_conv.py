"""A 2D convolution of groups of channels that can be trained on every device."""

from typing import Any

import keras
from keras import KerasTensor, ops


@keras.saving.register_keras_serializable(package="i3d_tf")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with groups, each convolved by itself: (N, H, W, C).

    TensorFlow has no gradient of a grouped convolution on the CPU, for which Keras compiles one
    that takes ten times as long.

    Args:
        filters: Output channels of all groups.
        kernel_size: (height, width), or one number for both.
        **kwargs: See `keras.layers.Conv2D`.
    """

    def __init__(self, filters: int, kernel_size: int | tuple[int, int], **kwargs: Any):
        kwargs["data_format"] = "channels_last"
        super().__init__(filters, kernel_size, **kwargs)

    def convolution_op(self, inputs: KerasTensor, kernel: KerasTensor) -> KerasTensor:
        """Convolves every group of channels with its filters."""
        parts = zip(
            ops.split(inputs, self.groups, axis=-1),
            ops.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        outputs = [super(GroupedConv2D, self).convolution_op(*part) for part in parts]
        return ops.concatenate(outputs, axis=-1)
