"""Folders and text files, on this machine or, for a name with "://", through tf.io.gfile."""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from i3d_tf.system.files import open_regular

MAX_TEXT = 2**28  # bytes; the annotation of Kinetics-700 has about 2**24


class FileState(NamedTuple):
    """Size and age of a file, which tell it from a later version.

    Attributes:
        size: Bytes.
        mtime_ns: Time of its last change, nanoseconds since 1970.
    """

    size: int
    mtime_ns: int


def join(folder: str, name: str) -> str:
    """Returns `name` below `folder`, with forward slashes."""
    if not folder or not name:
        return folder or name
    return f"{folder.rstrip('/')}/{name}" if folder != "/" else f"/{name}"


def is_folder(path: str) -> bool:
    """Returns whether there is a folder of this name."""
    return _gfile().isdir(path) if "://" in path else os.path.isdir(path)


def file_names(folder: str) -> list[str] | None:
    """Returns the names of the files in a folder, sorted; None where there is no such folder."""
    if "://" in folder:
        names = _gfile().listdir(folder) if _gfile().isdir(folder) else None
        return names and sorted(name for name in names if not name.endswith("/"))
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return None


def folder_names(folder: str) -> list[str] | None:
    """Returns the names of the folders in a folder, sorted; None where there is no such folder."""
    if "://" in folder:
        names = _gfile().listdir(folder) if _gfile().isdir(folder) else None
        return names and sorted(name[:-1] for name in names if name.endswith("/"))
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return None


def walk(
    folder: str, unreadable: list[OSError] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields (folder, names of its folders, names of its files), sorted, hidden ones left out.

    Links to folders are listed and not entered, so that no walk is endless.

    Args:
        folder: The folder.
        unreadable: List that receives the error of each folder on this machine that cannot be
            read, whose `filename` is the folder; without a list, the first one is raised.
    """
    if "://" in folder:
        levels = _gfile().walk(folder)
    else:
        levels = os.walk(folder, onerror=_raise if unreadable is None else unreadable.append)
    for place, folders, files in levels:
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield place, folders, sorted(name for name in files if not name.startswith("."))


def file_state(path: str) -> FileState:
    """Returns a file's size and time of change; OSError where there is none."""
    if "://" in path:
        found = _gfile_call(path, "stat")
        return FileState(found.length, found.mtime_nsec)
    try:
        found = os.stat(path)
    except ValueError as error:  # a zero byte, or what is no text
        raise FileNotFoundError(f"{path}: no file can have this name.") from error
    return FileState(found.st_size, found.st_mtime_ns)


def is_file(path: str) -> bool:
    """Returns whether there is something else than a folder; reading refuses a pipe, for one."""
    if "://" in path:
        return _gfile().exists(path) and not _gfile().isdir(path)
    return os.path.exists(path) and not os.path.isdir(path)


def read_lines(path: str, errors: str = "strict") -> list[str]:
    """Reads the lines of a text file: UTF-8 with or without a byte order mark, any line ends.

    Args:
        path: The file.
        errors: See `bytes.decode`.

    Returns:
        Its lines without their ends; line n is at index n - 1.

    Raises:
        ValueError: It is not text, or larger than MAX_TEXT.
        OSError: It is not a regular file, or cannot be read.
    """
    content = _read(path)
    if len(content) > MAX_TEXT:
        raise ValueError(f"{path}: it has more than {MAX_TEXT:,} bytes, too many for a list.")
    try:
        text = content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}: line {line} is not UTF-8 text; save the file as UTF-8."
        ) from error
    # Not str.splitlines, which would also split at characters that a file's name may hold.
    return re.split(r"\r\n|\n|\r", text)


def _read(path):
    if "://" in path:
        import tensorflow as tf

        with tf.io.gfile.GFile(path, "rb") as file:
            return file.read(MAX_TEXT + 1)
    with open_regular(path) as file:
        return file.read(MAX_TEXT + 1)


def _gfile():
    import tensorflow as tf  # slow to import, and local files do not need it

    return tf.io.gfile


def _gfile_call(path, name):
    import tensorflow as tf

    try:
        return getattr(tf.io.gfile, name)(path)
    except tf.errors.OpError as error:
        raise OSError(f"{path}: {error.message or type(error).__name__}") from error


def _raise(error):
    raise error
