"""The numba engine's TV-L1 optical flow of one pair of frames, from pyramid to flow.

The equations are those of Perez, Meinhardt-Llopis and Facciolo (IPOL 2013), the order of the steps
is that of OpenCV's DualTVL1OpticalFlow: on every level of the pyramid, warp the second frame by the
flow so far and linearise; then median filters and primal-dual steps until the flow stands still.
"""

from typing import NamedTuple

import numpy as np

from i3d_tf.video.tvl1_numba_planes import (
    HERE,
    LEFT,
    MARGIN,
    RIGHT,
    compiled,
    compiled_inline,
    compiled_row,
    median_filter,
    plane,
    resize,
)
from i3d_tf.video.tvl1_numba_warp import fill_table, linearise


class Settings(NamedTuple):
    """TVL1Parameters in the types that the functions below are compiled for."""

    tau: float
    lambda_: float
    theta: float
    scales: int
    scale_step: float
    warps: int
    epsilon: float
    inner_iterations: int
    outer_iterations: int
    median: int


class Workspace(NamedTuple):
    """Memory for one pair of frames at a time.

    Attributes:
        sizes: int64 (levels, 2), height and width of the pyramid's levels, the full size first.
        starts: int64 (levels,), where in `previous` and `following` the planes of the levels start.
        previous: float32, flat: the pyramid of the first frame; the frame itself comes first.
        following: Like `previous`, of the second frame.
        fields: float32 (10, numbers in a plane of the full size), for the planes of a `Level`.
        coarse: Like `fields`, for the 2 planes of the flow of the level above.
        table: float32, flat: the warp table.
    """

    sizes: np.ndarray
    starts: np.ndarray
    previous: np.ndarray
    following: np.ndarray
    fields: np.ndarray
    coarse: np.ndarray
    table: np.ndarray


class Level(NamedTuple):
    """Unknowns and linearised data term on one level of the pyramid, each a plane.

    Attributes:
        u1: Flow along x, pixels of this level.
        u2: Flow along y.
        p11: Dual variable of the x derivative of u1.
        p12: Dual variable of the y derivative of u1.
        p21: Dual variable of the x derivative of u2.
        p22: Dual variable of the y derivative of u2.
        gradient_x: x derivative of the warped second frame, grey levels per pixel.
        gradient_y: y derivative of it.
        inverse_norm: 1 / (gradient_x^2 + gradient_y^2), or 0 where there is no gradient.
        constant: The part of the residual rho that the flow does not change, grey levels.
    """

    u1: np.ndarray
    u2: np.ndarray
    p11: np.ndarray
    p12: np.ndarray
    p21: np.ndarray
    p22: np.ndarray
    gradient_x: np.ndarray
    gradient_y: np.ndarray
    inverse_norm: np.ndarray
    constant: np.ndarray


@compiled
def solve(workspace, settings, flow):
    """Computes the flow of the two frames in a workspace.

    Args:
        workspace: A `Workspace`; beside the frames, sizes and starts its contents do not matter.
        settings: A `Settings`.
        flow: float32 (H, W, 2), to be filled: x then y, pixels.
    """
    sizes, starts = workspace.sizes, workspace.starts
    step = 1 / settings.scale_step
    _fill_pyramid(workspace.previous, sizes, starts, step)
    _fill_pyramid(workspace.following, sizes, starts, step)
    for index in range(len(sizes) - 1, -1, -1):
        size = sizes[index]
        _start_level(workspace, index, step)
        level = _level(workspace.fields, size)
        fill_table(plane(workspace.following[starts[index] :], size), size, workspace.table)
        previous = plane(workspace.previous[starts[index] :], size)
        _solve_level(level, previous, workspace.table, size, settings)
        workspace.coarse[:, : level.u1.size] = workspace.fields[:2, : level.u1.size]
    for y in range(flow.shape[0]):
        for x in range(flow.shape[1]):
            flow[y, x, 0] = level.u1[y + 1, x + HERE]
            flow[y, x, 1] = level.u2[y + 1, x + HERE]


@compiled
def _fill_pyramid(pyramid, sizes, starts, step):
    for index in range(1, len(sizes)):
        source = plane(pyramid[starts[index - 1] :], sizes[index - 1])
        target = plane(pyramid[starts[index] :], sizes[index])
        resize(source, sizes[index - 1], target, sizes[index], step, step, 1.0)


@compiled
def _start_level(workspace, index, step):
    """Clears the fields; the flow starts as that of the level above, if there is one, enlarged."""
    sizes, fields = workspace.sizes, workspace.fields
    size = sizes[index]
    fields[:, : plane(fields[0], size).size] = 0
    if index + 1 < len(sizes):
        above = sizes[index + 1]
        for axis in range(2):
            source, target = plane(workspace.coarse[axis], above), plane(fields[axis], size)
            # The vectors grow by the nominal step, as in OpenCV, however the sizes were rounded.
            resize(source, above, target, size, above[0] / size[0], above[1] / size[1], step)


