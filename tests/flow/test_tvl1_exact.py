"""The numba engine's flow is OpenCV's bit for bit, where OpenCV rounds as in its x86-64 wheels."""

import cv2
import numpy as np
import pytest

from i3d_tf.flow import tvl1_numba, tvl1_opencv
from i3d_tf.flow.llvm_intrinsics import FUSED
from i3d_tf.flow.tvl1 import FAST, TVL1Parameters
from i3d_tf.flow.tvl1_numba_kernels import (
    Level,
    fill_table,
    image_in,
    linearise,
    plane,
    plane_shape,
    sum_in_order,
    table_size,
)

SIZE = (97, 122)
ONE_STEP = {"scales": 1, "warps": 1, "outer_iterations": 1, "inner_iterations": 1, "median": 1}


@pytest.fixture(scope="module")
def frames():
    """Noise of several sizes, moved a bit further from frame to frame: uint8 (3, H, W)."""
    generator = np.random.default_rng(0)
    layers = [cv2.GaussianBlur(generator.normal(0, 99, SIZE), (0, 0), s) * s for s in (1, 3, 9)]
    shifts = [np.float64([[1, 0.02 * k, 1.7 * k], [0, 1, -0.8 * k]]) for k in range(3)]
    images = [cv2.warpAffine(sum(layers), shift, SIZE[::-1]) for shift in shifts]
    return np.clip(np.stack(images) + 127, 0, 255).astype(np.uint8)


def multiply_add(a, b, c, fused):
    """a * b + c of float32, rounded once or twice."""
    if not fused:
        return a * b + c
    wide = np.float64(a) * np.float64(b) + np.float64(c)
    return wide.astype(np.float32)


def cubic_weights(t, fused):
    """Cubic convolution with a = -0.75 in the order of OpenCV's remap."""
    a, one, s = np.float32(-0.75), np.float32(1), np.float32(1) - t
    first, fourth = a * (t * (s * s)), a * ((t * t) * s)
    slope = multiply_add(np.float32(1.25), t, np.float32(-2.25), fused)
    second = multiply_add(slope, t * t, one, fused)
    return first, second, ((one - first) - second) - fourth, fourth


def weighted_sum(values, weights, fused):
    total = values[0] * weights[0]
    for value, weight in zip(values[1:], weights[1:], strict=True):
        total = multiply_add(value, weight, total, fused)
    return total


def remap(image, x, y, fused):
    """What OpenCV's cubic remap computes: rows first, zeros outside."""
    padded = np.pad(image, 20)
    before_x, before_y = np.floor(x), np.floor(y)
    column, row = before_x.astype(int) + 19, before_y.astype(int) + 19
    weights_x, weights_y = cubic_weights(x - before_x, fused), cubic_weights(y - before_y, fused)
    rows = [
        weighted_sum([padded[row + j, column + i] for i in range(4)], weights_x, fused)
        for j in range(4)
    ]
    return weighted_sum(rows, weights_y, fused)


@pytest.fixture(scope="module")
def positions():
    """x and y to read at, up to 12 pixels off, so that some are outside: float32 (H, W)."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    shift_x, shift_y = np.random.default_rng(1).uniform(-12, 12, (2, *SIZE)).astype(np.float32)
    return x + shift_x, y + shift_y


def first_step(previous, following):
    """The flow after one step from zero, in the order of OpenCV's source."""
    padded = np.pad(following.astype(np.float32), 1, mode="edge")
    half = np.float32(0.5)
    gradient_x = half * (padded[1:-1, 2:] - padded[1:-1, :-2])
    gradient_y = half * (padded[2:, 1:-1] - padded[:-2, 1:-1])
    norm = gradient_x * gradient_x + gradient_y * gradient_y
    rho = following.astype(np.float32) - previous
    bound = np.float32(0.15 * 0.3)
    inside = np.divide(-rho, norm, out=np.zeros_like(rho), where=norm > np.finfo(np.float32).eps)
    length = np.select([rho < -bound * norm, rho > bound * norm], [bound, -bound], inside)
    return np.stack([length * gradient_x, length * gradient_y], axis=-1)


def by_opencv(frames, parameters):
    return tvl1_opencv.flow_between(frames[:-1], frames[1:], parameters)


