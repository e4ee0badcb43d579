import cv2
import numpy as np
import pytest

from i3d_tf.video.tvl1_numba_planes import HERE, plane, plane_shape
from i3d_tf.video.tvl1_numba_solver import Level
from i3d_tf.video.tvl1_numba_warp import fill_table, linearise, table_size

SHAPE = (24, 37)


def warp(previous, following, u1, u2):
    """Images of grey levels and flow -> gradient_x, gradient_y, inverse_norm, constant."""
    size = np.array(SHAPE)
    planes = np.zeros((12, np.prod(plane_shape(*SHAPE))), np.float32)
    whole = [plane(buffer, size) for buffer in planes]
    level = Level(*whole[:10])
    images = [buffer[1:-1, HERE : HERE + SHAPE[1]] for buffer in whole]
    images[0][:], images[1][:], images[10][:], images[11][:] = u1, u2, previous, following
    table = np.full(table_size(*SHAPE), np.nan, np.float32)
    fill_table(whole[11], size, table)
    linearise(level, whole[10], table, size)
    return images[6:10]


def derivatives(image):
    """Central differences with the edge repeated: OpenCV's centeredGradient."""
    padded = np.pad(image, 1, mode="edge")
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2


@pytest.fixture
def images():
    generator = np.random.default_rng(0)
    return generator.uniform(0, 255, (2, *SHAPE)).astype(np.float32)


def test_no_motion_reads_the_image_itself(images):
    previous, following = images
    gradient_x, gradient_y, inverse_norm, constant = warp(previous, following, 0, 0)
    expected_x, expected_y = derivatives(following)
    np.testing.assert_array_equal(gradient_x, expected_x)
    np.testing.assert_array_equal(gradient_y, expected_y)
    np.testing.assert_array_equal(constant, following - previous)
    np.testing.assert_allclose(inverse_norm, 1 / (expected_x**2 + expected_y**2), rtol=1e-6)


def test_between_pixels_it_is_opencv_s_cubic_remap(images):
    previous, following = images
    generator = np.random.default_rng(1)
    u1, u2 = generator.uniform(-8, 8, (2, *SHAPE)).astype(np.float32)  # some lead out of the image
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    expected = [
        cv2.remap(image, x + u1, y + u2, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
        for image in (following, *derivatives(following))
    ]
    gradient_x, gradient_y, _, constant = warp(previous, following, u1, u2)
    # Positions below 64 have a spacing of 4e-6, and neighbours differ by up to 255 grey levels.
    np.testing.assert_allclose(gradient_x, expected[1], atol=1e-3)
    np.testing.assert_allclose(gradient_y, expected[2], atol=1e-3)
    expected_constant = expected[0] - expected[1] * u1 - expected[2] * u2 - previous
    np.testing.assert_allclose(constant, expected_constant, atol=1e-2)


@pytest.mark.parametrize("u1", [-1000.0, 1000.0, -SHAPE[1] - 5.0, SHAPE[1] + 5.0])
def test_far_outside_there_is_nothing(images, u1):
    previous, following = images
    gradient_x, gradient_y, inverse_norm, constant = warp(previous, following, u1, -u1)
    assert not gradient_x.any()
    assert not gradient_y.any()
    assert not inverse_norm.any()
    np.testing.assert_array_equal(constant, -previous)


def test_a_flat_image_has_no_data_term():
    flat = np.full(SHAPE, 77, np.float32)
    gradient_x, gradient_y, inverse_norm, constant = warp(flat, flat + 10, 0, 0)
    assert not gradient_x.any()
    assert not gradient_y.any()
    assert not inverse_norm.any()
    np.testing.assert_array_equal(constant, 10)
