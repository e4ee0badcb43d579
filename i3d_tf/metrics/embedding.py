"""t-SNE: rows to places on a map, with scikit-learn."""

import numpy as np

from i3d_tf.metrics.svm import check_scikit_learn
from i3d_tf.specs.validation import check_integer, check_positive

MIN_ROWS = 4
MAX_PERPLEXITY = 10_000
MANY_ROWS = 5000  # fewer are done sooner by one thread: several wait for each other at every step


def check_perplexity(perplexity: float) -> float:
    """Checks that a perplexity is a number that t-SNE takes."""
    return check_positive("perplexity", perplexity, MAX_PERPLEXITY)


def tsne(rows: np.ndarray, perplexity: float = 30.0, seed: int = 0) -> np.ndarray:
    """Returns a place for each row, so that similar rows are near each other.

    Args:
        rows: (N, C), finite, N at least 4; they are taken as they are.
        perplexity: About how many rows are near another; of few rows, at most a third of them.
        seed: At least 0; the same rows and seed give the same places on one machine.

    Returns:
        float64 (N, 2).

    Raises:
        ValueError: scikit-learn is not installed, or an argument is not as above.
    """
    check_perplexity(perplexity)
    check_integer("seed", seed, 0)
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or len(rows) < MIN_ROWS:
        raise ValueError(f"`rows` must be (N, C), N at least {MIN_ROWS}; received {rows.shape}.")
    check_scikit_learn()
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    machine = TSNE(perplexity=min(perplexity, (len(rows) - 1) / 3), init="pca", random_state=seed)
    with threadpool_limits(1 if len(rows) < MANY_ROWS else None):
        return machine.fit_transform(rows).astype(np.float64)
