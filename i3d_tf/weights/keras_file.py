"""What a `.weights.h5` file of I3D holds, looked up without building a network."""

import os
from math import prod
from typing import NamedTuple

from i3d_tf.weights.writer import WeightsError

FIRST_KERNEL = "layers/unit3d/conv_3d/vars/0"  # (7, 7, 7, channels, filters)
LAST_KERNEL = "layers/logits/conv/conv_3d/vars/0"  # (1, 1, 1, filters, classes)


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


def describe_weights(path) -> KerasFile:
    """Looks at the shapes in a weights file; reads no values.

    Raises:
        WeightsError: The file is not HDF5, or not the weights of an I3D.
    """
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
    first, last = shapes.get(FIRST_KERNEL, ()), shapes.get(LAST_KERNEL)
    if len(first) != 5 or (last is not None and len(last) != 5):
        raise WeightsError(f"{path}: these are not the weights of an I3D.")
    # A few bytes of HDF5 can declare any shape; the network is built, and memory taken, by these.
    if sum(prod(shape) for shape in (first, last or (0,))) > os.path.getsize(path):
        raise WeightsError(f"{path}: damaged: it declares more values than it holds.")
    return KerasFile(first[3], first[4], None if last is None else last[4], len(shapes))
