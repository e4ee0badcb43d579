from dataclasses import fields

import cv2
import numpy as np
import pytest

from i3d_tf.flow import tvl1_numba, tvl1_opencv
from i3d_tf.flow.llvm_intrinsics import FUSED
from i3d_tf.flow.tvl1 import DEFAULT, FAST, TVL1Parameters
from i3d_tf.flow.tvl1_numba import flow_between
from i3d_tf.flow.tvl1_numba_kernels import (
    MARGIN,
    Level,
    Settings,
    fill_table,
    image_in,
    linearise,
    plane,
    plane_shape,
    sum_in_order,
    table_size,
)


@pytest.fixture(scope="module")
def pairs():
    """Seven different pairs of noise, 24 x 40: nothing about their flow is easy."""
    return np.random.default_rng(0).integers(0, 256, (2, 7, 24, 40), np.uint8)


def test_settings_have_fields_of_parameters():
    assert Settings._fields == tuple(field.name for field in fields(TVL1Parameters))


def test_make_settings_keeps_types():
    settings = tvl1_numba.make_settings(TVL1Parameters(lambda_=1, epsilon=np.float32(0.5)))
    assert (settings.lambda_, settings.epsilon) == (1.0, 0.5)
    expected = [type(value) for value in tvl1_numba.make_settings(DEFAULT)]
    assert [type(value) for value in settings] == expected


@pytest.mark.parametrize("num_threads", [2, 3, 16, None])
def test_flow_does_not_depend_on_number_of_threads(pairs, num_threads):
    expected = flow_between(*pairs, num_threads=1)
    np.testing.assert_array_equal(flow_between(*pairs, num_threads=num_threads), expected)


def test_flow_of_pair_does_not_depend_on_pairs_before(pairs):
    previous, following = pairs
    together = flow_between(previous, following, num_threads=1)
    for index in (0, 3, 6):
        alone = flow_between(previous[index : index + 1], following[index : index + 1])
        np.testing.assert_array_equal(alone[0], together[index])


@pytest.mark.parametrize("num_threads", [0, -1])
def test_fewer_threads_than_one_are_refused(pairs, num_threads):
    with pytest.raises(ValueError, match=r"`num_threads` must be an integer >= 1; received"):
        flow_between(*pairs, num_threads=num_threads)


def test_worker_count_is_smaller_for_large_frames():
    assert tvl1_numba.worker_count(4, 100, (256, 340)) == 4
    assert tvl1_numba.worker_count(64, 100, (2160, 3840)) == 2
    assert tvl1_numba.worker_count(64, 100, (20000, 20000)) == 1
    assert tvl1_numba.worker_count(64, 3, (256, 340)) == 3
    assert tvl1_numba.worker_count(64, 0, (256, 340)) == 0


@pytest.mark.parametrize("size", [(256, 340), (1080, 1920)])
def test_workspace_takes_memory_as_counted(size):
    workspace = tvl1_numba.make_workspace(tvl1_numba.pyramid_sizes(*size, DEFAULT))
    arrays = [*workspace.previous, *workspace.following, workspace.fields, workspace.table]
    per_pixel = sum(array.nbytes for array in arrays) / (size[0] * size[1])
    assert 75 < per_pixel < 90
    for array in (workspace.fields, workspace.table):
        assert array.ctypes.data % (MARGIN * array.itemsize) == 0


@pytest.mark.parametrize("scale", [0.8, 0.5, 0.37])
@pytest.mark.parametrize("size", [(256, 341), (131, 99)])
def test_fill_pyramid_fills_every_level(size, scale):
    parameters = TVL1Parameters(scale_step=scale)
    pyramid = [np.full(level, np.nan) for level in tvl1_numba.pyramid_sizes(*size, parameters)]
    pyramid[0] = np.tile(np.arange(size[1], dtype=np.float64), (size[0], 1))
    tvl1_numba.fill_pyramid(pyramid, scale)
    assert len(pyramid) > 1
    for index, level in enumerate(pyramid):
        centres = (np.arange(level.shape[1]) + 0.5) / scale**index - 0.5
        # A ramp stays a ramp, up to the last half pixel of each level.
        np.testing.assert_allclose(level[:, 1:-2], np.broadcast_to(centres, level.shape)[:, 1:-2])


def test_enlarge_flow_multiplies_by_gain():
    above = [np.full((16, 20), value, np.float32) for value in (1, -3)]
    planes = np.zeros((2, 40, 64), np.float32)
    tvl1_numba.enlarge_flow(above, [image[1:21, 16:41] for image in planes], 1.25)
    np.testing.assert_array_equal(planes[:, 1:21, 16:41].mean(axis=(1, 2)), [1.25, -3.75])
    planes[:, 1:21, 16:41] = 0
    assert not planes.any()


def test_error_in_thread_is_raised(pairs, monkeypatch):
    def fail(*_):
        raise MemoryError("no memory")

    monkeypatch.setattr(tvl1_numba, "solve_pair", fail)
    with pytest.raises(MemoryError, match="no memory"):
        flow_between(*pairs, num_threads=1)


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


def test_first_step_rounds_as_opencv(frames):
    parameters = TVL1Parameters(**ONE_STEP, epsilon=0.0)
    flow = tvl1_numba.flow_between(frames[:1], frames[1:2], parameters)[0]
    np.testing.assert_array_equal(flow, first_step(*frames[:2]))


def test_early_stopping_uses_sum_in_order(frames):
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
def test_flow_equals_opencv_bit_for_bit(frames, parameters):
    flow = tvl1_numba.flow_between(frames[:-1], frames[1:], parameters)
    np.testing.assert_array_equal(flow, by_opencv(frames, parameters))


@pytest.mark.usefixtures("rounds_alike")
@pytest.mark.parametrize("size", [(16, 16), (17, 33), (64, 48)])
def test_flow_of_odd_sizes_equals_opencv_bit_for_bit(frames, size):
    cut = np.ascontiguousarray(frames[:, : size[0], : size[1]])
    flow = tvl1_numba.flow_between(cut[:-1], cut[1:])
    np.testing.assert_array_equal(flow, by_opencv(cut, TVL1Parameters()))


def test_linearise_rounds_as_opencv(frames, positions):
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


def test_sum_in_order_adds_pixel_after_pixel():
    squares = np.zeros(plane_shape(*SIZE), np.float32)
    squares[:] = np.nan  # beside the image
    image = image_in(squares, SIZE)
    image[:] = np.random.default_rng(2).random(SIZE) ** 9
    in_order = np.add.accumulate(image.ravel())[-1]
    assert in_order != image.ravel().astype(np.float64).sum().astype(np.float32)
    assert sum_in_order(squares, SIZE) == in_order
