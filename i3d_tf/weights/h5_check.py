"""Checks of HDF5 files before they are read: a few bytes of one can declare gigabytes."""

import os
from math import prod
from typing import IO, TYPE_CHECKING

from i3d_tf.system.expansion import check_expansion
from i3d_tf.weights.assign import WeightsError

if TYPE_CHECKING:
    import h5py

MAX_CHUNK_BYTES = 1 << 22  # that are unpacked at once, where a dataset is smaller


def check_h5(file: os.PathLike | str | IO[bytes], size: int) -> None:
    """Checks that all datasets of a file are in it, and what they unpack to.

    Args:
        file: Path of a regular file, or a file that is open for reading.
        size: Its bytes.

    Raises:
        WeightsError: A dataset or a link refers to another file, or the datasets unpack to more
            than `check_expansion` allows.
        OSError: It is not HDF5, or damaged; h5py raises RuntimeError and KeyError, too.
    """
    import h5py

    datasets = []

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            datasets.append(item)

    def external(name, link):
        return name if isinstance(link, h5py.ExternalLink) else None

    with h5py.File(file, "r") as store:
        if name := store.visititems_links(external):
            raise WeightsError(f"{name} refers to another file.")
        store.visititems(add)
        for dataset in datasets:
            check_dataset(dataset)
        try:
            check_expansion(sum(map(_bytes, datasets)), size)
        except ValueError as error:
            raise WeightsError(f"{error}.") from error


def check_dataset(dataset: "h5py.Dataset") -> None:
    """Checks that a dataset is in its file, in pieces that are not larger than it, and is real.

    Raises:
        WeightsError: It is not.
    """
    if dataset.is_virtual or dataset.external:
        raise WeightsError(f"{dataset.name} refers to another file.")
    if dataset.dtype.kind == "c":  # Keras would take the real parts alone
        raise WeightsError(f"{dataset.name} has values that are not real numbers.")
    if dataset.chunks:
        chunk_bytes = prod(dataset.chunks) * dataset.dtype.itemsize
        if chunk_bytes > max(MAX_CHUNK_BYTES, _bytes(dataset)):
            raise WeightsError(f"{dataset.name} is stored in pieces larger than itself.")


def _bytes(dataset):
    return prod(dataset.shape or ()) * dataset.dtype.itemsize
