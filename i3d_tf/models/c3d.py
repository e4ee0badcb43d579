"""C3D as functional Keras models: with batch norm, as the paper compares it, and the original."""

from collections.abc import Sequence

import keras

from i3d_tf.layers.convolution import Conv3D
from i3d_tf.layers.dense_layers import apply_dense_layers
from i3d_tf.layers.inception import layer_for
from i3d_tf.layers.pool import PaddedMaxPool3D
from i3d_tf.layers.unit import DenseUnit
from i3d_tf.models.clip_input import normalized
from i3d_tf.models.validation import check_input_shape, check_network
from i3d_tf.specs.baselines import (
    C3D,
    C3D_CROP_SIZE,
    C3D_DENSE,
    C3D_FRAMES,
    C3D_ORIGINAL,
    widen_units,
)
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD, Conv, MaxPool, widen
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice

DEFAULT_SHAPE = (C3D_FRAMES, C3D_CROP_SIZE, C3D_CROP_SIZE, CHANNELS["rgb"])
POOLS_5 = ("end", "symmetric")  # padding of C3D's last pool


def c3d(
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    name: str = "c3d",
) -> keras.Model:
    """Builds C3D as arXiv:1705.07750, section 2.2, changes it, from its table, untrained.

    Inputs are float in [-1, 1], (N, T, H, W, C); outputs are logits, (N, classes). Every layer is
    an endpoint (`conv1a`, `pool1`, ..., `fc7`, `Logits`). Since the first dense layer reads every
    position, T, H and W are part of the network.

    Args:
        input_shape: (T, H, W, C), all given: T >= 16, H and W >= 32, C 3 for RGB or 2 for flow.
            Default: the paper's 16 x 112 x 112 x 3.
        classes: Number of logits.
        dropout_rate: Dropout after each of the two dense layers; the original has 0.5.
        width_multiplier: Scale of the number of filters and dense units.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    clip = _clip_of_one_size(input_shape)
    check_network(classes, dropout_rate, width_multiplier)
    outputs = clip
    for row in C3D:
        outputs = layer_for(widen(row, width_multiplier))(outputs)
    outputs = keras.layers.Flatten("channels_last", name="flatten")(outputs)
    for dense in C3D_DENSE:
        outputs = DenseUnit(widen_units(dense.units, width_multiplier), name=dense.name)(outputs)
        outputs = keras.layers.Dropout(dropout_rate, name=f"{dense.name}_dropout")(outputs)
    # In float32 under every policy, like the logits of all networks.
    outputs = keras.layers.Dense(classes, dtype="float32", name=HEAD)(outputs)
    return keras.Model(clip, outputs, name=name)


def c3d_original(
    include_top: bool = True,
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    channel_order: str = "rgb",
    pool5: str = "end",
    name: str = "c3d_original",
) -> keras.Model:
    """Builds C3D as published (arXiv:1412.0767, section 3.2) and released in Caffe, untrained.

    Unlike `c3d` it has biases and no batch norm, and its first pool keeps time. Inputs are float in
    [-1, 1], (N, T, H, W, C); outputs are logits, (N, classes), or without the head `fc7`. Every
    layer is an endpoint; `fc6` and `fc7`, (N, 4096), are behind their ReLU, as features of C3D are.
    With 487 classes, those of Sports-1M, it has 79,991,015 parameters.

    Args:
        include_top: Whether the classifier follows `fc7`.
        input_shape: See `c3d`.
        classes: Number of logits.
        dropout_rate: See `c3d`.
        width_multiplier: See `c3d`.
        pixel_mean: See `i3d_tf.models.clip_input.normalized`. The released weights were trained
            with the mean of each position of a clip, which is not this one of each channel.
        pixel_std: See `pixel_mean`.
        channel_order: See `pixel_mean`; the released weights read "bgr".
        pool5: Padding of the last pool: "end" as in Caffe, or "symmetric" as PyTorch's ports have.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    check_choice("pool5", pool5, POOLS_5)
    clip = _clip_of_one_size(input_shape)
    check_network(classes, dropout_rate, width_multiplier)
    outputs = normalized(clip, pixel_mean, pixel_std, channel_order)
    for row in C3D_ORIGINAL:
        if isinstance(row, Conv):
            outputs = Conv3D(
                widen_units(row.filters, width_multiplier),
                row.kernel,
                padding="same",
                data_format="channels_last",
                activation="relu",
                kernel_initializer="he_normal",
                name=row.name,
            )(outputs)
        elif isinstance(row, MaxPool) and row.name == "pool5" and pool5 == "symmetric":
            outputs = PaddedMaxPool3D(
                row.kernel, row.stride, (0, 1, 1), data_format="channels_last", name=row.name
            )(outputs)
        else:
            outputs = layer_for(row)(outputs)
    outputs = apply_dense_layers(outputs, C3D_DENSE, width_multiplier, dropout_rate)
    if include_top:
        # In float32 under every policy, like the logits of all networks.
        outputs = keras.layers.Dense(classes, dtype="float32", name=HEAD)(outputs)
    return keras.Model(clip, outputs, name=name)


def _clip_of_one_size(input_shape):
    """Returns the symbolic input, whose T, H and W are part of the network."""
    shape = check_input_shape(
        DEFAULT_SHAPE if input_shape is None else input_shape,
        channels=tuple(CHANNELS.values()),
        min_frames=C3D_FRAMES,
        fixed="THW",
    )
    return keras.Input(shape, name="clip")
