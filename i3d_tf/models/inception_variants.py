"""S3D, S3D-G, I2D and other networks of I3D's rows, as functional Keras models."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor

from i3d_tf.layers.gate import ChannelGate
from i3d_tf.layers.head import HeadPool, HeadWindow, Logits
from i3d_tf.layers.pool import MaxPool3D, PaddedMaxPool3D
from i3d_tf.layers.space_to_depth import SpaceToDepth
from i3d_tf.layers.unit import Unit3D
from i3d_tf.models.clip_input import clip_input, normalized
from i3d_tf.models.validation import check_network
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import (
    HEAD,
    HEAD_DROPOUT,
    HEAD_POOL,
    I3D,
    MaxPool,
    Mixed,
    widen,
)
from i3d_tf.specs.inception_variants import (
    ConvPart,
    GatePart,
    InceptionVariant,
    branch_parts,
    conv_parts,
    inception_variant,
    pool_padding,
)
from i3d_tf.specs.streams import CHANNELS

PACKED_CHANNELS = 8 * CHANNELS["rgb"]


def inception_3d(
    variant: str = "s3d",
    include_top: bool = True,
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """Builds a network of I3D's rows from its table, with untrained weights.

    Inputs are float in [-1, 1], (N, T, H, W, C); outputs are logits, (N, classes), or without the
    head `Mixed_5c`. Every row of I3D is an endpoint of the same name.

    Args:
        variant: One of `i3d_tf.specs.inception_variants.VARIANTS`.
        include_top: Whether the head follows `Mixed_5c`.
        input_shape: (T, H, W, C); T >= 9 (13 where padding is symmetric), H and W >= 32, each of
            the three may be None (any). Default: any size of RGB.
        classes: Number of logits.
        dropout_rate: Dropout between the average pool and the last convolution.
        width_multiplier: Scale of the number of filters.
        pixel_mean: See `i3d_tf.models.clip_input.normalized`.
        pixel_std: See `pixel_mean`.
        name: Name of the model; default: that of the variant.
        **options: See `i3d_tf.specs.inception_variants.InceptionVariant`.

    Raises:
        ValueError: An argument is not allowed.
    """
    table = inception_variant(variant, **options)
    shape = (None, None, None, CHANNELS["rgb"]) if input_shape is None else input_shape
    is_packed = table.space_to_depth and tuple(shape)[-1:] == (PACKED_CHANNELS,)
    clip = clip_input(shape, min_frames=1 if is_packed else table.min_frames)
    check_network(classes, dropout_rate, width_multiplier)
    builder = _Builder(table)
    outputs = normalized(clip, pixel_mean, pixel_std)
    if table.space_to_depth and not is_packed:
        outputs = SpaceToDepth(name="space_to_depth")(outputs)
    for row in I3D:
        outputs = builder.row(widen(row, width_multiplier), outputs)
    if include_top:
        outputs = _head(table, outputs, classes, dropout_rate)
    return keras.Model(clip, outputs, name=name or variant)


def _head(table, features, classes, dropout_rate):
    if table.head == "window":
        pool = HeadWindow(name=HEAD_POOL)
    elif table.head == "mean":
        pool = keras.layers.GlobalAveragePooling3D("channels_last", keepdims=True, name=HEAD_POOL)
    else:
        pool = HeadPool(name=HEAD_POOL)
    outputs = keras.layers.Dropout(dropout_rate, name=HEAD_DROPOUT)(pool(features))
    return Logits(classes, name=HEAD)(outputs)


class _Builder:
    """Layers of a variant's parts."""

    def __init__(self, options: InceptionVariant):
        self._options = options

    def row(self, row, inputs: KerasTensor) -> KerasTensor:
        """Applies a row of the table, whose last layer has the row's name."""
        if isinstance(row, Mixed):
            ends = []
            for parts in branch_parts(row, self._options):
                outputs = inputs
                for part in parts:
                    outputs = self._part(part, outputs)
                ends.append(outputs)
            is_gated = self._options.gating == "cell"
            joined = keras.layers.Concatenate(name=f"{row.name}_cell" if is_gated else row.name)
            outputs = joined(ends)
            return self._gate(row.name)(outputs) if is_gated else outputs
        if isinstance(row, MaxPool):
            return self._part(row, inputs)
        parts, outputs = conv_parts(row, self._options, row.name, row.name), inputs
        for part in parts:
            outputs = self._part(part, outputs)
        if parts[-1].name != row.name:
            outputs = keras.layers.Identity(name=row.name)(outputs)
        return outputs

    def _part(self, part, inputs):
        options = self._options
        if isinstance(part, GatePart):
            return self._gate(part.name)(inputs)
        if isinstance(part, ConvPart):
            unit = Unit3D(
                part.filters,
                part.kernel,
                part.stride,
                use_batch_norm=part.has_norm,
                use_bias=not part.has_norm,
                padding=options.padding,
                use_scale=options.use_scale,
                epsilon=options.epsilon,
                momentum=options.momentum,
                name=part.name,
            )
            return unit(inputs)
        if options.padding == "symmetric":
            return PaddedMaxPool3D(part.kernel, part.stride, pool_padding(part), name=part.name)(
                inputs
            )
        return MaxPool3D(
            part.kernel, part.stride, "same", data_format="channels_last", name=part.name
        )(inputs)

    def _gate(self, name):
        return ChannelGate(self._options.gate_bias, name=name)
