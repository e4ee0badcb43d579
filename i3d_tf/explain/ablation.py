"""Results of a temporal ablation: accuracies under each condition, and how sure their drops are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from i3d_tf.explain.frame_orders import BEST, FROZEN, MIDDLE, ORACLE, ORIGINAL, Condition
from i3d_tf.explain.video_logits import VideoLogits
from i3d_tf.metrics.bootstrap import SAMPLES, Difference, accuracy_difference
from i3d_tf.metrics.classification import (
    Confusion,
    confusion_matrix,
    mean_class_accuracy,
    most_confused,
    per_class_accuracy,
)
from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.streams import JOINT

FORMAT, VERSION = "i3d_tf temporal ablation", 1
MAX_CONFUSIONS = 10
DIGITS = 6


@dataclass(frozen=True)
class Exchange:
    """Two classes that are each other's most frequent wrong prediction.

    Attributes:
        classes: Their indices.
        shares: Share of the videos of each that is predicted as the other.
        original_shares: The same with the frames as they are.
    """

    classes: tuple[int, int]
    shares: tuple[float, float]
    original_shares: tuple[float, float]


@dataclass(frozen=True)
class LabelResult:
    """The predictions under one condition against the labels.

    Attributes:
        correct: Videos that are classified correctly.
        accuracy: Their share.
        class_mean: Mean of the classes' accuracies.
        class_accuracy: Accuracy of each class; None without videos.
        drop: Accuracy with the frames as they are minus `accuracy`.
        class_drops: The same of each class; None without videos.
        confusions: The most frequent wrong predictions.
        exchanges: Pairs of classes that are confused both ways most often.
    """

    correct: int
    accuracy: float
    class_mean: float
    class_accuracy: tuple[float | None, ...]
    drop: Difference
    class_drops: tuple[Difference | None, ...]
    confusions: tuple[Confusion, ...]
    exchanges: tuple[Exchange, ...]

    @property
    def unaffected(self) -> tuple[int, ...]:
        """Classes whose drop may be 0: its lower bound is not above it."""
        drops = enumerate(self.class_drops)
        return tuple(k for k, drop in drops if drop is not None and drop.low <= 0)

    @property
    def unaffected_share(self) -> float:
        """Share of the classes with videos that are unaffected."""
        return len(self.unaffected) / sum(drop is not None for drop in self.class_drops)


@dataclass(frozen=True)
class ConditionResult:
    """The predictions of one network, or of two, under one condition.

    Attributes:
        predicted: int64 (N,), the class of each video.
        probabilities: float64 (N,), that of this class.
        same: Share of the videos that are predicted as with the frames as they are.
        labels: The results against the labels; None of videos without.
    """

    predicted: np.ndarray
    probabilities: np.ndarray
    same: float
    labels: LabelResult | None

    @property
    def against_labels(self) -> LabelResult:
        """The results against the labels.

        Raises:
            ValueError: The videos have none.
        """
        if self.labels is None:
            raise ValueError("the videos have no labels.")
        return self.labels


@dataclass(frozen=True)
class Ablation:
    """The results of an ablation.

    Attributes:
        class_names: In the order of the logits.
        conditions: The first is that of the frames as they are.
        videos: Name of each video.
        labels: int64 (N,); None of videos without.
        results: "rgb", "flow" and "joint", as far as there are networks, to name of a condition to
            its result; "joint" of two networks is of the sum of their logits.
        metadata: Data, protocol, networks and settings, as plain values.
    """

    class_names: tuple[str, ...]
    conditions: tuple[Condition, ...]
    videos: tuple[str, ...]
    labels: np.ndarray | None
    results: dict[str, dict[str, ConditionResult]]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The result that counts: both networks together, or the only one."""
        return list(self.results)[-1]

    def lines(self) -> list[str]:
        """Returns a table for a terminal: accuracies, or shares of unchanged predictions."""
        names = list(self.results)
        if self.labels is None:
            title = "same prediction as with the frames as they are, %"
        else:
            title = "top-1 accuracy, %"
        width = max(len(condition.title) for condition in self.conditions)
        lines = [f"{title}, of {len(self.videos)} videos"]
        lines.append("  ".join([" " * width, *(f"{name:>6}" for name in names)]))
        for condition in self.conditions:
            if condition.name in self.results[names[0]]:
                found = [self.results[name][condition.name] for name in names]
                shares = [r.same if r.labels is None else r.labels.accuracy for r in found]
                cells = (f"{100 * share:6.1f}" for share in shares)
                lines.append("  ".join([f"{condition.title:<{width}}", *cells]))
        return lines

    def to_json(self) -> dict[str, Any]:
        """Returns plain values; classes are indices of `class_names`."""
        return {
            "format": FORMAT,
            "version": VERSION,
            **self.metadata,
            "class_names": list(self.class_names),
            "conditions": [condition.name for condition in self.conditions],
            "results": {
                name: {condition: _to_json(result) for condition, result in results.items()}
                for name, results in self.results.items()
            },
            "predictions": [self._prediction(number) for number in range(len(self.videos))],
        }

    def _prediction(self, number):
        label = None if self.labels is None else self.class_names[self.labels[number]]
        return {
            "path": self.videos[number],
            "label": label,
            **{
                name: {
                    condition: [
                        self.class_names[result.predicted[number]],
                        round(float(result.probabilities[number]), DIGITS),
                    ]
                    for condition, result in results.items()
                }
                for name, results in self.results.items()
            },
        }


