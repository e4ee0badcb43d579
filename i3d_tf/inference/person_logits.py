"""Logits of the persons in key frames, over a whole test set."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.data.pipeline import Failures, PipelineConfig
from i3d_tf.inference.person_clips import BOXES_INPUT, key_frame_clips
from i3d_tf.system.console import progress_bar


def person_function(model: keras.Model) -> Callable:
    """Returns a network on persons as a function of its inputs, traced once for all sizes."""

    def forward(inputs):
        return model(inputs, training=False)

    return tf.function(forward, reduce_retracing=True)


def compute_person_logits(
    forward: Callable, config: PipelineConfig, workers: int | None = None, title: str = "test"
) -> tuple[list[np.ndarray | None], Failures]:
    """Computes the logits of the persons in every key frame.

    Args:
        forward: See `person_function`.
        config: Examples, and how their clips are made.
        workers: Clips made at once.
        title: Text of the progress bar.

    Returns:
        (logits, failures): float32 (M, classes) for each example, None for those with nobody and
        those that could not be read; Failures.

    Raises:
        FloatingPointError: Logits are not finite.
    """
    failures = Failures()
    found: list[np.ndarray | None] = [None] * len(config.examples)
    with progress_bar() as bar:
        task = bar.add_task(title, total=len(config.examples))
        for number, logits in iter_person_outputs(forward, config, failures, workers):
            bar.update(task, completed=number + 1)
            if logits is not None and not np.isfinite(logits).all():
                raise FloatingPointError(
                    "the network's logits are not finite, such as those of "
                    f"{config.examples[number].path}."
                )
            found[number] = logits
    return found, failures


def iter_person_outputs(
    forward: Callable, config: PipelineConfig, failures: Failures, workers: int | None = None
) -> Iterator[tuple[int, np.ndarray | None]]:
    """Yields the number of each example with somebody, and the outputs for its persons.

    Args:
        forward: See `person_function`.
        config: Examples, and how their clips are made.
        failures: Filled with the videos that could not be read; their outputs are None.
        workers: Clips made at once.
    """
    with failures.reraised():
        for inputs, number in key_frame_clips(config, failures, workers):
            is_read = inputs[BOXES_INPUT].shape[1] > 0
            yield int(number), np.array(forward(inputs))[0] if is_read else None
