"""What a `.weights.h5` file of an Inception holds, looked up without building a network."""

import os
from math import prod
from typing import NamedTuple

from i3d_tf.weights.assign import WeightsError

FIRST_KERNEL = "layers/unit3d/conv_3d/vars/0"  # (7, 7, 7, channels, filters)
LAST_KERNEL = "layers/logits/conv/conv_3d/vars/0"  # (1, 1, 1, filters, classes)

RANKS = {"inception_i3d": 3, "inception_v1": 2}  # axes of a network's kernels, without channels
_NAMES = {2: "a 2D Inception-v1", 3: "an I3D"}


class KerasFile(NamedTuple):
    """What the network of a weights file looks like.

    Attributes:
        channels: What its first convolution reads.
        filters: What its first convolution gives.
        classes: Number of logits; None without a head.
        variables: Arrays of its layers, without an optimizer's.
    """

    channels: int
    filters: int
    classes: int | None
    variables: int


def describe_weights(path, architecture="inception_i3d") -> KerasFile:
    """Looks at the shapes in a weights file; reads no values.

    Args:
        path: The file.
        architecture: Whose weights they should be, one of `RANKS`.

    Raises:
        WeightsError: The file is not HDF5, or not the weights of that network.
    """
    shapes = _shapes_of_layers(path)
    rank = RANKS[architecture]
    first, last = map(shapes.get, _places(rank))
    found = [shape for shape in (first, last) if shape is not None]
    if first is None or any(len(shape) != rank + 2 for shape in found):
        is_flat = rank == 3 and _places(2)[0] in shapes
        hint = " They are a 2D network's: `tools/convert.py --inflate` makes 3D ones." * is_flat
        raise WeightsError(f"{path}: these are not the weights of {_NAMES[rank]}.{hint}")
    # A few bytes of HDF5 can declare any shape; the network is built, and memory taken, by these.
    if sum(map(prod, found)) > os.path.getsize(path):
        raise WeightsError(f"{path}: damaged: it declares more values than it holds.")
    return KerasFile(first[-2], first[-1], None if last is None else last[-1], len(shapes))


def read_first_kernel(path):
    """The first convolution's kernel in a weights file of I3D or of Inception-v1.

    Returns:
        float32 (t, h, w, channels, filters), without t in a 2D network.

    Raises:
        WeightsError: The file is not HDF5, or of neither network.
    """
    import h5py

    shapes = _shapes_of_layers(path)
    present = [name for name, rank in RANKS.items() if _places(rank)[0] in shapes]
    architecture = present[0] if present else "inception_i3d"
    describe_weights(path, architecture)
    with h5py.File(path, "r") as file:
        return file[_places(RANKS[architecture])[0]][()]


def _shapes_of_layers(path):
    """The shape of every array under `layers/`, by its place in the file."""
    import h5py

    shapes = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            shapes[f"layers/{name}"] = item.shape

    try:
        with h5py.File(path, "r") as file:
            if isinstance(layers := file.get("layers"), h5py.Group):
                layers.visititems(note)
    except (OSError, RuntimeError, KeyError) as error:  # h5py raises them all for damaged files
        reason = str(error).strip("'\"")
        raise WeightsError(f"{path}: not a readable HDF5 file ({reason}).") from error
    return shapes


def _places(rank):
    """Where the first and the last kernel are in a file."""
    return tuple(place.replace("3d", f"{rank}d") for place in (FIRST_KERNEL, LAST_KERNEL))
