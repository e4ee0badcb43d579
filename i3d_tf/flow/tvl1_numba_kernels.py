"""TV-L1 optical flow on one level of the pyramid, compiled by numba.

The equations are those of Perez, Meinhardt-Llopis and Facciolo (IPOL 2013), the order of the steps
and of every sum and product is that of OpenCV's DualTVL1OpticalFlow: warp the second frame by the
flow so far and linearise; then median filters and primal-dual steps until the flow stands still.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core.cpu import CPUTargetOptions
from numba.core.options import TargetOptions

from i3d_tf.flow import llvm_intrinsics, median_network
from i3d_tf.flow.llvm_intrinsics import CHANNELS, TAPS, interpolate, multiply_add
from i3d_tf.flow.median_network import build_median_network

# numba can tell LLVM that arrays do not overlap, and does so in its own parallel loops; this lets
# the decorator ask for it. Without, every row would start with a hundred comparisons of addresses.
CPUTargetOptions.noalias = TargetOptions.Mapping("noalias")

# What leaves every finite number as the source has it: sums in their order, no product fused into a
# sum, no division replaced. TV-L1 makes whole pixels of flow out of a last bit.
EXACT = {"nnan", "ninf", "nsz"}
OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": EXACT, "error_model": "numpy"}
compiled = numba.njit(forceinline=True, **OPTIONS)
# For functions whose arrays never overlap.
compiled_row = numba.njit(forceinline=True, noalias=True, **OPTIONS)  # type: ignore[call-overload]

MARGIN = 16  # float32 in a cache line, and in the widest vector
# Loops over x count from zero and add these: numba then sees that no index is negative, and
# vectorises.
LEFT, HERE, RIGHT = MARGIN - 1, MARGIN, MARGIN + 1
BORDER = 4  # zero pixels around the warp table, so that whatever lies outside reads zeros

# The free parameter of cubic convolution (Keys 1981) as OpenCV's INTER_CUBIC has it: a = -0.75.
_A, _A_PLUS_2, _A_PLUS_3 = np.float32(-0.75), np.float32(1.25), np.float32(2.25)
# In grey levels squared: flatter than this, a pixel says nothing about the flow (OpenCV's rule).
_FLAT = np.float32(np.finfo(np.float32).eps)
_ROUNDING = 2.0**-24  # of one float32 operation, relative

_sort_five, _median_of_columns = build_median_network(min, max, compiled)


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


def plane_shape(height: int, width: int) -> tuple[int, int]:
    """Returns rows and columns of the plane of an image: its rows are whole vectors."""
    return height + 2, MARGIN + -(-width // MARGIN) * MARGIN


def plane(buffer: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the plane of an image of the given (height, width) at the start of a flat buffer."""
    rows, columns = plane_shape(*size)
    return buffer[: rows * columns].reshape(rows, columns)


