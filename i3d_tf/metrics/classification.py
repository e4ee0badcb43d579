"""Logits and labels to accuracies, confusions, and the fusion of streams.

Classes are ranked as `decode_predictions` ranks them: equal logits keep the order of the classes.
So a network that says nothing is right about one class, not about all of them.
"""

from typing import NamedTuple

import numpy as np

from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.streams import FUSIONS


class Confusion(NamedTuple):
    """One wrong answer and how often it was given.

    Attributes:
        true: The class of the clips.
        predicted: The class that they were taken for.
        clips: How many clips of `true` were.
        share: `clips` of all clips of `true`, in (0, 1].
    """

    true: int
    predicted: int
    clips: int
    share: float


def label_ranks(logits, labels):
    """The place of each clip's label in its ranking: 0 where it comes first.

    Args:
        logits: (N, classes), finite; probabilities will do as well.
        labels: Integers (N,), each within 0..classes - 1.

    Returns:
        int64 (N,), within 0..classes - 1.

    Raises:
        ValueError: A shape or a value is not as above, or there is no clip.
    """
    logits, labels = _checked(logits, labels)
    own = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    return ((logits > own) | ((logits == own) & earlier)).sum(axis=1)


def top_k_accuracy(logits, labels, k=1):
    """The share of the clips whose label is among the k best classes.

    Args:
        logits: (N, classes), finite.
        labels: Integers (N,), each within 0..classes - 1.
        k: Within 1..classes.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: An argument is not as above, or there is no clip.
    """
    ranks = label_ranks(logits, labels)
    classes = np.shape(logits)[1]
    if not 1 <= k <= classes:
        raise ValueError(f"`k` must be within 1..{classes}, the classes; received {k!r}.")
    return float((ranks < k).mean())


def per_class_accuracy(logits, labels):
    """The share of each class's clips that were recognised.

    Args:
        logits: (N, classes), finite.
        labels: Integers (N,), each within 0..classes - 1.

    Returns:
        float64 (classes,), in [0, 1]; NaN for a class without clips, of which nothing is known.

    Raises:
        ValueError: A shape or a value is not as above, or there is no clip.
    """
    matrix = confusion_matrix(logits, labels)
    clips = matrix.sum(axis=1)
    unknown = np.full(len(clips), np.nan)
    return np.divide(matrix.diagonal(), clips, out=unknown, where=clips > 0)


def mean_class_accuracy(logits, labels):
    """The mean of the accuracies of the classes that have clips, in [0, 1]: each counts the same.

    Args and errors are those of `per_class_accuracy`.
    """
    return float(np.nanmean(per_class_accuracy(logits, labels)))


def confusion_matrix(logits, labels):
    """Counts what the clips of each class were taken for.

    Args:
        logits: (N, classes), finite.
        labels: Integers (N,), each within 0..classes - 1.

    Returns:
        int64 (classes, classes): clips of the row's class that were taken for the column's class.

    Raises:
        ValueError: A shape or a value is not as above, or there is no clip.
    """
    logits, labels = _checked(logits, labels)
    classes = logits.shape[1]
    # argmax takes the first of equal logits, as the ranking does.
    cells = labels * classes + logits.argmax(axis=1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def most_confused(matrix, top=20):
    """The wrong answers that were given most often.

    Args:
        matrix: Counts (classes, classes), as `confusion_matrix` returns.
        top: How many to return at most.

    Returns:
        A list of Confusions: most clips first, then the largest share of the class, then the order
        of the classes.
    """
    matrix = np.asarray(matrix)
    totals = matrix.sum(axis=1)
    found = [
        Confusion(int(i), int(j), int(matrix[i, j]), float(matrix[i, j] / totals[i]))
        for i, j in np.argwhere(matrix)
        if i != j
    ]
    return sorted(found, key=lambda c: (-c.clips, -c.share, c.true, c.predicted))[:top]


def fuse(logits, fusion="logits"):
    """Fuses the answers of several streams to the same clips.

    Args:
        logits: Stream to its logits, (N, classes) each.
        fusion: "logits" adds the logits, as the released code does; "probabilities" gives the mean
            of the softmax outputs, as the paper's text says (arXiv:1705.07750, section 2.4).

    Returns:
        float64 (N, classes): logits, or probabilities.

    Raises:
        ValueError: The fusion is unknown, there is no stream, or the shapes differ.
    """
    if fusion not in FUSIONS:
        raise ValueError(f"`fusion` must be one of {FUSIONS}; received {fusion!r}.")
    shapes = {stream: np.shape(values) for stream, values in logits.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(
            "`logits` must be of one shape, (N, classes), for one stream or more; received "
            f"{shapes or 'no stream'}."
        )
    streams = [np.asarray(values, np.float64) for values in logits.values()]
    if fusion == "logits":
        return np.sum(streams, axis=0)
    return np.mean([softmax(values) for values in streams], axis=0)


def _checked(logits, labels):
    """Both as arrays that every function here can work with."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or not logits.size:
        raise ValueError(
            "`logits` must be (N, classes), with one clip and one class at least; received "
            f"{logits.shape}."
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
    strange = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if strange.size:
        raise ValueError(
            "`logits` must be finite; received NaN or infinite values for "
            f"{strange.size} of {num_clips} clips, clip {strange[0]} the first."
        )
    return logits, labels.astype(np.int64)
