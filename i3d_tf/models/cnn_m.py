"""CNN-M-2048, the 2D network of the two-stream network of 2014."""

import keras
from keras import KerasTensor

from i3d_tf.layers.dense_layers import apply_dense_layers
from i3d_tf.layers.pool import CeilMaxPool
from i3d_tf.layers.response_norm import LocalResponseNorm
from i3d_tf.specs.baselines import CNN_M, CNN_M_DENSE, CNN_M_NORM, widen_units


def cnn_m_2048_maps(
    images: KerasTensor, width_multiplier: float = 1.0, has_second_norm: bool = True
) -> KerasTensor:
    """Applies the untrained convolutions of CNN-M-2048 (arXiv:1405.3531) to images, up to `pool5`.

    They have biases, local response normalization, and Caffe's pools, see
    `i3d_tf.specs.baselines.CNN_M`. `conv1`, `norm1`, `pool1`, ..., `pool5` are endpoints.

    Args:
        images: Symbolic (N, H, W, C).
        width_multiplier: Scale of the number of filters of every layer.
        has_second_norm: Whether the second convolution is normalized; that of flow is not.

    Returns:
        Maps; of 224 x 224, (N, 6, 6, 512).
    """
    outputs = images
    for number, row in enumerate(CNN_M, 1):
        outputs = keras.layers.ZeroPadding2D(
            row.padding, "channels_last", name=f"{row.name}_padding"
        )(outputs)
        outputs = keras.layers.Conv2D(
            widen_units(row.filters, width_multiplier),
            row.kernel,
            row.stride,
            data_format="channels_last",
            activation="relu",
            kernel_initializer="he_normal",
            name=row.name,
        )(outputs)
        if row.has_norm and (number != 2 or has_second_norm):
            outputs = LocalResponseNorm(*CNN_M_NORM, name=f"norm{number}")(outputs)
        if row.has_pool:
            outputs = CeilMaxPool((3, 3), (2, 2), name=f"pool{number}")(outputs)
    return outputs


def cnn_m_2048(
    images: KerasTensor,
    width_multiplier: float = 1.0,
    dropout_rate: float = 0.0,
    has_second_norm: bool = True,
) -> KerasTensor:
    """Applies an untrained CNN-M-2048 to images, up to `fc7`; see `cnn_m_2048_maps`.

    Args:
        images: Symbolic (N, H, W, C); H and W are known, since `fc6` reads all positions.
        width_multiplier: See `cnn_m_2048_maps`.
        dropout_rate: Dropout after each dense layer.
        has_second_norm: See `cnn_m_2048_maps`.

    Returns:
        Features, (N, 2048).

    Raises:
        ValueError: The images may have any size.
    """
    if None in images.shape[1:3]:
        raise ValueError(
            "`images` must have one height and width, which are part of CNN-M-2048; received shape "
            f"{tuple(images.shape)}."
        )
    outputs = cnn_m_2048_maps(images, width_multiplier, has_second_norm)
    return apply_dense_layers(outputs, CNN_M_DENSE, width_multiplier, dropout_rate)