def image_in(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the image of the given (height, width) in a plane, as a view."""
    return plane[1 : 1 + size[0], HERE : HERE + size[1]]


def table_size(height: int, width: int) -> int:
    """Returns the number of float32 in the warp table of an image."""
    return (height + 2 * BORDER) * (width + 2 * BORDER) * CHANNELS


def solve_level(
    level: Level,
    previous: np.ndarray,
    following: np.ndarray,
    table: np.ndarray,
    settings: Settings,
) -> None:
    """Computes the flow on one level, from the flow of the level above.

    Args:
        level: Zeros but for the flow to start from, which becomes the result.
        previous: The first image, float32 (H, W).
        following: The second image, like `previous`.
        table: Memory for the warp table, flat float32, `table_size` numbers.
        settings: Parameters.
    """
    try:
        compiled_solve(level, previous, following, table, settings)
    except OSError:  # the cache could not be written, say on a full disk; but it is compiled by now
        compiled_solve(level, previous, following, table, settings)


def compile_solve(sources: Sequence[Path]) -> Callable:
    """Returns `solve` with a cache on disk, or without where there can be none.

    numba compiles anew when this file changes, or what the cached function closes over; so it
    closes over a digest of all files that it is made from.

    Args:
        sources: These files.
    """
    try:
        contents = b"".join(source.read_bytes() for source in sources)
        digest = hashlib.sha256(contents).hexdigest()

        @numba.njit(cache=True, **OPTIONS)
        def solve_cached(level, previous, following, table, settings):
            _ = digest
            solve(level, previous, following, table, settings)

        return solve_cached
    except (OSError, RuntimeError):  # sources that cannot be read, or nowhere to write
        return solve


@compiled
def solve(
    level: Level,
    previous: np.ndarray,
    following: np.ndarray,
    table: np.ndarray,
    settings: Settings,
) -> None:
    """Does what `solve_level` does, without a cache."""
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
def fill_table(image: np.ndarray, buffer: np.ndarray) -> None:
    """Fills the warp table of an image: central differences, the image repeating its edge.

    Args:
        image: float32 (H, W).
        buffer: Flat float32, of at least `table_size` numbers.
    """
    height, width = image.shape
    rows, columns = height + 2 * BORDER, width + 2 * BORDER
    table = buffer[: rows * columns * CHANNELS].reshape(columns, rows, CHANNELS)
    table[:] = 0
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            pixel = table[x + BORDER, y + BORDER]
            pixel[0] = image[y, x]
            pixel[1] = np.float32(0.5) * (image[y, right] - image[y, left])
            pixel[2] = np.float32(0.5) * (image[below, x] - image[above, x])


@compiled
def linearise(level: Level, previous: np.ndarray, table: np.ndarray) -> None:
    """Fills a level's data term: rho(u) = constant + gradient . u, linear around the flow so far.

    Args:
        level: Its flow determines where the warp reads.
        previous: The first image, float32 (H, W).
        table: The warp table of the second image.
    """
    height, width = previous.shape
    offsets = np.empty(width, np.int64)
    weights = np.empty((2 * TAPS, width), np.float32)
    samples = np.empty((3, width), np.float32)
    for y in range(height):
        _locate_row(level, y, (height, width), offsets, weights)
        _sample_row(table, offsets, weights, (height + 2 * BORDER) * CHANNELS, samples)
        _linearise_row(level, previous, y, samples)


@compiled_row
def _locate_row(level, y, size, offsets, weights):
    """Finds where in the table each pixel starts to read, and the weights along x and y."""
    height, width = size
    rows = height + 2 * BORDER
    # Further outside there are only zeros, too.
    low, right, bottom = np.float32(-3), np.float32(width + 1), np.float32(height + 1)
    for x in range(width):
        position_x = min(max(np.float32(x) + level.u1[y + 1, x + HERE], low), right)
        position_y = min(max(np.float32(y) + level.u2[y + 1, x + HERE], low), bottom)
        before_x, before_y = np.floor(position_x), np.floor(position_y)
        row, column = np.int32(before_y) + BORDER - 1, np.int32(before_x) + BORDER - 1
        offsets[x] = (column * rows + row) * CHANNELS
        of_x, of_y = _cubic(position_x - before_x), _cubic(position_y - before_y)
        weights[0, x], weights[1, x], weights[2, x], weights[3, x] = of_x
        weights[4, x], weights[5, x], weights[6, x], weights[7, x] = of_y


@compiled
def _cubic(t):
    """Returns weights of the four pixels around a position; the second is `t` before it."""
    one, s = np.float32(1), np.float32(1) - t
    first = _A * (t * (s * s))
    second = multiply_add(multiply_add(_A_PLUS_2, t, -_A_PLUS_3), t * t, one)
    fourth = _A * (t * t * s)
    return first, second, one - first - second - fourth, fourth


@compiled_row
def _sample_row(table, offsets, weights, column, samples):
    for x in range(len(offsets)):
        weights_x = (weights[0, x], weights[1, x], weights[2, x], weights[3, x])
        weights_y = (weights[4, x], weights[5, x], weights[6, x], weights[7, x])
        sample = interpolate(table, offsets[x], column, weights_x, weights_y)
        samples[0, x], samples[1, x], samples[2, x] = sample


@compiled_row
def _linearise_row(level, previous, y, samples):
    for x in range(samples.shape[1]):
        gradient_x, gradient_y = samples[1, x], samples[2, x]
        level.gradient_x[y + 1, x + HERE] = gradient_x
        level.gradient_y[y + 1, x + HERE] = gradient_y
        level.constant[y + 1, x + HERE] = (
            samples[0, x]
            - gradient_x * level.u1[y + 1, x + HERE]
            - gradient_y * level.u2[y + 1, x + HERE]
            - previous[y, x]
        )


@compiled
def median_filter(image: np.ndarray, size: tuple[int, int]) -> None:
    """Replaces the image in a plane by its 5x5 median; beyond the edge, the edge is repeated.

    Args:
        image: The plane.
        size: (height, width) of its image.
    """
    height, width = size[0], size[1]
    columns = np.empty((5, width + 4), np.float32)
    delayed = np.empty((2, width), np.float32)
    for y in range(height + 2):
        if y < height:
            _sort_columns(image, y, height, columns)
        if y >= 2:  # no row below needs the old row y - 2
            image[y - 1, HERE : HERE + width] = delayed[y % 2]
        if y < height:
            _median_row(columns, delayed[y % 2])


@compiled_row
def _sort_columns(image, y, height, columns):
    a, b, c = max(y - 2, 0) + 1, max(y - 1, 0) + 1, y + 1
    d, e = min(y + 1, height - 1) + 1, min(y + 2, height - 1) + 1
    width = columns.shape[1] - 4
    for x in range(width):
        ranks = _sort_five(
            image[a, x + HERE],
            image[b, x + HERE],
            image[c, x + HERE],
            image[d, x + HERE],
            image[e, x + HERE],
        )
        columns[0, x + 2] = ranks[0]
        columns[1, x + 2] = ranks[1]
        columns[2, x + 2] = ranks[2]
        columns[3, x + 2] = ranks[3]
        columns[4, x + 2] = ranks[4]
    for rank in range(5):
        columns[rank, :2] = columns[rank, 2]
        columns[rank, width + 2 :] = columns[rank, width + 1]


@compiled_row
def _median_row(columns, medians):
    for x in range(len(medians)):
        medians[x] = _median_of_columns(
            _column(columns, x),
            _column(columns, x + 1),
            _column(columns, x + 2),
            _column(columns, x + 3),
            _column(columns, x + 4),
        )


@compiled
def _column(columns, x):
    return columns[0, x], columns[1, x], columns[2, x], columns[3, x], columns[4, x]


@compiled
def _iterate(level, inside, size, threshold, settings):
    """Takes one primal-dual step; returns the sum of the squared changes of the flow.

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
        return sum_in_order(level.squares, size)
    return np.float32(error)


@compiled
def sum_in_order(squares: np.ndarray, size: tuple[int, int]) -> np.float32:
    """Returns the sum of the image in a plane, added up pixel after pixel."""
    total = np.float32(0)
    for y in range(size[0]):
        for x in range(size[1]):
            total += squares[y + 1, x + HERE]
    return total


@compiled_row
def _primal_row(level, y, bound, theta):
    error = np.float32(0)
    for x in range(level.u1.shape[1] - MARGIN):
        error = _add_in_any_order(error, _primal(level, y, x, bound, theta))
    return error


@numba.njit(forceinline=True, **{**OPTIONS, "fastmath": EXACT | {"reassoc"}})
def _add_in_any_order(a, b):
    """Adds two numbers; a long chain of these may be reordered, and so is vectorised."""
    return a + b


@compiled
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


@compiled
def _divergence(p_x, p_y, y, x):
    here_x, here_y, above = p_x[y, x + HERE], p_y[y, x + HERE], p_y[y - 1, x + HERE]
    inner = (here_x - p_x[y, x + LEFT]) + (here_y - above)
    return inner if x > 0 else here_x + here_y - above  # alike but for the order, which is OpenCV's


@compiled_row
def _dual_row(level, y, below, inside, step):
    for x in range(level.u1.shape[1] - MARGIN):
        _move_dual(level.p11, level.p12, y, x, step, _gradient(level.u1, y, below, x, inside))
        _move_dual(level.p21, level.p22, y, x, step, _gradient(level.u2, y, below, x, inside))


@compiled
def _gradient(u, y, below, x, inside):
    """Returns the forward differences of one component of the flow.

    These are zero on the right edge, where `inside` is 0, and on the bottom, where `below` is `y`.
    """
    here = u[y, x + HERE]
    return (u[y, x + RIGHT] - here) * inside[x], u[below, x + HERE] - here


@compiled
def _move_dual(p_x, p_y, y, x, step, gradient):
    """Moves the dual variables of one component of the flow by its gradient."""
    u_x, u_y = gradient
    # As the C library's hypotf: rounded once, from double precision.
    square = np.float64(u_x) * np.float64(u_x) + np.float64(u_y) * np.float64(u_y)
    norm = np.float32(1) + step * np.float32(np.sqrt(square))
    p_x[y, x + HERE] = (p_x[y, x + HERE] + step * u_x) / norm
    p_y[y, x + HERE] = (p_y[y, x + HERE] + step * u_y) / norm


compiled_solve = compile_solve(
    [Path(__file__), Path(llvm_intrinsics.__file__), Path(median_network.__file__)]
)
