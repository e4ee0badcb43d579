"""The list of videos that are known to be unreadable, one JSON record a line.

Paths are relative to the list's own folder, so that a dataset can be moved together with its list.
A record is of one version of a file, by size and time of change: it does not apply to a file that
was repaired or downloaded again.
"""

import json
import os
from dataclasses import asdict, dataclass

from i3d_tf.system.storage import FileState, file_state, find_path, read_lines

QUARANTINE_FILE = "quarantine.jsonl"
Cut = tuple[str, float | None, float | None]  # path, start and end in seconds
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
    """The result of decoding a video, or a cut of one.

    Attributes:
        path: The video.
        start: Seconds at which the cut starts, or None for the whole video.
        end: Seconds at which the cut ends, or None.
        size: Bytes of the file that was decoded.
        mtime_ns: Nanoseconds since 1970, that file's last change.
        reason: Why it cannot be decoded, or None.
    """

    path: str
    start: float | None
    end: float | None
    size: int
    mtime_ns: int
    reason: str | None = None

    @property
    def cut(self) -> Cut:
        """The absolute path, start and end of what was decoded."""
        return absolute(self.path), self.start, self.end

    def is_current(self) -> bool:
        """Returns whether the file is still the one that was decoded."""
        try:
            return file_state(self.path) == FileState(self.size, self.mtime_ns)
        except OSError:
            return False


class Quarantine:
    """The videos that must not be used.

    Args:
        path: A file written by check_videos; None for no videos.

    Attributes:
        outdated: Number of records whose files have changed since, or are gone.
    """

    def __init__(self, path: os.PathLike | str | None = None):
        checks = [] if path is None else read_checks(path)
        bad = [check for check in checks if check.reason is not None]
        current = [check for check in bad if check.is_current()]
        self.outdated = len(bad) - len(current)
        self._reasons = {check.cut: check.reason for check in current}

    def reason(self, path: str, start: float | None = None, end: float | None = None) -> str | None:
        """Returns why a video or its cut must not be used, or None; cuts of a bad video are bad."""
        if not self._reasons:
            return None
        path = absolute(path)
        return self._reasons.get((path, start, end)) or self._reasons.get((path, None, None))


def absolute(path: str) -> str:
    """Returns the absolute path of a file, or its address as it is; links are not followed."""
    return path if "://" in path else os.path.abspath(path)


def check_line(check: VideoCheck, folder: os.PathLike | str) -> str:
    """Returns a check as a line of a list in a folder: JSON in ASCII, without a line end."""
    record = asdict(check)
    if "://" not in check.path:
        record["path"] = os.path.relpath(check.path, folder).replace(os.sep, "/")
    return json.dumps(record)


def read_checks(path: os.PathLike | str, torn_end: bool = False) -> list[VideoCheck]:
    """Reads a list of checks.

    Args:
        path: The file.
        torn_end: Whether the last line may be incomplete, as a killed job leaves it.

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
                f"{path}: line {number} is not a record of check_videos. Remove the file and "
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
        path = os.path.normpath(os.path.join(folder, record["path"]))
        record["path"] = find_path(path) or path  # copied to another system, accents may change
    return VideoCheck(**record)
