"""Limits of uploaded videos, and the folder that keeps them for a while."""

import contextlib
import math
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.specs.validation import check_integer, check_positive
from i3d_tf.video.decode import count_frames, read_watched
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import probe

MEGABYTE = 2**20  # bytes
MAX_NAME = 100  # bytes of a file's name
KEEP_SECONDS = 1800  # an upload, which may be used again with another network
SWEEP_SECONDS = 60
UPLOADS_KEPT = 10  # of the largest size, in the folder at a time


@dataclass(frozen=True)
class Limits:
    """Limits of what the page takes.

    Attributes:
        max_megabytes: Size of a video file, in 2^20 bytes.
        max_seconds: Duration of a video.
        max_videos: Videos of a set.

    Raises:
        ValueError: A number is not allowed.
    """

    max_megabytes: float = 100
    max_seconds: float = 60
    max_videos: int = 64

    def __post_init__(self):
        check_positive("max_megabytes", self.max_megabytes)
        check_positive("max_seconds", self.max_seconds)
        check_integer("max_videos", self.max_videos, 2)

    @property
    def max_bytes(self) -> int:
        """Size of a video file in bytes."""
        return math.floor(self.max_megabytes * MEGABYTE)

    def size_problem(self, size: int) -> str | None:
        """Returns why a file of so many bytes is refused; None where it is taken."""
        if size <= self.max_bytes:
            return None
        return (
            f"it has {size / MEGABYTE:.1f} MB; at most {self.max_megabytes:g} are taken. Cut a "
            "part out of it, or start the page with a larger --max_megabytes"
        )

    def duration_problem(self, seconds: float) -> str | None:
        """Returns why a video of so many seconds is refused; None where it is taken."""
        if seconds <= self.max_seconds:
            return None
        return (
            f"it lasts more than {self.max_seconds:g} s, which is all that is taken. Cut a part "
            "out of it, or start the page with a larger --max_seconds"
        )


def check_video(path: Path, limits: Limits) -> None:
    """Refuses a file that is no video, or too large, before most of it is read.

    Args:
        path: The file.
        limits: See `Limits`.

    Raises:
        VideoError: It is refused.
    """
    size = path.stat().st_size
    problem = "it is empty" if size == 0 else limits.size_problem(size)
    if problem is None:
        seconds = read_watched(path, lambda: _seconds(path, limits))
        problem = limits.duration_problem(seconds)
    if problem is not None:
        raise VideoError(str(path), problem)


def _seconds(path, limits):
    """Returns the duration that the file states; if none, as much of it as matters is decoded."""
    duration = probe(path).duration
    if duration is not None:
        return duration
    return count_frames(path, FRAME_RATE, end=limits.max_seconds + 1) / FRAME_RATE


def safe_name(name: str) -> str:
    """Returns the last part of a file's name, without characters that matter to a file system."""
    last = os.path.basename(name.replace("\\", "/"))
    letters = "".join(letter if letter.isalnum() or letter in " ._-" else "_" for letter in last)
    # The end is kept, which tells the format.
    letters = letters.encode("utf-8", "ignore")[-MAX_NAME:].decode("utf-8", "ignore").strip(" .")
    return letters or "video"


def held_bytes(folder: Path) -> int:
    """Returns the size of all files below a folder."""
    return sum(path.stat().st_size for path in _files(folder))


def delete_old_files(folder: Path, age: float) -> None:
    """Deletes the files below a folder that were written more than `age` seconds ago."""
    for path in _files(folder):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > age:
                path.unlink()


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


@contextlib.contextmanager
def sweeping(folder: Path, age: float = KEEP_SECONDS) -> Iterator[None]:
    """Deletes old files below a folder again and again, in a thread, until the block ends."""
    stop = threading.Event()

    def sweep():
        while not stop.wait(SWEEP_SECONDS):
            delete_old_files(folder, age)

    thread = threading.Thread(target=sweep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
