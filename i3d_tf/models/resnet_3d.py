"""Residual networks over clips as functional Keras models, from their tables."""

from collections.abc import Sequence

import keras
from keras import KerasTensor

from i3d_tf.layers.attention import INSTANTIATIONS, NonLocalAttention
from i3d_tf.layers.pool import PaddedMaxPool3D
from i3d_tf.layers.unit import Unit3D
from i3d_tf.models.clip_input import clip_input, normalized
from i3d_tf.models.validation import check_network
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD, MIN_WIDTH
from i3d_tf.specs.resnet_3d import (
    BASIC_RESNETS,
    EPSILON,
    GEOMETRIES,
    MOMENTUM,
    NON_LOCAL_COUNTS,
    BottleneckResNet,
    Pool,
    bottleneck_resnet,
    middle_filters,
)
from i3d_tf.specs.validation import check_choice

TEMPORALS = ("i3d", "c2d")
NON_LOCAL_POOL = Pool((1, 2, 2), (1, 2, 2))


def resnet_18(
    architecture: str = "r2plus1d_18",
    include_top: bool = True,
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    name: str | None = None,
) -> keras.Model:
    """Builds R3D, MC3 or R(2+1)D of 18 layers (arXiv:1711.11248), with untrained weights.

    Inputs are float, (N, T, H, W, C); outputs are logits, (N, classes), or without the head
    `layer4`. `stem`, `layer1`, ..., `layer4` and their blocks, such as `layer1_0`, are endpoints.

    Args:
        architecture: "r3d_18", "mc3_18" or "r2plus1d_18".
        include_top: Whether the mean over all positions and the classifier follow.
        input_shape: (T, H, W, C); H and W >= 32, each of the three may be None (any). Default: any
            size of RGB.
        classes: Number of logits.
        dropout_rate: Dropout before the classifier.
        width_multiplier: Scale of the number of filters.
        pixel_mean: See `i3d_tf.models.clip_input.normalized`.
        pixel_std: See `pixel_mean`.
        name: Name of the model; default: that of the architecture.

    Raises:
        ValueError: An argument is not allowed.
    """
    check_choice("architecture", architecture, BASIC_RESNETS)
    clip = clip_input(input_shape)
    check_network(classes, dropout_rate, width_multiplier)
    table, make = BASIC_RESNETS[architecture], _Maker(EPSILON, width_multiplier)
    outputs = normalized(clip, pixel_mean, pixel_std)
    for number, conv in enumerate(table.stem):
        is_last = number == len(table.stem) - 1
        filters = make.filters(conv.filters)
        layer_name = "stem" if is_last else "stem_spatial"
        outputs = make.unit(layer_name, filters, conv.kernel, conv.stride)(outputs)
    for stage, (kind, filters) in enumerate(zip(table.stages, table.filters, strict=True), 1):
        for block in range(table.blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            block_name = f"layer{stage}_{block}"
            outputs = make.basic_block(block_name, kind, make.filters(filters), stride, outputs)
        outputs = keras.layers.Identity(name=f"layer{stage}")(outputs)
    if include_top:
        outputs = _head(outputs, classes, dropout_rate)
    return keras.Model(clip, outputs, name=name or architecture)


def resnet_50(
    temporal: str = "i3d",
    include_top: bool = True,
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    geometry: str = "slowfast",
    non_local: int = 0,
    instantiation: str = "softmax",
    use_scale: bool = True,
    name: str | None = None,
) -> keras.Model:
    """Builds the ResNet-50 C2D or I3D with any Non-local blocks (arXiv:1711.07971), untrained.

    Inputs are float, (N, T, H, W, C); outputs are logits, (N, classes), or without the head `res5`.
    `conv1`, `pool1`, `res2`, ..., `res5`, their blocks, such as `res2_0`, and Non-local blocks,
    such as `nonlocal3_1`, are endpoints.

    Args:
        temporal: "i3d", or "c2d" without kernels over time.
        include_top: Whether the mean over all positions and the classifier follow.
        input_shape: (T, H, W, C); H and W >= 32, each of the three may be None (any). Default: any
            size of RGB.
        classes: Number of logits.
        dropout_rate: Dropout before the classifier; the paper has 0.5.
        width_multiplier: Scale of the number of filters.
        pixel_mean: See `i3d_tf.models.clip_input.normalized`.
        pixel_std: See `pixel_mean`.
        geometry: "slowfast", for clips of 8 frames; "released", that of the released weights for
            32, whose first convolution and pool halve time; or "released_8x8", of those for 8.
        non_local: Number of Non-local blocks: 0, 1, 5 or 10.
        instantiation: "softmax" (embedded Gaussian) or "dot_product".
        use_scale: See `i3d_tf.layers.attention.NonLocalAttention`.
        name: Name of the model; default: `i3d_resnet50` or `c2d_resnet50`.

    Raises:
        ValueError: An argument is not allowed.
    """
    check_choice("temporal", temporal, TEMPORALS)
    check_choice("geometry", geometry, GEOMETRIES)
    check_choice("instantiation", instantiation, INSTANTIATIONS)
    if non_local not in NON_LOCAL_COUNTS:
        raise ValueError(f"`non_local` must be one of {NON_LOCAL_COUNTS}; received {non_local!r}.")
    clip = clip_input(input_shape, min_frames=8 if geometry == "released" else 2)
    check_network(classes, dropout_rate, width_multiplier)
    table = bottleneck_resnet(temporal, geometry, non_local)
    make = _Maker(table.epsilon, width_multiplier)
    outputs = normalized(clip, pixel_mean, pixel_std)
    outputs = make.unit("conv1", make.filters(64), table.stem.kernel, table.stem.stride)(outputs)
    outputs = make.pool("pool1", table.pool_1)(outputs)
    for stage in range(4):
        outputs = make.bottleneck_stage(stage, table, outputs, instantiation, use_scale)
        if stage == 0:
            outputs = make.pool("pool2", table.pool_2)(outputs)
    if include_top:
        outputs = _head(outputs, classes, dropout_rate)
    return keras.Model(clip, outputs, name=name or f"{temporal}_resnet50")


def _head(outputs, classes, dropout_rate):
    outputs = keras.layers.GlobalAveragePooling3D("channels_last", name="avgpool")(outputs)
    outputs = keras.layers.Dropout(dropout_rate, name="dropout")(outputs)
    # In float32 under every policy, like the logits of all networks.
    return keras.layers.Dense(classes, dtype="float32", name=HEAD)(outputs)


class _Maker:
    """Layers of one network: all with its batch norm, padding and width."""

    def __init__(self, epsilon: float, width_multiplier: float):
        self._epsilon = epsilon
        self._width = width_multiplier

    def filters(self, filters: int) -> int:
        """Scales a number of filters."""
        return max(MIN_WIDTH, round(filters * self._width))

    def unit(self, name, filters, kernel, stride=(1, 1, 1), activation="relu", **options):
        """Makes a convolution with batch norm."""
        return Unit3D(
            filters,
            kernel,
            stride,
            activation=activation,
            padding="symmetric",
            use_scale=True,
            epsilon=self._epsilon,
            momentum=MOMENTUM,
            name=name,
            **options,
        )

    def pool(self, name, pool):
        """Makes a max-pool."""
        return PaddedMaxPool3D(
            pool.kernel, pool.stride, pool.pads, data_format="channels_last", name=name
        )

    def basic_block(self, name, kind, filters, stride, inputs) -> KerasTensor:
        """Applies two convolutions and adds the inputs."""
        filters_in = inputs.shape[-1]
        middle = middle_filters(filters_in, filters)
        outputs = self._conv3x3x3(f"{name}_conv1", kind, filters, stride, middle, "relu")(inputs)
        outputs = self._conv3x3x3(f"{name}_conv2", kind, filters, 1, middle, None)(outputs)
        shortcut = inputs
        if stride > 1 or filters_in != filters:
            strides = (1 if kind == "2d" else stride, stride, stride)
            shortcut = self.unit(f"{name}_downsample", filters, (1, 1, 1), strides, None)(inputs)
        return self._add(name, outputs, shortcut)

    def _conv3x3x3(self, name, kind, filters, stride, middle, activation):
        """Returns a function of a tensor: the convolution of a basic block, in one or two."""
        if kind == "2plus1d":
            spatial = self.unit(f"{name}_spatial", middle, (1, 3, 3), (1, stride, stride))
            temporal = self.unit(name, filters, (3, 1, 1), (stride, 1, 1), activation)
            return lambda inputs: temporal(spatial(inputs))
        is_3d = kind == "3d"
        kernel, strides = (3 if is_3d else 1, 3, 3), (stride if is_3d else 1, stride, stride)
        return self.unit(name, filters, kernel, strides, activation)

    def bottleneck_stage(
        self, stage, table: BottleneckResNet, inputs, instantiation, use_scale
    ) -> KerasTensor:
        """Applies the blocks of a stage, and the Non-local blocks between them."""
        outputs, filters = inputs, self.filters(table.filters[stage])
        for block in range(table.blocks[stage]):
            name = f"res{stage + 2}_{block}"
            time = 3 if table.has_time(stage, block) else 1
            stride = 2 if stage > 0 and block == 0 else 1
            outputs = self._bottleneck(name, filters, time, stride, block == 0, outputs)
            if block in table.non_local[stage]:
                name = f"nonlocal{stage + 2}_{block}"
                outputs = self._non_local(name, outputs, instantiation, use_scale)
        return keras.layers.Identity(name=f"res{stage + 2}")(outputs)

    def _bottleneck(self, name, filters, time, stride, is_first, inputs):
        inner, strides = max(MIN_WIDTH, filters // 4), (1, stride, stride)
        outputs = self.unit(f"{name}_branch2a", inner, (time, 1, 1))(inputs)
        outputs = self.unit(f"{name}_branch2b", inner, (1, 3, 3), strides)(outputs)
        outputs = self.unit(
            f"{name}_branch2c", filters, (1, 1, 1), activation=None, gamma_initializer="zeros"
        )(outputs)
        shortcut = inputs
        if is_first:
            shortcut = self.unit(f"{name}_branch1", filters, (1, 1, 1), strides, None)(inputs)
        return self._add(name, outputs, shortcut)

    def _add(self, name, outputs, shortcut):
        added = keras.layers.Add(name=f"{name}_add")([outputs, shortcut])
        return keras.layers.ReLU(name=name)(added)

    def _non_local(self, name, inputs, instantiation, use_scale):
        """Applies a Non-local block, which starts as nothing: batch norm's scale is 0."""
        channels = inputs.shape[-1]
        inner = max(MIN_WIDTH, channels // 2)
        embed = {"activation": None, "use_batch_norm": False, "use_bias": True}
        pooled = self.pool(f"{name}_pool", NON_LOCAL_POOL)(inputs)
        theta = self.unit(f"{name}_theta", inner, (1, 1, 1), **embed)(inputs)
        phi = self.unit(f"{name}_phi", inner, (1, 1, 1), **embed)(pooled)
        g = self.unit(f"{name}_g", inner, (1, 1, 1), **embed)(pooled)
        attention = NonLocalAttention(instantiation, use_scale, name=f"{name}_attention")
        outputs = self.unit(
            f"{name}_out",
            channels,
            (1, 1, 1),
            activation=None,
            use_bias=True,
            gamma_initializer="zeros",
        )(attention([theta, phi, g]))
        return keras.layers.Add(name=name)([inputs, outputs])
