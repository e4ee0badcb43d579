import cv2
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.flow.tvl1_tensorflow import linearise, repeat_edge, resize, warp_table

SHAPE = (24, 37)


@pytest.fixture
def images():
    """Two batches of two images, float32 (2, 24, 37)."""
    generator = np.random.default_rng(0)
    return generator.uniform(0, 255, (2, 2, *SHAPE)).astype(np.float32)


def derivatives(image):
    """Central differences with the edge repeated: OpenCV's centeredGradient."""
    padded = np.pad(image, 1, mode="edge")
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2


@pytest.mark.parametrize("scale", [0.8, 0.5, 0.37])
def test_smaller_is_opencv_s_bilinear(images, scale):
    expected = cv2.resize(images[0][1], None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    smaller = resize(tf.constant(images[0]), expected.shape, (1 / scale, 1 / scale))
    # A few roundings of numbers below 256.
    np.testing.assert_allclose(smaller[1], expected, atol=1e-4)


def test_larger_is_opencv_s_bilinear(images):
    expected = cv2.resize(images[0][1], (46, 29), interpolation=cv2.INTER_LINEAR)
    larger = resize(tf.constant(images[0]), (29, 46), (24 / 29, 37 / 46))
    np.testing.assert_allclose(larger[1], expected, atol=1e-4)


def test_the_edge_is_repeated():
    image = tf.constant([[[1.0, 2.0], [3.0, 4.0]]])
    expected = np.pad(image[0], 2, mode="edge")
    np.testing.assert_array_equal(repeat_edge(image, 2)[0], expected)


def test_no_motion_reads_the_image_itself(images):
    previous, following = images
    data = linearise(previous, warp_table(tf.constant(following)), *tf.zeros((2, *images[0].shape)))
    for index in range(2):
        expected_x, expected_y = derivatives(following[index])
        np.testing.assert_array_equal(data.gradient_x[index], expected_x)
        np.testing.assert_array_equal(data.gradient_y[index], expected_y)
        np.testing.assert_array_equal(data.constant[index], following[index] - previous[index])
        norm = expected_x**2 + expected_y**2
        np.testing.assert_allclose(data.inverse_norm[index], 1 / norm, rtol=1e-6)


def test_between_pixels_it_is_opencv_s_cubic_remap(images):
    previous, following = images
    generator = np.random.default_rng(1)
    u1, u2 = generator.uniform(-8, 8, images.shape).astype(np.float32)  # some lead out of the image
    data = linearise(previous, warp_table(tf.constant(following)), u1, u2)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    for index in range(2):
        position = (x + u1[index], y + u2[index])
        warped, warped_x, warped_y = (
            cv2.remap(image, *position, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
            for image in (following[index], *derivatives(following[index]))
        )
        # Positions below 64 have a spacing of 4e-6, and neighbours differ by up to 255 grey levels.
        np.testing.assert_allclose(data.gradient_x[index], warped_x, atol=1e-3)
        np.testing.assert_allclose(data.gradient_y[index], warped_y, atol=1e-3)
        constant = warped - warped_x * u1[index] - warped_y * u2[index] - previous[index]
        np.testing.assert_allclose(data.constant[index], constant, atol=1e-2)


@pytest.mark.parametrize("u1", [-1000.0, 1000.0])
def test_far_outside_there_is_nothing(images, u1):
    previous, following = images
    away = np.full(images[0].shape, u1, np.float32)
    data = linearise(previous, warp_table(tf.constant(following)), away, -away)
    for images_of_zeros in (data.gradient_x, data.gradient_y, data.inverse_norm):
        assert not images_of_zeros.numpy().any()
    np.testing.assert_array_equal(data.constant, -previous)


def test_a_flat_image_has_no_data_term():
    flat = tf.fill((1, *SHAPE), 77.0)
    data = linearise(flat - 10, warp_table(flat), tf.zeros_like(flat), tf.zeros_like(flat))
    for images_of_zeros in (data.gradient_x, data.gradient_y, data.inverse_norm):
        assert not images_of_zeros.numpy().any()
    np.testing.assert_array_equal(data.constant, tf.fill((1, *SHAPE), 10.0))
