import keras
import numpy as np

from i3d_tf.layers.space_to_depth import SpaceToDepth


def test_positions_become_channels_in_order_of_time_height_width():
    clip = np.arange(2 * 2 * 2 * 3).reshape(1, 2, 2, 2, 3).astype("f4")
    np.testing.assert_array_equal(np.array(SpaceToDepth()(clip)).ravel(), np.arange(24))
    clip = np.arange(4.0).reshape(1, 2, 2, 1, 1).repeat(4, axis=3)
    outputs = np.array(SpaceToDepth()(clip))
    assert outputs.shape == (1, 1, 1, 2, 8)
    np.testing.assert_array_equal(outputs[0, 0, 0, 1], [0, 0, 1, 1, 2, 2, 3, 3])


def test_unknown_lengths_stay_unknown():
    outputs = SpaceToDepth()(keras.Input((None, 4, None, 3)))
    assert outputs.shape == (None, None, 2, None, 24)
