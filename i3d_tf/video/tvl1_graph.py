"""TV-L1 optical flow as TensorFlow operations: compiled by XLA, exportable, for CPU and GPU.

The algorithm and the defaults are those of OpenCV's DualTVL1OpticalFlow (equations: Perez,
Meinhardt-Llopis and Facciolo, IPOL 2013), applied to a batch of pairs of frames. Images are float32
(B, H, W); the components of the flow, u1 along x and u2 along y, are images of their own, because XLA
does not vectorise along a short last axis.
"""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from i3d_tf.video.median_network import build_median_network
from i3d_tf.video.tvl1 import TVL1Parameters, check_pairs, pyramid_sizes
from i3d_tf.video.tvl1_graph_warp import linearise, resize, warp_table

# early_stop: every pair stops when its flow stands still, as in OpenCV. fixed: one median filter and
# `inner_iterations` steps per warp, whatever happens; mean end-point error 0.04 pixels by default.
SCHEDULES = ("early_stop", "fixed")

_median = build_median_network(tf.minimum, tf.maximum)


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


def flow_between(previous, following, parameters=TVL1Parameters(), schedule="early_stop"):
    """Optical flow of each pair of frames.

    The first call for frames of another size compiles for some seconds.

    Args:
        previous: Grey (N, H, W), uint8 or float within [0, 255], H and W at least 16.
        following: Like `previous`: the frame after each of them.
        parameters: TVL1Parameters.
        schedule: One of `SCHEDULES`.

    Returns:
        float32 (N, H, W, 2), x then y, pixels per frame.
    """
    previous, following = np.asarray(previous), np.asarray(following)
    check_pairs(previous, following)
    compute = _kept_flow_function(*previous.shape[1:], parameters, schedule)
    return compute(previous.astype(np.float32), following.astype(np.float32)).numpy()


