"""Multiply-adds of a network for one clip, counted from its layers."""

from math import prod

import keras

from i3d_tf.layers.attention import NonLocalAttention
from i3d_tf.layers.frames import FoldTime, UnfoldTime
from i3d_tf.layers.head import Logits
from i3d_tf.layers.inception import InceptionBlock
from i3d_tf.layers.unit import Unit
from i3d_tf.models.keras_graph import nodes_of

_MATRICES = (keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense, keras.layers.LSTM)


def count_multiply_adds(model: keras.Model) -> int:
    """Counts the multiply-adds of convolutions, fully connected layers, LSTMs and attention.

    Padding counts as work; batch norm, pools and activations do not count.

    Args:
        model: A functional model whose input has one size.

    Raises:
        ValueError: The input may have any size.
    """
    if None in model.input_shape[1:]:
        raise ValueError(f"`model` must take clips of one size; its input is {model.input_shape}.")
    images: dict[int, int] = {}  # by identity of a tensor: how many examples of it a clip makes
    total = 0
    for node in nodes_of(model):
        count = max((images[id(tensor)] for tensor in node.inputs), default=1)
        total += count * _of_layer(node.operation)
        if isinstance(node.operation, FoldTime):
            count *= node.inputs[0].shape[1]
        elif isinstance(node.operation, UnfoldTime):
            count = images[id(node.inputs[1])]
        images |= dict.fromkeys(map(id, node.outputs), count)
    return total


def _of_layer(layer):
    if isinstance(layer, Unit):
        return _of_convolution(layer, layer.output)
    if isinstance(layer, Logits):
        return _of_convolution(layer.conv, layer.input)
    if isinstance(layer, InceptionBlock):
        units = (unit for branch in layer.branches for unit in branch.units)
        return sum(_of_convolution(u, layer.output) for u in units if isinstance(u, Unit))
    if isinstance(layer, _MATRICES):
        shape = layer.input.shape if isinstance(layer, keras.layers.LSTM) else layer.output.shape
        kernels = (weight for weight in layer.weights if len(weight.shape) > 1)
        return sum(prod(kernel.shape) for kernel in kernels) * prod(shape[1:-1])
    if isinstance(layer, NonLocalAttention):
        queries, keys, _ = (prod(part.shape[1:-1]) for part in layer.input)
        return 2 * queries * keys * layer.output.shape[-1]
    return 0


def _of_convolution(unit, output):
    """Counts a convolution, given a tensor with as many positions as its output."""
    return prod(unit.convolution().kernel.shape) * prod(output.shape[1:-1])
