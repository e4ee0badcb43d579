"""Shapes and first kernel of an Inception's `.weights.h5` file, read without a network."""

import os
from math import prod
from typing import NamedTuple

import numpy as np

from i3d_tf.system.files import check_regular
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.h5_check import check_h5

# HDF5 datasets of the first and the last kernel: layers are named after their classes.
FIRST_DATASET = "layers/unit3d/conv_3d/vars/0"  # (7, 7, 7, channels, filters)
LAST_DATASET = "layers/logits/conv/conv_3d/vars/0"  # (1, 1, 1, filters, classes)

RANKS = {"inception_i3d": 3, "inception_v1": 2}  # axes of a network's kernels, without channels
_NAMES = {2: "a 2D Inception-v1", 3: "an I3D"}


class WeightsFile(NamedTuple):
    """The size of the network that a weights file belongs to.

    Attributes:
        channels: Input channels of the first convolution.
        filters: Output channels of the first convolution.
        classes: Number of logits; None without a head.
        shapes: Shapes of the arrays of its layers, sorted, without an optimizer's.
    """

    channels: int
    filters: int
    classes: int | None
    shapes: tuple[tuple[int, ...], ...]


def describe_weights(path: os.PathLike | str, architecture: str = "inception_i3d") -> WeightsFile:
    """Reads the shapes in a weights file, and no values.

    Args:
        path: The file.
        architecture: The network that the weights must belong to, one of `RANKS`.

    Raises:
        WeightsError: The file is not HDF5, or not the weights of that network.
    """
    shapes = _shapes_of_layers(path)
    rank = RANKS[architecture]
    first, last = map(shapes.get, _datasets(rank))
    found = [shape for shape in (first, last) if shape is not None]
    if first is None or any(len(shape) != rank + 2 for shape in found):
        is_2d = rank == 3 and _datasets(2)[0] in shapes
        hint = " They are a 2D network's: `i3d convert --inflate` makes 3D ones." * is_2d
        raise WeightsError(f"{path}: these are not the weights of {_NAMES[rank]}.{hint}")
    # A few bytes of HDF5 can declare any shape; the network is built, and memory taken, by these.
    if sum(map(prod, found)) > os.path.getsize(path):
        raise WeightsError(f"{path}: damaged: it declares more values than it holds.")
    classes = None if last is None else last[-1]
    return WeightsFile(first[-2], first[-1], classes, tuple(sorted(shapes.values())))


def shapes_of_weights(path: os.PathLike | str) -> tuple[tuple[int, ...], ...]:
    """Reads the shapes of a weights file's arrays, sorted, without an optimizer's.

    Raises:
        WeightsError: The file is not HDF5, or damaged.
    """
    shapes = _shapes_of_layers(path)
    if sum(map(prod, shapes.values())) > os.path.getsize(path):
        raise WeightsError(f"{path}: damaged: it declares more values than it holds.")
    return tuple(sorted(shapes.values()))


def read_first_kernel(path: os.PathLike | str) -> np.ndarray:
    """Reads the first convolution's kernel in a weights file of I3D or of Inception-v1.

    Returns:
        float32 (t, h, w, channels, filters), without t in a 2D network.

    Raises:
        WeightsError: The file is not HDF5, or of neither network.
    """
    import h5py

    shapes = _shapes_of_layers(path)
    present = [name for name, rank in RANKS.items() if _datasets(rank)[0] in shapes]
    architecture = present[0] if present else "inception_i3d"
    describe_weights(path, architecture)
    with h5py.File(path, "r") as file:
        return file[_datasets(RANKS[architecture])[0]][()]


def _shapes_of_layers(path):
    """Returns the shape of every dataset under `layers/`, by its name."""
    import h5py

    size = check_regular(path).st_size
    shapes = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            shapes[f"layers/{name}"] = item.shape

    try:
        check_h5(path, size)
        with h5py.File(path, "r") as file:
            if isinstance(layers := file.get("layers"), h5py.Group):
                layers.visititems(add)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except Exception as error:  # h5py raises anything for damaged files, SystemError included
        reason = str(error).strip("'\"")
        raise WeightsError(f"{path}: not a readable HDF5 file ({reason}).") from error
    return shapes


def _datasets(rank):
    """Returns the names of the datasets of the first and the last kernel."""
    return tuple(name.replace("3d", f"{rank}d") for name in (FIRST_DATASET, LAST_DATASET))
