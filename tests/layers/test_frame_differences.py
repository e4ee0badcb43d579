import numpy as np
import pytest

from i3d_tf.layers.frame_differences import FrameDifferences


def test_frame_differences_are_later_minus_earlier_within_each_group():
    frames = np.array([1, 4, 9, 100, 110, 130], np.float32).reshape(1, 6, 1, 1, 1)
    layer = FrameDifferences(3)
    assert np.array(layer(frames)).ravel().tolist() == [3, 5, 10, 20]
    assert layer.compute_output_shape((2, 6, 8, 8, 3)) == (2, 4, 8, 8, 3)
    assert layer.compute_output_shape((2, None, 8, 8, 3)) == (2, None, 8, 8, 3)
    with pytest.raises(ValueError, match="The clip must have a multiple of 3 frames; received"):
        layer(frames[:, :4])
