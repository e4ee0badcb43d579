"""Annotations of when something happens: the actions of each video, with their times.

Three forms are read: a table with the columns id, start, end and class; Charades's own, whose
column `actions` holds all of a video; and the JSON of super-events (piergiaj), a record for each
video. ActivityNet's JSON, in which THUMOS14 is often had too, is read apart, with its detections.
"""

import math
import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from i3d_tf.data.annotation import find_annotation, parse_seconds
from i3d_tf.data.class_names import ClassNames, read_class_names
from i3d_tf.data.example import NO_LABEL, Interval, IntervalVideo, VideoDataset
from i3d_tf.data.match_videos import NOT_SELECTED, AnnotatedVideo, Candidate, collect
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.data.video_files import safe_path
from i3d_tf.specs.datasets import SPLIT_SPELLINGS, Dataset
from i3d_tf.system.records import get_list, get_value, of_kind, read_json_object, record_errors
from i3d_tf.system.tables import SkippedRow, Table

TABLE = ("id", "start", "end", "class")
CHARADES = ("id", "actions", "length")
NUMBER = (int, float)
NAMES = ("intervals.csv", "intervals.json")  # of an annotation, where only its folder is known
CHARADES_CLASSES = tuple(f"c{number:03}" for number in range(157))


@dataclass(frozen=True)
class IntervalAnnotation:
    """An annotation file.

    Attributes:
        videos: In the file's order.
        class_names: Label k is class_names[k].
        skipped: Rows, and actions of rows, that are not valid.
    """

    videos: tuple[IntervalVideo, ...]
    class_names: tuple[str, ...]
    skipped: tuple[SkippedRow, ...] = ()


def read_intervals(
    path: os.PathLike | str, classes: Sequence[str] | os.PathLike | str | None = None
) -> IntervalAnnotation:
    """Reads an annotation file of one of the three forms.

    Args:
        path: The file; one whose name ends in .json is a record, others are tables.
        classes: Class names in label order, or a file of them, one a line; None takes Charades's
            157 for its form and for JSON with numbers, and else those of the file, sorted.

    Raises:
        ValueError: The file has another form, or no video, or no action of it is valid.
        OSError: It cannot be read.
    """
    path, names = os.fspath(path), read_class_names(classes)
    if path.lower().endswith(".json"):
        annotation = _read_record(path, names)
    else:
        annotation = _read_charades(path, names) if _is_charades(path) else _read_table(path, names)
    if not annotation.videos:
        raise ValueError(f"{path}: it names no video. Give another annotation.")
    if annotation.skipped and not any(video.intervals for video in annotation.videos):
        raise ValueError(
            f"{path}: no action is valid; the first fault is {annotation.skipped[0]}. Give another "
            "annotation, or the names of its classes."
        )
    return annotation


def read_interval_videos(
    dataset: Dataset,
    data_dir: str,
    split: str | None,
    annotation: str | None,
    classes: Sequence[str] | None,
    quarantine: Quarantine,
) -> VideoDataset:
    """Reads an annotation file and finds its videos, each an example with its intervals.

    A video lies below data_dir, under its name in the annotation and any ending.

    Args:
        dataset: The dataset.
        data_dir: Folder of the videos.
        split: The split, where the annotation has any; None for all videos.
        annotation: The file, or its folder, or None; see `NAMES`.
        classes: Names of the classes in label order, or None.
        quarantine: Videos that are known to be unreadable.

    Raises:
        FileNotFoundError: There is no annotation.
        ValueError: It has another form, or no video was found.
    """
    path = find_annotation(dataset, data_dir, annotation, NAMES)
    content = read_intervals(path, classes)
    rows = [*content.skipped, *_rows(path, content.videos, split, dataset.video_folders)]
    names = ClassNames(content.class_names)
    return collect(dataset, split, data_dir, names, rows, quarantine)


def _rows(path, videos, split, folders):
    source = posixpath.basename(path)
    has_splits = any(video.split is not None for video in videos)
    for video in videos:
        if split is not None and has_splits and _split_name(video.split) != _split_name(split):
            yield NOT_SELECTED
            continue
        try:
            folder, name = posixpath.split(safe_path(video.name))
        except ValueError as error:
            raise ValueError(f"{path}: video {video.name[:80]!r}: {error}.") from error
        places = tuple(posixpath.join(place, folder) for place in folders)
        candidates = (Candidate(name),)
        yield AnnotatedVideo(source, None, video.name, NO_LABEL, places, candidates, video)


