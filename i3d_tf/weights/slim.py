"""Reader of TF-Slim's Inception-v1 checkpoint (TensorFlow 1, V1 or V2 format)."""

import os
from pathlib import Path

import numpy as np

from i3d_tf.specs import slim
from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.tf_checkpoint import (
    CheckpointFiles,
    Source,
    prefix_of,
    read_checkpoint,
    v2_files,
)


def slim_files(source: os.PathLike | str) -> CheckpointFiles:
    """Finds the file of a V1 checkpoint, twice, or the index and data file of a V2 checkpoint.

    Args:
        source: A folder that holds `inception_v1.ckpt` or `model.ckpt.*`, a V1 file, or the common
            prefix of two V2 files.

    Raises:
        WeightsError: There is no such checkpoint.
    """
    source = Path(source)
    stems = [source / stem for stem in slim.FILE_STEMS] if source.is_dir() else [prefix_of(source)]
    for stem in stems:
        if stem.exists() and not stem.is_dir():
            return CheckpointFiles(stem, stem)
        files = v2_files(stem)
        if all(file.exists() for file in files):
            return files
    raise WeightsError(
        f"{source}: no checkpoint. `source` must be a folder with {' or '.join(slim.FILE_STEMS)} "
        "(one file, or .index and .data-00000-of-00001), such a file, or the prefix of such files. "
        f"Unpack {slim.ARCHIVE_URL} to get one."
    )


def read_slim(source: os.PathLike | str) -> dict[str, np.ndarray]:
    """Reads every weight of TF-Slim's Inception-v1, of 1001 classes.

    Training state (`i3d_tf.specs.slim.IGNORED`) is skipped: the weights are those of the last step,
    not their moving averages.

    Args:
        source: See `slim_files`.

    Returns:
        Our `variable.path` (of `i3d_tf.models.inception`) to float32 values.

    Raises:
        WeightsError: The files are something else, incomplete or corrupt.
    """
    ours = variable_shapes(slim.ROWS, CHANNELS["rgb"], slim.CLASSES)
    sources = {path: Source(slim.slim_name(path), shape) for path, shape in ours.items()}
    return read_checkpoint(slim_files(source), sources, slim.NAME, slim.IGNORED)
