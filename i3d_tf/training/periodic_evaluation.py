"""The test accuracy of a network between its training steps."""

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.data.pipeline import Failures, PipelineConfig
from i3d_tf.inference.dataset_logits import compute_logits, forward_function
from i3d_tf.metrics.classification import top_k_accuracy
from i3d_tf.training.workdir import Workdir


class PeriodicEvaluation:
    """Evaluates saved states, keeps the best one and writes the history.

    Args:
        model: The network.
        config: Examples and clips of the test split.
        workdir: Folder of the run.
        writer: Writer of TensorBoard's events.
        failures: Filled with the videos that could not be read.
        workers: Clips made at once.
        keep_last: Whether the last state is kept as the best, whatever its accuracy.
    """

    def __init__(
        self,
        model: keras.Model,
        config: PipelineConfig,
        workdir: Workdir,
        writer: tf.summary.SummaryWriter,
        failures: Failures,
        workers: int | None = None,
        keep_last: bool = False,
    ):
        self._forward = forward_function(model)
        self._config = config
        self._workdir = workdir
        self._writer = writer
        self._failures = failures
        self._workers = workers
        self._keep_last = keep_last

    def run(self, step: int):
        """Evaluates the state after a step, which is the newest saved one, if it is not yet.

        Raises:
            ValueError: No video could be read.
            FloatingPointError: The network has no finite logits for a video that could be read.
        """
        history = self._workdir.history()
        if any(row["step"] == step for row in history):
            return
        accuracy, videos = self._accuracy(step)
        print(f"step {step}: test accuracy {accuracy:.1%} of {videos} videos")
        before = [row["test_accuracy"] for row in history if row["step"] < step]
        if self._keep_last or all(accuracy > other for other in before):
            self._workdir.keep_as_best()
        self._workdir.add_history({"step": step, "test_accuracy": accuracy, "test_videos": videos})
        with self._writer.as_default(step):
            tf.summary.scalar("test/accuracy", accuracy)
            self._writer.flush()

    def _accuracy(self, step):
        """Returns the top-1 accuracy, and of how many videos it is."""
        try:
            logits, failures = compute_logits(self._forward, self._config, self._workers)
        except FloatingPointError as error:
            raise FloatingPointError(
                f"step {step}: {error} Start in another --workdir with lower --learning_rates."
            ) from error
        self._failures.reasons.update(failures.reasons)
        self._workdir.keep_unreadable(self._failures.reasons)
        read = np.isfinite(logits).all(axis=1)
        labels = np.array([example.label for example in self._config.examples])
        if not read.any():
            raise ValueError(
                "the test split: no video could be read. Check the videos: "
                "i3d check_videos --data_dir=FOLDER"
            )
        return float(top_k_accuracy(logits[read], labels[read], 1)), int(read.sum())
