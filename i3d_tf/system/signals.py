"""Stop signals, deferred where their exception would leave something half done."""

import contextlib
import signal
import threading
from collections.abc import Iterator

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_signals_deferred() -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM wait until the block is left.

    A thread whose start is interrupted may run though `Thread.start` did not return, so that nobody
    knows whether to wait for it.
    """
    received: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # which alone receives signals
        handlers = {
            number: signal.signal(number, lambda number, _: received.append(number))
            for number in STOP_SIGNALS
            if signal.getsignal(number) is not None  # None: not set by Python, nor to be restored
        }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for received_number in received:
            signal.raise_signal(received_number)
