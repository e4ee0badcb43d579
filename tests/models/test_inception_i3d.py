import json

import keras
import numpy as np
import pytest

from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.geometry import endpoint_shapes, receptive_fields, variable_shapes
from i3d_tf.specs.inception_v1 import ENDPOINTS, I3D

SMALL = {"width_multiplier": 0.125, "classes": 5}


@pytest.fixture(scope="module")
def clip():
    return np.random.default_rng(1).uniform(-1, 1, (2, 9, 48, 40, 3)).astype("float32")


@pytest.fixture(scope="module")
def small_model():
    keras.utils.set_random_seed(1)
    return inception_i3d(**SMALL)


@pytest.mark.parametrize(("channels", "classes"), [(3, 400), (2, 400), (3, 600)])
def test_variables_spell_the_table(channels, classes):
    model = inception_i3d(input_shape=(None, None, None, channels), classes=classes)
    built = {variable.path: tuple(variable.shape) for variable in model.variables}
    assert built == variable_shapes(I3D, channels, classes)


@pytest.mark.parametrize("frames", [9, 10, 64, 79, 250])
@pytest.mark.parametrize("size", [(224, 224), (256, 341), (33, 32)])
def test_endpoint_shapes(frames, size):
    model = inception_i3d(input_shape=(frames, *size, 3), **SMALL | {"width_multiplier": 1.0})
    expected = endpoint_shapes(I3D, (frames, *size, 3))
    shapes = {name: model.get_layer(name).output.shape[1:] for name in ENDPOINTS[:-1]}
    assert shapes == expected
    steps = -(-frames // 8)
    assert expected["Mixed_5c"][0] == steps
    assert model.get_layer("AvgPool3d_0a_7x7").output.shape[1:] == (steps - 1, 1, 1, 1024)
    assert model.get_layer("Logits").output.shape == (None, 5)


def test_endpoint_shapes_hold_when_any_size_is_allowed(small_model, clip):
    endpoints = [small_model.get_layer(name).output for name in ENDPOINTS]
    outputs = keras.Model(small_model.input, endpoints)(clip)
    assert small_model.input_shape == (None, None, None, None, 3)
    expected = endpoint_shapes(I3D, clip.shape[1:])
    for name, output in zip(ENDPOINTS[:-1], outputs, strict=False):
        assert tuple(output.shape[1:4]) == expected[name][:3]
    assert tuple(outputs[-1].shape) == (2, 5)


def test_receptive_field_is_what_the_network_looks_at():
    """One changed frame reaches exactly the output steps whose receptive field holds it."""
    keras.utils.set_random_seed(0)
    model = inception_i3d(include_top=False, input_shape=(240, 32, 32, 1), width_multiplier=0.03)
    still = np.zeros((1, 240, 32, 32, 1), "float32")
    changed = still.copy()
    # A large pulse, with random weights and no saturation, passes through some path of every block.
    changed[:, 120] = np.random.default_rng(0).normal(0, 1e4, (32, 32, 1))
    difference = np.abs(np.array(model(changed)) - np.array(model(still))).max(axis=(0, 2, 3, 4))
    reached = np.flatnonzero(difference > 0)
    span = receptive_fields(I3D)["Mixed_5c"]
    assert len(reached) <= -(-span.field[0] // span.jump[0]) + 1
    assert len(reached) >= span.field[0] // span.jump[0] - 1


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_saving_and_loading(small_model, clip, tmp_path, ending):
    path = tmp_path / f"mödel one{ending}"
    if ending == ".keras":
        small_model.save(path)
        loaded = keras.models.load_model(path, safe_mode=True)
        assert [v.path for v in loaded.variables] == [v.path for v in small_model.variables]
        assert json.dumps(loaded.get_config()) == json.dumps(small_model.get_config())
    else:
        small_model.save_weights(path)
        loaded = inception_i3d(**SMALL)
        loaded.load_weights(path)
    np.testing.assert_array_equal(np.array(loaded(clip)), np.array(small_model(clip)))


def test_get_config_rebuilds_the_network(small_model):
    again = keras.Model.from_config(small_model.get_config())
    assert [v.path for v in again.variables] == [v.path for v in small_model.variables]
    assert again.count_params() == small_model.count_params()


def test_without_the_head(clip):
    mixed = inception_i3d(include_top=False, **SMALL)
    assert mixed.output.shape == (None, None, None, None, 128)
    for pooling, reduce in (("avg", np.mean), ("max", np.max)):
        pooled = inception_i3d(include_top=False, pooling=pooling, **SMALL)
        pooled.set_weights(mixed.get_weights())
        expected = reduce(np.array(mixed(clip)), axis=(1, 2, 3))
        np.testing.assert_allclose(np.array(pooled(clip)), expected, rtol=1e-5, atol=1e-6)


def test_activation_follows_the_average(small_model, clip):
    model = inception_i3d(classifier_activation="softmax", **SMALL)
    model.set_weights(small_model.get_weights())
    logits = np.array(small_model(clip), "float64")
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.array(model(clip)), expected, rtol=1e-5)
    assert model.get_layer("Logits").output.shape == (None, 5)


def test_input_tensor_is_built_on():
    frames = keras.Input((16, 64, 64, 3), dtype="uint8", name="frames")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(frames)
    model = inception_i3d(input_tensor=scaled, **SMALL)
    assert model.inputs[0] is frames
    assert np.array(model(np.zeros((1, 16, 64, 64, 3), "uint8"))).shape == (1, 5)


def test_dropout_acts_in_training_only(small_model, clip):
    model = inception_i3d(dropout_rate=0.5, **SMALL)
    model.set_weights(small_model.get_weights())
    np.testing.assert_array_equal(np.array(model(clip)), np.array(small_model(clip)))
    first, second = (np.array(model(clip, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (8, 224, 224, 3)}, "T >= 9"),
        ({"input_shape": (64, 31, 224, 3)}, "H >= 32"),
        ({"input_shape": (64, 224, 16, 3)}, "W >= 32"),
        ({"input_shape": (64, 224, 224, None)}, "channels"),
        ({"input_shape": (64, 224, 224, 0)}, "C >= 1"),
        ({"input_shape": (64.0, 224, 224, 3)}, "T >= 9"),
        ({"input_shape": (224, 224, 3)}, r"\(T, H, W, C\)"),
        ({"pooling": "mean"}, "'mean'"),
        ({"classes": 0}, "classes"),
        ({"classes": "400"}, "'400'"),
        ({"dropout_rate": 1.0}, "dropout_rate"),
        ({"width_multiplier": 0.0}, "width_multiplier"),
        ({"input_tensor": np.zeros((1, 9, 32, 32, 3))}, "symbolic"),
    ],
)
def test_what_cannot_work_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        inception_i3d(**arguments)


def test_a_clip_too_short_for_the_head_is_refused(small_model):
    with pytest.raises(ValueError, match="at least 9"):
        small_model(np.zeros((1, 8, 64, 64, 3), "float32"))
