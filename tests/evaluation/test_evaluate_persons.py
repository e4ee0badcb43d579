"""Scores of networks whose logits of persons are given."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from i3d_tf.data.pipeline import Failures
from i3d_tf.evaluation import evaluate_persons as evaluation
from i3d_tf.evaluation.evaluate_persons import PersonOptions, evaluate_persons
from i3d_tf.evaluation.score import score_submission
from i3d_tf.specs.protocol import Protocol
from i3d_tf.zoo.checkpoint import Checkpoints

LEFT, RIGHT = "0.1,0.2,0.5,0.9", "0.55,0.2,0.95,1"
TRUTH = (
    f"a,0901,{LEFT},12,0\na,0901,{RIGHT},79,1\na,0901,{RIGHT},12,1\na,0902\n"
    f"gone,0901,{LEFT},12,0\ngone,0901,{LEFT},14,0\n"
)
MAP = 'item {{ \n name: "{}"\n id: {}\n}}\n'
WALKS, STANDS, TALKS = 0, 1, 2  # of the network


@pytest.fixture
def options(make_tree, write_grey_video):
    texts = {
        "val.csv": TRUTH,
        "map.pbtxt": MAP.format("stand", 12) + MAP.format("talk to", 79) + MAP.format("swim", 66),
    }
    folder = make_tree(texts=texts)
    write_grey_video(folder / "a.mp4", range(0, 200, 4), size=(48, 64))
    return PersonOptions(
        data_dir=str(folder),
        truth=str(folder / "val.csv"),
        label_map=str(folder / "map.pbtxt"),
        output_dir=str(folder / "scores"),
        checkpoints={"rgb": "run"},
        time_offset=900.5,
    )


@pytest.fixture(autouse=True)
def knowing_network(monkeypatch):
    """A network that knows: who is at the right talks, and both stand."""
    network = SimpleNamespace(model="rgb", name="run", sha256="0" * 64)
    opened = Checkpoints({"rgb": network}, ("walk", "stand", "talk to"), Protocol())
    monkeypatch.setattr(evaluation, "open_checkpoints", lambda *_, **__: opened)
    monkeypatch.setattr(evaluation, "person_function", lambda model: model)
    monkeypatch.setattr(evaluation, "compute_person_logits", known_logits)


def known_logits(forward, config, *_):
    found = []
    for example in config.examples:
        persons = example.key_frames[0].persons
        rows = np.full((len(persons), 3), -2.0, np.float32)
        for row, person in zip(rows, persons, strict=True):
            row[STANDS] = 1
            row[TALKS] = 3 if person.box[0] > 0.5 else -3
        found.append(rows if persons else None)
    return found, Failures()


def scored(options):
    path = Path(options.output_dir) / "submission.csv"
    return score_submission("ava", options.truth, path, options.label_map).mean


def test_submission_has_a_row_for_each_person_and_action(options):
    score = evaluate_persons(options)
    lines = (Path(options.output_dir) / "submission.csv").read_text().splitlines()
    sigmoid = 1 / (1 + np.exp(-np.array([1.0, -3.0])))
    assert lines[:2] == [
        f"a,0901,0.1,0.2,0.5,0.9,{action},{value:.7g}"
        for action, value in zip((12, 79), sigmoid, strict=True)
    ]
    assert len(lines) == 4  # swimming is not the network's
    assert score.mean == scored(options)
    record = json.loads((Path(options.output_dir) / "score.json").read_text())
    assert record["values"][0]["by_class"] == {
        "stand": pytest.approx(2 / 3),  # one of three is in the video that is missing
        "talk to": 1,
        "swim": None,
    }
    notes = "\n".join(score.notes)
    assert "1 videos are missing or cannot be read, such as gone; their persons count" in notes
    assert "1 actions are not the network's, such as 'swim'" in notes
    assert any("the action 14 is not in the label map" in str(row) for row in score.skipped)


def test_detected_boxes_count_from_a_score_on(options, make_tree):
    detected = [
        f"a,0901,{LEFT},,0.9",
        f"a,0901,{RIGHT},,0.7",
        "a,0901,0,0,0.05,0.05,,0.2",
        f"a,0902,{RIGHT},,0.95",  # where nobody is
        f"a,0901.25,{LEFT},,0.99",  # no frame of the truth
    ]
    make_tree(texts={"boxes.csv": "\n".join(detected) + "\n"})
    boxes = str(Path(options.data_dir) / "boxes.csv")
    options = dataclasses.replace(options, boxes=boxes, min_score=0.5)
    score = evaluate_persons(options)
    # The false person in the second frame is as sure to talk as the true one in the first.
    by_class = dict(zip(score.class_names, score.by_overlap[None].by_class, strict=True))
    assert by_class["talk to"] == pytest.approx(1)
    assert score.mean == scored(options)
    assert "1 of 5 rows have no score of at least 0.5" in score.notes
    assert "1 frames of the boxes are not in the truth, and left out" in score.notes
    only_right = dataclasses.replace(options, min_score=0.95)
    # Of two who stand, none is found in the first frame, and one in the second is not there.
    assert evaluate_persons(only_right).mean == scored(only_right) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_score": 0.5}, "`min_score` needs `boxes`"),
        ({"label_map": "other.pbtxt"}, "none of its 1 actions is one of the network's, such as"),
        ({"boxes": "none.csv"}, "none of its frames is in"),
    ],
)
def test_what_does_not_fit_is_refused(options, changes, message, make_tree):
    folder = make_tree(
        texts={"other.pbtxt": MAP.format("fly", 1), "none.csv": f"a,0902.1,{LEFT},,0.9\n"}
    )
    changes = {
        name: str(folder / value) if isinstance(value, str) else value
        for name, value in changes.items()
    }
    with pytest.raises(ValueError, match=message):
        evaluate_persons(dataclasses.replace(options, **changes))
