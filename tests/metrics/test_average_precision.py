"""Average precision against numbers by hand and by counting."""

import numpy as np
import pytest

from i3d_tf.metrics.average_precision import (
    area_under_precision,
    average_precision,
    class_average_precisions,
)


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([4, 3, 2, 1], [1, 0, 1, 0], (1 + 2 / 3) / 2),
        ([1, 2, 3, 4], [1, 0, 1, 0], (1 / 2 + 2 / 4) / 2),
        ([0, 0, 0, 0], [0, 1, 0, 1], (1 / 2 + 2 / 4) / 2),  # equal ones keep their order
        ([-np.inf, 5, -np.inf], [1, 1, 0], (1 + 2 / 2) / 2),
        ([1, 2], [1, 1], 1),
    ],
)
def test_average_precision_of_a_few(scores, labels, expected):
    assert average_precision(np.array(scores), np.array(labels)) == pytest.approx(expected, 1e-12)


def test_average_precision_is_the_mean_precision_above_every_positive():
    generator = np.random.default_rng(0)
    for size in (1, 2, 7, 100):
        scores = generator.permutation(size)
        labels = generator.random(size) < 0.4
        labels[0] = True
        precisions = [labels[scores >= score].mean() for score in scores[labels]]
        assert average_precision(scores, labels) == pytest.approx(np.mean(precisions), abs=1e-12)


def test_means_over_classes_leave_out_those_without_positives():
    scores = np.array([[3, 1, 0], [2, 2, 0], [1, 3, 0]])
    labels = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0]])
    found = class_average_precisions(scores, labels)
    np.testing.assert_allclose(found.by_class, [1, (1 + 2 / 3) / 2, np.nan])
    assert found.positives.tolist() == [1, 2, 0]
    assert found.mean == pytest.approx((1 + 5 / 6) / 2)
    assert found.weighted_mean == pytest.approx((1 + 2 * 5 / 6) / 3)
    assert np.isnan(class_average_precisions(scores, labels * 0).mean)
    assert np.isnan(class_average_precisions(scores, labels * 0).weighted_mean)


def test_area_under_precision_is_that_of_the_monotone_curve():
    # Precision 0/1, 1/2, 2/3 at the second and third, of four to find: the best from there on.
    hits = np.array([False, True, True])
    assert area_under_precision(np.array([3, 2, 1]), hits, 4) == pytest.approx(2 * (2 / 3) / 4)
    assert area_under_precision(np.array([]), np.array([], bool), 2) == 0
    assert np.isnan(area_under_precision(np.array([1.0]), np.array([False]), 0))


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="`scores` must be numbers; received NaN"):
        average_precision(np.array([np.nan, 1]), np.array([True, False]))
    with pytest.raises(ValueError, match=r"must be \(N,\) both; received \(2,\) and \(3,\)"):
        average_precision(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match=r"must be \(N, classes\) both"):
        class_average_precisions(np.zeros((2, 3)), np.zeros((2, 2)))
