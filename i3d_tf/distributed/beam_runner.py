"""Jobs by Apache Beam: in processes on this machine, or on Dataflow, Flink or Spark."""

import logging
import os
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from i3d_tf.distributed.beam_flags import BeamError, import_options, parse_options
from i3d_tf.distributed.beam_run import PipelineRun
from i3d_tf.system.errors import short_reason
from i3d_tf.system.job_status import Failures, OutputFiles
from i3d_tf.system.jobs import Outcomes, Task, Work
from i3d_tf.system.remote import is_remote, remove, write_bytes
from i3d_tf.system.storage import join
from i3d_tf.system.worker_pool import processor_count
from i3d_tf.video.frame_folder import RATE_VARIABLE
from i3d_tf.video.options import VARIABLE

LOCAL = "DirectRunner"
DATAFLOW = "DataflowRunner"  # whose machines have none of this one's files
WORKERS, MODE, LOG_LEVEL = (
    "--direct_num_workers",
    "--direct_running_mode",
    "--default_sdk_harness_log_level",
)
PROCESSES = "multi_processing"
SECONDS = 0.5  # from look to look at what is done
MAX_PIPELINE = 6 * 2**20  # bytes of tasks: Dataflow takes descriptions of 10 MB, in base 64
PROBE = ".writable"
LOST = "there is neither an output nor a reason; run the same command again"


