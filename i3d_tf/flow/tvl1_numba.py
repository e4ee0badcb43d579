"""TV-L1 optical flow on the CPU: OpenCV's algorithm, compiled, with one pair of frames per thread.

Parallelism is over pairs because a pair alone keeps little of its work in a core's cache when other
cores work on it too. The result does not depend on the number of threads.

The flow is OpenCV's bit for bit, because near is not near enough: the iteration is chaotic in
places, and what differs by a last bit anywhere soon differs by whole pixels there. So the levels
of the pyramid are resized by OpenCV itself, and all else rounds as in its wheels for x86-64: the
solver one operation at a time, the warp fused where the processor can. Against another build of
OpenCV the mean end-point error is about 0.01 pixels.
"""

import hashlib
import os
import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numba
import numpy as np

from i3d_tf.flow import (
    llvm_intrinsics as tvl1_numba_vector,
)
from i3d_tf.flow import (
    median_network,
)
from i3d_tf.flow import (
    tvl1_numba_kernels as tvl1_numba_planes,
)
from i3d_tf.flow import (
    tvl1_numba_kernels as tvl1_numba_solver,
)
from i3d_tf.flow import (
    tvl1_numba_kernels as tvl1_numba_warp,
)
from i3d_tf.flow.tvl1 import DEFAULT, check_pairs, pyramid_sizes
from i3d_tf.flow.tvl1_numba_kernels import (
    MARGIN,
    OPTIONS,
    Level,
    Settings,
    image_in,
    plane,
    plane_shape,
    solve,
    table_size,
)

# For the working memory of all threads together; one thread takes about 90 bytes per pixel.
MEMORY_LIMIT = 2**31


class Workspace(NamedTuple):
    """Memory for one pair of frames at a time.

    Attributes:
        previous: The pyramid of the first frame, each level float32 (H, W), the full size first.
        following: Like `previous`, of the second frame.
        fields: float32 (10, numbers in a plane of the full size), for the planes of a `Level`.
        table: float32, flat: the warp table.
    """

    previous: list
    following: list
    fields: np.ndarray
    table: np.ndarray


def flow_between(previous, following, parameters=DEFAULT, num_threads=None):
    """Optical flow of each pair of frames.

    The first call on a machine compiles for about ten seconds; later ones, in any process, find the
    result on disk (in NUMBA_CACHE_DIR, beside this file or in the user's cache, wherever writable).

    Args:
        previous: Grey (N, H, W), uint8 or float within [0, 255], H and W at least 16.
        following: Like `previous`: the frame after each of them.
        parameters: TVL1Parameters.
        num_threads: Pairs to work on at once; None means one per core.

    Returns:
        float32 (N, H, W, 2), x then y, pixels per frame.
    """
    previous, following = np.asarray(previous), np.asarray(following)
    check_pairs(previous, following)
    sizes = pyramid_sizes(*previous.shape[1:], parameters)
    settings = _make_settings(parameters)
    flow = np.empty((*previous.shape, 2), np.float32)
    idle = queue.SimpleQueue()  # of workspaces

    def solve_one(index):
        workspace = idle.get()
        try:
            workspace.previous[0][:] = previous[index]
            workspace.following[0][:] = following[index]
            _solve_pair(workspace, settings, flow[index])
        finally:  # or the next pair would wait for it forever
            idle.put(workspace)

    workers = _worker_count(num_threads, len(previous), sizes[0])
    for _ in range(workers):
        idle.put(_make_workspace(sizes))
    if workers:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(solve_one, range(len(previous))):
                pass  # an exception in a thread is raised here
    return flow


def _make_settings(parameters):
    """The parameters, in the types of the defaults: for others, numba would compile anew."""
    types = {name: type(value) for name, value in asdict(DEFAULT).items()}
    return Settings(**{name: types[name](value) for name, value in asdict(parameters).items()})


def _worker_count(num_threads, pairs, size):
    if num_threads is None:
        has_affinity = hasattr(os, "sched_getaffinity")
        num_threads = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
    elif num_threads < 1:
        raise ValueError(f"`num_threads` must be at least 1, or None; received {num_threads!r}.")
    affordable = MEMORY_LIMIT // (90 * size[0] * size[1])
    return min(pairs, num_threads, max(1, affordable))


def _make_workspace(sizes):
    return Workspace(
        previous=[np.empty(size, np.float32) for size in sizes],
        following=[np.empty(size, np.float32) for size in sizes],
        fields=_aligned_zeros(len(Level._fields), int(np.prod(plane_shape(*sizes[0])))),
        table=_aligned_zeros(table_size(*sizes[0])),
    )


def _aligned_zeros(*shape):
    """Zeros that start on a cache line, so that every row of a plane does."""
    memory = np.zeros(int(np.prod(shape)) + MARGIN, np.float32)
    start = -(memory.ctypes.data // memory.itemsize) % MARGIN
    return memory[start : start + memory.size - MARGIN].reshape(shape)


def _solve_pair(workspace, settings, flow):
    """Computes the flow of the two frames that a workspace's pyramids start with.

    Args:
        workspace: A `Workspace`; the rest of its contents does not matter.
        settings: A `Settings`.
        flow: float32 (H, W, 2), to be filled: x then y, pixels.
    """
    _fill_pyramid(workspace.previous, settings.scale_step)
    _fill_pyramid(workspace.following, settings.scale_step)
    above = None  # the flow of the level above
    for previous, following in zip(
        reversed(workspace.previous), reversed(workspace.following), strict=True
    ):
        size = previous.shape
        level = Level(*(plane(field, size) for field in workspace.fields))
        for field in level:
            field[:] = 0
        components = image_in(level.u1, size), image_in(level.u2, size)
        if above is not None:
            _enlarge(above, components, 1 / settings.scale_step)
        _solve_level(level, previous, following, workspace.table, settings)
        above = [component.copy() for component in components]
    flow[..., 0], flow[..., 1] = above


def _fill_pyramid(pyramid, scale):
    for source, target in pairwise(pyramid):
        cv2.resize(source, None, target, scale, scale, cv2.INTER_LINEAR)


def _enlarge(sources, targets, gain):
    for source, target in zip(sources, targets, strict=True):
        cv2.resize(source, target.shape[::-1], target, interpolation=cv2.INTER_LINEAR)
        # The vectors grow by the nominal step, as in OpenCV, however the sizes were rounded.
        cv2.multiply(target, gain, target)


def _compile(sources):
    """The compiled `solve`, from the cache on disk where there can be one.

    numba compiles anew when this file changes, or what the cached function closes over; so it
    closes over a digest of the files that it is made from.
    """
    try:
        contents = b"".join(Path(source.__file__).read_bytes() for source in sources)
        digest = hashlib.sha256(contents).hexdigest()

        @numba.njit(cache=True, **OPTIONS)
        def solve_cached(level, previous, following, table, settings):
            _ = digest
            solve(level, previous, following, table, settings)

        return solve_cached
    except (OSError, RuntimeError):  # sources that cannot be read, or nowhere to write
        return solve


_compiled_solve = _compile(
    (median_network, tvl1_numba_planes, tvl1_numba_solver, tvl1_numba_vector, tvl1_numba_warp)
)


def _solve_level(*arguments):
    try:
        _compiled_solve(*arguments)
    except OSError:  # the cache could not be written, say on a full disk; but it is compiled by now
        _compiled_solve(*arguments)
