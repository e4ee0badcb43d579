"""Predictions on the terminal: a table a video, or JSON lines; failures by name; progress."""

import json
import sys
from itertools import groupby
from pathlib import Path

from i3d_tf.inference.annotate import annotated_path, write_annotated
from i3d_tf.inference.predictor import predict
from i3d_tf.system.console import progress_bar
from i3d_tf.system.files import atomic_write
from i3d_tf.video.errors import VideoError
from i3d_tf.video.find import assign_outputs, find_videos
from i3d_tf.viz.class_timeline import class_timeline_svg


def answer_videos(
    arguments, predictor, top=5, as_json=False, output_video=None, timeline_dir=None
) -> int:
    """Answers every video that the arguments name, and prints each answer as it comes.

    Args:
        arguments: Files, folders and glob patterns.
        predictor: A `Predictor`.
        top: Classes to show of each.
        as_json: One JSON record a line, failures too, instead of tables.
        output_video: Where copies with the top classes drawn go, or None.
        timeline_dir: Where pictures of what was seen when go, or None.

    Returns:
        How many videos could not be answered.

    Raises:
        ValueError: The arguments name no video, or a copy would replace something.
    """
    videos = find_videos(arguments)
    targets = _targets(videos, output_video)
    pictures = _pictures(videos, timeline_dir)
    failed = 0
    with progress_bar() as bar:
        task = bar.add_task("videos", total=len(videos))
        for answer in predict(videos, predictor, top):
            if answer.error is None and answer.path in targets:
                _copy(answer, targets[answer.path])
            if answer.timeline and timeline_dir is not None:
                _draw(answer, pictures[answer.path])
            failed += answer.error is not None
            bar.console.file.flush()
            _show(answer, as_json)
            bar.advance(task)
    if failed and not as_json:
        print(f"{len(videos) - failed} answered, {failed} failed", file=sys.stderr)
    return failed


def _targets(videos, output_video):
    """Video to the copy to write; two videos never share one."""
    if output_video is None:
        return {}
    return assign_outputs(
        videos,
        lambda video: annotated_path(output_video, video, len(videos)),
        "Rename one, or run them one at a time.",
    )


def _pictures(videos, timeline_dir):
    """Video to the picture of its time line; two videos never share one, nothing is replaced."""
    if timeline_dir is None:
        return {}
    targets = {video: Path(timeline_dir) / f"{Path(video).stem}_timeline.svg" for video in videos}
    for video, target in targets.items():
        if list(targets.values()).count(target) > 1 or target.exists():
            raise ValueError(
                f"{target}: the picture of {video} would replace another; name another folder."
            )
    return targets


def _draw(answer, target):
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as temporary:
            temporary.write_text(timeline_picture(answer) + "\n", "utf-8")
    except OSError as error:
        answer.error = f"answered, but its picture could not be written: {error}"


def timeline_picture(answer) -> str:
    """What was seen when, as SVG: of every window the classes that the answer holds."""
    names = list(dict.fromkeys(p.label for window in answer.timeline for p in window.top))
    shares = [
        [{p.label: p.probability for p in window.top}.get(name, 0.0) for name in names]
        for window in answer.timeline
    ]
    times = [(window.start, window.end) for window in answer.timeline]
    return class_timeline_svg(times, shares, names, Path(answer.path).name)


def _copy(answer, target):
    try:
        write_annotated(answer, target)
    except (VideoError, OSError) as error:
        answer.error = f"answered, but its copy could not be written: {error}"


def _show(answer, as_json):
    if as_json:
        print(_spell(answer.as_json()), flush=True)
        return
    if answer.top:
        print(_printable("\n".join(table(answer))), flush=True)
    if answer.error is not None:
        print(f"error: {answer.path}: {answer.error}", file=sys.stderr, flush=True)


def _spell(record):
    """JSON that the output can carry: the names of files are not always text."""
    text = json.dumps(record, ensure_ascii=False)
    return text if _printable(text) == text else json.dumps(record)


def _printable(text):
    """The text with escapes for what the encoding of the output does not have."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def table(answer) -> list[str]:
    """The lines that show an answer: a heading, one line a class, where the time went."""
    width = max(len("class"), *(len(prediction.label) for prediction in answer.top))
    lines = [
        f"{answer.path}  ({answer.stream}, {answer.frames} frames, {answer.seconds:.2f} s)",
        f"  {'class':<{width}}  probability    logit",
    ]
    lines += [
        f"  {prediction.label:<{width}}  {prediction.probability:>11.4f}  {prediction.logit:>7.3f}"
        for prediction in answer.top
    ]
    lines += _timeline_lines(answer.timeline)
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in answer.timing.items())
    return [*lines, f"  {stages}", ""]


def _timeline_lines(timeline):
    """One line for each stretch in which the best class stays the same."""
    lines = []
    for _, stretch in groupby(timeline, key=lambda window: window.top[0].label):
        windows = list(stretch)
        best = max((window.top[0] for window in windows), key=lambda p: p.probability)
        span = f"{windows[0].start:.1f} to {windows[-1].end:.1f} s"
        lines.append(f"  {span:<20}  {best.label} (up to {best.probability:.2f})")
    return lines
