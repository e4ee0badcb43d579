"""Intervals of few videos, whose resampled test sets can be counted."""

import numpy as np
import pytest

from i3d_tf.metrics.bootstrap import accuracy_difference

YES, NO = True, False


def difference(first, second, **options):
    return accuracy_difference(first, second, np.random.default_rng(0), **options)


@pytest.mark.parametrize(
    ("first", "second", "value"),
    [([YES, NO], [YES, NO], 0), ([YES, YES], [NO, NO], 1), ([NO, NO, NO], [YES, YES, YES], -1)],
)
def test_equal_videos_have_no_spread(first, second, value):
    assert difference(first, second) == (value, value, value)


def test_two_videos_have_three_differences():
    # One of two is lost. Half of the resampled sets lose 1/2, a quarter none, a quarter both.
    first, second = [YES, YES], [YES, NO]
    assert difference(first, second, level=0.95) == (0.5, 0.0, 1.0)
    assert difference(first, second, level=0.4) == (0.5, 0.5, 0.5)


def test_pairs_stay_together():
    # Accuracies of 1/2 each vary much, their difference does not.
    alternating = np.arange(100) % 2 == 0
    assert difference(alternating, alternating) == (0, 0, 0)
    low, high = difference(alternating, ~alternating)[1:]
    assert -0.25 < low < -0.15
    assert 0.15 < high < 0.25  # 2 * sqrt(100) / 100


def test_interval_is_of_the_seed():
    first, second = np.arange(30) % 3 > 0, np.arange(30) % 5 > 0
    assert difference(first, second) == difference(first, second)


@pytest.mark.parametrize(("first", "second"), [([], []), ([YES], [YES, NO]), ([[YES]], [[NO]])])
def test_other_shapes_are_refused(first, second):
    with pytest.raises(ValueError, match="of the same videos"):
        difference(first, second)
