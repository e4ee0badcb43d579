"""Resumable downloads of the upstream repository's files, verified before they get their name."""

import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from i3d_tf.specs.releases import UPSTREAM_URL, UpstreamFile
from i3d_tf.system.files import BLOCK_BYTES, git_blob_id
from i3d_tf.weights.assign import WeightsError

MAX_ATTEMPTS = 4
SCHEMES = ("http://", "https://", "file://")


def download(
    file: UpstreamFile,
    directory: os.PathLike | str,
    base_url: str = UPSTREAM_URL,
    progress: Callable[[int, int | None], object] | None = None,
) -> Path:
    """Downloads one upstream file, unless it exists already.

    Bytes that have arrived stay in `<name>.part`, so that an interrupted download continues there.
    The file gets its name only when its size and its git blob id are the published ones.

    Args:
        file: The file to fetch.
        directory: Folder of the result, which keeps the file's own name; made if need be.
        base_url: URL that `file.path` is appended to: http, https or file.
        progress: Called with (bytes so far, all bytes or None) as they arrive.

    Returns:
        Path of the verified file.

    Raises:
        WeightsError: The file cannot be fetched, or is not the published one.
    """
    if not base_url.startswith(SCHEMES):
        raise WeightsError(f"`base_url` must start with one of {SCHEMES}; received {base_url!r}.")
    target = Path(directory) / Path(file.path).name
    if target.is_file() and git_blob_id(target) == file.blob:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    url = f"{base_url.rstrip('/')}/{file.path}"
    _fetch_with_retries(url, part, file, progress or (lambda done, total: None))
    _verify(part, file, url)
    part.replace(target)
    return target


def _fetch_with_retries(url, part, file, progress):
    for attempt in range(MAX_ATTEMPTS):
        try:
            _fetch(url, part, file, progress)
            return
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:  # all of it is there
                return
            if error.code < 500 or attempt == MAX_ATTEMPTS - 1:
                raise WeightsError(
                    f"{url}: the server replied {error.code} {error.reason}."
                ) from error
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            ConnectionError,
            TimeoutError,
        ) as error:
            if attempt == MAX_ATTEMPTS - 1:
                reason = getattr(error, "reason", error)
                raise WeightsError(
                    f"{url}: cannot be fetched ({reason}). Run the command again to continue, name "
                    "another place with --base_url, or fetch the files yourself and name their "
                    "folder with --source."
                ) from error
        time.sleep(2**attempt / 4)


def _fetch(url, part, file, progress):
    """Appends the missing bytes of `url` to `part`."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)  # noqa: S310 - the scheme was checked
    if done:
        request.add_header("Range", f"bytes={done}-")
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
        if getattr(reply, "status", None) != http.client.PARTIAL_CONTENT:
            done = 0  # the server sends everything
        length = reply.headers.get("Content-Length")
        total = file.size or (int(length) + done if length else None)
        with open(part, "ab" if done else "wb") as output:
            while block := reply.read(BLOCK_BYTES):
                done += len(block)
                output.write(block)
                progress(done, total)
                if file.size is not None and done > file.size:
                    break  # another file; `_verify` raises
        if total is not None and done < total:
            raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def _verify(part, file, url):
    size = part.stat().st_size
    if file.size is not None and size != file.size:
        part.unlink()
        raise WeightsError(
            f"{url}: {size:,} bytes{' or more' if size > file.size else ''}; {file.size:,} were "
            "published. Nothing was kept."
        )
    found = git_blob_id(part)
    if found != file.blob:
        part.unlink()
        raise WeightsError(
            f"{url}: not the published file (git blob id {found}, published {file.blob}). "
            "Nothing was kept; run the command again."
        )
