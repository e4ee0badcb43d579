"""Resolution of references to weights: training runs, files, names in a checkpoint directory."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from i3d_tf.specs.releases import RELEASES
from i3d_tf.system.files import sha256
from i3d_tf.weights.store import SUFFIX, find_weights

CHECKPOINT_DIR = "checkpoints"

NAME = "name"
RUN = "run"
KERAS_FILE = "keras_file"
WEIGHTS_FILE = "weights_file"
# The kinds of references that are paths, and what a message calls them.
PATHS = {
    RUN: "the folder of a training run",
    KERAS_FILE: "a .keras file",
    WEIGHTS_FILE: f"a {SUFFIX} file",
}

RUN_FILE = "run.json"
BEST_FILE = "best.keras"


@dataclass(frozen=True, eq=False)
class ResolvedWeights:
    """The file that a reference to weights means.

    Attributes:
        reference: The reference, as text.
        path: The file; it exists.
        kind: NAME, or one of `PATHS`.
        row: The file's row of the manifest, whose hash has been compared with the file; empty
            where the reference is not a name.
    """

    reference: str
    path: Path
    kind: str
    row: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of the file, which is read for it at most once."""
        return self.row["sha256"] if self.kind == NAME else sha256(self.path)

    @property
    def run_file(self) -> Path:
        """The `run.json` beside the file, which a training run has."""
        return self.path.with_name(RUN_FILE)


def resolve(
    reference: os.PathLike | str,
    checkpoint_dir: os.PathLike | str = CHECKPOINT_DIR,
    paths: Collection[str] = tuple(PATHS),
) -> ResolvedWeights:
    """Returns the file that a reference to weights means.

    Args:
        reference: The folder of a training run, which means its best state; a `.keras` or
            `.weights.h5` file; or a name in the manifest, such as a release.
        checkpoint_dir: Directory in which names are looked up.
        paths: Kinds of paths that are allowed, out of `PATHS`; everything else is a name.

    Raises:
        FileNotFoundError: The weights do not exist; the message says how to get them.
        WeightsError: A named file is not the one of the manifest, or the manifest is damaged.
        ValueError: The reference is a file of another kind.
    """
    text = str(reference)
    path = Path(text)
    if RUN in paths and (path / RUN_FILE).is_file():
        best = path / BEST_FILE
        if not best.is_file():
            raise FileNotFoundError(f"{best}: no such file. The run has not evaluated yet.")
        return ResolvedWeights(text, best, RUN)
    for kind, suffix in ((KERAS_FILE, ".keras"), (WEIGHTS_FILE, SUFFIX)):
        if kind in paths and path.name.endswith(suffix):
            if not path.is_file():
                raise FileNotFoundError(f"{path}: no such file.")
            return ResolvedWeights(text, path, kind)
    try:
        return _resolve_name(text, checkpoint_dir)
    except FileNotFoundError as error:
        if not (path.suffix and paths):
            raise
        name = f"a name in {checkpoint_dir} (such as {next(iter(RELEASES))})"
        *first, last = [name, *(PATHS[kind] for kind in PATHS if kind in paths)]
        raise ValueError(
            f"Weights must be {', '.join(first)} or {last}; received {text!r}."
        ) from error


def _resolve_name(name, checkpoint_dir):
    """Looks a name up: the only place that knows where named weights may be."""
    path, row = find_weights(name, checkpoint_dir)
    return ResolvedWeights(name, path, NAME, row)
