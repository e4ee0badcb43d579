"""Networks for inference: batch norm folded into convolutions, dropout removed."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import KerasTensor

from i3d_tf.layers.flow_fields import FollowTrajectories, SubtractMeanFlow
from i3d_tf.layers.gate import ChannelGate
from i3d_tf.layers.head import HeadPool, HeadWindow, Logits
from i3d_tf.layers.inception import FusedInceptionBlock, InceptionBlock
from i3d_tf.layers.stream import Stream
from i3d_tf.layers.unit import DenseUnit, Unit
from i3d_tf.models.keras_graph import Node, is_functional, nodes_of, pack_like, producer_of
from i3d_tf.specs.validation import check_choice, weights_problem

PRECISIONS = ("float32", "bfloat16")

_FLOATS = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16")
# Cheap layers that add up many numbers, or get pixel values: they always compute in float32.
_ALWAYS_FLOAT32 = (
    ChannelGate,
    FollowTrajectories,
    HeadPool,
    HeadWindow,
    Logits,
    SubtractMeanFlow,
    keras.layers.BatchNormalization,
    keras.layers.Bidirectional,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.RNN,
)
# As the last layers with weights, these compute in float32.
_CLASSIFIERS = (keras.layers.Dense, Logits)
_DROPOUTS = (
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)
# Layers by the axes of their kernel that hold the filters.
_LAST_AXIS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense)
_LAST_TWO_AXES = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
# Subclasses of plain convolutions, with the filters on another axis.
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def fuse_for_inference(model: keras.Model, precision: str = "float32") -> keras.Model:
    """Returns an inference-only copy with batch norm folded and dropout removed.

    It gives the same outputs in less time, and cannot be trained. Batch norm is folded into the
    convolution or fully connected layer before it, and the 1x1x1 convolutions at the start of three
    branches of an Inception block become one. Inputs, outputs and endpoints stay:
    `get_layer("Mixed_4f").output` is the same. In a plain Keras network, a convolution and the
    batch norm behind it become one layer with the name and the outputs of the batch norm. Layers
    without a faster form are copied; the copy of a copy is equal to it.

    Args:
        model: A functional or sequential Keras model: a network of this package, one loaded from a
            `.keras` file, an inflated one, or another. It stays as it is.
        precision: "float32"; or "bfloat16" for weights and computation, except for the last layers,
            recurrent ones, and means over all positions. Outputs are float32 with both.

    Returns:
        A functional `keras.Model` of the same name, with weights of its own.

    Raises:
        ValueError: The precision is unknown; or the model, or a layer of it, cannot be copied; or
            weights are NaN or infinite, or variances below zero.
    """
    check_choice("precision", precision, PRECISIONS)
    _check_functional(model)
    _check_weights(model)
    inputs, outputs = _BatchNormFolder(precision, _last_layers(model)).rebuild(model)
    folded = keras.Model(
        pack_like(model, "input", inputs),
        pack_like(model, "output", [_as_float32(tensor) for tensor in outputs]),
        name=model.name,
    )
    folded.trainable = False  # a batch norm that stays keeps its statistics
    return folded


class _BatchNormFolder:
    """State of the batch-norm-folding pass over a model and those within it."""

    def __init__(self, precision, last_layers):
        self.precision = precision
        self.last_layers = last_layers
        # New layers by identity of the old one and of the batch norm that is folded into it: a
        # layer that is called more than once stays one.
        self.layers = {}

    def rebuild(self, model: keras.Model) -> tuple[list[KerasTensor], list[KerasTensor]]:
        """Returns the symbolic inputs and outputs of a model's copy."""
        _check_functional(model)
        nodes = nodes_of(model)
        norms = _norms_to_fold(model, nodes)
        folded = {id(norm) for norm in norms.values()}
        tensors: dict[int, KerasTensor] = {}  # by identity of the old tensor
        for node in nodes:
            if node.is_input:
                outputs = _copy(node.operation).output
            elif id(node.operation) in folded or _is_inactive_dropout(node):
                outputs = tensors[id(node.inputs[0])]
            else:
                outputs = self._call(node, norms.get(id(node.operation)), tensors)
            tensors |= zip(map(id, node.outputs), keras.tree.flatten(outputs), strict=True)
        return [tensors[id(t)] for t in model.inputs], [tensors[id(t)] for t in model.outputs]

    def _call(self, node, norm, tensors):
        """Calls the copy of a node's operation, which is made at its first call."""
        args, kwargs = node.arguments(lambda argument: tensors.get(id(argument), argument))
        key = id(node.operation), id(norm)
        if key in self.layers:
            return self.layers[key](*args, **kwargs)
        layer, weights = self._copy_of(node.operation, norm)
        self.layers[key] = layer
        outputs = layer(*args, **kwargs)
        if weights is not None:
            _assign(layer, weights)
        return outputs

    def _copy_of(self, operation, norm):
        """Returns (layer, its weights), or (layer, None) if there are none left to assign."""
        if isinstance(operation, keras.Model):
            # Within its name, so that variables of two networks have no path in common.
            with keras.name_scope(operation.name):
                inputs, outputs = self.rebuild(operation)
            inputs = pack_like(operation, "input", inputs)
            outputs = pack_like(operation, "output", outputs)
            return Stream(inputs, outputs, name=operation.name), None
        if not isinstance(operation, keras.Layer):
            return _copy(operation), None
        dtype = self._dtype_of(operation)
        if norm is not None:
            return _fold_layer(operation, norm, dtype)
        for layer_class, fold in _FOLDS.items():
            if isinstance(operation, layer_class):
                return fold(operation, dtype)
        return _copy(operation, dtype), operation.weights

    def _dtype_of(self, layer):
        """Returns the dtype that a layer's copy computes in; None is the layer's own."""
        if layer.dtype_policy.name not in _FLOATS:
            return None
        stays = id(layer) in self.last_layers or isinstance(layer, _ALWAYS_FLOAT32)
        return "float32" if stays else self.precision


