"""Annotation files: finding them, and reading their rows."""

import os
import posixpath
from collections.abc import Iterator, Sequence

from i3d_tf.data.class_names import ClassNames
from i3d_tf.specs.datasets import Dataset
from i3d_tf.system.storage import is_file, is_folder, join, read_lines
from i3d_tf.system.tables import SkippedRow, Table


def find_annotation(
    dataset: Dataset, data_dir: str, annotation: str | None, names: Sequence[str]
) -> str:
    """Returns the path of the annotation file to read.

    Args:
        dataset: The dataset.
        data_dir: Its folder.
        annotation: A file, or a folder to look in, or None to look where the dataset has them.
        names: Names that the file may have, best first.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if annotation is not None and is_file(annotation):
        return annotation
    places = annotation_folders(dataset, data_dir, annotation)
    for place in places:
        for name in names:
            if is_file(join(place, name)):
                return join(place, name)
    raise FileNotFoundError(
        f"{dataset.name}: there is no {' or '.join(names)} in {' or '.join(places)}. Name its file "
        "or folder with `annotation`."
    )


def annotation_folders(dataset: Dataset, data_dir: str, annotation: str | None) -> list[str]:
    """Returns the folders to look in for annotation files.

    Raises:
        FileNotFoundError: `annotation` is given and is not a folder.
    """
    if annotation is None:
        return [join(data_dir, folder) for folder in dataset.annotation_folders]
    if not is_folder(annotation):
        raise FileNotFoundError(f"`annotation` {annotation}: there is no such file or folder.")
    return [annotation]


def text_rows(path: str) -> Iterator[tuple[int, str]]:
    """Yields (line number, line) of the lines of a text file that are not blank, stripped."""
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            yield number, line.strip()


def table_rows(
    path: str, required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str] | SkippedRow]]:
    """Reads the rows of a table with a heading, see `Table`."""
    return Table(path, required).rows(optional)


def parse_seconds(text: str, column: str) -> float | None:
    """Returns the seconds in a cell; None for an empty one.

    Raises:
        ValueError: The cell holds something else; the message names the column.
    """
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"column {column}: {text!r} is not a number of seconds >= 0")
    return value


def check_cut(start: float | None, end: float | None):
    """Checks that a cut starts before it ends."""
    if end is not None and end <= (start or 0):
        raise ValueError(f"the cut must end after it starts; it is {start or 0:g} to {end:g} s")


def unknown_label_error(
    path: str, line: int, label: str, classes: ClassNames, advice: str
) -> ValueError:
    """Returns the error for a class that the dataset does not have.

    Args:
        path: The annotation file.
        line: Its line.
        label: The class that the line names.
        classes: Classes of the dataset.
        advice: Sentence that says what to do.
    """
    return ValueError(
        f"{path}: line {line}, column label: {label[:80]!r} is not one of the "
        f"{len(classes)} classes{classes.suggest(label[:80])}. {advice}"
    )


def parent_folder(path: str) -> str:
    """Returns the folder of a file."""
    return posixpath.dirname(path) if "://" in path else os.path.dirname(path) or "."
