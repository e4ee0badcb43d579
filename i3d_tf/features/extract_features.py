"""Feature files of videos: a resumable job."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from i3d_tf.data.feature_file import (
    VideoFeatures,
    check_sidecar,
    feature_paths,
    is_feature_file,
    read_features,
    source_name,
)
from i3d_tf.features.file_layout import FileLayout, check_set, set_fault, write_feature_set
from i3d_tf.features.options import FeatureOptions
from i3d_tf.flow.flow_folder import find_flow
from i3d_tf.flow.stream import use_one_opencv_thread
from i3d_tf.specs.feature_profiles import FORMATS
from i3d_tf.specs.streams import streams_of
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.console import quiet_tensorflow
from i3d_tf.system.job_status import JobStatus, job_status
from i3d_tf.system.jobs import (
    SOURCE,
    JobRunner,
    Task,
    first_difference,
    has_remote,
    missing_outputs,
    reason_of_failure,
    run_each,
    run_job,
)
from i3d_tf.system.remote import as_path, check_local, is_remote, path_of
from i3d_tf.system.shards import Shard
from i3d_tf.system.worker_pool import check_processes, processor_count, share_processors
from i3d_tf.video.find import VideoTarget, find_targets

if TYPE_CHECKING:
    from i3d_tf.features.extractor import FeatureExtractor
    from i3d_tf.features.person_extractor import PersonFeatureExtractor, PersonFeatureOptions

    Options = FeatureOptions | PersonFeatureOptions
    Extractor = FeatureExtractor | PersonFeatureExtractor

# Settings that are in the metadata of some files only: where one is, another run must have it, too.
OPTIONAL_SETTINGS = ("tail", "short", "lookahead", "keep_axes", "rgb_step", "layout")
TWO_STEPS = 16  # frames of a window in which the head averages two steps, as "space_time" does
DIED = "extracting its features ends the process: a crash, or too little memory"


class FeatureFiles(NamedTuple):
    """Inputs and outputs of one video besides its own.

    Attributes:
        flow_file: Path of its flow file, or None.
        paths: All files that are made of it; the first is the target.
        layout: FileLayout.
    """

    flow_file: str | None
    paths: tuple[Path | str, ...]
    layout: FileLayout


@dataclass(frozen=True)
class FeatureReport:
    """Counts of a finished job.

    Attributes:
        output_dir: Folder of the feature files, or its address.
        extracted: Files that were written.
        kept: Files that were there already.
        failed: (video, reason) of each without features.
    """

    output_dir: Path | str
    extracted: int
    kept: int
    failed: tuple[tuple[str, str], ...]

    def line(self) -> str:
        """Returns the report in one line for a terminal."""
        return (
            f"{self.output_dir}: {self.extracted} extracted, {self.kept} already there, "
            f"{len(self.failed)} failed"
        )


def extract_feature_files(
    videos: Sequence[os.PathLike | str],
    output_dir: os.PathLike | str,
    options: "Options",
    file_format: str = "npy",
    flow_dir: os.PathLike | str | None = None,
    processes: int = 1,
    overwrite: bool = False,
    list_file: os.PathLike | str | None = None,
    shard: Shard | None = None,
    layout: FileLayout | None = None,
    runner: JobRunner | None = None,
) -> FeatureReport:
    """Writes a feature file for each video that has none yet.

    A video that cannot be read is reported on stderr, and the others are processed. A stopped job
    goes on when it is run again, and gives the same files as an undisturbed one.

    Args:
        videos: Files, folders, patterns or lists, see `find_targets`.
        output_dir: Folder of the feature files, or an address; it is made if it does not exist.
        options: FeatureOptions, or PersonFeatureOptions for features of persons in boxes.
        file_format: "npy", "npz" or "h5".
        flow_dir: Folder of flow files of `compute_flow_files`, or of folders of pictures of flow,
            with the structure that the feature files get; None computes flow where it is needed.
        processes: Videos at a time, each in a process of its own.
        overwrite: Whether to replace feature files that were made with other settings.
        list_file: See `find_targets`.
        shard: The part of the videos that is worked on; None means all. Several processes may work
            on the same folder at once, also on the same shard.
        layout: FileLayout; None is one file of `file_format` for each video.
        runner: The runner of the job, in place of `processes`; None means this machine.

    Raises:
        ValueError: An argument is invalid, there are no videos, two would share a file, a file
            was made with other settings and must not be replaced, or the weights do not fit.
        OSError: Weights do not exist, or a folder or a file cannot be written.
    """
    check_choice("file_format", file_format, FORMATS)
    check_processes(processes)
    check_local("flow_dir", flow_dir)
    if layout is None:
        crops = options.frames.crops if isinstance(options, FeatureOptions) else 1
        layout = FileLayout(file_format, streams_of(options.stream), crops)
    targets = _find(videos, output_dir, layout, list_file, shard)
    if "flow" not in streams_of(options.stream):
        flow_dir = None
    tasks = [
        Task(
            target.video,
            target.path,
            FeatureFiles(_flow_file(target, flow_dir), target.paths, layout),
        )
        for target in targets
    ]
    extractor = open_extractor(options)
    missing = missing_outputs(
        tasks,
        partial(_mismatch, extractor),
        overwrite,
        is_own=is_feature_file,
        outputs=_outputs,
        output_dir=output_dir,
    )
    for task in missing:
        if not is_remote(task.target):
            check_sidecar(task.target)
            check_set(task.details.paths)
    processes = min(processes, len(missing))
    if runner is not None:
        work = partial(extract_in_worker, options, runner.threads)
        run = runner.run_each(work, output_dir, DIED)
    elif processes > 1:
        threads = max(1, processor_count() // processes)
        run = run_each(partial(extract_in_worker, options, threads), processes, DIED)
    elif has_remote(missing):  # one is copied here at a time
        run = run_each(partial(_extract_one, extractor))
    else:
        run = partial(_extract, extractor)
    failed = run_job(missing, run, output_dir, "extracting features", _outputs)
    return FeatureReport(
        as_path(os.fspath(output_dir)),
        len(missing) - len(failed),
        len(tasks) - len(missing),
        failed,
    )


def open_extractor(options: "Options") -> "Extractor":
    """Returns the networks of some options, made ready; TensorFlow takes seconds to import."""
    if isinstance(options, FeatureOptions):
        from i3d_tf.features.extractor import FeatureExtractor

        return FeatureExtractor(options)
    from i3d_tf.features.person_extractor import PersonFeatureExtractor

    return PersonFeatureExtractor(options)


def feature_status(
    videos: Sequence[os.PathLike | str],
    output_dir: os.PathLike | str,
    layout: FileLayout | None = None,
    list_file: os.PathLike | str | None = None,
    shard: Shard | None = None,
) -> JobStatus:
    """Returns which feature files are there, over all shards or of one; see `job_status`.

    Args:
        videos: See `extract_feature_files`.
        output_dir: Folder of the feature files.
        layout: See `extract_feature_files`; None is an .npy file for each video.
        list_file: See `find_targets`.
        shard: The part of the videos that is looked at; None means all.

    Raises:
        ValueError: An argument is invalid, or there are no videos.
    """
    targets = _find(videos, output_dir, layout or FileLayout(), list_file, shard)
    return job_status(output_dir, ((each.video, _all_paths(each.paths)) for each in targets))


def _find(videos, output_dir, layout, list_file, shard):
    return find_targets(
        videos, output_dir, layout.names, list_file=list_file, shard=shard, source_of=source_name
    )


def _all_paths(paths):
    """Returns all files of a video, with the metadata."""
    return [*feature_paths(paths[0]), *paths[1:]]


def _outputs(task):
    return _all_paths(task.details.paths)


def _paths(task):
    """Returns the files of a task; where it has a copy of an address, those beside the copy."""
    paths = task.details.paths
    if not is_remote(paths[0]):
        return paths
    place = str(task.target).removesuffix(path_of(paths[0]))
    return tuple(Path(place + path_of(path)) for path in paths)


def _flow_file(target: VideoTarget, flow_dir):
    return None if flow_dir is None else str(find_flow(target.video, flow_dir, target.root))


def _mismatch(extractor: "Extractor", task: Task) -> str | None:
    """Returns how a feature file differs from what is wanted, or None."""
    files = task.details
    wanted = extractor.metadata(task.source, files.flow_file) | files.layout.metadata()
    try:
        found = read_features(task.target).metadata
    except ValueError as error:
        return str(error)
    is_two_steps = wanted["window"] is not None and wanted["window"] <= TWO_STEPS
    if is_two_steps and (found.get("pool"), wanted["pool"]) == ("space_time", "head"):
        found["pool"] = "head"  # of files of earlier versions, by another name
    _forget_flow_file(found, wanted)
    difference = first_difference(found, wanted, names=[*wanted, *OPTIONAL_SETTINGS])
    return difference or set_fault(_paths(task))


def _forget_flow_file(found, wanted):
    """Leaves out of what is wanted what files of earlier versions do not say."""
    of_flow = found.get("preprocessing", {}).get("flow")
    if isinstance(of_flow, dict) and SOURCE not in of_flow:
        wanted["preprocessing"]["flow"].pop(SOURCE, None)


def _extract(
    extractor: "Extractor", tasks: Sequence[Task], staging: Path
) -> Iterator[tuple[Task, str | None]]:
    """Writes feature files in this process; see `run_job`."""
    results = extractor.extract_videos((task.source, task.details.flow_file) for task in tasks)
    with closing(results):
        for task, result in zip(tasks, results, strict=True):
            if isinstance(result, VideoFeatures):
                _write(task, result, staging)
                yield task, None
            else:
                yield task, reason_of_failure(task, result)


def _extract_one(extractor: "Extractor", task: Task, staging: Path) -> None:
    """Writes the feature file of one video in this process; see `run_each`."""
    _write(task, extractor.extract(task.source, task.details.flow_file), staging)


def extract_in_worker(options: "Options", threads: int, task: Task, staging: Path):
    """Writes the feature file of one video in one of several processes; see `run_each`."""
    features = _worker_extractor(options, threads).extract(task.source, task.details.flow_file)
    _write(task, features, staging)


def _write(task, features, staging):
    files = task.details
    features = replace(features, metadata=features.metadata | files.layout.metadata())
    write_feature_set(_paths(task), features, files.layout, staging)


@lru_cache(maxsize=1)
def _worker_extractor(options, threads):
    """Returns the networks of this process, which has its share of the processors."""
    use_one_opencv_thread()
    share_processors(threads)
    quiet_tensorflow()
    return open_extractor(options)