def _split_name(text):
    """Returns the usual name of a split: "train" for "training"."""
    lower = (text or "").lower()
    return next((name for name, words in SPLIT_SPELLINGS.items() if lower in words), lower)


def interval_targets(
    intervals: Iterable[Interval], times: np.ndarray, classes: int, strict: bool = False
) -> np.ndarray:
    """Returns which classes are there at which times.

    Args:
        intervals: The actions of a video.
        times: (T,), seconds.
        classes: Number of classes.
        strict: Whether an action's first and last moment do not count, as in pytorch-i3d's labels;
            they do in Charades's official rules.

    Returns:
        bool (T, classes).
    """
    times = np.asarray(times, np.float64)
    targets = np.zeros((len(times), classes), bool)
    for label, start, end in intervals:
        if strict:
            targets[:, label] |= (start < times) & (times < end)
        else:
            targets[:, label] |= (start <= times) & (times <= end)
    return targets


def _is_charades(path):
    try:
        Table(path, CHARADES)
    except ValueError:
        return False
    return Table(path, CHARADES, implied=("id",)).has_heading


def _read_charades(path, classes):
    known = ClassNames(classes or CHARADES_CLASSES)
    videos, skipped = [], []
    source = posixpath.basename(path)
    for line, row in Table(path, CHARADES).rows():
        if isinstance(row, SkippedRow):
            skipped.append(row)
            continue
        intervals = []
        for text in filter(None, map(str.strip, row["actions"].split(";"))):
            try:
                name, start, end = _three(text.split())
                intervals.append(_interval(known, name, start, end))
            except ValueError as error:
                skipped.append(SkippedRow(source, line, f"{text!r:.80}: {error}"))
        try:
            duration = parse_seconds(row["length"], "length")
        except ValueError as error:
            skipped.append(SkippedRow(source, line, str(error)))
            continue
        videos.append(IntervalVideo(row["id"], tuple(intervals), duration))
    return _annotation(videos, known, skipped, source)


def _read_table(path, classes):
    rows, skipped = [], []
    source = posixpath.basename(path)
    for line, row in Table(path, TABLE).rows(("duration", "split")):
        if isinstance(row, SkippedRow):
            skipped.append(row)
        else:
            rows.append((line, row))
    found = dict.fromkeys(row["class"] for _, row in rows if row["class"])
    known = ClassNames(classes or sorted(found, key=_natural))
    by_name: dict[str, list[Interval]] = {}
    details: dict[str, dict[str, Any]] = {}
    for line, row in rows:
        name = row["id"]
        try:
            if not name:
                raise ValueError("column id is empty")
            duration = parse_seconds(row["duration"], "duration")
            intervals = by_name.setdefault(name, [])
            details.setdefault(name, {"duration": duration, "split": row["split"] or None})
            if row["class"]:  # a row without one names a video without actions
                intervals.append(_interval(known, row["class"], row["start"], row["end"]))
        except ValueError as error:
            skipped.append(SkippedRow(source, line, str(error)))
    videos = [IntervalVideo(name, tuple(by_name[name]), **details[name]) for name in by_name]
    return _annotation(videos, known, skipped, source)


def _read_record(path, classes):
    videos, skipped = [], []
    source = posixpath.basename(path)
    with record_errors(path, "a record of videos and their actions", "Give another annotation."):
        record = read_json_object(path)
        entries = {name: of_kind(entry, name, dict) for name, entry in record.items()}
        actions = {name: get_list(entry, "actions", list) for name, entry in entries.items()}
        is_numbered = all(
            isinstance(action[0], int) for each in actions.values() for action in each
        )
        texts = dict.fromkeys(str(a[0]) for each in actions.values() for a in each)
        default = CHARADES_CLASSES if is_numbered else sorted(texts, key=_natural)
        known = ClassNames(classes or default)
        for name, entry in entries.items():
            intervals = []
            for action in actions[name]:
                try:
                    label, start, end = _three(action)
                    if is_numbered and 0 <= label < len(known):
                        label = known.names[label]
                    intervals.append(_interval(known, str(label), str(start), str(end)))
                except ValueError as error:
                    skipped.append(SkippedRow(source, None, f"{name}: {action!r:.80}: {error}"))
            duration = parse_seconds(str(entry.get("duration") or ""), "duration")
            videos.append(IntervalVideo(name, tuple(intervals), duration, entry.get("subset")))
    return _annotation(videos, known, skipped, source)