@compiled
def _level(fields, size):
    return Level(
        plane(fields[0], size),
        plane(fields[1], size),
        plane(fields[2], size),
        plane(fields[3], size),
        plane(fields[4], size),
        plane(fields[5], size),
        plane(fields[6], size),
        plane(fields[7], size),
        plane(fields[8], size),
        plane(fields[9], size),
    )


@compiled
def _solve_level(level, previous, table, size, settings):
    inside = np.zeros(level.u1.shape[1], np.float32)
    inside[: size[1] - 1] = 1
    threshold = settings.epsilon**2 * size[0] * size[1]
    for _ in range(settings.warps):
        linearise(level, previous, table, size)
        error = np.float64(1e30)
        outer = 0
        while error > threshold and outer < settings.outer_iterations:
            if settings.median > 1:
                median_filter(level.u1, size)
                median_filter(level.u2, size)
            inner = 0
            while error > threshold and inner < settings.inner_iterations:
                error = _iterate(level, inside, size[0], settings)
                inner += 1
            outer += 1


@compiled
def _iterate(level, inside, height, settings):
    """One primal-dual step; returns the sum of the squared changes of the flow.

    The dual variables follow one row behind the flow, while all they need is still at hand.
    """
    theta = np.float32(settings.theta)
    bound = np.float32(settings.lambda_ * settings.theta)
    step = np.float32(settings.tau / settings.theta)
    error = np.float64(_first_row(level, bound, theta))
    for y in range(2, height + 1):
        error += _inner_row(level, y, inside, bound, theta, step)
    _last_row(level, height, inside, step)
    return error


@compiled_row
def _first_row(level, bound, theta):
    error = np.float32(0)
    for x in range(level.u1.shape[1] - MARGIN):
        error += _primal(level, 1, x, bound, theta)
    return error


@compiled_row
def _inner_row(level, y, inside, bound, theta, step):
    error = np.float32(0)
    for x in range(level.u1.shape[1] - MARGIN):
        error += _primal(level, y, x, bound, theta)
        _dual(level.u1, level.p11, level.p12, y - 1, y, x, inside, step)
        _dual(level.u2, level.p21, level.p22, y - 1, y, x, inside, step)
    return error


@compiled_row
def _last_row(level, y, inside, step):
    for x in range(level.u1.shape[1] - MARGIN):
        _dual(level.u1, level.p11, level.p12, y, y, x, inside, step)
        _dual(level.u2, level.p21, level.p22, y, y, x, inside, step)


@compiled_inline
def _primal(level, y, x, bound, theta):
    """Moves the flow by thresholding the data term, and by the dual variables' divergence."""
    u1, u2 = level.u1[y, x + HERE], level.u2[y, x + HERE]
    gradient_x, gradient_y = level.gradient_x[y, x + HERE], level.gradient_y[y, x + HERE]
    rho = level.constant[y, x + HERE] + gradient_x * u1 + gradient_y * u2
    # The three cases of the thresholding in one: towards rho = 0, but no further than the bound.
    length = min(max(-rho * level.inverse_norm[y, x + HERE], -bound), bound)
    divergence1 = level.p11[y, x + HERE] - level.p11[y, x + LEFT]
    divergence1 += level.p12[y, x + HERE] - level.p12[y - 1, x + HERE]
    divergence2 = level.p21[y, x + HERE] - level.p21[y, x + LEFT]
    divergence2 += level.p22[y, x + HERE] - level.p22[y - 1, x + HERE]
    change1 = length * gradient_x + theta * divergence1
    change2 = length * gradient_y + theta * divergence2
    level.u1[y, x + HERE] = u1 + change1
    level.u2[y, x + HERE] = u2 + change2
    return change1 * change1 + change2 * change2


@compiled_inline
def _dual(u, p_x, p_y, y, below, x, inside, step):
    """Moves the dual variables of one component of the flow by its forward differences.

    These are zero on the right edge, where `inside` is 0, and on the bottom, where `below` is `y`.
    """
    here = u[y, x + HERE]
    u_x = (u[y, x + RIGHT] - here) * inside[x]
    u_y = u[below, x + HERE] - here
    norm = np.float32(1) + step * np.sqrt(u_x * u_x + u_y * u_y)
    p_x[y, x + HERE] = (p_x[y, x + HERE] + step * u_x) / norm
    p_y[y, x + HERE] = (p_y[y, x + HERE] + step * u_y) / norm
