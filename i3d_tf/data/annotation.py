"""Annotation files: finding them, and reading their rows."""

import csv
import io
import os
import posixpath
from collections.abc import Iterator, Sequence

from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.dataset_report import SkippedRow
from i3d_tf.specs.datasets import Dataset
from i3d_tf.system.storage import is_file, is_folder, join, read_lines


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
    """Reads a CSV file with a heading, as spreadsheets and scripts write it.

    Args:
        path: The file. Columns may come in any order; others are ignored.
        required: Names of columns that must be there.
        optional: Names of columns that may be there.

    Yields:
        (line number, row), where the row is a dict of stripped texts with a key for each column,
        "" where a column is not there, or a SkippedRow where the line has too many or too few
        cells. Blank lines are not rows.

    Raises:
        ValueError: The heading lacks a column or has one twice, or the file is not CSV.
    """
    name = posixpath.basename(path)
    reader = csv.reader(io.StringIO("\n".join(read_lines(path))), strict=True)
    columns = None
    for line, cells in _csv_rows(path, reader):
        if columns is None:
            columns = _heading(path, line, cells, required)
        elif len(cells) != len(columns):
            reason = f"it has {len(cells)} cells, the heading {len(columns)}"
            yield line, SkippedRow(name, line, reason)
        else:
            found = dict(zip(columns, cells, strict=True))
            yield line, {key: found.get(key, "") for key in (*required, *optional)}
    if columns is None:
        raise ValueError(f"{path}: the file is empty. It must start with {','.join(required)}.")


def _csv_rows(path, reader):
    """Yields (line number, stripped cells) of the rows that are not blank."""
    first_line = 1  # of the row; a quoted cell may run over several
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield first_line, stripped
            first_line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}: line {first_line} is not CSV: {error}.") from error


def _heading(path, line, cells, required):
    columns = [cell.lower() for cell in cells]
    shown = ",".join(cells)
    for name in required:
        if columns.count(name) != 1:
            fault = "no column" if name not in columns else "more than one column"
            raise ValueError(
                f"{path}: line {line}: {fault} {name!r}; the heading must have "
                f"{','.join(required)} and is {shown!r:.100}."
            )
    return columns


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
