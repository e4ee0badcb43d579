"""I3D over clips and Inception-v1 over images, built from their tables.

The number of axes of a table's first kernel, its rank, tells them apart: 3 for clips,
(N, T, H, W, C), 2 for images, (N, H, W, C).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import KerasTensor

from i3d_tf.layers.head import HeadPool, Logits
from i3d_tf.layers.inception import layer_for
from i3d_tf.models.validation import check_input_shape, check_network
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import (
    HEAD,
    HEAD_DROPOUT,
    HEAD_POOL,
    I3D,
    INCEPTION_V1,
    MIN_FRAMES,
    PREDICTIONS,
    Row,
    name_without_time,
    rank_of,
    widen,
)

POOLINGS = (None, "avg", "max")
INPUT_NAMES = {2: "image", 3: "clip"}
AXES = {2: "HWC", 3: "THWC"}
_GLOBAL_POOLS = {
    (2, "avg"): keras.layers.GlobalAveragePooling2D,
    (2, "max"): keras.layers.GlobalMaxPooling2D,
    (3, "avg"): keras.layers.GlobalAveragePooling3D,
    (3, "max"): keras.layers.GlobalMaxPooling3D,
}


def inception_i3d(
    include_top: bool = True,
    input_tensor: KerasTensor | None = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 400,
    classifier_activation: str | None = None,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    name: str = "inception_i3d",
    *,
    all_steps: bool = False,
) -> keras.Model:
    """Builds I3D (arXiv:1705.07750) from its table, with untrained weights.

    Arguments, result and errors are those of `i3d_tf.InceptionI3D`, which adds `weights`, and
    `all_steps`: whether the logits are those of all steps of the head, (N, steps, classes), instead
    of their mean. Both have the same variables.
    """
    top = _Top(include_top, pooling, classes, classifier_activation, dropout_rate, all_steps)
    return _build(I3D, input_tensor, input_shape, width_multiplier, top, name)


def inception_v1(
    include_top: bool = True,
    input_tensor: KerasTensor | None = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = None,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    name: str = "inception_v1",
) -> keras.Model:
    """Builds Inception-v1 with batch norm (arXiv:1409.4842) from I3D's table, untrained.

    Inputs are float in [-1, 1], shape (N, H, W, C); outputs are logits, (N, classes). Endpoints
    have TF-Slim's names (`Conv2d_1a_7x7`, `MaxPool_2a_3x3`, ..., `Mixed_5c`, `Logits`), variables
    those of I3D with `2d` for `3d`. At 224 x 224 the head is TF-Slim's, an average pool of 7x7; at
    other sizes it averages over the whole image.

    To apply it to every frame of a clip, fold time into the batch, (N, T, H, W, C) ->
    (N * T, H, W, C), or call the model within `keras.layers.TimeDistributed`.

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
        width_multiplier: Scale of the number of filters of every layer.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    top = _Top(include_top, pooling, classes, classifier_activation, dropout_rate)
    return _build(INCEPTION_V1, input_tensor, input_shape, width_multiplier, top, name)


@dataclass(frozen=True)
class _Top:
    """The layers after `Mixed_5c`; for the attributes see `inception_v1`."""

    include_top: bool
    pooling: str | None
    classes: int
    classifier_activation: str | None
    dropout_rate: float
    all_steps: bool = False

    def apply(self, features: KerasTensor, rank: int) -> KerasTensor:
        """Returns logits, predictions if there is an activation, or features without the head."""
        if self.include_top:
            return self._head(features, rank)
        if self.pooling is None:
            return features
        pool = _GLOBAL_POOLS[rank, self.pooling]
        return pool("channels_last", name=f"{self.pooling}_pool")(features)

    def _head(self, features, rank):
        if rank == 3:
            outputs = HeadPool(name=HEAD_POOL)(features)  # (N, T' - 1, 1, 1, 1024)
        else:
            pool = keras.layers.GlobalAveragePooling2D(
                "channels_last", keepdims=True, name=name_without_time(HEAD_POOL)
            )
            outputs = pool(features)  # (N, 1, 1, 1024)
        outputs = keras.layers.Dropout(self.dropout_rate, name=HEAD_DROPOUT)(outputs)
        outputs = Logits(self.classes, rank, self.all_steps, name=HEAD)(outputs)  # (N, classes)
        if self.classifier_activation is None:
            return outputs
        activation = keras.layers.Activation(
            self.classifier_activation, dtype="float32", name=PREDICTIONS
        )
        return activation(outputs)


def _build(
    rows: Sequence[Row],
    input_tensor: KerasTensor | None,
    input_shape: Shape | None,
    width_multiplier: float,
    top: _Top,
    name: str,
) -> keras.Model:
    """Builds the network of some rows, with untrained weights."""
    rank = rank_of(rows)
    inputs = _input_tensor(input_tensor, input_shape, rank)
    check_network(top.classes, top.dropout_rate, width_multiplier)
    if top.pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}; received {top.pooling!r}.")
    features = inputs
    for row in rows:
        features = layer_for(widen(row, width_multiplier))(features)
    sources = keras.utils.get_source_inputs(inputs)
    outputs = top.apply(features, rank)
    return keras.Model(sources[0] if len(sources) == 1 else sources, outputs, name=name)


def _input_tensor(input_tensor, input_shape, rank):
    """Returns the symbolic input of a network, checked."""
    limits = {"axes": AXES[rank], "min_frames": MIN_FRAMES}
    if input_tensor is None:
        shape = (*(None,) * rank, 3) if input_shape is None else input_shape
        return keras.Input(check_input_shape(shape, **limits), name=INPUT_NAMES[rank])
    if not keras.backend.is_keras_tensor(input_tensor):
        raise ValueError(
            "`input_tensor` must be a symbolic Keras tensor, such as keras.Input(...) gives; "
            f"received {type(input_tensor).__name__}."
        )
    shape = check_input_shape(input_tensor.shape[1:], argument="input_tensor", **limits)
    if input_shape is not None and tuple(input_shape) != shape:
        raise ValueError(
            "`input_shape` must equal the shape of `input_tensor` where both are given; received "
            f"{tuple(input_shape)} and {shape}."
        )
    return input_tensor
