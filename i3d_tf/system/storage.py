"""Folders and text files, on this machine or at an address, see `i3d_tf.system.remote`."""

import os
import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from i3d_tf.system import remote
from i3d_tf.system.files import open_regular
from i3d_tf.system.remote import RemoteFileError, is_remote

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


def relative(path: os.PathLike | str, folder: os.PathLike | str) -> str:
    """Returns the path of a file relative to a folder, with forward slashes.

    Args:
        path: A path, or an address below the folder's.
        folder: A path or an address.
    """
    if is_remote(path):
        return str(path).removeprefix(str(folder).rstrip("/") + "/")
    return os.path.relpath(path, folder).replace(os.sep, "/")


def is_folder(path: str) -> bool:
    """Returns whether there is a folder of this name."""
    return remote.is_folder(path) if is_remote(path) else os.path.isdir(path)


def file_names(folder: str) -> list[str] | None:
    """Returns the names of the files in a folder, sorted; None where there is no such folder."""
    if is_remote(folder):
        found = remote.entries(folder)
        return None if found is None else sorted(found[1])
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return None


def folder_names(folder: str) -> list[str] | None:
    """Returns the names of the folders in a folder, sorted; None where there is no such folder."""
    if is_remote(folder):
        found = remote.entries(folder)
        return None if found is None else sorted(found[0])
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
    levels = _walk_remote(folder) if is_remote(folder) else _walk_local(folder, unreadable)
    for place, folders, files in levels:
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield place, folders, sorted(name for name in files if not name.startswith("."))


def _walk_remote(folder):
    """Does the same as os.walk from one list of all files, which a storage gives quickly."""
    names: dict[str, list[str]] = {"": []}
    below: dict[str, dict[str, None]] = {}  # folders in the order of their files
    for path in remote.files_below(folder):
        place, _, name = path.rpartition("/")
        names.setdefault(place, []).append(name)
        while place and place not in below.setdefault(place.rpartition("/")[0], {}):
            parent = place.rpartition("/")[0]
            below[parent][place] = None
            place = parent
    waiting = [""]
    while waiting:
        place = waiting.pop()
        folders = [path.rpartition("/")[2] for path in below.get(place, ())]
        yield join(folder, place), folders, names.get(place, [])
        waiting += [join(place, name) for name in sorted(folders, reverse=True)]


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
    if is_remote(path):
        info = remote.file_info(path)
        if info is None:
            raise RemoteFileError(path, "there is no such file")
        return FileState(*info)
    try:
        found = os.stat(path)
    except ValueError as error:  # a zero byte, or what is no text
        raise FileNotFoundError(f"{path}: no file can have this name.") from error
    return FileState(found.st_size, found.st_mtime_ns)


def is_file(path: str) -> bool:
    """Returns whether there is something else than a folder; reading refuses a pipe, for one."""
    if is_remote(path):
        return remote.file_info(path) is not None
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
    if is_remote(path):
        return remote.read_bytes(path, MAX_TEXT)
    with open_regular(path) as file:
        return file.read(MAX_TEXT + 1)


def _raise(error):
    raise error
