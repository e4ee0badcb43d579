"""An iterator that works ahead of the one who uses it, in a thread of its own."""

import queue
import threading
from contextlib import contextmanager

WAIT = 0.1  # seconds between two looks whether anybody still wants what was made


@contextmanager
def working_ahead(items, most):
    """Makes the items of an iterator while earlier ones are still being used.

    Args:
        items: Iterable; it is only touched by the thread.
        most: How many items may wait to be used, at least 1: the thread's memory is bounded.

    Yields:
        An iterator over the same items. What the iterable raises is raised where its item would
        come. When the block is left, the thread ends, and the iterable is closed.
    """
    if most < 1:
        raise ValueError(f"`most` must be at least 1; received {most!r}.")
    made = queue.Queue(most)
    enough = threading.Event()
    thread = threading.Thread(target=_make, args=(items, made, enough), daemon=True)
    thread.start()
    try:
        yield _made(made)
    finally:
        enough.set()
        thread.join()


def _make(items, made, enough):
    """Puts (item, None) for each item, and (None, error or None) after the last."""
    error = None
    try:
        for item in items:
            if not _put(made, (item, None), enough):
                break
    except BaseException as raised:  # a thread's own errors are seen by nobody
        error = raised
    finally:
        if close := getattr(items, "close", None):
            close()
    _put(made, (_End, error), enough)


def _put(made, item, enough):
    """Whether the item could be handed over before it was not wanted any more."""
    while not enough.is_set():
        try:
            made.put(item, timeout=WAIT)
            return True
        except queue.Full:
            continue
    return False


class _End:
    """Stands behind the last item."""


def _made(made):
    while True:
        item, error = made.get()
        if item is _End:
            if error is not None:
                raise error
            return
        yield item