# ---- the graph


def _check_functional(model):
    if not is_functional(model):
        named = f"the model {model.name!r}" if isinstance(model, keras.Model) else repr(model)
        raise ValueError(
            "`model` must be a functional or sequential Keras model with known inputs, and so must "
            f"those within it; received {named}. A subclassed model has no graph: write it with "
            "keras.Input(...)."
        )


def _check_weights(model):
    """Refuses weights with which a graph, unlike the model itself, gives confident predictions."""
    for variable in model.weights:
        array = keras.ops.convert_to_numpy(variable)
        if problem := weights_problem(variable.path, array):
            raise ValueError(f"{model.name!r}: {problem}. Convert or train these weights again.")


def _norms_to_fold(model: keras.Model, nodes: Sequence[Node]) -> dict[int, keras.Layer]:
    """Finds the batch norms behind a layer whose outputs go nowhere else.

    Returns:
        Identity of the layer -> the batch norm to be folded into it.
    """
    makers = {id(tensor): node for node in nodes for tensor in node.outputs}
    readers = Counter(id(tensor) for node in nodes for tensor in node.inputs)
    readers.update(map(id, model.outputs))
    calls = Counter(id(node.operation) for node in nodes)
    norms = {}
    for node in nodes:
        norm = node.operation
        if type(norm) is not keras.layers.BatchNormalization or _is_training(node):
            continue
        (tensor,) = node.inputs
        layer = makers[id(tensor)].operation
        alone = readers[id(tensor)] == calls[id(layer)] == calls[id(norm)] == 1
        if alone and _can_fold(layer, norm, len(tensor.shape)):
            norms[id(layer)] = norm
    return norms


def _can_fold(layer, norm, rank):
    """Returns whether a layer's filters are the channels that the batch norm behind it normalizes.

    Args:
        layer: The layer, or another operation.
        norm: The batch norm.
        rank: Axes of the tensor between them.
    """
    if not isinstance(layer, _LAST_AXIS + _LAST_TWO_AXES) or isinstance(layer, _TRANSPOSED):
        return False
    is_linear = layer.activation is keras.activations.linear
    channels_last = getattr(layer, "data_format", None) in (None, "channels_last")
    return is_linear and channels_last and norm.axis in (-1, rank - 1)


def _last_layers(model):
    """Returns the identities of the last layers with weights, and of all layers behind them.

    They compute in float32, unless they are convolutions, whose time counts.
    """
    makers = {id(tensor): node for node in nodes_of(model) for tensor in node.outputs}
    last = set()
    waiting = list(model.outputs)
    while waiting:
        node = makers[id(waiting.pop())]
        operation = node.operation
        if isinstance(operation, keras.Model):
            _check_functional(operation)
            last |= _last_layers(operation)
        elif not getattr(operation, "weights", ()):
            last.add(id(operation))
            waiting += node.inputs
        elif isinstance(operation, _CLASSIFIERS):
            last.add(id(operation))
    return last


def _is_inactive_dropout(node):
    return isinstance(node.operation, _DROPOUTS) and not _is_training(node)


def _is_training(node):
    """Returns whether a layer is called with `training=True`, even in inference."""
    return bool(node.kwargs.get("training"))


def _as_float32(tensor):
    """Casts an output of lower precision, by a layer."""
    if tensor.dtype not in ("float16", "bfloat16"):
        return tensor
    name = f"{producer_of(tensor).name}_float32"
    return keras.layers.Activation("linear", dtype="float32", name=name)(tensor)


