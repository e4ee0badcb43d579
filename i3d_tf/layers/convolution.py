"""A 3D convolution whose kernel gets the right gradient on a CPU, also from short clips."""

import sys

import keras
from keras import KerasTensor

from i3d_tf.layers.padded_conv import pad_space, pad_time


class Conv3D(keras.layers.Conv3D):
    """`keras.layers.Conv3D`, padding "same", with padding of its own where oneDNN's is at fault.

    (N, T, H, W, C) -> (N, T', H', W', filters).

    TensorFlow 2.21 on a CPU computes garbage, up to NaN, for the gradient of a kernel that spans as
    many steps as the clip or more: in bfloat16, where the processor has such instructions
    (AVX512-BF16, AMX), and with strides in float32, too. A kernel of 3 steps sees 2 in `Mixed_5b`
    and `Mixed_5c` of clips of 9 to 16 frames. Without padding the gradient is right, so zeros are
    put around the clip before. Outputs and gradients of inputs are right either way.
    """

    def convolution_op(self, inputs: KerasTensor, kernel: KerasTensor) -> KerasTensor:
        """Convolves: (N, T, H, W, C) -> (N, T', H', W', filters)."""
        if not self._is_affected(inputs):
            return super().convolution_op(inputs, kernel)
        inputs = pad_time(inputs, self.kernel_size[0], self.strides[0], "zero")
        inputs = pad_space(inputs, self.kernel_size[1:], self.strides[1:])
        return keras.ops.conv(
            inputs, kernel, strides=self.strides, padding="valid", data_format=self.data_format
        )

    def _is_affected(self, inputs):
        if isinstance(inputs, KerasTensor) or keras.backend.backend() != "tensorflow":
            return False
        time, kernel_time = inputs.shape[1], self.kernel_size[0]
        is_bfloat16 = keras.backend.standardize_dtype(inputs.dtype) == "bfloat16"
        return (
            kernel_time > 1
            and (is_bfloat16 or self.strides[0] > 1)
            and (is_bfloat16 if time is None else time <= kernel_time)
            and not _has_gpu()
        )


def _has_gpu():
    tensorflow = sys.modules["tensorflow"]  # which Keras has imported
    return bool(tensorflow.config.list_physical_devices("GPU"))
