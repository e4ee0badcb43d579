"""The I3D network as a functional Keras model."""

import keras

from i3d_tf.layers.head import HeadPool, Logits
from i3d_tf.layers.inception import layer_for
from i3d_tf.specs.inception_v1 import (
    HEAD,
    HEAD_DROPOUT,
    HEAD_POOL,
    I3D,
    MIN_FRAMES,
    MIN_SIZE,
    PREDICTIONS,
    widen,
)

POOLINGS = (None, "avg", "max")


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
    clip = _clip_tensor(input_tensor, input_shape)
    _check_arguments(pooling, classes, dropout_rate, width_multiplier)
    outputs = clip
    for row in I3D:
        outputs = layer_for(widen(row, width_multiplier))(outputs)
    if include_top:
        outputs = HeadPool(name=HEAD_POOL)(outputs)  # (N, T' - 1, 1, 1, 1024)
        outputs = keras.layers.Dropout(dropout_rate, name=HEAD_DROPOUT)(outputs)
        outputs = Logits(classes, name=HEAD)(outputs)  # (N, classes)
        if classifier_activation is not None:
            outputs = keras.layers.Activation(
                classifier_activation, dtype="float32", name=PREDICTIONS
            )(outputs)
    elif pooling == "avg":
        outputs = keras.layers.GlobalAveragePooling3D("channels_last", name="avg_pool")(outputs)
    elif pooling == "max":
        outputs = keras.layers.GlobalMaxPooling3D("channels_last", name="max_pool")(outputs)
    sources = keras.utils.get_source_inputs(clip)
    return keras.Model(sources[0] if len(sources) == 1 else sources, outputs, name=name)


def _clip_tensor(input_tensor, input_shape):
    """The input of the network, checked."""
    if input_tensor is None:
        shape = (None, None, None, 3) if input_shape is None else tuple(input_shape)
        _check_clip_shape(shape, "input_shape")
        return keras.Input(shape, name="clip")
    if not keras.backend.is_keras_tensor(input_tensor):
        raise ValueError(
            "`input_tensor` must be a symbolic Keras tensor, such as keras.Input(...) gives; "
            f"received {type(input_tensor).__name__}."
        )
    _check_clip_shape(tuple(input_tensor.shape[1:]), "input_tensor")
    if input_shape is not None and tuple(input_shape) != tuple(input_tensor.shape[1:]):
        raise ValueError(
            "`input_shape` must equal the shape of `input_tensor` where both are given; received "
            f"{tuple(input_shape)} and {tuple(input_tensor.shape[1:])}."
        )
    return input_tensor


def _check_clip_shape(shape, argument):
    """Raises ValueError unless (T, H, W, C) can pass through the network."""
    if len(shape) != 4:
        raise ValueError(f"`{argument}` must be (T, H, W, C); received {shape}.")
    minima = (MIN_FRAMES, MIN_SIZE, MIN_SIZE, 1)
    for axis, length, least in zip("THWC", shape, minima, strict=True):
        if length is None and axis == "C":
            raise ValueError(
                f"`{argument}` must name its channels: 3 for RGB, 2 for flow; received {shape}."
            )
        if length is not None and not (isinstance(length, int) and length >= least):
            raise ValueError(
                f"`{argument}` must have {axis} >= {least}{'' if axis == 'C' else ' or None'}; "
                f"received {shape}."
            )


def _check_arguments(pooling, classes, dropout_rate, width_multiplier):
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}; received {pooling!r}.")
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 1:
        raise ValueError(f"`classes` must be a whole number of at least 1; received {classes!r}.")
    if not 0.0 <= dropout_rate < 1.0:
        raise ValueError(f"`dropout_rate` must be in [0, 1); received {dropout_rate!r}.")
    if not width_multiplier > 0.0:
        raise ValueError(f"`width_multiplier` must be positive; received {width_multiplier!r}.")
