import cv2
import numpy as np
import pytest

from i3d_tf.flow.tvl1_numba_kernels import MARGIN, image_in, median_filter, plane, plane_shape


def to_plane(image):
    whole = plane(np.zeros(np.prod(plane_shape(*image.shape)), np.float32), image.shape)
    image_in(whole, image.shape)[:] = image
    return whole, image.shape


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
