"""Processes that make arrays, which come back through memory that they share with this one.

The memory has no name: it is gone with the processes, however they end, and no folder such as
/dev/shm has to have room for it.
"""

import mmap
import os
import queue
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import reduction
from typing import Any

import numpy as np

from i3d_tf.system.worker_pool import TaskProcess, check_processes

ALIGNMENT = 64  # bytes
_WARNED: dict = {}  # what the processes warned of, for Python's filters, which show it once


class ArrayProcesses:
    """Processes that call a function whose result is a list of arrays.

    Each is started when it is first needed. Threads share them: a call waits for a process that
    has nothing to do, and then, without Python's lock, for the arrays. One that dies is replaced,
    and its call made again.

    Args:
        function: A module's function, or a `partial` of one. What it raises is raised here, and
            what it warns of is warned of here.
        processes: How many.

    Attributes:
        processes: How many.

    Raises:
        ValueError: `processes` is not allowed.
    """

    def __init__(self, function: Callable[..., Sequence[np.ndarray]], processes: int):
        self.processes = check_processes(processes)
        self._all = [_ArrayProcess(function) for _ in range(processes)]
        self._idle: queue.LifoQueue[_ArrayProcess] = queue.LifoQueue()
        for each in self._all:
            self._idle.put(each)

    def __call__(self, *arguments: Any) -> list[np.ndarray] | None:
        """Calls the function in one of the processes.

        Args:
            arguments: They can be pickled.

        Returns:
            New arrays; None where the call ends its process every time.

        Raises:
            InterruptedError: The processes were ended.
            OSError: No process can be started.
        """
        process = self._idle.get()
        try:
            return process(*arguments)
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """Ends the processes for good, also within a call."""
        for each in self._all:
            each.close()


class _ArrayProcess:
    """One of the processes, with the memory that it shares with this one."""

    def __init__(self, function):
        self._memory = _SharedMemory() if hasattr(os, "memfd_create") else None  # Linux
        self._process = TaskProcess(_Work(function, self._memory))

    def __call__(self, *arguments):
        answer = self._process(arguments)
        if answer is None:
            return None
        arrays, warned = answer
        for warning in warned:
            warnings.warn_explicit(*warning, registry=_WARNED)
        return arrays if self._memory is None else self._memory.read(arrays)

    def close(self):
        self._process.close()


class _Work:
    """The work of a process; it is pickled when the process starts."""

    def __init__(self, function, memory):
        self._function, self._memory = function, memory

    def __call__(self, arguments):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            arrays = self._function(*arguments)
        warned = [(str(w.message), w.category, w.filename, w.lineno) for w in caught]
        return arrays if self._memory is None else self._memory.write(arrays), warned


class _SharedMemory:
    """Memory that this process and one that it starts share; it grows as the arrays need it."""

    def __init__(self, file=None):
        self._file = os.memfd_create("arrays") if file is None else file
        self._map: mmap.mmap | None = None

    def __del__(self):
        os.close(self._file)

    def __reduce__(self):
        return _shared_memory, (reduction.DupFd(self._file),)

    def write(self, arrays: Sequence[np.ndarray]) -> list[tuple]:
        """Writes arrays over those of the last call; returns where they are."""
        places, end = [], 0
        for array in arrays:
            places.append((array.dtype.str, array.shape, end))
            end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        if os.fstat(self._file).st_size < end:
            os.ftruncate(self._file, end)
        for array, place in zip(arrays, places, strict=True):
            self._view(*place)[...] = array
        return places

    def read(self, places: Sequence[tuple]) -> list[np.ndarray]:
        """Returns copies of the arrays at some places."""
        return [self._view(*place).copy() for place in places]

    def _view(self, dtype, shape, start):
        count, kind = int(np.prod(shape)), np.dtype(dtype)
        if not count:
            return np.empty(shape, kind)
        if self._map is None or len(self._map) < start + count * kind.itemsize:
            self._map = mmap.mmap(self._file, 0)  # all of it
        return np.frombuffer(self._map, kind, count, start).reshape(shape)


def _shared_memory(file):
    return _SharedMemory(file.detach())
