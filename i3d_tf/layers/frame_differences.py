"""Differences of frames, an input of Temporal Segment Networks (arXiv:1608.00859, section 3.1)."""

from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.validation import check_integer


@keras.saving.register_keras_serializable(package="i3d_tf")
class FrameDifferences(keras.layers.Layer):
    """Differences within groups of L frames: (N, K * L, H, W, C) -> (N, K * (L - 1), H, W, C).

    A difference is a frame minus the one before it.

    Args:
        frames: L, the frames of a group, at least 2; T is a multiple of it.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, frames: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.frames = check_integer("frames", frames, 2)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Subtracts; raises ValueError if T is no multiple of L."""
        self._check(inputs.shape)
        _, time, *frame = ops.shape(inputs)
        groups = ops.reshape(inputs, (-1, time // self.frames, self.frames, *frame))
        differences = groups[:, :, 1:] - groups[:, :, :-1]
        return ops.reshape(differences, (-1, time // self.frames * (self.frames - 1), *frame))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, K * (L - 1), H, W, C)."""
        self._check(input_shape)
        batch, time, *frame = input_shape
        return (batch, None if time is None else time // self.frames * (self.frames - 1), *frame)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "frames": self.frames}

    def _check(self, shape):
        if shape[1] is not None and (shape[1] < self.frames or shape[1] % self.frames):
            raise ValueError(
                f"The clip must have a multiple of {self.frames} frames; received inputs of shape "
                f"{tuple(shape)}."
            )
