"""A 3D convolution whose kernel gets the right gradient on a CPU, also from short clips.

With PyTorch on a GPU it is also faster than Keras's, see `i3d_tf.layers.torch_convolution`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import keras
from keras import KerasTensor, ops

from i3d_tf.layers import torch_convolution
from i3d_tf.layers.halo import is_halo_given
from i3d_tf.layers.padded_conv import pad_space, same_padding

MIN_PAIR_CHANNELS = 64  # of the input; with fewer, `convolve_pairs` saves little
_IN_PAIRS: ContextVar[bool] = ContextVar("in_pairs", default=False)


@contextmanager
def in_pairs() -> Iterator[None]:
    """Makes every `Conv3D` that is called within it use `convolve_pairs` where that is faster."""
    token = _IN_PAIRS.set(True)
    try:
        yield
    finally:
        _IN_PAIRS.reset(token)


@keras.saving.register_keras_serializable(package="i3d_tf")
class Conv3D(keras.layers.Conv3D):
    """`keras.layers.Conv3D` of (N, T, H, W, C), with its own gradient where oneDNN is at fault.

    TensorFlow 2.21 and PyTorch 2.13 on a CPU compute garbage, up to NaN, for the gradient of a
    kernel that spans as many steps as the clip or more, with SAME padding: in bfloat16, where the
    processor has such instructions (AVX512-BF16, AMX), and TensorFlow with strides in float32, too.
    A kernel of 3 steps sees 2 in `Mixed_5b` and `Mixed_5c` of clips of 9 to 16 frames. Outputs and
    gradients of inputs are right, and so is the kernel's without padding: it is computed from a
    clip with zeros around it.

    Within `i3d_tf.layers.halo.halo_given`, time is not padded. Within `in_pairs`, a kernel of three
    steps takes fewer multiply-adds for the outputs of a single clip.
    """

    def convolution_op(self, inputs: KerasTensor, kernel: KerasTensor) -> KerasTensor:
        """Convolves: (N, T, H, W, C) -> (N, T', H', W', filters)."""
        if isinstance(inputs, KerasTensor) or self.padding != "same":
            return super().convolution_op(inputs, kernel)
        if _IN_PAIRS.get() and self._convolves_pairs(inputs):
            return self._convolve_in_pairs(inputs, kernel)
        if is_halo_given() and self.kernel_size[0] > 1:
            inputs = pad_space(inputs, self.kernel_size[1:], self.strides[1:])
            return ops.conv(inputs, kernel, self.strides, "valid", self.data_format)
        backend = keras.backend.backend()
        if backend == "tensorflow" and self._is_affected(inputs):
            return _convolve_same(inputs, kernel, self.kernel_size, self.strides)
        if backend == "torch" and (inputs.is_cuda or self._is_affected(inputs)):
            kernel = ops.cast(kernel, inputs.dtype)
            return torch_convolution.convolve_same(
                inputs, kernel, self.strides, torch_convolution.channel_multiple(inputs)
            )
        return super().convolution_op(inputs, kernel)

    def _convolves_pairs(self, inputs):
        """Returns whether `convolve_pairs` is possible, and faster."""
        return (
            keras.backend.backend() == "tensorflow"
            and keras.backend.standardize_dtype(inputs.dtype) == "float32"
            and self.kernel_size[0] == 3
            and set(self.strides) == {1}
            and inputs.shape[0] == 1
            and inputs.shape[-1] >= MIN_PAIR_CHANNELS
            and not _is_on_gpu(inputs)
        )

    def _convolve_in_pairs(self, inputs, kernel):
        """Convolves one clip with `convolve_pairs`: (1, T, H, W, C) -> (1, T', H, W, filters)."""
        steps = ops.squeeze(inputs, 0)
        zeros = 0 if is_halo_given() else 1
        length = ops.shape(steps)[0] + 2 * zeros - 2
        steps = ops.pad(steps, [(zeros, zeros + length % 2), (0, 0), (0, 0), (0, 0)])
        return ops.expand_dims(convolve_pairs(steps, kernel)[:length], 0)

    def _is_affected(self, inputs):
        time, kernel_time = inputs.shape[1], self.kernel_size[0]
        is_bfloat16 = keras.backend.standardize_dtype(inputs.dtype) == "bfloat16"
        return (
            kernel_time > 1
            and (is_bfloat16 or self.strides[0] > 1)
            and (is_bfloat16 if time is None else time <= kernel_time)
            and not _is_on_gpu(inputs)
        )


def convolve_pairs(steps: KerasTensor, kernel: KerasTensor) -> KerasTensor:
    """Convolves with a kernel of three steps, two outputs at a time, by Winograd's F(2, 3).

    Two neighboring outputs take four convolutions of a step instead of six (arXiv:1509.09308), and
    differ by the rounding of their sums. Height and width are padded with zeros, time is not.

    Args:
        steps: (2 n + 2, H, W, C).
        kernel: (3, h, w, C, filters).

    Returns:
        (2 n, H, W, filters).
    """
    _, height, width, channels = ops.shape(steps)
    even, odd = ops.unstack(ops.reshape(steps, (-1, 2, height, width, channels)), 2, axis=1)
    even, next_even, odd, next_odd = even[:-1], even[1:], odd[:-1], odd[1:]
    first, middle, last = ops.unstack(kernel, 3)
    outer = first + last
    sums = _convolve_image(odd + next_even, (outer + middle) * 0.5)
    differences = _convolve_image(next_even - odd, (outer - middle) * 0.5)
    outputs = (
        _convolve_image(even - next_even, first) + (sums + differences),
        _convolve_image(next_odd - odd, last) + (sums - differences),
    )
    return ops.reshape(ops.stack(outputs, axis=1), (-1, height, width, kernel.shape[-1]))


def _convolve_image(images, kernel):
    return ops.conv(images, kernel, padding="same", data_format="channels_last")


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
            lengths = ops.shape(inputs)[1:4]
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
