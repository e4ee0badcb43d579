"""Sets of shards as datasets: the same examples, labels and reports as readers of videos give."""

import fnmatch
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from i3d_tf.data.class_names import read_class_names
from i3d_tf.data.example import (
    NO_LABEL,
    DataReport,
    Interval,
    IntervalVideo,
    KeyFrame,
    Person,
    VideoDataset,
    VideoExample,
)
from i3d_tf.records.index import SUFFIX, Record, RecordError, read_index
from i3d_tf.system.console import progress_bar
from i3d_tf.system.storage import file_names, is_file, is_folder, join
from i3d_tf.system.tables import SkippedRow

READ_BY_TENSORFLOW = ("", "gs")  # schemes of addresses that TensorFlow's readers know
THREADS = 8  # that read indexes, which wait for the disk most of the time
SETTINGS = (
    "format",
    "quality",
    "frame_rate",
    "short_side",
    "flow",
)  # of shards, see `make_records`
OTHER_FILES = (".json", ".txt", ".csv", ".mp4", ".zip")


@dataclass(frozen=True)
class Place:
    """A record and its shard.

    Attributes:
        shard: Path of the shard.
        number: Number of the record in its shard.
        record: The record.
    """

    shard: str
    number: int
    record: Record


@dataclass(frozen=True)
class RecordSet:
    """The records of some shards.

    Attributes:
        dataset: Their videos; the path of an example is the pattern, and the record's name below.
        places: Path of an example to its record.
        settings: How the pictures were made, where this program wrote the shards; else {}.
    """

    dataset: VideoDataset
    places: dict[str, Place]
    settings: dict[str, Any]


def find_shards(pattern: str) -> list[str]:
    """Returns the shards that a pattern names, sorted.

    Args:
        pattern: A file, a folder, or a path or an address with `*` or `?` in its last part.

    Raises:
        ValueError: It is at an address that TensorFlow does not read, or names no shard.
    """
    scheme = pattern.partition("://")[0] if "://" in pattern else ""
    if scheme not in READ_BY_TENSORFLOW:
        raise ValueError(
            f"`records` must be on this machine or at gs://, which TensorFlow reads; received "
            f"{pattern}. Copy them, or mount the storage as a folder."
        )
    if is_file(pattern):
        return [pattern]
    folder, name = pattern, "*"
    if not is_folder(pattern):
        folder, _, name = pattern.replace(os.sep, "/").rpartition("/")
        if pattern.startswith("/") and not folder:
            folder = "/"
    names = file_names(folder or os.curdir)
    found = [
        each
        for each in names or ()
        if fnmatch.fnmatchcase(each, name) and not each.startswith(".") and _is_shard(each)
    ]
    if not found:
        raise ValueError(f"`records` {pattern}: there is no such shard. Give a file or a pattern.")
    return [join(folder, each) for each in found]


def _is_shard(name):
    return not name.endswith((SUFFIX, *OTHER_FILES))


def read_records(
    pattern: str, classes: Sequence[str] | os.PathLike | str | None = None, title: str = "records"
) -> RecordSet:
    """Reads the indexes of shards; of those that have none, every record.

    The label of a record is that of its class name, where it has one; the classes are those that
    the shards list, else, where all numbers can be trusted, in their order, else sorted. Without
    names, the numbers are the labels.

    Args:
        pattern: See `find_shards`.
        classes: Class names in label order, or a file of them; records of others are left out.
        title: Name of the set in reports.

    Raises:
        ValueError: There is no shard, or the labels contradict each other.
        RecordError: A shard or a record cannot be read, or a record has no class.
    """
    places, indexes = _find_records(pattern)
    for place in places:
        if place.record.label_text is place.record.label is None:
            has = "actions in time, and no class" if place.record.segments else "no class"
            has = "persons in boxes, and no class" if place.record.persons else has
            raise RecordError(
                place.shard, f"record {place.number} has {has}; one of each record is needed"
            )
    names = read_class_names(classes)
    names = _class_names(pattern, places, indexes) if names is None else tuple(names)
    labels = {name: label for label, name in enumerate(names)}
    examples, left_out = [], 0
    by_path: dict[str, Place] = {}
    for place in places:
        record = place.record
        if record.label_text is not None:
            label = labels.get(record.label_text, -1)
        else:
            label = -1 if record.label is None else record.label
        if not 0 <= label < len(names):
            left_out += 1
            continue
        path = _unique(f"{pattern}/{record.name}", by_path)
        by_path[path] = place
        examples.append(VideoExample(path, label, names[label]))
    if not examples:
        raise ValueError(
            f"`records` {pattern}: no record is of the {len(names)} classes, such as {names[0]!r}."
        )
    report = _report(title, pattern, examples, left_out, names, indexes)
    dataset = VideoDataset(tuple(examples), names, report)
    return RecordSet(dataset, by_path, _settings(pattern, indexes))


