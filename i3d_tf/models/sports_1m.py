"""The networks of Sports-1M, which join the frames of a clip in four ways, as Keras models."""

from collections.abc import Sequence

import keras

from i3d_tf.layers.dense_layers import apply_dense_layers
from i3d_tf.layers.pool import MaxPool3D
from i3d_tf.layers.response_norm import LocalResponseNorm
from i3d_tf.models.clip_input import normalized
from i3d_tf.models.validation import check_input_shape, check_network
from i3d_tf.specs.baselines import (
    MULTIRESOLUTION_SIZE,
    SPORTS_1M,
    SPORTS_1M_CROP_SIZE,
    SPORTS_1M_DENSE,
    SPORTS_1M_FUSIONS,
    SPORTS_1M_NORM,
    widen_units,
)
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice

HALF = (1, 2, 2)
DIMENSIONS = "channels_last"


def sports_1m(
    fusion: str = "single",
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    multiresolution: bool = False,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    name: str | None = None,
) -> keras.Model:
    """Builds a network of Sports-1M (Karpathy et al., CVPR 2014, section 3), untrained.

    Inputs are float in [-1, 1], (N, T, H, W, C); outputs are logits, (N, classes). `conv1`,
    `norm1`, `pool1`, ..., `fc7` are endpoints; with two resolutions the convolutions' start with
    `fovea_` and `context_`. No code or weights of the paper are public: what it leaves open is in
    `i3d_tf.specs.baselines.SPORTS_1M`.

    Args:
        fusion: "single" reads one frame. "early" reads ten in its first convolution. "slow" reads
            ten, which three convolutions join. "late" reads two, 15 apart, that meet in `fc6`.
        input_shape: (T, H, W, C), all given; T as above, H and W >= 32. Default: RGB of 170 x 170,
            or 178 x 178 with two resolutions.
        classes: Number of logits; Sports-1M has 487.
        dropout_rate: Dropout after each of the two dense layers.
        width_multiplier: Scale of the number of filters and dense units.
        multiresolution: Whether there are two networks up to the first dense layer, with half of
            the height and width each: the fovea is the center, the context all of it, made smaller.
        pixel_mean: See `i3d_tf.models.clip_input.normalized`; the paper subtracts 117 of 255.
        pixel_std: See `pixel_mean`.
        name: Name of the model; default: `sports_1m_` and the fusion.

    Raises:
        ValueError: An argument is not allowed.
    """
    check_choice("fusion", fusion, SPORTS_1M_FUSIONS)
    frames = SPORTS_1M_FUSIONS[fusion].frames
    size = MULTIRESOLUTION_SIZE if multiresolution else SPORTS_1M_CROP_SIZE
    shape = check_input_shape(
        (frames, size, size, CHANNELS["rgb"]) if input_shape is None else input_shape,
        frames=frames,
        fixed="THW",
    )
    check_network(classes, dropout_rate, width_multiplier)
    clip = keras.Input(shape, name="clip")
    outputs = normalized(clip, pixel_mean, pixel_std)
    if multiresolution:
        fovea = keras.layers.Cropping3D(_border(shape), DIMENSIONS, name="fovea")(outputs)
        context = keras.layers.AveragePooling3D(HALF, HALF, data_format=DIMENSIONS, name="context")
        parts = {"fovea_": fovea, "context_": context(outputs)}
        maps = [
            _convolutions(prefix, part, fusion, width_multiplier, has_last_pool=False)
            for prefix, part in parts.items()
        ]
        outputs = keras.layers.Concatenate(name="join")(maps)
    else:
        outputs = _convolutions("", outputs, fusion, width_multiplier, has_last_pool=True)
    outputs = apply_dense_layers(outputs, SPORTS_1M_DENSE, width_multiplier, dropout_rate)
    # In float32 under every policy, like the logits of all networks.
    outputs = keras.layers.Dense(classes, dtype="float32", name=HEAD)(outputs)
    return keras.Model(clip, outputs, name=name or f"sports_1m_{fusion}")


def _border(shape):
    """Returns what is around the center of half the height and width, for `Cropping3D`."""
    around = [length - length // 2 for length in shape[1:3]]
    return ((0, 0), *((width // 2, width - width // 2) for width in around))


def _convolutions(prefix, inputs, fusion, width_multiplier, has_last_pool):
    """Applies the five convolutions: (N, T, H, W, C) -> (N, T', H', W', 256)."""
    table, outputs = SPORTS_1M_FUSIONS[fusion], inputs
    kernels, strides = (*table.kernels, 1, 1), (*table.strides, 1, 1)
    for number, (row, time, step) in enumerate(zip(SPORTS_1M, kernels, strides, strict=True), 1):
        outputs = keras.layers.ZeroPadding3D(
            (0, row.padding, row.padding), DIMENSIONS, name=f"{prefix}{row.name}_padding"
        )(outputs)
        outputs = keras.layers.Conv3D(
            widen_units(row.filters, width_multiplier),
            (time, row.kernel, row.kernel),
            (step, row.stride, row.stride),
            data_format=DIMENSIONS,
            activation="relu",
            kernel_initializer="he_normal",
            name=f"{prefix}{row.name}",
        )(outputs)
        if row.has_norm:
            outputs = LocalResponseNorm(*SPORTS_1M_NORM, name=f"{prefix}norm{number}")(outputs)
        if row.has_pool and (has_last_pool or row is not SPORTS_1M[-1]):
            outputs = MaxPool3D(HALF, HALF, "same", name=f"{prefix}pool{number}")(outputs)
    return outputs
