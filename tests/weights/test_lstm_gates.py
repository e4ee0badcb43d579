"""LSTMs of Caffe and PyTorch, step by step in NumPy, against Keras's with converted weights."""

import keras
import numpy as np
import pytest

from i3d_tf.weights.lstm_gates import caffe_lstm, torch_lstm

UNITS, INPUTS = 3, 5
GENERATOR = np.random.default_rng(0)
INPUT_MATRIX = GENERATOR.normal(size=(4 * UNITS, INPUTS))
RECURRENT_MATRIX = GENERATOR.normal(size=(4 * UNITS, UNITS))
BIASES = GENERATOR.normal(size=(2, 4 * UNITS))
CLIPS = GENERATOR.normal(size=(2, 7, INPUTS)).astype(np.float32)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def outputs_by_hand(bias, order):
    """Outputs of all steps; `order` names the gates i, f, o and g (the cell's) by rows."""
    hidden = cell = np.zeros((len(CLIPS), UNITS))
    outputs = []
    for step in range(CLIPS.shape[1]):
        rows = CLIPS[:, step] @ INPUT_MATRIX.T + hidden @ RECURRENT_MATRIX.T + bias
        gates = dict(zip(order, np.split(rows, 4, axis=1), strict=True))
        cell = sigmoid(gates["f"]) * cell + sigmoid(gates["i"]) * np.tanh(gates["g"])
        hidden = sigmoid(gates["o"]) * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (caffe_lstm(INPUT_MATRIX, BIASES[0], RECURRENT_MATRIX), outputs_by_hand(BIASES[0], "ifog")),
        (
            torch_lstm(INPUT_MATRIX, RECURRENT_MATRIX, *BIASES),
            outputs_by_hand(BIASES.sum(axis=0), "ifgo"),
        ),
    ],
    ids=["caffe", "torch"],
)
def test_converted_lstm_gives_the_same_outputs(weights, expected):
    layer = keras.layers.LSTM(UNITS, return_sequences=True)
    layer.build(CLIPS.shape)
    for variable in layer.weights:
        variable.assign(weights[variable.path.rsplit("/", 1)[-1]])
    assert len(layer.weights) == len(weights)
    # float32 against float64, over seven steps
    np.testing.assert_allclose(np.array(layer(CLIPS)), expected, rtol=1e-4, atol=1e-6)
