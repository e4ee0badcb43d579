"""A trained network made ready to answer: the same answers, from less work."""

from collections import Counter

import keras
import numpy as np

from i3d_tf.layers.head import HeadPool, Logits
from i3d_tf.layers.inception import FusedInceptionBlock, InceptionBlock
from i3d_tf.layers.stream import Stream
from i3d_tf.layers.unit import DenseUnit, Unit
from i3d_tf.models.keras_graph import nodes_of, packed_like

_LAST_AXIS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense)
_LAST_TWO_AXES = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
# Transposed convolutions are subclasses of plain ones, and have their filters elsewhere.
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def can_fold(layer, batch_norm, rank):
    """Whether a layer's filters are the channels that the batch norm behind it normalises.

    Args:
        layer: The layer, or another operation.
        batch_norm: The batch norm.
        rank: Axes of the tensor between them.
    """
    if not isinstance(layer, _LAST_AXIS + _LAST_TWO_AXES) or isinstance(layer, _TRANSPOSED):
        return False
    is_linear = layer.activation is keras.activations.linear
    channels_last = getattr(layer, "data_format", None) in (None, "channels_last")
    return is_linear and channels_last and batch_norm.axis in (-1, rank - 1)


def folded_layer(layer, batch_norm, dtype):
    """A layer that does what a layer and the batch norm behind it do; named like the latter.

    Args:
        layer: One that `can_fold`.
        batch_norm: The layer behind it.
        dtype: What it computes in.

    Returns:
        (layer, not built; list of its weights).
    """
    config = {**layer.get_config(), "use_bias": True, "dtype": dtype, "name": batch_norm.name}
    bias = layer.bias if layer.use_bias else None
    weights = fold(layer.kernel, bias, batch_norm, isinstance(layer, _LAST_TWO_AXES))
    return type(layer).from_config(config), weights


def fold(kernel, bias, batch_norm, depthwise=False):
    """Folds batch norm into the weights before it.

    Args:
        kernel: (..., filters), or (..., C, multiplier) of a depthwise convolution.
        bias: (filters,), or None.
        batch_norm: A built layer over the filters.
        depthwise: Whether the kernel's last two axes are the filters.

    Returns:
        [kernel, bias], float64.
    """
    kernel, mean, variance = map(
        _values, (kernel, batch_norm.moving_mean, batch_norm.moving_variance)
    )
    scale = 1 / np.sqrt(variance + batch_norm.epsilon)
    if batch_norm.scale:
        scale = scale * _values(batch_norm.gamma)
    shift = -mean if bias is None else _values(bias) - mean
    beta = _values(batch_norm.beta) if batch_norm.center else 0.0
    return [kernel * scale.reshape(kernel.shape[-2:] if depthwise else -1), beta + shift * scale]


def _values(variable):
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


def _fold_unit(unit):
    """[kernel, bias] of a unit, 2D or 3D."""
    convolution = unit.convolution()
    bias = convolution.bias if unit.use_bias else None
    if unit.batch_norm is not None:
        return fold(convolution.kernel, bias, unit.batch_norm)
    kernel = _values(convolution.kernel)
    return [kernel, np.zeros(kernel.shape[-1]) if bias is None else _values(bias)]


def _fuse_unit(unit, dtype):
    config = {**unit.get_config(), "use_batch_norm": False, "use_bias": True, "dtype": dtype}
    return type(unit).from_config(config), _fold_unit(unit)


def _fuse_dense_unit(unit, dtype):
    layer = keras.layers.Dense(unit.units, activation="relu", dtype=dtype, name=unit.name)
    return layer, fold(unit.dense.kernel, None, unit.batch_norm)


def _fuse_block(block, dtype):
    (first,), (second, cube_1), (third, cube_2), (_, projection) = (
        branch.units for branch in block.branches
    )
    entries = zip(*map(_fold_unit, (first, second, third)), strict=True)
    weights = [np.concatenate(parts, axis=-1) for parts in entries]
    for unit in (cube_1, cube_2, projection):
        weights += _fold_unit(unit)
    return FusedInceptionBlock.from_config({**block.get_config(), "dtype": dtype}), weights


# Class of a layer -> function (layer, dtype) -> (new layer, not built; list of its weights).
RULES = {DenseUnit: _fuse_dense_unit, InceptionBlock: _fuse_block, Unit: _fuse_unit}


