"""The folder of a training run: what it was started with, checkpoints, history."""

import json
import platform
import re
import reprlib
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from i3d_tf.system.files import atomic_write, ensure_disk_space, is_leftover

CHECKPOINT = re.compile(r"step_(\d{8})\.keras")
FILES = r"(run|unreadable)\.json|history\.jsonl|(best|step_\d{8})\.keras"
ROOM = 2**20  # bytes for what a state holds besides its variables
LIBRARIES = ("tensorflow", "keras", "numpy", "av", "opencv-contrib-python-headless")


class Workdir:
    """A training run on disk.

    ```
    run.json                    settings, versions, git commit, data report
    step_00000180.keras         the newest state: weights and optimizer
    best.keras                  the state with the best test accuracy so far
    history.jsonl               one line an evaluation
    unreadable.json             videos that could not be read so far, and why
    tensorboard/                scalars and pictures
    ```

    Args:
        path: The folder; made where it does not exist.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"`workdir` {path} cannot be made ({error.strerror}); name another folder."
            ) from error
        self.best = self.path / "best.keras"
        self.tensorboard = self.path / "tensorboard"

    def begin(self, settings: dict, facts: dict) -> bool:
        """Records what the run is made with, or checks that it goes on with the same.

        What a killed process left half-written goes.

        Args:
            settings: What must not change between a run and its continuation.
            facts: What may: versions, data report.

        Returns:
            Whether there is something to go on from.

        Raises:
            ValueError: The folder holds a run with other settings.
        """
        for path in self.path.iterdir():
            if is_leftover(path, FILES):
                path.unlink()
        file = self.path / "run.json"
        settings = json.loads(json.dumps(settings))
        if self.latest() is not None:
            self._check_same(json.loads(file.read_text("utf-8"))["settings"], settings)
            return True
        record = {"settings": settings, "versions": versions(), **facts}
        with atomic_write(file) as temporary:
            temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
        return False

    def _check_same(self, before, now):
        for name in sorted(now | before):
            if now.get(name) != before.get(name):
                raise ValueError(
                    f"{self.path}: holds a run with {name}={reprlib.repr(before.get(name))}, not "
                    f"{reprlib.repr(now.get(name))}. Name another --workdir, or use the same flags "
                    "and videos."
                )

    def latest(self) -> tuple[int, Path] | None:
        """The newest state: (steps done, file)."""
        found = [(int(m[1]), p) for p in self.path.iterdir() if (m := CHECKPOINT.fullmatch(p.name))]
        return max(found, default=None)

    def save(self, model, step: int):
        """Writes the state after a step; older states go once it is whole.

        Raises:
            OSError: There is no room for it; what was there before is kept.
        """
        variables = [*model.variables, *model.optimizer.variables]
        ensure_disk_space(
            self.path,
            ROOM + sum(v.value.dtype.size * v.value.shape.num_elements() for v in variables),
        )
        target = self.path / f"step_{step:08d}.keras"
        with atomic_write(target, ".keras") as temporary:
            model.save(temporary)
        for path in self.path.iterdir():
            match = CHECKPOINT.fullmatch(path.name)
            if match and int(match[1]) < step:
                path.unlink()

    def keep_as_best(self):
        """Keeps a copy of the newest state."""
        _, source = self.latest()
        with atomic_write(self.best) as temporary:
            shutil.copyfile(source, temporary)

    def history(self) -> list[dict]:
        """The evaluations so far."""
        file = self.path / "history.jsonl"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]

    def add_history(self, row: dict):
        """Adds an evaluation; those of later steps, from before an interruption, go."""
        rows = [old for old in self.history() if old["step"] < row["step"]] + [row]
        with atomic_write(self.path / "history.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(old) + "\n" for old in rows), "utf-8")

    def unreadable(self) -> dict[str, str]:
        """Videos that could not be read so far: path to reason."""
        file = self.path / "unreadable.json"
        return json.loads(file.read_text("utf-8")) if file.exists() else {}

    def keep_unreadable(self, reasons: dict[str, str]):
        """Keeps the videos that could not be read so far, if there are any."""
        if reasons:
            with atomic_write(self.path / "unreadable.json") as temporary:
                text = json.dumps(dict(sorted(reasons.items())), indent=1, ensure_ascii=False)
                temporary.write_text(text + "\n", "utf-8")


def versions() -> dict:
    """What a run depends on: Python, libraries, machine, and the project's git commit if any."""
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
