import keras
import numpy as np
import pytest

from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.layers.step_pool import pool_steps
from i3d_tf.models.convnet_lstm import convnet_lstm
from i3d_tf.models.fold_batch_norm import fuse_for_inference

SHAPE = (4, 33, 35, 3)


@pytest.fixture(scope="module")
def network(tiny_network):
    return tiny_network("convnet_lstm")


@pytest.fixture(scope="module")
def every_step(network):
    """The same network, ending at all steps' logits."""
    return keras.Model(network.input, network.get_layer("Logits").output)


def test_endpoints_have_the_shapes_of_the_paper(network):
    names = ("Mixed_5c", "unfold_time", "lstm", "Logits", "last_step")
    endpoints = keras.Model(network.input, {n: network.get_layer(n).output for n in names})
    assert endpoints.compute_output_shape((2, 25, 224, 224, 3)) == {
        "Mixed_5c": (50, 7, 7, 1024 // 16),
        "unfold_time": (2, 25, 1024 // 16),
        "lstm": (2, 25, 512 // 16),
        "Logits": (2, 25, 5),
        "last_step": (2, 5),
    }


def test_output_is_the_last_of_all_steps(network, every_step, random_clips):
    clips = random_clips(SHAPE, 2)
    steps = np.array(every_step(clips))
    assert steps.shape == (2, 4, 5)
    np.testing.assert_array_equal(np.array(network(clips)), steps[:, -1])


def test_all_steps_has_the_same_variables(network, every_step, build_tiny, random_clips):
    model = build_tiny("convnet_lstm", all_steps=True)
    assert [v.path for v in model.weights] == [v.path for v in network.weights]
    model.set_weights(network.get_weights())
    clips = random_clips(SHAPE, 2)
    np.testing.assert_array_equal(np.array(model(clips)), np.array(every_step(clips)))


def test_step_depends_on_the_past_only(every_step, random_clips):
    clips = random_clips(SHAPE, 1)
    changed = clips.copy()
    changed[:, 2] *= -1
    before, after = (np.array(every_step(c))[0] for c in (clips, changed))
    np.testing.assert_array_equal(after[:2], before[:2])
    # float32 sums in another order differ by 1e-6 of the logits.
    assert np.abs(after - before)[2:].max(axis=1).min() > 1e-3 * np.abs(before).max()


def test_order_of_frames_matters(network, random_clips):
    clips = random_clips(SHAPE, 1)
    before, after = (np.array(network(c)) for c in (clips, clips[:, [1, 0, 2, 3]]))
    assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()


def test_clips_of_a_batch_are_independent(network, random_clips):
    clips = random_clips(SHAPE, 2)
    alone = np.concatenate([np.array(network(clip[None])) for clip in clips])
    # float32 sums in another order
    np.testing.assert_allclose(np.array(network(clips)), alone, rtol=1e-4, atol=1e-5)


def test_every_frame_goes_through_inception(network, build_tiny, random_clips):
    clips = random_clips(SHAPE, 2)
    features = np.array(keras.Model(network.input, network.get_layer("unfold_time").output)(clips))
    inception = build_tiny("inception_v1", include_top=False, pooling="avg")
    count = len(inception.weights)
    paths = [variable.path for variable in network.weights]
    assert paths[:count] == [variable.path for variable in inception.weights]
    assert [path.split("/")[0] for path in paths[count:]] == (
        ["lstm_input_norm"] * 3 + ["lstm"] * 3 + ["lstm_output_norm"] * 3 + ["Logits"] * 2
    )
    inception.set_weights(network.get_weights()[:count])
    for step in range(4):
        expected = np.array(inception(clips[:, step]))
        # float32 sums in another order
        np.testing.assert_allclose(features[:, step], expected, rtol=1e-4, atol=1e-5)


def test_convnet_lstm_names_the_allowed_channels():
    with pytest.raises(ValueError, match="C = 3 for rgb, 2 for flow"):
        convnet_lstm((25, 224, 224, None))


@pytest.mark.slow
def test_resnet50_has_the_size_of_the_first_kinetics_paper():
    # arXiv:1705.06950 prints 29M. ResNet-50 up to its average pool has 23,587,712; an LSTM of 512
    # on 2,048 features, 3 values of batch norm for each input and output, 400 classes.
    expected = 23_587_712 + 4 * 512 * (2048 + 512 + 1) + 3 * (2048 + 512) + 513 * 400
    assert expected == 29_045_520
    assert convnet_lstm(backbone="resnet50").count_params() == expected


# ---- the deep LSTM


@pytest.fixture(scope="module")
def deep(build_tiny, random_weights, toy_backbone):
    """Function: arguments -> a network of three LSTMs without batch norm, the same weights."""

    def build(**arguments):
        options = {"backbone": toy_backbone, "lstm_layers": 3, "input_shape": (None, 33, 35, 3)}
        return random_weights(build_tiny("deep_lstm", **{**options, **arguments}))

    return build


def test_deep_lstm_is_lstms_on_top_of_each_other(deep, random_clips):
    model = deep()
    paths = [v.path.split("/")[0] for v in model.weights]
    trunk = paths.index("lstm")
    assert paths[trunk:] == ["lstm"] * 3 + ["lstm_2"] * 3 + ["lstm_3"] * 3 + ["Logits"] * 2
    names = ("unfold_time", "lstm", "lstm_2", "lstm_3", "Logits")
    outputs = [model.get_layer(name).output for name in names]
    steps, *_, top, logits = map(
        np.array, keras.Model(model.input, outputs)(random_clips(SHAPE, 2))
    )
    weights = [np.array(v) for v in model.weights[trunk:]]
    for layer in range(3):
        steps = lstm_by_hand(steps, *weights[3 * layer : 3 * layer + 3])
    np.testing.assert_allclose(top, steps, rtol=1e-4, atol=1e-5)  # float32 in another order
    np.testing.assert_allclose(logits, steps @ weights[-2] + weights[-1], rtol=1e-4, atol=1e-5)


def lstm_by_hand(inputs, kernel, recurrent_kernel, bias):
    """Outputs of every step; gates are in, forget, cell, out."""
    outputs = []
    hidden = cell = np.zeros((len(inputs), len(recurrent_kernel)))
    for step in range(inputs.shape[1]):
        gates = inputs[:, step] @ kernel + hidden @ recurrent_kernel + bias
        enter, forget, new, leave = np.split(gates, 4, axis=1)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs, axis=1)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize("pooling", ["max", "sum", "gain"])
def test_step_pooling_is_the_same_in_the_network_and_in_tests_of_all_steps(
    deep, random_clips, pooling
):
    clips = random_clips(SHAPE, 2)
    pooled = deep(step_pooling=pooling)
    every_step = deep(step_pooling=pooling, all_steps=True)
    steps = np.array(every_step(clips))
    assert steps.shape == (2, 4, 5)
    expected = np.array(pool_steps(steps, pooling))
    np.testing.assert_allclose(np.array(pooled(clips)), expected, rtol=1e-6)
    for model in (every_step, fuse_for_inference(every_step)):
        found = np.array(forward_function(model).python_function(clips))
        # float32 sums in another order
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_convnet_lstm_checks_its_options():
    with pytest.raises(ValueError, match="`lstm_layers` must be an integer >= 1; received 0"):
        convnet_lstm(lstm_layers=0)
    with pytest.raises(ValueError, match=r"`step_pooling` must be one of .*'mean'"):
        convnet_lstm(step_pooling="mean")
