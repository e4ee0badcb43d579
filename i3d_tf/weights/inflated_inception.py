"""Weights of the 2D Inception-v1 as weights of I3D (arXiv:1705.07750, section 2.4)."""

from collections.abc import Mapping

import numpy as np

from i3d_tf.specs.geometry import convolutions
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.weights.inflation import adapt_channels, inflate_kernel

KERNEL = "conv_3d/kernel"
_NAMES_WITH_TIME = (("Conv2d_", "Conv3d_"), ("conv_2d/", "conv_3d/"))


def inflate_inception(
    arrays: Mapping[str, np.ndarray], channels: int | None = None, init="repeat"
) -> dict[str, np.ndarray]:
    """Gives every kernel the extent in time that I3D's table has there.

    Batch norm and biases stay as they are, and so does the head's kernel, whose extent is 1. On a
    video of one repeated picture every endpoint then answers as the 2D network, save at the borders
    of time, where a convolution also sees the zeros of its padding.

    Args:
        arrays: `variable.path` of an `inception_v1` model of any width to its value.
        channels: What the first layer shall read, 3 for RGB, 2 for flow; as before where None. How
            is said in `i3d_tf.weights.inflation.adapt_channels`.
        init: One of `i3d_tf.weights.inflation.INITS`.

    Returns:
        `variable.path` of the `inception_i3d` model of the same width to its value.
    """
    extents = {path: conv.kernel[0] for path, conv, _ in convolutions(I3D, channels=3)}
    inflated = {_name_with_time(path): value for path, value in arrays.items()}
    first = f"{I3D[0].name}/{KERNEL}"
    if channels is not None and first in inflated:
        inflated[first] = adapt_channels(inflated[first], channels)
    return {
        name: inflate_kernel(value, extents.get(name.removesuffix(f"/{KERNEL}"), 1), init)
        if name.endswith(f"/{KERNEL}")
        else value
        for name, value in inflated.items()
    }


def _name_with_time(path):
    for without, with_time in _NAMES_WITH_TIME:
        path = path.replace(without, with_time)
    return path
