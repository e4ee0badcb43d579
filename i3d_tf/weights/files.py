"""Whole files: their hashes, and writing them so that a half-written one is never seen."""

import contextlib
import hashlib
import os
import secrets
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
