import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from i3d_tf.system import array_processes
from i3d_tf.system.array_processes import ArrayProcesses

# `eval` is a function that every process knows.
ONE = "[__import__('numpy').arange({0})]"
ODD = (
    "(lambda n: [n.arange(3, dtype='uint8'), n.zeros((0, 2)), n.array(2.5, 'float32'), "
    "n.eye(4, dtype='>i2')[:, ::2]])(__import__('numpy'))"
)
DEATH = "__import__('os')._exit(3)"


@pytest.fixture
def processes():
    pool = ArrayProcesses(eval, 1)
    yield pool
    pool.close()
    assert multiprocessing.active_children() == []


def test_arrays_of_any_type_and_shape_come_back(processes):
    found, expected = processes(ODD), eval(ODD)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one, other)
    assert processes("[]") == []


def test_arrays_stay_as_they_are_when_the_next_come(processes):
    lengths = [10, 100_000, 20, 300_000]
    found = [processes(ONE.format(length))[0] for length in lengths]
    for array, length in zip(found, lengths, strict=True):
        np.testing.assert_array_equal(array, np.arange(length))
        assert array.flags.writeable


def test_errors_and_warnings_come_from_the_process(processes):
    with pytest.raises(ZeroDivisionError):
        processes("1 / 0")
    warn = "[__import__('warnings').warn('it is dark')][:0]"
    with pytest.warns(UserWarning, match="^it is dark$"):
        assert processes(warn) == []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            processes(warn)
    assert len(caught) == 1


@pytest.mark.slow
def test_a_killed_process_is_replaced_and_its_call_made_again(tmp_path, processes):
    flag = str(tmp_path / "flag")
    once = f"__import__('os').path.exists({flag!r}) or open({flag!r}, 'x') and {DEATH}"
    np.testing.assert_array_equal(processes(f"({once}) and {ONE.format(3)}")[0], [0, 1, 2])
    (child,) = multiprocessing.active_children()
    os.kill(child.pid, signal.SIGKILL)
    np.testing.assert_array_equal(processes(ONE.format(4))[0], [0, 1, 2, 3])


def test_a_call_that_ends_its_process_every_time_is_none(processes):
    assert processes(DEATH) is None
    np.testing.assert_array_equal(processes(ONE.format(2))[0], [0, 1])


def test_close_ends_calls_and_refuses_more():
    pool, raised = ArrayProcesses(eval, 1), threading.Event()

    def call():
        with pytest.raises(InterruptedError):
            pool("__import__('time').sleep(600)")
        raised.set()

    threads = [threading.Thread(target=call) for _ in range(2)]  # one of them waits for the other
    for thread in threads:
        thread.start()
    while not multiprocessing.active_children():
        time.sleep(0.01)
    pool.close()
    for thread in threads:
        thread.join(60)
    assert raised.is_set()
    assert not any(thread.is_alive() for thread in threads)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("number", [0, -1, 10_000, 1.5])
def test_a_wrong_number_of_processes_is_refused(number):
    with pytest.raises(ValueError, match=r"`processes` must be an integer within 1\.\.1024"):
        ArrayProcesses(eval, number)


def test_arrays_come_through_the_pipe_where_memory_cannot_be_shared(monkeypatch):
    monkeypatch.delattr(array_processes.os, "memfd_create", raising=False)
    pool = ArrayProcesses(eval, 1)
    np.testing.assert_array_equal(pool(ONE.format(5))[0], np.arange(5))
    pool.close()


@pytest.mark.slow
def test_thousands_of_calls_leave_nothing_open(processes):
    def state():
        gc.collect()
        fields = Path("/proc/self/statm").read_text("ascii").split()
        return len(os.listdir("/proc/self/fd")), int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def call(length):
        return len(processes(ONE.format(length))[0])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(call, range(100_000, 100_100)))
        files, resident = state()
        lengths = [100_000 + 7919 * number % 1000 for number in range(3000)]
        assert list(threads.map(call, lengths)) == lengths
        assert state()[0] <= files
        assert state()[1] <= resident + 2**25  # 3,000 arrays take 2.4 GB


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks into /proc")
def test_nothing_is_left_when_the_parent_is_killed(tmp_path):
    before = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    script = tmp_path / "job.py"
    script.write_text(
        "import multiprocessing\n"
        "from i3d_tf.system.array_processes import ArrayProcesses\n"
        "if __name__ == '__main__':\n"
        "    pool = ArrayProcesses(eval, 1)\n"
        f"    pool({ONE.format(10**6)!r})\n"
        "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "    pool('__import__(\"time\").sleep(600)')\n"
    )
    job = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    worker = Path(f"/proc/{int(job.stdout.readline())}")
    job.send_signal(signal.SIGKILL)
    job.wait()
    deadline = time.monotonic() + 30
    while worker.exists() and "\nState:\tZ" not in (worker / "status").read_text():
        assert time.monotonic() < deadline, "the worker outlived its parent by 30 s"
        time.sleep(0.1)
    if os.path.isdir("/dev/shm"):
        assert set(os.listdir("/dev/shm")) <= before