def fused_layer(layer, dtype):
    """A layer of this project without batch norm inside, as (layer, list of weights).

    None where the layer has no such form: it is to be copied.
    """
    for kind, rule in RULES.items():
        if isinstance(layer, kind):
            return rule(layer, dtype)
    return None


PRECISIONS = ("float32", "bfloat16")

# Cheap layers that add many numbers up, or see pixel values: they always compute in float32.
_ALWAYS_FLOAT32 = (
    HeadPool,
    Logits,
    keras.layers.BatchNormalization,
    keras.layers.Bidirectional,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.RNN,
)
_ANSWERING = (keras.layers.Dense, Logits)
_DROPOUTS = (
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)
_FLOATS = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16")


def fuse_for_inference(model, precision="float32"):
    """Makes a network that answers like a trained one, faster; it cannot be trained.

    Batch norm is folded into the convolution or fully connected layer before it, the 1x1x1
    convolutions that three of an Inception block's branches begin with become one, and dropout is
    left out. Inputs, outputs and endpoints stay: `get_layer("Mixed_4f").output` is the same. Of a
    plain Keras network, a convolution and the batch norm behind it become one layer with the name
    of the batch norm, whose answers it gives. What has no faster form is copied as it is; fusing a
    fused network gives an equal one.

    Args:
        model: A functional or sequential Keras model: a network of this package, one loaded from a
            `.keras` file, an inflated one, or another. It stays as it is.
        precision: "float32"; or "bfloat16", in which weights are then stored and layers computed,
            but for the last layers, recurrent ones, and means over all positions. Outputs are
            float32 with both.

    Returns:
        A functional `keras.Model` of the same name, with weights of its own.

    Raises:
        ValueError: The precision is unknown, or the model, or a layer of it, cannot be copied.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be one of {PRECISIONS}; received {precision!r}.")
    _check_functional(model)
    inputs, outputs = _BatchNormFolder(precision, _last_layers(model)).rebuild(model)
    fused = keras.Model(
        packed_like(model, "input", inputs),
        packed_like(model, "output", [_as_float32(tensor) for tensor in outputs]),
        name=model.name,
    )
    fused.trainable = False  # a batch norm that stays keeps its statistics
    return fused


class _BatchNormFolder:
    """What is remembered while a model, and those within it, are built anew."""

    def __init__(self, precision, last_layers):
        self.precision = precision
        self.last_layers = last_layers
        # By identity of the old layer, and of the batch norm that is folded into it: a layer that
        # is called more than once stays one.
        self.layers = {}

    def rebuild(self, model):
        """The symbolic inputs and outputs of a model's new form."""
        _check_functional(model)
        nodes = nodes_of(model)
        norms = _norms_to_fold(model, nodes)
        gone = {id(norm) for norm in norms.values()}
        known = {}
        for node in nodes:
            if node.is_input:
                answer = _copy(node.operation).output
            elif id(node.operation) in gone or _is_idle(node):
                answer = known[id(node.input_tensors[0])]
            else:
                answer = self._call(node, norms.get(id(node.operation)), known)
            answers = keras.tree.flatten(answer)
            known |= zip(map(id, node.outputs), answers, strict=True)
        return [known[id(t)] for t in model.inputs], [known[id(t)] for t in model.outputs]

    def _call(self, node, norm, known):
        """What the new form of a node's operation answers."""
        args, kwargs = node.arguments.convert(lambda argument: known.get(id(argument), argument))
        operation = node.operation
        key = id(operation), id(norm)
        if key in self.layers:
            return self.layers[key](*args, **kwargs)
        layer, weights = self._new_form(operation, norm)
        self.layers[key] = layer
        answer = layer(*args, **kwargs)
        if weights is not None:
            _assign(layer, weights)
        return answer

    def _new_form(self, operation, norm):
        """(layer, list of weights), or (layer, None) where it has none or has them already."""
        if isinstance(operation, keras.Model):
            # Within its name, so that variables of two networks have no path in common.
            with keras.name_scope(operation.name):
                inputs, outputs = self.rebuild(operation)
            structures = (
                packed_like(operation, side, tensors)
                for side, tensors in (("input", inputs), ("output", outputs))
            )
            return Stream(*structures, name=operation.name), None
        if not isinstance(operation, keras.Layer):
            return _copy(operation), None
        dtype = self._dtype_of(operation)
        if norm is not None:
            return folded_layer(operation, norm, dtype)
        return fused_layer(operation, dtype) or (_copy(operation, dtype), operation.weights)

    def _dtype_of(self, layer):
        """The name of what a layer's new form computes in; None for what it computes in now."""
        if layer.dtype_policy.name not in _FLOATS:
            return None
        stays = id(layer) in self.last_layers or isinstance(layer, _ALWAYS_FLOAT32)
        return "float32" if stays else self.precision


