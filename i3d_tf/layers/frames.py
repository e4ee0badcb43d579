"""Layers that move time: into the channels, into the batch and back, or down to the last step.

They hold no variables and take any N, T, H and W.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="i3d_tf")
class StackTime(keras.layers.Layer):
    """Groups of frames side by side in the channels: (N, T, H, W, C) -> (N, T / L, H, W, L * C).

    The channels of a group's first frame come first: x0, y0, x1, y1, ... for flow.

    Args:
        frames: L, the frames of a group; T is a multiple of it.
        **kwargs: As of `keras.layers.Layer`.
    """

    def __init__(self, frames, **kwargs):
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, inputs):
        """Stacks; a T that is no multiple raises ValueError."""
        self._check(inputs.shape)
        _, time, height, width, channels = ops.shape(inputs)
        steps = time // self.frames
        grouped = ops.reshape(inputs, (-1, steps, self.frames, height, width, channels))
        grouped = ops.transpose(grouped, (0, 1, 3, 4, 2, 5))
        return ops.reshape(grouped, (-1, steps, height, width, self.frames * channels))

    def compute_output_shape(self, input_shape):
        """(N, T, H, W, C) -> (N, T / L, H, W, L * C)."""
        self._check(input_shape)
        batch, time, height, width, channels = input_shape
        steps = None if time is None else time // self.frames
        return (batch, steps, height, width, self.frames * channels)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "frames": self.frames}

    def _check(self, shape):
        if shape[1] is not None and (shape[1] < self.frames or shape[1] % self.frames):
            raise ValueError(
                f"The clip must have a multiple of {self.frames} frames; received inputs of shape "
                f"{tuple(shape)}."
            )


@keras.saving.register_keras_serializable(package="i3d_tf")
class FoldTime(keras.layers.Layer):
    """Frames as images of their own: (N, T, ...) -> (N * T, ...)."""

    def call(self, inputs):
        """(N, T, ...) -> (N * T, ...)."""
        return ops.reshape(inputs, (-1, *ops.shape(inputs)[2:]))

    def compute_output_shape(self, input_shape):
        """(N, T, ...) -> (N * T, ...)."""
        batch, time, *rest = input_shape
        return (None if batch is None or time is None else batch * time, *rest)


@keras.saving.register_keras_serializable(package="i3d_tf")
class UnfoldTime(keras.layers.Layer):
    """The inverse of `FoldTime`: [(N * T, ...), (N, T, ...)] -> (N, T, ...).

    The second input says what T is; its values are not looked at.
    """

    def call(self, inputs):
        """[(N * T, ...), (N, T, ...)] -> (N, T, ...)."""
        folded, clip = inputs
        return ops.reshape(folded, (-1, ops.shape(clip)[1], *ops.shape(folded)[1:]))

    def compute_output_shape(self, input_shape):
        """[(N * T, ...), (N, T, ...)] -> (N, T, ...)."""
        folded, clip = input_shape
        return (*clip[:2], *folded[1:])


@keras.saving.register_keras_serializable(package="i3d_tf")
class LastStep(keras.layers.Layer):
    """What the last step gives: (N, T, ...) -> (N, ...)."""

    def call(self, inputs):
        """(N, T, ...) -> (N, ...)."""
        return inputs[:, -1]

    def compute_output_shape(self, input_shape):
        """(N, T, ...) -> (N, ...)."""
        return (input_shape[0], *input_shape[2:])


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
