"""TensorFlow-1 checkpoints: two files (V2, an index and its data) or one (V1), read strictly.

Names and shapes are compared with what a network needs before a value is read.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from i3d_tf.specs.releases import DATA_FILE, INDEX_FILE
from i3d_tf.weights.assign import WeightsError

INDEX_SUFFIX = INDEX_FILE.removeprefix("model.ckpt")
DATA_SUFFIX = DATA_FILE.removeprefix("model.ckpt")


class CheckpointFiles(NamedTuple):
    """Where a checkpoint's names and shapes are, and where its values; one and the same in V1."""

    index: Path
    data: Path


class Source(NamedTuple):
    """Where a variable is found.

    Attributes:
        name: In the checkpoint.
        shape: Of our variable. A vector may be stored with axes of length 1 in front.
    """

    name: str
    shape: tuple[int, ...]


def prefix_of(path) -> Path:
    """The common prefix of a V2 checkpoint, which may be given by its index file."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(INDEX_SUFFIX))


def v2_files(prefix: Path) -> CheckpointFiles:
    """The index and the data file with a common prefix, whether they exist or not."""
    return CheckpointFiles(
        *(prefix.with_name(prefix.name + end) for end in (INDEX_SUFFIX, DATA_SUFFIX))
    )


def read_checkpoint(
    files: CheckpointFiles,
    sources: Mapping[str, Source],
    title: str,
    ignored: Iterable[str] = (),
) -> dict[str, np.ndarray]:
    """Reads a checkpoint of which every name is accounted for.

    Args:
        files: Which files.
        sources: Our `variable.path` to what it is in the checkpoint.
        title: What the checkpoint should be, for messages.
        ignored: Endings of names that are training state, not weights.

    Returns:
        Our `variable.path` to float32 values in our shapes.

    Raises:
        WeightsError: Names are missing or unknown, shapes differ, or a file is empty, cut short or
            corrupt. The checksum of each value is verified while it is read.
    """
    reader, shapes = _open(files)
    _check_names(shapes, sources, title, tuple(ignored), files.index)
    _check_shapes(shapes, sources, title, files.index)
    _check_values_present(shapes, files)
    return {
        path: _read(reader, name, files.data).reshape(shape)
        for path, (name, shape) in sources.items()
    }


def _open(files):
    """A reader of the checkpoint, and the shape of each name in it."""
    import tensorflow as tf

    for file in files:
        if file.stat().st_size == 0:
            raise WeightsError(f"{file}: the file is empty.")
    try:
        reader = tf.train.load_checkpoint(os.fspath(files.index).removesuffix(INDEX_SUFFIX))
        return reader, reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        what = "checkpoint" if files.index == files.data else "checkpoint index"
        raise WeightsError(
            f"{files.index}: not a readable {what} ({_first_line(error)})."
        ) from error


def _check_names(shapes, sources, title, ignored, index):
    """Accounts for both sides: what is needed, and what is there."""
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
    """The data file holds at least every value that the index promises."""
    promised = sum(int(np.prod(shape)) for shape in shapes.values()) * 4
    found = files.data.stat().st_size
    if found < promised:
        raise WeightsError(
            f"{files.data}: truncated: {found:,} bytes, and {files.index.name} promises "
            f"{promised:,}. Download it again."
        )


def _read(reader, name, data):
    import tensorflow as tf

    try:
        value = np.asarray(reader.get_tensor(name))
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{data}: {name} cannot be read: corrupt ({_first_line(error)})."
        ) from error
    if value.dtype != np.float32:
        raise WeightsError(f"{data}: {name} is {value.dtype}, not float32.")
    return value


def _first_line(error):
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
