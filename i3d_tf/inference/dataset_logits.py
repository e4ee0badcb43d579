"""A network over a whole test set."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.data.pipeline import Failures, PipelineConfig, evaluation_clips
from i3d_tf.layers.head import Logits
from i3d_tf.layers.step_pool import StepPool, pool_steps
from i3d_tf.models.keras_graph import producer_of
from i3d_tf.specs.baselines import LAST
from i3d_tf.system.console import progress_bar


def forward_function(model: keras.Model) -> Callable:
    """Returns a network as a function of clips, traced once for all calls: logits (N, classes)."""

    def forward(clips):
        return pool_step_logits(model, model(clips, training=False))

    return tf.function(forward, reduce_retracing=True)


def pool_step_logits(model: keras.Model, logits: tf.Tensor) -> tf.Tensor:
    """Returns logits of clips, (N, classes), where a network gives them at every step.

    Args:
        model: The network, whose last layer may say how steps are pooled (`StepPool`); of I3D's
            steps (`Logits`), their mean counts, and else the last step.
        logits: Its output, (N, classes) or (N, T, classes).
    """
    if len(logits.shape) != 3:
        return logits
    last_layer = producer_of(model.outputs[0])
    if isinstance(last_layer, Logits):
        return tf.reduce_mean(logits, axis=1)
    return pool_steps(logits, last_layer.pooling if isinstance(last_layer, StepPool) else LAST)


def compute_logits(
    forward: Callable, config: PipelineConfig, workers: int | None = None, title: str = "test"
) -> tuple[np.ndarray, Failures]:
    """Computes the logits of every example, averaged over its windows and crops.

    Args:
        forward: Clips to logits, see `forward_function`.
        config: Examples, and how their clips are made.
        workers: Clips made at once.
        title: Text of the progress bar.

    Returns:
        (logits, failures): float32 (N, classes), NaN for videos that could not be read; Failures.

    Raises:
        FloatingPointError: The logits of a video that could be read are not finite.
    """
    failures = Failures()
    batches = []
    with progress_bar() as bar, failures.reraised():
        task = bar.add_task(title, total=len(config.examples) * config.protocol.views)
        for clips, numbers, weights in evaluation_clips(config, failures, workers):
            batches.append((forward(clips).numpy(), numbers.numpy(), weights.numpy() > 0))
            bar.advance(task, len(numbers))
    logits, numbers, read = (np.concatenate(part) for part in zip(*batches, strict=True))
    sums = np.zeros((len(config.examples), logits.shape[-1]))
    np.add.at(sums, numbers[read], logits[read])
    counts = np.bincount(numbers[read], minlength=len(sums))
    for example, row, count in zip(config.examples, sums, counts, strict=True):
        if count and not np.isfinite(row).all():
            raise FloatingPointError(
                f"the network's logits are not finite, such as those of {example.path}."
            )
    with np.errstate(invalid="ignore"):
        return (sums / counts[:, np.newaxis]).astype(np.float32), failures
