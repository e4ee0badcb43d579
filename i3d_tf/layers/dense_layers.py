"""The fully connected layers of networks that read every position."""

from collections.abc import Iterable

import keras
from keras import KerasTensor

from i3d_tf.specs.baselines import Dense, widen_units


def apply_dense_layers(
    maps: KerasTensor,
    rows: Iterable[Dense],
    width_multiplier: float = 1.0,
    dropout_rate: float = 0.0,
) -> KerasTensor:
    """Flattens maps and applies fully connected layers with ReLU, untrained.

    Args:
        maps: Symbolic (N, ..., C), of known size.
        rows: Names and units.
        width_multiplier: Scale of the units.
        dropout_rate: Dropout after each layer.

    Returns:
        (N, units of the last layer).
    """
    outputs = keras.layers.Flatten("channels_last", name="flatten")(maps)
    for row in rows:
        outputs = keras.layers.Dense(
            widen_units(row.units, width_multiplier),
            activation="relu",
            kernel_initializer="he_normal",
            name=row.name,
        )(outputs)
        outputs = keras.layers.Dropout(dropout_rate, name=f"{row.name}_dropout")(outputs)
    return outputs
