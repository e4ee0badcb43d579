"""Batch norm folded into the layer before it: a layer, and its weights, without any.

In inference batch norm multiplies every channel by gamma / sqrt(variance + epsilon) and shifts it;
a linear layer can do both by itself. The new weights are computed in float64.
"""

import keras
import numpy as np

from i3d_tf.layers.dense_unit import DenseUnit
from i3d_tf.layers.fused_inception import FusedInceptionBlock
from i3d_tf.layers.inception import InceptionBlock
from i3d_tf.layers.unit import Unit

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
