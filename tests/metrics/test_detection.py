"""Detection mAP against numbers by hand; AVA's own numbers stand in tests/evaluation."""

import numpy as np
import pytest

from i3d_tf.metrics.detection import (
    Box,
    Segment,
    box_overlap,
    frame_average_precisions,
    segment_average_precisions,
    segment_overlap,
)

LEFT, RIGHT = (0, 0, 2, 4), (6, 0, 8, 4)


def frame_mean(truth, detections, **options):
    return frame_average_precisions(truth, detections, [1, 2], **options).mean


def test_box_overlap_by_hand():
    boxes = np.array([LEFT, RIGHT, (1, 0, 3, 4), (0, 0, 2, 2), (1, 1, 1, 1)])
    np.testing.assert_allclose(box_overlap(LEFT, boxes), [1, 0, 1 / 3, 1 / 2, 0])
    assert box_overlap((1, 1, 1, 1), [(1, 1, 1, 1)]) == 0


def test_second_detection_of_a_person_is_wrong():
    truth = [Box("a", LEFT, 1), Box("a", RIGHT, 1)]
    hits = [Box("a", LEFT, 1, 0.9), Box("a", LEFT, 1, 0.8), Box("a", RIGHT, 1, 0.7)]
    assert frame_mean(truth, hits) == pytest.approx((1 + 2 / 3) / 2)
    assert frame_mean(truth, hits[:1]) == pytest.approx(1 / 2)


def test_detection_looks_at_the_box_that_it_overlaps_most_alone():
    # It overlaps the first most, which is taken; that it also overlaps the second does not count.
    truth = [Box("a", (0, 0, 4, 4), 1), Box("a", (0, 0, 4, 8), 1)]
    hits = [Box("a", (0, 0, 4, 4), 1, 0.9), Box("a", (0, 0, 4, 5), 1, 0.8)]
    assert frame_mean(truth, hits) == pytest.approx(1 / 2)


def test_boxes_are_of_their_frame_and_class():
    truth = [Box("a", LEFT, 1), Box("b", LEFT, 2)]
    right = [Box("a", LEFT, 1, 0.5), Box("b", LEFT, 2, 0.5)]
    assert frame_mean(truth, right) == 1
    assert frame_mean(truth, [Box("b", LEFT, 1), Box("a", LEFT, 2)]) == 0
    assert frame_mean(truth, [*right, Box("a", LEFT, 3, 0.9)]) == 1  # a class that does not count


def test_only_the_best_detections_of_a_frame_count():
    truth = [Box("a", LEFT, 1)]
    wrong = [Box("a", RIGHT, 2, 1.0)] * 2
    hits = [*wrong, Box("a", LEFT, 1, 0.5)]
    assert frame_mean(truth, hits, max_detections=3) == 1
    assert frame_mean(truth, hits, max_detections=2) == 0
    assert frame_mean(truth, hits, max_detections=None) == 1


def test_segment_overlap_by_hand():
    first = Segment("v", 0, 10, 1)
    assert segment_overlap(first, Segment("v", 5, 15, 1)) == pytest.approx(1 / 3)
    assert segment_overlap(first, Segment("v", 10, 20, 1)) == 0
    assert segment_overlap(Segment("v", 3, 3, 1), Segment("v", 3, 3, 1)) == 0


def test_segments_take_the_free_action_that_they_overlap_most():
    truth = [Segment("v", 0, 10, 1), Segment("v", 4, 14, 1), Segment("w", 0, 10, 1)]
    hits = [
        Segment("v", 1, 10, 1, 0.9),  # takes the first
        Segment("v", 1, 11, 1, 0.8),  # overlaps the first most, 0.82, and takes the second, 0.54
        Segment("v", 0, 10, 1, 0.7),  # none is free
        Segment("w", 0, 10, 1, 0.6),
    ]
    found = segment_average_precisions(truth, hits, [1], 0.5)
    assert found.mean == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert found.positives.tolist() == [3]
    strict = segment_average_precisions(truth, hits, [1], 0.6)  # the second is wrong
    assert strict.mean == pytest.approx((1 + 2 / 4) / 3)


def test_classes_without_detections_count_as_zero_and_those_without_actions_not_at_all():
    truth = [Segment("v", 0, 10, 1), Segment("v", 0, 10, 2)]
    hits = [Segment("v", 0, 10, 1, 0.9), Segment("v", 0, 10, 3, 0.9)]
    found = segment_average_precisions(truth, hits, [1, 2, 3], 0.5)
    np.testing.assert_array_equal(found.by_class, [1, 0, np.nan])
    assert found.mean == 0.5


def test_box_with_just_the_overlap_is_correct():
    assert box_overlap((0, 0, 2, 2), [LEFT]) == 0.5
    assert frame_mean([Box("a", LEFT, 1)], [Box("a", (0, 0, 2, 2), 1, 0.9)]) == 1


def test_wrong_segment_takes_no_action():
    truth = [Segment("v", 0, 10, 1)]
    hits = [Segment("v", 8, 20, 1, 0.9), Segment("v", 0, 9, 1, 0.8)]
    assert segment_average_precisions(truth, hits, [1], 0.5).mean == 0.5
