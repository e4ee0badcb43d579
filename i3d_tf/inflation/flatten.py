"""A functional 2D model as a flat list of calls.

Models within the model, and this project's own layers that are made of other layers, are walked
through like the rest, so that only plain layers and `keras.ops` are left.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import keras

from i3d_tf.layers.head import Logits
from i3d_tf.layers.inception import Branch, InceptionBlock
from i3d_tf.layers.unit import Unit2D
from i3d_tf.models.keras_graph import nodes_of


@dataclass(frozen=True)
class Slot:
    """Where a tensor's value stands while a graph is computed."""

    number: int


@dataclass(frozen=True)
class Call:
    """One call of a layer, or of another operation.

    Attributes:
        operation: The layer or operation of the 2D model.
        name: Its own name where no other has it, else preceded by those of the models around it.
        args: Positional arguments, with slots (or values) in place of tensors.
        kwargs: Keyword arguments, likewise.
        inputs: The slots (or values) among the arguments.
        outputs: The slots of what it returns.
    """

    operation: Any
    name: str
    args: tuple
    kwargs: dict
    inputs: tuple
    outputs: tuple


@dataclass(frozen=True)
class Graph:
    """A model's calls, each after those that it needs, and the slots of its inputs and outputs."""

    inputs: tuple[Slot, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Slot, ...]


def run(graph, values, visit):
    """Computes a graph's outputs by a rule of one's own.

    Args:
        graph: From `flatten`.
        values: One for each input.
        visit: Function: `Call`, with values in place of slots -> list of values, one for each
            output of the call.

    Returns:
        List of values, one for each output.
    """
    known = dict(zip(graph.inputs, values, strict=True))

    def value_of(argument):
        return known[argument] if isinstance(argument, Slot) else argument

    for call in graph.calls:
        args, kwargs = keras.tree.map_structure(value_of, (call.args, call.kwargs))
        inputs = tuple(known[slot] for slot in call.inputs)
        found = visit(Call(call.operation, call.name, args, kwargs, inputs, call.outputs))
        known |= zip(call.outputs, found, strict=True)
    return [known[slot] for slot in graph.outputs]


def flatten(model_2d):
    """The graph of a functional or sequential model over images.

    Raises:
        ValueError: It has no graph, or does not read images.
    """
    _check_functional(model_2d)
    return _Flattener().graph_of(model_2d)


def _check_functional(model_2d):
    if not isinstance(model_2d, keras.Model) or not getattr(model_2d, "inputs", None):
        raise ValueError(
            "`model_2d` must be a functional or sequential Keras model with known inputs; received "
            f"{model_2d!r}. A subclassed model has no graph: write it with keras.Input(...)."
        )
    for tensor in model_2d.inputs:
        if len(tensor.shape) != 4:
            raise ValueError(
                f"`model_2d` must read images, (N, H, W, C); its input {tensor.name!r} has shape "
                f"{tuple(tensor.shape)}."
            )


class _Place(NamedTuple):
    """A model that a call is in, or a layer that was opened into one."""

    name: str
    is_opened: bool


