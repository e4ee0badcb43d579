"""Keras callbacks: stop at NaN, Ctrl-C and SIGTERM, time steps, write TensorBoard's events."""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.system.console import Terminated
from i3d_tf.training.process_group import ProcessGroup

SCALAR_STEPS = 10  # steps between two values of TensorBoard's scalars
PROFILED_STEPS = (10, 20)
TIMED_STEPS = 3
STOPS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


class TerminateOnNaN(keras.callbacks.Callback):
    """Stops at the first step whose loss is not finite, and names the step and its videos.

    Args:
        first_step: Step that training starts with.
        paths_of: Function from a step to the paths of its videos.
    """

    def __init__(self, first_step: int, paths_of: Callable[[int], Sequence[str]]):
        super().__init__()
        self.first_step = first_step
        self.paths_of = paths_of

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None):
        """Checks the loss.

        Raises:
            FloatingPointError: It is not finite.
        """
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            step = self.first_step + batch
            precision = keras.config.dtype_policy().name
            remedies = [] if precision == "float32" else [f"--precision=float32, not {precision}"]
            remedies += ["lower --learning_rates", "other videos"]
            raise FloatingPointError(
                f"the loss is {loss} at step {step}; its videos are "
                f"{', '.join(self.paths_of(step))}. The last saved state is from before it. Start "
                f"in another --workdir, with {', or with '.join(remedies)}."
            )


class StopOnInterrupt(keras.callbacks.Callback):
    """Makes Ctrl-C and SIGTERM wait for the end of the step, so that the saved state is whole.

    Used as a context around `fit`; a second signal does not wait.

    Args:
        first_step: Step that training starts with.
        group: The processes that train together; they stop after the same step.

    Attributes:
        steps_done: Steps done so far.
        between_steps: Whether training was stopped between two steps.
    """

    def __init__(self, first_step: int, group: ProcessGroup | None = None):
        super().__init__()
        self._group = group
        self.steps_done = first_step
        self.between_steps = False
        self._stop: KeyboardInterrupt | None = None  # to raise between two steps
        self._has_raised = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "StopOnInterrupt":
        # Only the main thread receives signals, and only it may set their handlers.
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._handle) for number in STOPS}
        return self

    def __exit__(self, kind, *_):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if kind is None and not self._has_raised:  # a signal that came just now
            self.raise_if_stopped()

    def _handle(self, number, _):
        if self._stop is not None:
            self._has_raised = True
            raise self._stop
        self._stop = STOPS[number]()
        print("\nStopping after this step ...", file=sys.stderr)

    def on_train_batch_begin(self, batch: int, logs: Mapping | None = None):
        """Tells the other processes whether a signal came."""
        if self._group is not None:
            self._group.ask_to_stop(self._stop is not None)

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None):
        """Counts the step, and stops training if a signal came; see `raise_if_stopped`."""
        self.steps_done += 1
        if self._group is None:
            self.raise_if_stopped()
        elif self._group.is_stopping:
            self._stop = self._stop or Terminated()  # the signal came to another process
            self.raise_if_stopped()

    def raise_if_stopped(self):
        """Stops training between two steps if a signal came; also after the last step of `fit`.

        Raises:
            KeyboardInterrupt: A signal came; `Terminated` for SIGTERM.
        """
        if self._stop is not None:
            self.between_steps = self._has_raised = True
            raise self._stop


class Scalars(keras.callbacks.Callback):
    """Writes loss, accuracy and learning rate to TensorBoard every `SCALAR_STEPS` steps.

    Args:
        writer: Writer of TensorBoard's events.
        first_step: Step that training starts with.
    """

    def __init__(self, writer: tf.summary.SummaryWriter, first_step: int):
        super().__init__()
        self.writer = writer
        self.first_step = first_step

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None):
        """Writes the values, if it is time."""
        step = self.first_step + batch + 1
        if step % SCALAR_STEPS == 0:
            rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
            with self.writer.as_default(step):
                for name, value in (logs or {}).items():
                    tf.summary.scalar(f"train/{name}", value)
                tf.summary.scalar("train/learning_rate", float(rate))


