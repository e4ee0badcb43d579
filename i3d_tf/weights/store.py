"""The checkpoint directory: weights by name, and their manifest.

`manifest.json` has one row for each file: its SHA-256, its source, and the arguments of the network
it belongs to. A file without a row, or with another hash, is not loaded.
"""

import json
import os
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from i3d_tf.specs.labels import LABEL_SETS
from i3d_tf.specs.releases import RELEASES
from i3d_tf.specs.validation import check_choice, check_positive
from i3d_tf.system.cache import cache_dir
from i3d_tf.system.files import atomic_write, check_target, ensure_disk_space, folder_lock, sha256
from i3d_tf.system.records import get_list, get_value, of_kind, read_json_object, record_errors
from i3d_tf.weights.assign import WeightsError

if TYPE_CHECKING:
    import keras

MANIFEST = "manifest.json"
SUFFIX = ".weights.h5"

# A name is part of a file's name, so it must not lead out of the directory.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HDF5_BYTES_PER_VARIABLE = 8192  # at most, beside the values; I3D's files have 2,600


def user_checkpoint_dir() -> Path:
    """Returns the checkpoint directory in the user's cache, which may not exist."""
    return cache_dir() / "checkpoints"


def read_manifest(checkpoint_dir: os.PathLike | str) -> dict[str, dict]:
    """Reads the rows of a checkpoint directory's manifest by name; none without a manifest.

    Raises:
        WeightsError: The manifest is not JSON of the expected form.
    """
    path = Path(checkpoint_dir) / MANIFEST
    if not os.path.lexists(path):
        return {}
    try:
        with record_errors(path, "a manifest", "Fix or delete it."):
            rows = get_value(read_json_object(path), "weights", dict)
            for name in rows:
                get_value(rows, name, dict)
    except ValueError as error:
        raise WeightsError(str(error)) from error
    if invalid := [name for name in rows if not _NAME.fullmatch(name)]:
        raise WeightsError(
            f"{path}: {invalid[0]!r} cannot be the name of weights. Fix or delete it."
        )
    return rows


def save_weights(
    model: "keras.Model", name: str, checkpoint_dir: os.PathLike | str | None, row: Mapping
) -> Path:
    """Writes a model's weights and their row of the manifest; older ones stay until both are whole.

    Args:
        model: The Keras model.
        name: Name to load the weights by, of letters, digits, `_`, `-` and `.`; the file is
            `<name>.weights.h5`.
        checkpoint_dir: The checkpoint directory, made if need be; None is the user's.
        row: The row, besides `file` and `sha256`.

    Returns:
        The path of the weights.

    Raises:
        OSError: The directory cannot be written, or is full, or another file has the name; nothing
            has changed.
        ValueError: The name cannot be part of a file's name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"`name` must be made of letters, digits, `_`, `-` and `.`; received {name!r}."
        )
    directory = user_checkpoint_dir() if checkpoint_dir is None else Path(checkpoint_dir)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{directory}: cannot be made ({error.strerror}). Name another folder."
        ) from error
    path = directory / f"{name}{SUFFIX}"
    with folder_lock(directory):  # conversions take turns, so that none loses another's row
        rows = read_manifest(directory)
        in_cache = directory == user_checkpoint_dir()  # no file there is the user's own
        check_target(path, lambda path: in_cache or name in rows)
        ensure_disk_space(directory, _max_bytes(model))
        # The manifest gets its name first: after a kill between the two, the weights are not there
        # yet, and the same command can write them. Without a row they would be another's file.
        with (
            atomic_write(path, SUFFIX) as weights,
            atomic_write(directory / MANIFEST) as manifest,
        ):
            model.save_weights(weights)
            rows[name] = {"file": path.name, "sha256": sha256(weights), **row}
            manifest.write_text(_to_json(rows), "utf-8")
    return path


def find_weights(name: str, checkpoint_dir: os.PathLike | str) -> tuple[Path, dict] | None:
    """Finds named weights in one directory, and compares their hash with the manifest's.

    Returns:
        (file, its row of the manifest), or None where the manifest does not have the name, or the
        file is gone; the file has been read, and `row["sha256"]` is its hash.

    Raises:
        WeightsError: The file is not the one of the manifest, or its row is damaged.
    """
    directory = Path(checkpoint_dir)
    rows = read_manifest(directory)
    path = directory / f"{name}{SUFFIX}"
    if name not in rows or not path.exists():
        return None
    _check_row(directory / MANIFEST, name, rows[name])
    if sha256(path) != rows[name].get("sha256"):
        remedy = "and it is downloaded again" if name in RELEASES else "or make it again"
        raise WeightsError(
            f"{path}: not the file of {MANIFEST} (its SHA-256 differs). Delete it, {remedy}."
        )
    return path, rows[name]


def _check_row(manifest, name, row):
    """Checks the kinds of the values in a row that decide about the network."""
    try:
        title = f"a manifest: its row of {name!r} is damaged"
        with record_errors(manifest, title, "Fix or delete it."):
            labels = row.get("labels")
            if isinstance(labels, str):
                check_choice("labels", labels, LABEL_SETS)
            elif labels is not None:
                get_list(row, "labels", str)
            of_kind(row.get("architecture", ""), "architecture", str)
            of_kind(row.get("arguments", {}), "arguments", dict)
            of_kind(row.get("protocol", {}), "protocol", dict)
            check_positive("width_multiplier", row.get("width_multiplier", 1.0))
    except ValueError as error:
        raise WeightsError(str(error)) from error


def _to_json(rows):
    text = json.dumps({"weights": dict(sorted(rows.items()))}, indent=2, ensure_ascii=False)
    return text + "\n"


def _max_bytes(model):
    """Returns the largest size of a model's weights file in bytes, with a compiled optimizer."""
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer else ())]
    return sum(4 * prod(variable.shape) + _HDF5_BYTES_PER_VARIABLE for variable in variables)
