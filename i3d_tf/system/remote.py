"""Files at addresses, `scheme://...`: the one place that reads and writes what is not local.

gs:// goes through tf.io.gfile, everything else through fsspec: s3:// needs s3fs, https:// aiohttp,
and so on (`pip install 'i3d_tf[remote]'`). Credentials, regions and endpoints are those of the
environment, as with the tools of the storage's vendor.

A cut connection is tried again a few times. What is wrong with one file is a `RemoteFileError`,
and other files go on; no access at all is a `RemoteAccessError`, which ends a job.
"""

import contextlib
import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from i3d_tf.system.errors import UserError, short_reason
from i3d_tf.system.files import ensure_disk_space, path_problem, staging_dir
from i3d_tf.system.remote_stores import (
    SEPARATOR,
    RemoteAccessError,
    Store,
    TransferError,
    open_store,
)

WEB = ("http://", "https://")
MAX_COPY_BYTES = 2**36  # of a video that is copied to this machine
ATTEMPTS = 4
PAUSE = 1.0  # seconds before the second attempt; twice as long before each later one
MAX_CAUSES = 8

# Names of errors of credentials that are missing, wrong or too old, and codes of S3's.
_NO_ACCESS = re.compile(
    "Credential|Authenticat|Unauthorized|ProfileNotFound|RefreshError|TokenRetrieval|^SSO"
)
_NO_ACCESS_CODES = re.compile(
    r"\((InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|RequestTimeTooSkewed"
    r"|InvalidClientTokenId)\)"
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # of this machine's disk
Result = TypeVar("Result")


class RemoteFileError(UserError, OSError):
    """A file at an address that cannot be read or written; others may be.

    Attributes:
        address: The address.
        reason: What is wrong with it, in words.
    """

    def __init__(self, address: str, reason: str):
        super().__init__(address, reason)
        self.address, self.reason = address, reason
        self.errno = None  # which OSError takes from its arguments

    def __str__(self):
        return f"{self.address}: {self.reason}"

    def reason_for(self, source: str) -> str:
        """Returns the reason alone if the error is about this source, else the whole message."""
        return self.reason if source == self.address else str(self)


def is_remote(path: Any) -> bool:
    """Returns whether a path is an address."""
    return SEPARATOR in os.fspath(path) if isinstance(path, str | os.PathLike) else False


def check_local(name: str, path: Any) -> None:
    """Refuses an address where only a path on this machine will do; None is no path.

    Raises:
        ValueError: It is an address; the message has the name of the argument.
    """
    if is_remote(path):
        raise ValueError(f"`{name}` must be on this machine; received {os.fspath(path)}.")


def as_path(path: str) -> Path | str:
    """Returns a `Path`; of an address, the address, of which `Path` would lose a slash."""
    return path if is_remote(path) else Path(path)


def file_name(path: os.PathLike | str) -> str:
    """Returns the name of a file without folders, and of https:// without what follows a "?"."""
    text = os.fspath(path)
    return os.path.basename(text.partition("?")[0] if text.startswith(WEB) else text)


def path_of(address: Path | str) -> str:
    """Returns an address without its scheme: a path that no other address of the scheme has.

    Raises:
        ValueError: The path would not be the same on this machine, for ".." or "//" in it.
    """
    path = str(address).partition(SEPARATOR)[2]
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise ValueError(f"{address}: an address to write to must have no '//', '.' or '..' in it.")
    return path


def file_info(address: str) -> tuple[int, int] | None:
    """Returns a file's bytes and the time of its last change in ns; None where there is no file."""
    return _run(address, lambda store: store.info())


def is_folder(address: str) -> bool:
    """Returns whether there is a folder, or anything below a prefix."""
    return _run(address, lambda store: store.is_folder())


def entries(address: str) -> tuple[list[str], list[str]] | None:
    """Returns the names of the folders and of the files in a folder; None where there is none."""
    return _run(address, lambda store: store.entries())


def files_below(address: str) -> list[str]:
    """Returns the paths of all files below a folder, relative to it; none where there is none."""
    return _run(address, lambda store: store.files_below())


def read_bytes(address: str, max_bytes: int) -> bytes:
    """Reads a file whole.

    Raises:
        RemoteFileError: It cannot be read, or has more than `max_bytes`.
        RemoteAccessError: There is no access.
    """
    size = _known_size(address, max_bytes)

    def read(store):
        content = store.read()
        _check_length(len(content), size)
        return content

    return _run(address, read)


def write_bytes(address: str, content: bytes) -> None:
    """Writes a file, which appears whole.

    Raises:
        RemoteFileError: It cannot be written.
        RemoteAccessError: There is no access.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(content)
        upload(path, address)


def remove(address: str) -> None:
    """Removes a file; nothing happens where there is none."""
    with contextlib.suppress(RemoteFileError):
        _run(address, lambda store: store.remove())


def download(address: str, path: os.PathLike | str, max_bytes: int = MAX_COPY_BYTES) -> None:
    """Copies a file to this machine.

    Args:
        address: The file.
        path: The copy, in a folder that exists.
        max_bytes: Bytes that it may have.

    Raises:
        RemoteFileError: There is no such file, it is too large, or there is no space for it, or the
            connection was cut every time.
        RemoteAccessError: There is no access.
    """
    size, copy = _known_size(address, max_bytes), Path(path)
    try:
        ensure_disk_space(copy.parent, size)
    except OSError as error:
        raise RemoteFileError(
            address, f"there is no space for its {size / 1e6:.1f} MB in {copy.parent}"
        ) from error

    def get(store):
        store.get(copy)
        _check_length(copy.stat().st_size, size)

    _run(address, get)


def upload(path: os.PathLike | str, address: str) -> None:
    """Copies a file of this machine to an address, where it appears whole.

    Raises:
        RemoteFileError: The connection was cut every time.
        RemoteAccessError: There is no access.
        OSError: It cannot be written for another reason, which holds for other files, too.
    """
    try:
        _run(address, lambda store: store.put(Path(path)))
    except RemoteFileError as error:
        if isinstance(error.__cause__, FileNotFoundError | PermissionError):
            raise OSError(f"{address}: it cannot be written: {error.reason}.") from error
        raise


@contextlib.contextmanager
def copies_folder(paths: Iterable[os.PathLike | str]) -> Iterator[Path | None]:
    """Makes a folder on this machine for copies of remote files; None where no path is an address.

    It is in the folder of temporary files (TMPDIR), and is removed when the block ends, by whatever
    error or signal; what a killed job leaves, the next one on the machine removes.
    """
    if not any(map(is_remote, paths)):
        yield None
        return
    with staging_dir(tempfile.gettempdir()) as folder:
        yield folder


@contextlib.contextmanager
def local_copy(address: str, folder: os.PathLike | str | None) -> Iterator[str]:
    """Gives a copy of a remote file on this machine for the time of the block.

    Args:
        address: A path, which is given as it is, or an address.
        folder: See `copies_folder`.

    Raises:
        RemoteFileError: See `download`.
        RemoteAccessError: See `download`.
    """
    if not is_remote(address):
        yield address
        return
    place = tempfile.mkdtemp(dir=folder)
    try:
        path = os.path.join(place, file_name(address))
        if problem := path_problem(path):
            raise RemoteFileError(address, f"it cannot be copied to this machine: {problem}")
        download(address, path)
        yield path
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _known_size(address, max_bytes):
    found = file_info(address)
    if found is None:
        raise RemoteFileError(address, "there is no such file")
    if found[0] > max_bytes:
        raise RemoteFileError(address, f"it has {found[0]} bytes; at most {max_bytes} are read")
    return found[0]


def _check_length(found, size):
    if found != size:
        raise TransferError(f"{found} of {size} bytes came")


_reached: set[tuple[str, str]] = set()  # scheme and host of what this process has read or written


def _run(address: str, operation: Callable[[Store], Result]) -> Result:
    """Does something with an address, several times if the connection is cut."""
    store = open_store(address)
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            result = operation(store)
        except Exception as error:
            final = _final_error(error, store)
            if final is error:
                raise
            if final is not None:
                raise final from error
            last = error
        else:
            _reached.add(_place(address))
            return result
    raise RemoteFileError(
        address, f"the connection failed {ATTEMPTS} times: {short_reason(last)}"
    ) from last


def _final_error(error, store):
    """Returns what an error is, in words; None for what another attempt may not meet."""
    address, reason = store.address, short_reason(error)
    if isinstance(error, FileNotFoundError):
        return RemoteFileError(address, f"there is no such file ({reason})")
    if _is_refused(error):
        if _place(address) in _reached and not _has_no_credentials(error):
            return RemoteFileError(address, f"access denied: {reason}")
        return RemoteAccessError(
            f"{address}: access denied: {reason}. Check the credentials{store.credentials_hint}, "
            "and that they are for this place."
        )
    is_own = isinstance(error, UserError | RemoteAccessError)
    return error if is_own or _is_local_fault(error) else None


def _place(address):
    scheme, _, rest = address.partition(SEPARATOR)
    return scheme, rest.partition("/")[0]


def _is_refused(error):
    """Returns whether a storage says no, or cannot tell who asks."""
    return _has_no_credentials(error) or (
        isinstance(error, PermissionError) and error.filename is None
    )


def _has_no_credentials(error):
    """Returns whether an error, or one behind it, is of the credentials and not of a file."""
    for _ in range(MAX_CAUSES):
        if error is None:
            break
        if _NO_ACCESS.search(type(error).__name__) or _NO_ACCESS_CODES.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_local_fault(error):
    """Returns whether an error is of a file on this machine, such as of a full disk."""
    return isinstance(error, OSError) and (error.filename is not None or error.errno in _FULL)
