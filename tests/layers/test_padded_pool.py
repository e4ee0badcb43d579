import math

import keras
import numpy as np
import pytest

from i3d_tf.layers.padded_pool import CeilMaxPool, PaddedAveragePool2D, PaddedMaxPool3D


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


def windows_of(values, size, stride):
    """The windows of Caffe's pool, without padding: the last one may have fewer values."""
    count = math.ceil((len(values) - size) / stride) + 1
    return [values[k * stride : k * stride + size] for k in range(count)]


@pytest.mark.parametrize(("size", "stride"), [(3, 2), (2, 2), (3, 3), (5, 2), (3, 1)])
@pytest.mark.parametrize("length", range(5, 14))
def test_ceil_pool_keeps_the_last_partial_window(length, size, stride):
    values = -np.random.default_rng(length).random(length).astype("f4")  # zeros would be larger
    expected = [max(window) for window in windows_of(values.tolist(), size, stride)]
    layer = CeilMaxPool((size, 1), (stride, 1))
    images = values.reshape(1, -1, 1, 1)
    found = np.array(layer(images))
    assert found.ravel().tolist() == expected
    assert layer.compute_output_shape(images.shape) == found.shape
    of_any = keras.Sequential([keras.Input((None, None, 1)), layer])
    assert np.array(of_any(images)).ravel().tolist() == expected


def test_ceil_pool_of_clips_pools_time_too():
    clip = np.arange(3 * 3 * 5, dtype="f4").reshape(1, 3, 3, 5, 1)
    found = np.array(CeilMaxPool((2, 3, 3), (2, 2, 2))(clip))
    assert found.ravel().tolist() == [27, 29, 42, 44]
    assert found.shape == (1, 2, 1, 2, 1)


def test_ceil_pool_of_less_than_a_window_has_one():
    assert CeilMaxPool((3, 3), (2, 2))(np.zeros((1, 1, 2, 4))).shape == (1, 1, 1, 4)
    with pytest.raises(ValueError, match=r"`strides` must be at most `pool_size`, \(2, 2\)"):
        CeilMaxPool((2, 2), (3, 2))


def test_padded_average_pool_counts_the_zeros():
    images = np.ones((1, 3, 4, 1), "f4")
    layer = PaddedAveragePool2D(3, data_format="channels_last")
    found = np.array(layer(images))[0, ..., 0] * 9
    np.testing.assert_allclose(found, [[4, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]], rtol=1e-6)
    assert layer.compute_output_shape(images.shape) == images.shape
