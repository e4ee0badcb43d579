"""Journals of a check of videos: what is decoded so far, by whichever process decoded it.

```
<list>.journal                  a record of each video decoded so far, to go on from
<list>.0-of-4.journal           those of a shard
<list>.0-of-4.1.journal         those of a second process that works on it at the same time
```

A process only adds to its own journal, on which it holds a lock, and reads all of them.
"""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from i3d_tf.data.quarantine import Cut, VideoCheck, check_line, read_checks
from i3d_tf.system.files import atomic_write, try_lock
from i3d_tf.system.shards import Shard
from i3d_tf.system.storage import FileState, file_state

JOURNAL_SUFFIX = ".journal"  # after the name of the list
_PART = r"(\.[0-9]+-of-[0-9]+)?(\.[0-9]+)?"


def journal_paths(quarantine: os.PathLike | str) -> list[Path]:
    """Returns the journals that lie beside a list, sorted."""
    path = Path(quarantine)
    own = re.compile(re.escape(path.name) + _PART + re.escape(JOURNAL_SUFFIX))
    try:
        names = os.listdir(path.parent)
    except OSError:
        return []
    return [path.with_name(name) for name in sorted(names) if own.fullmatch(name)]


def failure_reason(error: OSError) -> str:
    """Returns why a file or folder cannot be read."""
    return (error.strerror or str(error)).lower()


class Journal:
    """The checks of all journals beside a list; within the block it is added to.

    Args:
        quarantine: The list beside which the journals lie.
        shard: The shard that this process works on; None means all videos.
    """

    _file: BinaryIO  # open within the block

    def __init__(self, quarantine: os.PathLike | str, shard: Shard | None = None):
        self._quarantine = Path(quarantine).absolute()
        self._part = "" if shard is None else f".{shard.index}-of-{shard.count}"
        self._checks: dict[tuple[Cut, FileState], VideoCheck] = {}
        self._read()

    def __enter__(self) -> "Journal":
        path = self._path(0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open_own()
        except OSError as error:
            raise OSError(
                f"{path} cannot be written ({error.strerror}). Give another `quarantine`."
            ) from error
        return self

    def __exit__(self, *exception):
        self._file.close()

    def add(self, check: VideoCheck):
        """Writes a check, so that it outlives this process."""
        line = check_line(check, self._quarantine.parent)
        self._file.write(line.encode("ascii") + b"\n")
        self._file.flush()
        self._keep(check)

    def missing_from(self, cuts: Iterable[Cut]) -> tuple[list[VideoCheck], list[tuple[str, str]]]:
        """Returns checks that are still to be done, and (path, reason) of files that are gone."""
        todo, gone = [], []
        for path, start, end in cuts:
            try:
                state = file_state(path)
            except OSError as error:
                gone.append((path, failure_reason(error)))
                continue
            check = VideoCheck(path, start, end, *state)
            if (check.cut, state) not in self._checks:
                todo.append(check)
        return todo, gone

    def bad_among(self, cuts: Iterable[Cut]) -> list[tuple[str, str]]:
        """Returns (path, reason) of those cuts that could not be decoded, as their files are."""
        wanted = set(cuts)
        bad = [each for each in self._bad() if each.cut in wanted]
        return [(each.path, each.reason) for each in bad if each.reason and each.is_current()]

    def write_list(self) -> None:
        """Writes the list of all files that could not be decoded and are still the same.

        What other processes decode meanwhile is in their journals before they write the list: of
        several that end at the same time, the last one sees all.

        Raises:
            OSError: It cannot be written.
        """
        sizes = None
        while (now := self._sizes()) != sizes:
            sizes = now
            self._read()
            bad = sorted(
                (each for each in self._bad() if each.is_current()),
                key=lambda each: (each.path, each.start or 0, each.end or 0),
            )
            with atomic_write(self._quarantine) as temporary:
                lines = [check_line(each, self._quarantine.parent) + "\n" for each in bad]
                temporary.write_text("".join(lines), "ascii")

    def _bad(self):
        return [check for check in self._checks.values() if check.reason is not None]

    def _keep(self, check):
        """Keeps a check; what was decoded once is no worse for another's lack of memory."""
        key = (check.cut, FileState(check.size, check.mtime_ns))
        known = self._checks.get(key)
        if known is None or known.reason is not None:
            self._checks[key] = check

    def _read(self):
        for path in journal_paths(self._quarantine):
            with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                for check in read_checks(path, torn_end=True):
                    self._keep(check)

    def _sizes(self):
        sizes = {}
        for path in journal_paths(self._quarantine):
            with contextlib.suppress(FileNotFoundError):
                sizes[path] = path.stat().st_size
        return sizes

    def _path(self, number):
        part = f"{self._part}.{number}" if number else self._part
        return self._quarantine.with_name(f"{self._quarantine.name}{part}{JOURNAL_SUFFIX}")

    def _open_own(self):
        """Returns the first journal that no other process writes, without a killed one's end."""
        number = 0
        while True:
            file = open(self._path(number), "a+b")  # noqa: SIM115 - closed with the block
            if try_lock(file) is not False:
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
                return file
            file.close()
            number += 1
