"""The server of the page: an address, a folder for uploads, and an end that leaves nothing."""

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from i3d_tf.specs.validation import check_integer
from i3d_tf.system.console import print_lines
from i3d_tf.web.guard import EVERYWHERE, Guard
from i3d_tf.web.jobs import Jobs
from i3d_tf.web.markup import style
from i3d_tf.web.networks import NetworkShelf, offered_networks
from i3d_tf.web.uploads import Limits, sweeping

MAX_PORT = 65535
STOP_SECONDS = 3  # that a request may take after Ctrl-C
# Set before gradio is imported: no usage statistics, no search for newer versions, no hub.
ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_SSR_MODE": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class WebOptions:
    """Options of the page.

    Attributes:
        host: Address to listen at. Others than this machine's own let other machines use it.
        port: Port to listen at; 0 is any that is free.
        checkpoints: See `i3d_tf.web.networks.offered_networks`.
        rgb_checkpoint: See `offered_networks`.
        flow_checkpoint: See `offered_networks`.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        flow_engine: See `i3d_tf.compute_flow`.
        limits: Limits of the videos.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    checkpoints: tuple[str, ...] = ()
    rgb_checkpoint: str | None = None
    flow_checkpoint: str | None = None
    checkpoint_dir: os.PathLike | str | None = None
    flow_engine: str = "auto"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self):
        check_integer("port", self.port, 0, MAX_PORT)


def check_installed() -> None:
    """Checks that gradio is installed.

    Raises:
        ValueError: It is not.
    """
    if find_spec("gradio") is None:
        raise ValueError("the page needs gradio: pip install 'i3d_tf[web]'.")


def serve(options: WebOptions) -> None:
    """Shows the page until the program is stopped.

    Raises:
        ValueError: gradio is not installed, or a network does not fit.
        OSError: The address is taken, or a network does not exist.
    """
    shelf = NetworkShelf(
        offered_networks(
            options.checkpoints,
            options.rgb_checkpoint,
            options.flow_checkpoint,
            options.checkpoint_dir,
        ),
        options.checkpoint_dir,
        options.flow_engine,
    )
    shelf.open(shelf.names[0])
    check_installed()
    os.environ.update(ENVIRONMENT)
    with closing(_listen(options)) as listener, _folder() as folder:
        import uvicorn

        app = application(Jobs(shelf, options.limits), folder, options.host)
        config = uvicorn.Config(
            app,
            log_level="warning",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        shown = "127.0.0.1" if options.host in EVERYWHERE else options.host
        address = f"[{shown}]" if ":" in shown else shown
        print_lines(
            f"Networks: {', '.join(shelf.names)}",
            f"http://{address}:{listener.getsockname()[1]}/ shows the page. Ctrl-C ends it.",
        )
        with sweeping(folder / "uploads"):
            uvicorn.Server(config).run(sockets=[listener])


def application(jobs: Jobs, folder: Path, host: str) -> Any:
    """Returns the page and the JSON interface as an ASGI application.

    Args:
        jobs: The jobs.
        folder: Folder of uploads and examples.
        host: See `WebOptions`.
    """
    uploads, examples = folder / "uploads", folder / "examples"
    for part in (uploads, examples):
        part.mkdir(exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    import gradio as gr
    from fastapi import FastAPI

    from i3d_tf.web.api import JsonInterface
    from i3d_tf.web.page import FONTS, Page

    lock = threading.Lock()
    app = FastAPI(openapi_url=None)
    app.router.routes.extend(JsonInterface(jobs, lock, uploads).routes())
    app = gr.mount_gradio_app(
        app,
        Page(jobs, lock, examples).blocks(),
        "/",
        footer_links=[],
        run_history=False,
        max_file_size=jobs.limits.max_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        css=style(),
        theme=gr.themes.Default(**FONTS),
    )
    return Guard(app, jobs.limits, uploads, host)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="i3d_web_", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


def _listen(options):
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
        listener.listen()
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise OSError(
            f"{options.host}:{options.port}: {reason}. Give another --host or --port."
        ) from error
    return listener
