import keras
import numpy as np
import pytest

from i3d_tf.models.convnet_lstm import convnet_lstm
from i3d_tf.models.inception import inception_v1
from i3d_tf.specs.complexity import architecture_complexity

SMALL = {"classes": 5, "width_multiplier": 1 / 8}
SHAPE = (4, 33, 35, 3)


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(1)
    return convnet_lstm(**SMALL)


def every_step(model):
    """The same network, ending at all steps' logits."""
    return keras.Model(model.input, model.get_layer("Logits").output)


def test_full_size_has_the_shapes_and_the_parameters_of_the_table():
    model = convnet_lstm((25, 224, 224, 3))
    assert model.get_layer("Mixed_5c").output.shape == (None, 7, 7, 1024)
    assert model.get_layer("unfold_time").output.shape == (None, 25, 1024)
    assert model.get_layer("lstm").output.shape == (None, 25, 512)
    assert model.get_layer("Logits").output.shape == (None, 25, 400)
    assert model.output_shape == (None, 400)
    assert model.count_params() == architecture_complexity("convnet_lstm").parameters == 8_964_768


def test_the_last_step_is_the_last_of_all_steps(small, random_clips):
    clips = random_clips(SHAPE, 2)
    steps = np.array(every_step(small)(clips))
    assert steps.shape == (2, 4, 5)
    np.testing.assert_array_equal(np.array(small(clips)), steps[:, -1])


def test_all_steps_has_the_same_variables(small, random_clips):
    model = convnet_lstm(all_steps=True, **SMALL)
    assert [v.path for v in model.weights] == [v.path for v in small.weights]
    model.set_weights(small.get_weights())
    clips = random_clips(SHAPE, 2)
    np.testing.assert_array_equal(np.array(model(clips)), np.array(every_step(small)(clips)))


def test_a_step_knows_the_past_and_not_the_future(small, random_clips):
    clips = random_clips(SHAPE, 1)
    changed = clips.copy()
    changed[:, 2] *= -1
    before, after = (np.array(every_step(small)(c))[0] for c in (clips, changed))
    np.testing.assert_array_equal(after[:2], before[:2])
    # Untrained, all logits are small; float32 sums in another order differ by 1e-6 of them.
    assert np.abs(after - before)[2:].max(axis=1).min() > 1e-3 * np.abs(before).max()


def test_the_order_of_frames_matters(small, random_clips):
    clips = random_clips(SHAPE, 1)
    before, after = (np.array(small(c)) for c in (clips, clips[:, [1, 0, 2, 3]]))
    # Untrained, all logits are small; float32 sums in another order differ by 1e-6 of them.
    assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()


def test_frames_of_two_clips_are_not_mixed(small, random_clips):
    clips = random_clips(SHAPE, 2)
    alone = np.concatenate([np.array(small(clip[None])) for clip in clips])
    # float32 sums in another order
    np.testing.assert_allclose(np.array(small(clips)), alone, rtol=1e-4, atol=1e-6)


def test_every_frame_goes_through_inception(small, random_clips):
    clips = random_clips(SHAPE, 2)
    features = np.array(keras.Model(small.input, small.get_layer("unfold_time").output)(clips))
    network = inception_v1(include_top=False, pooling="avg", width_multiplier=1 / 8)
    network.set_weights(small.get_weights()[: len(network.weights)])
    for step in range(4):
        expected = np.array(network(clips[:, step]))
        # float32 sums in another order
        np.testing.assert_allclose(features[:, step], expected, rtol=1e-4, atol=1e-6)


def test_variables(small):
    paths = [variable.path for variable in small.weights]
    of_network = [v.path for v in inception_v1(include_top=False, width_multiplier=1 / 8).weights]
    assert paths[: len(of_network)] == of_network
    assert [path.split("/")[0] for path in paths[len(of_network) :]] == (
        ["lstm_input_norm"] * 3 + ["lstm"] * 3 + ["lstm_output_norm"] * 3 + ["Logits"] * 2
    )


@pytest.mark.slow
def test_it_overfits_eight_clips(accuracy_after_training):
    keras.utils.set_random_seed(0)
    shape = (4, 32, 32, 3)
    model = convnet_lstm(shape, classes=4, width_multiplier=1 / 8, all_steps=True)
    assert accuracy_after_training(model, shape, learning_rate=0.3, steps=12) == 1.0


def test_it_saves_and_loads(small, random_clips, assert_saves):
    assert_saves(small, random_clips(SHAPE, 2))


@pytest.mark.parametrize("all_steps", [False, True])
def test_mixed_precision(all_steps, random_clips, assert_float32_logits):
    assert_float32_logits(
        lambda: convnet_lstm(all_steps=all_steps, **SMALL), random_clips(SHAPE, 1)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (0, 224, 224, 3)}, "T >= 1 or None"),
        ({"input_shape": (25, 31, 224, 3)}, "H >= 32 or None"),
        ({"input_shape": (25, 224, 224, None)}, "C = 3 for rgb, 2 for flow"),
        ({"input_shape": (25, 224, 224.0, 3)}, "W >= 32 or None"),
        ({"input_shape": (224, 224, 3)}, r"\(T, H, W, C\)"),
        ({"classes": True}, "classes"),
        ({"dropout_rate": -0.1}, "dropout_rate"),
        ({"width_multiplier": 0}, "width_multiplier"),
    ],
)
def test_what_cannot_work_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        convnet_lstm(**arguments)