def read_interval_records(
    pattern: str, classes: Sequence[str] | os.PathLike | str | None = None, title: str = "records"
) -> RecordSet:
    """Reads the actions in time of shards, as examples with the actions of a record each.

    The label of an action is that of its name; the classes are those that the shards list, else the
    names, sorted. Without names, the numbers are the labels.

    Args:
        pattern: See `find_shards`.
        classes: Class names in label order, or a file of them; other actions are left out.
        title: Name of the set in reports.

    Raises:
        ValueError: There is no shard, or the labels contradict each other.
        RecordError: A shard or a record cannot be read, an action ends before it starts, or no
            record has any.
    """
    places, indexes = _find_records(pattern)
    if not any(place.record.segments for place in places):
        raise RecordError(pattern, "no record has actions in time")
    listed = _listed_names(pattern, indexes)
    names = read_class_names(classes)
    if names is None:
        found = {label for place in places for *_, label in place.record.segments}
        names = _names_of(pattern, found, 0) if listed is None else listed
    names = tuple(names)
    labels: dict[int | str, int] = {name: label for label, name in enumerate(names)}
    # Numbers are places among the classes that the shards list.
    numbers = range(len(names)) if listed is None else map(labels.get, listed)
    labels |= {number: label for number, label in enumerate(numbers) if label is not None}
    by_path: dict[str, Place] = {}
    examples = []
    for place in places:
        name = place.record.name
        path = _unique(f"{pattern}/{name}", by_path)
        by_path[path] = place
        actions = IntervalVideo(name, tuple(_intervals(place, labels)))
        examples.append(VideoExample(path, NO_LABEL, "", actions=actions))
    report = _report(title, pattern, examples, 0, names, indexes)
    dataset = VideoDataset(tuple(examples), names, report)
    return RecordSet(dataset, by_path, _settings(pattern, indexes))


def _intervals(place, labels):
    """Yields the actions of a record; those that are no key of `labels` are left out."""
    for start, end, label in place.record.segments:
        if not start <= end:
            raise RecordError(
                place.shard,
                f"record {place.number} has an action that ends before it starts: {start:g} to "
                f"{end:g} s",
            )
        if label in labels:
            yield Interval(labels[label], start, end)


def note_differences(
    records: RecordSet, short_side: int, frame_rate: float, whose: str
) -> RecordSet:
    """Returns records with a note in their report where their frames are of another size or rate.

    Args:
        records: The records.
        short_side: Pixels of frames that are wanted.
        frame_rate: Frames per second that are wanted.
        whose: Noun of what wants them, for the note.
    """
    wanted = {"short_side": short_side, "frame_rate": frame_rate}
    others = [
        f"{name} {records.settings[name]:g}, and the {whose}'s is {value:g}"
        for name, value in wanted.items()
        if records.settings.get(name, value) != value
    ]
    if not others:
        return records
    note = f"made with {'; '.join(others)}: clips are not those of the videos"
    report = replace(records.dataset.report, notes=(*records.dataset.report.notes, note))
    return replace(records, dataset=replace(records.dataset, report=report))


def read_person_records(
    pattern: str, classes: Sequence[str] | os.PathLike | str | None = None, title: str = "records"
) -> RecordSet:
    """Reads the persons in boxes of shards, as examples with all key frames of a record each.

    The label of a person is that of the action's name; the classes are those that the shards list,
    else the names, sorted. Without names, action n of the label map has label n - 1.

    Args:
        pattern: See `find_shards`.
        classes: Class names in label order, or a file of them; other actions are left out.
        title: Name of the set in reports.

    Raises:
        ValueError: There is no shard, or the labels contradict each other.
        RecordError: A shard or a record cannot be read, or a record has no persons.
    """
    places, indexes = _find_records(pattern)
    for place in places:
        if not place.record.persons:
            raise RecordError(place.shard, f"record {place.number} has no persons in boxes")
        _check_boxes(place)
    names = read_class_names(classes)
    names = _action_names(pattern, places, indexes) if names is None else tuple(names)
    labels = {name: label for label, name in enumerate(names)}
    labels |= {label + 1: label for label in range(len(names))}
    by_path: dict[str, Place] = {}
    examples = []
    for place in places:
        path = _unique(f"{pattern}/{place.record.name}", by_path)
        by_path[path] = place
        examples.append(VideoExample(path, NO_LABEL, "", key_frames=_key_frames(place, labels)))
    report = _report(title, pattern, examples, 0, names, indexes)
    dataset = VideoDataset(tuple(examples), names, report)
    return RecordSet(dataset, by_path, _settings(pattern, indexes))


def each_key_frame(records: RecordSet) -> RecordSet:
    """Returns records with an example for each key frame, in the order of video and time."""
    examples = tuple(
        replace(example, key_frames=(key_frame,))
        for example in records.dataset.examples
        for key_frame in example.key_frames
    )
    return replace(records, dataset=replace(records.dataset, examples=examples))


