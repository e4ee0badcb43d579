"""Strict reader of TensorFlow-1 checkpoints: two files (V2, an index and its data) or one (V1).

All names and shapes are compared with those of the network before a value is read.
"""

import glob
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from i3d_tf.specs.releases import DATA_FILE, INDEX_FILE
from i3d_tf.system.files import check_regular
from i3d_tf.weights.assign import WeightsError, check_values

INDEX_SUFFIX = INDEX_FILE.removeprefix("model.ckpt")
DATA_SUFFIX = DATA_FILE.removeprefix("model.ckpt")


class CheckpointFiles(NamedTuple):
    """The files of a checkpoint.

    Attributes:
        index_file: File with names and shapes.
        data_file: File with the values; the same file in V1.
    """

    index_file: Path
    data_file: Path


class Source(NamedTuple):
    """The source of a variable.

    Attributes:
        name: Name in the checkpoint.
        shape: Shape of our variable. A vector may be stored with axes of length 1 in front.
    """

    name: str
    shape: tuple[int, ...]


def prefix_of(path: os.PathLike | str) -> Path:
    """Returns the common prefix of a V2 checkpoint, given by the prefix or by the index file."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(INDEX_SUFFIX))


def v2_files(prefix: Path) -> CheckpointFiles:
    """Returns the index and the data file with a common prefix; they may not exist."""
    return CheckpointFiles(
        *(prefix.with_name(prefix.name + end) for end in (INDEX_SUFFIX, DATA_SUFFIX))
    )


def read_shapes(files: CheckpointFiles) -> dict[str, tuple[int, ...]]:
    """Reads the names and shapes of a checkpoint, and no values.

    Raises:
        WeightsError: The file with the names is empty or corrupt.
    """
    _, shapes = _open(files)
    return {name: tuple(shape) for name, shape in shapes.items()}


class CheckpointTensor(NamedTuple):
    """An array of a checkpoint, whose numbers are read when they are wanted.

    Attributes:
        shape: Its shape.
        dtype: Name of the type of its numbers.
        read: Function that returns the numbers as float32.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]


def checkpoint_tensors(files: CheckpointFiles) -> dict[str, CheckpointTensor]:
    """Returns the arrays of a checkpoint by their names.

    Raises:
        WeightsError: The file with the names is empty or corrupt, or values are missing.
    """
    reader, shapes = _open(files)
    _check_values_present(shapes, files)
    types = reader.get_variable_to_dtype_map()
    return {
        name: CheckpointTensor(
            tuple(shape), types[name].name, partial(_read, reader, name, files.data_file)
        )
        for name, shape in shapes.items()
    }


def read_checkpoint(
    files: CheckpointFiles,
    sources: Mapping[str, Source],
    title: str,
    ignored: Iterable[str] = (),
) -> dict[str, np.ndarray]:
    """Reads a checkpoint whose names must all be known, and all be there.

    Args:
        files: Files of the checkpoint.
        sources: Our `variable.path` to its source in the checkpoint.
        title: Name of the expected network, for messages.
        ignored: Endings of names that are training state, not weights.

    Returns:
        Our `variable.path` to float32 values in our shapes.

    Raises:
        WeightsError: Names are missing or unknown, shapes differ, or a file is empty, cut short or
            corrupt, or has values that `check_values` refuses. The checksum of each value is
            verified while it is read.
    """
    reader, shapes = _open(files)
    _check_names(shapes, sources, title, tuple(ignored), files.index_file)
    _check_shapes(shapes, sources, title, files.index_file)
    _check_values_present(shapes, files)
    arrays = {
        path: _read(reader, name, files.data_file).reshape(shape)
        for path, (name, shape) in sources.items()
    }
    check_values(files.data_file, arrays.items())
    return arrays


def _open(files):
    """Returns a reader of the checkpoint, and the shape of each name in it."""
    import tensorflow as tf

    for file in files:
        if check_regular(file).st_size == 0:
            raise WeightsError(f"{file}: the file is empty.")
    prefix = os.fspath(files.index_file).removesuffix(INDEX_SUFFIX)
    for file in glob.glob(f"{glob.escape(prefix)}.data-*"):  # an index may name several
        check_regular(file)
    try:
        reader = tf.train.load_checkpoint(prefix)
        return reader, reader.get_variable_to_shape_map()
    except Exception as error:  # a damaged index fails anywhere, in any way
        what = "checkpoint" if files.index_file == files.data_file else "checkpoint index"
        raise WeightsError(
            f"{files.index_file}: not a readable {what} ({_first_line(error)})."
        ) from error


def _check_names(shapes, sources, title, ignored, index):
    """Compares the names of the checkpoint with the wanted ones, in both directions."""
    wanted = {source.name for source in sources.values()}
    present = {name for name in shapes if not name.endswith(ignored)} if ignored else set(shapes)
    missing, unknown = sorted(wanted - present), sorted(present - wanted)
    if missing or unknown:
        example = f"missing {missing[0]}" if missing else f"unknown {unknown[0]}"
        raise WeightsError(
            f"{index}: these are not the names of {title}: {len(missing)} missing, "
            f"{len(unknown)} unknown (such as {example})."
        )


def _check_shapes(shapes, sources, title, index):
    for name, shape in sources.values():
        found = tuple(shapes[name])
        squeezed = found[-1:] if len(shape) == 1 else found
        if squeezed != shape or np.prod(found) != np.prod(shape):
            raise WeightsError(f"{index}: {name} has shape {found}; {title} has {shape}.")


def _check_values_present(shapes, files):
    """Checks that the data file is large enough for all values in the index."""
    needed = sum(int(np.prod(shape)) for shape in shapes.values()) * 4
    found = files.data_file.stat().st_size
    if found < needed:
        raise WeightsError(
            f"{files.data_file}: truncated: {found:,} bytes of the {needed:,} in "
            f"{files.index_file.name}. Download it again."
        )


def _read(reader, name, data):

    try:
        value = np.asarray(reader.get_tensor(name))
    except Exception as error:
        raise WeightsError(
            f"{data}: {name} cannot be read: corrupt ({_first_line(error)})."
        ) from error
    if value.dtype != np.float32:
        raise WeightsError(f"{data}: {name} is {value.dtype}, not float32.")
    return value


def _first_line(error):
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
