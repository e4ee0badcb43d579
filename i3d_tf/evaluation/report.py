"""The folder of an evaluation's report.

```
<report_dir>/report.json   every number, the protocol, and the prediction for every video
<report_dir>/logits.npz    the streams' logits, labels (N,), class_names, paths
<report_dir>/index.html    the same as one page, which needs no other file and no network
```
"""

import contextlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from i3d_tf.evaluation.html import Picture, report_page
from i3d_tf.evaluation.measure import Evaluation, measure
from i3d_tf.evaluation.results import FILE, FORMAT, Results, VideoPrediction
from i3d_tf.system.files import atomic_write, check_target, open_regular
from i3d_tf.system.records import read_json_object
from i3d_tf.system.report_folder import make_report_folder, unwritable_report
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import probe

LOGITS, PAGE = "logits.npz", "index.html"
FRAMES_SHOWN = 4  # of the video of an error
MAX_SECONDS = 10.0  # from the clip's start: what 250 frames at 25 per second cover


def write_report(
    evaluation: Evaluation,
    report_dir: os.PathLike | str,
    read_frames: Callable[[VideoPrediction], np.ndarray] | None = None,
) -> Results:
    """Writes an evaluation's report; files of an earlier one are replaced when all new ones exist.

    Args:
        evaluation: Logits, labels, and how they were computed.
        report_dir: Folder of the report; it is made where it does not exist.
        read_frames: Function that reads the frames that the page shows of a video, of another
            source than a video file; see `read_film_frames`.

    Returns:
        The results, which report.json holds.

    Raises:
        ValueError: See `measure`.
        OSError: The folder cannot be written.
    """
    results = measure(evaluation)
    read = read_frames or read_film_frames
    pictures = {index: _film_strip(results.predictions[index], read) for index in results.errors}
    page = report_page(results, pictures)
    folder = make_report_folder(report_dir)
    try:
        with contextlib.ExitStack() as files:
            # Replaced from the last to the first: where the numbers are new, so is the rest.
            numbers, logits, html = (
                files.enter_context(atomic_write(folder / name)) for name in (FILE, LOGITS, PAGE)
            )
            numbers.write_text(_json(results), "utf-8")
            _write_logits(evaluation, logits)
            html.write_text(page, "utf-8")
    except OSError as error:
        raise unwritable_report(folder, error) from error
    return results


def check_report_dir(report_dir: os.PathLike | str) -> None:
    """Checks that a report in a folder would replace nothing but an earlier report.

    Raises:
        FileExistsError: A file of another kind has the name of one of the report's.
    """
    for name, is_own in ((FILE, _is_numbers), (LOGITS, _is_logits), (PAGE, _is_page)):
        check_target(Path(report_dir) / name, is_own)


def _is_numbers(path):
    try:
        return read_json_object(path)["format"] == FORMAT
    except (OSError, ValueError, KeyError, RecursionError):
        return False


def _is_logits(path):
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return {"labels.npy", "class_names.npy", "paths.npy"} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _is_page(path):
    return b'<h1 class="any">Evaluation' in path.read_bytes()


def _json(results):
    """Returns JSON with a line for each entry and each prediction: searchable, and not long."""
    record = results.to_json()
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}"
        for key, value in record.items()
        if key != "predictions"
    ]
    predictions = ",\n".join(json.dumps(p, allow_nan=False) for p in record["predictions"])
    return "{\n" + ",\n".join([*lines, f'"predictions": [\n{predictions}\n]']) + "\n}\n"


def _write_logits(evaluation, path):
    with open(path, "wb") as file:
        np.savez(  # logits are noise in their last digits, which compression cannot shorten
            file,  # without allow_pickle, which NumPy before 2.1 saves as one more array
            **evaluation.logits,
            labels=evaluation.labels,
            class_names=np.array(evaluation.class_names, np.str_),
            paths=np.array(evaluation.paths, np.str_),
        )


def _film_strip(prediction, read_frames):
    """Returns frames of a video as one JPEG, or the reason why there are none."""
    from i3d_tf.viz.thumbnails import data_uri, film_strip, jpeg

    try:
        frames = read_frames(prediction)
    except (VideoError, OSError, ValueError) as error:
        return Picture(missing=str(getattr(error, "reason", error)))
    return Picture(data_uri(jpeg(film_strip(frames, FRAMES_SHOWN))))


def read_film_frames(prediction: VideoPrediction) -> np.ndarray:
    """Reads a few frames of a video, evenly spread from its cut's start to nearly its end.

    Returns:
        uint8 RGB (FRAMES_SHOWN, H, W, 3); only these frames are converted and kept.

    Raises:
        VideoError: The video cannot be read, or ends before the cut.
    """
    path, end = prediction.path, prediction.end
    start = prediction.start or 0.0
    duration = probe(path).duration
    seconds = min(
        MAX_SECONDS,
        MAX_SECONDS if end is None else end - start,
        MAX_SECONDS if duration is None else duration - start,
    )
    if seconds <= 0:
        raise VideoError(path, f"it ends before the cut starts, at {start:g} s")
    rate = (FRAMES_SHOWN - 1) / (0.95 * seconds)
    return read_clip(path, rate, start, start + seconds)[:FRAMES_SHOWN]
