"""The JSON interface for scripts: a video is the body of a request."""

import functools
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from i3d_tf.specs.validation import check_choice
from i3d_tf.video.errors import VideoError
from i3d_tf.web.failures import EXPECTED, failure_line
from i3d_tf.web.jobs import Jobs
from i3d_tf.web.uploads import safe_name

MAX_WAITING = 8


class JsonInterface:
    """Routes of the JSON interface.

    Args:
        jobs: The jobs.
        lock: Held while a job runs.
        folder: Folder of the videos while they are read.
    """

    def __init__(self, jobs: Jobs, lock: threading.Lock, folder: Path):
        self._jobs, self._lock, self._folder = jobs, lock, folder
        self._waiting = 0
        self._threads: CapacityLimiter | None = None

    def routes(self) -> list[Route]:
        """Returns GET /api/networks, POST /api/predict and POST /api/backwards."""
        jobs = self._jobs
        return [
            Route("/api/networks", self._networks, methods=["GET"]),
            Route("/api/predict", functools.partial(self._run, jobs.recognize), methods=["POST"]),
            Route(
                "/api/backwards",
                functools.partial(self._run, jobs.play_backwards),
                methods=["POST"],
            ),
        ]

    async def _networks(self, request: Request) -> JSONResponse:
        offered = self._jobs.shelf.offered.values()
        rows = [{"name": network.name, "stream": network.stream} for network in offered]
        return JSONResponse({"networks": rows})

    async def _run(self, job: Callable[..., Any], request: Request) -> JSONResponse:
        if self._waiting >= MAX_WAITING:
            return _failure(503, "too many videos wait already. Try again later.")
        self._waiting += 1
        try:
            network, top, name = _options(request, self._jobs.shelf.names)
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                path = Path(folder, name)
                with open(path, "xb") as file:
                    async for part in request.stream():
                        file.write(part)
                if self._threads is None:
                    self._threads = CapacityLimiter(MAX_WAITING)
                result = await to_thread.run_sync(
                    self._locked, job, path, network, top, limiter=self._threads
                )
            return JSONResponse(result.to_json())
        except ClientDisconnect:
            return _failure(400, "the upload was broken off.")
        except Exception as error:
            is_expected = isinstance(error, EXPECTED)
            return _failure(
                422 if isinstance(error, VideoError) else 400 if is_expected else 500,
                failure_line(error),
            )
        finally:
            self._waiting -= 1

    def _locked(self, job, path, network, top):
        with self._lock:
            return job(path, network, top)


def _options(request, networks):
    """Returns the network, the number of classes and the name of the file of a request."""
    query = request.query_params
    if unknown := sorted(set(query) - {"network", "top", "name"}):
        raise ValueError(f"unknown parameters {unknown}. Allowed are network, top and name.")
    network = check_choice("network", query.get("network", networks[0]), networks)
    top = query.get("top", "5")
    if not (top.isascii() and top.isdigit()):
        raise ValueError(f"`top` must be an integer; received {top!r}.")
    return network, int(top), safe_name(query.get("name", "video"))


def _failure(status, reason):
    return JSONResponse({"error": reason}, status)
