"""A tf.data.Dataset whose elements are made by Python threads, and that is safe to drop.

Where a tf.data function calls Python (`tf.numpy_function`, `from_generator`), an iterator that goes
away waits for the calls under way while it holds Python's global lock, which they need: the process
hangs. Here threads of this process fill a queue, and TensorFlow, which knows of no Python, takes
from it. So an iterator can go at any time. The threads end with the last element, with an error,
when the dataset is gone, and when the interpreter ends, which waits for them.
"""

import atexit
import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Sequence

# np.unique imports it at its first call, which parses Python. In Python 3.11 two threads that parse
# at once can fail ("AST constructor recursion depth mismatch"), and the main thread traces.
import numpy.ma  # noqa: F401
import tensorflow as tf

from i3d_tf.system.signals import stop_signals_deferred
from i3d_tf.system.worker_pool import processor_count
from i3d_tf.video.options import decoder_threads

POLL_SECONDS = 0.005  # between two looks whether the queue has room; it cannot be waited for
END_SECONDS = 10.0  # that the interpreter's end waits for elements being made


def threaded_dataset(
    make: Callable[[int], Sequence],
    positions: Sequence[int],
    signature: Sequence[tf.TensorSpec],
    on_error: Callable[[Exception], None],
    workers: int | None = None,
    iterations: int = 1,
) -> tf.data.Dataset:
    """Makes the elements of a dataset in threads, which start at once.

    Args:
        make: Function of a position to its element, one array for each component. What it raises
            ends the dataset with an OpError.
        positions: Positions of the elements.
        signature: Type and shape of the components.
        on_error: Called with what `make` raises: an iterator can only say that the queue is closed.
            An error of an earlier position may follow; the last call counts.
        workers: Elements made at once for an iteration; None means one per processor. Each has its
            share of the processors to decode a video.
        iterations: How often the dataset can be iterated. Each iteration has threads and a queue of
            its own, filled from the start.

    Returns:
        tf.data.Dataset of tuples of tensors, in the order of the positions.
    """
    workers = workers or processor_count()
    threads = [_Threads(make, positions, signature, on_error, workers) for _ in range(iterations)]
    with tf.init_scope(), tf.device("CPU"):
        numbers = tf.queue.FIFOQueue(iterations, [tf.int32])  # of the iterations to come
        numbers.enqueue_many([range(iterations)])
        numbers.close()

    def elements(number):
        return tf.data.Dataset.range(len(positions)).map(lambda _: next_element(number))

    def next_element(number):
        components = tf.switch_case(number, [each.queue.dequeue for each in threads])
        components = components if isinstance(components, list) else [components]
        for component, spec in zip(components, signature, strict=True):
            component.set_shape(spec.shape)
        return tuple(components)

    # A queue's end before the last position is an error, since `map` keeps the cardinality.
    dataset = tf.data.Dataset.range(1).map(lambda _: numbers.dequeue()).flat_map(elements)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(positions)))
    # Iterators, and datasets that are made of this one, keep it.
    for each in threads:
        weakref.finalize(dataset, each.stop).atexit = False
        each.start()
    return dataset


class _Threads:
    """Threads that make elements and put them into a queue, in order.

    Attributes:
        queue: The tf.queue.FIFOQueue. It is closed when the last thread ends.
    """

    def __init__(self, make, positions, signature, on_error, workers):
        self._make, self._positions, self._on_error = make, positions, on_error
        dtypes = [spec.dtype for spec in signature]
        with tf.init_scope(), tf.device("CPU"):
            self.queue = tf.queue.FIFOQueue(capacity=workers, dtypes=dtypes)
        self._room = workers
        self._decoder_threads = max(1, processor_count() // workers)
        self._changed = threading.Condition()  # guards what follows
        self._next_to_make = self._next_to_put = 0
        self._end = len(positions)
        self._stopped = False
        # Not waited for by `threading`, which would do so before `stop` could be called.
        self._threads = [
            threading.Thread(target=self._work, name="clips", daemon=True)
            for _ in range(min(workers, len(positions)))
        ]
        self._running = len(self._threads)

    def start(self):
        with stop_signals_deferred():
            _ALIVE.add(self)
            for thread in self._threads:
                thread.start()

    def stop(self):
        """Tells the threads to end; can be called anywhere, also by the garbage collector."""
        self._stopped = True

    def join(self, deadline):
        """Waits for the threads until a time of `time.monotonic`."""
        for thread in self._threads:
            while thread.is_alive() and (seconds := deadline - time.monotonic()) > 0:
                with contextlib.suppress(KeyboardInterrupt):  # one more Ctrl-C: it ends anyway
                    thread.join(seconds)

    def _work(self):
        try:
            with tf.device("CPU"), decoder_threads(self._decoder_threads):
                while (index := self._take()) is not None:
                    try:
                        element = self._make(self._positions[index])
                        if self._wait_for_turn(index):
                            self.queue.enqueue(element)
                            self._pass_turn()
                    except Exception as error:
                        self._end_before(index, error)
        finally:
            self._leave()

    def _take(self):
        """Returns the index of the next element to make, or None when there is none."""
        with self._changed:
            if self._stopped or self._next_to_make >= self._end:
                return None
            self._next_to_make += 1
            return self._next_to_make - 1

    def _wait_for_turn(self, index):
        """Waits for the elements before, and for room in the queue; False if it is not wanted."""
        with self._changed:
            # A stop is not announced, since the garbage collector may come while this thread holds
            # the lock.
            while not self._stopped and index < self._end:
                if self._next_to_put != index:
                    self._changed.wait(10 * POLL_SECONDS)
                elif self._has_room():
                    return True
                else:
                    self._changed.wait(POLL_SECONDS)
        return False

    def _end_before(self, index, error):
        """Ends the dataset before an element; the first one in order that fails counts."""
        with self._changed:
            if index < self._end:
                self._end = index
                self._on_error(error)
                self._changed.notify_all()

    def _has_room(self):
        return int(self.queue.size()) < self._room

    def _pass_turn(self):
        with self._changed:
            self._next_to_put += 1
            self._changed.notify_all()

    def _leave(self):
        with self._changed:
            self._running -= 1
            is_last = not self._running
        if is_last:
            with tf.device("CPU"):
                self.queue.close()


_ALIVE: weakref.WeakSet[_Threads] = weakref.WeakSet()


@atexit.register
def _stop_all():
    """Ends all threads before the interpreter does: one that wakes up afterwards can abort it."""
    alive = list(_ALIVE)
    for threads in alive:
        threads.stop()
    deadline = time.monotonic() + END_SECONDS
    for threads in alive:
        threads.join(deadline)
