"""A guard before the page: refuses foreign requests and large uploads, and forbids outside loads.

The library of the page can fetch addresses for its visitors and serve other programs through
itself; none of this is used here, so everything but what the page needs is refused.
"""

import asyncio
import json
import posixpath
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from i3d_tf.web.uploads import MEGABYTE, UPLOADS_KEPT, Limits, held_bytes

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104
UPLOAD, API, JOIN = "/gradio_api/upload", "/api/", "/gradio_api/queue/join"
# What the page needs besides itself; a name that ends in a slash means all below it.
PATHS = (
    "/config",
    "/theme.css",
    "/favicon.ico",
    "/robots.txt",
    "/manifest.json",
    "/assets/",
    "/static/",
    "/svelte/",
    "/gradio_api/info",
    "/gradio_api/app_id",
    "/gradio_api/startup-events",
    "/gradio_api/heartbeat/",
    "/gradio_api/theme.css",
    "/gradio_api/upload_progress",
    "/gradio_api/queue/",
    "/gradio_api/cancel",
    "/gradio_api/reset",
    "/gradio_api/file=/",
    UPLOAD,
    API,
)
UPLOADED_AT_ONCE = 4  # of the largest size: the videos of a set come in one request
MAX_MESSAGE = MEGABYTE  # bytes of any other request
HEADERS = {
    # Whatever a page holds, a browser loads nothing from elsewhere.
    "content-security-policy": (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Guard:
    """An ASGI application before another.

    Args:
        app: The other.
        limits: Limits of the videos.
        folder: The folder of the uploads.
        host: Address that the server listens at.
    """

    def __init__(self, app: Any, limits: Limits, folder: Path, host: str):
        self._app, self._limits, self._folder = app, limits, folder
        self._hosts = None if host in EVERYWHERE else {host.lower(), *LOOPBACK}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it before its body is read."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refusal = self.refusal(scope)
        if refusal is None and scope["path"] == JOIN:
            body = await _read(receive)
            refusal = self._data_refusal(body)
            receive = _replay(body, receive)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        started: list[bool] = []
        try:
            await self._app(scope, receive, _with_headers(send, started))
        except asyncio.CancelledError:  # the server is stopped
            if not started:
                await _refuse(send, 503, "the server was stopped.")

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Returns the status and the reason why a request is refused; None where it is not."""
        path, method = scope["path"], scope["method"]
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        host = headers.get("host", "")
        if self._hosts is not None and (urlsplit(f"//{host}").hostname or "") not in self._hosts:
            return 421, f"this page is not at {host!r}. Use the address that the server printed."
        if (origin := headers.get("origin")) and urlsplit(origin).netloc != host:
            return 403, "requests from other pages are refused."
        if not _is_known(path):
            return 404, "there is no such page."
        return self._body_refusal(path, headers) if method not in ("GET", "HEAD") else None

    def _body_refusal(self, path, headers):
        size = headers.get("content-length", "")
        if not size.isdecimal() or "transfer-encoding" in headers:
            return (
                411,
                "the request does not say its size (Content-Length). Send a file, not a pipe.",
            )
        is_upload = path == UPLOAD
        if is_upload or path.startswith(API):
            problem = self._limits.size_problem(int(size))
            if is_upload and int(size) <= UPLOADED_AT_ONCE * self._limits.max_bytes:
                problem = None  # of several files; each is counted while it comes
            if problem is not None:
                return 413, f"the upload is too large: {problem}."
            if int(size) + held_bytes(self._folder) > UPLOADS_KEPT * self._limits.max_bytes:
                return 507, "the server holds too many videos now. Try again in half an hour."
        elif int(size) > MAX_MESSAGE:
            return 413, f"the request has {size} bytes; at most {MAX_MESSAGE} are taken."
        return None

    def _data_refusal(self, body):
        """Returns why the data of a job are refused: a file must be one that was uploaded."""
        try:
            paths = list(_paths(json.loads(body)))
        except (ValueError, RecursionError):
            return 400, "the request is not JSON."
        for path in paths:
            if not isinstance(path, str) or not Path(path).resolve().is_relative_to(self._folder):
                return 403, "a file of the request was not uploaded here. Upload it."
        return None


def _is_known(path):
    if path == "/":
        return True
    if posixpath.normpath(path) != path.rstrip("/"):
        return False
    return any(path.startswith(known) if known.endswith("/") else path == known for known in PATHS)


def _paths(value: Any) -> Iterator[Any]:
    """Yields the values of all names "path" in JSON."""
    if isinstance(value, dict):
        if value.get("path") is not None:
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _paths(part)


async def _read(receive):
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(parts)


def _replay(body, receive):
    """Returns a function that gives a body that was read already, and then what comes after it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed():
        return waiting.pop() if waiting else await receive()

    return replayed


def _with_headers(send, started):
    """Returns a function that sends our headers, too, and notes in a list that an answer starts."""

    async def with_headers(message):
        if message["type"] == "http.response.start":
            started.append(True)
            names = {name.encode() for name in HEADERS}
            kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in names]
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*kept, *added]}
        await send(message)

    return with_headers


async def _refuse(send, status, reason):
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
