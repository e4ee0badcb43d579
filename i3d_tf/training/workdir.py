"""The folder of a training run: settings, states, history."""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from i3d_tf.system.files import atomic_write, check_target, ensure_disk_space, remove_abandoned
from i3d_tf.system.records import get_value, read_json_object, record_errors
from i3d_tf.training.settings import VIDEOS, changed_settings
from i3d_tf.zoo.resolve import BEST_FILE
from i3d_tf.zoo.run_record import HISTORY_FILE, RUN_FILE, read_history, read_run

UNREADABLE_FILE = "unreadable.json"
STATE = re.compile(r"step_(\d{8})\.keras")
RECORDED = ("split", "heads", "replicas")  # what else may change in run.json while it goes on
CONFIG_BYTES = 2**20  # of a state, besides its variables
LIBRARIES = ("tensorflow", "keras", "numpy", "av", "opencv-contrib-python-headless")


@dataclass(frozen=True)
class Start:
    """The point at which a run starts or goes on.

    Attributes:
        step: Steps done.
        state: File of the newest state; None for a new run.
        changed: Settings that changed since it was saved: name to (before, now).
        epoch_start_step: Step at which the first epoch starts: after a change of the number of
            training videos, the step that was reached, and 0 without.
    """

    step: int = 0
    state: Path | None = None
    changed: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    epoch_start_step: int = 0


class Workdir:
    """A training run on disk.

    ```
    run.json                    settings, versions, git commit, data report; also earlier ones
    step_00000180.keras         the newest state: weights and optimizer
    best.keras                  the state with the best test accuracy so far
    history.jsonl               one line an evaluation
    unreadable.json             videos that could not be read so far, and why
    tensorboard/                scalars and pictures
    ```

    Args:
        path: The folder; made where it does not exist.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, path: os.PathLike | str):
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"`workdir` {path} cannot be made ({error.strerror}). Name another folder."
            ) from error
        self.best = self.path / BEST_FILE
        self.tensorboard = self.path / "tensorboard"

    def start(self, settings: Mapping[str, Any], metadata: Mapping[str, Any]) -> Start:
        """Records the settings of a new run, or checks with which the run goes on.

        Settings that may change are recorded; the earlier content of run.json is kept in it, in
        the list `earlier`. What a killed process left half-written is removed.

        Args:
            settings: See `run_settings`.
            metadata: What else run.json records, such as the data report.

        Raises:
            ValueError: The folder holds a run with settings that must not change, or its run.json
                is damaged, or of another kind.
            FileExistsError: The folder holds other files that have the names of a run's.
        """
        remove_abandoned(self.path)
        file = self.path / RUN_FILE
        record = {"settings": settings, "versions": versions(), **metadata}
        record = json.loads(json.dumps(record))
        settings = record["settings"]
        latest = self.latest()
        if latest is None:
            for name in (BEST_FILE, HISTORY_FILE, UNREADABLE_FILE):
                check_target(self.path / name, lambda path: file.is_file())
            if os.path.lexists(file):
                read_run(file)
            _write_json(file, record, indent=2)
            return Start()
        step, state = latest
        before = read_run(file)
        changed = changed_settings(str(self.path), before["settings"], settings, step)
        epoch_start_step = step if VIDEOS in changed else before.get("epoch_start_step", 0)
        if changed or any(before.get(key) != record.get(key) for key in RECORDED):
            earlier = [*before.pop("earlier", []), {"until_step": step, **before}]
            record |= {"epoch_start_step": epoch_start_step, "earlier": earlier}
            _write_json(file, record, indent=2)
        return Start(step, state, changed, epoch_start_step)

    def latest(self) -> tuple[int, Path] | None:
        """Returns the newest state: (steps done, file)."""
        states = [(int(m[1]), p) for p in self.path.iterdir() if (m := STATE.fullmatch(p.name))]
        return max(states, default=None)

    def save(self, model: keras.Model, step: int):
        """Writes the state after a step, then deletes older states.

        Raises:
            OSError: There is not enough space for it; earlier files are kept.
        """
        variables = [*model.variables, *model.optimizer.variables]
        ensure_disk_space(
            self.path,
            CONFIG_BYTES
            + sum(v.value.dtype.size * v.value.shape.num_elements() for v in variables),
        )
        target = self.path / f"step_{step:08d}.keras"
        with atomic_write(target, ".keras") as temporary:
            model.save(temporary)
        for path in self.path.iterdir():
            match = STATE.fullmatch(path.name)
            if match and int(match[1]) < step:
                path.unlink()

    def keep_as_best(self):
        """Copies the newest state to `best.keras`."""
        _, source = self.latest()
        with atomic_write(self.best) as temporary:
            shutil.copyfile(source, temporary)

    def history(self) -> list[dict[str, Any]]:
        """Returns the evaluations so far."""
        return read_history(self.path / HISTORY_FILE)

    def add_history(self, row: dict[str, Any]):
        """Adds an evaluation, and removes those of later steps, from before an interruption."""
        rows = [old for old in self.history() if old["step"] < row["step"]] + [row]
        with atomic_write(self.path / HISTORY_FILE) as temporary:
            temporary.write_text("".join(json.dumps(old) + "\n" for old in rows), "utf-8")

    def unreadable(self) -> dict[str, str]:
        """Returns the videos that could not be read so far: path to reason."""
        file = self.path / UNREADABLE_FILE
        if not file.exists():
            return {}
        with record_errors(file, "a list of unreadable videos", "Delete the file."):
            reasons = read_json_object(file)
            return {path: get_value(reasons, path, str) for path in reasons}

    def keep_unreadable(self, reasons: Mapping[str, str]):
        """Writes the videos that could not be read so far, if there are any."""
        if reasons:
            _write_json(self.path / UNREADABLE_FILE, dict(sorted(reasons.items())), indent=1)


def read_earlier(path: os.PathLike | str) -> dict[str, Any] | None:
    """Reads run.json of a run that has a saved state, or None where there is no such run.

    Raises:
        ValueError: It is damaged, or of another kind.
        OSError: It cannot be read.
    """
    folder = Path(path)
    if not folder.is_dir() or not any(STATE.fullmatch(each.name) for each in folder.iterdir()):
        return None
    return read_run(folder / RUN_FILE)


def versions() -> dict[str, str | None]:
    """Returns versions of Python and libraries, the machine, and the git commit if there is one."""
    git = shutil.which("git")
    commit = None
    if git:
        command = [git, "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        commit = done.stdout.strip() or None
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "git_commit": commit,
        **{name: version(name) for name in LIBRARIES},
    }


def _write_json(path, record, indent):
    text = json.dumps(record, indent=indent, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a file's name that is not UTF-8
        text = json.dumps(record, indent=indent)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", "utf-8")
