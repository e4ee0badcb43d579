"""Whole files: their hashes, and writing them so that a half-written one is never seen."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

BLOCK = 1 << 20  # bytes


def sha256(path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return _hash(path, hashlib.sha256())


def git_blob_id(path) -> str:
    """The id git gives a file's content: sha1 of `"blob <size>" + a zero byte` and the content."""
    header = f"blob {os.path.getsize(path)}\0".encode()
    return _hash(path, hashlib.sha1(header, usedforsecurity=False))


def _hash(path, digest):
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def replaced_when_whole(path, suffix="") -> Iterator[Path]:
    """A temporary name beside `path` that takes its place when the block ends without an error.

    Args:
        path: The file to write.
        suffix: What the temporary name must end with (some writers look at it).

    Yields:
        The temporary path. After an error or an interrupt it is removed and `path` is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part{suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_room(directory, size: int):
    """Raises OSError unless a file of `size` bytes can be written into a directory.

    For writers that do not survive a full disk: HDF5 ends the whole process with a segmentation
    fault, which leaves no time to say why or to clean up.
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
    """Takes room on the disk, which heeds quotas and limits too, where the system can."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except AttributeError:  # this system cannot
        return
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # this file system cannot
            raise


try:
    import fcntl
except ImportError:  # Windows: what a killed job left is known by its age
    fcntl = None

PREFIX = ".unfinished-"
LOCK = "lock"
ABANDONED = 7 * 86400  # seconds after which a folder is a killed job's where there are no locks


@contextlib.contextmanager
def unfinished_folder(output_dir):
    """Makes a folder in `output_dir` for what is half-written, and removes those of killed jobs.

    A job holds a lock on a file in its folder, which the system takes away when the job ends in
    whatever way: a folder whose lock can be had is nobody's.

    Args:
        output_dir: A folder that exists.

    Yields:
        Path of the folder, which is gone when the block is left.

    Raises:
        OSError: Nothing can be written there.
    """
    with contextlib.ExitStack() as stack:
        try:
            # One job at a time looks and makes, so that no folder is seen before it is locked.
            with _one_at_a_time(output_dir) as locks:
                for leftover in Path(output_dir).glob(f"{PREFIX}*"):
                    _remove_if_abandoned(leftover, locks)
                folder = stack.enter_context(TemporaryDirectory(prefix=PREFIX, dir=output_dir))
                _lock(stack.enter_context(open(os.path.join(folder, LOCK), "wb")))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OSError(f"{output_dir}: nothing can be written there: {reason}.") from error
        yield Path(folder)


@contextlib.contextmanager
def _one_at_a_time(folder):
    """Waits until no other job is in this block; yields whether there are locks."""
    if fcntl is None:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            locks = True
        except OSError:  # this file system has none
            locks = False
        yield locks
    finally:
        os.close(descriptor)


def _remove_if_abandoned(folder, locks):
    # One that is gone already, or not ours to remove, is left alone.
    with contextlib.suppress(OSError):
        if not locks:
            abandoned = folder.stat().st_mtime < time.time() - ABANDONED
        elif (folder / LOCK).exists():
            with open(folder / LOCK, "rb+") as file:
                abandoned = _lock(file)
        else:
            abandoned = True  # its job was killed before it could lock it
        if abandoned:
            shutil.rmtree(folder)


def _lock(file):
    """Whether the lock could be had."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
