import itertools

import keras
import numpy as np
import pytest

from i3d_tf.layers.padded_conv import DepthwiseConv3D, PaddedConv3D

CLIP = np.random.default_rng(0).normal(size=(2, 7, 6, 5, 3)).astype("float32")


def padded_by_hand(clip, extents, strides, time_padding, space_padding):
    """As a sentence: SAME is ceil(length / stride) outputs, what is missing half before."""
    for axis, (extent, stride) in enumerate(zip(extents, strides, strict=True), start=1):
        mode = time_padding if axis == 1 else space_padding
        if mode == "valid":
            continue
        outputs = -(-clip.shape[axis] // stride)
        missing = max((outputs - 1) * stride + extent - clip.shape[axis], 0)
        widths = [(0, 0)] * 5
        widths[axis] = (missing // 2, missing - missing // 2)
        clip = np.pad(clip, widths, mode="edge" if mode == "edge" else "constant")
    return clip


def patches(clip, extents, strides):
    """(t, h, w) of the output -> the patch of the padded clip that is looked at."""
    counts = [
        (length - extent) // stride + 1
        for length, extent, stride in zip(clip.shape[1:4], extents, strides, strict=True)
    ]
    for position in itertools.product(*map(range, counts)):
        corner = [index * stride for index, stride in zip(position, strides, strict=True)]
        t, h, w = (slice(c, c + e) for c, e in zip(corner, extents, strict=True))
        yield position, clip[:, t, h, w]


def by_hand(clip, kernel, strides, formula):
    found = {
        position: np.einsum(formula, patch, kernel)
        for position, patch in patches(clip, kernel.shape[:3], strides)
    }
    counts = [max(axis) + 1 for axis in zip(*found, strict=True)]
    outputs = np.stack([found[position] for position in sorted(found)], axis=1)
    return outputs.reshape(len(clip), *counts, -1)


def assert_near(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.array(found), expected, atol=1e-5)  # float32, 54 products


@pytest.mark.parametrize("time_padding", ["zero", "edge", "valid"])
@pytest.mark.parametrize("space_padding", ["same", "valid"])
@pytest.mark.parametrize(("extent", "stride"), [(3, 1), (4, 2), (1, 2), (2, 3)])
def test_against_a_sum_written_out(time_padding, space_padding, extent, stride):
    strides = (stride, 2, 1)
    layer = PaddedConv3D(
        4,
        (extent, 3, 2),
        strides=strides,
        space_padding=space_padding,
        time_padding=time_padding,
        bias_initializer="random_normal",
    )
    found = layer(CLIP)
    kernel, bias = (np.array(weight) for weight in layer.weights)
    clip = padded_by_hand(CLIP, (extent, 3, 2), strides, time_padding, space_padding)
    assert_near(found, by_hand(clip, kernel, strides, "nthwi,thwio->no") + bias)
    assert layer.compute_output_shape(CLIP.shape) == found.shape


@pytest.mark.parametrize("time_padding", ["zero", "edge", "valid"])
@pytest.mark.parametrize("space_padding", ["same", "valid"])
@pytest.mark.parametrize(("extent", "stride"), [(3, 1), (4, 2), (1, 2)])
def test_depthwise_against_a_sum_written_out(time_padding, space_padding, extent, stride):
    layer = DepthwiseConv3D(
        (3, 2),
        extent=extent,
        time_stride=stride,
        time_padding=time_padding,
        strides=1,
        padding=space_padding,
        depth_multiplier=2,
        bias_initializer="random_normal",
    )
    found = layer(CLIP)
    kernel, bias = (np.array(weight) for weight in layer.weights)
    assert kernel.shape == (extent, 3, 2, 3, 2)
    strides = (stride, 1, 1)
    clip = padded_by_hand(CLIP, (extent, 3, 2), strides, time_padding, space_padding)
    assert_near(found, by_hand(clip, kernel, strides, "nthwi,thwio->nio") + bias)
    assert layer.compute_output_shape(CLIP.shape) == found.shape


@pytest.mark.parametrize("time_padding", ["zero", "edge"])
@pytest.mark.parametrize("layer_class", [PaddedConv3D, DepthwiseConv3D])
def test_any_size_is_trained_and_saved(layer_class, time_padding, tmp_path):
    """With free T, H and W the padding is known only when a clip comes."""
    if layer_class is PaddedConv3D:
        arguments = {"filters": 2, "kernel_size": (3, 3, 3), "strides": 2, "dilation_rate": 1}
    else:
        arguments = {"kernel_size": 3, "extent": 3, "time_stride": 2, "strides": 2}
        arguments["padding"] = "same"
    clip = keras.Input((None, None, None, 3))
    outputs = layer_class(**arguments, time_padding=time_padding, name="layer")(clip)
    model = keras.Model(clip, keras.layers.GlobalAveragePooling3D()(outputs))
    assert outputs.shape[1:4] == (None, None, None)
    model.compile("sgd", "mse")
    before = np.array(model.get_layer("layer").kernel)
    model.fit(CLIP, np.ones((2, model.output_shape[-1])), verbose=0)
    assert np.abs(np.array(model.get_layer("layer").kernel) - before).min() > 0
    model.save(tmp_path / "layer.keras")
    loaded = keras.models.load_model(tmp_path / "layer.keras", safe_mode=True)
    np.testing.assert_array_equal(np.array(loaded(CLIP)), np.array(model(CLIP)))
