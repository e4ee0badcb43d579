import threading
import time

import pytest

from i3d_tf.system import watch as module
from i3d_tf.system.watch import StalledError, note_progress, run_watched


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)


def test_result_and_error_come_through():
    assert run_watched(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        run_watched(lambda: 1 / 0)


def test_work_without_progress_is_given_up_and_left_behind():
    go_on = threading.Event()
    with pytest.raises(StalledError, match="no progress for"):
        run_watched(go_on.wait)
    go_on.set()


def test_work_with_progress_may_take_long():
    def work():
        for _ in range(20):
            time.sleep(0.05)
            note_progress()
        return "done"

    assert run_watched(work) == "done"


def test_work_that_was_given_up_ends_at_its_next_progress():
    go_on, ended = threading.Event(), threading.Event()

    def work():
        try:
            go_on.wait()
            note_progress()
        finally:
            ended.set()

    with pytest.raises(StalledError):
        run_watched(work)
    go_on.set()
    assert ended.wait(10)


def test_work_is_ended_where_the_waiting_is_interrupted(monkeypatch):
    started, threads = threading.Event(), []

    def work():
        threads.append(threading.current_thread())
        started.set()
        while True:
            time.sleep(0.01)
            note_progress()

    wait = threading.Event.wait

    def interrupted_wait(event, timeout=None):
        if timeout != module.POLL_SECONDS:
            return wait(event, timeout)
        wait(started)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Event, "wait", interrupted_wait)
    with pytest.raises(KeyboardInterrupt):
        run_watched(work)
    monkeypatch.undo()
    threads[0].join(10)
    assert not threads[0].is_alive()


def test_progress_that_nobody_watches_is_no_error():
    note_progress()
