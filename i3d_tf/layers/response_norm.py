"""Local response normalization over neighboring channels."""

from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.validation import check_choice, check_integer

# The squares of neighbors count with their mean, as in Caffe and PyTorch, or with their sum, as in
# AlexNet's paper and `tf.nn.local_response_normalization`.
CONVENTIONS = ("mean", "sum")


@keras.saving.register_keras_serializable(package="i3d_tf")
class LocalResponseNorm(keras.layers.Layer):
    """x / (k + alpha * s) ^ beta, s over the `size` channels around; (N, ..., C) as it was.

    Channels beyond the first and the last are 0. It computes in float32 at least.

    Args:
        size: Number of channels of a neighborhood, odd.
        alpha: Weight of their squares.
        beta: Exponent.
        k: Constant.
        convention: "mean" where s is the mean of the squares (Caffe, PyTorch), or "sum" (AlexNet's
            paper, section 3.3, TensorFlow); one's alpha is the other's times `size`.
        **kwargs: See `keras.layers.Layer`.

    Raises:
        ValueError: The size is even, or the convention unknown.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        convention: str = "mean",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if check_integer("size", size, 1) % 2 == 0:
            raise ValueError(f"`size` must be odd; received {size!r}.")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        self.convention = check_choice("convention", convention, CONVENTIONS)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Normalizes: (N, ..., C) -> (N, ..., C)."""
        values = ops.cast(inputs, "float32") if _is_half(inputs) else inputs
        half, channels = self.size // 2, inputs.shape[-1]
        widths = [(0, 0)] * (len(inputs.shape) - 1) + [(half, half)]
        squares = ops.pad(ops.square(values), widths)
        total = squares[..., :channels]
        for start in range(1, self.size):
            total = total + squares[..., start : start + channels]
        alpha = self.alpha / self.size if self.convention == "mean" else self.alpha
        normalized = values * ops.power(self.k + alpha * total, -self.beta)
        return ops.cast(normalized, inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "k": self.k,
            "convention": self.convention,
        }


def _is_half(inputs):
    return keras.backend.standardize_dtype(inputs.dtype) in ("float16", "bfloat16")
