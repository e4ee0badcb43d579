"""The list of videos that are known to be unreadable, one JSON record a line.

Paths are relative to the list's own folder, so that a dataset can be moved together with its list.
A record speaks of one version of a file, by size and time of change: a file that was repaired or
fetched anew is no longer meant by it.
"""

import json
import os
from dataclasses import asdict, dataclass

from i3d_tf.system.storage import FileState, file_state, read_lines

QUARANTINE_FILE = "quarantine.jsonl"
_TYPES = {
    "path": str,
    "start": (int, float, type(None)),
    "end": (int, float, type(None)),
    "size": int,
    "mtime_ns": int,
    "reason": (str, type(None)),
}


@dataclass(frozen=True)
class VideoCheck:
    """What decoding a video, or a cut of one, came to.

    Attributes:
        path: The video.
        start: Seconds at which the cut begins, or None for the whole video.
        end: Seconds at which the cut ends, or None.
        size: Bytes of the file that was decoded.
        mtime_ns: Nanoseconds since 1970, that file's last change.
        reason: What is wrong with it, or None.
    """

    path: str
    start: float | None
    end: float | None
    size: int
    mtime_ns: int
    reason: str | None = None

    @property
    def cut(self):
        """(absolute path, start, end): what was decoded."""
        return absolute(self.path), self.start, self.end

    def is_current(self) -> bool:
        """Whether the file is still the one that was decoded."""
        try:
            return file_state(self.path) == FileState(self.size, self.mtime_ns)
        except OSError:
            return False


class Quarantine:
    """Answers why a video must not be used.

    Attributes:
        outdated: How many records speak of files that have changed since, or are gone.
    """

    def __init__(self, path=None):
        """Reads a list; without one, no video is quarantined.

        Args:
            path: A file written by check_videos, or None.
        """
        checks = [] if path is None else read_checks(path)
        bad = [check for check in checks if check.reason is not None]
        current = [check for check in bad if check.is_current()]
        self.outdated = len(bad) - len(current)
        self._reasons = {check.cut: check.reason for check in current}

    def reason(self, path, start=None, end=None) -> str | None:
        """Why a video or its cut must not be used, or None; a bad video has no good cuts."""
        if not self._reasons:
            return None
        path = absolute(path)
        return self._reasons.get((path, start, end)) or self._reasons.get((path, None, None))


def absolute(path) -> str:
    """One spelling for every way to name a file; links are not followed."""
    return path if "://" in path else os.path.abspath(path)


def check_line(check, folder) -> str:
    """A VideoCheck as a line of a list.

    Args:
        check: The VideoCheck.
        folder: Folder of the list.

    Returns:
        JSON without a line end, in ASCII whatever the file's name holds.
    """
    record = asdict(check)
    if "://" not in check.path:
        record["path"] = os.path.relpath(check.path, folder).replace(os.sep, "/")
    return json.dumps(record)


def read_checks(path, torn_end=False) -> list[VideoCheck]:
    """Reads a list of checks.

    Args:
        path: The file.
        torn_end: Whether the last line may be incomplete, as a killed job leaves it.

    Returns:
        VideoChecks in the order of the file.

    Raises:
        ValueError: A line is not a record.
        OSError: The file cannot be read.
    """
    path = os.fspath(path)
    lines = read_lines(path)
    folder = os.path.dirname(absolute(path))
    checks = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        check = _parse(line, folder)
        if check is not None:
            checks.append(check)
        elif not (torn_end and number == len(lines)):
            raise ValueError(
                f"{path}: line {number} is not a record of check_videos; remove the file and "
                "check the videos again."
            )
    return checks


def _parse(line, folder):
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.keys() != _TYPES.keys():
        return None
    if not all(isinstance(record[name], kind) for name, kind in _TYPES.items()):
        return None
    if "://" not in record["path"]:
        record["path"] = os.path.normpath(os.path.join(folder, record["path"]))
    return VideoCheck(**record)
