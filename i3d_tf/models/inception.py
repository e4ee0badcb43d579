"""Inception-v1 over clips or over images: what the two have in common, from their table to a model.

The number of axes of the first kernel says which: 3 for clips, (N, T, H, W, C), 2 for images,
(N, H, W, C).
"""

import keras

from i3d_tf.layers.head import HeadPool, Logits
from i3d_tf.layers.inception import layer_for
from i3d_tf.models.validation import check_network
from i3d_tf.specs.inception_v1 import (
    HEAD,
    HEAD_DROPOUT,
    HEAD_POOL,
    I3D,
    INCEPTION_V1,
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


def inception_i3d(
    include_top=True,
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=400,
    classifier_activation=None,
    dropout_rate=0.0,
    width_multiplier=1.0,
    name="inception_i3d",
):
    """Builds I3D (arXiv:1705.07750) from its table, with untrained weights.

    Arguments, result and errors are those of `i3d_tf.InceptionI3D`, which adds `weights`.
    """
    return inception(
        I3D,
        include_top=include_top,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        dropout_rate=dropout_rate,
        width_multiplier=width_multiplier,
        name=name,
    )


def inception_v1(
    include_top=True,
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=1000,
    classifier_activation=None,
    dropout_rate=0.0,
    width_multiplier=1.0,
    name="inception_v1",
):
    """Builds Inception-v1 with batch norm (arXiv:1409.4842) from I3D's table, untrained.

    Inputs are float in [-1, 1], shape (N, H, W, C); outputs are logits, (N, classes). Endpoints
    have the names that TF-Slim gives them (`Conv2d_1a_7x7`, `MaxPool_2a_3x3`, ..., `Mixed_5c`,
    `Logits`); variables those of I3D with `2d` for `3d`. At 224 x 224 the head is TF-Slim's, an
    average pool of 7x7; at other sizes it averages over the whole image.

    To look at every frame of a clip, fold time into the batch, (N, T, H, W, C) -> (N * T, H, W, C),
    or call the model within `keras.layers.TimeDistributed`.

    Args:
        include_top: Whether the head follows `Mixed_5c`.
        input_tensor: A symbolic Keras tensor to build on, (N, H, W, C).
        input_shape: (H, W, C); H and W >= 32 or None (any). C is 3 for RGB and 2L for a stack of L
            flow fields. Default: any size, 3 channels.
        pooling: Without the head: None for `Mixed_5c` as it is, (N, H', W', 1024), or "avg" or
            "max" over space, (N, 1024).
        classes: Number of logits; TF-Slim's checkpoint has 1001, the first for "background".
        classifier_activation: Activation of the logits, or None.
        dropout_rate: Dropout between the average pool and the last convolution.
        width_multiplier: Scales the number of filters everywhere.
        name: The model's name.

    Raises:
        ValueError: An argument cannot work; the message names what is allowed.
    """
    return inception(
        INCEPTION_V1,
        include_top=include_top,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        dropout_rate=dropout_rate,
        width_multiplier=width_multiplier,
        name=name,
    )
