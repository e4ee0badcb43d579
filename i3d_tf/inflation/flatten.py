"""A functional 2D model as a flat list of calls.

Models within the model, and this package's own layers that are made of other layers, are replaced
by their parts, so that only plain layers and `keras.ops` are left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras

from i3d_tf.layers.head import Logits
from i3d_tf.layers.inception import Branch, InceptionBlock
from i3d_tf.layers.unit import Unit2D
from i3d_tf.models.keras_graph import is_functional, nodes_of

_OUTPUT = "output"  # the last layer of an expanded one, which gets the name of the latter
_TRAINING_LAYERS = (
    keras.layers.AlphaDropout,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout2D,
)


@dataclass(frozen=True)
class Slot:
    """The place of a tensor's value while a graph is computed."""

    number: int


@dataclass(frozen=True)
class Call:
    """One call of a layer, or of another operation.

    Attributes:
        operation: The layer or operation of the 2D model.
        name: Its own name if that is unique, else preceded by those of the models around it.
        args: Positional arguments, with slots (or values) in place of tensors.
        kwargs: Keyword arguments, likewise.
        inputs: The slots (or values) among the arguments.
        outputs: The slots of its outputs.
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


def run(graph: Graph, inputs: Sequence[Any], visit: Callable[[Call], Sequence[Any]]) -> list[Any]:
    """Computes a graph's outputs by a rule of one's own.

    Args:
        graph: From `flatten`.
        inputs: A value for each input.
        visit: Function: `Call`, with values in place of slots -> a value for each of its outputs.

    Returns:
        A value for each output.
    """
    values = dict(zip(graph.inputs, inputs, strict=True))

    def value_of(argument):
        return values[argument] if isinstance(argument, Slot) else argument

    for call in graph.calls:
        args, kwargs = keras.tree.map_structure(value_of, (call.args, call.kwargs))
        arguments = tuple(values[slot] for slot in call.inputs)
        outputs = visit(Call(call.operation, call.name, args, kwargs, arguments, call.outputs))
        values |= zip(call.outputs, outputs, strict=True)
    return [values[slot] for slot in graph.outputs]


def flatten(model_2d: keras.Model) -> Graph:
    """Returns the graph of a functional or sequential model over images.

    Raises:
        ValueError: It has no graph, or its inputs are no images.
    """
    _check_functional(model_2d)
    return _Flattener().graph_of(model_2d)


def _check_functional(model_2d):
    if not is_functional(model_2d):
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
    """A model that a call is in, or a layer that was expanded into one."""

    name: str
    is_expanded: bool


class _Flattener:
    """State of the pass over a model and those within it."""

    def __init__(self):
        self.calls = []
        self.slots = 0
        self.names = {}  # by identity of the operation: a shared layer keeps its name
        self.inner_models = {}  # likewise; they keep the expanded layers alive

    def graph_of(self, model: keras.Model) -> Graph:
        """Returns a model's graph."""
        inputs = self._new_slots(len(model.inputs))
        outputs = self._walk(model, inputs, scope=(), training=None)
        return Graph(inputs, tuple(self.calls), tuple(outputs))

    def _walk(self, model, inputs, scope, training):
        """Lists the calls of a model with the slots of its inputs; returns its outputs' slots."""
        slots = {id(tensor): slot for tensor, slot in zip(model.inputs, inputs, strict=True)}
        for node in nodes_of(model):
            if node.is_input or any(id(tensor) not in slots for tensor in node.inputs):
                continue
            inner = self._inner_model(node)
            if inner is None:
                outputs = self._list(node, slots, scope, training)
            else:
                place = _Place(node.operation.name, is_expanded=inner is not node.operation)
                outputs = self._walk(
                    inner,
                    [slots[id(tensor)] for tensor in node.inputs],
                    (*scope, place),
                    _training_of(node, training),
                )
            slots |= zip(map(id, node.outputs), outputs, strict=True)
        return [slots[id(tensor)] for tensor in model.outputs]

    def _list(self, node, slots, scope, training):
        """Adds a plain layer's call to the list; returns its outputs' slots."""

        def slot_of(argument):
            return slots[id(argument)] if isinstance(argument, keras.KerasTensor) else argument

        operation = node.operation
        args, kwargs = node.arguments(slot_of)
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        if training is not None and isinstance(operation, _TRAINING_LAYERS):
            kwargs["training"] = training
        inputs = tuple(slots[id(tensor)] for tensor in node.inputs)
        outputs = self._new_slots(len(node.outputs))
        name = self._name(operation, scope)
        self.calls.append(Call(operation, name, args, kwargs, inputs, outputs))
        return outputs

    def _new_slots(self, count):
        self.slots += count
        return tuple(Slot(number) for number in range(self.slots - count, self.slots))

    def _name(self, operation, scope):
        """Returns a name that no other operation of the whole graph has."""
        if id(operation) not in self.names:
            names = _possible_names(operation, scope)
            names += [f"{names[-1]}_{number}" for number in range(1, len(self.names) + 1)]
            taken = set(self.names.values())
            self.names[id(operation)] = next(name for name in names if name not in taken)
        return self.names[id(operation)]

    def _inner_model(self, node):
        """Returns the model that an operation is, or expands into; None for a plain layer."""
        operation = node.operation
        if isinstance(operation, keras.Model):
            if not is_functional(operation):
                raise ValueError(
                    f"The model {operation.name!r} within `model_2d` is subclassed and has no "
                    "graph; write it with keras.Input(...)."
                )
            return operation
        expand = _EXPANSIONS.get(type(operation))
        if expand is None or getattr(operation, "rank", 2) != 2:
            return None
        if id(operation) not in self.inner_models:
            inputs = keras.Input(batch_shape=node.inputs[0].shape)
            model = keras.Model(inputs, expand(operation, inputs))
            self.inner_models[id(operation)] = model
        return self.inner_models[id(operation)]


