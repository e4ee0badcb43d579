import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.layers.pool import CeilMaxPool, MaxPool3D, PaddedAveragePool2D, PaddedMaxPool3D

POOLS = (
    (3, 1, "same"),
    (3, 2, "same"),
    ((1, 3, 3), (1, 2, 2), "same"),
    (2, 2, "same"),
    ((2, 2, 3), 2, "valid"),
    ((4, 1, 1), (3, 1, 1), "valid"),
)


def outputs_and_gradient(function, clips, upstream):
    """The outputs, and the gradient of their products with `upstream` by the clips."""

    def compute(clips):
        with tf.GradientTape() as tape:
            tape.watch(clips)
            outputs = function(clips)
        return outputs, tape.gradient(outputs, clips, tf.constant(upstream))

    # In graphs oneDNN, where TensorFlow has it, takes the place of TensorFlow's pools.
    arrays, of_graph = compute(tf.constant(clips)), tf.function(compute)(tf.constant(clips))
    for array, other in zip(arrays, of_graph, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-6, atol=1e-6)
    return [array.numpy() for array in arrays]


def windows_of_axis(length, size, stride, padding):
    """The positions that each window of a pool has along an axis."""
    if padding == "valid":
        return [range(k, k + size) for k in range(0, length - size + 1, stride)]
    count = math.ceil(length / stride)
    before = max(0, (count - 1) * stride + size - length) // 2
    starts = [k * stride - before for k in range(count)]
    return [range(max(0, k), min(length, k + size)) for k in starts]


def test_gradient_of_equal_values_goes_to_the_first_of_a_window():
    clips = np.ones((1, 2, 4, 4, 1), "f4")
    _, found = outputs_and_gradient(MaxPool3D(2), clips, np.full((1, 1, 2, 2, 1), 3, "f4"))
    first = [[3, 0, 3, 0], [0, 0, 0, 0], [3, 0, 3, 0], [0, 0, 0, 0]]
    assert found[0, ..., 0].tolist() == [first, np.zeros((4, 4)).tolist()]


@pytest.mark.parametrize(("size", "stride", "padding"), POOLS)
def test_pool_of_clips_is_keras_s_with_the_gradient_of_the_first_largest_values(
    size, stride, padding
):
    generator = np.random.default_rng(0)
    shape = (2, 7, 4, 6, 2)
    clips = generator.integers(0, 3, shape).astype("f4")  # many are equal
    layer = MaxPool3D(size, stride, padding)
    expected = np.array(keras.layers.MaxPooling3D(size, stride, padding)(clips))
    upstream = generator.integers(1, 9, expected.shape).astype("f4")
    outputs, gradient = outputs_and_gradient(layer, clips, upstream)
    np.testing.assert_array_equal(outputs, expected)
    assert layer.compute_output_shape(shape) == expected.shape
    windows = [
        windows_of_axis(*axis, padding)
        for axis in zip(shape[1:4], layer.pool_size, layer.strides, strict=True)
    ]
    expected_gradient = np.zeros(shape)
    for n, t, h, w, c in np.ndindex(expected.shape):
        positions = itertools.product(windows[0][t], windows[1][h], windows[2][w])
        first = max(positions, key=lambda at: clips[(n, *at, c)])  # of equal ones, the first
        expected_gradient[(n, *first, c)] += upstream[n, t, h, w, c]
    np.testing.assert_array_equal(gradient, expected_gradient)


def test_gradient_of_two_pools_is_that_of_a_wide_one():
    generator = np.random.default_rng(1)
    clips = generator.normal(0, 1, (1, 5, 4, 6, 2)).astype("f4")
    upstream = generator.normal(0, 1, clips.shape).astype("f4")
    twice = keras.Sequential([MaxPool3D(3, 1, "same"), MaxPool3D(3, 1, "same")])
    _, found = outputs_and_gradient(twice, clips, upstream)
    _, expected = outputs_and_gradient(MaxPool3D(5, 1, "same"), clips, upstream)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_pool_of_clips_of_any_size():
    layer = MaxPool3D((3, 3, 3), (2, 2, 2), "same")
    network = keras.Sequential([keras.Input((None, None, None, 2)), layer])
    assert network.output_shape == (None, None, None, None, 2)
    clips = np.random.default_rng(2).random((3, 5, 7, 8, 2), "f4")
    expected = keras.layers.MaxPooling3D(3, 2, "same")(clips)
    np.testing.assert_array_equal(network.predict(clips, verbose=0), expected)


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
