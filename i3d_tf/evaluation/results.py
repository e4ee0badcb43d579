"""Every number of an evaluation as one record of plain values: what report.json holds."""

import math
from collections.abc import Mapping

import numpy as np

from i3d_tf.metrics.classification import (
    confusion_matrix,
    fuse,
    label_ranks,
    mean_class_accuracy,
    per_class_accuracy,
    top_k_accuracy,
)
from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.streams import JOINT, STREAMS

FILE = "report.json"
FORMAT = "i3d_tf evaluation"
VERSION = 1
TOP = 5  # classes kept of each prediction, and the k of the second accuracy
WORST = 12  # clips shown
DIGITS = 6  # of a probability


def report_numbers(evaluation) -> dict:
    """Measures an evaluation.

    Args:
        evaluation: An `Evaluation`.

    Returns:
        A record of plain values, none of them NaN:
          format, version, classes, videos, protocol, data, history;
          results: "rgb", "flow" and, of both streams, "joint", to their numbers;
          headline: the name of the last of them;
          predictions: a record a video;
          worst: which of them are wrong with the highest probability, in the headline's result.

    Raises:
        ValueError: The protocol, the data report or the history holds what JSON cannot.
    """
    scores = _scores(evaluation)
    headline = list(scores)[-1]
    record = {
        "format": FORMAT,
        "version": VERSION,
        "protocol": plain(evaluation.protocol, "protocol"),
        "data": plain(evaluation.data_report, "data_report"),
        "classes": list(evaluation.class_names),
        "videos": len(evaluation.paths),
        "headline": headline,
        "results": {
            name: {
                "streams": list(STREAMS) if name == JOINT else [name],
                "fusion": evaluation.fusion if name not in evaluation.logits else None,
                **_numbers(values, evaluation.labels),
            }
            for name, values in scores.items()
        },
        "history": _history(evaluation.history or {}),
        "worst": _worst(_probabilities(headline, scores, evaluation), evaluation.labels),
    }
    record["predictions"] = _predictions(evaluation, scores)
    return record


def plain(value, where):
    """A value as JSON can hold it; numbers that are not finite become None.

    Raises:
        ValueError: The value is, or holds, what JSON cannot hold.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{k}]") for k, item in enumerate(value)]
    raise ValueError(
        f"`{where}` must be text, a number, a truth value, None, or a list or dict of such; "
        f"received {type(value).__name__}."
    )


def _history(history):
    """Stream to rows that have a step each."""
    history = plain(history, "history")
    for stream, rows in history.items():
        for row in rows if isinstance(rows, list) else [rows]:
            step = row.get("step") if isinstance(row, dict) else None
            if not isinstance(step, int | float):
                raise ValueError(
                    f"`history` of {stream} must be dicts with a number `step`; received {row!r}."
                )
    return history


def _scores(evaluation):
    """Result to its scores (N, classes): of each stream and, of two, of both."""
    scores = dict(evaluation.logits)
    if len(scores) > 1:
        scores[JOINT] = fuse(scores, evaluation.fusion)
    return scores


def _probabilities(name, scores, evaluation):
    if name not in evaluation.logits and evaluation.fusion == "probabilities":
        return scores[name]
    return softmax(scores[name])


def _numbers(scores, labels):
    matrix = confusion_matrix(scores, labels)
    cells = np.argwhere(matrix)
    return {
        "correct": int(matrix.trace()),
        "top_1": top_k_accuracy(scores, labels),
        # Of five classes, every answer has the right one among its five best.
        "top_5": top_k_accuracy(scores, labels, TOP) if scores.shape[1] > TOP else None,
        "mean_class": mean_class_accuracy(scores, labels),
        "class_videos": matrix.sum(axis=1).tolist(),
        "class_accuracy": plain(per_class_accuracy(scores, labels).tolist(), "class_accuracy"),
        # [true, predicted, videos] of every cell that is not 0: few of 160,000 for 400 classes.
        "confusion": [[int(i), int(j), int(matrix[i, j])] for i, j in cells],
    }


def _worst(probabilities, labels):
    best = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(best != labels)
    confidence = probabilities[wrong, best[wrong]]
    return wrong[np.argsort(-confidence, kind="stable")][:WORST].tolist()


def _predictions(evaluation, scores):
    """What each result says of each clip."""
    names = evaluation.class_names
    records = [
        {"path": path, "start": start, "end": end, "label": names[label]}
        for path, (start, end), label in zip(
            evaluation.paths, evaluation.cuts, evaluation.labels, strict=True
        )
    ]
    for name, values in scores.items():
        ranks = label_ranks(values, evaluation.labels)
        order = np.argsort(-values, axis=1, kind="stable")[:, :TOP]
        best = np.take_along_axis(_probabilities(name, scores, evaluation), order, axis=1)
        for record, rank, classes, shares in zip(records, ranks, order, best, strict=True):
            record[name] = {
                "rank": int(rank) + 1,
                "top": [
                    {"label": names[k], "probability": round(float(p), DIGITS)}
                    for k, p in zip(classes, shares, strict=True)
                ],
            }
    return records
