"""Tables in text files: rows of cells below a heading, as spreadsheets and scripts write them."""

import csv
import io
import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from i3d_tf.system.storage import read_lines

SPACE = " "
DELIMITERS = (",", "\t", ";", SPACE)  # of cells, the usual one first
BLANKS = " ,;\t"  # what a line without a row consists of


@dataclass(frozen=True)
class SkippedRow:
    """A row of an annotation that gives no example.

    Attributes:
        source: Name of the annotation file, or the path of a file that is not a video.
        line: Line number, from 1, or None where the row is not a line of a file.
        reason: Why it was skipped.
    """

    source: str
    line: int | None
    reason: str

    def __str__(self):
        where = self.source if self.line is None else f"{self.source} line {self.line}"
        return f"{where}: {self.reason}"


class Table:
    """A CSV file, as spreadsheets and scripts write it.

    Cells are separated by commas, tabs, semicolons or spaces. Columns may come in any order; others
    than those asked for are ignored.

    Args:
        path: The file.
        required: Names of columns that must be in its heading.
        implied: Names of the columns of a file without a heading, of which the first holds paths;
            a single one means that there may be any others. None refuses such a file.
        is_path: Function of a cell: whether it ends as the files do that the first column names.
        errors: See `bytes.decode`.

    Attributes:
        has_heading: Whether the file has a heading.
        has_columns: Whether it has a heading, or columns that are implied.

    Raises:
        ValueError: The heading lacks a column or has one twice, or there is none and the columns
            could mean several things.
    """

    def __init__(
        self,
        path: str,
        required: Sequence[str],
        implied: Sequence[str] | None = None,
        is_path: Callable[[str], bool] = lambda cell: False,
        errors: str = "strict",
    ):
        self._path, self._required = path, required
        self._lines = read_lines(path, errors)
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
            delimiter, count = _implied_delimiter(path, number, first, implied, is_path)
            self._columns = self._names = [*implied, *[""] * (count - len(implied))][:count]
        self.has_columns = delimiter is not None
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


def _implied_delimiter(path, number, line, implied, is_path):
    """Returns what separates the cells of a list's first line, and how many there are.

    None and 0 where it is a heading, or has one cell.

    Raises:
        ValueError: It has more or fewer cells than expected.
    """
    for delimiter in DELIMITERS:
        first, *others = _split_row(line, delimiter, is_path) or [""]
        if not others or any(map(is_path, others)):
            continue
        if not is_path(first) and not _is_numbered_folder(first, others):
            continue
        if len(others) != len(implied) - 1 > 0:
            names = ["path", *(["frames"] * (len(others) - 1)), "label"]
            names = ["path", "start", "frames", "label"] if len(names) == 4 else names
            raise ValueError(
                f"{path}: line {number}: it is no heading, and has {1 + len(others)} cells, which "
                f"could mean several things. Add a first line that names them, such as "
                f"{delimiter.join(names)!r}; other names than path, label, start and end are "
                "ignored."
            )
        return delimiter, 1 + len(others)
    return None, 0


def _split_row(line, delimiter, is_path):
    """Returns the cells of a row; the first may have spaces in it, where it ends as a path does."""
    if delimiter != SPACE:
        return _split(line, delimiter)
    words = line.split()
    ends = [k for k in range(1, len(words)) if is_path(words[k - 1])]
    end = ends[-1] if ends else 1
    return [" ".join(words[:end]), *words[end:]]


def _is_numbered_folder(text, others):
    """Returns whether a cell names a folder of pictures, with numbers after it."""
    return "/" in text and all(each.isdecimal() for each in others)


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
