"""Cases of the hunt: what a case is, what can be found, and what everything that is run must keep.

A case is a pure function of (kind, seed, number): its random generator is made of these, and what
it starts from, the material of its kind, has the same bytes in every run.
"""

import contextlib
import os
import re
import sys
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fixtures.tools import run_tool_main

from i3d_tf.system.errors import UserError
from i3d_tf.system.job_status import FAILURES
from i3d_tf.system.jobs import NO_MEMORY

CRASH, TRACEBACK, HANG = "crashes", "tracebacks", "hangs"
HALF, LEFTOVER, WRONG = "half files", "leftovers", "wrong answers"
KNOWN = "known limits"  # what docs/reliability.md says cannot be seen: counted, and no fault
COLUMNS = (CRASH, TRACEBACK, HANG, HALF, LEFTOVER, WRONG, KNOWN)

EXPECTED_ERRORS = (ValueError, OSError, FloatingPointError, UserError)  # shown as one line
MAX_MESSAGE = 2000  # characters
SHOWN = 600  # characters of a finding
MEMORY_REASONS = (NO_MEMORY, "takes more memory than there is")
HIDDEN_FILES = ("lock",)  # of a staging folder
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Finding:
    """A fault.

    Attributes:
        column: One of `COLUMNS`.
        text: What happened.
    """

    column: str
    text: str


@dataclass
class Case:
    """One case, and what it has found.

    Attributes:
        kind: Name of the kind.
        seed: Seed of the hunt.
        number: Number of the case.
        folder: An empty folder of its own.
        material: Folder of what all cases of the kind start from.
        findings: Faults so far.
        title: What was done, in some words; shown with the findings.
    """

    kind: str
    seed: int
    number: int
    folder: Path
    material: Path
    findings: list[Finding] = field(default_factory=list)
    title: str = ""

    def __post_init__(self):
        self.rng = np.random.default_rng([self.seed, self.number, zlib.crc32(self.kind.encode())])

    def pick(self, values):
        """Returns one of some values."""
        values = list(values)
        return values[int(self.rng.integers(len(values)))]

    def chance(self, share):
        """Returns whether an event of some probability happens."""
        return bool(self.rng.random() < share)

    def found(self, column, text):
        """Notes a fault."""
        text = f"{self.title}: {text}" if self.title else str(text)
        self.findings.append(Finding(column, one_line(text)[:SHOWN]))

    def call(self, function: Callable, name: str, path: os.PathLike | str | None = None):
        """Calls a function that may fail with one line of text.

        Args:
            function: Without arguments.
            name: Its name in findings.
            path: The file that an error has to name; None for none.

        Returns:
            (result, None), or (None, the error).
        """
        try:
            return function(), None
        except MemoryError:
            self.found(CRASH, f"{name}: it took more memory than a case may")
            return None, MemoryError()
        except EXPECTED_ERRORS as error:
            self.check_message(f"{name}: ", str(error), path)
            return None, error
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            self.found(TRACEBACK, f"{name}: {type(error).__name__}: {error} ({place})")
            return None, error

    def check_message(self, name, message, path=None):
        """Checks that a message is one line, and of a file that it names."""
        if any(reason in message for reason in MEMORY_REASONS):
            self.found(CRASH, f"{name}it took more memory than a case may")
        elif "\n" in message.strip() or len(message) > MAX_MESSAGE:
            self.found(TRACEBACK, f"{name}not one line: {message!r}")
        elif path is not None and os.path.basename(path) not in message:
            self.found(TRACEBACK, f"{name}a line without the file's name: {message!r}")

    def run_tool(self, tool: str, *arguments: Any) -> "ToolRun":
        """Runs a tool's main in this process; checks its status and all that it prints."""
        argv = [os.fspath(a) if isinstance(a, os.PathLike) else str(a) for a in arguments]
        try:
            run = ToolRun(*run_tool_main(tool, *argv))
        except MemoryError:
            self.found(CRASH, f"{tool}: it took more memory than a case may")
            return ToolRun(1, [], [])
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            self.found(TRACEBACK, f"{tool} {argv}: {type(error).__name__}: {error} ({place})")
            return ToolRun(None, [], [])
        self.check_output(f"{tool} {argv}", run)
        return run

    def check_output(self, name, run: "ToolRun"):
        """Checks what a tool printed."""
        text = "\n".join([*run.out, *run.err])
        if "Traceback (most recent call last)" in text:
            last = run.err[-1] if run.err else ""
            self.found(TRACEBACK, f"{name}: a traceback on the terminal: ... {last}")
        if match := _CONTROL.search(text):
            near = text[max(0, match.start() - 40) : match.end() + 40]
            self.found(WRONG, f"{name}: raw control characters on the terminal: {near!r}")
        if any(reason in text for reason in MEMORY_REASONS):
            self.found(CRASH, f"{name}: it took more memory than a case may")
        if run.status not in (0, 1):
            self.found(TRACEBACK, f"{name}: exit status {run.status}")
        elif run.status == 1 and not any(run.err) and not any(run.out):
            self.found(WRONG, f"{name}: exit status 1 without a word")

    def check_no_leftovers(self, folder, name=""):
        """Checks that no hidden file or folder lies below a folder."""
        hidden = hidden_below(folder)
        if hidden:
            self.found(LEFTOVER, f"{name} {hidden[:4]}".strip())


@dataclass(frozen=True)
class ToolRun:
    """A run of a tool: its exit status, and its lines on stdout and stderr."""

    status: int | None
    out: list[str]
    err: list[str]


def hidden_below(folder) -> list[str]:
    """Returns the paths of hidden files and folders below a folder, relative to it.

    The failures that a job keeps in its output folder are not half-written.
    """
    hidden = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != FAILURES]
        hidden += [os.path.join(place, name) for name in folders + files if name[:1] == "."]
    return sorted(os.path.relpath(path, folder) for path in hidden)


def visible_files(folder) -> dict[str, bytes]:
    """Returns the content of every file below a folder, by its path relative to it."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        relative = path.relative_to(folder)
        if not any(part.startswith(".") for part in relative.parts):
            with contextlib.suppress(OSError):  # it may go at any time
                if path.is_file():
                    found[relative.as_posix()] = path.read_bytes()
    return found


def one_line(text: str) -> str:
    """Returns text in one printable line."""
    return " ".join(word.encode("ascii", "backslashreplace").decode() for word in str(text).split())


class Kind:
    """Cases of one kind.

    Attributes:
        name: Its name.
        share: Cases of it, of a thousand.
        limit: Seconds after which a case hangs.
        memory: Bytes that a worker may take beside what it has at the start of a case.
    """

    name: str
    share: int = 0
    limit: float = 60.0
    memory: int = 3 * 2**30

    def prepare(self, folder: Path):
        """Writes what all cases start from, with the same bytes every time."""

    def warm_up(self, material: Path):
        """Imports and builds what all cases of a worker share, before the first one's time runs."""

    def run(self, case: Case):
        """Runs a case."""
        raise NotImplementedError


def print_to_stderr(text):
    """Prints at once."""
    print(text, file=sys.stderr, flush=True)