def _possible_names(operation, scope):
    """Returns an operation's own name, then those with the names of the models around it.

    The names of expanded layers are part of all of them.
    """
    path = [place.name for place in scope]
    expanded = [index for index, place in enumerate(scope) if place.is_expanded]
    if operation.name != _OUTPUT or not expanded:
        path.append(operation.name)
    shortest = expanded[0] if expanded else len(path) - 1
    return ["_".join(path[start:]) for start in range(shortest, -1, -1)]


def _training_of(node, training):
    """Returns the `training` that an inner model is called with; it may have no other argument."""
    kwargs = {name: value for name, value in node.kwargs.items() if value is not None}
    if others := sorted(kwargs.keys() - {"training", "inputs"}):
        raise ValueError(
            f"The model {node.operation.name!r} within `model_2d` is called with {others}; only "
            "`inputs` and `training` have a 3D form."
        )
    # As in Keras, the argument of an outer model goes before that of an inner one.
    return kwargs.get("training") if training is None else training


def _expand_unit(unit, inputs):
    outputs = unit.convolution()(inputs)
    if unit.batch_norm is not None:
        outputs = unit.batch_norm(outputs)
    return keras.layers.Activation(unit.activation, dtype=unit.dtype_policy, name=_OUTPUT)(outputs)


def _expand_branch(branch, inputs):
    for unit in branch.units:
        inputs = unit(inputs)
    return inputs


def _expand_block(block, inputs):
    outputs = [branch(inputs) for branch in block.branches]
    return keras.layers.Concatenate(dtype=block.dtype_policy, name=_OUTPUT)(outputs)


def _expand_logits(logits, inputs):
    pool = keras.layers.GlobalAveragePooling2D(dtype=logits.variable_dtype, name=_OUTPUT)
    return pool(logits.conv(inputs))


_EXPANSIONS = {
    Branch: _expand_branch,
    InceptionBlock: _expand_block,
    Logits: _expand_logits,
    Unit2D: _expand_unit,
}
