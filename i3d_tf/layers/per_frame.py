"""What is done to each frame of a clip by itself."""

import keras
from keras import ops

REDUCTIONS = {"mean": ops.mean, "max": ops.max}


@keras.saving.register_keras_serializable(package="i3d_tf")
class PerFrame(keras.layers.Layer):
    """Applies a layer of images to every frame: (N, T, ...) -> (N, T, ...).

    Time is folded into the batch, so the layer sees (N * T, ...); unlike
    `keras.layers.TimeDistributed` it does so in one call, for any T. A layer that draws random
    numbers draws others for each frame.

    Args:
        layer: The layer, or its serialised form.
        **kwargs: As of `keras.layers.Layer`.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        if isinstance(layer, dict):
            layer = keras.saving.deserialize_keras_object(layer)
        self.layer = layer

    def build(self, input_shape):
        """Builds the layer for images."""
        if not self.layer.built:
            self.layer.build((None, *input_shape[2:]))

    def call(self, inputs):
        """(N, T, ...) -> (N, T, ...)."""
        _, time, *image = ops.shape(inputs)
        outputs = self.layer(ops.reshape(inputs, (-1, *image)))
        return ops.reshape(outputs, (-1, time, *ops.shape(outputs)[1:]))

    def compute_output_shape(self, input_shape):
        """(N, T, ...) -> (N, T, ...)."""
        batch, time, *image = input_shape
        return (batch, time, *self.layer.compute_output_shape((None, *image))[1:])

    def get_config(self):
        """The constructor's arguments."""
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer}


@keras.saving.register_keras_serializable(package="i3d_tf")
class SpacePool(keras.layers.Layer):
    """Reduces height and width, and leaves time: (N, T, H, W, C) -> (N, T, C).

    Args:
        reduction: "mean" or "max".
        keepdims: Whether height and width stay as axes of length 1.
        **kwargs: As of `keras.layers.Layer`.
    """

    def __init__(self, reduction, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"`reduction` must be one of {tuple(REDUCTIONS)}; received {reduction!r}."
            )
        self.reduction = reduction
        self.keepdims = keepdims

    def call(self, inputs):
        """(N, T, H, W, C) -> (N, T, C), or (N, T, 1, 1, C)."""
        return REDUCTIONS[self.reduction](inputs, axis=(2, 3), keepdims=self.keepdims)

    def compute_output_shape(self, input_shape):
        """(N, T, H, W, C) -> (N, T, C), or (N, T, 1, 1, C)."""
        ones = (1, 1) if self.keepdims else ()
        return (*input_shape[:2], *ones, input_shape[-1])

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "reduction": self.reduction, "keepdims": self.keepdims}
