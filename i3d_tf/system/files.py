"""Files that are safe to open; files and folders that appear whole or not at all; hashes; space.

What is half-written has a name that starts with a dot and ends in `.part`, or lies in a staging
folder. A killed process may leave such names behind: `is_leftover` and `staging_dir` know them.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl

    HAS_LOCKS = True
except ImportError:  # Windows has no such locks
    HAS_LOCKS = False

BLOCK_BYTES = 1 << 20
MAX_NAME_BYTES = 255  # of a file, where the system does not say
STAGING_PREFIX = ".unfinished-"
STAGING_LOCK = "lock"
# Seconds after which a staging folder is a killed job's, where there are no locks.
STAGING_LIFETIME = 7 * 86400

_LEFTOVER = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.part(\.\w+)*")


def check_regular(path) -> os.stat_result:
    """Checks that a path is a regular file, without opening it.

    Opening a pipe waits for a writer, and a device may have no end.

    Returns:
        The file's size, times and so on.

    Raises:
        OSError: It is something else, does not exist, or cannot be reached. The message names it,
            and `strerror` is the reason alone.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise _file_error(type(error), path, (error.strerror or str(error)).lower()) from error
    except ValueError as error:
        raise _file_error(FileNotFoundError, path, "its name has a zero byte") from error
    if stat.S_ISDIR(found.st_mode):
        raise _file_error(IsADirectoryError, path, "it is a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise _file_error(OSError, path, "it is not a regular file")
    return found


def open_regular(path) -> BinaryIO:
    """Opens a regular file for reading bytes.

    Raises:
        OSError: See `check_regular`; or it cannot be read.
    """
    check_regular(path)
    try:
        return open(path, "rb", opener=_open_without_waiting)
    except OSError as error:
        raise _file_error(type(error), path, (error.strerror or str(error)).lower()) from error


def _open_without_waiting(path, mode):
    # For a pipe that took the file's place just now.
    return os.open(path, mode | getattr(os, "O_NONBLOCK", 0))


def _file_error(kind, path, reason):
    error = kind(f"{os.fsdecode(path)}: {reason}.")
    error.strerror = reason
    return error


def sha256(path) -> str:
    """Returns the hexadecimal SHA-256 of a file."""
    return _hash(path, hashlib.sha256())


def git_blob_id(path) -> str:
    """Returns git's id of a file: sha1 of `"blob <size>"`, a zero byte and the content."""
    header = f"blob {check_regular(path).st_size}\0".encode()
    return _hash(path, hashlib.sha1(header, usedforsecurity=False))


def _hash(path, digest):
    with open_regular(path) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def temporary_name(path, suffix="", folder=None) -> Path:
    """Returns a new hidden name for a file, which `is_leftover` recognizes.

    A name that is too long for the additions is cut.

    Args:
        path: The file or folder to be written.
        suffix: End of the name, for writers that look at it.
        folder: Where the temporary file goes, on the same disk; None means beside `path`.
    """
    path = Path(path)
    folder = path.parent if folder is None else Path(folder)
    end = f".{secrets.token_hex(4)}.part{suffix}"
    room = _max_name_bytes(folder) - len(f".{end}")
    name = path.name
    while len(os.fsencode(name)) > room:
        name = name[:-1]
    return folder / f".{name}{end}"


def _max_name_bytes(folder):
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # a system without, or no such folder
        return MAX_NAME_BYTES


def is_leftover(path, name: str = ".+") -> bool:
    """Returns whether a path has a name that `temporary_name` gives to files of some names.

    Args:
        path: The file.
        name: Regular expression of the names of the files to be written.
    """
    match = _LEFTOVER.fullmatch(Path(path).name)
    return match is not None and re.fullmatch(name, match["name"]) is not None


def check_target(path, is_own: Callable[[Path], bool], inputs: Iterable = ()):
    """Checks that writing a file loses nothing of the user's: none is there, or one to be replaced.

    Args:
        path: The file to write.
        is_own: Function of a path to whether the file there was written by the same command.
        inputs: Paths that the command reads; they are found behind links and other spellings, too.

    Raises:
        FileExistsError: The file is an input, or is not the command's own.
    """
    path = Path(path)
    if any(_is_same_file(path, source) for source in inputs):
        raise FileExistsError(f"{path}: this command reads it. Name another file to write.")
    if os.path.lexists(path) and not (path.is_file() and is_own(path)):
        raise FileExistsError(
            f"{path}: exists already and was not written by this command. Name another file to "
            "write, or remove it."
        )


def _is_same_file(path, other):
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):  # one does not exist, or is no path
        return False


