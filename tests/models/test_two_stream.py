import keras
import numpy as np
import pytest

from i3d_tf.metrics.ranking import softmax
from i3d_tf.models.inception import inception_i3d
from i3d_tf.models.two_stream import two_stream


def network(channels, classes=4):
    shape = (9, 32, 32, channels)
    return inception_i3d(input_shape=shape, classes=classes, width_multiplier=0.125)


@pytest.fixture(scope="module")
def streams():
    keras.utils.set_random_seed(2)
    generator = np.random.default_rng(2)
    clips = {
        "rgb": generator.uniform(-1, 1, (3, 9, 32, 32, 3)).astype("float32"),
        "flow": generator.uniform(-1, 1, (3, 9, 32, 32, 2)).astype("float32"),
    }
    return network(3), network(2), clips


def test_logits_are_added_and_probabilities_averaged(streams):
    rgb, flow, clips = streams
    logits = np.array(rgb(clips["rgb"])), np.array(flow(clips["flow"]))
    added = np.array(two_stream(rgb, flow)(clips))
    np.testing.assert_allclose(added, sum(logits), rtol=1e-5, atol=1e-6)
    averaged = np.array(two_stream(rgb, flow, fusion="probabilities")(clips))
    np.testing.assert_allclose(averaged, (softmax(logits[0]) + softmax(logits[1])) / 2, rtol=1e-5)


def test_it_saves_and_loads(streams, tmp_path):
    rgb, flow, clips = streams
    model = two_stream(rgb, flow)
    model.save(tmp_path / "both.keras")
    loaded = keras.models.load_model(tmp_path / "both.keras")
    np.testing.assert_array_equal(np.array(loaded(clips)), np.array(model(clips)))


def test_loaded_variables_begin_with_their_stream(streams, tmp_path):
    rgb, flow, _ = streams
    model = two_stream(rgb, flow, name="both")
    model.save(tmp_path / "both.keras")
    loaded = keras.models.load_model(tmp_path / "both.keras", safe_mode=True)
    assert loaded.name == "both"
    assert [v.path for v in loaded.weights] == [
        f"{name}/{v.path}"
        for name, part in (("rgb_stream", rgb), ("flow_stream", flow))
        for v in part.weights
    ]


def test_wrong_arguments_are_named(streams):
    rgb, flow, _ = streams
    with pytest.raises(ValueError, match="'sum'"):
        two_stream(rgb, flow, fusion="sum")
    with pytest.raises(ValueError, match=r"\(None, 4\) and \(None, 7\)"):
        two_stream(rgb, network(2, classes=7))
