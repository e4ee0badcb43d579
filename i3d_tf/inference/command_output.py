"""Predictions on the terminal: a table a video, or JSON lines; failures by name; progress."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

from i3d_tf.inference.annotate import (
    annotated_paths,
    timeline_paths,
    write_annotated,
    write_timeline,
)
from i3d_tf.inference.prediction import (
    PredictionWriter,
    VideoPrediction,
    VideoPredictor,
    WindowPrediction,
)
from i3d_tf.system.console import print_lines, printable, progress_bar
from i3d_tf.system.errors import message_of
from i3d_tf.system.remote import RemoteFileError, check_local, copies_folder, local_copy
from i3d_tf.video.decode import concealed_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.find import find_videos


def classify_videos(
    arguments: Sequence[str | os.PathLike],
    predictor: VideoPredictor,
    top: int = 5,
    as_json: bool = False,
    output_video: str | os.PathLike | None = None,
    timeline_dir: str | os.PathLike | None = None,
    writer: PredictionWriter | None = None,
) -> list[VideoPrediction]:
    """Classifies the videos that the arguments name, and prints each prediction as it comes.

    A stopped job can be run again: copies that are there are kept. A folder's videos may lie beside
    their copies, which are not classified.

    Args:
        arguments: Files, folders and glob patterns.
        predictor: Classifier of videos.
        top: Classes to show of each.
        as_json: Whether to print JSON, one line a video, failures too, instead of tables.
        output_video: An .mp4 file, or a folder, for copies with the top classes drawn; or None.
        timeline_dir: Folder for pictures of class probabilities over time, or None.
        writer: Writer of a further file for each prediction, or None.

    Returns:
        The predictions, in order; those that failed, or whose files could not be written, have an
        `error`.

    Raises:
        ValueError: The arguments name no video, or two would share a copy.
        FileExistsError: A copy or a timeline would replace a file of another kind.
    """
    for name, place in (("output_video", output_video), ("timeline_dir", timeline_dir)):
        check_local(name, place)
    videos = find_videos(arguments)
    copies = {} if output_video is None else annotated_paths(videos, output_video)
    written = {} if writer is None else writer.paths(videos)
    made = {os.path.realpath(path) for path in (*copies.values(), *written.values())}
    videos = [video for video in videos if os.path.realpath(video) not in made]
    timelines = {} if timeline_dir is None else timeline_paths(videos, timeline_dir)
    predictions = []
    with copies_folder(videos) as folder, progress_bar() as bar:
        task = bar.add_task("videos", total=len(videos))
        for video in videos:
            try:
                with local_copy(video, folder) as path:
                    prediction = predictor.predict(path, top)
                    prediction = replace(prediction, concealed_frames=concealed_frames(path))
                    if video in copies and prediction.error is None:
                        prediction = _write(prediction, write_annotated, copies[video], "copy")
                    if video in timelines and prediction.timeline:
                        prediction = _write(
                            prediction, write_timeline, timelines[video], "timeline"
                        )
                    if writer is not None and prediction.error is None:
                        prediction = _write(prediction, writer.write, written[video], writer.name)
                prediction = replace(prediction, path=video)
            except RemoteFileError as error:
                prediction = VideoPrediction(video, predictor.stream, error=error.reason)
            bar.console.file.flush()
            _print_prediction(prediction, as_json)
            predictions.append(prediction)
            bar.advance(task)
    failed = sum(prediction.error is not None for prediction in predictions)
    if failed and not as_json:
        print_lines(f"{len(videos) - failed} classified, {failed} failed", file=sys.stderr)
    return predictions


def _write(prediction, write: Callable, path, name) -> VideoPrediction:
    """Writes a file made of a prediction; returns the prediction, with an error if that fails."""
    try:
        write(prediction, path)
    except (VideoError, OSError) as error:
        reason = message_of(error)
        return replace(prediction, error=f"classified, but its {name} cannot be written: {reason}")
    return prediction


def _print_prediction(prediction, as_json):
    if as_json:
        print_lines(_printable_json(prediction.to_json()))
        return
    if prediction.top or prediction.persons:
        print_lines(*format_table(prediction))
    if prediction.error is not None:
        print_lines(f"error: {prediction.path}: {prediction.error}", file=sys.stderr)


def _printable_json(values):
    """Returns JSON that stdout can show; file names are not always text."""
    text = json.dumps(values, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(values)
    return text if printable(text) == text else json.dumps(values)


def format_table(prediction: VideoPrediction) -> list[str]:
    """Returns the lines that show a prediction: a heading, a line a class, the time spent."""
    p = prediction
    if p.persons:
        return _format_persons(p)
    width = max(len("class"), *(len(best.label) for best in p.top))
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in p.timing.items())
    return [
        f"{p.path}  ({p.stream}, {p.frames} frames, {p.seconds:.2f} s)",
        f"  {'class':<{width}}  probability    logit",
        *(f"  {b.label:<{width}}  {b.probability:>11.4f}  {b.logit:>7.3f}" for b in p.top),
        *_format_timeline(p.timeline),
        f"  {stages}",
        "",
    ]


def _format_persons(p):
    """Returns a line for each person: time, box, best classes."""
    lines = [f"{p.path}  ({p.stream}, {len(p.persons)} persons)"]
    for person in p.persons:
        box = ", ".join(f"{side:.3f}" for side in person.box)
        name = "" if person.person is None else f"  person {person.person}"
        best = ", ".join(f"{k.label} {k.probability:.2f}" for k in person.top)
        lines.append(f"  {person.time:8.2f} s  [{box}]{name}  {best}")
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in p.timing.items())
    return [*lines, f"  {stages}", ""]


def _format_timeline(timeline: Sequence[WindowPrediction]):
    """Returns one line for each stretch in which the best class stays the same."""
    lines = []
    for _, stretch in groupby(timeline, key=lambda window: window.top[0].label):
        windows = list(stretch)
        best = max((window.top[0] for window in windows), key=lambda p: p.probability)
        span = f"{windows[0].start:.1f} to {windows[-1].end:.1f} s"
        lines.append(f"  {span:<20}  {best.label} (up to {best.probability:.2f})")
    return lines
