import keras
import numpy as np
import pytest

from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.zoo import build


def test_linear_network_is_one_layer_on_the_mean_of_the_rows(random_weights):
    model = random_weights(build("feature_linear", input_shape=(None, 3), classes=2))
    kernel, bias = (np.array(weight) for weight in model.get_layer(HEAD).weights)
    rows = np.array([[[1, 2, 3], [3, 2, 1], [2, 2, 2]]], np.float32)
    expected = np.array([2, 2, 2]) @ kernel + bias
    np.testing.assert_allclose(np.array(model(rows))[0], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["feature_lstm", "feature_gru"])
def test_log_probabilities_are_the_mean_of_those_at_every_step(name, tiny_network):
    model = tiny_network(name)
    rows = np.random.default_rng(0).normal(size=(2, 7, 6)).astype(np.float32)
    steps = keras.Model(model.input, model.get_layer(HEAD).output)(rows)
    assert steps.shape == (2, 7, 5)
    expected = np.array(keras.ops.log_softmax(steps)).mean(axis=1)
    np.testing.assert_allclose(np.array(model(rows)), expected, atol=1e-6)
    first = np.array(keras.Model(model.input, model.get_layer(HEAD).output)(rows[:, :3]))
    np.testing.assert_allclose(first, np.array(steps)[:, :3], atol=1e-6)  # no step sees later ones


def test_width_multiplier_scales_the_units():
    for width, units in ((0.25, 256), (1 / 8, 128)):
        model = build("feature_lstm", input_shape=(None, 8), classes=3, width_multiplier=width)
        # Four gates: from the row, from the state before, and a bias; then the classes.
        assert model.count_params() == 4 * units * (8 + units + 1) + 3 * (units + 1)


@pytest.mark.parametrize("shape", [(8,), (0, 8), (None, None), (3, 4, 5)])
def test_feature_networks_check_their_input_shape(shape):
    with pytest.raises(ValueError, match=r"`input_shape` must be \(T, C\)"):
        build("feature_lstm", input_shape=shape)
