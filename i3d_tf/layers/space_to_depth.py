"""Positions of a clip, eight by eight, as channels of one."""

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape


@keras.saving.register_keras_serializable(package="i3d_tf")
class SpaceToDepth(keras.layers.Layer):
    """(N, 2 T, 2 H, 2 W, C) -> (N, T, H, W, 8 C), as S3D-G of MIL-NCE and MMV reads clips.

    Channel ((t * 2 + h) * 2 + w) * C + c is channel c of the position (t, h, w) within its eight.
    """

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Moves positions into channels; time, height and width must be even."""
        batch, *positions, channels = ops.shape(inputs)
        time, height, width = (length // 2 for length in positions)
        outputs = ops.reshape(inputs, (batch, time, 2, height, 2, width, 2, channels))
        outputs = ops.transpose(outputs, (0, 1, 3, 5, 2, 4, 6, 7))
        return ops.reshape(outputs, (batch, time, height, width, 8 * channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T, H, W, 8 C)."""
        batch, *positions, _ = input_shape
        halves = [None if length is None else length // 2 for length in positions]
        return (batch, *halves, 8 * int(input_shape[-1] or 0))
