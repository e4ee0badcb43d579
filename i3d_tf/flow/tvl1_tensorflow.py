"""TV-L1 optical flow as TensorFlow operations: compiled by XLA, exportable, for CPU and GPU.

The algorithm and the defaults are those of OpenCV's DualTVL1OpticalFlow (equations: Perez,
Meinhardt-Llopis and Facciolo, IPOL 2013), applied to a batch of pairs of frames. Images are
float32 (B, H, W); the components of the flow, u1 along x and u2 along y, are images of their own,
because XLA does not vectorise along a short last axis.
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from i3d_tf.flow.median_network import build_median_network
from i3d_tf.flow.tvl1 import DEFAULT, TVL1Parameters, check_pairs, pyramid_sizes
from i3d_tf.specs.validation import check_choice

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

_median = build_median_network(tf.minimum, tf.maximum)


def flow_between(
    previous: np.ndarray,
    following: np.ndarray,
    parameters: TVL1Parameters = DEFAULT,
    schedule: str = "early_stop",
) -> np.ndarray:
    """Computes the optical flow of each pair of frames.

    The first call for frames of another size compiles for some seconds.

    Args:
        previous: Grey (N, H, W), uint8 or float within [0, 255], H and W at least 16.
        following: Like `previous`: the frame after each of them.
        parameters: Parameters.
        schedule: One of `SCHEDULES`; "fixed" ignores the iterations and epsilon in `parameters`.

    Returns:
        float32 (N, H, W, 2), x then y, pixels per frame.
    """
    previous, following = np.asarray(previous), np.asarray(following)
    check_pairs(previous, following)
    compute = _cached_flow_function(*previous.shape[1:], parameters, schedule)
    return compute(previous.astype(np.float32), following.astype(np.float32)).numpy()


def flow_function(
    height: int | None,
    width: int | None,
    parameters: TVL1Parameters = DEFAULT,
    schedule: str = "early_stop",
    batch: int | None = None,
    short_side: int | None = None,
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Builds a TensorFlow function that computes flow, to be called, nested or exported.

    Args:
        height: Height of the frames, at least 16; None for any.
        width: Width of the frames, at least 16; None for any.
        parameters: Parameters.
        schedule: One of `SCHEDULES`; "fixed" ignores the iterations and epsilon in `parameters`.
        batch: Pairs to compute at once, on a CPU per core; memory grows with it and not with the
            number of pairs. None means 16 where there is a GPU, and 1 otherwise.
        short_side: Where height or width is None: the smaller of the two, which determines how many
            levels the pyramid has.

    Returns:
        tf.function of `previous` and `following`, float32 (N, height, width) within [0, 255], N any
        number, that returns float32 (N, height, width, 2), x then y, pixels per frame.
    """
    check_choice("schedule", schedule, SCHEDULES)
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    batch = (GPU_BATCH if on_gpu else 1) if batch is None else batch
    num_levels = len(pyramid_sizes(*_known_size(height, width, short_side), parameters))
    frames = tf.TensorSpec([None, height, width], tf.float32)

    @tf.function(jit_compile=True, autograph=False)
    def solve(pairs):
        return _solve(*pairs, num_levels, parameters, schedule)

    @tf.function(input_signature=[frames, frames], autograph=False)
    def flow(previous, following):
        number, height, width = tf.unstack(tf.shape(previous))
        # Zero frames fill up the last batch: their flow is zero, and found at once.
        padding = [[0, -number % batch], [0, 0], [0, 0]]
        batches = [
            tf.ensure_shape(
                tf.reshape(tf.pad(images, padding), [-1, batch, height, width]),
                [None, batch, *frames.shape[1:]],
            )
            for images in (previous, following)
        ]
        flows = tf.map_fn(
            solve,
            batches,
            fn_output_signature=tf.TensorSpec([batch, *frames.shape[1:], 2], tf.float32),
            parallel_iterations=1 if on_gpu else os.cpu_count(),
        )
        return tf.reshape(flows, [-1, height, width, 2])[:number]

    return flow


_cached_flow_function = functools.lru_cache(maxsize=8)(flow_function)