class StepTime(keras.callbacks.Callback):
    """Prints once how long a step takes, and the steps to come.

    The first step of every `fit` is not timed: it takes longer, for the graph is made.

    Args:
        first_step: Step that training starts with.
        last_step: One after the last.
        clock: Function that returns seconds.
    """

    def __init__(
        self, first_step: int, last_step: int, clock: Callable[[], float] = time.monotonic
    ):
        super().__init__()
        self.steps_left = last_step - first_step
        self._clock = clock
        self._timed = 0
        self._start = 0.0
        self._is_done = False

    def on_train_begin(self, logs: Mapping | None = None):
        """Starts to count the timed steps anew."""
        self._timed = -1

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None):
        """Counts the step, and prints if enough were timed."""
        self.steps_left -= 1
        self._timed += 1
        if self._timed == 0:
            self._start = self._clock()
        elif self._timed == TIMED_STEPS and not self._is_done:
            self._is_done = True
            seconds = (self._clock() - self._start) / TIMED_STEPS
            below_progress_bar = "\n" if sys.stdout.isatty() else ""
            rest = format_duration(seconds * self.steps_left)
            print(
                f"{below_progress_bar}{seconds:.2g} s a step: about {rest} for the "
                f"{self.steps_left} steps left, evaluations apart",
                flush=True,
            )


def format_duration(seconds: float) -> str:
    """Returns a duration in seconds, minutes or hours, such as "12 min"."""
    for unit, size in (("s", 1), ("min", 60)):
        if seconds < 100 * size:
            return f"{math.ceil(seconds / size)} {unit}"
    return f"{seconds / 3600:.1f} h"


class WarnOfWaiting(keras.callbacks.Callback):
    """Callback that prints a warning when no step has ended for a while.

    A tf.data service without workers gives no batches, and says nothing.

    Args:
        service: Address of the service, for the warning.
        seconds: Time without a step after which to warn, and again after each as long.
    """

    def __init__(self, service: str, seconds: float = 60.0):
        super().__init__()
        self._service, self._seconds = service, seconds
        self._steps, self._ended = 0, threading.Event()

    def on_train_begin(self, logs: Mapping | None = None):
        """Starts to watch."""
        self._ended.clear()
        threading.Thread(target=self._watch, name="waiting", daemon=True).start()

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None):
        """Counts the step."""
        self._steps += 1

    def on_train_end(self, logs: Mapping | None = None):
        """Ends the watch."""
        self._ended.set()

    def _watch(self):
        before = -1
        while not self._ended.wait(self._seconds):
            if self._steps == before:
                print(
                    f"WARNING: no step for {self._seconds:.0f} s. Does i3d data_worker run for "
                    f"{self._service}, and see the records?",
                    file=sys.stderr,
                )
            before = self._steps


class Profile(keras.callbacks.Callback):
    """Profiles a few steps for TensorBoard.

    Args:
        log_dir: TensorBoard's folder.
    """

    def __init__(self, log_dir: Path | str):
        super().__init__()
        self.log_dir = str(log_dir)
        self.running = False

    def on_train_batch_begin(self, batch: int, logs: Mapping | None = None):
        """Starts the profiler at the first profiled step."""
        if batch == PROFILED_STEPS[0]:
            tf.profiler.experimental.start(self.log_dir)
            self.running = True

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None):
        """Stops the profiler after the last profiled step."""
        if self.running and batch + 1 == PROFILED_STEPS[1]:
            self._stop()

    def on_train_end(self, logs: Mapping | None = None):
        """Stops the profiler if training ends before."""
        if self.running:
            self._stop()

    def _stop(self):
        tf.profiler.experimental.stop()
        self.running = False


def write_pictures(writer: tf.summary.SummaryWriter, batch: Mapping[str, np.ndarray], step: int):
    """Writes the first, middle and last frame of a batch's clips to TensorBoard.

    Args:
        writer: Writer of TensorBoard's events.
        batch: Stream, "rgb" or "flow", to float32 (N, T, S, S, C) in [-1, 1]; of flow, x is shown
            as red and y as green.
        step: Step of the pictures.
    """
    with writer.as_default(step):
        for stream, clips in batch.items():
            title = f"what the network sees: {stream}"
            tf.summary.image(title, _strip(np.asarray(clips), stream), max_outputs=8)


def _strip(clips, stream):
    """Returns three frames of each clip side by side: (N, S, 3 S, 3) in [0, 1]."""
    chosen = clips[:, [0, clips.shape[1] // 2, -1]]  # (N, 3, S, S, C)
    if stream == "flow":
        chosen = np.concatenate([chosen, np.zeros_like(chosen[..., :1])], axis=-1)
    return (np.concatenate(list(chosen.swapaxes(0, 1)), axis=2) + 1) / 2
