"""Labelled videos, which every reader returns, and the report that accounts for every row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from i3d_tf.system.console import printable
from i3d_tf.system.tables import SkippedRow

NO_LABEL = -1  # of a clip of another dataset, or of a video with intervals instead of a class
MAX_SHOWN = 5  # entries of each list on the terminal; the JSON record has them all


@dataclass(frozen=True)
class DataReport:
    """The number of rows by their outcome.

    rows = found + missing + quarantined + skipped + left_out.

    Attributes:
        name: The dataset.
        split: The split, or None.
        data_dir: Its folder.
        rows: Rows read (of a dataset without annotation files: files seen).
        found: Rows whose video exists: the examples.
        missing: Listed names of missing videos.
        quarantined: (path, reason) of videos that exist and are known to be unreadable.
        skipped: Malformed or repeated rows.
        left_out: Rows of other splits or of classes that were not asked for.
        classes: Number of classes.
        notes: Anything else that a user should know, a sentence each.
    """

    name: str
    split: str | None
    data_dir: str
    rows: int
    found: int
    missing: tuple[str, ...] = ()
    quarantined: tuple[tuple[str, str], ...] = ()
    skipped: tuple[SkippedRow, ...] = ()
    left_out: int = 0
    classes: int = 0
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Returns the lines that show the report on a terminal; long lists are shortened."""
        counts = (
            (self.found, "found"),
            (len(self.missing), "missing"),
            (len(self.quarantined), "unreadable"),
            (len(self.skipped), "skipped"),
            (self.left_out, "left out"),
        )
        split = f" {self.split}" if self.split else ""
        shown = ", ".join(f"{count} {word}" for count, word in counts if count or word == "found")
        lines = [f"{self.name}{split}: {self.rows} rows, {self.classes} classes; {shown}"]
        lines += [f"  note: {note}" for note in self.notes]
        lines += _shortened("missing", self.missing)
        lines += _shortened("unreadable", [f"{path}: {why}" for path, why in self.quarantined])
        lines += _shortened("skipped", [str(row) for row in self.skipped])
        return [printable(line) for line in lines]

    def as_json(self) -> dict[str, Any]:
        """Returns plain values, with every list complete."""
        return {
            "name": self.name,
            "split": self.split,
            "data_dir": self.data_dir,
            "rows": self.rows,
            "found": self.found,
            "missing": list(self.missing),
            "unreadable": [{"path": path, "reason": why} for path, why in self.quarantined],
            "skipped": [
                {"source": row.source, "line": row.line, "reason": row.reason}
                for row in self.skipped
            ],
            "left_out": self.left_out,
            "classes": self.classes,
            "notes": list(self.notes),
        }


def _shortened(word, entries: Sequence[str]):
    shown = [f"  {word}: {entry}" for entry in entries[:MAX_SHOWN]]
    if len(entries) > MAX_SHOWN:
        shown.append(f"  {word}: ... and {len(entries) - MAX_SHOWN} more")
    return shown


class Interval(NamedTuple):
    """An action in a video.

    Attributes:
        label: Class.
        start: Seconds.
        end: Seconds, at least `start` (a moment); it may be past the video's end.
    """

    label: int
    start: float
    end: float


@dataclass(frozen=True)
class IntervalVideo:
    """The actions of a video.

    Attributes:
        name: Its name, without an ending.
        intervals: Its actions, in the annotation's order; there may be none.
        duration: Seconds, as the annotation says; None where it does not.
        split: Its split, as the annotation says; None where it does not.
    """

    name: str
    intervals: tuple[Interval, ...] = ()
    duration: float | None = None
    split: str | None = None


class Person(NamedTuple):
    """A person in a frame.

    Attributes:
        box: (x1, y1, x2, y2), corners, shares of the frame's width and height, in [0, 1].
        labels: Classes, ascending; there may be none.
        number: What an annotation tells persons of a video apart by, or a detector's score.
    """

    box: tuple[float, float, float, float]
    labels: tuple[int, ...] = ()
    number: float | None = None


class KeyFrame(NamedTuple):
    """A moment of a video whose persons are annotated.

    Attributes:
        video: Name of the video in the annotation.
        timestamp: Seconds as the annotation has them, maybe of a longer video.
        time: Seconds after the first frame of the file.
        persons: In the annotation's order; there may be none.
    """

    video: str
    timestamp: float
    time: float
    persons: tuple[Person, ...] = ()

    def frame_index(self, frame_rate: float, num_frames: int) -> int:
        """Returns the frame that is nearest to it, of a video's frames at a rate."""
        return min(math.floor(self.time * frame_rate + 0.5), num_frames - 1)


@dataclass(frozen=True)
class VideoExample:
    """A labelled video, a labelled cut of one, or a video with actions in time or with persons.

    Attributes:
        path: The video file.
        label: Class index, `class_names[label]` of its dataset; `NO_LABEL` of a video with actions
            in time, or of persons.
        class_name: The name of that class; "" without one.
        start: Seconds after the first frame at which the cut starts, or None for the whole video.
        end: Seconds after the first frame at which the cut ends, or None for the video's end.
        actions: Its actions in time, of a dataset that has them.
        key_frames: Its moments with persons, of a dataset that has them.
        head: Name of the classifier whose class the label is, of a network with several.
    """

    path: str
    label: int
    class_name: str
    start: float | None = None
    end: float | None = None
    actions: IntervalVideo | None = None
    key_frames: tuple[KeyFrame, ...] = ()
    head: str | None = None

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Its actions in time; none of a video that has a class instead."""
        return () if self.actions is None else self.actions.intervals


@dataclass(frozen=True)
class VideoDataset:
    """The videos of one split of a dataset.

    Attributes:
        examples: The videos, in the order of the annotation.
        class_names: The names of all classes; label k is class_names[k].
        report: The videos that were found, missing, skipped and quarantined.
    """

    examples: tuple[VideoExample, ...]
    class_names: tuple[str, ...]
    report: DataReport
