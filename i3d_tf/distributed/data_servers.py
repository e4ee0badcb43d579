"""The servers of tf.data service: one dispatcher, and workers that make batches of records."""

import os
import socket
import time
from pathlib import Path

import tensorflow as tf

from i3d_tf.records.service import PREFIX, check_service, split_address
from i3d_tf.system.console import print_lines
from i3d_tf.system.remote import is_remote

SECONDS_TO_FORGET = 20  # without a word from a worker or a trainer
WAKE_SECONDS = 0.5  # between two looks at Ctrl-C


def run_dispatcher(port: int, work_dir: os.PathLike | str | None = None) -> None:
    """Runs the dispatcher, which tells the workers what to do, until Ctrl-C or SIGTERM.

    There is no password: whoever reaches the port can make the workers read and write files.

    Args:
        port: Port to listen at; 0 is any that is free.
        work_dir: Folder, also an address, in which it keeps what it knows, so that it can be
            started again beside running trainings; None keeps it in memory.

    Raises:
        OSError: The port is taken, or the folder cannot be written.
    """
    _check_port(port)
    if work_dir is not None and not is_remote(work_dir):
        Path(work_dir).mkdir(parents=True, exist_ok=True)
    config = tf.data.experimental.service.DispatcherConfig(
        port=port,
        work_dir=None if work_dir is None else os.fspath(work_dir),
        fault_tolerant_mode=work_dir is not None,
        worker_timeout_ms=1000 * SECONDS_TO_FORGET,
        job_gc_timeout_ms=1000 * SECONDS_TO_FORGET,
        job_gc_check_interval_ms=1000 * SECONDS_TO_FORGET,
    )
    server = tf.data.experimental.service.DispatchServer(config)
    _, _, chosen = server.target.rpartition(":")
    print_lines(
        f"dispatcher at {PREFIX}{socket.gethostname()}:{chosen}, and at its other addresses; there "
        "is no password"
    )
    _serve_for_ever()


def run_worker(dispatcher: str, port: int = 0, host: str | None = None) -> None:
    """Runs a worker, which makes batches on all processors, until Ctrl-C or SIGTERM.

    It needs TensorFlow alone, of the trainer's version, and the shards under the paths that the
    trainer knows them by.

    Args:
        dispatcher: "grpc://HOST:PORT" of the dispatcher.
        port: Port to listen at; 0 is any that is free.
        host: Name or address by which trainers reach this machine; None takes its own name, and
            that of the loopback where the dispatcher is there.

    Raises:
        ValueError: `dispatcher` is no address, or nobody answers there.
        OSError: The port is taken.
    """
    dispatcher_host, _ = split_address("dispatcher", dispatcher)
    check_service(dispatcher)
    _check_port(port)
    is_here = dispatcher_host in ("localhost", "127.0.0.1", "::1")
    host = host or (dispatcher_host if is_here else socket.gethostname())
    shown_host = f"[{host}]" if ":" in host else host
    config = tf.data.experimental.service.WorkerConfig(
        dispatcher_address=dispatcher.removeprefix(PREFIX),
        worker_address=f"{shown_host}:{port or '%port%'}",
        port=port,
    )
    server = tf.data.experimental.service.WorkerServer(config)
    _, _, chosen = server._address.rpartition(":")
    print_lines(f"worker at {PREFIX}{shown_host}:{chosen}, for {dispatcher}")
    _serve_for_ever()


def _check_port(port):
    """Checks that a port is free: TensorFlow's own error does not say so."""
    if not 0 <= port < 2**16:
        raise ValueError(f"`port` must be an integer from 0 to 65535; received {port}.")
    if port:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError as error:
                raise OSError(f"port {port}: {error.strerror}. Give another --port.") from error


def _serve_for_ever():
    while True:  # `server.join` would not let Ctrl-C through
        time.sleep(WAKE_SECONDS)
