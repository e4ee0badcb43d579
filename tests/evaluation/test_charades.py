"""Charades's official rules, against numbers by hand and of other programs."""

import json

import numpy as np
import pytest

from i3d_tf.data.intervals import CHARADES_CLASSES, Interval, IntervalVideo, read_intervals
from i3d_tf.evaluation.charades import (
    charades_average_precisions,
    charades_truth,
    localization_times,
    read_charades_submission,
    write_charades_submission,
)

CLASSES = len(CHARADES_CLASSES)


@pytest.fixture(scope="module")
def small(shared_dir):
    """Four made-up videos in Charades's form, and what another program says of them."""
    expected = json.loads((shared_dir / "golden/more/charades_expected.json").read_text())
    annotation = read_intervals(shared_dir / "golden/more/charades_small.csv")
    return annotation, expected["charades_small.csv"]


def formula_scores(annotation, task):
    """The scores that the expected numbers are of, by the row of the annotation."""
    names = {video.name: row for row, video in enumerate(annotation.videos)}
    keys, targets = charades_truth(annotation.videos, CLASSES, task)
    scores = {}
    for key, target in zip(keys, targets, strict=True):
        row = names[key[0]]
        if task == "localize":
            row = row * 25 + int(key[1]) - 1
        hashed = (row * 7919 + np.arange(CLASSES) * 104729 + 13) % 10007 / 10007
        scores[key] = hashed + 0.25 * target
    return scores


@pytest.mark.parametrize("task", ["classify", "localize"])
def test_average_precisions_equal_those_of_another_program(small, task):
    annotation, expected = small
    scores = formula_scores(annotation, task)
    found = charades_average_precisions(annotation.videos, CLASSES, scores, task)
    assert found.mean == pytest.approx(expected[task]["mAP_over_present_classes"], abs=1e-12)
    assert found.weighted_mean == pytest.approx(expected[task]["wAP"], abs=1e-12)
    for name, value in expected[task]["AP"].items():
        label = CHARADES_CLASSES.index(name)
        assert found.by_class[label] == pytest.approx(value, abs=1e-9)
    equal = {key: np.zeros(CLASSES) for key in scores}
    ties = charades_average_precisions(annotation.videos, CLASSES, equal, task)
    of_ties = expected[f"{task}, all scores equal (stable order)"]
    assert ties.mean == pytest.approx(of_ties["mAP_over_present_classes"], abs=1e-12)
    assert ties.weighted_mean == pytest.approx(of_ties["wAP"], abs=1e-12)


def test_points_are_positive_at_both_ends_and_computed_in_the_official_order(small):
    annotation, expected = small
    _, targets = charades_truth(annotation.videos, CLASSES, "localize")
    assert targets.sum() == expected["localize"]["positive_cells"]
    video = IntervalVideo("v", (Interval(0, 2, 4),), 25.0)  # 2 / 25 * 25 is 2, and 4 as well
    _, targets = charades_truth([video], 1, "localize")
    assert np.flatnonzero(targets).tolist() == [2, 3, 4]
    np.testing.assert_allclose(localization_times(25.0), range(25))


def test_missing_scores_rank_last():
    videos = [IntervalVideo(name, (Interval(0, 0, 1),)) for name in "ab"]
    videos.append(IntervalVideo("c", (Interval(1, 0, 1),)))
    scores = {("c",): np.array([0.0, 0.0]), ("b",): np.array([-9.0, 0.0])}
    found = charades_average_precisions(videos, 2, scores, "classify")
    assert found.by_class[0] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_submission_is_read_as_it_was_written(tmp_path):
    scores = {("AAAA1", "1"): [0.1, 1e-300], ("AAAA1", "25"): [1 / 3, -2.0]}
    path = tmp_path / "sub mission.txt"
    write_charades_submission(path, scores)
    found, notes = read_charades_submission(path, 2, "localize")
    assert {key: row.tolist() for key, row in found.items()} == scores
    assert notes == []
    write_charades_submission(path, scores)  # it is ours
    with pytest.raises(ValueError, match="a b: its scores are not finite"):
        write_charades_submission(path, {("a", "b"): [np.nan]})
    (tmp_path / "notes.txt").write_text("my notes\n")
    with pytest.raises(OSError, match=r"notes\.txt"):
        write_charades_submission(tmp_path / "notes.txt", scores)


def test_points_from_0_are_counted_from_1(tmp_path):
    path = tmp_path / "submission.txt"
    path.write_text("a 0 .5\na 24 .25\n")
    found, notes = read_charades_submission(path, 1, "localize")
    assert list(found) == [("a", "1"), ("a", "25")]
    assert notes == ["points are counted from 0; 1 is added to all of them"]


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("a 1", "classify", r"line 1 must be an id and 2 scores; it has 2 cells and begins 'a 1'"),
        ("a 1 2\n\na 3 4", "classify", "line 3: a is there twice"),
        ("a 1 nan", "classify", "line 1 must be an id and 2 scores"),
        ("a 1 x", "classify", "line 1 must be an id and 2 scores"),
        ("a 26 1 2", "localize", r"line 1: the point must be within 1\.\.25; it is '26'"),
        ("a 1 2", "localize", "line 1 must be an id, a point and 2 scores"),
    ],
)
def test_other_lines_are_refused(tmp_path, text, task, message):
    path = tmp_path / "submission.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_charades_submission(path, 2, task)


def test_localization_needs_the_length():
    with pytest.raises(ValueError, match="v: its length is not known"):
        charades_truth([IntervalVideo("v")], 1, "localize")
