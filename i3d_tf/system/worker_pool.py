"""Work shared among processes, any of which may die without the others' work being lost."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any

from i3d_tf.system.signals import STOP_SIGNALS, stop_signals_deferred

MAX_PROCESSES = 1024
ATTEMPTS = 2  # a process may be killed by chance once
DEATHS = (EOFError, ConnectionError)  # what a pipe raises when there is nobody at its other end


def processor_count() -> int:
    """Returns how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return min(len(os.sched_getaffinity(0)), MAX_PROCESSES)
    return min(os.cpu_count() or 1, MAX_PROCESSES)


def check_processes(processes: int | None, default: int | None = None) -> int:
    """Returns the number of processes to use.

    Args:
        processes: What was asked for; None means the default.
        default: None means one per processor.

    Raises:
        ValueError: It is not within 1..MAX_PROCESSES.
    """
    if processes is None:
        return processor_count() if default is None else default
    if not isinstance(processes, int) or not 1 <= processes <= MAX_PROCESSES:
        raise ValueError(
            f"`processes` must be an integer within 1..{MAX_PROCESSES}; received {processes!r}."
        )
    return processes


def map_unordered(
    function, tasks, processes: int, died: Any = None
) -> Generator[tuple, None, None]:
    """Calls a function with each task, in parallel.

    When a task's process dies, a new one tries the task again; a task that ends its process every
    time is given up. So a file that crashes a library costs itself and no other. (The standard
    library's pools lose all tasks under way, or hang.)

    Args:
        function: A module's function of one task. What it raises is raised here.
        tasks: A sequence of arguments that can be pickled.
        processes: How many processes, at least 1.
        died: The result of a task that was given up.

    Yields:
        (task, result) as they are finished.

    Raises:
        OSError: No process can be started.
    """
    waiting = deque((task, ATTEMPTS) for task in tasks)
    idle: list[_Worker] = []
    busy: dict[Any, _Worker] = {}  # by connection
    try:
        while waiting or busy:
            while waiting and len(busy) < processes:
                worker = idle.pop() if idle else _Worker(function)
                busy[worker.connection] = worker
                worker.start_task(*waiting.popleft())
            for connection in wait(list(busy)):
                worker = busy.pop(connection)
                try:
                    raised, result = worker.connection.recv()
                except DEATHS:
                    worker.end()
                    if worker.attempts > 1:
                        waiting.appendleft((worker.task, worker.attempts - 1))
                    else:
                        yield worker.task, died
                else:
                    idle.append(worker)
                    if raised:
                        raise result
                    yield worker.task, result
    finally:
        for worker in (*idle, *busy.values()):
            worker.end()


def run_in_process(function: Callable, *arguments: Any, grace: float = 0.0) -> Any:
    """Calls a function in a process of its own, whose memory is free again afterwards.

    Args:
        function: A module's function. What it raises is raised here. It may start processes.
        arguments: Its arguments; they can be pickled.
        grace: Seconds that the function has to save its work, from SIGTERM on, when this process is
            stopped. Ctrl-C then reaches this process alone. With 0, the function is killed at once.

    Raises:
        OSError: The process dies every time, or cannot be started.
    """
    for _ in range(ATTEMPTS):
        worker = _Worker(partial(_call, function), grace, daemon=False)
        try:
            worker.start_task(arguments, 1)
            raised, result = worker.connection.recv()
        except DEATHS:
            continue
        finally:
            worker.end()
        if raised:
            raise result
        return result
    raise OSError(
        f"{function.__name__}: its process was killed {ATTEMPTS} times, perhaps for want of "
        "memory. Run the same command again to go on."
    )


def share_processors(threads: int) -> None:
    """Limits the libraries that this process has yet to start to its share of the processors.

    Args:
        threads: Threads of TensorFlow and of numba.
    """
    # Read when the libraries start; and TensorFlow must not take all of a GPU that several share.
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = str(threads)
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"


