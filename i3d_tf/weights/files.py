"""Whole files: their hashes, and writing them so that a half-written one is never seen."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
