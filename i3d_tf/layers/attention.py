"""The affinity of a Non-local block: each position of a clip looks at all others."""

from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.validation import check_choice

INSTANTIATIONS = ("softmax", "dot_product")


@keras.saving.register_keras_serializable(package="i3d_tf")
class NonLocalAttention(keras.layers.Layer):
    """softmax(theta phi^T) g, or theta phi^T g / positions (Wang et al., arXiv:1711.07971, 3.2).

    [theta, phi, g], of (N, T, H, W, C) and two of (N, T', H', W', C) -> (N, T, H, W, C). The
    affinity is computed in float32.

    Args:
        instantiation: "softmax" (embedded Gaussian) or "dot_product".
        use_scale: Whether softmax sees the affinity times C^-1/2, as in the released code, which
            the paper's formula has not.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, instantiation: str = "softmax", use_scale: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.instantiation = check_choice("instantiation", instantiation, INSTANTIATIONS)
        self.use_scale = use_scale

    def call(self, inputs: list[KerasTensor]) -> KerasTensor:
        """Looks up g by the affinity of theta and phi."""
        theta = inputs[0]
        channels = theta.shape[-1]
        query, key, value = (
            ops.reshape(part, (ops.shape(part)[0], -1, channels)) for part in inputs
        )
        # A sum over all channels, that would be infinite in float16 and rough in bfloat16.
        query, key = (ops.cast(part, "float32") for part in (query, key))
        affinity = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
        if self.instantiation == "softmax":
            scale = channels**-0.5 if self.use_scale else 1.0
            affinity = ops.softmax(affinity * scale, axis=-1)
        else:
            affinity = affinity / ops.cast(ops.shape(key)[1], "float32")
        outputs = ops.matmul(ops.cast(affinity, value.dtype), value)
        return ops.reshape(outputs, (*ops.shape(theta)[:-1], channels))

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Returns (N, T, H, W, C)."""
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = {"instantiation": self.instantiation, "use_scale": self.use_scale}
        return {**super().get_config(), **config}