# ---- layers: functions (layer, dtype) -> (new layer, not built; its weights)


def _fold_layer(layer, norm, dtype):
    """Folds the batch norm behind a layer; the new layer has the batch norm's name."""
    config = {**layer.get_config(), "use_bias": True, "dtype": dtype, "name": norm.name}
    bias = layer.bias if layer.use_bias else None
    weights = _fold(layer.kernel, bias, norm, isinstance(layer, _LAST_TWO_AXES))
    return type(layer).from_config(config), weights


def _fold_unit(unit, dtype):
    config = {**unit.get_config(), "use_batch_norm": False, "use_bias": True, "dtype": dtype}
    return type(unit).from_config(config), _unit_weights(unit)


def _fold_dense_unit(unit, dtype):
    layer = keras.layers.Dense(unit.units, activation="relu", dtype=dtype, name=unit.name)
    return layer, _fold(unit.dense.kernel, None, unit.batch_norm)


def _fold_block(block, dtype):
    (first,), (second, cube_1), (third, cube_2), (_, projection) = (
        branch.units for branch in block.branches
    )
    entries = zip(*map(_unit_weights, (first, second, third)), strict=True)
    weights = [np.concatenate(parts, axis=-1) for parts in entries]
    for unit in (cube_1, cube_2, projection):
        weights += _unit_weights(unit)
    return FusedInceptionBlock.from_config({**block.get_config(), "dtype": dtype}), weights


_FOLDS = {DenseUnit: _fold_dense_unit, InceptionBlock: _fold_block, Unit: _fold_unit}


def _copy(operation, dtype=None):
    """Copies a layer or other operation without its weights; None is its own dtype."""
    try:
        config = operation.get_config()
        return type(operation).from_config(_with_dtype(config, dtype) if dtype else config)
    except (NotImplementedError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"The layer {operation.name!r} of class {type(operation).__name__} cannot be copied "
            f"({reason}); give it a get_config() with all arguments of its constructor."
        ) from error


def _with_dtype(config, dtype):
    """Returns a layer's config with another dtype, for the layers within it too."""
    if isinstance(config, list | tuple):
        return type(config)(_with_dtype(part, dtype) for part in config)
    if not isinstance(config, dict):
        return config
    return {
        key: dtype if key == "dtype" and _is_float(value) else _with_dtype(value, dtype)
        for key, value in config.items()
    }


def _is_float(policy: Any) -> bool:
    """Returns whether a config's `dtype`, a name or a serialized policy, is of real numbers."""
    name = policy["config"].get("name") if isinstance(policy, dict) else policy
    return name in _FLOATS


# ---- weights


def _fold(kernel, bias, norm, depthwise=False):
    """Folds batch norm into the weights before it.

    Args:
        kernel: (..., filters), or (..., C, multiplier) of a depthwise convolution.
        bias: (filters,), or None.
        norm: A built batch norm over the filters.
        depthwise: Whether the kernel's last two axes are the filters.

    Returns:
        [kernel, bias], float64.
    """
    kernel, mean, variance = map(_values, (kernel, norm.moving_mean, norm.moving_variance))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * _values(norm.gamma)
    shift = -mean if bias is None else _values(bias) - mean
    beta = _values(norm.beta) if norm.center else 0.0
    return [kernel * scale.reshape(kernel.shape[-2:] if depthwise else -1), beta + shift * scale]


def _unit_weights(unit):
    """Returns [kernel, bias] of a unit, 2D or 3D, with its batch norm folded."""
    convolution = unit.convolution()
    bias = convolution.bias if unit.use_bias else None
    if unit.batch_norm is not None:
        return _fold(convolution.kernel, bias, unit.batch_norm)
    kernel = _values(convolution.kernel)
    return [kernel, np.zeros(kernel.shape[-1]) if bias is None else _values(bias)]


def _values(variable):
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


def _assign(layer, weights):
    """Writes a layer's weights, in the order of `layer.weights`."""
    expected = [tuple(variable.shape) for variable in layer.weights]
    received = [tuple(value.shape) for value in weights]
    if expected != received:
        raise ValueError(
            f"The layer {layer.name!r} of class {type(layer).__name__} cannot be copied: its "
            f"weights are of shapes {received}, those of a new one of {expected}."
        )
    for variable, value in zip(layer.weights, weights, strict=True):
        # A copy: with JAX, `predict` deletes the arrays that it was given, for all who hold them.
        copied = np.array(keras.ops.convert_to_numpy(value))
        variable.assign(keras.ops.cast(copied, variable.dtype))
    if hasattr(layer, "finalize_state"):  # Normalization computes with copies
        layer.finalize_state()
