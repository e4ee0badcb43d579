"""Layers that move the time axis: into the channels, into the batch and back, extend or drop it.

Only `PerFrame` has variables, those of its layer. All take any N, T, H and W.
"""

from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.validation import check_choice

REDUCTIONS = {"mean": ops.mean, "max": ops.max}


@keras.saving.register_keras_serializable(package="i3d_tf")
class StackTime(keras.layers.Layer):
    """Groups of L frames stacked in the channels: (N, T, H, W, C) -> (N, T / L, H, W, L * C).

    The channels of a group's first frame come first: x0, y0, x1, y1, ... for flow.

    Args:
        frames: L, the frames of a group; T is a multiple of it.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, frames: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Stacks the frames; raises ValueError if T is no multiple of L."""
        self._check(inputs.shape)
        _, time, height, width, channels = ops.shape(inputs)
        steps = time // self.frames
        grouped = ops.reshape(inputs, (-1, steps, self.frames, height, width, channels))
        grouped = ops.transpose(grouped, (0, 1, 3, 4, 2, 5))
        return ops.reshape(grouped, (-1, steps, height, width, self.frames * channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T / L, H, W, L * C)."""
        self._check(input_shape)
        batch, time, height, width, channels = input_shape
        steps = None if time is None else time // self.frames
        stacked = None if channels is None else self.frames * channels
        return (batch, steps, height, width, stacked)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "frames": self.frames}

    def _check(self, shape):
        if shape[1] is not None and (shape[1] < self.frames or shape[1] % self.frames):
            raise ValueError(
                f"The clip must have a multiple of {self.frames} frames; received inputs of shape "
                f"{tuple(shape)}."
            )


@keras.saving.register_keras_serializable(package="i3d_tf")
class FoldTime(keras.layers.Layer):
    """Frames as examples of their own: (N, T, ...) -> (N * T, ...)."""

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Folds time into the batch."""
        return ops.reshape(inputs, (-1, *ops.shape(inputs)[2:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N * T, ...)."""
        batch, time, *rest = input_shape
        return (None if batch is None or time is None else batch * time, *rest)


@keras.saving.register_keras_serializable(package="i3d_tf")
class UnfoldTime(keras.layers.Layer):
    """The inverse of `FoldTime`: [(N * T, ...), (N, T, ...)] -> (N, T, ...).

    The second input gives T; its values are not used.
    """

    def call(self, inputs: list[KerasTensor]) -> KerasTensor:
        """Unfolds time from the batch."""
        folded, clip = inputs
        return ops.reshape(folded, (-1, ops.shape(clip)[1], *ops.shape(folded)[1:]))

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Returns (N, T, ...)."""
        folded, clip = input_shape
        return (*clip[:2], *folded[1:])


@keras.saving.register_keras_serializable(package="i3d_tf")
class LastStep(keras.layers.Layer):
    """The last time step: (N, T, ...) -> (N, ...)."""

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Returns the last step."""
        return inputs[:, -1]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, ...)."""
        return (input_shape[0], *input_shape[2:])


@keras.saving.register_keras_serializable(package="i3d_tf")
class ExtendTime(keras.layers.Layer):
    """The last step repeated until windows end with it: (N, T, ...) -> (N, T + extra, ...).

    A pool or a convolution without padding, of the same window and stride, then reads every step,
    and of fewer steps than a window has, one window.

    Args:
        window: Steps of a window.
        stride: Steps from one window to the next.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, window: int, stride: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.window = window
        self.stride = stride

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Repeats the last step."""
        steps = ops.shape(inputs)[1]
        # A known number stays one, as JAX needs for a shape.
        extended = self._extended(steps, max if isinstance(steps, int) else ops.maximum)
        return ops.take(inputs, ops.minimum(ops.arange(extended), steps - 1), axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T + extra, ...)."""
        batch, steps, *rest = input_shape
        return (batch, None if steps is None else self._extended(steps, max), *rest)

    def _extended(self, steps, maximum):
        # Rounded up; of a negative number, programs round in different ways.
        strides = (maximum(steps - self.window, 0) + self.stride - 1) // self.stride
        return self.window + strides * self.stride

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "window": self.window, "stride": self.stride}


@keras.saving.register_keras_serializable(package="i3d_tf")
class TimePool(keras.layers.Layer):
    """A global pool over time: (N, T, ...) -> (N, ...).

    Args:
        reduction: "mean" or "max".
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, reduction: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Pools: (N, T, ...) -> (N, ...)."""
        return REDUCTIONS[self.reduction](inputs, axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, ...)."""
        return (input_shape[0], *input_shape[2:])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "reduction": self.reduction}


@keras.saving.register_keras_serializable(package="i3d_tf")
class PerFrame(keras.layers.Layer):
    """A layer of images applied to every frame: (N, T, ...) -> (N, T, ...).

    Time is folded into the batch, so the layer gets (N * T, ...), in one call and for any T, unlike
    with `keras.layers.TimeDistributed`. Random numbers differ from frame to frame.

    Args:
        layer: The layer, or its serialized form.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, layer: keras.layers.Layer | dict[str, Any], **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(layer, dict):
            layer = keras.saving.deserialize_keras_object(layer)
        self.layer = layer

    def build(self, input_shape: Shape) -> None:
        """Builds the layer for images."""
        if not self.layer.built:
            self.layer.build((None, *input_shape[2:]))

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Applies the layer to every frame."""
        _, time, *image = ops.shape(inputs)
        outputs = self.layer(ops.reshape(inputs, (-1, *image)))
        return ops.reshape(outputs, (-1, time, *ops.shape(outputs)[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T, ...)."""
        batch, time, *image = input_shape
        return (batch, time, *self.layer.compute_output_shape((None, *image))[1:])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer}


@keras.saving.register_keras_serializable(package="i3d_tf")
class SpacePool(keras.layers.Layer):
    """A global pool over height and width that keeps time: (N, T, H, W, C) -> (N, T, C).

    Args:
        reduction: "mean" or "max".
        keepdims: Whether height and width stay as axes of length 1.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, reduction: str, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self.keepdims = keepdims

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Pools: (N, T, H, W, C) -> (N, T, C), or (N, T, 1, 1, C)."""
        return REDUCTIONS[self.reduction](inputs, axis=(2, 3), keepdims=self.keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T, C), or (N, T, 1, 1, C)."""
        ones = (1, 1) if self.keepdims else ()
        return (*input_shape[:2], *ones, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "reduction": self.reduction, "keepdims": self.keepdims}