def _check_boxes(place):
    boxes = (region.box for frame in place.record.persons for region in frame.regions)
    for x1, y1, x2, y2 in boxes:
        if not (0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1):
            raise RecordError(
                place.shard,
                f"record {place.number} has a box that is not within 0..1: {x1, y1, x2, y2}",
            )


def _key_frames(place, labels):
    """Returns the key frames of a record; actions that are no key of `labels` are left out."""
    return tuple(
        KeyFrame(
            place.record.name,
            frame.time,
            frame.time,
            tuple(
                Person(
                    region.box,
                    tuple(sorted(labels[each] for each in region.labels if each in labels)),
                    None if region.track is None else float(region.track),
                )
                for region in frame.regions
            ),
        )
        for frame in place.record.persons
    )


def _find_records(pattern):
    """Returns the places of all records, in the order of the dataset, and the shards' indexes."""
    shards, indexes = find_shards(pattern), []
    pool = ThreadPoolExecutor(THREADS)
    try:
        with progress_bar() as bar:
            task = bar.add_task("looking at the records", total=len(shards))
            for index in pool.map(read_index, shards):
                indexes.append(index)
                bar.advance(task)
    finally:
        pool.shutdown(cancel_futures=True)
    places = [
        Place(shard, number, record)
        for shard, index in zip(shards, indexes, strict=True)
        for number, record in enumerate(index.records)
    ]
    if not places:
        raise ValueError(f"`records` {pattern}: its shards hold no record.")
    return sorted(places, key=_order), indexes


def _report(title, pattern, examples, left_out, names, indexes):
    failed = [each for index in indexes for each in index.left_out]
    return DataReport(
        title,
        None,
        pattern,
        rows=len(examples) + left_out + len(failed),
        found=len(examples),
        skipped=tuple(SkippedRow(pattern, 0, f"{name}: {why}") for name, why in failed),
        left_out=left_out,
        classes=len(names),
    )


def _settings(pattern, indexes):
    """Returns the settings that all shards share."""
    each = [
        {name: (index.settings or {}).get(name) for name in SETTINGS}
        for index in indexes
        if index.records
    ]
    if any(settings != each[0] for settings in each):
        raise ValueError(
            f"`records` {pattern}: its shards were made with different settings. Name shards of "
            "one set."
        )
    return {name: value for name, value in each[0].items() if value is not None}


def _order(place):
    """Returns the key of the order of the dataset that records were made of, else of the files."""
    position = place.record.position
    is_known = position is not None
    return not is_known, position if is_known else 0, place.shard, place.number


def _unique(path, others):
    name, count = path, 1
    while name in others:
        count += 1
        name = f"{path}#{count}"
    return name


def _listed_names(pattern, indexes):
    """Returns the classes that shards list; None where none does."""
    listed = {index.class_names for index in indexes if index.class_names is not None}
    if len(listed) > 1:
        raise ValueError(
            f"`records` {pattern}: its shards list different classes. Give --classes, a file of "
            "class names, or name the shards of one dataset."
        )
    return listed.pop() if listed else None


def _action_names(pattern, places, indexes):
    """Returns the names of the actions of persons, in label order."""
    listed = _listed_names(pattern, indexes)
    if listed is not None:
        return listed
    frames = [frame for place in places for frame in place.record.persons]
    labels = {label for frame in frames for region in frame.regions for label in region.labels}
    return _names_of(pattern, labels, 1)


def _names_of(pattern, labels, first):
    """Returns names of labels, sorted; of numbers, of all from the first one on."""
    names = sorted(label for label in labels if isinstance(label, str))
    if names and len(names) < len(labels):
        raise ValueError(
            f"`records` {pattern}: some of its actions have a name, and others a number alone. "
            "Name shards of one kind."
        )
    if names:
        return tuple(names)
    return tuple(f"class {number}" for number in range(first, max(labels, default=0) + 1))


def _class_names(pattern, places, indexes):
    listed = _listed_names(pattern, indexes)
    if listed is not None:
        return listed
    named = [place for place in places if place.record.label_text is not None]
    if len(named) < len(places):
        if named:
            raise ValueError(
                f"`records` {pattern}: some of its records have a class name, and others a number "
                "alone. Name shards of one kind."
            )
        largest = max(place.record.label for place in places)
        return tuple(f"class {label}" for label in range(largest + 1))
    texts = {place.record.label_text for place in named}
    numbers = {(p.record.label, p.record.label_text) for p in named if p.record.is_label_trusted}
    if len(numbers) == len(texts) and {label for label, _ in numbers} == set(range(len(texts))):
        return tuple(text for _, text in sorted(numbers))
    return tuple(sorted(texts))