@pytest.fixture(scope="module")
def rounds_alike(frames, positions):
    """Skips where OpenCV was built to round otherwise than the engine, judging by OpenCV alone."""
    image = frames[0].astype(np.float32)
    warped = cv2.remap(image, *positions, cv2.INTER_CUBIC)
    if not np.array_equal(warped, remap(image, *positions, FUSED)):
        pytest.skip("this build of OpenCV rounds its remap otherwise than that of the wheels")
    flow = by_opencv(frames[:2], TVL1Parameters(**ONE_STEP, epsilon=0.0))[0]
    if not np.array_equal(flow, first_step(*frames[:2])):
        pytest.skip("this build of OpenCV rounds its TV-L1 otherwise than that of the wheels")


def test_the_warp_rounds_as_it_says(frames, positions):
    planes = np.zeros((len(Level._fields), np.prod(plane_shape(*SIZE))), np.float32)
    level = Level(*(plane(buffer, SIZE) for buffer in planes))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    u1, u2 = image_in(level.u1, SIZE), image_in(level.u2, SIZE)
    u1[:], u2[:] = positions[0] - x, positions[1] - y
    previous, following = frames[:2].astype(np.float32)
    table = np.empty(table_size(*SIZE), np.float32)
    fill_table(following, table)
    linearise(level, previous, table)
    padded = np.pad(following, 1, mode="edge")
    images = (
        following,
        (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2,
        (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2,
    )
    warped, warped_x, warped_y = (remap(image, x + u1, y + u2, FUSED) for image in images)
    np.testing.assert_array_equal(image_in(level.gradient_x, SIZE), warped_x)
    np.testing.assert_array_equal(image_in(level.gradient_y, SIZE), warped_y)
    constant = ((warped - warped_x * u1) - warped_y * u2) - previous
    np.testing.assert_array_equal(image_in(level.constant, SIZE), constant)


def test_the_first_step_rounds_as_it_says(frames):
    parameters = TVL1Parameters(**ONE_STEP, epsilon=0.0)
    flow = tvl1_numba.flow_between(frames[:1], frames[1:2], parameters)[0]
    np.testing.assert_array_equal(flow, first_step(*frames[:2]))


def test_squares_are_added_pixel_after_pixel():
    squares = np.zeros(plane_shape(*SIZE), np.float32)
    squares[:] = np.nan  # beside the image
    image = image_in(squares, SIZE)
    image[:] = np.random.default_rng(2).random(SIZE) ** 9
    in_order = np.add.accumulate(image.ravel())[-1]
    assert in_order != image.ravel().astype(np.float64).sum().astype(np.float32)
    assert sum_in_order(squares, SIZE) == in_order


def test_the_sum_that_stops_the_steps_is_the_one_in_order(frames):
    expected = first_step(*frames[:2])
    squares = expected[..., 0] * expected[..., 0] + expected[..., 1] * expected[..., 1]
    in_order, exact = np.add.accumulate(squares.ravel())[-1], squares.sum(dtype=np.float64)
    # A threshold between the two: one of them stops after the first step, the other does not.
    epsilon = float(np.sqrt((in_order + exact) / 2 / squares.size))
    steps = {**ONE_STEP, "inner_iterations": 2, "epsilon": epsilon}
    flow = tvl1_numba.flow_between(frames[:1], frames[1:2], TVL1Parameters(**steps))[0]
    assert min(in_order, exact) < np.float32(epsilon**2 * squares.size) < max(in_order, exact)
    assert np.array_equal(flow, expected) == (in_order < exact)


@pytest.mark.parametrize(
    "parameters",
    [
        TVL1Parameters(),
        FAST,
        TVL1Parameters(scale_step=0.7, scales=3, tau=0.2, lambda_=0.1, theta=0.25),
        TVL1Parameters(median=1, epsilon=0.003, inner_iterations=7),
    ],
    ids=["default", "fast", "other weights", "other loops"],
)
@pytest.mark.usefixtures("rounds_alike")
def test_the_flow_is_opencv_s_bit_for_bit(frames, parameters):
    flow = tvl1_numba.flow_between(frames[:-1], frames[1:], parameters)
    np.testing.assert_array_equal(flow, by_opencv(frames, parameters))


@pytest.mark.usefixtures("rounds_alike")
@pytest.mark.parametrize("size", [(16, 16), (17, 33), (64, 48)])
def test_so_it_is_at_odd_sizes(frames, size):
    cut = np.ascontiguousarray(frames[:, : size[0], : size[1]])
    flow = tvl1_numba.flow_between(cut[:-1], cut[1:])
    np.testing.assert_array_equal(flow, by_opencv(cut, TVL1Parameters()))
