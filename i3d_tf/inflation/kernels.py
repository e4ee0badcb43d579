"""Kernels of a 2D network for a 3D network: repeated over time, adapted to other channels."""

from collections.abc import Mapping

import numpy as np

from i3d_tf.specs.geometry import convolutions
from i3d_tf.specs.inception_v1 import FIRST_KERNEL, I3D
from i3d_tf.specs.validation import check_choice, check_integer

INITS = ("repeat", "centre")

_KERNEL = "/conv_3d/kernel"
_NAMES_WITH_TIME = (("Conv2d_", "Conv3d_"), ("conv_2d/", "conv_3d/"))


def inflate_kernel(kernel: np.ndarray, time_steps: int, init: str = "repeat") -> np.ndarray:
    """Gives a 2D convolution's kernel a time axis.

    "repeat" is the paper's: copied along time and divided by the number of copies, so that on a
    video of one repeated image the response is the 2D network's (arXiv:1705.07750, section 2.4).
    "centre" puts the kernel in the middle of zeros, so that at first every frame is processed
    alone; of an even number of time steps the middle is the one that SAME padding puts on the
    current frame, `(time_steps - 1) // 2`.

    Args:
        kernel: (h, w, in, out), or (h, w, in, multiplier) of a depthwise convolution; real numbers.
        time_steps: t, the size of the 3D kernel in time; at least 1.
        init: One of `INITS`.

    Returns:
        (t, h, w, in, out), of the kernel's dtype if that is floating, else float32.

    Raises:
        ValueError: An argument is not allowed.
    """
    kernel = _as_floating("kernel", kernel, (4,))
    check_integer("time_steps", time_steps, 1)
    check_choice("init", init, INITS)
    if init == "repeat":
        return np.repeat((kernel / kernel.dtype.type(time_steps))[None], time_steps, axis=0)
    inflated = np.zeros((time_steps, *kernel.shape), kernel.dtype)
    inflated[(time_steps - 1) // 2] = kernel
    return inflated


def adapt_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Changes the number of input channels of a first layer's kernel.

    The cross-modality initialization of Wang et al. 2016 ("Temporal Segment Networks",
    arXiv:1608.00859, section 3.2): the mean over the input channels, repeated for each new channel;
    and a factor of in / channels, so that the response to an input of equal channels stays: a
    network pre-trained on RGB gets flow at the scale that it knows.

    Args:
        kernel: (..., in, out), such as (h, w, in, out) or (t, h, w, in, out); real numbers.
        channels: The new number of input channels, at least 1. The old one gives a plain copy.

    Returns:
        (..., channels, out), of the kernel's dtype if that is floating, else float32.

    Raises:
        ValueError: An argument is not allowed.
    """
    kernel = _as_floating("kernel", kernel, (4, 5))
    check_integer("channels", channels, 1)
    before = kernel.shape[-2]
    if channels == before:
        return kernel.copy()
    mean = kernel.sum(axis=-2, keepdims=True) / kernel.dtype.type(channels)
    return np.repeat(mean, channels, axis=-2)


def inflate_arrays(
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[int, ...]],
    init: str = "repeat",
) -> dict[str, np.ndarray]:
    """Gives a 2D network's arrays the shapes of its inflated network.

    Args:
        arrays: Names to arrays of the 2D network.
        shapes: The same names, and maybe others, to shapes. A kernel's has time before it and may
            have another number of input channels; others may have an axis of length 1 before.
        init: See `inflate_kernel`.

    Returns:
        Arrays of the same names. Those that still do not fit are not changed:
        `i3d_tf.weights.assign` refuses them.
    """
    return {name: _inflate_array(array, shapes[name], init) for name, array in arrays.items()}


def inflate_inception(
    arrays: Mapping[str, np.ndarray], channels: int | None = None, init: str = "repeat"
) -> dict[str, np.ndarray]:
    """Gives the kernels of Inception-v1 the sizes in time of I3D's table.

    Batch norm and biases are not changed, nor is the head's kernel, of size 1. On a video of one
    repeated image every endpoint then equals the 2D network's, except at the borders of time, where
    convolutions include the zeros of their padding.

    Args:
        arrays: `variable.path` of an `inception_v1` model of any width to its value.
        channels: Input channels of the first layer, 3 for RGB, 2 for flow; None keeps them. See
            `adapt_channels`.
        init: One of `INITS`.

    Returns:
        `variable.path` of the `inception_i3d` model of the same width to its value.
    """
    time_steps = {path: conv.kernel[0] for path, conv, _ in convolutions(I3D, channels=3)}
    inflated = {_name_with_time(path): value for path, value in arrays.items()}
    if channels is not None and FIRST_KERNEL in inflated:
        inflated[FIRST_KERNEL] = adapt_channels(inflated[FIRST_KERNEL], channels)
    return {
        name: inflate_kernel(value, time_steps.get(name.removesuffix(_KERNEL), 1), init)
        if name.endswith(_KERNEL)
        else value
        for name, value in inflated.items()
    }


def _inflate_array(array, shape, init):
    if len(shape) == array.ndim + 1:
        array = inflate_kernel(array, shape[0], init) if array.ndim == 4 else array[None]
    others = [axis for axis in range(array.ndim) if axis != array.ndim - 2]
    has_other_channels = array.ndim == len(shape) == 5 and array.shape[-2] != shape[-2]
    if has_other_channels and all(array.shape[axis] == shape[axis] for axis in others):
        return adapt_channels(array, shape[-2])
    return array


def _name_with_time(path):
    for without, with_time in _NAMES_WITH_TIME:
        path = path.replace(without, with_time)
    return path


def _as_floating(name, array, ranks):
    """Returns an array of floating-point numbers; raises ValueError at another rank or kind."""
    array = np.asarray(array)
    if array.ndim not in ranks:
        raise ValueError(
            f"`{name}` must have {' or '.join(map(str, ranks))} axes, (..., in, out); received "
            f"shape {array.shape}."
        )
    if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
        return array
    if array.dtype.kind not in "iub":
        raise ValueError(f"`{name}` must hold real numbers; received {array.dtype.name}.")
    return array.astype("float32")
