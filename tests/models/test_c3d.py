from math import prod

import keras
import numpy as np
import pytest

from i3d_tf.models.c3d import c3d, c3d_original
from i3d_tf.models.clip_input import normalized
from i3d_tf.specs.baselines import C3D, C3D_DENSE, C3D_FLATTENED, C3D_ORIGINAL
from i3d_tf.specs.complexity import architecture_complexity
from i3d_tf.specs.geometry import convolutions, endpoint_shapes


def test_endpoints_have_the_shapes_of_the_table():
    model = c3d(width_multiplier=1 / 64)
    shapes = endpoint_shapes(C3D, (16, 112, 112, 3))
    assert shapes["pool1"] == (8, 56, 56, 64)  # time is halved by the first pool
    assert shapes["pool5"] == (1, 4, 4, 512)
    for name, shape in shapes.items():
        assert model.get_layer(name).output.shape == (None, *shape[:3], shape[3] // 64)
    for row in C3D_DENSE:
        assert model.get_layer(row.name).output.shape == (None, 64)
    assert model.output_shape == (None, 400)


@pytest.mark.parametrize("shape", [(16, 80, 80, 3), (20, 33, 47, 2)])
def test_other_sizes_change_the_first_dense_layer(shape, build_tiny, random_clips):
    model = build_tiny("c3d", input_shape=shape)
    counted = architecture_complexity("c3d", {"rgb": shape}, 5, 1 / 16)
    assert model.count_params() == counted.parameters
    assert np.array(model(random_clips(shape, 2))).shape == (2, 5)


def test_variables_are_named_by_layer(tiny_network):
    paths = [variable.path for variable in tiny_network("c3d").weights]
    assert paths[:2] == ["conv1a/conv_3d/kernel", "conv1a/batch_norm/beta"]
    assert "fc6/dense/kernel" in paths
    assert "fc7/batch_norm/moving_variance" in paths
    assert paths[-2:] == ["Logits/kernel", "Logits/bias"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((15, 112, 112, 3), r"T >= 16; received \(15,"),
        ((None, 112, 112, 3), r"T >= 16; received \(None,"),
        ((16, None, 112, 3), "H >= 32; received"),
        ((16, 112, 112, 4), "C = 3 for rgb, 2 for flow"),
    ],
)
def test_c3d_names_the_allowed_shapes(shape, message):
    with pytest.raises(ValueError, match=message):
        c3d(shape)


def test_first_pool_of_the_original_keeps_time():
    model = c3d_original(width_multiplier=1 / 64)
    shapes = endpoint_shapes(C3D_ORIGINAL, (16, 112, 112, 3))
    assert shapes["pool1"] == (16, 56, 56, 64)
    assert shapes["pool5"] == (1, 4, 4, 512)
    for name, shape in shapes.items():
        assert model.get_layer(name).output.shape == (None, *shape[:3], shape[3] // 64)
    assert [variable.path for variable in model.weights][:2] == ["conv1a/kernel", "conv1a/bias"]


@pytest.mark.parametrize(("classes", "parameters"), [(487, 79_991_015), (101, 78_409_573)])
def test_original_has_the_published_parameters_by_its_table(classes, parameters):
    kernels = [
        (prod(conv.kernel) * filters_in + 1) * conv.filters
        for _, conv, filters_in in convolutions(C3D_ORIGINAL, 3)
    ]
    features = prod(endpoint_shapes(C3D_ORIGINAL, (16, 112, 112, 3))["pool5"])
    assert features == prod(C3D_FLATTENED)
    units = [row.units for row in C3D_DENSE] + [classes]
    dense = [(i + 1) * o for i, o in zip([features, *units], units, strict=False)]
    assert sum(kernels) + sum(dense) == parameters


def test_original_without_a_classifier_gives_fc7():
    arguments = {"input_shape": (16, 32, 32, 3), "width_multiplier": 1 / 64}
    model = c3d_original(include_top=False, **arguments)
    assert model.output_shape == (None, 64)
    assert model.layers[-1].name == "fc7_dropout"
    with pytest.raises(ValueError, match="`pool5` must be one of"):
        c3d_original(pool5="caffe", **arguments)


def test_bgr_is_computed_from_rgb_minus_its_mean():
    clip = keras.Input((16, 32, 32, 3))
    outputs = normalized(clip, (0.1, 0.2, 0.3), (1 / 255,) * 3, "bgr")
    pixel = keras.Model(clip, outputs)(np.full((1, 16, 32, 32, 3), -1.0))[0, 0, 0, 0]
    np.testing.assert_allclose(np.array(pixel), [-76.5, -51, -25.5], rtol=1e-5)
    with pytest.raises(ValueError, match="`channel_order` must be one of"):
        normalized(clip, channel_order="gbr")


def test_last_pool_is_padded_at_the_end_or_on_both_sides(random_clips):
    clips, pooled = random_clips((16, 112, 112, 3), 1), {}
    weights = None
    for pool5 in ("end", "symmetric"):
        model = c3d_original(pool5=pool5, width_multiplier=1 / 64)
        weights = model.get_weights() if weights is None else weights
        model.set_weights(weights)
        layers = [model.get_layer(name).output for name in ("conv5b", "pool5")]
        maps, pooled[pool5] = map(np.array, keras.Model(model.input, layers)(clips))
    pads = {"end": (0, 1), "symmetric": (1, 0)}  # of 7 positions to 8; the other is not seen
    for pool5, found in pooled.items():
        padded = np.pad(maps[0], [(0, 0), pads[pool5], pads[pool5], (0, 0)], constant_values=-1)
        expected = padded.reshape(2, 4, 2, 4, 2, 8).max((0, 2, 4))
        np.testing.assert_array_equal(found[0, 0], expected)
