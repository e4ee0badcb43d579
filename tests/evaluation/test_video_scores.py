import numpy as np
import pytest

from i3d_tf.data.example import Interval, IntervalVideo
from i3d_tf.evaluation.video_scores import (
    VideoScores,
    best_and_worst,
    score_scale,
    shown_classes,
)


def video(name, *values, intervals=((0, 0.0, 1.0),)):
    """A video of 2 s with scores of three classes at 0 s and at 2 s."""
    intervals = [Interval(*each) for each in intervals]
    return VideoScores(
        IntervalVideo(name, tuple(intervals), 2.0), np.array([0.0, 2.0]), np.array(values)
    )


# Of six pairs of a time and a class, the first is true: its rank is 1, 2, 3, and 6.
FIRST = video("first", [9.0, 0, 0], [0, 0, 0])
SECOND = video("second", [8.0, 0, 9], [0, 0, 0])
THIRD = video("third", [7.0, 0, 9], [0, 0, 9])
LAST = video("last", [-9.0, 0, 0], [0, 0, 0])
NOTHING = video("nothing", [0.0, 0, 0], [0, 0, 0], intervals=())


def test_average_precision_of_a_video_ranks_its_pairs_of_time_and_class():
    precisions = [each.average_precision for each in (FIRST, SECOND, LAST, NOTHING)]
    np.testing.assert_allclose(precisions, [1, 1 / 2, 1 / 6, np.nan])


@pytest.mark.parametrize(
    ("videos", "best", "worst"),
    [
        ([LAST, NOTHING, FIRST, SECOND], ["first", "second"], ["last"]),
        ([LAST, THIRD, FIRST, SECOND], ["first", "second"], ["last", "third"]),
        ([NOTHING, SECOND], ["second"], []),
        ([NOTHING], [], []),
    ],
)
def test_best_and_worst_have_no_video_in_common(videos, best, worst):
    found = best_and_worst(videos, 2)
    assert [[each.actions.name for each in some] for some in found] == [best, worst]


def test_shown_classes_are_those_of_actions_and_the_highest_others():
    intervals = ((2, 1.0, 2.0), (0, 0.5, 1.5), (2, 0.0, 0.1))
    many = video("many", [0.0, 1, 0], [0, 0, 0], intervals=intervals)
    assert shown_classes(many, 9, 9) == ([2, 0], [1])
    assert shown_classes(many, 1, 0) == ([2], [])
    silent = video("silent", *np.full((2, 3), -np.inf))
    assert shown_classes(silent, 9, 9) == ([0], [])


def test_score_scale_is_within_0_and_1_in_the_same_order():
    of_logits = score_scale([], are_logits=True)(np.array([0.0, 99, -999]))
    np.testing.assert_allclose(of_logits, [0.5, 1, 0], atol=1e-12)
    kept = score_scale([video("a", [0.1, 0.2, -np.inf], [0.3, 0.4, 0.9])], are_logits=False)
    np.testing.assert_allclose(kept(np.array([0.1, -np.inf])), [0.1, 0])
    stretched = score_scale([video("a", [-1.0, 0, 3], [0, 0, 0]), FIRST], are_logits=False)
    np.testing.assert_allclose(stretched(np.array([-1.0, 0, 9])), [0, 0.1, 1])
    nothing = score_scale([video("a", *np.full((2, 3), -np.inf))], are_logits=False)
    assert nothing(np.array([-np.inf])) == 0
