"""BN-Inception, the 2D network of Temporal Segment Networks, as a functional Keras model."""

from collections.abc import Sequence

import keras
from keras import KerasTensor

from i3d_tf.layers.pool import CeilMaxPool, PaddedAveragePool2D
from i3d_tf.layers.unit import Unit2D
from i3d_tf.models.clip_input import normalized
from i3d_tf.models.validation import check_input_shape, check_network
from i3d_tf.specs.baselines import (
    BN_INCEPTION,
    BN_INCEPTION_EPSILON,
    BN_INCEPTION_MOMENTUM,
    BNInceptionBlock,
)
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD, MIN_WIDTH
from i3d_tf.specs.streams import CHANNELS

POOLINGS = (None, "avg")


def bn_inception(
    include_top: bool = True,
    input_tensor: KerasTensor | None = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    channel_order: str = "rgb",
    name: str = "bn_inception",
) -> keras.Model:
    """Builds BN-Inception (arXiv:1502.03167; arXiv:1608.00859, section 3.2) with untrained weights.

    Inputs are float in [-1, 1], (N, H, W, C); outputs are logits, (N, classes). Endpoints have the
    released names, `conv1_7x7_s2`, `pool1_3x3_s2`, ..., `inception_5b`. Every convolution has a
    bias and batch norm. With 101 classes, convolutions and classifier have 10,353,733 parameters.

    The released weights read BGR from 0 to 255 minus (104, 117, 128), which `pixel_mean`,
    `pixel_std` and `channel_order` compute.

    Args:
        include_top: Whether the mean over all positions and the classifier follow `inception_5b`.
        input_tensor: A symbolic Keras tensor to build on, (N, H, W, C).
        input_shape: (H, W, C); H and W >= 32 or None (any). Default: any size, 3 channels.
        pooling: Without the head: None for `inception_5b` as it is, or "avg" for its mean over all
            positions, (N, 1024).
        classes: Number of logits.
        dropout_rate: Dropout before the classifier; the paper has 0.8 for RGB, 0.7 for flow.
        width_multiplier: Scale of the number of filters of every layer.
        pixel_mean: See `i3d_tf.models.clip_input.normalized`.
        pixel_std: See `pixel_mean`.
        channel_order: See `pixel_mean`.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}; received {pooling!r}.")
    if input_tensor is None:
        shape = (None, None, CHANNELS["rgb"]) if input_shape is None else input_shape
        input_tensor = keras.Input(check_input_shape(shape, axes="HWC"), name="image")
    check_network(classes, dropout_rate, width_multiplier)
    make = _Maker(width_multiplier)
    outputs = normalized(input_tensor, pixel_mean, pixel_std, channel_order)
    outputs = make.unit("conv1_7x7_s2", 64, 7, outputs, 2)  # 112 x 112 x 64
    outputs = CeilMaxPool((3, 3), (2, 2), name="pool1_3x3_s2")(outputs)  # 56 x 56 x 64
    outputs = make.unit("conv2_3x3_reduce", 64, 1, outputs)  # 56 x 56 x 64
    outputs = make.unit("conv2_3x3", 192, 3, outputs)  # 56 x 56 x 192
    outputs = CeilMaxPool((3, 3), (2, 2), name="pool2_3x3_s2")(outputs)  # 28 x 28 x 192
    for block in BN_INCEPTION:
        outputs = make.block(block, outputs)
    if include_top or pooling == "avg":
        outputs = keras.layers.GlobalAveragePooling2D("channels_last", name="avg_pool")(outputs)
    if include_top:
        outputs = keras.layers.Dropout(dropout_rate, name="dropout")(outputs)
        # In float32 under every policy, like the logits of all networks.
        outputs = keras.layers.Dense(classes, dtype="float32", name=HEAD)(outputs)
    sources = keras.utils.get_source_inputs(input_tensor)
    return keras.Model(sources[0] if len(sources) == 1 else sources, outputs, name=name)


class _Maker:
    """Layers of one network, all of its width."""

    def __init__(self, width_multiplier: float):
        self._width = width_multiplier

    def unit(self, name, filters, kernel, inputs, stride=1) -> KerasTensor:
        """Applies a convolution with bias, batch norm and ReLU."""
        return Unit2D(
            max(MIN_WIDTH, round(filters * self._width)),
            (kernel, kernel),
            (stride, stride),
            use_bias=True,
            padding="symmetric",
            use_scale=True,
            epsilon=BN_INCEPTION_EPSILON,
            momentum=BN_INCEPTION_MOMENTUM,
            name=name,
        )(inputs)

    def block(self, row: BNInceptionBlock, inputs) -> KerasTensor:
        """Applies the branches of a block and concatenates them."""
        name, stride, branches = row.name, row.stride, []
        if row.one:
            branches.append(self.unit(f"{name}_1x1", row.one, 1, inputs))
        three = self.unit(f"{name}_3x3_reduce", row.three[0], 1, inputs)
        branches.append(self.unit(f"{name}_3x3", row.three[1], 3, three, stride))
        double = self.unit(f"{name}_double_3x3_reduce", row.double[0], 1, inputs)
        double = self.unit(f"{name}_double_3x3_1", row.double[1], 3, double)
        branches.append(self.unit(f"{name}_double_3x3_2", row.double[2], 3, double, stride))
        pooled = _pool(f"{name}_pool", row.pool, stride)(inputs)
        if row.projection:
            pooled = self.unit(f"{name}_pool_proj", row.projection, 1, pooled)
        return keras.layers.Concatenate(name=name)([*branches, pooled])


def _pool(name, kind, stride):
    if kind == "avg":
        return PaddedAveragePool2D(3, data_format="channels_last", name=name)
    # Of an even length as Caffe's; of an odd one, of which Caffe's convolutions and pools make two
    # different lengths, as the convolutions beside it.
    return keras.layers.MaxPooling2D(
        3, stride, padding="same", data_format="channels_last", name=name
    )
