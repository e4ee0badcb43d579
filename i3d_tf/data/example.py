"""Labelled videos, which every reader returns."""

from dataclasses import dataclass

from i3d_tf.data.dataset_report import DataReport


@dataclass(frozen=True)
class VideoExample:
    """A labelled video, or a labelled cut of one.

    Attributes:
        path: The video file.
        label: Class index, `class_names[label]` of its dataset.
        class_name: The name of that class.
        start: Seconds after the first frame at which the cut starts, or None for the whole video.
        end: Seconds after the first frame at which the cut ends, or None for the video's end.
    """

    path: str
    label: int
    class_name: str
    start: float | None = None
    end: float | None = None


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
