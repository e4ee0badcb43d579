"""Videos -> flow files: in parallel, going on where an earlier run stopped, past bad videos."""

import os
import secrets
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from i3d_tf.flow.engines import ALGORITHMS, choose_engine, engine_parameters
from i3d_tf.flow.flow_file import SUFFIX, flow_path, open_flow_file
from i3d_tf.flow.metadata import flow_metadata, metadata_difference
from i3d_tf.flow.stream import use_one_opencv_thread, write_video_flow
from i3d_tf.flow.tvl1 import MIN_SIDE
from i3d_tf.specs.streams import FRAME_RATE, SHORT_SIDE
from i3d_tf.system.console import progress_bar
from i3d_tf.system.files import staging_dir
from i3d_tf.system.worker_pool import check_processes, map_unordered
from i3d_tf.video.errors import VideoError
from i3d_tf.video.find import find_videos, is_list, listed_names
from i3d_tf.video.resample import as_fraction

# These work on one pair of frames at a time with one core; the others use all cores for one video.
ONE_CORE_ENGINES = ("dis",)
DIED = "computing its flow ends the process: a crash, or more memory than there is"


@dataclass(frozen=True)
class FlowSettings:
    """What the flow of all videos of a job is made with.

    Attributes:
        engine: A name in `ENGINES`.
        parameters: TVL1Parameters, or DISParameters.
        frame_rate: Frames per second after resampling.
        short_side: Pixels after resizing.
    """

    engine: str
    parameters: object
    frame_rate: float
    short_side: int


@dataclass(frozen=True)
class FlowReport:
    """What a job did.

    Attributes:
        flow_dir: Where the flow files are.
        settings: FlowSettings.
        computed: Flow files made now.
        kept: Flow files that were there already.
        failed: (video, reason) of each that could not be read.
    """

    flow_dir: Path
    settings: FlowSettings
    computed: int
    kept: int
    failed: tuple[tuple[str, str], ...]

    def line(self) -> str:
        """The report in one line for a terminal."""
        engine = self.settings.engine
        return (
            f"{self.flow_dir}: {self.computed} computed ({ALGORITHMS[engine]} by {engine}), "
            f"{self.kept} already there, {len(self.failed)} failed"
        )


def compute_flow_files(
    videos,
    flow_dir,
    data_dir=None,
    engine="auto",
    preset="default",
    frame_rate=FRAME_RATE,
    short_side=SHORT_SIDE,
    processes=None,
    overwrite=False,
):
    """Computes a flow file for each video, or for those that have none yet.

    A video that cannot be read is reported on stderr, and the others are finished. Stopped and run
    again, the job goes on where it was. No half-written file is left behind.

    Args:
        videos: Files, folders, patterns, or lists (.txt, a video a line, relative to `data_dir` or
            to the list); none means all below `data_dir`.
        flow_dir: Where the flow files go; it is made where it does not exist.
        data_dir: A folder whose structure is kept in `flow_dir`; None puts all flow files into
            `flow_dir` itself.
        engine: As for `compute_flow`.
        preset: A name in `i3d_tf.flow.engines.PRESETS`.
        frame_rate: Frames per second after resampling, > 0.
        short_side: Pixels after resizing, at least 16.
        processes: Videos at a time, each in a process of its own; None means what suits the engine.
        overwrite: Whether flow files that were made from or with something else are replaced.

    Returns:
        FlowReport.

    Raises:
        ValueError: An argument is not as above, there are no videos, two would share a flow file,
            or a flow file is there that was made from or with something else.
        OSError: A folder or a flow file cannot be written.
    """
    as_fraction("frame_rate", frame_rate, positive=True)
    if not isinstance(short_side, int) or short_side < MIN_SIDE:
        raise ValueError(f"`short_side` must be an integer >= {MIN_SIDE}; received {short_side!r}.")
    engine = choose_engine(engine)
    settings = FlowSettings(engine, engine_parameters(engine, preset), frame_rate, short_side)
    processes = _checked_processes(processes, engine)
    targets = _targets(find_videos(_expand(videos, data_dir)), flow_dir, data_dir)
    todo = {
        video: target
        for video, target in targets.items()
        if not _is_there(target, video, settings, overwrite)
    }
    failed = _compute_all(todo, Path(flow_dir), settings, min(processes, len(todo)))
    computed = len(todo) - len(failed)
    return FlowReport(Path(flow_dir), settings, computed, len(targets) - len(todo), failed)


def _checked_processes(processes, engine):
    return check_processes(processes, None if engine in ONE_CORE_ENGINES else 1)


def _expand(arguments, data_dir):
    """The arguments with lists replaced by what they list."""
    named = []
    for argument in map(str, arguments):
        if is_list(argument):
            folder = os.path.dirname(argument) if data_dir is None else data_dir
            named += [os.path.join(folder, name) for name in listed_names(argument)]
        else:
            named.append(argument)
    return named if arguments or data_dir is None else [data_dir]


def _targets(videos, flow_dir, data_dir):
    """Video to flow file; two videos never share one."""
    targets, owners = {}, {}
    for video in videos:
        target = flow_path(video, flow_dir, data_dir)
        if target in owners:
            raise ValueError(
                f"{owners[target]} and {video} would both become {target}; give the folder that "
                "they have in common as `data_dir`, or rename one."
            )
        targets[video], owners[target] = target, video
    return targets


def _is_there(target, video, settings, overwrite):
    """Whether a flow file is whole, and made from this video and with these settings."""
    if not os.path.lexists(target):
        return False
    wanted = flow_metadata(video, **vars(settings))
    try:
        wrong = metadata_difference(open_flow_file(target).metadata, wanted)
    except VideoError as error:
        wrong = error.reason
    if wrong is not None and not overwrite:
        raise ValueError(
            f"{target} is there already, and not what is wanted: {wrong}. Give another `flow_dir`, "
            "or `overwrite` to replace such files."
        )
    return wrong is None


def _compute_all(todo, flow_dir, settings, processes):
    """Computes videos into flow files; returns (video, reason) of each that could not be read."""
    failed = []
    for folder in {flow_dir, *(target.parent for target in todo.values())}:
        folder.mkdir(parents=True, exist_ok=True)
    with staging_dir(flow_dir) as unfinished:
        tasks = [(video, target, unfinished, settings) for video, target in todo.items()]
        with progress_bar() as progress, closing(_outcomes(tasks, processes)) as outcomes:
            bar = progress.add_task("computing flow", total=len(tasks))
            for (video, *_), reason in outcomes:
                if reason is not None:
                    failed.append((video, reason))
                    print(f"error: {video}: {reason}", file=sys.stderr, flush=True)
                progress.advance(bar)
    return tuple(failed)


def _outcomes(tasks, processes):
    if processes > 1:
        return map_unordered(compute_in_worker, tasks, processes, died=DIED)
    return ((task, compute_one(task)) for task in tasks)


def compute_one(task) -> str | None:
    """Computes the flow file of one video; returns why it could not.

    Args:
        task: (video, flow file, folder for what is unfinished, FlowSettings).
    """
    video, target, unfinished, settings = task
    try:
        whole = os.path.join(unfinished, f"{secrets.token_hex(4)}{SUFFIX}")
        write_video_flow(video, whole, **vars(settings))
        os.replace(whole, target)
    except VideoError as error:
        return error.reason
    except MemoryError:
        return "there is not enough memory for it"
    return None


def compute_in_worker(task) -> str | None:
    """Does the same in one of several processes."""
    use_one_opencv_thread()
    return compute_one(task)
