"""The pipeline of a job: what Apache Beam's workers do with its tasks.

Tasks travel as the names of their videos and outputs: a worker decodes a video, runs the network
and writes the output in one step, as frames take a hundred times the space of their file. It has a
child process that loads the network once, and that is replaced where a video ends it.
"""

import contextlib
import os
import pickle
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from threading import Lock

import apache_beam as beam
from apache_beam.metrics import Metrics

from i3d_tf.system.errors import UserError, message_of
from i3d_tf.system.files import staging_dir
from i3d_tf.system.job_status import Failures
from i3d_tf.system.jobs import Task, Work, attempt_task, has_remote
from i3d_tf.system.remote import is_remote
from i3d_tf.system.worker_pool import TaskProcess

FAILED = "failed"  # the side output
METRICS = "i3d_tf"
BATCH = 500  # tasks that are packed together, and share what they have in common


class JobError(Exception):
    """An error that ends a job, such as a full disk, and is no fault of a video."""


@dataclass(frozen=True)
class JobWork:
    """A job as its workers have to know it.

    Attributes:
        job: Text that tells the job from others.
        work: See `i3d_tf.system.jobs.run_each`.
        died: Why a task failed that ended its process every time.
        output_dir: Folder of all outputs, or an address.
        environment: Variables of the environment.
    """

    job: str
    work: Work
    died: str
    output_dir: str
    environment: Mapping[str, str]


def pack_tasks(tasks: Sequence[Task]) -> list[bytes]:
    """Returns tasks as the first elements of a pipeline, which are a part of its description."""
    batches = (tasks[start : start + BATCH] for start in range(0, len(tasks), BATCH))
    return [zlib.compress(pickle.dumps(list(batch))) for batch in batches]


def build_pipeline(pipeline: beam.Pipeline, packed: Sequence[bytes], job: JobWork) -> None:
    """Adds the steps of a job to a pipeline.

    Args:
        pipeline: The pipeline.
        packed: The tasks, see `pack_tasks`.
        job: What is done with them.
    """
    outputs = (
        pipeline
        | "tasks" >> beam.Create(packed, reshuffle=False)
        | "one by one" >> beam.FlatMap(_unpack)
        | "spread" >> beam.Reshuffle()  # else one worker would do all that it has unpacked
        | "work" >> beam.ParDo(_DoTask(job)).with_outputs(FAILED, main="done")
    )
    outputs[FAILED] | "failures" >> beam.ParDo(_WriteFailure(job))


def _unpack(batch: bytes) -> Iterable[bytes]:
    return [pickle.dumps(task) for task in pickle.loads(zlib.decompress(batch))]  # noqa: S301


class _DoTask(beam.DoFn):
    """Does tasks: the done ones are given by the names of their targets, and others with a reason.

    Args:
        job: What is done.
    """

    def __init__(self, job: JobWork):
        self._job = job
        self._done = Metrics.counter(METRICS, "done")
        self._failed = Metrics.counter(METRICS, FAILED)

    def setup(self):
        os.environ.update(self._job.environment)

    def start_bundle(self):
        self._folders = _Folders(self._job.output_dir)

    def process(self, element: bytes) -> Iterator:
        task = pickle.loads(element)  # noqa: S301 - of the pipeline itself
        try:
            places = self._folders.staging, self._folders.copies if has_remote([task]) else None
            reason = _process_of(self._job)(*places, task)
        except BaseException as error:
            self._folders.close()
            is_known = isinstance(error, (OSError, ValueError, UserError))
            kind = "" if is_known else f"{type(error).__name__}: "
            raise JobError(" ".join(f"{kind}{message_of(error)}".split())) from error
        if reason is None:
            self._done.inc()
            yield str(task.target)
        else:
            self._failed.inc()
            yield beam.pvalue.TaggedOutput(FAILED, (str(task.target), task.source, reason))

    def finish_bundle(self):
        self._folders.close()


class _WriteFailure(beam.DoFn):
    """Keeps failures in the output folder, see `i3d_tf.system.job_status`."""

    def __init__(self, job: JobWork):
        self._output_dir = job.output_dir

    def start_bundle(self):
        self._failures, self._folders = None, _Folders(self._output_dir)

    def process(self, failure: tuple[str, str, str]) -> None:
        if self._failures is None:
            self._failures = Failures(self._output_dir)
        self._failures.add(*failure, self._folders.staging)

    def finish_bundle(self):
        self._folders.close()


class _Folders:
    """Folders of a bundle of tasks, made when they are needed.

    Attributes:
        staging: For half-written files.
        copies: For copies of remote files.
    """

    def __init__(self, output_dir: str):
        self._place = gettempdir() if is_remote(output_dir) else output_dir
        self._made: dict[str, Path] = {}
        self._stack, self._closing = contextlib.ExitStack(), Lock()
        _folders.add(self)

    @property
    def staging(self) -> Path:
        return self._folder("staging", self._place)

    @property
    def copies(self) -> Path:
        return self._folder("copies", gettempdir())

    def close(self):
        with self._closing:  # also by `abandon_work`
            self._made = {}
            self._stack.close()

    def _folder(self, name, place):
        if name not in self._made:
            self._made[name] = self._stack.enter_context(staging_dir(place))
        return self._made[name]


_folders: weakref.WeakSet[_Folders] = weakref.WeakSet()  # of this process
_processes: dict[str, TaskProcess] = {}  # of this process, by the job
_lock = Lock()


def _process_of(job: JobWork) -> TaskProcess:
    """Returns the child of this process that does the tasks of a job."""
    with _lock:
        if job.job not in _processes:
            _processes[job.job] = TaskProcess(partial(attempt_task, job.work), job.died)
        return _processes[job.job]


def abandon_work() -> None:
    """Ends the children of this process and removes its folders, as it is about to end."""
    for process in list(_processes.values()):
        process.close()
    for folders in list(_folders):
        folders.close()