def measure(
    class_names: Sequence[str],
    conditions: Sequence[Condition],
    videos: Mapping[str, VideoLogits],
    labels: Sequence[int] | None,
    metadata: dict[str, Any],
    seed: int = 0,
    samples: int = SAMPLES,
) -> Ablation:
    """Computes the results of an ablation.

    Args:
        class_names: In the order of the logits.
        conditions: The first is that of the frames as they are.
        videos: Name to logits, at least one.
        labels: The videos' classes; None where they are not known.
        metadata: See `Ablation`.
        seed: Of the bootstrap's samples; each interval has random numbers of its own.
        samples: See `accuracy_difference`.
    """
    known = None if labels is None else np.asarray(labels, np.int64)
    results = {}
    for name, of_videos in _by_result(list(videos.values())).items():
        logits = {
            condition.name: _condition_logits(of_videos, condition, known)
            for condition in conditions
            if known is not None or condition.selection != ORACLE
        }
        results[name] = {
            condition: _result(values, logits[ORIGINAL], known, [seed, number], samples)
            for number, (condition, values) in enumerate(logits.items())
        }
    return Ablation(tuple(class_names), tuple(conditions), tuple(videos), known, results, metadata)


def select_frame(frozen: np.ndarray, selection: str, middle: int, label: int | None) -> np.ndarray:
    """Returns the logits of the frame that is selected to be repeated.

    Args:
        frozen: (K, classes), the logits of each frame, repeated.
        selection: One of `SELECTIONS`.
        middle: Index of the middle frame.
        label: The video's class; only the oracle needs it.

    Returns:
        (classes,): of the middle frame; of the frame with the highest maximal probability; or of
        that whose logit of the label exceeds all others the most, which is correct if any is.

    Raises:
        ValueError: The oracle has no label.
    """
    if selection == MIDDLE:
        return frozen[middle]
    if selection == BEST:
        return frozen[softmax(frozen).max(axis=1).argmax()]
    if label is None:
        raise ValueError("`label` must be the video's class for the oracle; received None.")
    others = np.delete(frozen, [label], axis=1).max(axis=1, initial=-np.inf)
    return frozen[(frozen[:, label] - others).argmax()]


def exchanges(matrix: np.ndarray, original: np.ndarray) -> list[Exchange]:
    """Returns the pairs of classes that are each other's most frequent wrong prediction.

    Args:
        matrix: Counts (classes, classes), rows true, under a condition.
        original: The same with the frames as they are.

    Returns:
        Pairs, the most frequent first.
    """
    totals = np.maximum(matrix.sum(axis=1), 1)
    wrong = matrix - np.diag(matrix.diagonal())
    most = wrong.argmax(axis=1)
    found = []
    for first, second in enumerate(most.tolist()):
        if (
            first < second
            and most[second] == first
            and wrong[first, second]
            and wrong[second, first]
        ):
            pair = np.array([first, second])
            shares, before = (
                (counts[pair, pair[::-1]] / totals[pair]).tolist() for counts in (matrix, original)
            )
            found.append(Exchange((first, second), tuple(shares), tuple(before)))
    return sorted(found, key=lambda each: -sum(each.shares))


