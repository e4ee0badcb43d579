"""The 3D-ConvNet of the comparison, C3D with batch norm, as a functional Keras model."""

import keras

from i3d_tf.layers.inception import layer_for
from i3d_tf.layers.unit import DenseUnit
from i3d_tf.models.validation import check_input_shape, check_network
from i3d_tf.specs.baselines import C3D, C3D_CROP_SIZE, C3D_DENSE, C3D_FRAMES, widen_units
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD, widen
from i3d_tf.specs.streams import CHANNELS

DEFAULT_SHAPE = (C3D_FRAMES, C3D_CROP_SIZE, C3D_CROP_SIZE, CHANNELS["rgb"])


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
    shape = check_input_shape(
        DEFAULT_SHAPE if input_shape is None else input_shape,
        channels=tuple(CHANNELS.values()),
        min_frames=C3D_FRAMES,
        fixed="THW",
    )
    check_network(classes, dropout_rate, width_multiplier)
    clip = keras.Input(shape, name="clip")
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
