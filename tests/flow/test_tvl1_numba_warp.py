import cv2
import numpy as np
import pytest

from i3d_tf.flow.tvl1_numba_kernels import (
    Level,
    fill_table,
    image_in,
    linearise,
    plane,
    plane_shape,
    table_size,
)

SHAPE = (24, 37)


def warp(previous, following, u1, u2):
    """Images of grey levels and flow -> gradient_x, gradient_y, constant."""
    planes = np.zeros((len(Level._fields), np.prod(plane_shape(*SHAPE))), np.float32)
    level = Level(*(plane(buffer, SHAPE) for buffer in planes))
    image_in(level.u1, SHAPE)[:], image_in(level.u2, SHAPE)[:] = u1, u2
    table = np.full(table_size(*SHAPE), np.nan, np.float32)
    fill_table(following, table)
    linearise(level, previous, table)
    return [
        image_in(field, SHAPE) for field in (level.gradient_x, level.gradient_y, level.constant)
    ]


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
    gradient_x, gradient_y, constant = warp(previous, following, 0, 0)
    expected_x, expected_y = derivatives(following)
    np.testing.assert_array_equal(gradient_x, expected_x)
    np.testing.assert_array_equal(gradient_y, expected_y)
    np.testing.assert_array_equal(constant, following - previous)


def test_between_pixels_it_is_opencv_s_cubic_remap(images):
    previous, following = images
    generator = np.random.default_rng(1)
    u1, u2 = generator.uniform(-8, 8, (2, *SHAPE)).astype(np.float32)  # some lead out of the image
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    expected = [
        cv2.remap(image, x + u1, y + u2, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
        for image in (following, *derivatives(following))
    ]
    gradient_x, gradient_y, constant = warp(previous, following, u1, u2)
    # Positions below 64 have a spacing of 4e-6, and neighbours differ by up to 255 grey levels.
    np.testing.assert_allclose(gradient_x, expected[1], atol=1e-3)
    np.testing.assert_allclose(gradient_y, expected[2], atol=1e-3)
    expected_constant = expected[0] - expected[1] * u1 - expected[2] * u2 - previous
    np.testing.assert_allclose(constant, expected_constant, atol=1e-2)


@pytest.mark.parametrize("u1", [-1000.0, 1000.0, -SHAPE[1] - 5.0, SHAPE[1] + 5.0])
def test_far_outside_there_is_nothing(images, u1):
    previous, following = images
    gradient_x, gradient_y, constant = warp(previous, following, u1, -u1)
    assert not gradient_x.any()
    assert not gradient_y.any()
    np.testing.assert_array_equal(constant, -previous)


def test_a_flat_image_has_no_data_term():
    flat = np.full(SHAPE, 77, np.float32)
    gradient_x, gradient_y, constant = warp(flat, flat + 10, 0, 0)
    assert not gradient_x.any()
    assert not gradient_y.any()
    np.testing.assert_array_equal(constant, 10)
