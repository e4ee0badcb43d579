"""Reads the released Sonnet checkpoints (TensorFlow 1, V2 format) by our variables' names."""

import os
from pathlib import Path

import numpy as np

from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.specs.releases import DATA_FILE, INDEX_FILE, RELEASES, Release, released_name
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.weights.files import git_blob_id
from i3d_tf.weights.writer import WeightsError

INDEX_SUFFIX = INDEX_FILE.removeprefix("model.ckpt")
DATA_SUFFIX = DATA_FILE.removeprefix("model.ckpt")


def checkpoint_files(source) -> tuple[Path, Path]:
    """The index and the data file of a checkpoint.

    Args:
        source: A folder that holds `model.ckpt.*`, or the files' common prefix.

    Returns:
        (index file, data file); both exist.

    Raises:
        WeightsError: One of them is not there.
    """
    source = Path(source)
    prefix = source / "model.ckpt" if source.is_dir() else source
    if prefix.name.endswith(INDEX_SUFFIX):
        prefix = prefix.with_name(prefix.name.removesuffix(INDEX_SUFFIX))
    files = tuple(prefix.with_name(prefix.name + end) for end in (INDEX_SUFFIX, DATA_SUFFIX))
    for file in files:
        if not file.is_file():
            raise WeightsError(
                f"{file}: no such file. `source` must be a folder with {INDEX_FILE} and "
                f"{DATA_FILE}, or their common prefix."
            )
    return files


def identify(index: Path, data: Path) -> tuple[str | None, str | None]:
    """The releases whose (index, data) files these are, byte for byte; None where unknown."""
    blobs = {release.index.blob: release.name for release in RELEASES.values()}
    blobs |= {release.data.blob: release.name for release in RELEASES.values()}
    return blobs.get(git_blob_id(index)), blobs.get(git_blob_id(data))


def read_sonnet(source, release: Release) -> dict[str, np.ndarray]:
    """Reads every weight of a released checkpoint.

    Names and shapes are compared with the release's before a value is read; each value's checksum
    is verified while it is read.

    Args:
        source: See `checkpoint_files`.
        release: Which release the files are.

    Returns:
        Our `variable.path` to float32 values; batch-norm variables have shape (C,).

    Raises:
        WeightsError: The files are another release, incomplete, corrupt, or shaped differently.
    """
    index, data = checkpoint_files(source)
    for file, found in zip((index, data), identify(index, data), strict=True):
        if found not in (None, release.name):
            raise WeightsError(
                f"{file}: this is {found}, not {release.name}. Use --release={found}."
            )
    reader, shapes = _open(index, data)
    names = _match_names(shapes, release, index)
    _check_values_present(shapes, data, index)
    return {path: _read(reader, name, data).reshape(shape) for path, (name, shape) in names.items()}


def _open(index, data):
    """A reader of the checkpoint, and the shape of each name in it."""
    import tensorflow as tf

    if index.stat().st_size == 0 or data.stat().st_size == 0:
        empty = index if index.stat().st_size == 0 else data
        raise WeightsError(f"{empty}: the file is empty.")
    try:
        reader = tf.train.load_checkpoint(os.fspath(index).removesuffix(INDEX_SUFFIX))
        return reader, reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{index}: not a readable checkpoint index ({_first_line(error)})."
        ) from error


def _match_names(shapes, release, index):
    """Accounts for both sides: our path to (released name, our shape)."""
    ours = variable_shapes(I3D, CHANNELS[release.stream], release.classes)
    names = {path: release.prefix + released_name(path) for path in ours}
    present = {name for name in shapes if not name.endswith(release.ignored or ("\0",))}
    missing, unknown = sorted(set(names.values()) - present), sorted(present - set(names.values()))
    if missing or unknown:
        example = f"missing {missing[0]}" if missing else f"unknown {unknown[0]}"
        raise WeightsError(
            f"{index}: these are not the names of {release.name}: {len(missing)} missing, "
            f"{len(unknown)} unknown (such as {example})."
        )
    for path, name in names.items():
        # Some releases keep batch-norm variables as [1, 1, 1, 1, C].
        squeezed = tuple(shapes[name][-1:]) if "/batch_norm/" in name else tuple(shapes[name])
        if squeezed != ours[path] or np.prod(shapes[name]) != np.prod(ours[path]):
            raise WeightsError(
                f"{index}: {name} has shape {tuple(shapes[name])}; {release.name} has {ours[path]}."
            )
    return {path: (name, ours[path]) for path, name in names.items()}


def _check_values_present(shapes, data, index):
    """The data file holds at least every value that the index promises."""
    promised = sum(int(np.prod(shape)) for shape in shapes.values()) * 4
    found = data.stat().st_size
    if found < promised:
        raise WeightsError(
            f"{data}: truncated: {found:,} bytes, and {index.name} promises {promised:,}. "
            "Download it again."
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
