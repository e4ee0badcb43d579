"""t-SNE of groups far apart; skipped without scikit-learn (make test-svm)."""

import numpy as np
import pytest

from i3d_tf.metrics.embedding import tsne


@pytest.mark.parametrize(
    ("rows", "perplexity", "message"),
    [
        (np.eye(3), 30, "N at least 4"),
        (np.eye(5), 0, "perplexity"),
        (np.eye(5)[0], 5, "N at least"),
    ],
)
def test_other_arguments_are_refused(rows, perplexity, message):
    with pytest.raises(ValueError, match=message):
        tsne(rows, perplexity)


def test_groups_stay_together():
    pytest.importorskip("sklearn.manifold")
    generator = np.random.default_rng(0)
    rows = np.repeat(np.eye(3), 10, axis=0) + generator.normal(0, 0.01, (30, 3))
    places = tsne(rows, seed=1)
    groups = places.reshape(3, 10, 2)
    spread = np.linalg.norm(groups - groups.mean(axis=1, keepdims=True), axis=2).max()
    centers = groups.mean(axis=1)
    distances = [np.linalg.norm(centers[i] - centers[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert min(distances) > 2 * spread
    np.testing.assert_array_equal(tsne(rows, seed=1), places)
