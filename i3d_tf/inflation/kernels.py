"""Kernels of a 2D network as kernels of a 3D network: repeated over time, adapted to channels."""

from collections.abc import Mapping

import numpy as np

from i3d_tf.specs.geometry import convolutions
from i3d_tf.specs.inception_v1 import FIRST_KERNEL, I3D

INITS = ("repeat", "centre")


def inflate_kernel(kernel, extent, init="repeat"):
    """Gives a 2D convolution's kernel a time axis.

    "repeat" is the paper's: copied along time and divided by the number of copies, so that on a
    video of one repeated picture the response is the 2D network's (arXiv:1705.07750, section 2.4).
    "centre" puts the kernel in the middle of zeros, so that every frame is at first seen by itself;
    where the extent is even the middle is the slice that SAME padding lays on the current frame,
    `(extent - 1) // 2`.

    Args:
        kernel: (h, w, in, out), or (h, w, in, multiplier) of a depthwise convolution; real numbers.
        extent: t, the number of time steps the 3D kernel spans; at least 1.
        init: One of `INITS`.

    Returns:
        (t, h, w, in, out), of the kernel's type where that is a floating type, else float32.

    Raises:
        ValueError: An argument cannot work.
    """
    kernel = _floating("kernel", kernel, (4,))
    _check_count("extent", extent)
    if init not in INITS:
        raise ValueError(f"`init` must be one of {INITS}; received {init!r}.")
    if init == "repeat":
        return np.repeat((kernel / kernel.dtype.type(extent))[None], extent, axis=0)
    inflated = np.zeros((extent, *kernel.shape), kernel.dtype)
    inflated[(extent - 1) // 2] = kernel
    return inflated


def adapt_channels(kernel, channels):
    """Makes a first layer's kernel read another number of input channels.

    The cross-modality initialisation of Wang et al. 2016 ("Temporal Segment Networks",
    arXiv:1608.00859, section 3.2): the mean over the input channels, repeated for each new channel.
    Added to it is a factor of in / channels, so that an input whose channels are all equal is
    answered as before: a network pre-trained on RGB meets flow at the scale that it knows.

    Args:
        kernel: (..., in, out), such as (h, w, in, out) or (t, h, w, in, out); real numbers.
        channels: The new number of input channels, at least 1. Where it is the old one, the kernel
            stays as it is.

    Returns:
        (..., channels, out), of the kernel's type where that is a floating type, else float32.

    Raises:
        ValueError: An argument cannot work.
    """
    kernel = _floating("kernel", kernel, (4, 5))
    _check_count("channels", channels)
    before = kernel.shape[-2]
    if channels == before:
        return kernel.copy()
    mean = kernel.sum(axis=-2, keepdims=True) / kernel.dtype.type(channels)
    return np.repeat(mean, channels, axis=-2)


def inflate_arrays(arrays, shapes, init="repeat"):
    """Gives a 2D network's arrays the shapes of its inflated network.

    Args:
        arrays: Names to arrays of the 2D network.
        shapes: The same names, and maybe others, to shapes. A kernel's has time before it and may
            have another number of input channels; other arrays may have an axis of length 1 before.
        init: As of `inflate_kernel`.

    Returns:
        Dictionary of the same names. An array that none of this fits stays as it is: whoever writes
        it into a model says so.
    """
    return {name: _inflate_array(array, shapes[name], init) for name, array in arrays.items()}


def _inflate_array(array, shape, init):
    if len(shape) == array.ndim + 1:
        array = inflate_kernel(array, shape[0], init) if array.ndim == 4 else array[None]
    others = [axis for axis in range(array.ndim) if axis != array.ndim - 2]
    reads_others = array.ndim == len(shape) == 5 and array.shape[-2] != shape[-2]
    if reads_others and all(array.shape[axis] == shape[axis] for axis in others):
        return adapt_channels(array, shape[-2])
    return array


def _floating(name, array, ranks):
    """The array, as floating-point numbers; raises ValueError at another rank or kind."""
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


def _check_count(name, value):
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"`{name}` must be a whole number of at least 1; received {value!r}.")


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
            is said in `i3d_tf.inflation.kernels.adapt_channels`.
        init: One of `i3d_tf.inflation.kernels.INITS`.

    Returns:
        `variable.path` of the `inception_i3d` model of the same width to its value.
    """
    extents = {path: conv.kernel[0] for path, conv, _ in convolutions(I3D, channels=3)}
    inflated = {_name_with_time(path): value for path, value in arrays.items()}
    if channels is not None and FIRST_KERNEL in inflated:
        inflated[FIRST_KERNEL] = adapt_channels(inflated[FIRST_KERNEL], channels)
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
