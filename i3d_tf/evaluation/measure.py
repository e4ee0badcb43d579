"""Logits of a test set to results: accuracies, confusion matrices, most confident errors."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from i3d_tf.evaluation.results import (
    RankedClass,
    Ranking,
    Results,
    StreamResult,
    VideoPrediction,
    plain,
)
from i3d_tf.metrics.classification import (
    confusion_matrix,
    fuse,
    label_ranks,
    mean_class_accuracy,
    per_class_accuracy,
    top_k_accuracy,
)
from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.streams import FEATURES, FUSED, JOINT, RESULTS, SCORE_FUSIONS, STREAMS
from i3d_tf.specs.validation import check_choice

TOP = 5  # classes kept of each prediction, and the k of the second accuracy
MAX_ERRORS = 12  # most confident errors that are shown
DIGITS = 6  # of a probability

Seconds = float | None


class Evaluation:
    """The logits of one or two networks for the videos of a split.

    Args:
        class_names: One name a class, in the order of the logits.
        paths: The video files, N of them.
        labels: Integers (N,), the videos' classes.
        logits: Stream, "rgb" or "flow" or both, to its logits (N, classes), or "joint" alone to
            those of a network that sees both, or "features" or "fused" alone to those of a
            network that reads stored features, or of two reports together; kept as float32.
        protocol: How clips were made, as plain values. The page knows frames, frame_rate, clips,
            crops, short_side, crop_size, time, flow_engine and precision; checkpoints maps each
            stream to its name and sha256; anything else is listed too.
        data_report: `DataReport.as_json()`: found, missing, unreadable and skipped videos.
        history: Stream to its training history, [{"step": ..., "loss": ..., "val_loss": ...}, ...].
        fusion: How two streams are fused, see `i3d_tf.metrics.classification.fuse`.
        cuts: (start, end) of each video in its file, in seconds, either may be None; None for whole
            files.
        fusion_weights: Weights of two streams, see `fuse`; None for equal ones.

    Raises:
        ValueError: The parts do not fit together.
    """

    def __init__(
        self,
        class_names: Iterable[str],
        paths: Iterable[str],
        labels: np.ndarray | Sequence[int],
        logits: Mapping[str, np.ndarray],
        protocol: Mapping[str, Any],
        data_report: Mapping[str, Any] | None = None,
        history: Mapping[str, list] | None = None,
        fusion: str = "logits",
        cuts: Sequence[tuple[Seconds, Seconds]] | None = None,
        fusion_weights: Sequence[float] | None = None,
    ):
        alone = (JOINT, FEATURES, FUSED)
        if set(logits) not in ({"rgb"}, {"flow"}, {"rgb", "flow"}, *({name} for name in alone)):
            raise ValueError(
                f"`logits` must be of streams among {STREAMS}, or of one of {alone}; received "
                f"{sorted(logits) or 'none'}."
            )
        self.class_names = tuple(map(str, class_names))
        self.paths = tuple(map(str, paths))
        self.labels = np.asarray(labels)
        # The numbers too are those of float32, so that they can be had again from the file.
        self.logits = {s: np.asarray(logits[s], np.float32) for s in RESULTS if s in logits}
        self.protocol = protocol
        self.data_report = data_report or {}
        self.history = history or {}
        self.fusion = check_choice("fusion", fusion, SCORE_FUSIONS)
        self.fusion_weights = None if fusion_weights is None else tuple(fusion_weights)
        self.cuts = tuple(cuts or [(None, None)] * len(self.paths))
        self._check_sizes()

    def _check_sizes(self):
        names = self.class_names
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"`class_names` must differ; received {repeated[0]!r} twice.")
        shape = (len(self.paths), len(names))
        for stream, values in self.logits.items():
            if values.shape != shape:
                raise ValueError(
                    f"`logits` of {stream} must be {shape}, one row a path and one column a class "
                    f"name; received {values.shape}."
                )
        if len(self.cuts) != len(self.paths):
            raise ValueError(
                f"`cuts` must be {len(self.paths)}, one a path; received {len(self.cuts)}."
            )


def measure(evaluation: Evaluation) -> Results:
    """Computes the results of an evaluation.

    Raises:
        ValueError: Logits are not finite, a label is not a class, or the protocol, the data report
            or the history holds what JSON cannot.
    """
    scores = _scores(evaluation)
    probabilities = {name: _probabilities(name, scores, evaluation) for name in scores}
    headline = list(scores)[-1]
    return Results(
        protocol=plain(_protocol(evaluation), "protocol"),
        data=plain(evaluation.data_report, "data_report"),
        class_names=evaluation.class_names,
        by_stream={
            name: _stream_result(
                values,
                evaluation.labels,
                streams={JOINT: STREAMS, FUSED: ()}.get(name, (name,)),
                fusion=None if name in evaluation.logits else evaluation.fusion,
            )
            for name, values in scores.items()
        },
        history=_history(evaluation.history),
        errors=_most_confident_errors(probabilities[headline], evaluation.labels),
        predictions=_predictions(evaluation, scores, probabilities),
    )


def _protocol(evaluation):
    weights = evaluation.fusion_weights
    return {**evaluation.protocol, **({} if weights is None else {"fusion_weights": weights})}


def _scores(evaluation):
    """Returns result to scores (N, classes): of each stream and, of two, of both together."""
    scores = dict(evaluation.logits)
    if len(scores) > 1:
        scores[JOINT] = fuse(scores, evaluation.fusion, evaluation.fusion_weights)
    return scores


def _probabilities(name, scores, evaluation):
    if name not in evaluation.logits and evaluation.fusion == "probabilities":
        return scores[name]
    return softmax(scores[name])


def _stream_result(scores, labels, streams, fusion):
    matrix = confusion_matrix(scores, labels)
    return StreamResult(
        streams=streams,
        fusion=fusion,
        correct=int(matrix.trace()),
        top_1=top_k_accuracy(scores, labels),
        # Of five classes, every label is among the five most probable.
        top_5=top_k_accuracy(scores, labels, TOP) if scores.shape[1] > TOP else None,
        mean_class=mean_class_accuracy(scores, labels),
        class_videos=tuple(matrix.sum(axis=1).tolist()),
        class_accuracy=tuple(plain(per_class_accuracy(scores, labels).tolist(), "class_accuracy")),
        confusion=tuple((int(i), int(j), int(matrix[i, j])) for i, j in np.argwhere(matrix)),
    )


def _history(history):
    """Checks that every row of a history has a step; returns plain values."""
    history = plain(history, "history")
    for stream, rows in history.items():
        for row in rows if isinstance(rows, list) else [rows]:
            step = row.get("step") if isinstance(row, dict) else None
            if not isinstance(rows, list) or not isinstance(step, int | float):
                raise ValueError(
                    f"`history` of {stream} must be dicts with a number `step`; received {row!r}."
                )
    return history


def _most_confident_errors(probabilities, labels):
    best = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(best != labels)
    confidence = probabilities[wrong, best[wrong]]
    return tuple(wrong[np.argsort(-confidence, kind="stable")][:MAX_ERRORS].tolist())


def _predictions(evaluation, scores, probabilities):
    """Returns the rankings of each video, by all results."""
    names = evaluation.class_names
    rankings = [{} for _ in evaluation.paths]
    for name, values in scores.items():
        ranks = label_ranks(values, evaluation.labels)
        order = np.argsort(-values, axis=1, kind="stable")[:, :TOP]
        best = np.take_along_axis(probabilities[name], order, axis=1)
        for of_video, rank, classes, shares in zip(rankings, ranks, order, best, strict=True):
            top = (
                RankedClass(names[k], round(float(share), DIGITS))
                for k, share in zip(classes, shares, strict=True)
            )
            of_video[name] = Ranking(int(rank) + 1, tuple(top))
    return tuple(
        VideoPrediction(path, start, end, names[label], of_video)
        for path, (start, end), label, of_video in zip(
            evaluation.paths, evaluation.cuts, evaluation.labels, rankings, strict=True
        )
    )
