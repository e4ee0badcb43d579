"""Mean average precision of detections: persons' actions in frames, and actions in time."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from i3d_tf.metrics.average_precision import ClassScores, area_under_precision

MAX_DETECTIONS = 50  # of a frame, over all classes: the rule of AVA's program
ACTIVITYNET_THRESHOLDS = tuple(0.5 + 0.05 * step for step in range(10))
THUMOS14_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)


class Box(NamedTuple):
    """An action of one person in one frame.

    Attributes:
        frame: Name of the frame, such as "video,0902".
        box: (x1, y1, x2, y2), corners, in any unit.
        label: Class.
        score: Of a detection; not used for the truth.
    """

    frame: str
    box: tuple[float, float, float, float]
    label: int
    score: float = 1.0


class Segment(NamedTuple):
    """An action in a video.

    Attributes:
        video: Name of the video.
        start: Seconds, or another unit.
        end: Likewise.
        label: Class.
        score: Of a detection; not used for the truth.
    """

    video: str
    start: float
    end: float
    label: int
    score: float = 1.0


def frame_average_precisions(
    truth: Iterable[Box],
    detections: Iterable[Box],
    classes: Sequence[int],
    min_overlap: float = 0.5,
    max_detections: int | None = MAX_DETECTIONS,
) -> ClassScores:
    """Computes AVA's frame mAP: the average precision of boxes whose overlap is large enough.

    Of the detections of a class in a frame, best first, each looks at the true box of that class
    that it overlaps most; it is wrong where that overlap (intersection over union) is too small, or
    an earlier one has that box. (ActivityNet's program for AVA.)

    Args:
        truth: What is in the frames.
        detections: What was found. Which frames count is the caller's choice.
        classes: Classes that count; boxes of others are left out.
        min_overlap: Overlap of a correct box, at least.
        max_detections: Detections of a frame, over all classes, that count: the best ones. None
            counts all.
    """
    kept = set(classes)
    true_boxes: dict[tuple[str, int], list] = defaultdict(list)
    for item in truth:
        if item.label in kept:
            true_boxes[item.frame, item.label].append(item.box)
    by_frame: dict[str, list[Box]] = defaultdict(list)
    for item in detections:
        if item.label in kept:
            by_frame[item.frame].append(item)
    found: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for frame, items in by_frame.items():
        taken: set[tuple[int, int]] = set()
        for item in _best(items, max_detections):
            if item.box[0] >= item.box[2] or item.box[1] >= item.box[3]:
                continue  # no area; it counts among the best all the same
            index, overlap = _best_overlap(item.box, true_boxes.get((frame, item.label), ()))
            is_correct = overlap >= min_overlap and (item.label, index) not in taken
            if is_correct:
                taken.add((item.label, index))
            found[item.label].append((item.score, is_correct))
    counts: dict[int, int] = defaultdict(int)
    for (_, label), boxes in true_boxes.items():
        counts[label] += len(boxes)
    return _class_scores(found, counts, classes)


def _best(items, number):
    """Returns the best detections of a frame, in order; of equal ones, those with larger boxes."""

    def rank(item):
        x1, y1, x2, y2 = item.box
        return item.score, item.label, y1, x1, y2, x2

    if number is not None:
        items = heapq.nlargest(number, items, key=rank)
    return sorted(items, key=lambda item: -item.score)


def box_overlap(box: Sequence[float], others: np.ndarray) -> np.ndarray:
    """Returns the intersection over union of a box with each of others.

    Args:
        box: (x1, y1, x2, y2).
        others: (N, 4).

    Returns:
        float64 (N,), in [0, 1].
    """
    x1, y1, x2, y2 = box
    left, top, right, bottom = np.asarray(others, np.float64).reshape(-1, 4).T
    width = np.maximum(np.minimum(x2, right) - np.maximum(x1, left), 0)
    height = np.maximum(np.minimum(y2, bottom) - np.maximum(y1, top), 0)
    shared = width * height
    union = (x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _best_overlap(box, others):
    """Returns index and overlap of the box that overlaps most; (-1, -1) where there is none."""
    if not len(others):
        return -1, -1.0
    overlaps = box_overlap(box, others)
    index = int(overlaps.argmax())
    return index, float(overlaps[index])


def segment_average_precisions(
    truth: Iterable[Segment],
    detections: Iterable[Segment],
    classes: Sequence[int],
    min_overlap: float,
) -> ClassScores:
    """Computes the average precision of actions in time, as ActivityNet's program.

    Of the detections of a class, best first, each takes the free true action of its video that it
    overlaps most, and is wrong where none is left that it overlaps enough.

    Args:
        truth: The actions.
        detections: What was found.
        classes: Classes that count.
        min_overlap: Intersection over union in time of a correct detection, at least.
    """
    kept = set(classes)
    true_segments: dict[tuple[str, int], list[Segment]] = defaultdict(list)
    for item in truth:
        if item.label in kept:
            true_segments[item.video, item.label].append(item)
    taken: set[tuple[str, int, int]] = set()
    found: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for item in sorted(detections, key=lambda item: -item.score):
        if item.label not in kept:
            continue
        free = [
            (segment_overlap(item, other), -index)
            for index, other in enumerate(true_segments.get((item.video, item.label), ()))
            if (item.video, item.label, index) not in taken
        ]
        overlap, index = max(free, default=(-1.0, 0))
        if overlap >= min_overlap:
            taken.add((item.video, item.label, -index))
        found[item.label].append((item.score, overlap >= min_overlap))
    counts: dict[int, int] = defaultdict(int)
    for (_, label), segments in true_segments.items():
        counts[label] += len(segments)
    return _class_scores(found, counts, classes)


def segment_overlap(first: Segment, second: Segment) -> float:
    """Returns the intersection over union of two actions in time, in [0, 1]."""
    shared = max(0.0, min(first.end, second.end) - max(first.start, second.start))
    union = (first.end - first.start) + (second.end - second.start) - shared
    return shared / union if union > 0 else 0.0


def _class_scores(found, counts, classes):
    """Returns the scores of classes from (score, whether correct) of each detection."""
    values = []
    for label in classes:
        scores, hits = zip(*found[label], strict=True) if found[label] else ((), ())
        values.append(area_under_precision(np.array(scores), np.array(hits, bool), counts[label]))
    return ClassScores(np.array(values, np.float64), np.array([counts[c] for c in classes]))
