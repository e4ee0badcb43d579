"""Inception-v1 over clips or over images: what the two have in common, from their table to a model.

The number of axes of the first kernel says which: 3 for clips, (N, T, H, W, C), 2 for images,
(N, H, W, C).
"""

import keras

from i3d_tf.layers.head import HeadPool, Logits
from i3d_tf.layers.inception import layer_for
from i3d_tf.models.arguments import check_network
from i3d_tf.specs.inception_v1 import (
    HEAD,
    HEAD_DROPOUT,
    HEAD_POOL,
    MIN_FRAMES,
    MIN_SIZE,
    PREDICTIONS,
    name_without_time,
    widen,
)

POOLINGS = (None, "avg", "max")
INPUT_NAMES = {2: "image", 3: "clip"}
_MINIMA = {"T": MIN_FRAMES, "H": MIN_SIZE, "W": MIN_SIZE, "C": 1}
_GLOBAL_POOLS = {
    (2, "avg"): keras.layers.GlobalAveragePooling2D,
    (2, "max"): keras.layers.GlobalMaxPooling2D,
    (3, "avg"): keras.layers.GlobalAveragePooling3D,
    (3, "max"): keras.layers.GlobalMaxPooling3D,
}


def inception(
    rows,
    *,
    include_top,
    input_tensor,
    input_shape,
    pooling,
    classes,
    classifier_activation,
    dropout_rate,
    width_multiplier,
    name,
):
    """Builds the network of some rows, with untrained weights.

    Args:
        rows: `i3d_tf.specs.inception_v1.I3D` or `INCEPTION_V1`.
        include_top: As all that follows, an argument of `i3d_tf.InceptionI3D`.
        input_tensor: A symbolic tensor to build on, or None.
        input_shape: Without the batch, or None.
        pooling: One of `POOLINGS`.
        classes: Number of logits.
        classifier_activation: Name of an activation, or None.
        dropout_rate: In [0, 1).
        width_multiplier: Positive.
        name: The model's.
    """
    rank = len(rows[0].kernel)
    inputs = _input_tensor(input_tensor, input_shape, rank)
    check_network(classes, dropout_rate, width_multiplier)
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}; received {pooling!r}.")
    outputs = trunk(rows, inputs, width_multiplier)
    if include_top:
        outputs = _head(outputs, rank, classes, classifier_activation, dropout_rate)
    elif pooling is not None:
        pool = _GLOBAL_POOLS[rank, pooling]
        outputs = pool("channels_last", name=f"{pooling}_pool")(outputs)
    sources = keras.utils.get_source_inputs(inputs)
    return keras.Model(sources[0] if len(sources) == 1 else sources, outputs, name=name)


def trunk(rows, inputs, width_multiplier=1.0):
    """Applies a table's layers, each named like its row, to a symbolic tensor."""
    for row in rows:
        inputs = layer_for(widen(row, width_multiplier))(inputs)
    return inputs


def _head(outputs, rank, classes, classifier_activation, dropout_rate):
    """From `Mixed_5c` to logits, or to predictions where there is an activation."""
    if rank == 3:
        outputs = HeadPool(name=HEAD_POOL)(outputs)  # (N, T' - 1, 1, 1, 1024)
    else:
        pool = keras.layers.GlobalAveragePooling2D(
            "channels_last", keepdims=True, name=name_without_time(HEAD_POOL)
        )
        outputs = pool(outputs)  # (N, 1, 1, 1024)
    outputs = keras.layers.Dropout(dropout_rate, name=HEAD_DROPOUT)(outputs)
    outputs = Logits(classes, rank, name=HEAD)(outputs)  # (N, classes)
    if classifier_activation is None:
        return outputs
    return keras.layers.Activation(classifier_activation, dtype="float32", name=PREDICTIONS)(
        outputs
    )


def _input_tensor(input_tensor, input_shape, rank):
    """The input of the network, checked."""
    if input_tensor is None:
        shape = (*(None,) * rank, 3) if input_shape is None else tuple(input_shape)
        _check_shape(shape, "input_shape", rank)
        return keras.Input(shape, name=INPUT_NAMES[rank])
    if not keras.backend.is_keras_tensor(input_tensor):
        raise ValueError(
            "`input_tensor` must be a symbolic Keras tensor, such as keras.Input(...) gives; "
            f"received {type(input_tensor).__name__}."
        )
    _check_shape(tuple(input_tensor.shape[1:]), "input_tensor", rank)
    if input_shape is not None and tuple(input_shape) != tuple(input_tensor.shape[1:]):
        raise ValueError(
            "`input_shape` must equal the shape of `input_tensor` where both are given; received "
            f"{tuple(input_shape)} and {tuple(input_tensor.shape[1:])}."
        )
    return input_tensor


def _check_shape(shape, argument, rank):
    """Raises ValueError unless a shape, such as (T, H, W, C), can pass through the network."""
    axes = "THWC"[-1 - rank :]
    if len(shape) != len(axes):
        raise ValueError(f"`{argument}` must be ({', '.join(axes)}); received {shape}.")
    for axis, length in zip(axes, shape, strict=True):
        least = _MINIMA[axis]
        if length is None and axis == "C":
            raise ValueError(
                f"`{argument}` must name its channels: 3 for RGB, 2 for flow; received {shape}."
            )
        if length is not None and not (isinstance(length, int) and length >= least):
            raise ValueError(
                f"`{argument}` must have {axis} >= {least}{'' if axis == 'C' else ' or None'}; "
                f"received {shape}."
            )
