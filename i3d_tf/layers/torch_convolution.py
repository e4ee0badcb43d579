"""A 3D convolution in PyTorch: without copies on a GPU, with the right gradient on a CPU."""

import sys
from collections.abc import Sequence
from typing import Any

from i3d_tf.layers.padded_conv import same_padding

# Of 3 channels in bfloat16, those of RGB, cuDNN 9 has no kernel for Tensor Cores; of 4 it has.
BFLOAT16_CHANNELS = 4


def convolve_same(
    inputs: Any, kernel: Any, strides: Sequence[int], channel_multiple: int = 1
) -> Any:
    """Convolves with SAME padding, as TensorFlow defines it.

    Before each convolution Keras copies a clip to the order (N, C, T, H, W), and back to the order
    that it had and that cuDNN needs. This one hands it over as it is. Padding that cuDNN does not
    do itself, and channels of zeros, are one copy.

    Args:
        inputs: `torch.Tensor` (N, T, H, W, C).
        kernel: `torch.Tensor` (t, h, w, C, filters) of the same dtype.
        strides: Steps along (T, H, W).
        channel_multiple: C is filled up with zeros to a multiple of it.

    Returns:
        `torch.Tensor` (N, T', H', W', filters).
    """
    torch = _torch()
    pad = torch.nn.functional.pad
    axes = zip(inputs.shape[1:4], kernel.shape[:3], strides, strict=True)
    before, after = zip(*(same_padding(*axis) for axis in axes), strict=True)
    channels = -inputs.shape[-1] % channel_multiple
    padding = before
    # On a CPU always: oneDNN's gradient of a kernel as long as the clip is wrong with its padding.
    if channels or before != after or not inputs.is_cuda:
        (front, top, left), (back, bottom, right) = before, after
        inputs = pad(inputs, (0, channels, left, right, top, bottom, front, back))
        kernel = pad(kernel, (0, 0, 0, channels))
        padding = (0, 0, 0)
    outputs = torch.nn.functional.conv3d(
        inputs.permute(0, 4, 1, 2, 3),
        kernel.permute(4, 3, 0, 1, 2).contiguous(memory_format=torch.channels_last_3d),
        stride=tuple(strides),
        padding=padding,
    )
    return outputs.permute(0, 2, 3, 4, 1)


def channel_multiple(inputs: Any) -> int:
    """Returns the number of which a GPU's convolution wants a multiple of channels.

    Args:
        inputs: `torch.Tensor`.
    """
    is_bfloat16 = inputs.is_cuda and inputs.dtype == _torch().bfloat16
    return BFLOAT16_CHANNELS if is_bfloat16 else 1


def _torch():
    return sys.modules["torch"]  # Keras has imported it, and other backends do without
