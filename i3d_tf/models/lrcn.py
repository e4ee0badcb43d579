"""LRCN, a convolutional network on every frame and an LSTM over them, as a Keras model."""

from collections.abc import Sequence

import keras
from keras import KerasTensor

from i3d_tf.layers.frames import FoldTime, UnfoldTime
from i3d_tf.layers.grouped_conv import GroupedConv2D
from i3d_tf.layers.pool import CeilMaxPool
from i3d_tf.layers.response_norm import LocalResponseNorm
from i3d_tf.layers.step_pool import StepPool
from i3d_tf.models.clip_input import normalized
from i3d_tf.models.validation import check_input_shape, check_network
from i3d_tf.specs.baselines import (
    LRCN,
    LRCN_CROP_SIZE,
    LRCN_FC6_UNITS,
    LRCN_LSTM_SCALE,
    LRCN_LSTM_UNITS,
    STEP_POOLINGS,
    GroupedConv,
    widen_units,
)
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice, check_fraction

DEFAULT_SHAPE = (None, LRCN_CROP_SIZE, LRCN_CROP_SIZE, CHANNELS["rgb"])


def lrcn(
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    all_steps: bool = False,
    step_pooling: str = "sum",
    fc6_dropout_rate: float | None = None,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    channel_order: str = "rgb",
    name: str = "lrcn",
) -> keras.Model:
    """Builds LRCN for actions, LRCN-fc6 of arXiv:1411.4389, section 4, from its table, untrained.

    Inputs are float in [-1, 1], (N, T, H, W, C); outputs are logits, (N, classes), whose softmax is
    the mean of the predictions of all frames. Every layer is an endpoint: `conv1`, ..., `pool5` and
    `fc6`, (N * T, ...), `unfold_time`, (N, T, 4096), `lstm1`, (N, T, 256), and `Logits`,
    (N, T, classes). H and W are part of the network. With 101 classes it has 65,421,285 parameters.

    Args:
        input_shape: (T, H, W, C), T may be None (any); H and W >= 32; C is 3 for RGB or 2 for flow.
            Default: any number of frames of 227 x 227 pixels.
        classes: Number of logits.
        dropout_rate: Dropout behind the LSTM; the paper has 0.5.
        width_multiplier: Scale of the number of filters and units of every layer.
        all_steps: Whether the model gives the logits of all steps, for training.
        step_pooling: See `i3d_tf.models.convnet_lstm.convnet_lstm`.
        fc6_dropout_rate: Dropout behind `fc6`; the paper has 0.9. None is `dropout_rate`.
        pixel_mean: See `i3d_tf.models.clip_input.normalized`.
        pixel_std: See `pixel_mean`.
        channel_order: See `pixel_mean`.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    shape = check_input_shape(
        DEFAULT_SHAPE if input_shape is None else input_shape,
        channels=tuple(CHANNELS.values()),
        fixed="HW",
    )
    check_network(classes, dropout_rate, width_multiplier)
    check_choice("step_pooling", step_pooling, STEP_POOLINGS)
    if fc6_dropout_rate is None:
        fc6_dropout_rate = dropout_rate
    check_fraction("fc6_dropout_rate", fc6_dropout_rate)
    clip = keras.Input(shape, name="clip")
    frames = FoldTime(name="fold_time")(normalized(clip, pixel_mean, pixel_std, channel_order))
    features = _fc6(_convolutions(frames, width_multiplier), width_multiplier)
    features = keras.layers.Dropout(fc6_dropout_rate, name="fc6_dropout")(features)
    steps = UnfoldTime(name="unfold_time")([features, clip])  # (N, T, 4096)
    weights = keras.initializers.RandomUniform(-LRCN_LSTM_SCALE, LRCN_LSTM_SCALE)
    steps = keras.layers.LSTM(
        widen_units(LRCN_LSTM_UNITS, width_multiplier),
        return_sequences=True,
        unit_forget_bias=False,
        kernel_initializer=weights,
        recurrent_initializer=weights.clone(),
        name="lstm1",
    )(steps)  # (N, T, 256)
    steps = keras.layers.Dropout(dropout_rate, name="lstm1_dropout")(steps)
    # In float32 under every policy, like the logits of all networks.
    logits = keras.layers.Dense(classes, dtype="float32", name=HEAD)(steps)
    outputs = StepPool(step_pooling, all_steps, dtype="float32", name="step_pool")(logits)
    return keras.Model(clip, outputs, name=name)


def _convolutions(frames: KerasTensor, width_multiplier: float) -> KerasTensor:
    """Applies the rows of the table to images."""
    outputs = frames
    for row in LRCN:
        if isinstance(row, GroupedConv):
            filters = row.groups * widen_units(row.filters // row.groups, width_multiplier)
            outputs = GroupedConv2D(
                filters,
                row.kernel,
                strides=row.stride,
                groups=row.groups,
                padding="same" if row.kernel == 3 else "valid",
                activation="relu",
                kernel_initializer="he_normal",
                name=row.name,
            )(outputs)
            continue
        outputs = CeilMaxPool((3, 3), (2, 2), name=row.name)(outputs)
        if row.norm:
            outputs = LocalResponseNorm(name=row.norm)(outputs)
    return outputs


def _fc6(maps: KerasTensor, width_multiplier: float) -> KerasTensor:
    flat = keras.layers.Flatten("channels_last", name="flatten")(maps)
    units = widen_units(LRCN_FC6_UNITS, width_multiplier)
    return keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal", name="fc6")(
        flat
    )
