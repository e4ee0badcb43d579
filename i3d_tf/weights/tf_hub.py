"""Reader of I3D in TensorFlow-1 checkpoints: folders of TF-Hub, and what training wrote."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import FIRST_KERNEL, I3D
from i3d_tf.specs.releases import released_name
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.tf_checkpoint import (
    CheckpointFiles,
    Source,
    prefix_of,
    read_checkpoint,
    read_shapes,
    v2_files,
)

# Where a folder has its checkpoint: that of a SavedModel, and that of a training run.
STEMS = ("variables/variables", "model.ckpt")
# Endings of names that are training state, not weights.
IGNORED = ("/Momentum", "/Adam", "/Adam_1", "/RMSProp", "/RMSProp_1", "global_step")

_HEAD_BIAS = "Logits/Conv3d_0c_1x1/conv_3d/bias"


class HubWeights(NamedTuple):
    """Weights of a checkpoint.

    Attributes:
        arrays: Our `variable.path` to float32 values.
        files: The files they were read from.
    """

    arrays: dict[str, np.ndarray]
    files: CheckpointFiles


def hub_files(source: os.PathLike | str) -> CheckpointFiles | None:
    """Finds a checkpoint, given by its folder, its index file or its prefix; None without one."""
    source = Path(source)
    stems = [source / stem for stem in STEMS] if source.is_dir() else [prefix_of(source)]
    return next((v2_files(stem) for stem in stems if v2_files(stem).index_file.exists()), None)


def read_hub(files: CheckpointFiles) -> HubWeights:
    """Reads the weights of a checkpoint with the released names, of any number of classes.

    Args:
        files: See `hub_files`. The names may have a prefix, such as `RGB/inception_i3d/`.

    Raises:
        WeightsError: The checkpoint is of another network, incomplete or corrupt.
    """
    if not files.data_file.exists():
        raise WeightsError(
            f"{files.data_file}: no such file. It belongs beside {files.index_file.name}."
        )
    shapes = read_shapes(files)
    first = released_name(FIRST_KERNEL)
    prefixes = [name.removesuffix(first) for name in shapes if name.endswith(first)]
    bias = shapes.get(f"{prefixes[0]}{released_name(_HEAD_BIAS)}") if prefixes else None
    channels = shapes[f"{prefixes[0]}{first}"][-2:-1] if prefixes else ()
    if len(prefixes) != 1 or not bias or channels not in [(n,) for n in CHANNELS.values()]:
        raise WeightsError(f"{files.index_file}: these are not the names and shapes of one I3D.")
    sources = {
        path: Source(prefixes[0] + _present_name(path, prefixes[0], shapes), shape)
        for path, shape in variable_shapes(I3D, channels[0], bias[-1]).items()
    }
    return HubWeights(read_checkpoint(files, sources, "I3D", IGNORED), files)


def _present_name(path, prefix, shapes):
    """Returns the name of a variable: the released one, or where it is irregular, a regular one."""
    name = released_name(path)
    if prefix + name in shapes:
        return name
    layer = path.rsplit("/", 2)[0]
    return f"{layer}/{'/'.join(name.rsplit('/', 2)[1:])}"
