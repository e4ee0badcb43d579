"""A list of videos: a CSV file with the columns `path,label`, or `path,label,start,end`.

Without a heading, a list of two columns is one of paths and labels.
"""

import contextlib
import posixpath
import unicodedata
from collections.abc import Sequence

from i3d_tf.data.annotation import (
    check_cut,
    find_annotation,
    parent_folder,
    parse_seconds,
    unknown_label_error,
)
from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.example import VideoDataset
from i3d_tf.data.match_videos import AnnotatedVideo, Candidate, collect
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.data.video_files import safe_name, safe_path
from i3d_tf.specs.datasets import Dataset
from i3d_tf.system.storage import file_names, is_file, join
from i3d_tf.system.tables import SkippedRow, Table
from i3d_tf.video.names import is_video_name

REQUIRED = ("path", "label")
OPTIONAL = ("start", "end")
MAX_DIGITS = 9  # of a label


def read_csv_list(
    dataset: Dataset,
    data_dir: str,
    split: str | None,
    annotation: str | None,
    classes: Sequence[str] | None,
    quarantine: Quarantine,
) -> VideoDataset:
    """Reads a list of videos.

    Paths are relative to data_dir. Labels are class names, or numbers where `classes` gives the
    names. Without `classes`, the classes are the labels of the list, sorted; where the list is
    found by its split, those of all lists beside it, so that a class has the same label in each.
    Rows with too many or too few cells, an impossible cut, or no path are counted as skipped. An
    unknown label, and a path that leads out of data_dir, is an error; so are numbers that count
    from 1, where 0 is the first class.

    Args:
        dataset: The dataset.
        data_dir: Folder of the videos.
        split: Name of the list, `splits/<split>.csv`, where `annotation` is not a file.
        annotation: The list, or its folder, or None.
        classes: Names of the classes in label order, or None.
        quarantine: Videos that are known to be unreadable.

    Raises:
        FileNotFoundError: There is no list.
        ValueError: The list is not of this form.
    """
    if split is None and (annotation is None or not is_file(annotation)):
        raise ValueError(
            f"{dataset.name}: no list was named. Give `split`, for splits/<split>.csv, or a file "
            "as `annotation`."
        )
    path = find_annotation(dataset, data_dir, annotation, [f"{safe_name(split or '_')}.csv"])
    lists = [path] if path == annotation else _lists_beside(path)
    labels = set(_labels(path))
    if classes is None:
        labels.update(label for each in lists for label in _labels(each))
    elif any(map(str.isdecimal, labels)):
        for each in lists:
            with contextlib.suppress(ValueError):  # of a file that is no list
                labels.update(_labels(each))
    if classes is None:
        classes = sorted(labels)
        if classes and all(map(str.isdecimal, classes)):
            raise ValueError(
                f"{path}: its labels are numbers. Give the class names in label order with "
                f"`classes`, a list or a file with a name on each line.{_advice(labels)}"
            )
    class_names = ClassNames(classes)
    notes = _check_numbers(path, labels, class_names)
    table = Table(path, REQUIRED, REQUIRED, is_video_name)
    if not table.has_heading:
        notes.append(f"{posixpath.basename(path)} has no heading: read as {','.join(REQUIRED)}")
    rows = _rows(path, table, class_names)
    return collect(dataset, split, data_dir, class_names, rows, quarantine, notes)


def _advice(labels):
    if 0 in map(int, labels):
        return ""
    return " Label 0 is the first name, and none is 0: where they count from 1, subtract 1."


def _check_numbers(path, labels, classes):
    """Returns notes on labels that are numbers of classes.

    Raises:
        ValueError: They count from 1.
    """
    if not labels or not all(_is_number(label) and classes.find(label) is None for label in labels):
        return []
    numbers = set(map(int, labels))
    if min(numbers) == 0:
        return []
    last, count = max(numbers), len(classes)
    if last > count:
        return []  # the row says so
    are_consecutive = 1 < len(numbers) == last and count > 2
    if last == count or are_consecutive:
        raise ValueError(
            f"{path}: its labels are numbers within {min(numbers)}..{last}, and none is 0, the "
            f"number of {classes.names[0]!r}: they seem to count from 1. Subtract 1 from each, or "
            "write the names of the classes in their place."
        )
    return [f"no label is 0, the number of {classes.names[0]!r}; labels count from 0"]


def _lists_beside(path):
    """Returns all lists in the folder of this one: also those of the other splits."""
    folder = parent_folder(path)
    return [join(folder, name) for name in file_names(folder) if name.lower().endswith(".csv")]


def _labels(path):
    for _, row in Table(path, REQUIRED, REQUIRED, is_video_name).rows():
        if not isinstance(row, SkippedRow) and row["label"]:
            yield unicodedata.normalize("NFC", row["label"])


def _rows(path, table, classes):
    source = posixpath.basename(path)
    for line, row in table.rows(OPTIONAL):
        if isinstance(row, SkippedRow):
            yield row
            continue
        if not row["path"] or not row["label"]:
            empty = "path" if not row["path"] else "label"
            yield SkippedRow(source, line, f"column {empty}: it is empty")
            continue
        label = _label(row["label"], classes)
        if label is None:
            raise unknown_label_error(
                path, line, row["label"], classes, "Correct it or give `classes`."
            )
        try:
            video = safe_path(row["path"])
        except ValueError as error:
            raise ValueError(f"{path}: line {line}, column path: {error}.") from error
        try:
            start, end = (parse_seconds(row[column], column) for column in OPTIONAL)
            check_cut(start, end)
        except ValueError as error:
            yield SkippedRow(source, line, str(error))
            continue
        folder, name = posixpath.split(video)
        yield AnnotatedVideo(source, line, video, label, (folder,), (Candidate(name, start, end),))


def _is_number(text):
    return text.isdecimal() and len(text) <= MAX_DIGITS


def _label(text, classes):
    """Returns the label of a class, by its name, else by its number."""
    label = classes.find(text)
    if label is None and _is_number(text) and int(text) < len(classes):
        return int(text)
    return label
