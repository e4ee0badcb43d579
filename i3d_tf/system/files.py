"""Files that are safe to open; files and folders that appear whole or not at all; locks; hashes.

What is half-written lies in a hidden staging folder beside its target, on which its process holds a
lock. A killed process leaves the folder behind, with a free lock: whatever writes beside it next
removes it. Where several machines share a folder, locks may not reach from one to the other: what
another machine left is removed when it is a week old.
"""

import contextlib
import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, BinaryIO

try:
    import fcntl

    HAS_LOCKS = True
except ImportError:  # Windows has no such locks
    HAS_LOCKS = False

BLOCK_BYTES = 1 << 20
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # the second on Windows
MAX_NAME_BYTES = 255  # of a file, where the system does not say
STAGING_PREFIX = ".unfinished-"
STAGING_LOCK = "lock"
# Seconds after which a staging folder is a killed job's, where no lock says so: there are none, or
# another machine holds it, which the file system need not know.
STAGING_LIFETIME = 7 * 86400
BOOT_ID = "/proc/sys/kernel/random/boot_id"  # of Linux: one for each kernel that runs
MAX_MACHINE_ID = 256  # bytes

_STAGING_NAME = re.compile(re.escape(STAGING_PREFIX) + "[a-z0-9_]{8}")


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
    except ValueError as error:  # a zero byte, or what is no text
        raise _file_error(FileNotFoundError, path, "no file can have this name") from error
    except OSError as error:
        raise _system_error(path, error) from error
    return _check_mode(path, found)