def _check_functional(model):
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        named = f"the model {model.name!r}" if isinstance(model, keras.Model) else repr(model)
        raise ValueError(
            "`model` must be a functional or sequential Keras model with known inputs, and so must "
            f"those within it; received {named}. A subclassed model has no graph: write it with "
            "keras.Input(...)."
        )


def _norms_to_fold(model, nodes):
    """Identity of a layer -> the batch norm that is folded into it: its answers go nowhere else."""
    makers = {id(tensor): node for node in nodes for tensor in node.outputs}
    readers = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    readers.update(map(id, model.outputs))
    calls = Counter(id(node.operation) for node in nodes)
    norms = {}
    for node in nodes:
        norm = node.operation
        if type(norm) is not keras.layers.BatchNormalization or _trains(node):
            continue
        (tensor,) = node.input_tensors
        layer = makers[id(tensor)].operation
        alone = readers[id(tensor)] == calls[id(layer)] == calls[id(norm)] == 1
        if alone and can_fold(layer, norm, len(tensor.shape)):
            norms[id(layer)] = norm
    return norms


def _last_layers(model):
    """Identities of the layers that make the outputs: the last with weights, and all behind them.

    They compute in float32, unless they are convolutions, whose time counts.
    """
    makers = {id(tensor): node for node in nodes_of(model) for tensor in node.outputs}
    found = set()
    waiting = list(model.outputs)
    while waiting:
        node = makers[id(waiting.pop())]
        operation = node.operation
        if isinstance(operation, keras.Model):
            _check_functional(operation)
            found |= _last_layers(operation)
        elif not getattr(operation, "weights", ()):
            found.add(id(operation))
            waiting += node.input_tensors
        elif isinstance(operation, _ANSWERING):
            found.add(id(operation))
    return found


def _is_idle(node):
    """Whether a call does nothing in inference."""
    return isinstance(node.operation, _DROPOUTS) and not _trains(node)


def _trains(node):
    """Whether a layer is called as in training, whatever the model is doing."""
    return bool(node.arguments.kwargs.get("training"))


def _copy(operation, dtype=None):
    """A layer or other operation with the same arguments, computing in `dtype`, without weights."""
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
    """A layer's config with another dtype, also for the layers within it."""
    if isinstance(config, list | tuple):
        return type(config)(_with_dtype(part, dtype) for part in config)
    if not isinstance(config, dict):
        return config
    return {
        key: dtype if key == "dtype" and _is_float(value) else _with_dtype(value, dtype)
        for key, value in config.items()
    }


def _is_float(policy):
    """Whether a config's `dtype`, a name or a serialised policy, is that of real numbers."""
    name = policy["config"].get("name") if isinstance(policy, dict) else policy
    return name in _FLOATS


def _assign(layer, weights):
    """Writes a layer's weights, in the order of `layer.weights`."""
    ours = [tuple(variable.shape) for variable in layer.weights]
    theirs = [tuple(value.shape) for value in weights]
    if ours != theirs:
        raise ValueError(
            f"The layer {layer.name!r} of class {type(layer).__name__} cannot be copied: its "
            f"weights are of shapes {theirs}, those of a new one of {ours}."
        )
    for variable, value in zip(layer.weights, weights, strict=True):
        variable.assign(keras.ops.cast(value, variable.dtype))
    if hasattr(layer, "finalize_state"):  # Normalization computes with copies
        layer.finalize_state()


def _as_float32(tensor):
    """An output of the model, by a layer of its own where it is of lower precision."""
    if tensor.dtype not in ("float16", "bfloat16"):
        return tensor
    name = f"{tensor._keras_history.operation.name}_float32"
    return keras.layers.Activation("linear", dtype="float32", name=name)(tensor)
