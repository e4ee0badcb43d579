"""Nearest neighbors of rows, as a classifier without parameters."""

import numpy as np

from i3d_tf.metrics.svm import l2_normalized
from i3d_tf.specs.validation import check_integer

ROWS_AT_ONCE = 1024  # whose similarities to all training rows are in memory


def neighbor_scores(
    train_rows: np.ndarray,
    train_labels: np.ndarray,
    test_rows: np.ndarray,
    classes: int,
    neighbors: int = 5,
) -> np.ndarray:
    """Returns how many of the most similar training rows are of each class.

    Rows are compared by the cosine of their angle. Among classes of as many neighbors, the one
    whose neighbors are more similar has the higher score.

    Args:
        train_rows: (N, C), finite.
        train_labels: Integers (N,), each within 0..classes - 1.
        test_rows: (M, C), finite.
        classes: Number of classes.
        neighbors: Rows that count, at least 1; where there are fewer, all of them.

    Returns:
        float64 (M, classes): votes, plus less than 1 by the similarities.

    Raises:
        ValueError: A number is not allowed, or there is no training row.
    """
    check_integer("neighbors", neighbors, 1)
    check_integer("classes", classes, 1)
    train, test, labels = l2_normalized(train_rows), l2_normalized(test_rows), train_labels
    if not len(train):
        raise ValueError("`train_rows` must be one or more; received none.")
    count = min(neighbors, len(train))
    scores = np.zeros((len(test), classes))
    for start in range(0, len(test), ROWS_AT_ONCE):
        similarity = test[start : start + ROWS_AT_ONCE] @ train.T
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        similar = np.take_along_axis(similarity, nearest, axis=1)
        rows = np.arange(start, start + len(nearest))[:, np.newaxis]
        # From 0 to less than 1 for all neighbors together.
        np.add.at(scores, (rows, np.asarray(labels)[nearest]), 1 + (similar + 1) / (2 * count + 1))
    return scores
