"""Persons in boxes in SequenceExamples: regions of MediaSequence, an entry for each key frame.

A box with several labels is repeated, and one without has label 0, "". Times are those of the
frames: microseconds after the first.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from i3d_tf.data.example import KeyFrame
from i3d_tf.records import keys
from i3d_tf.system.records import of_kind

MAX_TRACK = 2**53  # up to which a float holds every whole number
SIDES = (1, 0, 3, 2)  # of a box (x1, y1, x2, y2), in the order of `keys.REGION_BOX`
# Lists that a record may lack, and their kinds.
OPTIONAL = {
    keys.REGION_LABEL_STRING: "bytes_list",
    keys.REGION_LABEL_INDEX: "int64_list",
    keys.REGION_TRACK: "int64_list",
    keys.REGION_IS_ANNOTATED: "int64_list",
}


class Region(NamedTuple):
    """A person in a frame.

    Attributes:
        box: (x1, y1, x2, y2), corners, shares of the frame's width and height.
        labels: Names of the actions; their numbers where the record has no names.
        track: What persons of a video are told apart by; None where the record does not say.
    """

    box: tuple[float, float, float, float]
    labels: tuple[int | str, ...] = ()
    track: int | None = None


class RegionFrame(NamedTuple):
    """A moment whose persons are annotated.

    Attributes:
        time: Seconds after the first frame.
        regions: The persons; there may be none.
    """

    time: float
    regions: tuple[Region, ...] = ()


def add_regions(
    lists: Any,
    key_frames: Sequence[KeyFrame],
    class_names: Sequence[str],
    action_ids: Sequence[int] | None = None,
) -> None:
    """Adds the persons of key frames to the feature lists of a SequenceExample.

    The numbers of persons are written where all of a video have whole ones.

    Args:
        lists: `feature_lists.feature_list` of the SequenceExample.
        key_frames: The moments, by time.
        class_names: Of all classes.
        action_ids: Number of each class in the label map; None counts them from 1.
    """
    ids = range(1, len(class_names) + 1) if action_ids is None else action_ids
    has_tracks = all(_has_track(person) for frame in key_frames for person in frame.persons)
    for frame in key_frames:
        rows = [(each, label) for each in frame.persons for label in each.labels or (None,)]
        labels = [label for _, label in rows]
        names = ["" if label is None else class_names[label] for label in labels]
        _add(lists, keys.REGION_TIMESTAMP, "int64_list", [round(frame.time * keys.MICROSECONDS)])
        _add(lists, keys.REGION_COUNT, "int64_list", [len(rows)])
        _add(lists, keys.REGION_IS_ANNOTATED, "int64_list", [1])
        for key, side in zip(keys.REGION_BOX, SIDES, strict=True):
            _add(lists, key, "float_list", [person.box[side] for person, _ in rows])
        numbers = [0 if label is None else ids[label] for label in labels]
        _add(lists, keys.REGION_LABEL_INDEX, "int64_list", numbers)
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        _add(lists, keys.REGION_LABEL_STRING, "bytes_list", encoded)
        if has_tracks:
            tracks = [int(person.number or 0) for person, _ in rows]
            _add(lists, keys.REGION_TRACK, "int64_list", tracks)


def _has_track(person):
    """Returns whether a person has a whole number, which is no score."""
    number = person.number
    return number is not None and abs(number) < MAX_TRACK and number == int(number)


def _add(lists, key, kind, values):
    """Adds an entry to a feature list, which has its kind where it is empty, too."""
    feature = getattr(lists[key].feature.add(), kind)
    feature.SetInParent()
    feature.value.extend(values)


def read_regions(lists: Any) -> tuple[RegionFrame, ...]:
    """Returns the annotated moments of a SequenceExample; none where its lists do not agree.

    Args:
        lists: `feature_lists.feature_list` of the SequenceExample.
    """
    times = _entries(lists, keys.REGION_TIMESTAMP, "int64_list")
    columns: list[list[list]] = [
        [list(map(shortest_decimal, entry)) for entry in _entries(lists, key, "float_list")]
        for key in keys.REGION_BOX
    ]
    for key, kind in OPTIONAL.items():
        columns.append(_entries(lists, key, kind) if key in lists else [[]] * len(times))
    if any(len(column) != len(times) for column in columns):
        return ()
    frames = []
    for time, *entries, annotated in zip(times, *columns, strict=True):
        count = len(entries[0])
        lengths = [len(entry) for entry in entries]
        if lengths[:4] != [count] * 4 or not {*lengths[4:]} <= {0, count}:
            return ()
        if time and annotated != [0]:
            rows = zip(*(entry or [None] * count for entry in entries), strict=True)
            frames.append(RegionFrame(time[0] / keys.MICROSECONDS, _regions(rows)))
    return tuple(frames)


def shortest_decimal(value: float) -> float:
    """Returns the number of the fewest digits that a float32 stands for: 0.123, not 0.12300000339.

    So boxes of up to six digits are those that were written.
    """
    return float(str(np.float32(value)))


def _entries(lists, key, kind):
    """Returns the values of each entry of a feature list; [] where none is of this kind."""
    features = lists[key].feature if key in lists else ()
    if any(each.WhichOneof("kind") not in (None, kind) for each in features):
        return []
    return [list(getattr(each, kind).value) for each in features]


def _regions(rows):
    """Returns the persons of rows y1, x1, y2, x2, name, number, track; equal boxes are joined."""
    found: dict[tuple, list[int | str]] = {}
    for y1, x1, y2, x2, name, number, track in rows:
        labels = found.setdefault(((x1, y1, x2, y2), track), [])
        label = name.decode("utf-8", "replace") if name else number
        if label and label not in labels:
            labels.append(label)
    return tuple(Region(box, tuple(labels), track) for (box, track), labels in found.items())


def parse_regions(rows: Any) -> tuple[RegionFrame, ...]:
    """Returns the moments of a row of an index.

    Raises:
        TypeError, ValueError: A value is of another kind.
    """
    frames = []
    for time, persons in rows:
        regions = []
        for box, labels, track in persons:
            x1, y1, x2, y2 = (of_kind(side, "box", (int, float)) for side in box)
            names = tuple(of_kind(label, "labels", (int, str)) for label in labels)
            regions.append(
                Region((x1, y1, x2, y2), names, of_kind(track, "track", (int, type(None))))
            )
        frames.append(RegionFrame(_finite(time, "time"), tuple(regions)))
    return tuple(frames)


def _finite(value: Any, name: str) -> float:
    """Returns a number of an index.

    Raises:
        TypeError, ValueError: It is no number, or not a finite one.
    """
    number = of_kind(value, name, (int, float))
    if not abs(number) < MAX_TRACK:
        raise ValueError(f"{name!r} is not a number in reason")
    return number
