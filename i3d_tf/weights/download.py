"""Resumable downloads of files that are known by size and hash, verified before they get a name."""

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from i3d_tf.specs.releases import UPSTREAM_URL, UpstreamFile
from i3d_tf.system.files import BLOCK_BYTES, check_regular, ensure_disk_space, git_blob_id
from i3d_tf.weights.assign import WeightsError

MAX_ATTEMPTS = 4
# A machine without a network gets its error at once, not after long waits.
MAX_CONNECT_ATTEMPTS = 2
CONNECT_SECONDS = 5
READ_SECONDS = 30
SCHEMES = ("http://", "https://", "file://")

Progress = Callable[[int, int | None], object]


class DownloadError(WeightsError):
    """An error in a download: the file cannot be reached, or is another one."""


class Opener(Protocol):
    """Whatever opens addresses, such as an opener of `urllib.request`."""

    def open(self, request: urllib.request.Request, /, *, timeout: float) -> Any:
        """Returns the reply to a request."""


class Digest(NamedTuple):
    """The hash that a file must have.

    Attributes:
        title: Name of the hash, for messages.
        compute: Function of a path.
        value: The result for the published file.
    """

    title: str
    compute: Callable[[Path], str]
    value: str


def download(
    file: UpstreamFile,
    directory: os.PathLike | str,
    base_url: str = UPSTREAM_URL,
    progress: Progress | None = None,
) -> Path:
    """Downloads one upstream file, unless it is there already; see `download_file`.

    Args:
        file: The file to fetch.
        directory: Folder of the result, which keeps the file's own name; made if need be.
        base_url: URL that `file.path` is appended to: http, https or file.
        progress: See `download_file`.

    Returns:
        Path of the verified file.

    Raises:
        DownloadError: See `download_file`.
    """
    if not base_url.startswith(SCHEMES):
        raise DownloadError(f"`base_url` must start with one of {SCHEMES}; received {base_url!r}.")
    target = Path(directory) / Path(file.path).name
    url = f"{base_url.rstrip('/')}/{file.path}"
    digest = Digest("git blob id", git_blob_id, file.blob)
    return download_file(url, target, file.size, digest, progress)


def download_file(
    url: str,
    target: os.PathLike | str,
    size: int | None,
    digest: Digest,
    progress: Progress | None = None,
    opener: Opener | None = None,
) -> Path:
    """Downloads a file that is known by its hash, unless it is there already.

    Bytes that have arrived stay in `<name>.part`, so that an interrupted download continues there.
    The file gets its name only when its size and its hash are the published ones.

    Args:
        url: Address of the file: http, https or file.
        target: Path of the result; its folder is made if need be.
        size: Bytes; None if unknown.
        digest: The hash that it must have.
        progress: Called with (bytes so far, all bytes or None) as they arrive.
        opener: Opens the address; None means `make_opener()`.

    Returns:
        `target`.

    Raises:
        DownloadError: The file cannot be fetched, or is not the published one.
        OSError: It cannot be written.
    """
    target = Path(target)
    if target.is_file() and digest.compute(target) == digest.value:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    if size is not None:
        ensure_disk_space(target.parent, max(0, size - _size_of(part)))
    progress = progress or (lambda done, total: None)
    _fetch_with_retries(opener or make_opener(), url, part, size, progress)
    _verify(part, size, digest, url)
    part.replace(target)
    return target


def make_opener(
    certificates: str | None = None, proxy: str | None = None
) -> urllib.request.OpenerDirector:
    """Returns an opener of addresses that gives up soon where there is no network.

    Args:
        certificates: File of certificate authorities; None means the system's, or those of the
            environment variable SSL_CERT_FILE.
        proxy: Address of a proxy; None means those of the environment.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=certificates)
    except OSError as error:
        raise OSError(
            f"{certificates}: certificates cannot be read ({error.strerror or error})."
        ) from error
    proxies = None if proxy is None else {"http": proxy, "https": proxy}
    return urllib.request.build_opener(
        _HTTPHandler(), _HTTPSHandler(context), urllib.request.ProxyHandler(proxies)
    )


def _size_of(path):
    return check_regular(path).st_size if path.exists() else 0


class _HTTPConnection(http.client.HTTPConnection):
    def connect(self):
        super().connect()
        self.sock.settimeout(READ_SECONDS)


class _HTTPSConnection(http.client.HTTPSConnection):
    def connect(self):
        super().connect()
        self.sock.settimeout(READ_SECONDS)


class _HTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, request):
        return self.do_open(_HTTPConnection, request)


class _HTTPSHandler(urllib.request.HTTPSHandler):
    def __init__(self, context):
        super().__init__(context=context)
        self._certificates = context

    def https_open(self, request):
        return self.do_open(_HTTPSConnection, request, context=self._certificates)


def _fetch_with_retries(opener, url, part, size, progress):
    connect_attempts = 0
    for attempt in range(1, MAX_ATTEMPTS + 1):
        is_last = attempt == MAX_ATTEMPTS
        try:
            _fetch(opener, url, part, size, progress)
            return
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:  # all of it is there
                return
            if error.code < 500 or is_last:
                raise DownloadError(
                    f"{url}: the server replied {error.code} {error.reason}."
                ) from error
        except urllib.error.URLError as error:  # no connection
            connect_attempts += 1
            if is_last or connect_attempts == MAX_CONNECT_ATTEMPTS:
                raise _unreachable(url, error) from error
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            if is_last:
                raise _unreachable(url, error) from error
        time.sleep(2**attempt / 8)


def _unreachable(url, error):
    reason = getattr(error, "reason", error)
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return DownloadError(f"{url}: cannot be fetched ({' '.join(str(text).split())}).")


def _fetch(opener, url, part, size, progress):
    """Appends the missing bytes of `url` to `part`."""
    done = _size_of(part)
    request = urllib.request.Request(url)  # noqa: S310 - the callers check the scheme
    if done:
        request.add_header("Range", f"bytes={done}-")
    with opener.open(request, timeout=CONNECT_SECONDS) as reply:
        if getattr(reply, "status", None) != http.client.PARTIAL_CONTENT:
            done = 0  # the server sends everything
        length = reply.headers.get("Content-Length")
        total = size or (int(length) + done if length else None)
        with open(part, "ab" if done else "wb") as output:
            while block := reply.read(BLOCK_BYTES):
                done += len(block)
                output.write(block)
                progress(done, total)
                if size is not None and done > size:
                    break  # another file; `_verify` raises
        if total is not None and done < total:
            raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def _verify(part, size, digest, url):
    found_size = part.stat().st_size
    if size is not None and found_size != size:
        part.unlink()
        raise DownloadError(
            f"{url}: {found_size:,} bytes{' or more' if found_size > size else ''}; {size:,} were "
            "published. Nothing was kept."
        )
    found = digest.compute(part)
    if found != digest.value:
        part.unlink()
        raise DownloadError(
            f"{url}: not the published file ({digest.title} {found}, published {digest.value}). "
            "Nothing was kept; run the command again."
        )
