"""Linear support vector machines on L2-normalized rows, with scikit-learn.

They are the classifier of C3D's features (arXiv:1412.0767), and a late fusion of two networks
(arXiv:1406.2199).
"""

import importlib.util
from collections.abc import Sequence

import numpy as np

from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.validation import check_integer, check_positive

MAX_ITERATIONS = 10_000


def check_scikit_learn():
    """Checks that scikit-learn is installed.

    Raises:
        ValueError: It is not.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise ValueError("a linear SVM needs scikit-learn: pip install 'i3d_tf[svm]'.")


def l2_normalized(rows: np.ndarray) -> np.ndarray:
    """Returns rows of length 1, float64 (N, C); a row of zeros stays as it is."""
    rows = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def svm_scores(
    train_rows: np.ndarray,
    train_labels: np.ndarray,
    test_rows: np.ndarray,
    classes: int,
    regularization: float = 1.0,
) -> np.ndarray:
    """Trains a linear SVM for each class against all others, and returns its scores.

    Args:
        train_rows: (N, C), finite; they are taken as they are.
        train_labels: Integers (N,), each within 0..classes - 1, of two classes or more.
        test_rows: (M, C), finite.
        classes: Number of classes.
        regularization: The C of `sklearn.svm.LinearSVC`.

    Returns:
        float64 (M, classes): distances from the planes; of a class without training rows, less
        than of every other.

    Raises:
        ValueError: scikit-learn is not installed, the rows do not fit, or they are of one class.
    """
    check_scikit_learn()
    check_integer("classes", classes, 2)
    check_positive("regularization", regularization)
    found = np.unique(train_labels)
    if len(found) < 2:
        raise ValueError(f"`train_labels` must be of two classes or more; received {len(found)}.")
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=regularization, max_iter=MAX_ITERATIONS, random_state=0)
    distances = machine.fit(train_rows, train_labels).decision_function(test_rows)
    if distances.ndim == 1:  # two classes have one plane
        distances = np.stack([-distances, distances], axis=1)
    lowest = distances.min(initial=0.0) - 1
    scores = np.full((len(test_rows), classes), lowest)
    scores[:, machine.classes_] = distances
    return scores


def stacked_probabilities(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the L2-normalized softmax outputs of several networks side by side.

    Args:
        logits: (N, classes) of each.

    Returns:
        float64 (N, networks * classes), the rows of the linear SVM of arXiv:1406.2199.
    """
    return np.hstack([l2_normalized(softmax(values)) for values in logits])