def _known_size(height, width, short_side) -> tuple[int, int]:
    """Returns the size of frames, or one with as many levels where it is not known."""
    if None not in (height, width):
        return height, width
    if short_side is None:
        raise ValueError("`short_side` must be given where `height` or `width` is None.")
    return short_side, short_side


def _solve(previous, following, num_levels, parameters, schedule):
    step = 1 / parameters.scale_step
    pyramid = [(previous, following)]
    for _ in range(num_levels - 1):
        size = [_smaller(side, parameters.scale_step) for side in sides(pyramid[-1][0])]
        pyramid.append(tuple(resize(image, size, (step, step)) for image in pyramid[-1]))
    u1 = u2 = tf.zeros_like(pyramid[-1][0])
    for index in range(num_levels - 1, -1, -1):
        coarsest = index + 1 == num_levels
        if not coarsest:
            above, size = sides(pyramid[index + 1][0]), sides(pyramid[index][0])
            # The vectors grow by the nominal step, as in OpenCV, however the sizes were rounded.
            steps = (above[0] / size[0], above[1] / size[1])
            u1, u2 = (resize(u, size, steps) * np.float32(step) for u in (u1, u2))
        limits = step_limits(parameters, schedule, coarsest)
        u1, u2 = _solve_level(pyramid[index], (u1, u2), parameters, limits)
    return tf.stack([u1, u2], axis=-1)


def sides(image: tf.Tensor) -> tuple:
    """Returns height and width of images (B, H, W): integers where known, else tensors."""
    dynamic = tf.shape(image)
    return tuple(image.shape[axis] or dynamic[axis] for axis in (1, 2))


def _smaller(side, scale):
    """Rounds as `pyramid_sizes`: halves to the even integer."""
    if isinstance(side, int):
        return round(side * scale)
    return tf.cast(tf.round(tf.cast(side, tf.float64) * scale), tf.int32)


def resize(image: tf.Tensor, size: tuple, steps: tuple) -> tf.Tensor:
    """Resizes bilinearly as OpenCV's INTER_LINEAR: centres at half pixels, no antialiasing.

    Args:
        image: float32 (B, H, W).
        size: (height, width) of the result, integers or int32 tensors.
        steps: Rows of `image` per row of the result, and columns per column.

    Returns:
        float32 (B, height, width).
    """
    for axis, length, count, step in zip((1, 2), sides(image), size, steps, strict=True):
        # In float64, so that positions are the same wherever the size is known.
        position = (tf.range(count, dtype=tf.float64) + 0.5) * step - 0.5
        position = tf.clip_by_value(position, 0.0, tf.cast(length - 1, tf.float64))
        before = tf.floor(position)
        share = tf.cast(position - before, tf.float32)
        share = share[:, tf.newaxis] if axis == 1 else share
        before = tf.cast(before, tf.int32)
        here = tf.gather(image, before, axis=axis)
        after = tf.gather(image, tf.minimum(before + 1, length - 1), axis=axis)
        image = here + share * (after - here)
    return image


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

    u1: tf.Tensor
    u2: tf.Tensor
    p11: tf.Tensor
    p12: tf.Tensor
    p21: tf.Tensor
    p22: tf.Tensor


def _solve_level(images, flow, parameters, limits):
    previous, following = images
    table = warp_table(following)
    zero = tf.zeros_like(flow[0])

    def warp(count, *state):
        data = linearise(previous, table, state[0], state[1])
        steps = tf.gather(limits.steps, count)
        return count + 1, *_iterate(State(*state), data, parameters, steps, limits.threshold)

    state = State(*flow, zero, zero, zero, zero)
    _, u1, u2, *_ = tf.while_loop(lambda count, *_: count < parameters.warps, warp, (0, *state))
    return u1, u2


