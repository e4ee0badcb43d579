"""The I3D network as a functional Keras model."""

from i3d_tf.models.inception import inception
from i3d_tf.specs.inception_v1 import I3D


def inception_i3d(
    include_top=True,
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=400,
    classifier_activation=None,
    dropout_rate=0.0,
    width_multiplier=1.0,
    name="inception_i3d",
):
    """Builds I3D (arXiv:1705.07750) from its table, with untrained weights.

    Arguments, result and errors are those of `i3d_tf.InceptionI3D`, which adds `weights`.
    """
    return inception(
        I3D,
        include_top=include_top,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        dropout_rate=dropout_rate,
        width_multiplier=width_multiplier,
        name=name,
    )
