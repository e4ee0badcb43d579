"""The convolution of the units in PyTorch against Keras's; runs on a CPU, or on a GPU.

KERAS_BACKEND=torch python tests/backends/torch_convolution.py
"""

import sys

import keras
import numpy as np
import torch

from i3d_tf.layers.convolution import Conv3D
from i3d_tf.layers.torch_convolution import convolve_same

FLOAT64_TOLERANCE = 1e-12  # of the norm: sums in another order
BFLOAT16_TOLERANCE = 0.01  # of the norm: 8 bits; oneDNN's fault is off by half of it at least
# Steps of the clip, kernel, strides, channels: odd and even lengths, clips as short as the kernel.
CASES = (
    (2, (3, 3, 3), (1, 1, 1), 16),
    (3, (3, 3, 3), (1, 1, 1), 5),
    (4, (1, 1, 1), (1, 1, 1), 8),
    (5, (7, 7, 7), (2, 2, 2), 3),
    (9, (7, 7, 7), (2, 2, 2), 2),
)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def outputs_and_gradients(convolve, inputs, kernel, dtype):
    """Returns the outputs and the gradients of the sum of their squares, in float64."""
    inputs, kernel = (a.to(DEVICE, dtype).requires_grad_() for a in (inputs, kernel))
    outputs = convolve(inputs, kernel)
    found = outputs, *torch.autograd.grad((outputs.double() ** 2).sum(), (inputs, kernel))
    return [tensor.detach().double() for tensor in found]


def largest_distance(found, expected):
    """Returns the largest difference, of the norm; NaN if a value is."""
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, expected, strict=True))


def check(time, kernel_size, strides, channels):
    """Returns the problems of one case, as lines."""
    layer = Conv3D(8, kernel_size, strides, padding="same")
    generator = np.random.default_rng(0)
    inputs = torch.tensor(generator.normal(size=(2, time, 9, 6, channels))).bfloat16()
    kernel = torch.tensor(generator.normal(0, 0.1, (*kernel_size, channels, 8))).bfloat16()

    def keras_convolution(inputs, kernel):
        return keras.layers.Conv3D.convolution_op(layer, inputs, kernel)

    expected = outputs_and_gradients(keras_convolution, inputs, kernel, torch.float64)
    checks = [
        (f"{multiple} channels", convolution(strides, multiple), torch.float64, FLOAT64_TOLERANCE)
        for multiple in (1, 4, 8)
    ]
    checks.append(("layer", layer.convolution_op, torch.bfloat16, BFLOAT16_TOLERANCE))
    for name, convolve, dtype, tolerance in checks:
        found = outputs_and_gradients(convolve, inputs, kernel, dtype)
        distance = largest_distance(found, expected)
        if not distance <= tolerance:
            yield f"{time} steps, kernel {kernel_size}, {name}: {distance:.1e} of the norm"


def convolution(strides, multiple):
    return lambda inputs, kernel: convolve_same(inputs, kernel, strides, multiple)


if __name__ == "__main__":
    problems = [line for case in CASES for line in check(*case)]
    if problems:
        sys.exit("\n".join(problems))
    print(f"torch: {len(CASES)} convolutions and their gradients are right on {DEVICE}")