@contextlib.contextmanager
def atomic_write(path, suffix="", folder=None) -> Iterator[Path]:
    """Gives a temporary name that replaces `path` when the block ends without an error.

    Args:
        path: The file to write.
        suffix: End of the temporary name, for writers that look at it.
        folder: Where the temporary file goes, on the same disk; None means beside `path`.

    Yields:
        The temporary path. After an error or an interrupt it is removed and `path` is untouched.
    """
    temporary = temporary_name(path, suffix, folder)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path) -> Iterator[Path]:
    """Makes a temporary folder that is renamed to `path` when the block ends without an error.

    Args:
        path: The folder to make, in a folder that exists.

    Yields:
        The temporary folder. After an error or an interrupt it is removed.

    Raises:
        OSError: It cannot be made, or `path` is a folder with something in it.
    """
    temporary = temporary_name(path)
    try:
        temporary.mkdir()
        yield temporary
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def folder_lock(folder) -> Iterator[bool]:
    """Waits until no other process is in such a block for the same folder.

    Yields:
        Whether the file system has locks; without, the block is entered at once.
    """
    if not HAS_LOCKS:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            has_locks = True
        except OSError:
            has_locks = False
        yield has_locks
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def staging_dir(output_dir) -> Iterator[Path]:
    """Makes a folder in `output_dir` for half-written files, and removes those of killed jobs.

    A job holds a lock on a file in its folder, which the system releases however the job ends: a
    folder whose lock is free is nobody's.

    Args:
        output_dir: A folder that exists.

    Yields:
        Path of the folder, which is removed when the block ends.

    Raises:
        OSError: `output_dir` cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            # One job at a time looks and makes, so that no folder is seen before it is locked.
            with folder_lock(output_dir) as has_locks:
                for leftover in Path(output_dir).glob(f"{STAGING_PREFIX}*"):
                    _remove_if_abandoned(leftover, has_locks)
                folder = stack.enter_context(
                    tempfile.TemporaryDirectory(prefix=STAGING_PREFIX, dir=output_dir)
                )
                _try_lock(stack.enter_context(open(os.path.join(folder, STAGING_LOCK), "wb")))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OSError(f"{output_dir}: nothing can be written there: {reason}.") from error
        yield Path(folder)


def _remove_if_abandoned(folder, has_locks):
    # A folder that is gone already, or that belongs to somebody else, is left alone.
    with contextlib.suppress(OSError):
        if not has_locks:
            abandoned = folder.stat().st_mtime < time.time() - STAGING_LIFETIME
        elif (folder / STAGING_LOCK).exists():
            with open(folder / STAGING_LOCK, "rb+") as file:
                abandoned = _try_lock(file)
        else:
            abandoned = True  # its job was killed before it could lock it
        if abandoned:
            shutil.rmtree(folder)


def _try_lock(file):
    """Locks a file if nobody else does; returns whether it did."""
    if not HAS_LOCKS:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def ensure_disk_space(directory, size: int):
    """Checks that a file of some size can be written into a directory.

    For writers that do not survive a full disk: HDF5 ends the whole process with a segmentation
    fault, which leaves no time to say why or to clean up.

    Args:
        directory: Where the file is to be written.
        size: Bytes.

    Raises:
        OSError: There is less space, or the directory cannot be written.
    """
    try:
        if shutil.disk_usage(directory).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with tempfile.TemporaryFile(dir=directory) as file:
            _allocate(file, max(1, size))
    except OSError as error:
        raise OSError(
            f"{directory}: a file of {size / 1e6:.1f} MB cannot be written there "
            f"({error.strerror}). Nothing was changed."
        ) from error


def _allocate(file, size):
    """Takes space on the disk, where quotas and limits count too, if the system can."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except AttributeError:  # this system cannot
        return
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # this file system cannot
            raise