def flow_function(height, width, parameters=TVL1Parameters(), schedule="early_stop", batch=None):
    """Builds a TensorFlow function that computes flow, to be called, nested or exported.

    Args:
        height: Height of the frames, at least 16.
        width: Width of the frames, at least 16.
        parameters: TVL1Parameters.
        schedule: One of `SCHEDULES`.
        batch: Pairs to compute at once; memory grows with it and not with the number of pairs. None
            means 16 where there is a GPU, and 1 otherwise.

    Returns:
        tf.function of `previous` and `following`, float32 (N, height, width) within [0, 255], N any
        number, that returns float32 (N, height, width, 2), x then y, pixels per frame.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"`schedule` must be one of {SCHEDULES}; received {schedule!r}.")
    sizes = pyramid_sizes(height, width, parameters)
    if batch is None:
        batch = 16 if tf.config.list_physical_devices("GPU") else 1
    frames = tf.TensorSpec([None, height, width], tf.float32)

    @tf.function(jit_compile=True, autograph=False)
    def solve(pair):
        return _solve(*pair, sizes, parameters, schedule)

    @tf.function(input_signature=[frames, frames], autograph=False)
    def flow(previous, following):
        number = tf.shape(previous)[0]
        # Zero frames fill the last batch: their flow is zero, and found at once.
        padding = [[0, -number % batch], [0, 0], [0, 0]]
        pairs = [
            tf.reshape(tf.pad(frames, padding), [-1, batch, height, width])
            for frames in (previous, following)
        ]
        flows = tf.map_fn(solve, pairs, fn_output_signature=tf.float32, parallel_iterations=PARALLEL)
        return tf.reshape(flows, [-1, height, width, 2])[:number]

    return flow

PARALLEL=2
_kept_flow_function = functools.lru_cache(maxsize=8)(flow_function)


def _solve(previous, following, sizes, parameters, schedule):
    step = 1 / parameters.scale_step
    pyramid = [(previous, following)]
    for size in sizes[1:]:
        pyramid.append(tuple(resize(image, size, (step, step)) for image in pyramid[-1]))
    u1 = u2 = tf.zeros_like(pyramid[-1][0])
    for index in range(len(sizes) - 1, -1, -1):
        if index + 1 < len(sizes):
            above, size = sizes[index + 1], sizes[index]
            # The vectors grow by the nominal step, as in OpenCV, whatever the sizes were rounded to.
            steps = (above[0] / size[0], above[1] / size[1])
            u1, u2 = (resize(u, size, steps) * np.float32(step) for u in (u1, u2))
        u1, u2 = _solve_level(*pyramid[index], u1, u2, parameters, schedule)
    return tf.stack([u1, u2], axis=-1)


def _solve_level(previous, following, u1, u2, parameters, schedule):
    table = warp_table(following)
    zero = tf.zeros_like(u1)
    iterate = _iterate_until_still if schedule == "early_stop" else _iterate_fixed

    def warp(count, *state):
        data = linearise(previous, table, state[0], state[1])
        return count + 1, *iterate(State(*state), data, parameters)

    state = State(u1, u2, zero, zero, zero, zero)
    _, u1, u2, *_ = tf.while_loop(lambda count, *_: count < parameters.warps, warp, (0, *state))
    return u1, u2


def _iterate_fixed(state, data, parameters):
    if parameters.median > 1:
        state = _filter(state)
    _, *state = tf.while_loop(
        lambda count, *_: count < parameters.inner_iterations,
        lambda count, *state: (count + 1, *_step(State(*state), data, parameters)),
        (0, *state),
    )
    return State(*state)


def _iterate_until_still(state, data, parameters):
    """Median filters and steps; each pair of the batch stops when it has converged."""
    start = tf.fill(state.u1.shape[:1], np.float32(np.finfo(np.float32).max))

    def moving(error):
        return error > np.float32(parameters.epsilon**2)

    def advance(new, old, error):
        """The new state of the pairs that still move; a batch of one stops as a whole instead."""
        if error.shape[0] == 1:
            return new
        still_moves = moving(error)[:, tf.newaxis, tf.newaxis]
        return State(*(tf.where(still_moves, *images) for images in zip(new, old, strict=True)))

    def outer(count, error, *state):
        state = State(*state)
        if parameters.median > 1:
            state = advance(_filter(state), state, error)
        _, error, *state = tf.while_loop(
            lambda count, error, *_: (count < parameters.inner_iterations) & tf.reduce_any(moving(error)),
            inner,
            (0, error, *state),
        )
        return count + 1, error, *state

    def inner(count, error, *state):
        state = State(*state)
        new = _step(state, data, parameters)
        change = tf.reduce_mean((new.u1 - state.u1) ** 2 + (new.u2 - state.u2) ** 2, [1, 2])
        return count + 1, tf.where(moving(error), change, error), *advance(new, state, error)

    _, _, *state = tf.while_loop(
        lambda count, error, *_: (count < parameters.outer_iterations) & tf.reduce_any(moving(error)),
        outer,
        (0, start, *state),
    )
    return State(*state)


def _step(state, data, parameters):
    """One primal-dual step."""
    u1, u2, p11, p12, p21, p22 = state
    bound, theta = np.float32(parameters.lambda_ * parameters.theta), np.float32(parameters.theta)
    step = np.float32(parameters.tau / parameters.theta)
    rho = data.constant + data.gradient_x * u1 + data.gradient_y * u2
    # The three cases of the thresholding in one: to where rho is zero, but no further than the bound.
    length = tf.clip_by_value(-rho * data.inverse_norm, -bound, bound)
    u1 += length * data.gradient_x + theta * _divergence(p11, p12)
    u2 += length * data.gradient_y + theta * _divergence(p21, p22)
    return State(u1, u2, *_dual(u1, p11, p12, step), *_dual(u2, p21, p22, step))


def _divergence(p_x, p_y):
    """Backward differences, zero beyond the first row and column."""
    left = tf.pad(p_x[:, :, :-1], [[0, 0], [0, 0], [1, 0]])
    above = tf.pad(p_y[:, :-1], [[0, 0], [1, 0], [0, 0]])
    return p_x - left + p_y - above


def _dual(u, p_x, p_y, step):
    """Moves the dual variables along the forward differences, zero in the last row and column."""
    u_x = tf.pad(u[:, :, 1:] - u[:, :, :-1], [[0, 0], [0, 0], [0, 1]])
    u_y = tf.pad(u[:, 1:] - u[:, :-1], [[0, 0], [0, 1], [0, 0]])
    norm = 1 + step * tf.sqrt(u_x * u_x + u_y * u_y)
    return (p_x + step * u_x) / norm, (p_y + step * u_y) / norm


def _filter(state):
    return state._replace(u1=_median_filter(state.u1), u2=_median_filter(state.u2))


def _median_filter(image):
    """The 5x5 median of (B, H, W); beyond the edge, the edge is repeated.

    Every window sorts its own columns: XLA then makes one loop of it all, which is quicker than to
    store sorted columns and read them again.
    """
    _, height, width = image.shape
    rows = tf.clip_by_value(tf.range(-2, height + 2), 0, height - 1)
    columns = tf.clip_by_value(tf.range(-2, width + 2), 0, width - 1)
    padded = tf.gather(tf.gather(image, rows, axis=1), columns, axis=2)
    windows = [
        [padded[:, y : y + height, x : x + width] for y in range(5)] for x in range(5)
    ]
    return _median.median_of_columns(*(_median.sort_five(*column) for column in windows))
