"""Predictions as files: a resumable job that many machines can share.

`<name>.json` is a JSON object: `format` and `version`; `path`, the video's relative name; `source`,
which tells the video from others; `settings`, the networks among them; and what
`VideoPrediction.to_json` returns, without the time that it took.
"""

import json
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i3d_tf.flow.stream import use_one_opencv_thread
from i3d_tf.system.console import quiet_tensorflow
from i3d_tf.system.files import atomic_write
from i3d_tf.system.job_status import JobStatus, job_status
from i3d_tf.system.jobs import (
    SOURCE,
    JobRunner,
    Task,
    first_difference,
    missing_outputs,
    run_each,
    run_job,
)
from i3d_tf.system.records import get_value, read_json_object
from i3d_tf.system.remote import as_path
from i3d_tf.system.shards import Shard
from i3d_tf.system.worker_pool import share_processors
from i3d_tf.video.decode import concealed_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.find import find_targets
from i3d_tf.video.frame_folder import video_metadata

if TYPE_CHECKING:  # it imports TensorFlow
    from i3d_tf.inference.prediction import VideoPredictor

SUFFIX = ".json"
FORMAT, VERSION = "i3d_tf prediction", 1
SETTINGS = "settings"
DIED = "classifying it ends the process: a crash, or too little memory"


@dataclass(frozen=True)
class PredictionReport:
    """Counts of a finished job.

    Attributes:
        output_dir: Folder of the predictions, or its address.
        classified: Files that were written.
        kept: Files that were there already.
        failed: (video, reason) of each without a prediction.
    """

    output_dir: Path | str
    classified: int
    kept: int
    failed: tuple[tuple[str, str], ...]

    def line(self) -> str:
        """Returns the report in one line for a terminal."""
        return (
            f"{self.output_dir}: {self.classified} classified, {self.kept} already there, "
            f"{len(self.failed)} failed"
        )


def predict_files(
    videos: Sequence[os.PathLike | str],
    output_dir: os.PathLike | str,
    open_predictor: Callable[[], "VideoPredictor"],
    top: int = 5,
    overwrite: bool = False,
    list_file: os.PathLike | str | None = None,
    shard: Shard | None = None,
    runner: JobRunner | None = None,
) -> PredictionReport:
    """Writes a prediction for each video that has none yet.

    A video that cannot be read is reported on stderr, and the others are classified. A stopped job
    goes on when it is run again, and gives the same files as an undisturbed one.

    Args:
        videos: Files, folders, patterns or lists, see `find_targets`.
        output_dir: Folder of the predictions, or an address; it is made if it does not exist.
        open_predictor: Function that returns a classifier of videos; it is called when the videos
            are found. With a `runner`, it is pickled.
        top: Classes of each.
        overwrite: Whether to replace predictions that were made with other settings.
        list_file: See `find_targets`.
        shard: The part of the videos that is worked on; None means all. Several processes may work
            on the same folder at once, also on the same shard.
        runner: The runner of the job; None means this process.

    Raises:
        ValueError: There are no videos, two would share a file, or a file was made with other
            settings and must not be replaced.
        OSError: A folder or a file cannot be written.
    """
    targets = _find(videos, output_dir, list_file, shard)
    predictor = open_predictor()
    settings = {**predictor.settings, "stream": predictor.stream, "top": top}
    tasks = [Task(target.video, target.path, (target.name, settings)) for target in targets]
    missing = missing_outputs(
        tasks, _mismatch, overwrite, is_own=_is_prediction, output_dir=output_dir
    )
    if runner is None:
        run = run_each(partial(_predict, predictor, top))
    else:
        # Pickled, so that a worker imports TensorFlow when it has set its threads.
        work = partial(_predict_in_worker, pickle.dumps(open_predictor), runner.threads, top)
        run = runner.run_each(work, output_dir, DIED)
    failed = run_job(missing, run, output_dir, "classifying videos")
    kept = len(tasks) - len(missing)
    return PredictionReport(
        as_path(os.fspath(output_dir)), len(missing) - len(failed), kept, failed
    )


def prediction_status(
    videos: Sequence[os.PathLike | str],
    output_dir: os.PathLike | str,
    list_file: os.PathLike | str | None = None,
    shard: Shard | None = None,
) -> JobStatus:
    """Returns which predictions are there, over all shards or of one; see `job_status`.

    Args:
        videos: See `predict_files`.
        output_dir: Folder of the predictions, or its address.
        list_file: See `find_targets`.
        shard: The part of the videos that is looked at; None means all.

    Raises:
        ValueError: There are no videos, or two would share a file.
    """
    targets = _find(videos, output_dir, list_file, shard)
    return job_status(output_dir, ((each.video, (each.path,)) for each in targets))


def read_prediction(path: os.PathLike | str) -> dict[str, Any]:
    """Reads a file that `predict_files` wrote.

    Raises:
        ValueError: It is another file, or damaged.
        OSError: It cannot be read.
    """
    try:
        values = read_json_object(path)
        found = (values.get("format"), values.get("version"))
        if found != (FORMAT, VERSION):
            raise ValueError(f"it must be of {FORMAT!r}, version {VERSION}")
        for name in (SETTINGS, SOURCE):
            get_value(values, name, dict)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a prediction: {error}") from error
    return values


def _find(videos, output_dir, list_file, shard):
    return find_targets(
        videos, output_dir, SUFFIX, list_file=list_file, shard=shard, source_of=_source_name
    )


def _source_name(path):
    try:
        return read_prediction(path)[SOURCE].get("name")
    except ValueError:
        return None


def _is_prediction(path):
    try:
        return read_json_object(path).get("format") == FORMAT
    except (OSError, ValueError, RecursionError):
        return False


def _mismatch(task):
    """Returns how a prediction differs from what is wanted, or None."""
    _, settings = task.details
    try:
        found = read_prediction(task.target)
    except ValueError as error:
        return str(error)
    wanted = {SETTINGS: settings, SOURCE: video_metadata(task.source)}
    return first_difference(found, wanted, names=wanted)


def _predict_in_worker(open_predictor, threads, top, task, staging):
    """Writes the prediction of one video in one of several processes."""
    _predict(_worker_predictor(open_predictor, threads), top, task, staging)


@lru_cache(maxsize=1)
def _worker_predictor(open_predictor, threads):
    """Returns the predictor of this process, which has its share of the processors."""
    use_one_opencv_thread()
    share_processors(threads)
    quiet_tensorflow()
    return pickle.loads(open_predictor)()  # noqa: S301 - of the job itself


def _predict(predictor, top, task, staging):
    name, settings = task.details
    prediction = predictor.predict(task.source, top)
    if prediction.error is not None:
        raise VideoError(task.source, prediction.error)
    prediction = replace(prediction, path=name, concealed_frames=concealed_frames(task.source))
    values = prediction.to_json()
    del values["timing"]
    record = {
        "format": FORMAT,
        "version": VERSION,
        **values,
        SOURCE: video_metadata(task.source),
        SETTINGS: settings,
    }
    with atomic_write(task.target, folder=staging) as unfinished:
        unfinished.write_text(json.dumps(record, indent=1) + "\n", "ascii")
