"""The order of a network's color channels."""

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape


@keras.saving.register_keras_serializable(package="i3d_tf")
class ReverseChannels(keras.layers.Layer):
    """RGB as BGR, as Caffe's networks read it: (N, ..., C) with the last channel first."""

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Reverses the channels."""
        return ops.flip(inputs, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input's shape."""
        return input_shape
