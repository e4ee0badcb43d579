import keras
import numpy as np
import pytest

from i3d_tf.inflation.flatten import flatten
from i3d_tf.layers.unit import Unit2D
from i3d_tf.zoo import inflate

layers = keras.layers


def test_flatten_replaces_inner_models_by_their_layers(random_weights):
    trunk = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()], name="trunk"
    )
    image = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 1, name="shared")
    features = trunk(shared(shared(image)), training=False)
    model_2d = random_weights(keras.Model(image, layers.Flatten()(features)))
    names = [call.name for call in flatten(model_2d).calls]
    assert names[:2] == ["shared", "shared"]
    assert len(names) == 5
    picture = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype("float32")
    model = inflate(model_2d, padding="edge", time="steps")
    clip = np.repeat(picture[:, None], 3, 1)
    for training in (None, False, True):
        expected = np.repeat(np.array(model_2d(picture, training=training))[:, None], 3, 1)
        outputs = np.array(model(clip, training=training))
        np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_training_argument_of_an_inner_model_is_kept():
    """Dropout that the 2D network always applies, the 3D one applies too."""
    image = keras.Input((8, 8, 3))
    noise = keras.Sequential([keras.Input((8, 8, 3)), layers.Dropout(0.5)])
    model = inflate(keras.Model(image, noise(image, training=True)))
    assert set(np.array(model(np.ones((1, 2, 8, 8, 3)))).ravel()) == {0, 2}


def test_equal_names_are_preceded_by_that_of_their_model():
    def branch(name):
        return keras.Sequential(
            [keras.Input((4, 4, 1)), layers.Conv2D(1, 3, name="conv")], name=name
        )

    image = keras.Input((4, 4, 1))
    model_2d = keras.Model(image, layers.Add()([branch("left")(image), branch("right")(image)]))
    names = [call.name for call in flatten(model_2d).calls]
    assert names[:2] == ["conv", "right_conv"]


def test_several_inputs_and_outputs_keep_their_structure():
    one, two = keras.Input((4, 4, 1), name="one"), keras.Input((4, 4, 2), name="two")
    joined = layers.Concatenate(axis=3)([one, layers.Conv2D(2, 3, padding="same")(two)])
    pooled = layers.GlobalMaxPooling2D()(joined)
    model_2d = keras.Model({"one": one, "two": two}, {"map": joined, "vector": pooled})
    model = inflate(model_2d)
    assert set(model.input) == {"one", "two"}
    assert model.output["map"].shape == (None, None, 4, 4, 3)
    assert model.output["vector"].shape == (None, 3)
    steps = inflate(model_2d, time="steps", frames=5)
    assert steps.output["vector"].shape == (None, 5, 3)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def test_flatten_names_inner_models_without_a_graph():
    image = keras.Input((4, 4, 1))
    with pytest.raises(ValueError, match="The model 'inner' within `model_2d` is subclassed"):
        flatten(keras.Model(image, Subclassed(name="inner")(image)))


def test_flatten_names_other_arguments_of_inner_models():
    image = keras.Input((4, 4, 1))
    inner = keras.Sequential([keras.Input((4, 4, 1)), layers.ReLU()], name="inner")
    with pytest.raises(ValueError, match=r"'inner' within `model_2d` is called with \['mask'\]"):
        flatten(keras.Model(image, inner(image, mask=image)))


def test_flatten_expands_a_shared_layer_once():
    image = keras.Input((4, 4, 2))
    unit = Unit2D(2, (3, 3), name="unit")
    names = [call.name for call in flatten(keras.Model(image, unit(unit(image)))).calls]
    assert names == ["unit_conv_2d", "unit_batch_norm", "unit"] * 2
