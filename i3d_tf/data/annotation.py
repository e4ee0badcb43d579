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
from i3d_tf.video.find import is_video_name

SPACE = " "
DELIMITERS = (",", "\t", ";", SPACE)  # of cells, the usual one first
BLANKS = " ,;\t"  # what a line without a row consists of


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


class Table:
    """A CSV file, as spreadsheets and scripts write it.

    Cells are separated by commas, tabs, semicolons or spaces. Columns may come in any order; others
    than those asked for are ignored.

    Args:
        path: The file.
        required: Names of columns that must be in its heading.
        implied: Names of the columns of a file without a heading, of which the first holds videos;
            None refuses such a file.

    Attributes:
        has_heading: Whether the file has a heading.

    Raises:
        ValueError: The heading lacks a column or has one twice, or there is none and the columns
            could mean several things.
    """

    def __init__(self, path: str, required: Sequence[str], implied: Sequence[str] | None = None):
        self._path, self._required = path, required
        self._lines = read_lines(path)
        first_lines = ((k, line) for k, line in enumerate(self._lines, 1) if line.strip(BLANKS))
        number, first = next(first_lines, (0, ""))
        if not number:
            raise ValueError(f"{path}: the file is empty. It must start with {','.join(required)}.")
        wanted = set(required)
        delimiter = next((d for d in DELIMITERS if wanted <= {*_split(first.lower(), d)}), None)
        self.has_heading = delimiter is not None
        self._columns: list[str] = []  # where they are not in the file
        if delimiter == SPACE:
            self._names = first.lower().split()
        elif delimiter is None and implied is not None:
            delimiter = _implied_delimiter(path, number, first, implied)
            self._columns = self._names = list(implied if delimiter else ())
        self._delimiter = delimiter or DELIMITERS[0]

    def rows(
        self, optional: Sequence[str] = ()
    ) -> Iterator[tuple[int, dict[str, str] | SkippedRow]]:
        """Yields (line number, row).

        A row is a dict of stripped texts with a key for each column that is required or optional,
        "" where a column is not there; or a SkippedRow where the line has too many or too few
        cells. Blank lines are not rows.

        Args:
            optional: Names of columns that may be there.

        Raises:
            ValueError: A column is not there or twice, or the file is not CSV.
        """
        name = posixpath.basename(self._path)
        columns = self._columns or None
        shown = "first line" if columns else "heading"
        for line, cells in self._cells():
            if columns is None:
                columns = _heading(self._path, line, cells, self._required)
            elif len(cells) != len(columns):
                reason = f"it has {len(cells)} cells, the {shown} {len(columns)}"
                yield line, SkippedRow(name, line, reason)
            else:
                found = dict(zip(columns, cells, strict=True))
                yield line, {key: found.get(key, "") for key in (*self._required, *optional)}

    def _cells(self):
        """Yields (line number, stripped cells) of the rows that are not blank."""
        if self._delimiter == SPACE:
            # A path may have spaces in it.
            split = str.split if self._names[-1] == "path" else str.rsplit
            for number, line in enumerate(self._lines, start=1):
                if line.strip():
                    yield number, split(line.strip(), maxsplit=len(self._names) - 1)
            return
        text = io.StringIO("\n".join(self._lines))
        yield from _csv_rows(self._path, csv.reader(text, delimiter=self._delimiter, strict=True))


def _split(line, delimiter):
    """Returns the cells of one line; none where it cannot be split in this way."""
    if delimiter == SPACE:
        return [] if any(other in line for other in DELIMITERS[:-1]) else line.split()
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in cells]


def _implied_delimiter(path, number, line, implied):
    """Returns what separates the cells of a list's first line, if that is a video and no heading.

    Raises:
        ValueError: It has more or fewer cells than expected.
    """
    for delimiter in DELIMITERS:
        video, *others = _split_row(line, delimiter) or [""]
        if not others or not _is_listed_video(video, others):
            continue
        if len(others) != len(implied) - 1:
            names = ["path", *(["frames"] * (len(others) - 1)), "label"]
            names = ["path", "start", "frames", "label"] if len(names) == 4 else names
            raise ValueError(
                f"{path}: line {number}: it is no heading, and has {1 + len(others)} cells, which "
                f"could mean several things. Add a first line that names them, such as "
                f"{delimiter.join(names)!r}; other names than path, label, start and end are "
                "ignored."
            )
        return delimiter
    return None


def _split_row(line, delimiter):
    """Returns the cells of a row whose first may have spaces in it, where it ends as a video."""
    if delimiter != SPACE:
        return _split(line, delimiter)
    words = line.split()
    ends = [k for k in range(1, len(words)) if is_video_name(words[k - 1])]
    end = ends[-1] if ends else 1
    return [" ".join(words[:end]), *words[end:]]


def _is_listed_video(text, others):
    """Returns whether a cell names a video, or a folder of pictures with numbers after it."""
    return is_video_name(text) or ("/" in text and all(each.isdecimal() for each in others))


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
