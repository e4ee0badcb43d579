"""The classification head: average pool, then a 1x1x1 convolution averaged over time."""

from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.layers.unit import UNITS
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import (
    HEAD_CONV,
    HEAD_POOL_KERNEL,
    MIN_FRAMES,
    name_without_time,
)


@keras.saving.register_keras_serializable(package="i3d_tf")
class HeadPool(keras.layers.Layer):
    """Average over two neighboring time steps and the whole frame.

    At 224 x 224 the frame has 7 x 7 positions here and this is the released average pool of 2x7x7,
    stride 1, VALID. At other sizes the window covers all positions, each with the same weight; time
    keeps its sliding window of 2. (N, T', H', W', C) -> (N, T' - 1, 1, 1, C).
    """

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Averages; raises ValueError if a single time step is left of the clip."""
        if inputs.shape[1] is not None and inputs.shape[1] < HEAD_POOL_KERNEL[0]:
            raise ValueError(
                f"The clip is too short: {HEAD_POOL_KERNEL[0]} time steps must reach the average "
                f"pool; received inputs of shape {tuple(inputs.shape)}. Feed at least {MIN_FRAMES} "
                "frames (shorter clips are looped)."
            )
        frames = ops.mean(inputs, axis=(2, 3), keepdims=True)
        return (frames[:, :-1] + frames[:, 1:]) / 2

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T' - 1, 1, 1, C)."""
        batch, time, _, _, channels = input_shape
        return (batch, None if time is None else time - 1, 1, 1, channels)


@keras.saving.register_keras_serializable(package="i3d_tf")
class HeadWindow(keras.layers.Layer):
    """Averages over 2 x 7 x 7 positions, stride 1, VALID: the released pool at every size.

    Frames of fewer positions have one window, the whole frame. (N, T', H', W', C) ->
    (N, T' - 1, H' - 6, W' - 6, C).
    """

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Averages over the windows."""
        return ops.average_pool(inputs, self._window(inputs.shape), 1, data_format="channels_last")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T' - 1, H' - 6, W' - 6, C)."""
        batch, *positions, channels = input_shape
        window = self._window(input_shape)
        left = [
            None if length is None else length - size + 1
            for length, size in zip(positions, window, strict=True)
        ]
        return (batch, *left, channels)

    def _window(self, shape):
        time, *frame = HEAD_POOL_KERNEL
        return (
            time,
            *(
                size if length is None else min(size, length)
                for size, length in zip(frame, shape[2:4], strict=True)
            ),
        )


@keras.saving.register_keras_serializable(package="i3d_tf")
class Logits(keras.layers.Layer):
    """A 1x1x1 convolution with bias, averaged over its positions: (N, T', 1, 1, C) -> (N, classes).

    The average is taken in the variables' precision, so that logits stay float32 under mixed
    precision.

    Args:
        classes: Number of logits.
        rank: 3 after a clip, or 2 after an image, (N, 1, 1, C) -> (N, classes).
        all_steps: Whether time is not averaged: (N, T', 1, 1, C) -> (N, T', classes).
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, classes: int, rank: int = 3, all_steps: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.classes = classes
        self.rank = rank
        self.all_steps = all_steps
        self.conv = UNITS[rank](
            classes,
            (1,) * rank,
            activation=None,
            use_batch_norm=False,
            use_bias=True,
            dtype=self.dtype_policy,
            name=HEAD_CONV if rank == 3 else name_without_time(HEAD_CONV),
        )

    def build(self, input_shape: Shape) -> None:
        """Creates the kernel and the bias."""
        self.conv.build(input_shape)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Computes the logits: (N, T', 1, 1, C) -> (N, classes), or (N, T', classes)."""
        positions = tuple(range(2 if self.all_steps else 1, self.rank + 1))
        return ops.mean(ops.cast(self.conv(inputs), self.variable_dtype), axis=positions)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, classes), or (N, T', classes)."""
        return (*input_shape[: 2 if self.all_steps else 1], self.classes)

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        """Returns the symbolic output, in the variables' precision."""
        shape = self.compute_output_shape(inputs.shape)
        return KerasTensor(shape, dtype=self.variable_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        # Files of networks that average are as they were before there was a choice.
        steps = {"all_steps": True} if self.all_steps else {}
        return {**super().get_config(), "classes": self.classes, "rank": self.rank, **steps}
