import cv2
import numpy as np
import pytest

from i3d_tf.video.tvl1_numba_planes import HERE, MARGIN, median_filter, plane, plane_shape, resize


def to_plane(image):
    buffer = np.zeros(np.prod(plane_shape(*image.shape)), np.float32)
    size = np.array(image.shape)
    plane(buffer, size)[1:-1, HERE : HERE + image.shape[1]] = image
    return plane(buffer, size), size


def image_in(whole, size):
    return whole[1 : 1 + size[0], HERE : HERE + size[1]]


@pytest.fixture
def noise():
    return np.random.default_rng(0).random((23, 37)).astype(np.float32)


def test_rows_of_a_plane_are_whole_vectors_with_a_margin():
    assert plane_shape(10, 16) == (12, MARGIN + 16)
    assert plane_shape(10, 17) == (12, MARGIN + 32)


@pytest.mark.parametrize("shape", [(23, 37), (1, 1), (2, 3), (5, 64)])
def test_median_is_opencv_s_and_leaves_the_margin_alone(shape):
    noise = np.random.default_rng(1).random(shape).astype(np.float32)
    whole, size = to_plane(noise)
    median_filter(whole, size)
    np.testing.assert_array_equal(image_in(whole, size), cv2.medianBlur(noise, 5).reshape(shape))
    image_in(whole, size)[:] = 0
    assert not whole.any()


def test_median_removes_a_speck_and_keeps_a_step():
    image = np.zeros((16, 16), np.float32)
    image[:, 8:] = 1
    specks = image.copy()
    specks[4, 3], specks[9, 12] = 5, -5
    whole, size = to_plane(specks)
    median_filter(whole, size)
    np.testing.assert_array_equal(image_in(whole, size), image)


@pytest.mark.parametrize("scale", [0.8, 0.5, 0.37])
def test_smaller_is_opencv_s_bilinear(noise, scale):
    expected = cv2.resize(noise, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    source, source_size = to_plane(noise)
    target, target_size = to_plane(np.zeros_like(expected))
    resize(source, source_size, target, target_size, 1 / scale, 1 / scale, 1.0)
    # One rounding of a number below 1 in each of three interpolations.
    np.testing.assert_allclose(image_in(target, target_size), expected, atol=2e-7)


def test_larger_is_opencv_s_bilinear_times_the_gain(noise):
    expected = 1.25 * cv2.resize(noise, (46, 29), interpolation=cv2.INTER_LINEAR)
    source, source_size = to_plane(noise)
    target, target_size = to_plane(np.zeros_like(expected))
    resize(source, source_size, target, target_size, 23 / 29, 37 / 46, 1.25)
    np.testing.assert_allclose(image_in(target, target_size), expected, atol=3e-7)


def test_a_ramp_stays_a_ramp_between_the_outermost_centres():
    ramp = np.tile(np.arange(32, dtype=np.float32), (16, 1))
    source, source_size = to_plane(ramp)
    target, target_size = to_plane(np.zeros((16, 64), np.float32))
    resize(source, source_size, target, target_size, 1.0, 0.5, 1.0)
    centres = (np.arange(64) + 0.5) / 2 - 0.5
    np.testing.assert_array_equal(image_in(target, target_size)[7], np.clip(centres, 0, 31))
