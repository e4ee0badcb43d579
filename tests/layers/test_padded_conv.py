import itertools

import keras
import numpy as np
import pytest

from i3d_tf.layers.padded_conv import (
    AlignTime,
    CropStart,
    DepthwiseConv3D,
    PaddedConv3D,
    pad_time,
    padded_length,
    same_padding,
)

CLIP = np.random.default_rng(0).normal(size=(2, 7, 6, 5, 3)).astype("float32")


def padded_by_hand(clip, extents, strides, time_padding, space_padding):
    """Pads for ceil(length / stride) outputs, half of it before."""
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
    """Yields (t, h, w) of an output and the patch of the padded clip below the kernel."""
    counts = [
        (length - extent) // stride + 1
        for length, extent, stride in zip(clip.shape[1:4], extents, strides, strict=True)
    ]
    for position in itertools.product(*map(range, counts)):
        corner = [index * stride for index, stride in zip(position, strides, strict=True)]
        t, h, w = (slice(c, c + e) for c, e in zip(corner, extents, strict=True))
        yield position, clip[:, t, h, w]


def by_hand(clip, kernel, strides, formula):
    sums = {
        position: np.einsum(formula, patch, kernel)
        for position, patch in patches(clip, kernel.shape[:3], strides)
    }
    counts = [max(axis) + 1 for axis in zip(*sums, strict=True)]
    outputs = np.stack([sums[position] for position in sorted(sums)], axis=1)
    return outputs.reshape(len(clip), *counts, -1)


def assert_near(outputs, expected):
    assert outputs.shape == expected.shape
    np.testing.assert_allclose(np.array(outputs), expected, atol=1e-5)  # float32, 54 products


@pytest.mark.parametrize("time_padding", ["zero", "edge", "valid"])
@pytest.mark.parametrize("space_padding", ["same", "valid"])
@pytest.mark.parametrize(("extent", "stride"), [(3, 1), (4, 2), (1, 2), (2, 3)])
def test_padded_conv_is_a_sum_written_out(time_padding, space_padding, extent, stride):
    strides = (stride, 2, 1)
    layer = PaddedConv3D(
        4,
        (extent, 3, 2),
        strides=strides,
        space_padding=space_padding,
        time_padding=time_padding,
        bias_initializer="random_normal",
    )
    outputs = layer(CLIP)
    kernel, bias = (np.array(weight) for weight in layer.weights)
    clip = padded_by_hand(CLIP, (extent, 3, 2), strides, time_padding, space_padding)
    assert_near(outputs, by_hand(clip, kernel, strides, "nthwi,thwio->no") + bias)
    assert layer.compute_output_shape(CLIP.shape) == outputs.shape


@pytest.mark.parametrize("time_padding", ["zero", "edge", "valid"])
@pytest.mark.parametrize("space_padding", ["same", "valid"])
@pytest.mark.parametrize(("extent", "stride"), [(3, 1), (4, 2), (1, 2)])
def test_depthwise_conv_is_a_sum_written_out(time_padding, space_padding, extent, stride):
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
    outputs = layer(CLIP)
    kernel, bias = (np.array(weight) for weight in layer.weights)
    assert kernel.shape == (extent, 3, 2, 3, 2)
    strides = (stride, 1, 1)
    clip = padded_by_hand(CLIP, (extent, 3, 2), strides, time_padding, space_padding)
    assert_near(outputs, by_hand(clip, kernel, strides, "nthwi,thwio->nio") + bias)
    assert layer.compute_output_shape(CLIP.shape) == outputs.shape


@pytest.mark.parametrize("time_padding", ["zero", "edge"])
@pytest.mark.parametrize("layer_class", [PaddedConv3D, DepthwiseConv3D])
def test_convolution_of_any_size_trains_and_saves(layer_class, time_padding, tmp_path):
    """With free T, H and W the padding depends on the clip."""
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


@pytest.mark.parametrize(
    ("length", "extent", "stride", "expected"),
    [
        (8, 3, 1, (1, 1)),
        (8, 2, 1, (0, 1)),  # the odd one after
        (8, 7, 2, (2, 3)),
        (9, 7, 2, (3, 3)),
        (8, 1, 2, (0, 0)),
        (9, 2, 4, (0, 1)),
        (8, 2, 4, (0, 0)),  # no less than none
    ],
)
def test_same_padding_is_that_of_tensorflow(length, extent, stride, expected):
    assert same_padding(length, extent, stride) == expected
    tensor = keras.ops.convert_to_tensor(length)
    assert tuple(int(side) for side in same_padding(tensor, extent, stride)) == expected


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("zero", [0, 5, 6, 7, 0]), ("edge", [5, 5, 6, 7, 7]), ("valid", [5, 6, 7])],
)
def test_pad_time_pads_a_ramp(padding, expected):
    ramp = np.array([[5.0, 6.0, 7.0]], "float32")[..., None]
    np.testing.assert_array_equal(np.array(pad_time(ramp, 3, 1, padding))[0, :, 0], expected)
    assert padded_length(3, 3, 1, padding) == len(expected)
    assert padded_length(None, 3, 1, padding) is None


def test_align_time_keeps_the_common_steps():
    """Of 0...5 without two at the start, and of 10...13: four steps are left of each."""
    align = AlignTime([2, 0])
    one, two = np.arange(6.0)[None, :, None], np.arange(10.0, 14.0)[None, :, None]
    first, second = (np.array(clip)[0, :, 0] for clip in align([one, two]))
    np.testing.assert_array_equal(first, [2, 3, 4, 5])
    np.testing.assert_array_equal(second, [10, 11, 12, 13])
    free = [keras.Input((None, 1)), keras.Input((4, 1), dtype="int32")]
    assert [clip.shape for clip in align(free)] == [(None, None, 1)] * 2
    assert [clip.dtype for clip in align(free)] == ["float32", "int32"]


def test_crop_start_drops_the_first_steps():
    crop = CropStart(2)
    np.testing.assert_array_equal(np.array(crop(np.arange(5)[None, :, None]))[0, :, 0], [2, 3, 4])
    assert crop(keras.Input((5, 4, 4, 1), dtype="uint8")).dtype == "uint8"
    assert crop.compute_output_shape((None, None, 3)) == (None, None, 3)


@pytest.mark.parametrize(
    "layer",
    [
        AlignTime([2, 0]),
        CropStart(2),
        DepthwiseConv3D(3, extent=3, time_stride=2, time_padding="edge"),
        PaddedConv3D(2, (3, 3, 3), space_padding="valid", time_padding="edge"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_padded_conv_config_round_trips(layer):
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