class BeamRunner:
    """The runner of a job's tasks by a pipeline, see `i3d_tf.system.jobs.JobRunner`.

    Args:
        flags: Options of Beam, `--name=value`; `--runner` is among them, or is Beam's own on this
            machine. There, as many processes work as there are processors, or as
            `--direct_num_workers` says.
        threads: Threads of each process; None divides this machine's processors among its
            processes, and means 1 on others.
        records_dir: See `JobRunner`.

    Attributes:
        threads: Threads of each process.
        records_dir: As given.

    Raises:
        BeamError: Beam is not installed, does not know the runner, or an option is wrong.
    """

    def __init__(
        self,
        flags: Sequence[str] = (),
        threads: int | None = None,
        records_dir: str | None = None,
    ):
        self.records_dir = records_dir
        beam_options = import_options()
        self._options = parse_options(flags)
        self._name = self._options.view_as(beam_options.StandardOptions).runner or LOCAL
        self._is_local = self._name.lower() in (LOCAL.lower(), "direct")
        share = 1
        if self._is_local:
            share = self._set_local_options(
                beam_options, {flag.partition("=")[0] for flag in flags}
            )
        else:
            self._runner = self._other_runner()
        self.threads = share if threads is None else threads

    def run_each(
        self,
        work: Work,
        output_dir: os.PathLike | str,
        died: str,
        inputs: Callable[[Task], Iterable[str]] | None = None,
    ) -> Callable[[Sequence[Task], Path], Outcomes]:
        """Returns a function for `run_job`; see `JobRunner`."""
        from i3d_tf.distributed.beam_pipeline import JobWork

        place = os.fspath(output_dir)
        place = place if is_remote(place) else os.path.abspath(place)
        environment = {
            name: os.environ[name] for name in (VARIABLE, RATE_VARIABLE) if name in os.environ
        }
        job = JobWork(secrets.token_hex(8), work, died, place, environment)

        def run(tasks, staging):
            waiting = {task.target: task for task in tasks}
            if tasks:
                self._check_places(tasks, place, inputs or _source)
                failures = Failures(place)
                for target in waiting:
                    failures.discard(target)
                # Where an old output is replaced, its name does not say when.
                new = [target for target in waiting if not is_remote(target)]
                new = [target for target in new if not os.path.lexists(target)]
                with self._running(tasks, job, staging) as pipeline:
                    for target in _appearing(new, pipeline.ended):
                        yield waiting.pop(target), None
            failures, files = Failures(place), OutputFiles(place)
            for target, task in waiting.items():
                reason = failures.reason(target)
                yield task, reason if reason or target in files else LOST

        return run

    def _set_local_options(self, beam_options, given):
        """Sets the options that are not given; returns each process's share of the processors."""
        direct = self._options.view_as(beam_options.DirectOptions)
        if WORKERS not in given:
            direct.direct_num_workers = processor_count()
        mode = direct.direct_running_mode if MODE in given else PROCESSES
        self._has_processes = mode == PROCESSES
        if self._has_processes:  # by a command of our own: see `_local_runner`
            direct.direct_running_mode = "in_memory"
        if LOG_LEVEL not in given:
            workers = self._options.view_as(beam_options.WorkerOptions)
            workers.default_sdk_harness_log_level = "CRITICAL"
            logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
        return max(1, processor_count() // (direct.direct_num_workers or processor_count()))

    def _check_places(self, tasks, output_dir, inputs):
        """Refuses what the workers cannot read or write, before one of them starts."""
        places = (path for task in tasks for path in (*inputs(task), task.target))
        here = {path for path in places if not is_remote(path)}
        if self._name == DATAFLOW and here:
            raise BeamError(
                f"{min(map(str, here))}: --runner={DATAFLOW} works on machines that do not have "
                "this file. Name addresses of videos and outputs, such as gs://bucket/videos."
            )
        relative = [str(path) for path in here if not os.path.isabs(path)]
        if not self._is_local and relative:
            raise BeamError(
                f"{min(relative)}: other machines have no such file. Name absolute paths of a disk "
                "that all machines share, or addresses."
            )
        if is_remote(output_dir):
            probe = join(output_dir, f"{PROBE}-{secrets.token_hex(4)}")
            try:
                write_bytes(probe, b"")
            except OSError as error:
                reason = str(getattr(error.__cause__, "reason", error))
                raise OSError(f"{output_dir}: nothing can be written there: {reason}.") from error
            remove(probe)

    def _running(self, tasks, job, staging):
        """Returns the run of the job's pipeline."""
        import apache_beam as beam

        from i3d_tf.distributed.beam_pipeline import build_pipeline, pack_tasks

        packed = pack_tasks(tasks)
        size = sum(map(len, packed))
        if not self._is_local and size > MAX_PIPELINE:
            raise BeamError(
                f"{len(tasks)} videos are too many for one pipeline. Run it by parts: "
                f"--shard=0/{size // MAX_PIPELINE + 1} and so on."
            )
        folder = Path(staging, "running")
        folder.mkdir()
        runner = self._local_runner(folder) if self._is_local else self._runner
        pipeline = beam.Pipeline(runner=runner, options=self._options)
        build_pipeline(pipeline, packed, job)
        return PipelineRun(pipeline, folder)

    def _local_runner(self, folder):
        """Returns Beam's runner in Python; by its usual name, Beam would download one in Go."""
        from apache_beam.portability.api import beam_provision_api_pb2
        from apache_beam.runners.portability.fn_api_runner import fn_runner
        from apache_beam.runners.portability.portable_runner import JobServiceHandle
        from apache_beam.transforms.environments import SubprocessSDKEnvironment

        environment = None
        if self._has_processes:
            command = [
                sys.executable,
                "-m",
                "i3d_tf.distributed.beam_worker",
                str(folder.absolute()),
            ]
            environment = SubprocessSDKEnvironment.from_command_string(
                f"exec {shlex.join(command)}"
            )
        values = JobServiceHandle.encode_pipeline_options(self._options.get_all_options())
        information = beam_provision_api_pb2.ProvisionInfo(pipeline_options=values)
        return fn_runner.FnApiRunner(
            environment, provision_info=fn_runner.ExtendedProvisionInfo(information)
        )

    def _other_runner(self):
        from apache_beam.runners.runner import create_runner

        try:
            return create_runner(self._name)
        except (ValueError, ImportError) as error:
            raise BeamError(f"--runner={self._name}: {short_reason(error)}.") from error


def _source(task):
    return (task.source,)


def _appearing(paths, ended):
    """Yields paths as files appear there, until an event is set."""
    missing, pause = set(paths), SECONDS
    while not ended.wait(pause):
        start = time.monotonic()
        for path in [path for path in missing if os.path.lexists(path)]:
            missing.discard(path)
            yield path
        pause = max(SECONDS, 10 * (time.monotonic() - start))  # a shared disk takes its time
