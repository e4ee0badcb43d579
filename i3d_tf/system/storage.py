"""Folders and text files, on this machine or, for a name with "://", through tf.io.gfile."""

import os
import re
import unicodedata
from collections import deque
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

    Links to folders are followed, after all folders that are not links, so that a folder has its
    own path where it has one below `folder`. Each folder is entered once, and none that holds the
    link or `folder` itself: no walk is endless.

    Args:
        folder: The folder.
        unreadable: List that receives the error of each folder on this machine that cannot be
            read, whose `filename` is the folder; without a list, the first one is raised.
    """
    levels = _gfile().walk(folder) if "://" in folder else _walk_local(folder, unreadable)
    for place, folders, files in levels:
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield place, folders, sorted(name for name in files if not name.startswith("."))


def _walk_local(folder, unreadable):
    """Does the same as os.walk, but follows links to folders as `walk` says."""
    onerror = _raise if unreadable is None else unreadable.append
    root = os.path.realpath(folder)
    entered: set[str] = set()
    waiting = deque([folder])
    while waiting:
        start = waiting.popleft()
        real_start = os.path.realpath(start)
        for place, folders, files in os.walk(start, onerror=onerror):
            real = os.path.normpath(os.path.join(real_start, os.path.relpath(place, start)))
            if real in entered:
                folders.clear()
                continue
            entered.add(real)
            yield place, folders, files
            for path in (os.path.join(place, name) for name in folders):
                # os.walk itself enters no link.
                if os.path.islink(path) and not _holds(os.path.realpath(path), real, root):
                    waiting.append(path)


def _holds(folder, *others):
    """Returns whether a folder is one of others, or has one below it; all are real paths."""
    below = folder.rstrip(os.sep) + os.sep
    return any(other == folder or other.startswith(below) for other in others)


def find_path(path: str) -> str | None:
    """Returns the path that exists and is the same text, however its accents are stored.

    Accented letters are one character or several (Unicode's NFC and NFD); copying files from one
    system to another may change which.

    Args:
        path: A path on this machine.

    Returns:
        The path itself where it exists; None where there is no such file or folder.
    """
    return next(_spellings(path), None)


def _spellings(path):
    """Yields the paths that exist and are the same text, the path itself first."""
    if os.path.lexists(path):
        yield path
    if path.isascii():
        return
    parent, name = os.path.split(path)
    wanted = unicodedata.normalize("NFC", name)
    for folder in _spellings(parent) if parent else [""]:
        try:
            names = sorted(os.listdir(folder or os.curdir))
        except (OSError, ValueError):  # no folder, or a name that none can have
            continue
        for each in names:
            if unicodedata.normalize("NFC", each) == wanted and os.path.join(folder, each) != path:
                yield os.path.join(folder, each)


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
