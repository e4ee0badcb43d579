import keras
import numpy as np
import pytest

from i3d_tf.metrics.ranking import softmax
from i3d_tf.models.lrcn import lrcn
from i3d_tf.specs.baselines import LRCN, LRCN_FLATTENED, LRCN_LSTM_UNITS, GroupedConv


@pytest.mark.slow
def test_lrcn_has_the_released_shapes_and_parameters():
    model = lrcn(classes=101)
    assert model.get_layer("pool5").output.shape[1:] == (6, 6, 384)
    assert model.get_layer("pool1").output.shape[1:] == (55, 55, 96)
    counts = [model.get_layer(row.name).count_params() for row in LRCN]
    filters, expected = 3, []
    for row in LRCN:
        if isinstance(row, GroupedConv):
            expected.append((row.kernel**2 * filters // row.groups + 1) * row.filters)
            filters = row.filters
        else:
            expected.append(0)
    assert counts == expected
    assert sum(counts) == 4_310_656
    units = LRCN_LSTM_UNITS
    parts = {
        "fc6": (np.prod(LRCN_FLATTENED) + 1) * 4096,
        "lstm1": 4 * units * (4096 + units + 1),
        "Logits": (units + 1) * 101,
    }
    assert {name: model.get_layer(name).count_params() for name in parts} == parts
    assert parts == {"fc6": 56_627_200, "lstm1": 4_457_472, "Logits": 25_957}
    assert model.count_params() == 65_421_285


@pytest.fixture(scope="module")
def network(tiny_network):
    return tiny_network("lrcn")


def test_prediction_is_the_mean_of_those_of_all_frames(network, tiny_clips):
    clips = tiny_clips("lrcn", 2)
    steps = keras.Model(network.input, network.get_layer("Logits").output)
    found = softmax(np.array(network(clips)))
    np.testing.assert_allclose(found, softmax(np.array(steps(clips))).mean(axis=1), rtol=1e-5)


def test_frames_go_through_the_convolutions_alone_and_the_lstm_in_order(network, tiny_clips):
    clips = tiny_clips("lrcn", 1)
    outputs = [network.get_layer(name).output for name in ("unfold_time", "lstm1")]
    model = keras.Model(network.input, outputs)
    features, steps = map(np.array, model(clips))
    swapped_features, swapped_steps = map(np.array, model(clips[:, ::-1]))
    # float32 sums in another order
    np.testing.assert_allclose(swapped_features, features[:, ::-1], rtol=1e-4, atol=1e-5)
    assert np.abs(swapped_steps[:, -1] - steps[:, -1]).max() > 1e-3 * np.abs(steps).max()


def test_lstm_starts_with_small_weights_and_no_bias():
    weights = lrcn((None, 32, 32, 3), width_multiplier=1 / 16).get_layer("lstm1").get_weights()
    kernel, recurrent_kernel, bias = weights
    for matrix in (kernel, recurrent_kernel):
        assert 0.009 < np.abs(matrix).max() <= 0.01
        assert abs(matrix.mean()) < 0.002
    assert not bias.any()


def test_lrcn_checks_its_arguments():
    with pytest.raises(ValueError, match=r"`input_shape` must have H >= 32; received .*None"):
        lrcn((16, None, None, 3))
    with pytest.raises(ValueError, match="`fc6_dropout_rate` must be a number"):
        lrcn(fc6_dropout_rate=1.0)
