"""What watches a training run: guards against NaN and Ctrl-C; TensorBoard's scalars and more."""

import signal
import sys
import threading

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.system.console import Terminated

SCALARS_EVERY = 10  # steps
PROFILED_STEPS = (10, 20)
STOPS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


class TerminateOnNaN(keras.callbacks.Callback):
    """Stops at the first step whose loss is not finite, and names the step and its videos.

    Args:
        first_step: Number of the step that training begins with.
        paths_of: Function from a step to the paths of its videos.
    """

    def __init__(self, first_step, paths_of):
        super().__init__()
        self.first_step = first_step
        self.paths_of = paths_of

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the loss."""
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            step = self.first_step + batch
            raise FloatingPointError(
                f"the loss is {loss} at step {step}; its videos are "
                f"{', '.join(self.paths_of(step))}. The last saved state is from before it. Look "
                "at these videos, or begin in another --workdir with lower --learning_rates."
            )


class StopOnInterrupt(keras.callbacks.Callback):
    """Makes Ctrl-C and SIGTERM wait for the end of the step, so that what is saved is whole.

    Used as a context around `fit`; a second signal does not wait.

    Args:
        first_step: Number of the step that training begins with.

    Attributes:
        steps_done: Number of the next step.
        between_steps: Whether training was stopped, and between two steps.
    """

    def __init__(self, first_step):
        super().__init__()
        self.steps_done = first_step
        self.between_steps = False
        self._stop = None  # the exception to raise between two steps
        self._before = {}

    def __enter__(self):
        # Only the main thread receives signals, and only it may set their handlers.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in STOPS}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number, _):
        if self._stop is not None:
            raise self._stop
        self._stop = STOPS[number]()
        print("\nStopping after this step ...", file=sys.stderr)

    def on_train_batch_end(self, batch, logs=None):
        """Counts, and stops where that was asked for."""
        self.steps_done += 1
        if self._stop is not None:
            self.between_steps = True
            raise self._stop


class Scalars(keras.callbacks.Callback):
    """Writes loss, accuracy and learning rate to TensorBoard.

    Args:
        writer: A `tf.summary` writer.
        first_step: Number of the step that training begins with.
    """

    def __init__(self, writer, first_step):
        super().__init__()
        self.writer = writer
        self.first_step = first_step

    def on_train_batch_end(self, batch, logs=None):
        """Writes every `SCALARS_EVERY` steps."""
        step = self.first_step + batch + 1
        if step % SCALARS_EVERY == 0:
            rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
            with self.writer.as_default(step):
                for name, value in (logs or {}).items():
                    tf.summary.scalar(f"train/{name}", value)
                tf.summary.scalar("train/learning_rate", float(rate))


class Profile(keras.callbacks.Callback):
    """Profiles a few steps for TensorBoard.

    Args:
        log_dir: TensorBoard's folder.
    """

    def __init__(self, log_dir):
        super().__init__()
        self.log_dir = str(log_dir)
        self.running = False

    def on_train_batch_begin(self, batch, logs=None):
        """Starts at the first profiled step."""
        if batch == PROFILED_STEPS[0]:
            tf.profiler.experimental.start(self.log_dir)
            self.running = True

    def on_train_batch_end(self, batch, logs=None):
        """Stops after the last."""
        if self.running and batch + 1 == PROFILED_STEPS[1]:
            self._stop()

    def on_train_end(self, logs=None):
        """Stops in any case."""
        if self.running:
            self._stop()

    def _stop(self):
        tf.profiler.experimental.stop()
        self.running = False


def write_pictures(writer, batch, step):
    """Shows what the network sees: first, middle and last frame of a batch's clips.

    Args:
        writer: A `tf.summary` writer.
        batch: Stream, "rgb" or "flow", to float32 (N, T, S, S, C) in [-1, 1]; of flow, x is shown
            as red and y as green.
        step: Where on TensorBoard's time line.
    """
    with writer.as_default(step):
        for stream, clips in batch.items():
            title = f"what the network sees: {stream}"
            tf.summary.image(title, _strip(np.asarray(clips), stream), max_outputs=8)


def _strip(clips, stream):
    """Three frames of each clip side by side: (N, S, 3 S, 3) in [0, 1]."""
    chosen = clips[:, [0, clips.shape[1] // 2, -1]]  # (N, 3, S, S, C)
    if stream == "flow":
        chosen = np.concatenate([chosen, np.zeros_like(chosen[..., :1])], axis=-1)
    return (np.concatenate(list(chosen.swapaxes(0, 1)), axis=2) + 1) / 2