def _by_result(videos):
    """Returns result to (ordered logits, frozen logits, middle) of each video."""
    networks = list(videos[0].ordered)
    found = {
        name: [(each.ordered[name], each.frozen[name], each.middle) for each in videos]
        for name in networks
    }
    if len(networks) > 1:
        found[JOINT] = [
            (
                {
                    condition: sum(each.ordered[name][condition] for name in networks)
                    for condition in each.ordered[networks[0]]
                },
                sum(each.frozen[name] for name in networks),
                each.middle,
            )
            for each in videos
        ]
    return found


def _condition_logits(of_videos, condition, labels) -> np.ndarray:
    """Returns the logits of all videos under a condition, (N, classes)."""
    if condition.kind != FROZEN:
        return np.stack([ordered[condition.name] for ordered, _, _ in of_videos])
    known = [None] * len(of_videos) if labels is None else labels.tolist()
    return np.stack(
        [
            select_frame(frozen, condition.selection, middle, label)
            for (_, frozen, middle), label in zip(of_videos, known, strict=True)
        ]
    )


def _result(logits, original, labels, seed, samples):
    predicted = logits.argmax(axis=1)
    probabilities = softmax(logits)[np.arange(len(logits)), predicted]
    same = float((predicted == original.argmax(axis=1)).mean())
    of_labels = None if labels is None else _against(logits, original, labels, seed, samples)
    return ConditionResult(predicted, probabilities, same, of_labels)


def _against(logits, original, labels, seed, samples):
    generator = np.random.default_rng(seed)
    before, after = (values.argmax(axis=1) == labels for values in (original, logits))
    matrix = confusion_matrix(logits, labels)
    accuracy = per_class_accuracy(logits, labels)
    return LabelResult(
        correct=int(after.sum()),
        accuracy=float(after.mean()),
        class_mean=mean_class_accuracy(logits, labels),
        class_accuracy=tuple(None if np.isnan(share) else float(share) for share in accuracy),
        drop=accuracy_difference(before, after, generator, samples),
        class_drops=tuple(
            accuracy_difference(before[of_class], after[of_class], generator, samples)
            if (of_class := labels == label).any()
            else None
            for label in range(logits.shape[1])
        ),
        confusions=tuple(most_confused(matrix, MAX_CONFUSIONS)),
        exchanges=tuple(exchanges(matrix, confusion_matrix(original, labels))),
    )


def _to_json(result):
    found = {"same_prediction": round(result.same, DIGITS)}
    if result.labels is None:
        return found
    of_labels = result.labels
    return {
        "accuracy": _rounded(of_labels.accuracy),
        "correct": of_labels.correct,
        "class_mean": _rounded(of_labels.class_mean),
        "drop": _drop(of_labels.drop),
        **found,
        "classes_without_drop": list(of_labels.unaffected),
        "share_of_classes_without_drop": _rounded(of_labels.unaffected_share),
        "class_accuracy": [_rounded(share) for share in of_labels.class_accuracy],
        "class_drops": [None if drop is None else _drop(drop) for drop in of_labels.class_drops],
        "confusions": [
            {
                "class": c.true,
                "predicted": c.predicted,
                "videos": c.clips,
                "share": _rounded(c.share),
            }
            for c in of_labels.confusions
        ],
        "exchanged": [
            {
                "classes": list(pair.classes),
                "shares": [_rounded(share) for share in pair.shares],
                "original_shares": [_rounded(share) for share in pair.original_shares],
            }
            for pair in of_labels.exchanges
        ],
    }


def _drop(drop):
    return {"value": _rounded(drop.value), "interval": [_rounded(drop.low), _rounded(drop.high)]}


def _rounded(value):
    return None if value is None else round(value, DIGITS)
