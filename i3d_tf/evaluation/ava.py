"""AVA's frame mAP, by the official program's rules (ActivityNet, `get_ava_performance.py`)."""

from collections.abc import Collection, Iterable, Mapping

from i3d_tf.data.ava import Frame, PersonFile, PersonRow
from i3d_tf.metrics.average_precision import ClassScores
from i3d_tf.metrics.detection import MAX_DETECTIONS, Box, frame_average_precisions


def ava_average_precisions(
    truth: PersonFile,
    detections: PersonFile,
    actions: Mapping[int, str],
    excluded: Collection[Frame] | None = None,
    max_detections: int | None = MAX_DETECTIONS,
) -> ClassScores:
    """Computes the average precision of each action, at an overlap of 0.5.

    Args:
        truth: What is in the frames.
        detections: What was found, with scores.
        actions: Number to name of the actions that count, in the order of the result.
        excluded: None counts the frames that the truth names, also those with nobody, the rule
            since April 2020. Otherwise the older rule: these frames are left out, and detections in
            all others count.
        max_detections: Detections of a frame that count, over all actions; None counts all, as
            PySlowFast and mmaction2 do.

    Raises:
        ValueError: A detection has no score.
    """
    if any(row.last is None for row in detections.rows):
        raise ValueError("every detection must have a score in its eighth column.")

    def counts(frame):
        return frame in truth.frames if excluded is None else frame not in excluded

    return frame_average_precisions(
        _boxes(row for row in truth.rows if excluded is None or row.frame not in excluded),
        _boxes(row for row in detections.rows if counts(row.frame)),
        tuple(actions),
        max_detections=max_detections,
    )


def _boxes(rows: Iterable[PersonRow]):
    for row in rows:
        if row.action is not None:
            name = f"{row.frame.video},{row.frame.timestamp:.6f}"
            yield Box(name, row.box, row.action, 0.0 if row.last is None else row.last)
