"""References to weights and the files they mean: training runs, files, and names."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from i3d_tf.specs import slim
from i3d_tf.specs.releases import RELEASES
from i3d_tf.system.cache import OFFLINE_VARIABLE, is_offline
from i3d_tf.system.files import check_regular, sha256
from i3d_tf.weights.store import MANIFEST, SUFFIX, find_weights, read_manifest, user_checkpoint_dir
from i3d_tf.zoo.run_record import RUN_FILE

_PACKAGE = Path(__file__).resolve().parent.parent

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
    checkpoint_dir: os.PathLike | str | None = None,
    paths: Collection[str] = tuple(PATHS),
) -> ResolvedWeights:
    """Returns the file that a reference to weights means.

    Args:
        reference: The folder of a training run, which means its best state; a `.keras` or
            `.weights.h5` file; or a name, such as a release. A release that is nowhere is
            downloaded into the user's cache.
        checkpoint_dir: See `checkpoint_dirs`.
        paths: Kinds of paths that are allowed, out of `PATHS`; everything else is a name.

    Raises:
        FileNotFoundError: The weights are nowhere, and cannot be downloaded; the message says how
            to get them.
        WeightsError: A named file is not the one of the manifest, or the manifest is damaged.
        ValueError: The reference is a file of another kind.
    """
    text = str(reference)
    path = Path(text)
    if RUN in paths and os.path.lexists(path / RUN_FILE):
        best = path / BEST_FILE
        if not os.path.lexists(best):
            raise FileNotFoundError(f"{best}: no such file. The run has not evaluated yet.")
        check_regular(best)
        return ResolvedWeights(text, best, RUN)
    for kind, suffix in ((KERAS_FILE, ".keras"), (WEIGHTS_FILE, SUFFIX)):
        if kind in paths and path.name.endswith(suffix):
            check_regular(path)
            return ResolvedWeights(text, path, kind)
    try:
        return _resolve_name(text, checkpoint_dir)
    except FileNotFoundError as error:
        if os.path.exists(path) and not path.is_dir():
            check_regular(path)
        if not (path.suffix and paths):
            raise
        name = f"a known name (such as {next(iter(RELEASES))})"
        *first, last = [name, *(PATHS[kind] for kind in PATHS if kind in paths)]
        raise ValueError(
            f"Weights must be {', '.join(first)} or {last}; received {text!r}."
        ) from error


def checkpoint_dirs(checkpoint_dir: os.PathLike | str | None = None) -> tuple[Path, ...]:
    """Returns the directories in which names are looked up, first to last.

    Args:
        checkpoint_dir: The one to look into first; None for none. Then come the one in the user's
            cache (see `i3d_tf.system.cache`) and the one that ships with the package.
    """
    first = () if checkpoint_dir is None else (Path(checkpoint_dir),)
    return tuple(dict.fromkeys((*first, user_checkpoint_dir(), shipped_checkpoint_dir())))


def shipped_checkpoint_dir() -> Path:
    """Returns the directory of the small networks that ship: of the package, or of its sources."""
    installed, source_tree = _PACKAGE / "checkpoints", _PACKAGE.parent
    if (installed / MANIFEST).is_file() or not (source_tree / "setup.py").is_file():
        return installed
    return source_tree / "checkpoints"


def _resolve_name(name, checkpoint_dir):
    """Looks a name up: the only place that knows where named weights may be."""
    places = checkpoint_dirs(checkpoint_dir)
    for place in places:
        if found := find_weights(name, place):
            return ResolvedWeights(name, found[0], NAME, found[1])
    if name not in RELEASES:
        raise FileNotFoundError(_unknown_name(name, places))
    if is_offline():
        raise FileNotFoundError(
            f"{name}: not in {_join(places)}, and {OFFLINE_VARIABLE} forbids downloads. Unset it "
            f"for one run, or give --checkpoint_dir=FOLDER with the converted weights."
        )
    from i3d_tf.zoo.releases import fetch_release  # Keras is slow to import

    path, row = fetch_release(name)
    return ResolvedWeights(name, path, NAME, row)


def _unknown_name(name, places):
    known = sorted({row for place in places for row in read_manifest(place)})
    message = f"No weights named {name!r} in {_join(places)} (there: {', '.join(known) or 'none'})."
    if name.startswith(slim.NAME):
        inflate = "" if name == slim.NAME else " --inflate"
        return (
            f"{message} Make them: unpack {slim.ARCHIVE_URL}, then i3d convert "
            f"--release={slim.NAME}{inflate} --source=FOLDER"
        )
    return f"{message} The releases are {', '.join(RELEASES)}."


def _join(places):
    *first, last = map(str, places)
    return f"{', '.join(first)} or {last}" if first else last
