"""A network over a whole test set."""

import numpy as np
import tensorflow as tf

from i3d_tf.data.pipeline import Failures, PipelineConfig, evaluation_clips
from i3d_tf.system.console import progress_bar


def forward_function(model):
    """A network as a function of clips, traced once for all calls: (N, classes)."""

    def answer(clips):
        return last_answer(model(clips, training=False))

    return tf.function(answer, reduce_retracing=True)


def last_answer(logits):
    """Logits, (N, classes): of a network that answers at every step, (N, T, classes), the last."""
    return logits[:, -1] if len(logits.shape) == 3 else logits


def compute_logits(forward, phases: PipelineConfig, windows=1, crops=1, workers=None, title="test"):
    """The logits of every example, averaged over its windows and crops.

    Args:
        forward: Clips to logits, see `forward_function`.
        phases: Examples and how their clips are made.
        windows: Windows in time of each video.
        crops: Crops of each window.
        workers: Clips made at once.
        title: What the progress bar says.

    Returns:
        (logits, failures): float32 (N, classes), NaN for videos that could not be read; Failures.
    """
    failures = Failures()
    batches = []
    with progress_bar() as bar, failures.raised_as_they_are():
        task = bar.add_task(title, total=len(phases.examples) * windows * crops)
        for clips, numbers, weights in evaluation_clips(phases, windows, crops, failures, workers):
            batches.append((forward(clips).numpy(), numbers.numpy(), weights.numpy() > 0))
            bar.advance(task, len(numbers))
    logits, numbers, read = (np.concatenate(part) for part in zip(*batches, strict=True))
    sums = np.zeros((len(phases.examples), logits.shape[-1]))
    np.add.at(sums, numbers[read], logits[read])
    counts = np.bincount(numbers[read], minlength=len(sums))
    with np.errstate(invalid="ignore"):
        return (sums / counts[:, np.newaxis]).astype(np.float32), failures
