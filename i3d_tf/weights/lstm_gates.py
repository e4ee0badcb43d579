"""Weights of LSTMs in other orders of gates than Keras's, which is in, forget, cell, out."""

import numpy as np


def caffe_gates(values: np.ndarray) -> np.ndarray:
    """Returns an array of Caffe's LSTM, whose gates are in, forget, out, cell, in Keras's order.

    Args:
        values: A matrix (4 units, inputs) or a bias (4 units,); the order holds for both matrices.
    """
    enter, forget, leave, cell = np.split(values, 4)
    return np.concatenate([enter, forget, cell, leave])


def caffe_lstm(
    input_matrix: np.ndarray, bias: np.ndarray, recurrent_matrix: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the weights of a `keras.layers.LSTM` of Caffe's recurrent LSTM layer.

    Args:
        input_matrix: Its first blob, W_xc, (4 units, inputs).
        bias: Its second blob, b_c, (4 units,).
        recurrent_matrix: Its third blob, W_hc, (4 units, units).
    """
    return {
        "kernel": caffe_gates(input_matrix).T,
        "recurrent_kernel": caffe_gates(recurrent_matrix).T,
        "bias": caffe_gates(bias),
    }


def torch_lstm(
    input_matrix: np.ndarray,
    recurrent_matrix: np.ndarray,
    input_bias: np.ndarray,
    recurrent_bias: np.ndarray,
) -> dict[str, np.ndarray]:
    """Returns the weights of a `keras.layers.LSTM` of one layer of `torch.nn.LSTM`.

    PyTorch's gates have Keras's order, and two biases, which are added.

    Args:
        input_matrix: `weight_ih_l0`, (4 units, inputs).
        recurrent_matrix: `weight_hh_l0`, (4 units, units).
        input_bias: `bias_ih_l0`, (4 units,).
        recurrent_bias: `bias_hh_l0`, likewise.
    """
    return {
        "kernel": input_matrix.T,
        "recurrent_kernel": recurrent_matrix.T,
        "bias": input_bias + recurrent_bias,
    }
