"""Average precision of ranked examples, by class, and its means over classes.

Two definitions are in use. Charades (and THUMOS15, from whose program its own descends) averages
the precision at the rank of every positive; AVA and ActivityNet take the area under the precision,
made monotone, as PASCAL VOC does since 2010.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassScores:
    """Average precisions of all classes.

    Attributes:
        by_class: float64 (classes,), in [0, 1]; NaN for a class without positives.
        positives: int64 (classes,), the positives of each class.
        examples: Ranked examples of each class; None where these are detections, which are as many
            as a network found.
    """

    by_class: np.ndarray
    positives: np.ndarray
    examples: int | None = None

    @property
    def mean(self) -> float:
        """The mean over the classes that have positives (mAP); NaN where none has any."""
        present = self.by_class[self.positives > 0]
        return float(present.mean()) if present.size else float("nan")

    @property
    def weighted_mean(self) -> float:
        """The mean with each class's positives as its weight (wAP); NaN where none has any."""
        present = self.positives > 0
        if not present.any():
            return float("nan")
        return float(np.average(self.by_class[present], weights=self.positives[present]))

    @property
    def chance(self) -> float | None:
        """About the mean of a random order: the mean share of positives; None without examples."""
        present = self.positives[self.positives > 0]
        if not self.examples or not present.size:
            return None
        return float(present.mean() / self.examples)


def average_precision(scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Computes the mean of the precision at the rank of every positive.

    Args:
        scores: (N,), higher is ranked earlier; equal ones keep their order; -inf is ranked last.
        is_positive: bool (N,).

    Returns:
        A number in [0, 1]; NaN where nothing is positive.

    Raises:
        ValueError: A score is NaN, or the shapes differ.
    """
    hits = _ranked(scores, is_positive)
    ranks = np.flatnonzero(hits) + 1
    if not ranks.size:
        return float("nan")
    return float((np.arange(1, ranks.size + 1) / ranks).mean())


def class_average_precisions(scores: np.ndarray, is_positive: np.ndarray) -> ClassScores:
    """Computes `average_precision` for every class.

    Args:
        scores: (N, classes).
        is_positive: bool (N, classes).

    Raises:
        ValueError: See `average_precision`.
    """
    scores, is_positive = np.asarray(scores), np.asarray(is_positive, bool)
    if scores.ndim != 2 or scores.shape != is_positive.shape:
        raise ValueError(
            "`scores` and `is_positive` must be (N, classes) both; received "
            f"{scores.shape} and {is_positive.shape}."
        )
    columns = zip(scores.T, is_positive.T, strict=True)
    values = [average_precision(*column) for column in columns]
    return ClassScores(np.array(values, np.float64), is_positive.sum(0), len(is_positive))


def area_under_precision(scores: np.ndarray, is_positive: np.ndarray, num_positives: int) -> float:
    """Computes the area under the precision, made monotone, over the recall (PASCAL VOC 2010).

    Args:
        scores: (N,) of the detections, see `average_precision`.
        is_positive: bool (N,), the detections that found something.
        num_positives: Things to find; those that no detection found count too.

    Returns:
        A number in [0, 1]; NaN where there is nothing to find.

    Raises:
        ValueError: See `average_precision`.
    """
    hits = _ranked(scores, is_positive)
    if not num_positives:
        return float("nan")
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best_from_here[hits].sum() / num_positives)


def _ranked(scores, is_positive):
    """Returns which examples are positive, best score first."""
    scores, is_positive = np.asarray(scores, np.float64), np.asarray(is_positive, bool)
    if scores.ndim != 1 or scores.shape != is_positive.shape:
        raise ValueError(
            f"`scores` and `is_positive` must be (N,) both; received {scores.shape} and "
            f"{is_positive.shape}."
        )
    if np.isnan(scores).any():
        raise ValueError("`scores` must be numbers; received NaN.")
    return is_positive[np.argsort(-scores, kind="stable")]
