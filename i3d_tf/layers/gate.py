"""Self-gating: each channel of a clip weighted by what the whole clip shows."""

from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape


@keras.saving.register_keras_serializable(package="i3d_tf")
class ChannelGate(keras.layers.Layer):
    """x * sigmoid(W mean(x) + b), the mean over all positions: S3D-G's feature gating.

    One factor for each channel of each clip (Xie et al., arXiv:1712.04851, section 5). Mean and
    factor are computed in the variables' precision.

    Args:
        use_bias: Whether there is a bias b.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, use_bias: bool = True, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # the variables stay as precise as they are
        self.use_bias = use_bias

    def build(self, input_shape: Shape) -> None:
        """Creates the kernel, (C, C), and the bias, (C,)."""
        channels = input_shape[-1]
        initializer = keras.initializers.TruncatedNormal(stddev=0.01)
        self.kernel = self.add_weight(
            name="kernel", shape=(channels, channels), initializer=initializer
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(channels,), initializer="zeros")

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Weighs the channels: (N, *positions, C) -> the same shape."""
        positions = tuple(range(1, len(inputs.shape) - 1))
        means = ops.mean(ops.cast(inputs, self.variable_dtype), axis=positions, keepdims=True)
        logits = ops.matmul(means, self.kernel)
        if self.bias is not None:
            logits = logits + self.bias
        return inputs * ops.cast(ops.sigmoid(logits), inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "use_bias": self.use_bias}
