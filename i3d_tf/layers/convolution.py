"""A 3D convolution whose kernel gets the right gradient on a CPU, also from short clips.

With PyTorch on a GPU it is also faster than Keras's, see `i3d_tf.layers.torch_convolution`.
"""

import sys

import keras
from keras import KerasTensor

from i3d_tf.layers import torch_convolution
from i3d_tf.layers.halo import is_halo_given
from i3d_tf.layers.padded_conv import pad_space, same_padding


@keras.saving.register_keras_serializable(package="i3d_tf")
class Conv3D(keras.layers.Conv3D):
    """`keras.layers.Conv3D` of (N, T, H, W, C), with its own gradient where oneDNN is at fault.

    TensorFlow 2.21 and PyTorch 2.13 on a CPU compute garbage, up to NaN, for the gradient of a
    kernel that spans as many steps as the clip or more, with SAME padding: in bfloat16, where the
    processor has such instructions (AVX512-BF16, AMX), and TensorFlow with strides in float32, too.
    A kernel of 3 steps sees 2 in `Mixed_5b` and `Mixed_5c` of clips of 9 to 16 frames. Outputs and
    gradients of inputs are right, and so is the kernel's without padding: it is computed from a
    clip with zeros around it.

    Within `i3d_tf.layers.halo.halo_given`, time is not padded.
    """

    def convolution_op(self, inputs: KerasTensor, kernel: KerasTensor) -> KerasTensor:
        """Convolves: (N, T, H, W, C) -> (N, T', H', W', filters)."""
        if isinstance(inputs, KerasTensor) or self.padding != "same":
            return super().convolution_op(inputs, kernel)
        if is_halo_given() and self.kernel_size[0] > 1:
            inputs = pad_space(inputs, self.kernel_size[1:], self.strides[1:])
            return keras.ops.conv(inputs, kernel, self.strides, "valid", self.data_format)
        backend = keras.backend.backend()
        if backend == "tensorflow" and self._is_affected(inputs):
            return _convolve_same(inputs, kernel, self.kernel_size, self.strides)
        if backend == "torch" and (inputs.is_cuda or self._is_affected(inputs)):
            kernel = keras.ops.cast(kernel, inputs.dtype)
            return torch_convolution.convolve_same(
                inputs, kernel, self.strides, torch_convolution.channel_multiple(inputs)
            )
        return super().convolution_op(inputs, kernel)

    def _is_affected(self, inputs):
        time, kernel_time = inputs.shape[1], self.kernel_size[0]
        is_bfloat16 = keras.backend.standardize_dtype(inputs.dtype) == "bfloat16"
        return (
            kernel_time > 1
            and (is_bfloat16 or self.strides[0] > 1)
            and (is_bfloat16 if time is None else time <= kernel_time)
            and not _is_on_gpu(inputs)
        )


def _is_on_gpu(inputs):
    """Returns whether a tensor is computed with on a GPU, in TensorFlow and in PyTorch."""
    if keras.backend.backend() == "torch":
        return not inputs.is_cpu
    return bool(_tensorflow().config.list_physical_devices("GPU"))


def _tensorflow():
    return sys.modules["tensorflow"]  # Keras has imported it, and other backends do without


def _convolve_same(inputs, kernel, kernel_size, strides):
    """Convolves as `tf.nn.conv3d` with SAME padding does; see `Conv3D`."""
    tf = _tensorflow()
    steps = (1, *strides, 1)

    @tf.custom_gradient
    def convolve(inputs, kernel):
        def gradients(upstream):
            to_inputs = tf.raw_ops.Conv3DBackpropInputV2(
                input_sizes=tf.shape(inputs),
                filter=kernel,
                out_backprop=upstream,
                strides=steps,
                padding="SAME",
            )
            lengths = keras.ops.shape(inputs)[1:4]
            widths = [
                same_padding(*axis) for axis in zip(lengths, kernel_size, strides, strict=True)
            ]
            to_kernel = tf.raw_ops.Conv3DBackpropFilterV2(
                input=tf.pad(inputs, [(0, 0), *widths, (0, 0)]),
                filter_sizes=tf.shape(kernel),
                out_backprop=upstream,
                strides=steps,
                padding="VALID",
            )
            return to_inputs, to_kernel

        return tf.nn.conv3d(inputs, kernel, steps, "SAME"), gradients

    return convolve(inputs, tf.convert_to_tensor(kernel, inputs.dtype))
