"""AVA's frame mAP against what the official program says of the same files."""

import dataclasses
import json

import numpy as np
import pytest

from i3d_tf.data.ava import Frame, PersonFile, PersonRow, read_label_map, read_persons
from i3d_tf.evaluation.ava import ava_average_precisions


@pytest.fixture(scope="module")
def golden(shared_dir):
    """The folder of the files, the label map, and the official numbers."""
    folder = shared_dir / "golden/more"
    expected = json.loads((folder / "ava_expected.json").read_text())["examples"]
    return folder, read_label_map(folder / "ava_labels.pbtxt"), expected


def check(found, actions, expected):
    values = [expected[name] for name in actions.values()]
    wanted = [np.nan if value is None else value for value in values]
    np.testing.assert_allclose(found.by_class, wanted, atol=1e-15)
    assert found.mean == pytest.approx(expected["mAP"], abs=1e-15)


def test_frame_map_equals_the_official_program(golden):
    folder, actions, expected = golden
    truth = read_persons(folder / "ava_groundtruth.csv", actions)
    detections = read_persons(folder / "ava_detections.csv", actions)
    found = ava_average_precisions(truth, detections, actions)
    check(found, actions, expected["ava_groundtruth.csv + ava_detections.csv"])
    known = dataclasses.replace(truth, frames=truth.frames - {Frame("vid_a", 904.0)})
    found = ava_average_precisions(known, detections, actions)
    check(found, actions, expected["the same without the ground-truth row vid_a,0904"])


def test_fifty_detections_of_a_frame_count(golden):
    folder, actions, expected = golden
    truth = read_persons(folder / "ava_cap_groundtruth.csv", actions)
    detections = read_persons(folder / "ava_cap_detections.csv", actions)
    capped = next(value for name, value in expected.items() if name.startswith("ava_cap"))
    uncapped = expected["the same without the cap (not the official rule)"]
    check(
        ava_average_precisions(truth, detections, actions),
        actions,
        capped,
    )
    every = ava_average_precisions(truth, detections, actions, max_detections=None)
    check(every, actions, uncapped)


def test_older_rule_counts_every_frame_that_is_not_excluded():
    box = (0.1, 0.1, 0.5, 0.9)
    truth = PersonFile((PersonRow(Frame("v", 1.0), box, 1, 0.0),), frozenset([Frame("v", 1.0)]))
    hit = PersonRow(Frame("v", 1.0), box, 1, 0.5)
    elsewhere = PersonRow(Frame("v", 2.0), box, 1, 0.9)
    detections = PersonFile((hit, elsewhere), frozenset())
    assert ava_average_precisions(truth, detections, {1: "a"}).mean == 1
    assert ava_average_precisions(truth, detections, {1: "a"}, excluded=()).mean == 0.5
    excluded = [Frame("v", 2.0)]
    assert ava_average_precisions(truth, detections, {1: "a"}, excluded).mean == 1
    nobody = ava_average_precisions(truth, detections, {1: "a"}, [Frame("v", 1.0)])
    assert np.isnan(nobody.mean)


def test_detections_must_have_scores():
    row = PersonRow(Frame("v", 1.0), (0, 0, 1, 1), 1)
    file = PersonFile((row,), frozenset())
    with pytest.raises(ValueError, match="every detection must have a score"):
        ava_average_precisions(file, file, {1: "a"})
