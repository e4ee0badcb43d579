"""Weights of Inception-v1 for the networks of I3D's rows: each starts as the 2D network."""

from collections.abc import Mapping

import numpy as np

from i3d_tf.inflation.kernels import adapt_channels, inflate_kernel
from i3d_tf.specs.inception_v1 import name_without_time
from i3d_tf.specs.inception_variants import GATE, STEM, TEMPORAL, split_path


def inflate_variant(
    arrays: Mapping[str, np.ndarray], targets: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Gives a network of I3D's rows the weights of Inception-v1.

    Kernels over space are the 2D network's; kernels over both are inflated as in
    arXiv:1705.07750, section 2.4; those over time alone, which have no 2D weights, are the identity
    at their center, as TF-Slim starts them. Scales of batch norm are 1. Gates stay untrained.

    Args:
        arrays: `variable.path` of an `inception_v1` model of the same width to its value.
        targets: `variable.path` of the network to its shape.

    Returns:
        `variable.path` to value; of the classifier too, where the 2D network has one.
    """
    found = {}
    for path, shape in targets.items():
        at = split_path(path)
        if at.half == GATE:
            continue
        if at.half == TEMPORAL:
            found[path] = _identity(at.variable, shape)
        elif at.variable == "gamma":
            found[path] = np.ones(shape, np.float32)
        else:
            value = arrays.get(_path_2d(at, path))
            if value is not None:
                found[path] = _fitted(at, value, shape)
    return found


def _path_2d(at, path):
    """Returns the path of a variable in the 2D network."""
    _, *inside = path.split("/")
    layer = at.row if at.branch is None else f"{at.row}/Branch_{at.branch}/{at.unit}"
    return name_without_time("/".join([layer, *inside])).replace("conv_3d", "conv_2d")


def _fitted(at, value, shape):
    if at.variable != "kernel" or value.ndim != 4:
        return value
    kernel = inflate_kernel(value, shape[0])
    return adapt_channels(kernel, shape[-2]) if at.row == STEM else kernel


def _identity(variable, shape):
    """Returns what a layer over time needs to hand on the frame in the middle of its kernel."""
    if variable == "kernel":
        kernel = np.zeros(shape, np.float32)
        kernel[shape[0] // 2, 0, 0] = np.eye(shape[-1], dtype=np.float32)
        return kernel
    is_one = variable in ("gamma", "moving_variance")
    return np.full(shape, 1.0 if is_one else 0.0, np.float32)
