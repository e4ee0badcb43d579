"""Accuracies, confusion matrices and the fusion of streams, from logits and labels.

Classes are ranked as by `decode_predictions`: equal logits keep the order of the classes. So a
network whose logits are all equal is correct about one class, not about all of them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from i3d_tf.metrics.ranking import log_softmax, softmax
from i3d_tf.specs.streams import SCORE_FUSIONS
from i3d_tf.specs.validation import check_choice, check_integer, check_positive


class Confusion(NamedTuple):
    """One kind of wrong prediction.

    Attributes:
        true: The class of the clips.
        predicted: The class they were predicted as.
        clips: Number of clips of `true` that were predicted as `predicted`.
        share: `clips` divided by the number of all clips of `true`, in (0, 1].
    """

    true: int
    predicted: int
    clips: int
    share: float


def label_ranks(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the rank of each clip's label: 0 where it has the highest logit.

    Args:
        logits: (N, classes), finite; or probabilities.
        labels: Integers (N,), each within 0..classes - 1.

    Returns:
        int64 (N,), within 0..classes - 1.

    Raises:
        ValueError: A shape or a value is wrong, or there is no clip.
    """
    logits, labels = _checked(logits, labels)
    own = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    return ((logits > own) | ((logits == own) & earlier)).sum(axis=1)


def top_k_accuracy(logits: np.ndarray, labels: np.ndarray, k: int = 1) -> float:
    """Returns the share of the clips whose label is among the k best classes.

    Args:
        logits: (N, classes), finite.
        labels: Integers (N,), each within 0..classes - 1.
        k: Within 1..classes.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: An argument is wrong, or there is no clip.
    """
    ranks = label_ranks(logits, labels)
    check_integer("k", k, 1, np.shape(logits)[1])
    return float((ranks < k).mean())


def per_class_accuracy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the share of each class's clips whose prediction is correct.

    Args:
        logits: (N, classes), finite.
        labels: Integers (N,), each within 0..classes - 1.

    Returns:
        float64 (classes,), in [0, 1]; NaN for a class without clips.

    Raises:
        ValueError: A shape or a value is wrong, or there is no clip.
    """
    matrix = confusion_matrix(logits, labels)
    clips = matrix.sum(axis=1)
    unknown = np.full(len(clips), np.nan)
    return np.divide(matrix.diagonal(), clips, out=unknown, where=clips > 0)


def mean_class_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean accuracy, in [0, 1], of the classes that have clips.

    For the arguments and errors see `per_class_accuracy`.
    """
    return float(np.nanmean(per_class_accuracy(logits, labels)))


def confusion_matrix(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts the predictions of the clips of each class.

    Args:
        logits: (N, classes), finite.
        labels: Integers (N,), each within 0..classes - 1.

    Returns:
        int64 (classes, classes): clips of the row's class that were predicted as the column's.

    Raises:
        ValueError: A shape or a value is wrong, or there is no clip.
    """
    logits, labels = _checked(logits, labels)
    classes = logits.shape[1]
    # argmax takes the first of equal logits, as the ranking does.
    cells = labels * classes + logits.argmax(axis=1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def most_confused(matrix: np.ndarray, top: int = 20) -> list[Confusion]:
    """Returns the most frequent wrong predictions.

    Args:
        matrix: Counts (classes, classes), as `confusion_matrix` returns.
        top: Number of predictions to return at most.

    Returns:
        Confusions, ordered by falling number of clips, then by falling share of the class, then by
        class.
    """
    matrix = np.asarray(matrix)
    totals = matrix.sum(axis=1)
    found = [
        Confusion(int(i), int(j), int(matrix[i, j]), float(matrix[i, j] / totals[i]))
        for i, j in np.argwhere(matrix)
        if i != j
    ]
    return sorted(found, key=lambda c: (-c.clips, -c.share, c.true, c.predicted))[:top]


def fuse(
    logits: Mapping[str, np.ndarray],
    fusion: str = "logits",
    weights: Sequence[float] | None = None,
) -> np.ndarray:
    """Fuses the logits of several streams of the same clips.

    Args:
        logits: Stream to its logits, (N, classes) each.
        fusion: "logits" adds the logits, as the released code does; "probabilities" gives the mean
            of the softmax outputs, as the paper's text says (arXiv:1705.07750, section 2.4);
            "log_probabilities" adds the logarithms of the softmax outputs. With the same weights it
            ranks classes as "logits" does: of each clip, the two differ by one number.
        weights: A positive number for each stream, in their order (1 and 1.5 for RGB and flow in
            arXiv:1608.00859); None is 1 for each. The mean of probabilities divides by their sum.

    Returns:
        float64 (N, classes): logits, probabilities, or their logarithms.

    Raises:
        ValueError: The fusion is unknown, there is no stream, the shapes differ, or there is not
            one positive weight for each stream.
    """
    check_choice("fusion", fusion, SCORE_FUSIONS)
    shapes = {stream: np.shape(values) for stream, values in logits.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(
            "`logits` must be of one shape, (N, classes), for one stream or more; received "
            f"{shapes or 'no stream'}."
        )
    weights = (1.0,) * len(logits) if weights is None else tuple(weights)
    if len(weights) != len(logits):
        raise ValueError(
            f"`weights` must be {len(logits)}, one for each of {tuple(logits)}; received {weights}."
        )
    for weight in weights:
        check_positive("weights", weight)
    streams = [np.asarray(values, np.float64) for values in logits.values()]
    if fusion == "probabilities":
        return np.average([softmax(values) for values in streams], axis=0, weights=weights)
    if fusion == "log_probabilities":
        streams = [log_softmax(values) for values in streams]
    return np.sum(
        [weight * values for weight, values in zip(weights, streams, strict=True)], axis=0
    )


def _checked(logits, labels):
    """Returns both as arrays, the labels as int64, or raises ValueError."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or not logits.size:
        raise ValueError(
            f"`logits` must be (N, classes), N >= 1 and classes >= 1; received {logits.shape}."
        )
    num_clips, classes = logits.shape
    if labels.shape != (num_clips,):
        raise ValueError(f"`labels` must be ({num_clips},), one a clip; received {labels.shape}.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"`labels` must be integers; received {labels.dtype}.")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"`labels` must be within 0..{classes - 1}, the classes of `logits`; received "
            f"{labels.min()}..{labels.max()}."
        )
    invalid = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if invalid.size:
        raise ValueError(
            "`logits` must be finite; received NaN or infinite values for "
            f"{invalid.size} of {num_clips} clips, clip {invalid[0]} the first."
        )
    return logits, labels.astype(np.int64)
