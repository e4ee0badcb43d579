"""Neighbors along the axes of a plane."""

import numpy as np
import pytest

from i3d_tf.metrics.neighbors import neighbor_scores

ROWS = np.array([[1.0, 0], [5, 1], [0, 1], [0, 2], [1, 9]])
LABELS = np.array([0, 0, 2, 2, 2])


def test_nearest_is_by_angle_and_not_by_length():
    scores = neighbor_scores(ROWS, LABELS, np.array([[100.0, 1], [0.01, 3]]), 3, neighbors=1)
    assert scores.argmax(axis=1).tolist() == [0, 2]
    assert np.floor(scores).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_votes_decide_before_similarity():
    scores = neighbor_scores(ROWS, LABELS, np.array([[9.0, 1]]), 3, neighbors=5)
    assert np.floor(scores).tolist() == [[2, 0, 3]]


def test_similarity_decides_between_equal_votes():
    rows, labels = np.array([[1.0, 0], [0, 1]]), np.array([1, 0])
    scores = neighbor_scores(rows, labels, np.array([[3.0, 1], [1, 3]]), 2, neighbors=9)
    assert scores.argmax(axis=1).tolist() == [1, 0]


def test_many_test_rows_are_done_in_parts():
    angles = np.linspace(0, np.pi / 2, 3000)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = neighbor_scores(ROWS[:3:2], LABELS[:3:2], rows, 3, neighbors=1).argmax(axis=1)
    assert found.tolist() == [0] * 1500 + [2] * 1500


def test_no_training_row_is_refused():
    with pytest.raises(ValueError, match="one or more"):
        neighbor_scores(ROWS[:0], LABELS[:0], ROWS, 3)
