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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from i3d_tf.system.console import printable
from i3d_tf.system.files import atomic_write
from i3d_tf.system.records import get_value, of_kind, read_json_object
from i3d_tf.system.remote import (
    RemoteFileError,
    files_below,
    is_remote,
    read_bytes,
    remove,
    write_bytes,
)
from i3d_tf.system.storage import file_names, join, relative

FAILURES = ".failed"
MAX_RECORD = 2**20  # bytes
ATTEMPTS = 10  # another process may remove the folder, which is empty until a file is in it


class Failures:
    """The failures in an output folder.

    Args:
        output_dir: The folder; it need not exist.
    """

    def __init__(self, output_dir: os.PathLike | str):
        self._output_dir = os.fspath(output_dir)
        self._folder = join(self._output_dir, FAILURES)
        try:
            self._names = set(file_names(self._folder) or ())
        except OSError:  # none that can be read
            self._names = set()

    def add(
        self, target: os.PathLike | str, source: str, reason: str, staging: os.PathLike | str
    ) -> None:
        """Writes down a failure.

        Args:
            target: Path of the output that was not made.
            source: Name of the input.
            reason: Why it failed.
            staging: Folder on the same disk for the half-written file.

        Raises:
            OSError: It cannot be written.
        """
        place = relative(target, self._output_dir)
        text = json.dumps({"output": place, "source": source, "reason": reason}) + "\n"
        path = self._path(name := self._name(target))
        if is_remote(path):
            with contextlib.suppress(RemoteFileError):  # then it counts as missing
                write_bytes(path, text.encode())
        else:
            _write(Path(path), text, staging)
        self._names.add(name)

    def discard(self, target: os.PathLike | str) -> None:
        """Removes the failure of an output that is made now."""
        if (name := self._name(target)) not in self._names:
            return
        self._names.discard(name)
        if is_remote(self._folder):
            remove(self._path(name))
            return
        with contextlib.suppress(OSError):  # gone already
            os.unlink(self._path(name))
        with contextlib.suppress(OSError):  # not empty
            os.rmdir(self._folder)

    def reason(self, target: os.PathLike | str) -> str | None:
        """Returns why an output failed; None where nothing is known of it."""
        if (name := self._name(target)) not in self._names:
            return None
        path = self._path(name)
        try:
            if is_remote(path):
                values = of_kind(json.loads(read_bytes(path, MAX_RECORD)), "the file", dict)
            else:
                values = read_json_object(path)
            return get_value(values, "reason", str)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            return f"it failed, but {path} does not say why"

    def _path(self, name):
        return join(self._folder, name)

    def _name(self, target):
        place = unicodedata.normalize("NFC", relative(target, self._output_dir))
        return hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".json"


def _write(path, text, staging):
    for attempt in range(ATTEMPTS):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with atomic_write(path, folder=staging) as unfinished:
                unfinished.write_text(text, "ascii")
        except FileNotFoundError:
            if attempt + 1 == ATTEMPTS:
                raise
        else:
            return


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


class OutputFiles:
    """The files of an output folder; one at an address is listed once, and then known.

    Args:
        output_dir: The folder; it need not exist.
    """

    def __init__(self, output_dir: os.PathLike | str):
        self._output_dir, self._names = os.fspath(output_dir), None
        if is_remote(self._output_dir):
            self._names = set(files_below(self._output_dir))

    def __contains__(self, path: os.PathLike | str) -> bool:
        if self._names is None:
            return os.path.lexists(path)
        return relative(path, self._output_dir) in self._names


def job_status(
    output_dir: os.PathLike | str,
    outputs: Iterable[tuple[str, Sequence[os.PathLike | str]]],
) -> JobStatus:
    """Returns the state of a job; nothing is read of its inputs and outputs.

    Args:
        output_dir: Folder of all outputs.
        outputs: (name of the input, paths of its outputs, the one that names it first) each.
    """
    failures, files = Failures(output_dir), OutputFiles(output_dir)
    done, missing, failed = 0, [], []
    for source, paths in outputs:
        if all(path in files for path in paths):
            done += 1
        elif (reason := failures.reason(paths[0])) is not None:
            failed.append((source, reason))
        else:
            missing.append(source)
    return JobStatus(os.fspath(output_dir), done, tuple(missing), tuple(failed))
