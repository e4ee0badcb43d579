"""Reader of the released Sonnet checkpoints (TensorFlow 1, V2 format)."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.specs.releases import DATA_FILE, INDEX_FILE, RELEASES, Release, released_name
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.system.files import git_blob_id
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.tf_checkpoint import (
    CheckpointFiles,
    Source,
    prefix_of,
    read_checkpoint,
    v2_files,
)


class SonnetWeights(NamedTuple):
    """The weights of a released checkpoint.

    Attributes:
        arrays: Our `variable.path` to float32 values; batch-norm variables, which one release keeps
            as [1, 1, 1, 1, C], have shape (C,).
        files: The files they were read from.
        is_published: Whether both files are the published ones, byte for byte.
    """

    arrays: dict[str, np.ndarray]
    files: CheckpointFiles
    is_published: bool


def checkpoint_files(source: os.PathLike | str) -> CheckpointFiles:
    """Finds the index and the data file of a checkpoint.

    Args:
        source: A folder that holds `model.ckpt.*`, or the files' common prefix.

    Returns:
        (index file, data file); both exist.

    Raises:
        WeightsError: One of them does not exist.
    """
    source = Path(source)
    files = v2_files(source / "model.ckpt" if source.is_dir() else prefix_of(source))
    for file in files:
        if not file.exists():
            raise WeightsError(
                f"{file}: no such file. `source` must be a folder with {INDEX_FILE} and "
                f"{DATA_FILE}, or their common prefix."
            )
    return files


def identify(index: Path, data: Path) -> tuple[str | None, str | None]:
    """Returns the releases with these (index, data) files, byte for byte; None where unknown."""
    blobs = {release.index.blob: release.name for release in RELEASES.values()}
    blobs |= {release.data.blob: release.name for release in RELEASES.values()}
    return blobs.get(git_blob_id(index)), blobs.get(git_blob_id(data))


def read_sonnet(source: os.PathLike | str, release: Release) -> SonnetWeights:
    """Reads every weight of a released checkpoint.

    Args:
        source: See `checkpoint_files`.
        release: The release that the files must be.

    Raises:
        WeightsError: The files are another release, incomplete, corrupt, or shaped differently.
    """
    files = checkpoint_files(source)
    releases = identify(*files)
    for file, found in zip(files, releases, strict=True):
        if found not in (None, release.name):
            raise WeightsError(
                f"{file}: this is {found}, not {release.name}. Use --release={found}."
            )
    ours = variable_shapes(I3D, CHANNELS[release.stream], release.classes)
    sources = {
        path: Source(release.prefix + released_name(path), shape) for path, shape in ours.items()
    }
    arrays = read_checkpoint(files, sources, release.name, release.ignored)
    return SonnetWeights(arrays, files, is_published=None not in releases)
