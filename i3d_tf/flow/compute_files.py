"""Flow files of many videos: in parallel, resumed where an earlier run stopped, past bad videos."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from i3d_tf.flow.engines import ALGORITHMS, FlowParameters, choose_engine, engine_parameters
from i3d_tf.flow.flow_file import SUFFIX, is_flow_file, open_flow_file, source_name
from i3d_tf.flow.metadata import DECISIVE_FIELDS, flow_metadata, metadata_difference
from i3d_tf.flow.stream import use_one_opencv_thread, write_video_flow
from i3d_tf.flow.tvl1 import MIN_SIDE
from i3d_tf.specs.streams import (
    FLOW_DIRECTIONS,
    FLOW_ROUNDINGS,
    FORWARD,
    FRAME_RATE,
    SHORT_SIDE,
)
from i3d_tf.specs.validation import check_choice, check_integer
from i3d_tf.system.files import atomic_write
from i3d_tf.system.job_status import JobStatus, job_status
from i3d_tf.system.jobs import (
    SOURCE,
    JobRunner,
    Task,
    missing_outputs,
    run_each,
    run_job,
    source_difference,
)
from i3d_tf.system.remote import as_path
from i3d_tf.system.shards import Shard
from i3d_tf.system.worker_pool import check_processes, share_processors
from i3d_tf.video.errors import VideoError
from i3d_tf.video.find import find_targets
from i3d_tf.video.resample import as_fraction

# These work on one pair of frames at a time with one core; the others use all cores for one video.
ONE_CORE_ENGINES = ("dis",)
DIED = "computing its flow ends the process: a crash, or more memory than there is"


@dataclass(frozen=True)
class FlowSettings:
    """Settings of the flow of all videos of a job.

    Attributes:
        engine: A name in `ENGINES`.
        parameters: Those of the engine's algorithm.
        frame_rate: Frames per second after resampling.
        short_side: Pixels after resizing.
        rounding: Of the 8-bit codes.
        direction: See `i3d_tf.flow.stream.flow_frames`.
    """

    engine: str
    parameters: FlowParameters
    frame_rate: float
    short_side: int
    rounding: str
    direction: str = FORWARD


@dataclass(frozen=True)
class FlowReport:
    """Result of a job.

    Attributes:
        flow_dir: Where the flow files are; a path or an address.
        settings: How their flow was computed.
        computed: Flow files made now.
        kept: Flow files that were there already.
        failed: (video, reason) of each that could not be read.
    """

    flow_dir: Path | str
    settings: FlowSettings
    computed: int
    kept: int
    failed: tuple[tuple[str, str], ...]

    def line(self) -> str:
        """Returns the report in one line for a terminal."""
        engine = self.settings.engine
        return (
            f"{self.flow_dir}: {self.computed} computed ({ALGORITHMS[engine]} by {engine}), "
            f"{self.kept} already there, {len(self.failed)} failed"
        )


def compute_flow_files(
    videos: Sequence[str | os.PathLike],
    flow_dir: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    engine: str = "auto",
    preset: str = "default",
    frame_rate: float = FRAME_RATE,
    short_side: int = SHORT_SIDE,
    processes: int | None = None,
    overwrite: bool = False,
    rounding: str = "nearest",
    list_file: str | os.PathLike | None = None,
    shard: Shard | None = None,
    direction: str = FORWARD,
    runner: JobRunner | None = None,
) -> FlowReport:
    """Computes a flow file for each video, or for those that have none yet.

    A video that cannot be read is reported on stderr, and the others are processed. A stopped
    job goes on when it is run again. No half-written file is left behind. The flow file of a video
    that was replaced since is made anew, and a line says so.

    Args:
        videos: Files, folders, patterns, or lists (.txt, a video a line, relative to `data_dir` or
            to the list); none means all below `data_dir`.
        flow_dir: Where the flow files go, or an address; it is made where it does not exist.
        data_dir: A folder whose structure is kept in `flow_dir`; None puts all flow files into
            `flow_dir` itself.
        engine: See `compute_flow`.
        preset: A name in `i3d_tf.flow.engines.PRESETS`.
        frame_rate: Frames per second after resampling, > 0.
        short_side: Pixels after resizing, at least 16.
        processes: Videos at a time, each in a process of its own; None means what suits the engine.
        overwrite: Whether flow files that were made with other settings are replaced.
        rounding: Of the 8-bit codes, see `i3d_tf.flow.quantize`.
        list_file: One more list, whatever the ending of its name.
        shard: The part of the videos that is worked on; None means all. Several processes may work
            on the same folder at once, also on the same shard.
        direction: "forward", or "both" for backward flow, too, as bi-directional inputs need it.
            Files of both directions are kept where "forward" is asked for.
        runner: The runner of the job, in place of `processes`; None means this machine.

    Raises:
        ValueError: An argument is invalid, there are no videos, two would share a flow file, or a
            flow file exists that was made with other settings.
        OSError: A folder or a flow file cannot be written.
    """
    as_fraction("frame_rate", frame_rate, positive=True)
    check_integer("short_side", short_side, minimum=MIN_SIDE)
    check_choice("rounding", rounding, FLOW_ROUNDINGS)
    check_choice("direction", direction, FLOW_DIRECTIONS)
    engine = choose_engine(engine)
    parameters = engine_parameters(engine, preset)
    settings = FlowSettings(engine, parameters, frame_rate, short_side, rounding, direction)
    processes = check_processes(processes, None if engine in ONE_CORE_ENGINES else 1)
    targets = _find(videos, flow_dir, data_dir, list_file, shard)
    tasks = [Task(target.video, target.path, settings) for target in targets]
    remedy = "Give another `flow_dir`, or `overwrite` to replace such files."
    missing = missing_outputs(
        tasks, _mismatch, overwrite, remedy, is_flow_file, _outdated, output_dir=flow_dir
    )
    if runner is not None:
        run = runner.run_each(partial(_compute_in_worker, runner.threads), flow_dir, DIED)
    elif processes > 1 and len(missing) > 1:
        run = run_each(_compute_on_one_core, processes, DIED)
    else:
        run = run_each(_compute)
    failed = run_job(missing, run, flow_dir, "computing flow")
    computed = len(missing) - len(failed)
    place = as_path(os.fspath(flow_dir))
    return FlowReport(place, settings, computed, len(tasks) - len(missing), failed)


def flow_status(
    videos: Sequence[str | os.PathLike],
    flow_dir: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    list_file: str | os.PathLike | None = None,
    shard: Shard | None = None,
) -> JobStatus:
    """Returns which flow files are there, over all shards or of one; see `job_status`.

    Args:
        videos: See `compute_flow_files`.
        flow_dir: Folder of the flow files.
        data_dir: See `compute_flow_files`.
        list_file: One more list, whatever the ending of its name.
        shard: The part of the videos that is looked at; None means all.

    Raises:
        ValueError: There are no videos, or two would share a flow file.
    """
    targets = _find(videos, flow_dir, data_dir, list_file, shard)
    return job_status(flow_dir, ((each.video, (each.path,)) for each in targets))


def _find(videos, flow_dir, data_dir, list_file, shard):
    return find_targets(
        videos,
        flow_dir,
        SUFFIX,
        data_dir,
        flat=True,
        list_file=list_file,
        shard=shard,
        source_of=source_name,
    )


def _mismatch(task):
    """Returns how a flow file differs from what the task would write; None where it does not."""
    try:
        found = open_flow_file(task.target).metadata
    except VideoError as error:
        return error.reason
    return metadata_difference(found, flow_metadata(task.source, **vars(task.details)))


def _outdated(task):
    """Returns why a flow file is another video's, where its settings are those of the task.

    That video is gone: were it there, the task's would have a flow file of another name.
    """
    try:
        found = open_flow_file(task.target).metadata
    except VideoError:
        return None
    wanted = flow_metadata(task.source, **vars(task.details))
    settings = [field for field in DECISIVE_FIELDS if field != SOURCE]
    if metadata_difference(found, wanted, settings) is not None:
        return None
    difference = source_difference(found[SOURCE], wanted[SOURCE])
    if difference is None:
        return None
    return f"it is the flow of another video than {task.source} ({difference})"


def _compute(task, staging):
    with atomic_write(task.target, SUFFIX, staging) as unfinished:
        write_video_flow(task.source, unfinished, **vars(task.details))


def _compute_in_worker(threads, task, staging):
    """Does the same in one of several processes, which has its share of the processors."""
    share_processors(threads)
    _compute_on_one_core(task, staging)


def _compute_on_one_core(task, staging):
    """Does the same in one of as many processes as there are cores."""
    use_one_opencv_thread()
    _compute(task, staging)
