import numpy as np

from i3d_tf.layers.padded_pool import PaddedMaxPool3D


def pool(values, size, stride, pads=None):
    clip = np.array(values, "f4").reshape(1, 1, 1, -1, 1)
    layer = PaddedMaxPool3D((1, 1, size), (1, 1, stride), pads)
    assert layer.compute_output_shape(clip.shape) == layer(clip).shape
    return np.array(layer(clip)).ravel().tolist()


def test_pool_pads_both_sides_with_what_is_never_the_largest():
    assert pool([-5, -4, -3, -2], 3, 2) == [-4, -2]  # SAME would give [-3, -2]
    assert pool([-5, -4, -3, -2, -1], 3, 2) == [-4, -2, -1]


def test_pool_without_pads_drops_what_is_left():
    assert pool([1, 2, 3], 2, 2, (0, 0, 0)) == [2]
