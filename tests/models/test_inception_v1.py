import keras
import numpy as np
import pytest

from i3d_tf.models.inception import inception_i3d, inception_v1
from i3d_tf.specs.geometry import endpoint_shapes, variable_shapes
from i3d_tf.specs.inception_v1 import (
    ENDPOINTS,
    I3D,
    INCEPTION_V1,
    INCEPTION_V1_ENDPOINTS,
    name_without_time,
)

SMALL = {"width_multiplier": 0.125, "classes": 5}


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(1).uniform(-1, 1, (2, 33, 35, 3)).astype("float32")


@pytest.fixture(scope="module")
def small_model():
    keras.utils.set_random_seed(1)
    return inception_v1(**SMALL)


@pytest.mark.parametrize(("channels", "classes"), [(3, 1001), (20, 101), (1, 7)])
def test_variables_spell_the_table(channels, classes):
    model = inception_v1(input_shape=(None, None, channels), classes=classes)
    built = {variable.path: tuple(variable.shape) for variable in model.variables}
    assert built == variable_shapes(INCEPTION_V1, channels, classes)


def test_names_are_those_of_i3d_without_time():
    images = variable_shapes(INCEPTION_V1, 3, 400)
    clips = variable_shapes(I3D, 3, 400)
    assert list(images) == [path.replace("3d", "2d") for path in clips]
    for flat, shape in zip(images.values(), clips.values(), strict=True):
        assert flat == (shape[1:] if len(shape) == 5 else shape)
    assert tuple(map(name_without_time, ENDPOINTS)) == INCEPTION_V1_ENDPOINTS


@pytest.mark.parametrize("size", [(224, 224), (33, 64)])
def test_endpoint_shapes(size):
    model = inception_v1(input_shape=(*size, 3), classes=5)
    expected = endpoint_shapes(INCEPTION_V1, (*size, 3))
    names = INCEPTION_V1_ENDPOINTS[:-1]
    assert {name: model.get_layer(name).output.shape[1:] for name in names} == expected
    assert expected["Mixed_5c"] == (-(-size[0] // 32), -(-size[1] // 32), 1024)
    assert model.get_layer("AvgPool_0a_7x7").output.shape[1:] == (1, 1, 1024)
    assert model.output_shape == (None, 5)


def test_frames_folded_into_the_batch_are_images(small_model):
    clip = np.random.default_rng(2).uniform(-1, 1, (2, 3, 33, 35, 3)).astype("float32")
    folded = np.array(small_model(clip.reshape(6, 33, 35, 3))).reshape(2, 3, 5)
    for example in range(2):
        # The same numbers in batches of other sizes, summed in another order.
        expected = np.array(small_model(clip[example]))
        np.testing.assert_allclose(folded[example], expected, rtol=1e-4, atol=1e-5)


def test_without_the_head(image):
    mixed = inception_v1(include_top=False, **SMALL)
    assert mixed.output.shape == (None, None, None, 128)
    for pooling, reduce in (("avg", np.mean), ("max", np.max)):
        pooled = inception_v1(include_top=False, pooling=pooling, **SMALL)
        pooled.set_weights(mixed.get_weights())
        expected = reduce(np.array(mixed(image)), axis=(1, 2))
        np.testing.assert_allclose(np.array(pooled(image)), expected, rtol=1e-5, atol=1e-6)


def test_activation_and_dropout(small_model, image):
    model = inception_v1(classifier_activation="softmax", dropout_rate=0.5, **SMALL)
    model.set_weights(small_model.get_weights())
    logits = np.array(small_model(image), "float64")
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.array(model(image)), expected, rtol=1e-5)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_saving_and_loading(small_model, image, tmp_path, ending):
    path = tmp_path / f"model{ending}"
    if ending == ".keras":
        small_model.save(path)
        loaded = keras.models.load_model(path, safe_mode=True)
        assert [v.path for v in loaded.variables] == [v.path for v in small_model.variables]
    else:
        small_model.save_weights(path)
        loaded = inception_v1(**SMALL)
        loaded.load_weights(path)
    np.testing.assert_array_equal(np.array(loaded(image)), np.array(small_model(image)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (31, 224, 3)}, "H >= 32"),
        ({"input_shape": (224, 16, 3)}, "W >= 32"),
        ({"input_shape": (224, 224, None)}, "channels"),
        ({"input_shape": (64, 224, 224, 3)}, r"\(H, W, C\)"),
        ({"pooling": "mean"}, "'mean'"),
        ({"classes": 0}, "classes"),
        ({"input_tensor": keras.Input((9, 32, 32, 3))}, r"\(H, W, C\)"),
        ({"input_tensor": keras.Input((32, 32, 3)), "input_shape": (32, 33, 3)}, "must equal"),
    ],
)
def test_what_cannot_work_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        inception_v1(**arguments)


def test_built_on_a_tensor():
    frames = keras.Input((64, 64, 3), dtype="uint8", name="frames")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(frames)
    model = inception_v1(input_tensor=scaled, **SMALL)
    assert model.inputs[0] is frames


def test_both_networks_fit_into_one_model():
    """Layers of one model may not share a name: the two differ wherever both have a convolution."""
    image, clip = keras.Input((32, 32, 3)), keras.Input((9, 32, 32, 3))
    flat, deep = (
        inception_v1(input_tensor=image, **SMALL),
        inception_i3d(input_tensor=clip, **SMALL),
    )
    both = keras.Model([image, clip], keras.layers.Add()([flat(image), deep(clip)]))
    assert both.output_shape == (None, 5)