class _Flattener:
    """What is remembered while a model is flattened."""

    def __init__(self):
        self.calls = []
        self.slots = 0
        self.names = {}  # by identity of the operation: a shared layer keeps its name
        self.inner_models = {}  # likewise; they also keep what was opened alive

    def graph_of(self, model):
        inputs = self._new_slots(len(model.inputs))
        outputs = self._walk(model, inputs, scope=(), training=None)
        return Graph(inputs, tuple(self.calls), tuple(outputs))

    def _walk(self, model, inputs, scope, training):
        """Lists the calls of a model that is given `inputs`; returns its outputs' slots."""
        known = {id(tensor): slot for tensor, slot in zip(model.inputs, inputs, strict=True)}
        for node in nodes_of(model):
            if node.is_input or any(id(tensor) not in known for tensor in node.input_tensors):
                continue
            found = tuple(known[id(tensor)] for tensor in node.input_tensors)
            inner = self._inner_model(node)
            if inner is None:
                outputs = self._list(node, known, found, scope, training)
            else:
                told = _training_of(node, training)
                place = _Place(node.operation.name, is_opened=inner is not node.operation)
                outputs = self._walk(inner, found, (*scope, place), told)
            known |= {id(t): slot for t, slot in zip(node.outputs, outputs, strict=True)}
        return [known[id(tensor)] for tensor in model.outputs]

    def _list(self, node, known, found, scope, training):
        """Adds a plain layer's call to the list; returns its outputs' slots."""

        def slot_of(argument):
            return known[id(argument)] if isinstance(argument, keras.KerasTensor) else argument

        operation = node.operation
        args, kwargs = node.arguments.convert(slot_of)
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        if training is not None and isinstance(operation, _TRAINING_LAYERS):
            kwargs["training"] = training
        outputs = self._new_slots(len(node.outputs))
        name = self._name(operation, scope)
        self.calls.append(Call(operation, name, args, kwargs, found, outputs))
        return outputs

    def _new_slots(self, count):
        self.slots += count
        return tuple(Slot(number) for number in range(self.slots - count, self.slots))

    def _name(self, operation, scope):
        """A name that no other operation of the whole graph has."""
        if id(operation) not in self.names:
            names = _possible_names(operation, scope)
            names += [f"{names[-1]}_{number}" for number in range(1, len(self.names) + 1)]
            taken = set(self.names.values())
            self.names[id(operation)] = next(name for name in names if name not in taken)
        return self.names[id(operation)]

    def _inner_model(self, node):
        """The model that a node's operation is, or can be opened into; None for a plain layer."""
        operation = node.operation
        if isinstance(operation, keras.Model):
            if not getattr(operation, "inputs", None):
                raise ValueError(
                    f"The model {operation.name!r} within `model_2d` is subclassed and has no "
                    "graph; write it with keras.Input(...)."
                )
            return operation
        open_layer = _OPENED.get(type(operation))
        if open_layer is None or getattr(operation, "rank", 2) != 2:
            return None
        if id(operation) not in self.inner_models:
            inputs = keras.Input(batch_shape=node.input_tensors[0].shape)
            model = keras.Model(inputs, open_layer(operation, inputs))
            self.inner_models[id(operation)] = model
        return self.inner_models[id(operation)]


def _possible_names(operation, scope):
    """Its own, then with those of the models around it; what was opened is always named."""
    path = [place.name for place in scope]
    opened = [index for index, place in enumerate(scope) if place.is_opened]
    if operation.name != _OUTPUT or not opened:
        path.append(operation.name)
    shortest = opened[0] if opened else len(path) - 1
    return ["_".join(path[start:]) for start in range(shortest, -1, -1)]


def _training_of(node, training):
    """What `training` an inner model is called with; nothing else can be said to one in 3D."""
    kwargs = {name: value for name, value in node.arguments.kwargs.items() if value is not None}
    if others := sorted(kwargs.keys() - {"training", "inputs"}):
        raise ValueError(
            f"The model {node.operation.name!r} within `model_2d` is called with {others}; only "
            "`inputs` and `training` have a 3D form."
        )
    # As Keras has it: what is said to an outer model goes before what is said within it.
    return kwargs.get("training") if training is None else training


def _open_unit(unit, inputs):
    outputs = unit.convolution()(inputs)
    if unit.batch_norm is not None:
        outputs = unit.batch_norm(outputs)
    return keras.layers.Activation(unit.activation, dtype=unit.dtype_policy, name=_OUTPUT)(outputs)


def _open_branch(branch, inputs):
    for unit in branch.units:
        inputs = unit(inputs)
    return inputs


def _open_block(block, inputs):
    outputs = [branch(inputs) for branch in block.branches]
    return keras.layers.Concatenate(dtype=block.dtype_policy, name=_OUTPUT)(outputs)


def _open_logits(logits, inputs):
    pool = keras.layers.GlobalAveragePooling2D(dtype=logits.variable_dtype, name=_OUTPUT)
    return pool(logits.conv(inputs))


_OUTPUT = "output"  # the last layer of an opened one, which is given the opened one's name
_OPENED = {
    Branch: _open_branch,
    InceptionBlock: _open_block,
    Logits: _open_logits,
    Unit2D: _open_unit,
}
_TRAINING_LAYERS = (
    keras.layers.AlphaDropout,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout2D,
)
