"""Logits at every step of a clip as logits of the clip."""

from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.baselines import LAST, LOG_MEAN, STEP_POOLINGS
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.validation import check_choice


def step_gains(steps: int | KerasTensor) -> KerasTensor:
    """Returns weights of steps that rise linearly from 0 to 1 (arXiv:1503.08909, section 3.2).

    Args:
        steps: Their number; a single step has the weight 1.

    Returns:
        float32 (T,).
    """
    gains = ops.arange(steps, dtype="float32")
    return ops.maximum(gains, ops.cast(steps == 1, "float32")) / ops.maximum(gains[-1], 1.0)


def pool_steps(logits: KerasTensor, pooling: str = LAST) -> KerasTensor:
    """Pools the predictions of all steps, as arXiv:1503.08909, section 3.2, compares.

    Args:
        logits: (N, T, classes).
        pooling: One of `STEP_POOLINGS`: "last" takes the logits of the last step; "max" the highest
            probability that a class has at any step; "sum" adds up the probabilities; "gain" adds
            them up weighted by `step_gains`; "log_mean" takes the mean of their logarithms.

    Returns:
        (N, classes): logits; their softmax is the pooled probabilities, divided by their sum.
    """
    if pooling == LAST:
        return logits[:, -1]
    predictions = ops.log_softmax(logits, axis=-1)
    if pooling == "max":
        return ops.max(predictions, axis=1)
    if pooling == LOG_MEAN:
        return ops.mean(predictions, axis=1)
    gains = (
        step_gains(ops.shape(logits)[1]) if pooling == "gain" else ops.ones_like(logits[0, :, 0])
    )
    shares = ops.log(gains / ops.sum(gains))  # -inf for the first of several steps with gains
    return ops.logsumexp(predictions + ops.cast(shares, predictions.dtype)[:, None], axis=1)


@keras.saving.register_keras_serializable(package="i3d_tf")
class StepPool(keras.layers.Layer):
    """The logits of a clip from those of its steps, or a note of how they are pooled.

    Args:
        pooling: See `pool_steps`.
        all_steps: Whether logits stay as they are, (N, T, classes), for training on every step; a
            program that tests the network finds the pooling here.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, pooling: str, all_steps: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.pooling = check_choice("pooling", pooling, STEP_POOLINGS)
        self.all_steps = all_steps

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Pools: (N, T, classes) -> (N, classes), or returns its input for `all_steps`."""
        return inputs if self.all_steps else pool_steps(inputs, self.pooling)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, classes), or (N, T, classes)."""
        return input_shape if self.all_steps else (input_shape[0], *input_shape[2:])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "pooling": self.pooling, "all_steps": self.all_steps}
