"""The graph of a functional or sequential Keras model.

Keras has no public way to learn which call made which tensor, except to write a model's config and
read it again, which fails on layers without a config. All private API of Keras that this package
needs for it is in this file: `Model._nodes_by_depth`, `KerasTensor._keras_history`, and the
attributes of the class of a node, which Keras does not export. (`training.model` has one more,
`Layer._flatten_layers`, explained there.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import KerasTensor


@dataclass(frozen=True)
class Node:
    """One call of a layer, or of another operation, in a model's graph.

    Attributes:
        operation: The layer or operation.
        args: Its positional arguments, with symbolic tensors.
        kwargs: Its keyword arguments, likewise.
        inputs: The symbolic tensors among the arguments.
        outputs: The symbolic tensors that it returns.
    """

    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[KerasTensor, ...]
    outputs: tuple[KerasTensor, ...]

    @property
    def is_input(self) -> bool:
        """True for an input of the model."""
        return not self.inputs

    def arguments(self, replace: Callable[[Any], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Returns (args, kwargs) with every leaf, such as a tensor, replaced by a function."""
        return keras.tree.map_structure(replace, (self.args, self.kwargs))


def is_functional(model: Any) -> bool:
    """Returns whether a model is functional, or sequential with known inputs: it has a graph."""
    return isinstance(model, keras.Model) and bool(getattr(model, "inputs", None))


def nodes_of(model: keras.Model) -> list[Node]:
    """Returns the calls of a model's graph, each after those that it needs."""
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs)
    by_depth = model._nodes_by_depth
    return [
        Node(
            node.operation,
            node.arguments.args,
            node.arguments.kwargs,
            tuple(node.input_tensors),
            tuple(node.outputs),
        )
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
    ]


def producer_of(tensor: KerasTensor) -> Any:
    """Returns the layer or operation that made a symbolic tensor."""
    return tensor._keras_history.operation


def pack_like(model: keras.Model, side: str, tensors: Sequence[KerasTensor]) -> Any:
    """Packs tensors into the structure (one, list, dictionary) of a model's inputs or outputs.

    Args:
        model: The model with the structure.
        side: "input" or "output".
        tensors: Tensors in the order of `model.inputs` or `model.outputs`.
    """
    if isinstance(model, keras.Sequential):
        return tensors[0]
    return keras.tree.pack_sequence_as(getattr(model, side), tensors)
