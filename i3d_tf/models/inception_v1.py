"""Inception-v1, the 2D network that I3D is inflated from, as a functional Keras model."""

from i3d_tf.models.inception import inception
from i3d_tf.specs.inception_v1 import INCEPTION_V1


def inception_v1(
    include_top=True,
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=1000,
    classifier_activation=None,
    dropout_rate=0.0,
    width_multiplier=1.0,
    name="inception_v1",
):
    """Builds Inception-v1 with batch norm (arXiv:1409.4842) from I3D's table, untrained.

    Inputs are float in [-1, 1], shape (N, H, W, C); outputs are logits, (N, classes). Endpoints
    have the names that TF-Slim gives them (`Conv2d_1a_7x7`, `MaxPool_2a_3x3`, ..., `Mixed_5c`,
    `Logits`); variables those of I3D with `2d` for `3d`. At 224 x 224 the head is TF-Slim's, an
    average pool of 7x7; at other sizes it averages over the whole image.

    To look at every frame of a clip, fold time into the batch, (N, T, H, W, C) -> (N * T, H, W, C),
    or call the model within `keras.layers.TimeDistributed`.

    Args:
        include_top: Whether the head follows `Mixed_5c`.
        input_tensor: A symbolic Keras tensor to build on, (N, H, W, C).
        input_shape: (H, W, C); H and W >= 32 or None (any). C is 3 for RGB and 2L for a stack of L
            flow fields. Default: any size, 3 channels.
        pooling: Without the head: None for `Mixed_5c` as it is, (N, H', W', 1024), or "avg" or
            "max" over space, (N, 1024).
        classes: Number of logits; TF-Slim's checkpoint has 1001, the first for "background".
        classifier_activation: Activation of the logits, or None.
        dropout_rate: Dropout between the average pool and the last convolution.
        width_multiplier: Scales the number of filters everywhere.
        name: The model's name.

    Raises:
        ValueError: An argument cannot work; the message names what is allowed.
    """
    return inception(
        INCEPTION_V1,
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
