"""A network over a whole test set."""

import numpy as np
import tensorflow as tf

from i3d_tf.data.pipeline import Failures, Phases, evaluation_clips
from i3d_tf.runs.console import progress_bar


def compute_logits(model, phases: Phases, windows=1, crops=1, workers=None, title="test"):
    """The logits of every example, averaged over its windows and crops.

    Args:
        model: Clips to logits.
        phases: Examples and how their clips are made.
        windows: Windows in time of each video.
        crops: Crops of each window.
        workers: Clips made at once.
        title: What the progress bar says.

    Returns:
        (logits, failures): float32 (N, classes), NaN for videos that could not be read; Failures.
    """
    failures = Failures()
    forward = tf.function(lambda clips: model(clips, training=False), reduce_retracing=True)
    sums = np.zeros((len(phases.examples), model.output_shape[-1]))
    counts = np.zeros(len(phases.examples))
    with progress_bar() as bar:
        task = bar.add_task(title, total=len(phases.examples) * windows * crops)
        for clips, numbers, weights in evaluation_clips(phases, windows, crops, failures, workers):
            logits = forward(clips).numpy().astype(np.float64)
            read = weights.numpy() > 0
            np.add.at(sums, numbers.numpy()[read], logits[read])
            np.add.at(counts, numbers.numpy()[read], 1)
            bar.advance(task, len(read))
    with np.errstate(invalid="ignore"):
        return (sums / counts[:, np.newaxis]).astype(np.float32), failures
