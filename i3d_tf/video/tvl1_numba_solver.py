"""The numba engine's TV-L1 optical flow on one level of the pyramid.

The equations are those of Perez, Meinhardt-Llopis and Facciolo (IPOL 2013), the order of the steps
and of every sum and product is that of OpenCV's DualTVL1OpticalFlow: warp the second frame by the
flow so far and linearise; then median filters and primal-dual steps until the flow stands still.
"""

from typing import NamedTuple

import numpy as np

from i3d_tf.video.tvl1_numba_planes import (
    HERE,
    LEFT,
    MARGIN,
    RIGHT,
    add_in_any_order,
    compiled,
    compiled_inline,
    compiled_row,
    median_filter,
)
from i3d_tf.video.tvl1_numba_warp import fill_table, linearise

# In grey levels squared: flatter than this, a pixel says nothing about the flow (OpenCV's rule).
_FLAT = np.float32(np.finfo(np.float32).eps)
_ROUNDING = 2.0**-24  # of one float32 operation, relative


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
        constant: The part of the residual rho that the flow does not change, grey levels.
        squares: By how much the last step changed the flow, pixels squared.
    """

    u1: np.ndarray
    u2: np.ndarray
    p11: np.ndarray
    p12: np.ndarray
    p21: np.ndarray
    p22: np.ndarray
    gradient_x: np.ndarray
    gradient_y: np.ndarray
    constant: np.ndarray
    squares: np.ndarray


@compiled
def solve(level, previous, following, table, settings):
    """Computes the flow on one level, from the flow of the level above.

    Args:
        level: A `Level`: zeros but for the flow to start from, which becomes the result.
        previous: The first image, float32 (H, W).
        following: The second image, like `previous`.
        table: Memory for the warp table.
        settings: A `Settings`.
    """
    height, width = size = previous.shape
    inside = np.zeros(level.u1.shape[1], np.float32)
    inside[: width - 1] = 1
    threshold = np.float32(settings.epsilon * settings.epsilon * (height * width))
    fill_table(following, table)
    for _ in range(settings.warps):
        linearise(level, previous, table)
        error = np.float32(np.inf)
        outer = 0
        while error > threshold and outer < settings.outer_iterations:
            if settings.median > 1:
                median_filter(level.u1, size)
                median_filter(level.u2, size)
            inner = 0
            while error > threshold and inner < settings.inner_iterations:
                error = _iterate(level, inside, size, threshold, settings)
                inner += 1
            outer += 1


@compiled
def _iterate(level, inside, size, threshold, settings):
    """One primal-dual step; returns the sum of the squared changes of the flow.

    The dual variables follow one row behind the flow, while all they need is still at hand.
    """
    height, width = size
    theta = np.float32(settings.theta)
    bound = np.float32(settings.lambda_ * settings.theta)
    step = np.float32(settings.tau / settings.theta)
    error = np.float64(0)
    for y in range(1, height + 1):
        error += _primal_row(level, y, bound, theta)
        if y > 1:
            _dual_row(level, y - 1, y, inside, step)
    _dual_row(level, height, height, inside, step)
    # OpenCV adds up in float32, one pixel after the other, which is slow and rounds as often. Only
    # where that could be on the other side of the threshold it has to be done.
    doubt = (height + 1) * width * _ROUNDING
    if abs(error - threshold) * (1 - doubt) <= error * doubt:
        return _sum_in_order(level.squares, size)
    return np.float32(error)


@compiled
def _sum_in_order(squares, size):
    total = np.float32(0)
    for y in range(size[0]):
        for x in range(size[1]):
            total += squares[y + 1, x + HERE]
    return total


@compiled_row
def _primal_row(level, y, bound, theta):
    error = np.float32(0)
    for x in range(level.u1.shape[1] - MARGIN):
        error = add_in_any_order(error, _primal(level, y, x, bound, theta))
    return error


@compiled_row
def _dual_row(level, y, below, inside, step):
    for x in range(level.u1.shape[1] - MARGIN):
        _dual(level.u1, level.p11, level.p12, y, below, x, inside, step)
        _dual(level.u2, level.p21, level.p22, y, below, x, inside, step)


@compiled_inline
def _primal(level, y, x, bound, theta):
    """Moves the flow by thresholding the data term, and by the dual variables' divergence."""
    u1, u2 = level.u1[y, x + HERE], level.u2[y, x + HERE]
    gradient_x, gradient_y = level.gradient_x[y, x + HERE], level.gradient_y[y, x + HERE]
    norm = gradient_x * gradient_x + gradient_y * gradient_y
    rho = level.constant[y, x + HERE] + (gradient_x * u1 + gradient_y * u2)
    # Towards rho = 0, but no further than the bound.
    length = -rho / norm if norm > _FLAT else np.float32(0)
    length = -bound if rho > bound * norm else length
    length = bound if rho < -bound * norm else length
    moved1 = u1 + length * gradient_x + theta * _divergence(level.p11, level.p12, y, x)
    moved2 = u2 + length * gradient_y + theta * _divergence(level.p21, level.p22, y, x)
    level.u1[y, x + HERE] = moved1
    level.u2[y, x + HERE] = moved2
    square = (moved1 - u1) * (moved1 - u1) + (moved2 - u2) * (moved2 - u2)
    level.squares[y, x + HERE] = square
    return square


@compiled_inline
def _divergence(p_x, p_y, y, x):
    here_x, here_y, above = p_x[y, x + HERE], p_y[y, x + HERE], p_y[y - 1, x + HERE]
    inner = (here_x - p_x[y, x + LEFT]) + (here_y - above)
    return inner if x > 0 else here_x + here_y - above  # alike but for the order, which is OpenCV's


@compiled_inline
def _dual(u, p_x, p_y, y, below, x, inside, step):
    """Moves the dual variables of one component of the flow by its forward differences.

    These are zero on the right edge, where `inside` is 0, and on the bottom, where `below` is `y`.
    """
    here = u[y, x + HERE]
    u_x = (u[y, x + RIGHT] - here) * inside[x]
    u_y = u[below, x + HERE] - here
    # As the C library's hypotf: rounded once, from double precision.
    square = np.float64(u_x) * np.float64(u_x) + np.float64(u_y) * np.float64(u_y)
    norm = np.float32(1) + step * np.float32(np.sqrt(square))
    p_x[y, x + HERE] = (p_x[y, x + HERE] + step * u_x) / norm
    p_y[y, x + HERE] = (p_y[y, x + HERE] + step * u_y) / norm
