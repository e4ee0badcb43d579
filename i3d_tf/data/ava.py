"""AVA's files (arXiv:1705.08421; AVA-Kinetics, arXiv:2005.00214): persons in boxes, in frames.

A row is `video_id,timestamp,x1,y1,x2,y2,action_id,person_id`, without a heading; of detections, the
last column is a score. AVA-Kinetics has no person. A row of two columns is a frame with nobody.
"""

import csv
import math
import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from i3d_tf.system.storage import read_lines
from i3d_tf.system.tables import SkippedRow

COLUMNS = (2, 7, 8)
DECIMALS = 6  # of a time stamp, by which frames are told apart


class Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        video: Its name.
        timestamp: Seconds of the original video, rounded to microseconds.
    """

    video: str
    timestamp: float


class PersonRow(NamedTuple):
    """An action of a person in a frame.

    Attributes:
        frame: The frame.
        box: (x1, y1, x2, y2), corners, shares of the frame's width and height, in [0, 1].
        action: Number of the action, from 1; None where the row has none.
        last: The eighth column, a person's number or a score; None where there is none.
    """

    frame: Frame
    box: tuple[float, float, float, float]
    action: int | None = None
    last: float | None = None


@dataclass(frozen=True)
class PersonFile:
    """A file of persons.

    Attributes:
        rows: In the file's order.
        frames: All frames that it names, also those with nobody and those of skipped rows.
        skipped: Rows that are not valid.
    """

    rows: tuple[PersonRow, ...]
    frames: frozenset[Frame]
    skipped: tuple[SkippedRow, ...] = ()


def read_persons(path: os.PathLike | str, actions: Iterable[int] | None = None) -> PersonFile:
    """Reads a file of AVA's form: the truth, detected actions, or detected persons.

    Args:
        path: The file.
        actions: Numbers of the actions that there are; rows of others are skipped. None takes all.

    Raises:
        ValueError: No row is valid.
        OSError: The file cannot be read.
    """
    path, known = os.fspath(path), None if actions is None else set(actions)
    source = posixpath.basename(path)
    rows, frames, skipped = [], set(), []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], strict=True))]
            if len(cells) not in COLUMNS:
                raise ValueError(f"it has {len(cells)} cells, not 2, 7 or 8")
            frame = Frame(cells[0], _timestamp(cells[1]))
            frames.add(frame)
            if len(cells) > 2:
                rows.append(_row(frame, cells[2:], known))
        except (ValueError, csv.Error) as error:
            skipped.append(SkippedRow(source, number, str(error)))
    if not frames:
        reason = f" ({skipped[0]})" if skipped else ""
        raise ValueError(f"{path}: no row is of AVA's form{reason}.")
    return PersonFile(tuple(rows), frozenset(frames), tuple(skipped))


def read_frames(path: os.PathLike | str) -> frozenset[Frame]:
    """Reads a list of frames, `video_id,timestamp`, such as those that evaluation leaves out.

    Raises:
        ValueError: A row has another form.
        OSError: The file cannot be read.
    """
    found = read_persons(path)
    if found.skipped or found.rows:
        raise ValueError(f"{path}: every row must be a video and a time stamp.")
    return found.frames


def read_label_map(path: os.PathLike | str) -> dict[int, str]:
    """Reads a label map: blocks with `name: "..."` and `id:` or `label_id:`.

    Returns:
        Number of each action to its name, in the file's order.

    Raises:
        ValueError: A block lacks a name or a number, or a number is there twice.
        OSError: The file cannot be read.
    """
    path = os.fspath(path)
    text = "\n".join(read_lines(path))
    actions: dict[int, str] = {}
    for block in re.findall(r"\{(.*?)\}", text, re.DOTALL):
        name = re.search(r'^\s*name:\s*"(.*)"\s*$', block, re.MULTILINE)
        number = re.search(r"^\s*(?:label_)?id:\s*(\d{1,18})\s*$", block, re.MULTILINE)
        if name is None or number is None:
            raise ValueError(f"{path}: a block has no name or no id: {block.strip()!r:.80}.")
        if int(number[1]) in actions:
            raise ValueError(f"{path}: the id {number[1]} is there twice.")
        actions[int(number[1])] = name[1]
    if not actions:
        raise ValueError(f"{path}: it has no block with a name and an id.")
    return actions


def _timestamp(text):
    value = float(text) if re.fullmatch(r"\d+(\.\d*)?", text) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"the time stamp {text!r:.40} is not a number of seconds")
    return round(value, DECIMALS)


def _row(frame, cells, known):
    numbers = [_number(cell) for cell in cells[:4]]
    if not all(0 <= value <= 1 for value in numbers):
        raise ValueError(f"the box {','.join(cells[:4])!r:.80} is not within 0..1")
    x1, y1, x2, y2 = numbers
    if x1 >= x2 or y1 >= y2:
        raise ValueError(f"the box {','.join(cells[:4])!r:.80} has no area")
    action = None
    if cells[4]:
        if not cells[4].isdecimal():
            raise ValueError(f"the action {cells[4]!r:.40} is not a number")
        action = int(cells[4])
        if known is not None and action not in known:
            raise ValueError(f"the action {action} is not in the label map")
    last = None
    if len(cells) == 6 and cells[5]:
        last = _number(cells[5])
        if not math.isfinite(last):
            raise ValueError(f"the last column {cells[5]!r:.40} is not a number")
    return PersonRow(frame, (x1, y1, x2, y2), action, last)


def _number(text):
    try:
        return float(text)
    except ValueError:
        return math.nan