def _annotation(videos, known, skipped, source):
    """Returns the annotation; of a video that is there twice, the first row."""
    kept: dict[str, IntervalVideo] = {}
    for video in videos:
        if video.name in kept:
            skipped.append(SkippedRow(source, None, f"{video.name} is there twice"))
        else:
            kept[video.name] = video
    return IntervalAnnotation(tuple(kept.values()), known.names, tuple(skipped))


def _three(parts):
    if len(parts) != 3:
        raise ValueError("an action is a class, its start and its end")
    return parts


def _interval(known, name, start, end):
    """Returns an action of texts; raises ValueError with a reason."""
    label = known.find(name)
    if label is None:
        raise ValueError(f"{name[:80]!r} is not one of the {len(known)} classes")
    first, last = parse_seconds(start, "start"), parse_seconds(end, "end")
    if first is None or last is None:
        raise ValueError("its start or its end is missing")
    if last < first:
        raise ValueError(f"it ends at {last:g} s, before its start at {first:g} s")
    return Interval(label, first, last)


def _natural(name):
    """Sorts numbers within names by their value."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


class TimedAction(NamedTuple):
    """An action of a video.

    Attributes:
        video: Its name.
        start: Seconds.
        end: Seconds, more than `start`.
        class_name: The action.
        score: Of a detection; 1 for the truth.
    """

    video: str
    start: float
    end: float
    class_name: str
    score: float = 1.0


def read_activitynet_truth(
    path: os.PathLike | str, subset: str | None = None
) -> tuple[list[TimedAction], list[SkippedRow]]:
    """Reads `{"database": {video: {"subset": ..., "annotations": [{"segment", "label"}]}}}`.

    Args:
        path: The file.
        subset: Subset to read, such as "validation", in any case; None reads all.

    Returns:
        (actions, skipped): in the file's order, and actions that are not valid.

    Raises:
        ValueError: The file has another form, or no action of the subset.
        OSError: It cannot be read.
    """
    actions: list[TimedAction] = []
    skipped: list[SkippedRow] = []
    with _errors(path, "ActivityNet's annotation"):
        database = get_value(read_json_object(path), "database", dict)
        for video in database:
            entry = get_value(database, video, dict)
            if subset is None or str(entry.get("subset")).casefold() == subset.casefold():
                _collect(path, video, get_list(entry, "annotations", dict), actions, skipped)
    if not actions:
        of = "" if subset is None else f" of the subset {subset!r}"
        raise ValueError(f"{path}: it has no action{of}.")
    return actions, skipped


def read_activitynet_detections(
    path: os.PathLike | str,
) -> tuple[list[TimedAction], list[SkippedRow]]:
    """Reads `{"results": {video: [{"segment", "label", "score"}]}}`.

    Returns:
        See `read_activitynet_truth`.

    Raises:
        ValueError: The file has another form.
        OSError: It cannot be read.
    """
    actions: list[TimedAction] = []
    skipped: list[SkippedRow] = []
    with _errors(path, "detections in ActivityNet's form"):
        results = get_value(read_json_object(path), "results", dict)
        for video in results:
            _collect(path, video, get_list(results, video, dict), actions, skipped, "score")
    return actions, skipped


def _errors(path, title):
    return record_errors(path, title, "Give another file.")


def _collect(path, video, entries, actions, skipped, score=None):
    for entry in entries:
        try:
            actions.append(_action(video, entry, score))
        except (ValueError, TypeError) as error:
            reason = f"{video}: {error}"
            skipped.append(SkippedRow(posixpath.basename(os.fspath(path)), None, reason))


def _action(video: str, entry: Mapping[str, Any], score: str | None) -> TimedAction:
    segment = entry.get("segment")
    if not isinstance(segment, list) or len(segment) != 2:
        raise ValueError(f"the segment {segment!r:.60} is not a start and an end")
    start, end = (float(of_kind(value, "segment", NUMBER)) for value in segment)
    if not (math.isfinite(start) and math.isfinite(end)) or end <= start:
        raise ValueError(f"the segment {segment!r:.60} does not end after its start")
    label = of_kind(entry.get("label"), "label", str)
    value = 1.0 if score is None else float(of_kind(entry.get(score), score, NUMBER))
    if not math.isfinite(value):
        raise ValueError(f"the score {value} is not a number")
    return TimedAction(video, start, end, label, value)
