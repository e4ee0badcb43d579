"""Prefetching: a thread makes the items of an iterator while earlier ones are being used."""

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy.ma  # noqa: F401 - for threads, see `i3d_tf.data.threaded_dataset`

from i3d_tf.system.signals import stop_signals_deferred
from i3d_tf.system.watch import StalledError, Watch, follow, note_progress

WATCH_SECONDS = 1.0  # between two looks whether the thread makes progress
POLL_SECONDS = 0.1  # between two looks whether the consumer has stopped


@contextmanager
def prefetch(items: Iterable, size: int, is_watched: bool = False) -> Iterator[Iterator]:
    """Makes the items of an iterator in a thread.

    Args:
        items: Iterable; it is only touched by the thread.
        size: How many items may wait to be used, at least 1: the thread's memory is bounded.

        is_watched: Whether to give up where the iterable makes no progress, see
            `i3d_tf.system.watch`.

    Yields:
        An iterator over the same items. What the iterable raises is raised where its item would
        come; StalledError where it makes no progress. When the block is left, the thread ends, and
        the iterable is closed.
    """
    if size < 1:
        raise ValueError(f"`size` must be at least 1; received {size!r}.")
    buffer: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(size)
    stopped, watch = threading.Event(), Watch()
    thread = threading.Thread(target=_fill, args=(items, buffer, stopped, watch), daemon=True)
    try:
        with stop_signals_deferred():
            thread.start()
        yield _drain(buffer, watch if is_watched else None)
    finally:
        stopped.set()
        if thread.is_alive() and not (is_watched and watch.is_stalled()):
            thread.join()


class _End:
    """Marks the end of the items."""


def _fill(items, buffer, stopped, watch):
    """Puts (item, None) for each item, and (_End, error or None) after the last."""
    error = None
    follow(watch)
    try:
        for item in items:
            if not _put(buffer, (item, None), stopped):
                break
    except BaseException as raised:  # an error of a thread is seen by nobody
        error = raised
    finally:
        if close := getattr(items, "close", None):
            close()
    _put(buffer, (_End, error), stopped)


def _put(buffer, item, stopped):
    """Puts an item; returns False once the consumer has stopped."""
    while not stopped.is_set():
        try:
            note_progress()
            buffer.put(item, timeout=POLL_SECONDS)
            return True
        except queue.Full:
            continue
    return False


def _drain(buffer, watch):
    while True:
        try:
            item, error = buffer.get(timeout=WATCH_SECONDS)
        except queue.Empty:
            if watch is not None and watch.is_stalled():
                raise StalledError from None
            continue
        if item is _End:
            if error is not None:
                raise error
            return
        yield item
