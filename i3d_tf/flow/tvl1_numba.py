"""TV-L1 optical flow on the CPU: OpenCV's algorithm, compiled, with one pair of frames per thread.

Parallelism is over pairs because a pair alone keeps little of its work in a core's cache when other
cores work on it too. The result does not depend on the number of threads.

The flow is OpenCV's bit for bit, because near is not near enough: the iteration is chaotic in
places, and what differs by a last bit anywhere soon differs by whole pixels there. So the levels
of the pyramid are resized by OpenCV itself, and all else rounds as in its wheels for x86-64: the
solver one operation at a time, the warp fused where the processor can. Against another build of
OpenCV the mean end-point error is about 0.01 pixels.
"""

import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from i3d_tf.flow.tvl1 import DEFAULT, TVL1Parameters, check_pairs, pyramid_sizes
from i3d_tf.flow.tvl1_numba_kernels import (
    MARGIN,
    Level,
    Settings,
    image_in,
    plane,
    plane_shape,
    solve_level,
    table_size,
)
from i3d_tf.specs.validation import check_integer
from i3d_tf.system.worker_pool import processor_count

# For the working memory of all threads together.
MAX_MEMORY = 2**31
BYTES_PER_PIXEL = 90  # of one thread, about


def flow_between(
    previous: np.ndarray,
    following: np.ndarray,
    parameters: TVL1Parameters = DEFAULT,
    num_threads: int | None = None,
) -> np.ndarray:
    """Computes the optical flow of each pair of frames.

    The first call on a machine compiles for about ten seconds; later ones, in any process, find the
    result on disk (in NUMBA_CACHE_DIR, beside this file or in the user's cache, wherever writable).

    Args:
        previous: Grey (N, H, W), uint8 or float within [0, 255], H and W at least 16.
        following: Like `previous`: the frame after each of them.
        parameters: Parameters.
        num_threads: Pairs to work on at once; None means one per core.

    Returns:
        float32 (N, H, W, 2), x then y, pixels per frame.
    """
    previous, following = np.asarray(previous), np.asarray(following)
    check_pairs(previous, following)
    height, width = previous.shape[1:]
    sizes = pyramid_sizes(height, width, parameters)
    settings = make_settings(parameters)
    flow = np.empty((*previous.shape, 2), np.float32)
    idle: queue.SimpleQueue[Workspace] = queue.SimpleQueue()

    def solve_one(index):
        workspace = idle.get()
        try:
            workspace.previous[0][:] = previous[index]
            workspace.following[0][:] = following[index]
            solve_pair(workspace, settings, flow[index])
        finally:  # or the next pair would wait for it forever
            idle.put(workspace)

    workers = worker_count(num_threads, len(previous), sizes[0])
    for _ in range(workers):
        idle.put(make_workspace(sizes))
    if workers:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(solve_one, range(len(previous))):
                pass  # an exception in a thread is raised here
    return flow


def make_settings(parameters: TVL1Parameters) -> Settings:
    """Returns the parameters in the types of the defaults: for others, numba would compile anew."""
    types = {name: type(value) for name, value in asdict(DEFAULT).items()}
    return Settings(**{name: types[name](value) for name, value in asdict(parameters).items()})


def worker_count(num_threads: int | None, num_pairs: int, size: tuple[int, int]) -> int:
    """Returns how many threads to use, within MAX_MEMORY.

    Args:
        num_threads: Threads that are wanted; None means one per core.
        num_pairs: Pairs of frames, which is the most that can be used.
        size: (height, width) of the frames in pixels.
    """
    if num_threads is None:
        num_threads = processor_count()
    check_integer("num_threads", num_threads, minimum=1)
    affordable = MAX_MEMORY // (BYTES_PER_PIXEL * size[0] * size[1])
    return min(num_pairs, num_threads, max(1, affordable))


class Workspace(NamedTuple):
    """Memory for one pair of frames at a time.

    Attributes:
        previous: The pyramid of the first frame, each level float32 (H, W), the full size first.
        following: Like `previous`, of the second frame.
        fields: float32 (10, numbers in a plane of the full size), for the planes of a `Level`.
        table: float32, flat: the warp table.
    """

    previous: list[np.ndarray]
    following: list[np.ndarray]
    fields: np.ndarray
    table: np.ndarray


def make_workspace(sizes: list[tuple[int, int]]) -> Workspace:
    """Returns the memory for frames with a pyramid of the given sizes, from the full size down."""
    return Workspace(
        previous=[np.empty(size, np.float32) for size in sizes],
        following=[np.empty(size, np.float32) for size in sizes],
        fields=_aligned_zeros(len(Level._fields), int(np.prod(plane_shape(*sizes[0])))),
        table=_aligned_zeros(table_size(*sizes[0])),
    )


def _aligned_zeros(*shape):
    """Returns zeros that start on a cache line, so that every row of a plane does."""
    memory = np.zeros(int(np.prod(shape)) + MARGIN, np.float32)
    start = -(memory.ctypes.data // memory.itemsize) % MARGIN
    return memory[start : start + memory.size - MARGIN].reshape(shape)


def solve_pair(workspace: Workspace, settings: Settings, flow: np.ndarray) -> None:
    """Computes the flow of the two frames that a workspace's pyramids start with.

    Args:
        workspace: Memory; the rest of its contents does not matter.
        settings: Parameters.
        flow: float32 (H, W, 2), to be filled: x then y, pixels.
    """
    fill_pyramid(workspace.previous, settings.scale_step)
    fill_pyramid(workspace.following, settings.scale_step)
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
            enlarge_flow(above, components, 1 / settings.scale_step)
        solve_level(level, previous, following, workspace.table, settings)
        above = [component.copy() for component in components]
    flow[..., 0], flow[..., 1] = components


def fill_pyramid(pyramid: list[np.ndarray], scale: float) -> None:
    """Fills all levels of a pyramid but the first, each with the one before it, resized."""
    for source, target in pairwise(pyramid):
        cv2.resize(source, None, target, scale, scale, cv2.INTER_LINEAR)


def enlarge_flow(sources: Sequence[np.ndarray], targets: Sequence[np.ndarray], gain: float) -> None:
    """Resizes the components of the flow to the next level.

    Args:
        sources: Each component, float32 (H, W).
        targets: Each component on the next level, to be filled.
        gain: Factor on the vectors.
    """
    for source, target in zip(sources, targets, strict=True):
        cv2.resize(source, target.shape[::-1], target, interpolation=cv2.INTER_LINEAR)
        # The vectors grow by the nominal step, as in OpenCV, however the sizes were rounded.
        cv2.multiply(target, gain, target)  # type: ignore[call-overload]
