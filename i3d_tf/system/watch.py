"""Giving up on work in a thread that makes no progress, such as a decoder that never returns.

A thread cannot be ended from outside. What hangs is left behind, in a thread that nobody waits for,
and the work goes on without it.
"""

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from i3d_tf.system.signals import stop_signals_deferred

STALL_SECONDS = 120.0  # without progress; a slow disk is no reason to give up
POLL_SECONDS = 1.0
END_SECONDS = 10.0  # for the work to notice that it is not wanted any more

Result = TypeVar("Result")


class _State(threading.local):
    watch: "Watch | None" = None  # of each thread


_state = _State()


class Watch:
    """Progress of a thread, as it says itself."""

    def __init__(self):
        """Starts now."""
        self._latest = time.monotonic()
        self._is_cancelled = False

    def beat(self) -> None:
        """Notes progress.

        Raises:
            CancelledError: The work is not wanted any more.
        """
        self._latest = time.monotonic()
        if self._is_cancelled:
            raise CancelledError

    def cancel(self) -> None:
        """Makes the work end at its next progress."""
        self._is_cancelled = True

    def is_stalled(self) -> bool:
        """Returns whether there was no progress for too long."""
        return time.monotonic() - self._latest > STALL_SECONDS


class CancelledError(BaseException):
    """Work that is not wanted any more."""


class StalledError(Exception):
    """Work that makes no progress; it is left behind."""

    def __str__(self):
        return f"no progress for {STALL_SECONDS:g} s"


def note_progress() -> None:
    """Notes progress of the work that this thread does, where somebody watches it."""
    watch = _state.watch
    if watch is not None:
        watch.beat()


def follow(watch: Watch | None) -> None:
    """Lets the progress of this thread be noted in a watch; None ends that."""
    _state.watch = watch


def run_watched(function: Callable[[], Result]) -> Result:
    """Calls a function in a thread of its own, and gives up where it makes no progress.

    Args:
        function: It calls `note_progress` now and then. It has the context of the caller.

    Returns:
        Its result. What it raises is raised.

    Raises:
        StalledError: It makes no progress. It may still be running.
    """
    watch, done, context = Watch(), threading.Event(), contextvars.copy_context()
    results: list[Any] = []

    def run():
        follow(watch)
        try:
            results.append((context.run(function), None))
        except BaseException as error:  # an error of a thread is seen by nobody
            results.append((None, error))
        finally:
            done.set()

    thread = threading.Thread(target=run, daemon=True)
    try:
        with stop_signals_deferred():
            thread.start()
        while not done.wait(POLL_SECONDS):
            if watch.is_stalled():
                raise StalledError
    except BaseException:
        watch.cancel()
        if not watch.is_stalled() and thread.is_alive():
            thread.join(END_SECONDS)
        raise
    ((result, error),) = results
    if error is not None:
        raise error
    return result
