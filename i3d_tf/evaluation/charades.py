"""Charades by its official rules: which actions a video has, and when (arXiv:1604.01753).

The rules are those of the dataset's `Charades_v1_classify.m` and `Charades_v1_localize.m`.
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from i3d_tf.data.intervals import IntervalVideo, interval_targets
from i3d_tf.metrics.average_precision import ClassScores, class_average_precisions
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.system.storage import read_lines

CLASSIFY, LOCALIZE = TASKS = ("classify", "localize")
POINTS = 25  # of a video, at which localization is asked for


def localization_times(duration: float) -> np.ndarray:
    """Returns the 25 times of a video at which its actions are asked for, float64 (25,), seconds.

    They are computed in the official program's order: another one moves some by their last bit,
    and 13 videos of the test set then have other actions at a point.
    """
    return np.arange(POINTS) / POINTS * duration


def charades_truth(
    videos: Iterable[IntervalVideo], classes: int, task: str
) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Returns what is asked for, and what is true.

    Args:
        videos: In the annotation's order.
        classes: Number of classes.
        task: "classify" or "localize".

    Returns:
        (keys, targets): (video,) or (video, point from 1 to 25) of each row, and bool (N, classes).
        Videos without actions are left out of the classification, as in the official program.

    Raises:
        ValueError: The task is unknown, or a video's length is not known.
    """
    check_choice("task", task, TASKS)
    keys: list[tuple[str, ...]] = []
    rows = []
    for video in videos:
        if task == CLASSIFY:
            if video.intervals:
                keys.append((video.name,))
                row = np.zeros((1, classes), bool)
                row[0, [interval.label for interval in video.intervals]] = True
                rows.append(row)
            continue
        if video.duration is None:
            raise ValueError(f"{video.name}: its length is not known. Add a column `duration`.")
        keys += [(video.name, str(point)) for point in range(1, POINTS + 1)]
        rows.append(interval_targets(video.intervals, localization_times(video.duration), classes))
    return keys, np.concatenate(rows) if rows else np.zeros((0, classes), bool)


def charades_average_precisions(
    videos: Iterable[IntervalVideo],
    classes: int,
    scores: Mapping[tuple[str, ...], np.ndarray],
    task: str,
) -> ClassScores:
    """Computes the official average precisions.

    Args:
        videos: See `charades_truth`.
        classes: See `charades_truth`.
        scores: (video,) or (video, point) to its scores, (classes,); what is missing counts as the
            lowest score.
        task: See `charades_truth`.

    Raises:
        ValueError: See `charades_truth`.
    """
    keys, targets = charades_truth(videos, classes, task)
    lowest = np.full(classes, -np.inf)
    values = [scores.get(key, lowest) for key in keys]
    return class_average_precisions(np.array(values).reshape(-1, classes), targets)


def read_charades_submission(
    path: os.PathLike | str, classes: int, task: str
) -> tuple[dict[tuple[str, ...], np.ndarray], list[str]]:
    """Reads a submission: `id s0 s1 ...`, or `id point s0 s1 ...` of each of 25 points.

    Args:
        path: The file; cells are separated by spaces or tabs.
        classes: Number of classes.
        task: "classify" or "localize".

    Returns:
        (scores, notes): key to float64 (classes,), and what a user should know.

    Raises:
        ValueError: A line has another form, or is there twice.
        OSError: The file cannot be read.
    """
    check_choice("task", task, TASKS)
    path = os.fspath(path)
    num_names = 1 if task == CLASSIFY else 2
    scores: dict[tuple[str, ...], np.ndarray] = {}
    for number, line in enumerate(read_lines(path), 1):
        cells = line.split()
        if not cells:
            continue
        key, values = tuple(cells[:num_names]), cells[num_names:]
        try:
            row = np.array(values, np.float64)
        except ValueError:
            row = np.full(1, np.nan)
        if len(values) != classes or np.isnan(row).any():
            what = "an id" if task == CLASSIFY else "an id, a point"
            raise ValueError(
                f"{path}: line {number} must be {what} and {classes} scores; it has {len(cells)} "
                f"cells and begins {line.strip()!r:.60}."
            )
        if task == LOCALIZE:
            key = (key[0], _point(path, number, key[1]))
        if key in scores:
            raise ValueError(f"{path}: line {number}: {' '.join(key)} is there twice.")
        scores[key] = row
    notes = []
    if task == LOCALIZE and any(point == "0" for _, point in scores):
        notes.append("points are counted from 0; 1 is added to all of them")
        scores = {(name, str(int(point) + 1)): row for (name, point), row in scores.items()}
    return scores, notes


def _point(path, number, text):
    if not text.isdecimal() or int(text) > POINTS:
        raise ValueError(
            f"{path}: line {number}: the point must be within 1..{POINTS}; it is {text!r:.40}."
        )
    return str(int(text))


def write_charades_submission(
    path: os.PathLike | str, scores: Mapping[tuple[str, ...], Sequence[float] | np.ndarray]
) -> None:
    """Writes a submission, whole or not at all; numbers are read back the same.

    Args:
        path: The file; one that is no submission is not replaced.
        scores: See `charades_average_precisions`.

    Raises:
        ValueError: A score is not finite.
        OSError: The file cannot be written.
    """
    lines = []
    for key, row in scores.items():
        if not all(math.isfinite(value) for value in row):
            raise ValueError(f"{' '.join(key)}: its scores are not finite.")
        lines.append(" ".join((*key, *(repr(float(value)) for value in row))))
    target = Path(path)
    check_target(target, _looks_like_submission)
    with atomic_write(target) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")


def _looks_like_submission(path):
    """Returns whether the first line of a file is a name with numbers."""
    with open(path, encoding="utf-8") as file:
        _, *values = file.readline().split()
    return len(values) > 1 and all(_is_number(value) for value in values)


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