def warp_table(image: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Returns the image and its derivatives with zeros around them, for the warp to read.

    Derivatives are central differences, the image repeating its edge.

    Args:
        image: float32 (B, H, W).

    Returns:
        Image, x derivative and y derivative, each float32 (B * (H + 8) * (W + 8),).
    """
    padded = repeat_edge(image, 1)
    derivative_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    derivative_y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    border = [[0, 0], [_BORDER, _BORDER], [_BORDER, _BORDER]]
    return tuple(
        tf.reshape(tf.pad(channel, border), [-1]) for channel in (image, derivative_x, derivative_y)
    )


def repeat_edge(image: tf.Tensor, border: int) -> tf.Tensor:
    """Returns (B, H, W) with its edge repeated `border` times on all sides."""
    image = tf.concat([image[:, :1]] * border + [image] + [image[:, -1:]] * border, axis=1)
    return tf.concat([image[:, :, :1]] * border + [image] + [image[:, :, -1:]] * border, axis=2)


class DataTerm(NamedTuple):
    """The difference of two images as a function of the flow: rho(u) = constant + gradient . u.

    Attributes:
        gradient_x: x derivative of the warped second image, (B, H, W), grey levels per pixel.
        gradient_y: y derivative of it.
        inverse_norm: 1 / (gradient_x^2 + gradient_y^2), or 0 where there is no gradient.
        constant: Grey levels.
    """

    gradient_x: tf.Tensor
    gradient_y: tf.Tensor
    inverse_norm: tf.Tensor
    constant: tf.Tensor


def linearise(
    previous: tf.Tensor, table: tuple[tf.Tensor, ...], u1: tf.Tensor, u2: tf.Tensor
) -> DataTerm:
    """Warps the second image by the flow, and linearises its difference to the first.

    Args:
        previous: The first image, float32 (B, H, W).
        table: `warp_table` of the second image.
        u1: Flow along x, (B, H, W), pixels.
        u2: Flow along y.
    """
    warped, gradient_x, gradient_y = _sample(table, u1, u2)
    norm = gradient_x * gradient_x + gradient_y * gradient_y
    inverse_norm = tf.where(norm > _FLAT, 1 / tf.maximum(norm, _FLAT), 0.0)
    constant = warped - gradient_x * u1 - gradient_y * u2 - previous
    return DataTerm(gradient_x, gradient_y, inverse_norm, constant)


def _sample(table, u1, u2):
    """Returns image and derivatives where the flow leads, by cubic interpolation."""
    batch, (height, width) = u1.shape[0], sides(u1)
    # Further outside there are only zeros, too.
    x, y = (tf.range(side, dtype=tf.float32) for side in (width, height))
    x = tf.clip_by_value(x + u1, -3.0, tf.cast(width + 1, tf.float32))
    y = tf.clip_by_value(y[:, tf.newaxis] + u2, -3.0, tf.cast(height + 1, tf.float32))
    before_x, before_y = tf.floor(x), tf.floor(y)
    weights_x, weights_y = _cubic(x - before_x), _cubic(y - before_y)
    rows, columns = height + 2 * _BORDER, width + 2 * _BORDER
    first = tf.cast(before_y, tf.int32) * columns + tf.cast(before_x, tf.int32)
    first += (tf.range(batch) * (rows * columns))[:, tf.newaxis, tf.newaxis]
    first += (_BORDER - 1) * (columns + 1)
    samples = []
    for channel in table:
        sample = 0.0
        for row in range(_TAPS):
            # One gather per number, because XLA vectorises neither short slices nor short axes.
            taps = (tf.gather(channel, first + (row * columns + tap)) for tap in range(_TAPS))
            sample += weights_y[row] * sum(map(tf.multiply, weights_x, taps))
        samples.append(sample)
    return samples


def _cubic(t):
    """Returns weights of the four pixels around a position; the second is `t` before it.

    Cubic convolution (Keys 1981) with the free parameter of OpenCV's INTER_CUBIC.
    """
    a, s = -0.75, 1 - t
    first = a * t * s * s
    second = ((a + 2) * t - (a + 3)) * t * t + 1
    third = ((a + 2) * s - (a + 3)) * s * s + 1
    return first, second, third, 1 - first - second - third


def _iterate(state, data, parameters, max_steps, threshold):
    """Takes steps between median filters until the flow stands still.

    Args:
        state: `State`.
        data: `DataTerm`.
        parameters: TVL1Parameters.
        max_steps: int32, the most steps after each median filter, ending in 0.
        threshold: See `StepLimits`.

    Returns:
        `State`.
    """

    def moving(error):
        return tf.ones_like(error, tf.bool) if threshold is None else error > np.float32(threshold)

    def advance(new, old, error):
        if threshold is None or error.shape[0] == 1:  # all of the batch moves, or all of it stops
            return new
        still_moves = moving(error)[:, tf.newaxis, tf.newaxis]
        return State(*(tf.where(still_moves, *images) for images in zip(new, old, strict=True)))

    def step(count, error, *state):
        state = State(*state)
        new = _step(state, data, parameters)
        if threshold is not None:
            change = tf.reduce_mean((new.u1 - state.u1) ** 2 + (new.u2 - state.u2) ** 2, [1, 2])
            return count + 1, tf.where(moving(error), change, error), *advance(new, state, error)
        return count + 1, error, *new

    def filter_and_step(count, error, *state):
        state = State(*state)
        if parameters.median > 1:
            filtered = state._replace(u1=median_filter(state.u1), u2=median_filter(state.u2))
            state = advance(filtered, state, error)
        _, *state = tf.while_loop(
            lambda steps, error, *_: (steps < max_steps[count]) & tf.reduce_any(moving(error)),
            step,
            (0, error, *state),
        )
        return count + 1, *state

    start = tf.fill(state.u1.shape[:1], np.finfo(np.float32).max)
    _, _, *state = tf.while_loop(
        lambda count, error, *_: (max_steps[count] > 0) & tf.reduce_any(moving(error)),
        filter_and_step,
        (0, start, *state),
    )
    return State(*state)


def _step(state, data, parameters):
    """Takes one primal-dual step."""
    u1, u2, p11, p12, p21, p22 = state
    bound, theta = np.float32(parameters.lambda_ * parameters.theta), np.float32(parameters.theta)
    step = np.float32(parameters.tau / parameters.theta)
    rho = data.constant + data.gradient_x * u1 + data.gradient_y * u2
    # The three cases of the thresholding in one: towards rho = 0, but no further than the bound.
    length = tf.clip_by_value(-rho * data.inverse_norm, -bound, bound)
    u1 += length * data.gradient_x + theta * _divergence(p11, p12)
    u2 += length * data.gradient_y + theta * _divergence(p21, p22)
    return State(u1, u2, *_dual(u1, p11, p12, step), *_dual(u2, p21, p22, step))


def _divergence(p_x, p_y):
    """Returns backward differences, zero beyond the first row and column."""
    left = tf.pad(p_x[:, :, :-1], [[0, 0], [0, 0], [1, 0]])
    above = tf.pad(p_y[:, :-1], [[0, 0], [1, 0], [0, 0]])
    return p_x - left + p_y - above


def _dual(u, p_x, p_y, step):
    """Moves the dual variables along the forward differences, zero in the last row and column."""
    u_x = tf.pad(u[:, :, 1:] - u[:, :, :-1], [[0, 0], [0, 0], [0, 1]])
    u_y = tf.pad(u[:, 1:] - u[:, :-1], [[0, 0], [0, 1], [0, 0]])
    # The same once more, in other words: XLA stores what is used twice, and reading it back takes
    # longer than computing it.
    height, width = sides(u)
    again_x = (tf.pad(u[:, :, 1:], [[0, 0], [0, 0], [0, 1]]) - u) * _all_but_last(width)
    again_y = (tf.pad(u[:, 1:], [[0, 0], [0, 1], [0, 0]]) - u) * _all_but_last(height)[
        :, np.newaxis
    ]
    inverse = 1 / (1 + step * tf.sqrt(again_x * again_x + again_y * again_y))
    return (p_x + step * u_x) * inverse, (p_y + step * u_y) * inverse


def _all_but_last(length):
    return tf.cast(tf.range(length) < length - 1, tf.float32)


def median_filter(image: tf.Tensor) -> tf.Tensor:
    """Returns the 5x5 median of (B, H, W); beyond the edge, the edge is repeated."""
    height, width = sides(image)
    padded = repeat_edge(image, 2)
    ranks = _median.sort_five(*(padded[:, y : y + height] for y in range(5)))
    columns = ([rank[:, :, x : x + width] for rank in ranks] for x in range(5))
    return _median.median_of_columns(*columns)