def open_regular(path) -> BinaryIO:
    """Opens a regular file for reading bytes.

    Raises:
        OSError: See `check_regular`; or it cannot be read.
    """
    check_regular(path)
    try:
        # Without waiting, for a pipe that took the file's place just now.
        file = os.fdopen(os.open(path, os.O_RDONLY | _NO_WAITING), "rb")
    except OSError as error:
        raise _system_error(path, error) from error
    try:
        _check_mode(path, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _check_mode(path, found):
    if stat.S_ISDIR(found.st_mode):
        raise _file_error(IsADirectoryError, path, "it is a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise _file_error(OSError, path, "it is not a regular file")
    return found


def _system_error(path, error):
    """Returns an error of the system with the file as its subject."""
    return _file_error(type(error), path, (error.strerror or str(error)).lower())


def _file_error(kind, path, reason):
    error = kind(f"{os.fsdecode(path)}: {reason.removesuffix(' or directory')}.")
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


def path_problem(path) -> str | None:
    """Returns why there can be no file of a path, which need not exist; None where there can."""
    path = os.fspath(path)
    try:
        longest = max(len(os.fsencode(name)) for name in path.split(os.sep))
        os.lstat(path)
    except ValueError:  # a zero byte, or what is no text
        return "no file can have this name"
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG and longest <= MAX_NAME_BYTES:
            return f"its path has {len(os.fsencode(path))} bytes, which is too long"
    if longest > MAX_NAME_BYTES:  # where a folder is missing, the system does not look at the name
        return f"its name has {longest} bytes, which is too long"
    return None


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
        folder: Where the temporary file goes, a job's staging folder on the same disk; None means
            a staging folder of its own beside `path`.

    Yields:
        The temporary path. After an error or an interrupt it is removed and `path` is untouched.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(_staging_beside(path))
        temporary = Path(folder) / f"{secrets.token_hex(8)}{suffix}"
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
    with _staging_beside(path) as staging:
        temporary = staging / "folder"
        temporary.mkdir()
        yield temporary
        os.rename(temporary, path)


@contextlib.contextmanager
def folder_lock(folder, wait: bool = True) -> Iterator[bool]:
    """Keeps other processes out of such a block for the same folder.

    The system releases the lock however the process ends.

    Args:
        folder: A folder that exists.
        wait: Whether to wait until no other process is in such a block, rather than to fail.

    Yields:
        Whether the file system has locks; without, the block is entered at once.

    Raises:
        BlockingIOError: Another process is in such a block, and `wait` is False.
    """
    if not HAS_LOCKS:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            has_locks = True
        except BlockingIOError as error:
            raise BlockingIOError(
                f"{folder}: another process is writing into this folder. Wait until it has ended, "
                "or name another folder."
            ) from error
        except OSError:
            has_locks = False
        yield has_locks
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def staging_dir(output_dir) -> Iterator[Path]:
    """Makes a folder in `output_dir` for half-written files, and removes those of killed jobs.

    A job holds a lock on a file in its folder, which the system releases however the job ends: a
    folder whose lock is free is nobody's. Where there are no locks, one that is a week old is.

    Args:
        output_dir: A folder that exists.

    Yields:
        Path of the folder, which is removed when the block ends.

    Raises:
        OSError: `output_dir` cannot be written.
    """
    try:
        staging = _make_staging_dir(output_dir)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OSError(f"{output_dir}: nothing can be written there: {reason}.") from error
    with staging as folder:
        yield folder


def remove_abandoned(output_dir) -> None:
    """Removes the staging folders of killed jobs from a folder, as every writer into it does.

    Args:
        output_dir: The folder; nothing happens if it does not exist or cannot be read.
    """
    try:
        with os.scandir(output_dir) as entries:
            folders = [
                Path(output_dir, entry.name)
                for entry in entries
                if _STAGING_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return
    for folder in folders:
        # One that is gone already, or that belongs to somebody else, is left alone.
        with contextlib.suppress(OSError):
            _remove_if_abandoned(folder)


@contextlib.contextmanager
def _staging_beside(path):
    """Makes a staging folder in a file's folder; an error that prevents it has the file's name."""
    try:
        staging = _make_staging_dir(Path(path).parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    with staging as folder:
        yield folder


def _make_staging_dir(output_dir):
    """Makes a staging folder and locks it; returns the context in which it is kept."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=output_dir))
        # Until it is locked, another job may take it for an abandoned one and remove it.
        try:
            lock = open(folder / STAGING_LOCK, "xb")  # noqa: SIM115 - closed with the folder
        except FileNotFoundError:
            continue
        except OSError:  # such as a full disk
            folder.rmdir()
            raise
        with contextlib.suppress(OSError):  # such as a full disk
            os.write(lock.fileno(), machine_id())
        locked = try_lock(lock)
        if locked is None or (locked and _is_open_file(lock, folder / STAGING_LOCK)):
            return _kept(folder, lock, has_locks=locked is not None)
        lock.close()


@contextlib.contextmanager
def _kept(folder, lock, has_locks):
    """Removes abandoned folders beside a staging folder, and at the end the folder itself."""
    try:
        remove_abandoned(folder.parent)
        yield folder
    finally:
        if not has_locks:
            lock.close()  # Windows removes no open file
        with contextlib.suppress(OSError):  # such as gone, together with its parent
            _remove_staging_dir(folder)
        lock.close()


def _remove_if_abandoned(folder):
    path = folder / STAGING_LOCK
    if not os.path.lexists(path):
        folder.rmdir()  # killed before there was a lock; with anything in it, it is no job's
        return
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return
    is_old = folder.stat().st_mtime < time.time() - STAGING_LIFETIME
    with open(path, "rb+") as lock:
        locked = try_lock(lock)
        is_own = lock.read(MAX_MACHINE_ID) in (b"", machine_id())  # empty: of earlier versions
        is_unused = is_old if locked is None or not is_own else True
        if locked is not False and is_unused and _is_open_file(lock, path):
            # A worker that outlives its killed job for a moment finds no folder to write to.
            renamed = folder.with_name(f"{STAGING_PREFIX}{secrets.token_hex(4)}")
            os.rename(folder, renamed)
            _remove_staging_dir(renamed)


def _remove_staging_dir(folder):
    """Removes a staging folder, and its lock last, by which others know it if this is killed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            elif entry.name != STAGING_LOCK:
                os.unlink(entry.path)
    (folder / STAGING_LOCK).unlink(missing_ok=True)
    folder.rmdir()


@lru_cache(maxsize=1)
def machine_id() -> bytes:
    """Returns what tells this machine from others that may share a folder with it."""
    try:
        with open(BOOT_ID, "rb") as file:
            return file.read(MAX_MACHINE_ID).strip()
    except OSError:
        return platform.node().encode("utf-8", "replace")[:MAX_MACHINE_ID]


def try_lock(file: IO) -> bool | None:
    """Locks an open file until it is closed.

    Returns:
        True; False if another process has locked it; None where there are no locks.
    """
    if not HAS_LOCKS:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_open_file(file, path):
    """Returns whether a path leads to an open file, rather than to a later one or to none."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


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
