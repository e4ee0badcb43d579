import threading
import time

import pytest

from i3d_tf.system import prefetch as module
from i3d_tf.system import watch
from i3d_tf.system.prefetch import prefetch


def test_prefetch_keeps_items_and_order():
    with prefetch(range(100), 3) as items:
        assert list(items) == list(range(100))


def test_prefetch_works_ahead_up_to_its_size():
    made = []

    def items():
        for number in range(10):
            made.append(number)
            yield number

    with prefetch(items(), 2) as ahead:
        assert next(ahead) == 0
        deadline = time.monotonic() + 10
        while len(made) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert made == [0, 1, 2, 3]  # one is used, two wait, one is held by the thread
        assert list(ahead) == list(range(1, 10))


def test_prefetch_raises_errors_of_the_source_in_order():
    def items():
        yield 1
        raise ValueError("no second one")

    with prefetch(items(), 5) as ahead:
        assert next(ahead) == 1
        with pytest.raises(ValueError, match="no second one"):
            next(ahead)


def test_prefetch_ends_its_thread_and_source_on_early_exit():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    with prefetch(endless(), 1) as ahead:
        next(ahead)
    assert closed.is_set()
    assert threading.active_count() == before


def test_prefetch_refuses_size_zero():
    with (
        pytest.raises(ValueError, match="`size` must be at least 1; received 0"),
        prefetch([], 0),
    ):
        pass


def test_prefetch_gives_up_on_items_that_never_come(monkeypatch):
    monkeypatch.setattr(watch, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.02)
    go_on = threading.Event()

    def items():
        yield 1
        go_on.wait()
        yield 2

    with prefetch(items(), 2, is_watched=True) as ahead:
        assert next(ahead) == 1
        with pytest.raises(watch.StalledError):
            next(ahead)
    go_on.set()


def test_prefetch_waits_for_a_slow_consumer(monkeypatch):
    monkeypatch.setattr(watch, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    with prefetch(iter(range(5)), 1, is_watched=True) as ahead:
        assert next(ahead) == 0
        time.sleep(0.5)
        assert list(ahead) == [1, 2, 3, 4]
