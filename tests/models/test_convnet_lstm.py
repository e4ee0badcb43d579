import keras
import numpy as np
import pytest

from i3d_tf.models.convnet_lstm import convnet_lstm

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
