"""Rows of an annotation to examples whose videos exist, and a report of the others.

Every reader turns its annotation into rows: each is an `AnnotatedVideo`, a `SkippedRow` or
`NOT_SELECTED`. What follows is the same for all datasets and is done here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.example import (
    NO_LABEL,
    DataReport,
    IntervalVideo,
    KeyFrame,
    VideoDataset,
    VideoExample,
)
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.data.video_files import VideoFiles
from i3d_tf.specs.datasets import Dataset
from i3d_tf.system.storage import join
from i3d_tf.system.tables import SkippedRow

MAX_SHOWN = 500  # characters of a name or a fault in a message
NOT_SELECTED = "left out"  # a row of another split, or of a class that was not asked for


@dataclass(frozen=True)
class Candidate:
    """A file that may hold an annotated video.

    Attributes:
        name: File name, with or without its ending.
        start: Seconds at which the video starts in that file, or None where it is all of it.
        end: Seconds at which it ends, or None.
    """

    name: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class AnnotatedVideo:
    """A well-formed row.

    Attributes:
        source: Name of the annotation file.
        line: Its line, or None.
        shown: Name of the video in reports.
        label: Class index; `NO_LABEL` where it has actions in time, or persons.
        folders: Folders below data_dir in which it may lie, best first.
        candidates: Files that may hold it, best first.
        actions: Its actions in time, of a dataset that has them.
        key_frames: Its moments with persons, of a dataset that has them.
    """

    source: str
    line: int | None
    shown: str
    label: int
    folders: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    actions: IntervalVideo | None = None
    key_frames: tuple[KeyFrame, ...] = ()


Row = AnnotatedVideo | SkippedRow | str


@dataclass
class DatasetCounts:
    """A dataset's rows by their outcome; see `DataReport`."""

    rows: int = 0
    left_out: int = 0
    examples: list[VideoExample] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[SkippedRow] = field(default_factory=list)


def collect(
    dataset: Dataset,
    split: str | None,
    data_dir: str,
    classes: ClassNames,
    rows: Iterable[Row],
    quarantine: Quarantine,
    notes: Iterable[str] = (),
) -> VideoDataset:
    """Finds the videos of an annotation's rows.

    Args:
        dataset: The dataset.
        split: Its split, or None.
        data_dir: Folder that holds the videos.
        classes: The classes.
        rows: The rows.
        quarantine: Videos that are known to be unreadable.
        notes: What a user should know of the annotation, a sentence each; taken after the rows.

    Returns:
        VideoDataset with at least one example.

    Raises:
        ValueError: No row can be used, or no video was found.
    """
    matcher = _Matcher(data_dir, classes, quarantine)
    for row in rows:
        matcher.add(row)
    counts = matcher.counts
    if not counts.examples:
        name = f"{dataset.name} {split}" if split else dataset.name
        raise ValueError(f"{name}: {_reason_without_videos(data_dir, counts)}")
    report = DataReport(
        name=dataset.name,
        split=split,
        data_dir=data_dir,
        rows=counts.rows,
        found=len(counts.examples),
        missing=tuple(counts.missing),
        quarantined=tuple(counts.quarantined),
        skipped=tuple(counts.skipped),
        left_out=counts.left_out,
        classes=len(classes),
        notes=(*notes, *matcher.notes(dataset)),
    )
    return VideoDataset(tuple(counts.examples), classes.names, report)


class _Matcher:
    """The rows of one annotation, matched with files one by one."""

    def __init__(self, data_dir, classes, quarantine):
        self.counts = DatasetCounts()
        self._data_dir, self._classes, self._quarantine = data_dir, classes, quarantine
        self._files = VideoFiles(data_dir)
        self._first_rows = {}

    def add(self, row: Row):
        """Counts a row."""
        self.counts.rows += 1
        if row is NOT_SELECTED:
            self.counts.left_out += 1
        elif isinstance(row, SkippedRow):
            self.counts.skipped.append(row)
        else:
            self._match(row)

    def notes(self, dataset: Dataset) -> Iterator[str]:
        """Yields notes for the user, a sentence each."""
        count = len(self._classes)
        if dataset.classes is not None and count != dataset.classes:
            yield f"{count} classes; {dataset.name} was published with {dataset.classes}"
        empty = count - len(set().union(*map(_labels, self.counts.examples)))
        if empty:
            yield f"{empty} of {count} classes have no video"
        if self._files.other_endings:
            yield f"{self._files.other_endings} videos were found under another ending than listed"
        if self._quarantine.outdated:
            yield (
                f"{self._quarantine.outdated} records of the quarantine are outdated: those files "
                "have changed or are gone; check the videos again"
            )

    def _match(self, row):
        path, candidate = self._find(row)
        key = (path, candidate.start, candidate.end) if path else (row.shown, row.label)
        first = self._first_rows.setdefault(key, row)
        if first is not row:
            reason = self._repetition(row, first)
            self.counts.skipped.append(SkippedRow(row.source, row.line, reason))
            return
        if path is None:
            self.counts.missing.append(row.shown)
            return
        path = join(self._data_dir, path)
        reason = self._quarantine.reason(path, candidate.start, candidate.end)
        if reason is not None:
            self.counts.quarantined.append((path, reason))
            return
        name = "" if row.label == NO_LABEL else self._classes.names[row.label]
        start, end = candidate.start, candidate.end
        example = VideoExample(path, row.label, name, start, end, row.actions, row.key_frames)
        self.counts.examples.append(example)

    def _find(self, row):
        """Returns the path of the first candidate that exists, or None, and the candidate."""
        for candidate in row.candidates:
            path = self._files.find(row.folders, candidate.name)
            if path is not None:
                return path, candidate
        return None, None

    def _repetition(self, row, first):
        where = first.shown if first.line is None else f"{first.source} line {first.line}"
        if row.label == first.label:
            return f"{row.shown} is listed in {where} already"
        names = self._classes.names
        return (
            f"{row.shown} as {names[row.label]!r} contradicts {where}, which says "
            f"{names[first.label]!r} and was kept"
        )


def _labels(example):
    """Returns the classes of an example."""
    if example.label != NO_LABEL:
        return {example.label}
    persons = [person for frame in example.key_frames for person in frame.persons]
    of_persons = {label for person in persons for label in person.labels}
    return of_persons | {interval.label for interval in example.intervals}


def _reason_without_videos(data_dir, counts):
    if counts.missing:
        return (
            f"none of the {len(counts.missing)} videos listed is in {data_dir}, not even "
            f"{_shortened(counts.missing[0])}. Give the folder they lie in."
        )
    if counts.quarantined:
        path, reason = counts.quarantined[0]
        return (
            f"all {len(counts.quarantined)} videos are known to be unreadable, the first is "
            f"{path}: {reason}."
        )
    if counts.skipped:
        first = _shortened(str(counts.skipped[0]))
        return f"none of {counts.rows} rows can be used; the first fault is in {first}."
    if not counts.rows:
        return "the annotation has no rows."
    return (
        f"no row is of this split and these classes ({counts.rows} rows read). Correct the "
        "annotation file, or ask for others."
    )


def _shortened(text):
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
