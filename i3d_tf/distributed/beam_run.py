"""A pipeline that runs while a block lasts, and ends with it."""

import contextlib
import re
import threading
from pathlib import Path
from typing import Any

from i3d_tf.distributed.beam_flags import BeamError
from i3d_tf.system.signals import stop_signals_deferred

DONE = "DONE"
WORKER_THREAD = "run_worker"  # Beam's, each of which waits for a worker process
GRACE = 10.0  # seconds for a worker process to end
# A `JobError` in the text of what a runner raises, which has the tracebacks of its workers in it.
_JOB_ERROR = re.compile(r"JobError: (.*?)(?: \[while running .*)?$", re.MULTILINE)


class PipelineRun:
    """A run of a pipeline, in a thread: Beam waits for its workers before it lets Ctrl-C through.

    Args:
        pipeline: The pipeline.
        folder: Folder without which the workers on this machine end; it exists.

    Attributes:
        ended: Event of the end.
    """

    def __init__(self, pipeline: Any, folder: Path):
        self._pipeline, self._folder = pipeline, folder
        self._result: Any = None
        self._error: Exception | None = None
        self.ended = threading.Event()

    def __enter__(self) -> "PipelineRun":
        self._report, threading.excepthook = threading.excepthook, self._hear
        thread = threading.Thread(target=self._run, daemon=True)
        with stop_signals_deferred():
            thread.start()
        return self

    def __exit__(self, *exception):
        """Ends the pipeline if it is still running.

        Raises:
            BeamError: It has failed.
        """
        was_running = not self.ended.is_set()
        self.ended.set()
        self._folder.rmdir()
        if was_running and self._result is not None:
            with contextlib.suppress(Exception):  # it may have ended meanwhile
                self._result.cancel()
        for thread in threading.enumerate():
            if thread.name == WORKER_THREAD:
                thread.join(GRACE)
        if not was_running:
            threading.excepthook = self._report
        if self._error is not None:
            raise BeamError(_message(self._error)) from self._error

    def _run(self):
        try:
            self._result = self._pipeline.run()
            state = self._result.wait_until_finish()
            if state != DONE:
                raise BeamError(f"the pipeline ended as {state}; its runner says why.")
        except Exception as error:
            self._end(error)
        else:
            self._end(None)

    def _end(self, error):
        if not self.ended.is_set():
            self._error = error
            self.ended.set()

    def _hear(self, event):
        """Hears of exceptions that end threads, of which Beam's own take no notice."""
        if self.ended.is_set():  # and workers with it
            return
        if event.thread is None or event.thread.name != WORKER_THREAD:
            self._report(event)
        else:  # Beam would wait for the worker for ever
            self._end(
                BeamError(
                    "a worker process ended, perhaps for want of memory. Run the same command "
                    "again to go on."
                )
            )


def _message(error):
    """Returns a line of what ended a pipeline."""
    if isinstance(error, BeamError):
        return str(error)
    if found := _JOB_ERROR.findall(str(error)):
        return found[-1]
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"the pipeline failed: {lines[-1] if lines else type(error).__name__}"
