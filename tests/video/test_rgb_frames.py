import av
import numpy as np
import pytest

from i3d_tf.video.rgb_frames import RGBConverter, orientation

PICTURE = np.array([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("a", "b", "c", "d", "shown"),
    [
        (1, 0, 0, 1, [[1, 2, 3], [4, 5, 6]]),
        (0, 1, -1, 0, [[4, 1], [5, 2], [6, 3]]),  # a quarter turn clockwise
        (-1, 0, 0, -1, [[6, 5, 4], [3, 2, 1]]),
        (0, -1, 1, 0, [[3, 6], [2, 5], [1, 4]]),  # and anticlockwise
        (-1, 0, 0, 1, [[3, 2, 1], [6, 5, 4]]),
        (1, 0, 0, -1, [[4, 5, 6], [1, 2, 3]]),
        (0, 1, 1, 0, [[1, 4], [2, 5], [3, 6]]),
        (0, -1, -1, 0, [[6, 3], [5, 2], [4, 1]]),
        (0, 0, 0, 0, [[1, 2, 3], [4, 5, 6]]),  # a matrix that shows nothing is no reason to hide it
    ],
)
@pytest.mark.parametrize("scale", [1, 65536])
def test_orientation(a, b, c, d, shown, scale):
    matrix = [scale * value for value in (a, b, 0, c, d, 0, 0, 0, 1)]
    turned, flip = orientation(matrix)
    assert (PICTURE.T if turned else PICTURE)[flip].tolist() == shown


def test_a_frame_without_a_matrix_is_upright():
    rgb = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    upright = RGBConverter(av.VideoFrame.from_ndarray(rgb, "rgb24"))
    assert (upright.height, upright.width) == (2, 4)
    np.testing.assert_array_equal(upright.convert(av.VideoFrame.from_ndarray(rgb, "rgb24")), rgb)
