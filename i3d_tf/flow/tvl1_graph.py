"""TV-L1 optical flow as operations on arrays, written once for the libraries that compile them.

The algorithm and the defaults are those of OpenCV's DualTVL1OpticalFlow (equations: Perez,
Meinhardt-Llopis and Facciolo, IPOL 2013), applied to a batch of pairs of frames. Images are
float32 (B, H, W); the components of the flow, u1 along x and u2 along y, are images of their own,
because XLA does not vectorise along a short last axis.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from i3d_tf.flow.median_network import build_median_network
from i3d_tf.flow.tvl1 import TVL1Parameters

# early_stop: each pair stops when its flow stands still, as in OpenCV, so the result is OpenCV's.
# fixed: the steps below, whatever the frames; mean end-point error 0.02 to 0.05 pixels.
SCHEDULES = ("early_stop", "fixed")
# Primal-dual steps after each median filter, one row per warp (the last row again for more warps).
# Where early stopping takes its steps on real clips: in the first warps, and on the coarsest level.
FIXED_STEPS = ((30, 20), (15,), (10,), (10,), (10,))
FIXED_STEPS_COARSEST = ((30, 30, 30), (30, 30), (30,), (20,), (20,))

GPU_BATCH = 16  # pairs that a GPU computes at once

_BORDER = 4  # zero pixels around the warp table, so that outside the image it reads zeros
_TAPS = 4  # pixels that cubic interpolation reads along each axis
# In grey levels squared: flatter than this, a pixel says nothing about the flow (OpenCV's rule).
_FLAT = np.float32(np.finfo(np.float32).eps)

Array = Any


class ArrayLibrary(Protocol):
    """The functions that the algorithm takes from a library of arrays.

    A number of rows or columns is an integer, or an integer array where it is known only later.
    """

    minimum: Callable[[Array, Array], Array]
    maximum: Callable[[Array, Array], Array]
    clip: Callable[[Array, Any, Any], Array]
    floor: Callable[[Array], Array]
    sqrt: Callable[[Array], Array]
    where: Callable[[Array, Array, Any], Array]
    zeros_like: Callable[[Array], Array]
    any: Callable[[Array], Array]

    def sides(self, image: Array) -> tuple:
        """Returns height and width of images (B, H, W)."""

    def scaled(self, side: Any, scale: float) -> Any:
        """Returns a number of rows or columns times `scale`, halves rounded to the even integer."""

    def taps(self, count: Any, length: Any, step: Any) -> tuple[Array, Array, Array]:
        """Returns where linear interpolation reads a line of `length` pixels.

        Args:
            count: Positions.
            length: Pixels.
            step: Pixels per position; centres are at half pixels.

        Returns:
            The pixel before each position, int32; the one after it; and the share of the latter,
            float32. Positions are computed in float64, the same wherever the length is known.
        """

    def arange(self, count: Any) -> Array:
        """Returns 0, 1, ... as int32."""

    def to_float(self, array: Any) -> Array:
        """Converts to float32."""

    def to_int(self, array: Array) -> Array:
        """Converts to int32."""

    def full(self, length: int, value: np.float32) -> Array:
        """Returns (length,) of a value."""

    def take(self, array: Array, indices: Array, axis: int = 0) -> Array:
        """Returns the slices at indices that are all within the array."""

    def pad(self, array: Array, widths: Sequence[Sequence[int]]) -> Array:
        """Returns an array with zeros around it."""

    def flat(self, array: Array) -> Array:
        """Returns an array along one axis."""

    def concat(self, arrays: Sequence[Array], axis: int) -> Array:
        """Returns arrays one after the other."""

    def stack(self, arrays: Sequence[Array]) -> Array:
        """Returns arrays along a new last axis."""

    def mean(self, image: Array) -> Array:
        """Returns the means of images (B, H, W), (B,)."""

    def while_loop(self, goes_on: Callable, body: Callable, variables: tuple) -> tuple:
        """Returns the variables after the last time that `goes_on(*variables)`."""


class StepLimits(NamedTuple):
    """Limits of the primal-dual steps on one level of the pyramid.

    Attributes:
        steps: Most steps after each median filter: int32 (warps, filters + 1), each row ending
            in 0.
        threshold: Mean squared change of the flow in a step, in square pixels, below which a pair
            stops; None to take all steps.
    """

    steps: np.ndarray
    threshold: float | None


def step_limits(parameters: TVL1Parameters, schedule: str, coarsest: bool) -> StepLimits:
    """Returns the limits of the steps on one level.

    Args:
        parameters: Parameters.
        schedule: One of `SCHEDULES`.
        coarsest: Whether it is the level that starts from no flow.
    """
    rows: Sequence[Sequence[int]]
    threshold = None
    if schedule == "early_stop":
        rows = [[parameters.inner_iterations] * parameters.outer_iterations]
        threshold = parameters.epsilon**2
    else:
        rows = FIXED_STEPS_COARSEST if coarsest else FIXED_STEPS
    steps = np.zeros((parameters.warps, max(map(len, rows)) + 1), np.int32)
    for warp in range(parameters.warps):
        row = rows[min(warp, len(rows) - 1)]
        steps[warp, : len(row)] = row
    return StepLimits(steps, threshold)


class State(NamedTuple):
    """The unknowns on one level of the pyramid.

    Attributes:
        u1: Flow along x, (B, H, W), pixels of this level.
        u2: Flow along y.
        p11: Dual variable of the x derivative of u1.
        p12: Dual variable of the y derivative of u1.
        p21: Dual variable of the x derivative of u2.
        p22: Dual variable of the y derivative of u2.
    """

    u1: Array
    u2: Array
    p11: Array
    p12: Array
    p21: Array
    p22: Array


class DataTerm(NamedTuple):
    """The difference of two images as a function of the flow: rho(u) = constant + gradient . u.

    Attributes:
        gradient_x: x derivative of the warped second image, (B, H, W), grey levels per pixel.
        gradient_y: y derivative of it.
        inverse_norm: 1 / (gradient_x^2 + gradient_y^2), or 0 where there is no gradient.
        constant: Grey levels.
    """

    gradient_x: Array
    gradient_y: Array
    inverse_norm: Array
    constant: Array


class TVL1Graph:
    """The algorithm on arrays of one library.

    Args:
        library: The library.
        parameters: Parameters.
        schedule: One of `SCHEDULES`; "fixed" ignores the iterations and epsilon in `parameters`.
    """

    def __init__(
        self, library: ArrayLibrary, parameters: TVL1Parameters, schedule: str = "early_stop"
    ):
        self.library, self.parameters, self.schedule = library, parameters, schedule
        self._median = build_median_network(library.minimum, library.maximum)

    def solve(self, previous: Array, following: Array, num_levels: int) -> Array:
        """Computes the flow of each pair of frames.

        Args:
            previous: float32 (B, H, W) within [0, 255].
            following: Like `previous`.
            num_levels: Levels of the image pyramid.

        Returns:
            float32 (B, H, W, 2), x then y, pixels per frame.
        """
        library, scale = self.library, self.parameters.scale_step
        pyramid: list[tuple[Array, ...]] = [(previous, following)]
        for _ in range(num_levels - 1):
            size: Sequence = [library.scaled(n, scale) for n in library.sides(pyramid[-1][0])]
            pyramid.append(
                tuple(self.resize(image, size, (1 / scale, 1 / scale)) for image in pyramid[-1])
            )
        u1 = u2 = library.zeros_like(pyramid[-1][0])
        for index in range(num_levels - 1, -1, -1):
            coarsest = index + 1 == num_levels
            if not coarsest:
                above, size = (library.sides(pyramid[level][0]) for level in (index + 1, index))
                # The vectors grow by the nominal step, as in OpenCV, however sizes were rounded.
                steps = (above[0] / size[0], above[1] / size[1])
                u1, u2 = (self.resize(u, size, steps) * np.float32(1 / scale) for u in (u1, u2))
            limits = step_limits(self.parameters, self.schedule, coarsest)
            u1, u2 = self._solve_level(pyramid[index], (u1, u2), limits)
        return library.stack([u1, u2])

    def resize(self, image: Array, size: Sequence, steps: tuple) -> Array:
        """Resizes bilinearly as OpenCV's INTER_LINEAR: centres at half pixels, no antialiasing.

        Args:
            image: float32 (B, H, W).
            size: (height, width) of the result, integers or int32 arrays.
            steps: Rows of `image` per row of the result, and columns per column.

        Returns:
            float32 (B, height, width).
        """
        library = self.library
        lengths = library.sides(image)
        for axis, length, count, step in zip((1, 2), lengths, size, steps, strict=True):
            before, after, share = library.taps(count, length, step)
            share = share[:, np.newaxis] if axis == 1 else share
            here, there = library.take(image, before, axis), library.take(image, after, axis)
            image = here + share * (there - here)
        return image

    def _solve_level(self, images, flow, limits):
        previous, following = images
        library, warps = self.library, self.parameters.warps
        table = self.warp_table(following)
        zero = library.zeros_like(flow[0])

        def warp(count, *state):
            data = self.linearise(previous, table, state[0], state[1])
            steps = library.take(limits.steps, count)
            return count + 1, *self._iterate(State(*state), data, steps, limits.threshold)

        state = State(*flow, zero, zero, zero, zero)
        _, u1, u2, *_ = library.while_loop(lambda count, *_: count < warps, warp, (0, *state))
        return u1, u2

    def warp_table(self, image: Array) -> tuple[Array, ...]:
        """Returns the image and its derivatives with zeros around them, for the warp to read.

        Derivatives are central differences, the image repeating its edge.

        Args:
            image: float32 (B, H, W).

        Returns:
            Image, x derivative and y derivative, each float32 (B * (H + 8) * (W + 8),).
        """
        padded = self.repeat_edge(image, 1)
        derivative_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
        derivative_y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
        border = [[0, 0], [_BORDER, _BORDER], [_BORDER, _BORDER]]
        channels = (image, derivative_x, derivative_y)
        return tuple(self.library.flat(self.library.pad(channel, border)) for channel in channels)

    def repeat_edge(self, image: Array, border: int) -> Array:
        """Returns (B, H, W) with its edge repeated `border` times on all sides."""
        top, bottom = [image[:, :1]] * border, [image[:, -1:]] * border
        image = self.library.concat([*top, image, *bottom], 1)
        left, right = [image[:, :, :1]] * border, [image[:, :, -1:]] * border
        return self.library.concat([*left, image, *right], 2)

    def linearise(
        self, previous: Array, table: tuple[Array, ...], u1: Array, u2: Array
    ) -> DataTerm:
        """Warps the second image by the flow, and linearises its difference to the first.

        Args:
            previous: The first image, float32 (B, H, W).
            table: `warp_table` of the second image.
            u1: Flow along x, (B, H, W), pixels.
            u2: Flow along y.
        """
        library = self.library
        warped, gradient_x, gradient_y = self._sample(table, u1, u2)
        norm = gradient_x * gradient_x + gradient_y * gradient_y
        inverse_norm = library.where(norm > _FLAT, 1 / library.maximum(norm, _FLAT), 0.0)
        constant = warped - gradient_x * u1 - gradient_y * u2 - previous
        return DataTerm(gradient_x, gradient_y, inverse_norm, constant)

    def _sample(self, table, u1, u2):
        """Returns image and derivatives where the flow leads, by cubic interpolation."""
        library = self.library
        batch, (height, width) = u1.shape[0], library.sides(u1)
        # Further outside there are only zeros, too.
        x, y = (library.to_float(library.arange(side)) for side in (width, height))
        x = library.clip(x + u1, -3.0, library.to_float(width + 1))
        y = library.clip(y[:, np.newaxis] + u2, -3.0, library.to_float(height + 1))
        before_x, before_y = library.floor(x), library.floor(y)
        weights_x, weights_y = _cubic(x - before_x), _cubic(y - before_y)
        rows, columns = height + 2 * _BORDER, width + 2 * _BORDER
        first = library.to_int(before_y) * columns + library.to_int(before_x)
        first += (library.arange(batch) * (rows * columns))[:, np.newaxis, np.newaxis]
        first += (_BORDER - 1) * (columns + 1)
        samples = []
        for channel in table:
            sample = 0.0
            for row in range(_TAPS):
                # One gather per number, because XLA vectorises neither short slices nor short axes.
                taps = (library.take(channel, first + (row * columns + k)) for k in range(_TAPS))
                sample += weights_y[row] * sum(map(operator.mul, weights_x, taps))
            samples.append(sample)
        return samples

    def _iterate(self, state, data, max_steps, threshold):
        """Takes steps between median filters until the flow stands still.

        Args:
            state: `State`.
            data: `DataTerm`.
            max_steps: int32, the most steps after each median filter, ending in 0.
            threshold: See `StepLimits`.

        Returns:
            `State`.
        """
        library = self.library

        def moving(error):
            return error > (-1.0 if threshold is None else np.float32(threshold))

        def advance(new, old, error):
            # Where all of the batch moves, or all of it stops, there is nothing to choose.
            if threshold is None or error.shape[0] == 1:
                return new
            moves = moving(error)[:, np.newaxis, np.newaxis]
            return State(*(library.where(moves, *images) for images in zip(new, old, strict=True)))

        def step(count, error, *state):
            state = State(*state)
            new = self._step(state, data)
            if threshold is not None:
                change = library.mean((new.u1 - state.u1) ** 2 + (new.u2 - state.u2) ** 2)
                new = advance(new, state, error)
                error = library.where(moving(error), change, error)
            return count + 1, error, *new

        def filter_and_step(count, error, *state):
            state = State(*state)
            if self.parameters.median > 1:
                u1, u2 = self.median_filter(state.u1), self.median_filter(state.u2)
                state = advance(state._replace(u1=u1, u2=u2), state, error)
            _, *state = library.while_loop(
                lambda steps, error, *_: (steps < max_steps[count]) & library.any(moving(error)),
                step,
                (0, error, *state),
            )
            return count + 1, *state

        start = library.full(state.u1.shape[0], np.finfo(np.float32).max)
        _, _, *state = library.while_loop(
            lambda count, error, *_: (max_steps[count] > 0) & library.any(moving(error)),
            filter_and_step,
            (0, start, *state),
        )
        return State(*state)

    def _step(self, state, data):
        """Takes one primal-dual step."""
        u1, u2, p11, p12, p21, p22 = state
        lambda_, theta, tau = (
            getattr(self.parameters, name) for name in ("lambda_", "theta", "tau")
        )
        bound, step, theta = (np.float32(n) for n in (lambda_ * theta, tau / theta, theta))
        rho = data.constant + data.gradient_x * u1 + data.gradient_y * u2
        # The three cases of the thresholding in one: towards rho = 0, but at most to the bound.
        length = self.library.clip(-rho * data.inverse_norm, -bound, bound)
        u1 += length * data.gradient_x + theta * self._divergence(p11, p12)
        u2 += length * data.gradient_y + theta * self._divergence(p21, p22)
        return State(u1, u2, *self._dual(u1, p11, p12, step), *self._dual(u2, p21, p22, step))

    def _divergence(self, p_x, p_y):
        """Returns backward differences, zero beyond the first row and column."""
        left = self.library.pad(p_x[:, :, :-1], [[0, 0], [0, 0], [1, 0]])
        above = self.library.pad(p_y[:, :-1], [[0, 0], [1, 0], [0, 0]])
        return p_x - left + p_y - above

    def _dual(self, u, p_x, p_y, step):
        """Moves the dual variables along forward differences, zero in the last row and column."""
        pad = self.library.pad
        u_x = pad(u[:, :, 1:] - u[:, :, :-1], [[0, 0], [0, 0], [0, 1]])
        u_y = pad(u[:, 1:] - u[:, :-1], [[0, 0], [0, 1], [0, 0]])
        # The same once more, in other words: XLA stores what is used twice, and reading it back
        # takes longer than computing it.
        height, width = map(self._all_but_last, self.library.sides(u))
        again_x = (pad(u[:, :, 1:], [[0, 0], [0, 0], [0, 1]]) - u) * width
        again_y = (pad(u[:, 1:], [[0, 0], [0, 1], [0, 0]]) - u) * height[:, np.newaxis]
        inverse = 1 / (1 + step * self.library.sqrt(again_x * again_x + again_y * again_y))
        return (p_x + step * u_x) * inverse, (p_y + step * u_y) * inverse

    def _all_but_last(self, length):
        return self.library.to_float(self.library.arange(length) < length - 1)

    def median_filter(self, image: Array) -> Array:
        """Returns the 5x5 median of (B, H, W); beyond the edge, the edge is repeated."""
        height, width = self.library.sides(image)
        padded = self.repeat_edge(image, 2)
        ranks = self._median.sort_five(*(padded[:, y : y + height] for y in range(5)))
        columns = ([rank[:, :, x : x + width] for rank in ranks] for x in range(5))
        return self._median.median_of_columns(*columns)


def _cubic(t):
    """Returns weights of the four pixels around a position; the second is `t` before it.

    Cubic convolution (Keys 1981) with the free parameter of OpenCV's INTER_CUBIC.
    """
    a, s = -0.75, 1 - t
    first = a * t * s * s
    second = ((a + 2) * t - (a + 3)) * t * t + 1
    third = ((a + 2) * s - (a + 3)) * s * s + 1
    return first, second, third, 1 - first - second - third
