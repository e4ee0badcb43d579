"""State of a job, from its output folder alone: what is done, what is missing, what has failed.

A failure is a small file in a hidden folder of the output folder, one for each output, which goes
when the output is made. So the shards of a job do not overwrite each other's reports.

```
<output_dir>/.failed/<hash of the output's place>.json     {"output", "source", "reason"}
```
"""

import contextlib
import hashlib
import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from i3d_tf.system.console import printable
from i3d_tf.system.files import atomic_write
from i3d_tf.system.records import get_value, read_json_object

FAILURES = ".failed"
ATTEMPTS = 10  # another process may remove the folder, which is empty until a file is in it


class Failures:
    """The failures in an output folder.

    Args:
        output_dir: The folder; it need not exist.
    """

    def __init__(self, output_dir: os.PathLike | str):
        self._output_dir, self._folder = output_dir, Path(output_dir, FAILURES)
        try:
            self._names = set(os.listdir(self._folder))
        except OSError:  # nothing has failed
            self._names = set()

    def add(self, target: os.PathLike | str, source: str, reason: str, staging: Path) -> None:
        """Writes down a failure.

        Args:
            target: Path of the output that was not made.
            source: Name of the input.
            reason: Why it failed.
            staging: Folder on the same disk for the half-written file.

        Raises:
            OSError: It cannot be written.
        """
        record = {"output": self._place(target), "source": source, "reason": reason}
        path = self._folder / self._name(target)
        for attempt in range(ATTEMPTS):
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                with atomic_write(path, folder=staging) as unfinished:
                    unfinished.write_text(json.dumps(record) + "\n", "ascii")
            except FileNotFoundError:
                if attempt + 1 == ATTEMPTS:
                    raise
            else:
                break
        self._names.add(path.name)

    def discard(self, target: os.PathLike | str) -> None:
        """Removes the failure of an output that is made now."""
        if (name := self._name(target)) in self._names:
            self._names.discard(name)
            with contextlib.suppress(OSError):  # gone already
                (self._folder / name).unlink()
            with contextlib.suppress(OSError):  # not empty
                self._folder.rmdir()

    def reason(self, target: os.PathLike | str) -> str | None:
        """Returns why an output failed; None where nothing is known of it."""
        if (name := self._name(target)) not in self._names:
            return None
        try:
            return get_value(read_json_object(self._folder / name), "reason", str)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            return f"it failed, but {self._folder / name} does not say why"

    def _place(self, target):
        return os.path.relpath(target, self._output_dir).replace(os.sep, "/")

    def _name(self, target):
        place = unicodedata.normalize("NFC", self._place(target))
        return hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".json"


@dataclass(frozen=True)
class JobStatus:
    """State of a job.

    Attributes:
        folder: Where its outputs are.
        done: Number of inputs whose outputs are there.
        missing: Inputs that are still to be done.
        failed: (input, reason) of those that failed when they were tried last.
    """

    folder: str
    done: int
    missing: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]

    @property
    def is_done(self) -> bool:
        """Returns whether nothing is missing, and nothing has failed."""
        return not self.missing and not self.failed

    def lines(self, as_json: bool = False) -> list[str]:
        """Returns the lines that show it: every failure, then the sums; or one JSON record."""
        if as_json:
            return [self.to_json()]
        total = self.done + len(self.missing) + len(self.failed)
        return [
            *(printable(f"failed: {source}: {reason}") for source, reason in self.failed),
            f"{printable(self.folder)}: {self.done} of {total} done, {len(self.missing)} missing, "
            f"{len(self.failed)} failed",
        ]

    def to_json(self) -> str:
        """Returns it as a JSON record, whose lists name every input that is not done."""
        failed = [{"path": source, "reason": reason} for source, reason in self.failed]
        values = {"folder": self.folder, "done": self.done, "missing": list(self.missing)}
        return json.dumps({**values, "failed": failed})


def job_status(
    output_dir: os.PathLike | str,
    outputs: Iterable[tuple[str, Sequence[os.PathLike | str]]],
    exists: Callable[[os.PathLike | str], bool] = os.path.lexists,
) -> JobStatus:
    """Returns the state of a job; nothing is read of its inputs and outputs.

    Args:
        output_dir: Folder of all outputs.
        outputs: (name of the input, paths of its outputs, the one that names it first) each.
        exists: Function of a path to whether there is an output.
    """
    failures = Failures(output_dir)
    done, missing, failed = 0, [], []
    for source, paths in outputs:
        if all(map(exists, paths)):
            done += 1
        elif (reason := failures.reason(paths[0])) is not None:
            failed.append((source, reason))
        else:
            missing.append(source)
    return JobStatus(os.fspath(output_dir), done, tuple(missing), tuple(failed))
