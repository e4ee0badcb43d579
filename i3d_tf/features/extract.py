"""Videos -> feature files: going on where an earlier run stopped, past bad videos."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from i3d_tf.features.feature_file import FORMATS, read_features, write_features
from i3d_tf.flow.flow_file import flow_path
from i3d_tf.flow.stream import use_one_opencv_thread
from i3d_tf.system.console import progress_bar, quiet_tensorflow
from i3d_tf.system.files import staging_dir
from i3d_tf.system.worker_pool import check_processes, map_unordered, processor_count
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.find import find_targets

DIED = "making its features ends the process: a crash, or more memory than there is"


@dataclass(frozen=True)
class FeatureReport:
    """What a job did.

    Attributes:
        output_dir: Where the feature files are.
        extracted: Files made now.
        kept: Files that were there already.
        failed: (video, reason) of each that gave no features.
    """

    output_dir: Path
    extracted: int
    kept: int
    failed: tuple[tuple[str, str], ...]

    def line(self) -> str:
        """The report in one line for a terminal."""
        return (
            f"{self.output_dir}: {self.extracted} extracted, {self.kept} already there, "
            f"{len(self.failed)} failed"
        )


def extract_feature_files(
    videos,
    output_dir,
    options,
    file_format="npy",
    flow_dir=None,
    processes=1,
    overwrite=False,
):
    """Makes a feature file of each video, or of those that have none yet.

    A video that cannot be read is reported on stderr, and the others are finished. Stopped or
    killed and run again, the job goes on where it was, and leaves what it would have left.

    Args:
        videos: Files, folders, patterns or lists, see `find_targets`.
        output_dir: Where the feature files go; it is made where it does not exist.
        options: `i3d_tf.features.options.FeatureOptions`.
        file_format: "npy", "npz" or "h5".
        flow_dir: Where the flow files of `compute_flow_files` are, in the structure that the
            feature files get; None computes flow where it is needed.
        processes: Videos at a time, each in a process of its own.
        overwrite: Whether feature files that were made from or with something else are replaced.

    Returns:
        FeatureReport.

    Raises:
        ValueError: An argument is not as above, there are no videos, two would share a file, a file
            is there that was made from or with something else, or the weights do not fit.
        OSError: Weights are not there, or a folder or a file cannot be written.
    """
    if file_format not in FORMATS:
        raise ValueError(f"`file_format` must be one of {FORMATS}; received {file_format!r}.")
    check_processes(processes)
    targets = find_targets(videos, output_dir, f".{file_format}")
    from i3d_tf.features.extractor import FeatureExtractor  # and TensorFlow, which takes seconds

    extractor = FeatureExtractor(options)
    jobs = [
        (target.video, target.path, _flow_file(target, flow_dir, extractor)) for target in targets
    ]
    todo = [job for job in jobs if not _is_there(job, extractor, overwrite)]
    failed = _extract_all(todo, Path(output_dir), extractor, min(processes, len(todo)))
    extracted = len(todo) - len(failed)
    return FeatureReport(Path(output_dir), extracted, len(jobs) - len(todo), failed)


def _flow_file(target, flow_dir, extractor):
    if flow_dir is None or "flow" not in extractor.networks:
        return None
    return str(flow_path(target.video, flow_dir, target.root))


def _source(video):
    """What tells one version of a video from another."""
    size = os.path.getsize(video) if os.path.isfile(video) else None
    return {"name": os.path.basename(video), "bytes": size}


def _is_there(job, extractor, overwrite):
    """Whether a feature file is whole, and made from this video and with these options."""
    video, target, flow_file = job
    if not os.path.lexists(target):
        return False
    try:
        wanted = extractor.account(_source(video), flow_file)
        found = read_features(target).metadata
        wrong = difference(found, wanted)
    except VideoError:
        return False  # of the flow file; it will be said when the video's turn comes
    except ValueError as error:
        wrong = str(error)
    if wrong is not None and not overwrite:
        raise ValueError(
            f"{target} is there already, and not what is wanted: {wrong}. Give another "
            "--output_dir, or --overwrite to replace such files."
        )
    return wrong is None


def difference(found, wanted):
    """The first thing in which features are made otherwise than wanted.

    Args:
        found: Metadata of a feature file.
        wanted: What `FeatureExtractor.account` says.

    Returns:
        In words, such as "weights: rgb: name a, not b"; None where they are made alike.
    """
    for name, value in wanted.items():
        other = found.get(name) if isinstance(found, dict) else None
        if isinstance(value, dict) and isinstance(other, dict):
            if wrong := difference(other, value):
                return f"{name}: {wrong}"
        elif other != value:
            return f"{name} {other}, not {value}"
    return None


def _extract_all(todo, output_dir, extractor, processes):
    """Makes feature files; returns (video, reason) of each video that gave none."""
    for folder in (output_dir, *sorted({target.parent for _, target, _ in todo})):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"{folder}: this folder cannot be made: {reason_of(error)}.") from error
    failed = []
    with staging_dir(output_dir) as unfinished:
        tasks = [(*job, unfinished) for job in todo]
        outcomes = _outcomes(tasks, extractor, processes)
        with progress_bar() as progress, closing(outcomes):
            bar = progress.add_task("extracting features", total=len(tasks))
            for video, reason in outcomes:
                if reason is not None:
                    failed.append((video, reason))
                    print(f"error: {video}: {reason}", file=sys.stderr, flush=True)
                progress.advance(bar)
    return tuple(failed)


def _outcomes(tasks, extractor, processes):
    """(video, reason or None) of each task."""
    if processes <= 1:
        remaining = iter(tasks)
        for group in extractor.groups([video for video, *_ in tasks]):
            yield from extract_together(list(islice(remaining, len(group))), extractor)
        return
    threads = max(1, processor_count() // processes)
    shared = [(task, extractor.options, threads) for task in tasks]
    with closing(map_unordered(extract_in_worker, shared, processes, died=DIED)) as outcomes:
        for (task, *_), reason in outcomes:
            yield task[0], reason


def extract_together(tasks, extractor) -> Iterator[tuple[str, str | None]]:
    """Makes the feature files of some videos: (video, why it could not or None) of each.

    Args:
        tasks: (video, feature file, flow file or None, folder for what is unfinished) each.
        extractor: FeatureExtractor.
    """
    jobs = [(video, _source(video), flow_file) for video, _, flow_file, _ in tasks]
    outcomes = extractor.extract_several(jobs)
    for (video, target, _, unfinished), found in zip(tasks, outcomes, strict=True):
        reason = None
        if isinstance(found, VideoError):
            reason = found.reason if found.path == video else str(found)
        elif isinstance(found, MemoryError):
            reason = "there is not enough memory for it"
        else:
            write_features(target, found, staging=unfinished)
        yield video, reason


def extract_in_worker(task) -> str | None:
    """Does the same in one of several processes: (task, FeatureOptions, threads)."""
    task, options, threads = task
    ((_, reason),) = extract_together([task], _extractor(options, threads))
    return reason


@lru_cache(maxsize=1)
def _extractor(options, threads):
    """The networks of this process, which has its share of the processors."""
    use_one_opencv_thread()
    # Read when TensorFlow starts, and it must not take all of a GPU that several processes share.
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    quiet_tensorflow()
    from i3d_tf.features.extractor import FeatureExtractor

    return FeatureExtractor(options)
