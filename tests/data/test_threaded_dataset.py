"""Datasets of numbers, made by threads: order, errors, and an end whatever becomes of them."""

import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.data.threaded_dataset import threaded_dataset

SIGNATURE = [tf.TensorSpec((2,), tf.float32), tf.TensorSpec((), tf.int32)]
SECONDS = 60  # after which a test gives up


def element(position):
    return np.full(2, position, np.float32), np.int32(position)


def dataset_of(make, count=20, workers=3, errors=None, iterations=1):
    on_error = (errors if errors is not None else []).append
    return threaded_dataset(make, range(count), SIGNATURE, on_error, workers, iterations)


def clip_threads():
    return [thread for thread in threading.enumerate() if thread.name == "clips"]


def wait_for_no_threads():
    deadline = time.monotonic() + SECONDS
    while clip_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not clip_threads()


@pytest.mark.parametrize("workers", [1, 4, None])
def test_elements_come_in_order_whichever_is_made_first(workers):
    def make(position):
        time.sleep(0.01 * (position % 3 == 0))  # every third is late
        return element(position)

    dataset = dataset_of(make, workers=workers)
    assert dataset.element_spec == tuple(SIGNATURE)
    assert int(dataset.cardinality()) == 20
    found = [(pair.numpy().tolist(), int(number)) for pair, number in dataset]
    assert found == [([float(k), float(k)], k) for k in range(20)]
    assert wait_for_no_threads()


def test_positions_may_start_anywhere():
    dataset = threaded_dataset(element, range(5, 8), SIGNATURE, [].append)
    assert [int(number) for _, number in dataset] == [5, 6, 7]


def test_dataset_of_no_positions_is_empty():
    assert list(dataset_of(element, count=0)) == []


def test_error_comes_at_its_place_and_is_kept():
    def make(position):
        if position >= 7:
            time.sleep(0.05 * (position == 7))  # later ones fail before it does
            raise OSError(f"no file {position}")
        return element(position)

    errors = []
    elements = iter(dataset_of(make, errors=errors))
    assert [int(next(elements)[1]) for _ in range(7)] == list(range(7))
    with pytest.raises(tf.errors.OpError):
        next(elements)
    assert str(errors[-1]) == "no file 7"
    assert wait_for_no_threads()


def test_element_of_another_type_is_an_error():
    errors = []
    with pytest.raises(tf.errors.OpError):
        list(dataset_of(lambda _: (np.zeros(2), "no number"), errors=errors))
    assert errors


def test_an_iteration_too_many_is_an_error_and_does_not_wait():
    dataset = dataset_of(element)
    assert len(list(dataset)) == 20
    with pytest.raises(tf.errors.OpError, match="closed"):
        next(iter(dataset))


def test_every_iteration_starts_at_the_first_element():
    """As Keras does on several replicas: it looks at one batch first, and starts anew."""
    batches = dataset_of(element, iterations=2).batch(2).prefetch(2)
    assert next(iter(batches))[1].numpy().tolist() == [0, 1]
    assert [int(number) for _, pair in batches for number in pair] == list(range(20))
    with pytest.raises(tf.errors.OpError, match="closed"):
        next(iter(batches))
    del batches
    assert wait_for_no_threads()


def test_no_more_is_made_than_fits():
    made = []

    def make(position):
        made.append(position)
        return element(position)

    dataset = dataset_of(make, count=1000, workers=2)
    time.sleep(0.3)
    assert len(made) <= 4  # two in the queue, two in the threads' hands
    del dataset
    assert wait_for_no_threads()


def test_threads_end_when_a_dataset_is_dropped_that_nobody_read():
    dataset = dataset_of(element, count=10**9)
    assert clip_threads()
    del dataset
    gc.collect()
    assert wait_for_no_threads()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["i3d_tf.data.threaded_dataset", "i3d_tf.system.prefetch"])
def test_numpy_parses_nothing_in_threads(module):
    """A first call of np.unique parses Python, which two threads must not do at once."""
    code = f"import {module}, ast, numpy\nast.parse = None\nnumpy.unique([1])"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_iterator_is_dropped_while_elements_are_being_made():
    """Slow elements, of which one is always under way: see the module's docstring."""

    def make(position):
        time.sleep(0.02)
        return element(position)

    for _ in range(10):
        batches = iter(dataset_of(make, count=10**9).batch(2).prefetch(2))
        next(batches)
        del batches
        gc.collect()
    assert wait_for_no_threads()


PROGRAM = """
import sys, time
import numpy as np, tensorflow as tf
from i3d_tf.data.threaded_dataset import threaded_dataset
def make(position):
    time.sleep(0.05)
    return [np.float32(position)]
signature = [tf.TensorSpec((), tf.float32)]
batches = iter(threaded_dataset(make, range(10**9), signature, print, 2).batch(2).prefetch(4))
next(batches)
%s
"""


@pytest.mark.parametrize(
    ("end", "status", "last"),
    [
        ("", 0, ""),
        pytest.param("sys.exit('error: so')", 1, "error: so", marks=pytest.mark.slow),
        pytest.param("1 / 0", 1, "ZeroDivisionError", marks=pytest.mark.slow),
    ],
)
def test_interpreter_ends_while_elements_are_being_made(end, status, last):
    command = [sys.executable, "-c", PROGRAM % end]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == status, done.stderr
    assert last in done.stderr.strip().split("\n")[-1]


INTERRUPTED_START = """
import os, signal, threading
start = threading.Thread.start
def start_and_stop(thread):
    os.kill(os.getpid(), signal.SIGINT)
    start(thread)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread.start = start_and_stop
"""


@pytest.mark.slow
def test_start_of_threads_is_not_interrupted():
    program = INTERRUPTED_START + PROGRAM % "" + "\nprint('not reached')"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode in (-2, 130), done.stderr
    assert done.stderr.strip().endswith("KeyboardInterrupt")
    assert done.stderr.count("Traceback") == 1
    assert done.stdout == ""


TWO_REPLICAS = """
import sys, time
import numpy as np, tensorflow as tf
from i3d_tf.data.threaded_dataset import threaded_dataset
(cpu,) = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
def make(position):
    time.sleep(0.05)
    return [np.float32(position)]
signature = [tf.TensorSpec((), tf.float32)]
numbers = threaded_dataset(make, range(10**6), signature, print, 2, iterations=2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
batches = strategy.experimental_distribute_dataset(numbers.batch(4, True).prefetch(4))
for _ in range(2):
    parts = strategy.experimental_local_results(next(iter(batches))[0])
    print(np.concatenate(parts).tolist())
sys.exit("error: so")
"""


@pytest.mark.slow
def test_two_replicas_leave_two_iterations_early():
    command = [sys.executable, "-c", TWO_REPLICAS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("error: so\n")
    assert done.stdout.splitlines() == ["[0.0, 1.0, 2.0, 3.0]"] * 2