class TaskProcess:
    """A process that does one task after the other, and is replaced when one ends it.

    Threads may share it: each waits for its turn.

    Args:
        function: A module's function, or a `partial` of one.
        died: The result of a task that ends its process every time.
    """

    def __init__(self, function: Callable, died: Any = None):
        self._function, self._died = partial(_call, function), died
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._is_closed = False

    def __call__(self, *arguments: Any) -> Any:
        """Calls the function with arguments that can be pickled; raises what it raises."""
        with self._lock:
            for _ in range(ATTEMPTS):
                if self._is_closed:
                    raise InterruptedError("its process was ended")
                if self._worker is None:
                    self._worker = _Worker(self._function)
                    if self._is_closed:  # while it started
                        self._end()
                        continue
                self._worker.start_task(arguments, 1)
                try:
                    raised, result = self._worker.connection.recv()
                except DEATHS:
                    self._end()
                    continue
                except BaseException:  # such as Ctrl-C: the result would be the next task's
                    self._end()
                    raise
                if raised:
                    raise result
                return result
        return self._died

    def close(self) -> None:
        """Ends the process for good, also within a task, which raises InterruptedError."""
        self._is_closed = True
        if (worker := self._worker) is not None:
            worker.kill()

    def _end(self):
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()


def _call(function, arguments):
    return function(*arguments)


class _Worker:
    """A process that works on one task at a time.

    Attributes:
        connection: Becomes readable when the task is finished or the process is dead. Gives
            (whether the task raised, the exception or the result), or raises one of DEATHS.
        task: The latest task, or None.
        attempts: How often that task may still be tried, this time included.
    """

    def __init__(self, function, grace=0.0, daemon=True):
        self.task, self.attempts = None, 0
        self._grace = grace
        # Spawned, not forked: a fork of a process that runs TensorFlow's threads can deadlock.
        context = multiprocessing.get_context("spawn")
        self.connection, other_end = context.Pipe()
        self._process = context.Process(
            target=_work, args=(function, other_end, grace > 0), daemon=daemon
        )
        try:
            with _uninterrupted_start():
                self._process.start()
            other_end.close()
            self.connection.recv()
        except DEATHS as error:
            self.end()
            raise OSError(
                "worker processes end as soon as they start: perhaps for want of memory, or "
                'because the program that starts them lacks `if __name__ == "__main__":`.'
            ) from error
        except BaseException:  # such as Ctrl-C: nobody else knows of this process yet
            self.end()
            raise

    def start_task(self, task, attempts):
        """Gives it a task."""
        self.task, self.attempts = task, attempts
        with contextlib.suppress(ConnectionError):  # killed while idle, as receiving will tell
            self.connection.send(task)

    def kill(self):
        """Ends the process at once; who waits for its answer meets one of DEATHS."""
        self._process.kill()
        self._process.join()

    def end(self):
        """Ends the process; it has the grace period to save its work."""
        if self._process.pid is not None:
            try:
                if self._grace:
                    self._process.terminate()
                    self._process.join(self._grace)
            finally:
                self._process.kill()
                self._process.join()
        self.connection.close()


@contextlib.contextmanager
def _uninterrupted_start():
    """Lets signals wait until a process is started, in this process and in the new one.

    A terminal sends Ctrl-C to every process. It must meet neither the new one in the middle of the
    interpreter's own start, which therefore inherits a block, nor this one while half of what the
    new process needs has been sent. A block alone does not help here: a thread without it, such as
    a library's, may take the signal, and Python's handler then runs in the main thread.
    """
    has_masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    if has_masks:  # the first start would start this process, too, which ends by lifting the block
        resource_tracker.ensure_running()
    with stop_signals_deferred():
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS) if has_masks else None
        try:
            yield
        finally:
            if has_masks:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _work(function, connection, own_group):
    """Signals readiness, then runs tasks until the pipe closes."""
    if own_group and hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # a terminal sends Ctrl-C to the group of the parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(*DEATHS):  # the parent is gone
        connection.send("started")
        while True:
            task = connection.recv()
            try:
                outcome = False, function(task)
            except KeyboardInterrupt:  # stopped by the parent, and its work is saved
                return
            except Exception as error:  # raised again in the parent
                outcome = True, error
            connection.send(outcome)


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
