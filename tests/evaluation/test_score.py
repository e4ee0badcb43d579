"""Scores of submission files, end to end on small ones."""

import json

import pytest

from i3d_tf.evaluation.score import score_submission

CHARADES = "id,actions,length\nA,c000 0 5,10\nB,c001 0 5,10\nC,,10\n"


@pytest.fixture
def files(tmp_path):
    """Function: (text or JSON values of the truth, of the predictions) -> their paths."""

    def write(*contents):
        paths = []
        for number, content in enumerate(contents):
            is_text = isinstance(content, str)
            paths.append(tmp_path / f"file {number}.{'csv' if is_text else 'json'}")
            paths[-1].write_text(content if is_text else json.dumps(content))
        return paths

    return write


def row(name, **scores):
    """A line of a Charades submission: 157 scores of 0 but those that are named c0, c1."""
    values = ["0"] * 157
    for label, value in scores.items():
        values[int(label[1:])] = str(value)
    return " ".join((name, *values)) + "\n"


def test_charades_submission(files):
    truth, mine = files(CHARADES, row("A", c0=0.1, c1=0.3) + row("B", c0=0.2, c1=0.4) + row("Z"))
    score = score_submission("charades_classify", truth, mine)
    assert score.mean == pytest.approx((1 / 2 + 1) / 2)
    assert score.lines() == [
        "mAP: 0.750000",
        "mAP weighted by positives: 0.750000",
        "note: 1 videos of the annotation have no scores, such as C",
        "note: 1 videos of the submission are not in the annotation, such as Z",
    ]
    record = score.as_json()
    assert record["values"][0]["by_class"]["c000"] == 0.5
    assert record["values"][0]["by_class"]["c002"] is None


def test_ava_submission(files):
    box = "0.1,0.1,0.5,0.9"
    truth, mine, labels, left_out = files(
        f"v,0902,{box},1,0\nv,0903,{box},1,0\nv,0904,{box},9,0\n",
        f"v,0902,{box},1,0.5\nv,0999,{box},1,0.9\n",
        'item {\n  name: "stand"\n  id: 1\n}\n',
        "v,0903\n",
    )
    score = score_submission("ava", truth, mine, labels)
    assert score.mean == 0.5
    assert score.notes == (
        "1 frames of the detections are not in the truth, and left out, such as v,999",
    )
    assert [str(each) for each in score.skipped] == [
        "file 0.csv line 3: the action 9 is not in the label map"
    ]
    assert score_submission("ava", truth, mine, labels, left_out).mean == 0.5  # 1 of 2 detections


def activity(start, end, label="run", **more):
    return {"segment": [start, end], "label": label, **more}


def test_activitynet_submission(files):
    truth, mine = files(
        {
            "database": {
                "v": {"subset": "validation", "annotations": [activity(0, 10), activity(5, 4)]},
                "w": {"subset": "training", "annotations": [activity(0, 10, "sit")]},
            }
        },
        {"results": {"v": [activity(0, 7, score=0.5), activity(0, 1, "fly", score=1)]}},
    )
    score = score_submission("activitynet", truth, mine, subset="Validation")
    assert score.mean == pytest.approx(0.5)  # right at 0.5 to 0.7, wrong at 0.75 to 0.95
    assert score.lines()[0] == "mAP at an overlap of 0.50: 1.000000"
    assert score.lines()[-2:] == [
        "note: 1 classes of the detections are not in the annotation, such as fly",
        "skipped: file 0.json: v: the segment [5, 4] does not end after its start",
    ]
    assert score_submission("thumos14", truth, mine, overlaps=[0.6]).mean == 0.5  # no one sits
    with pytest.raises(ValueError, match="it has no action of the subset 'testing'"):
        score_submission("activitynet", truth, mine, subset="testing")


@pytest.mark.parametrize(
    ("rule", "more", "message"),
    [
        ("kinetics", {}, "`rule` must be one of"),
        ("ava", {}, "`label_map` must be given for ava"),
        ("ava", {"subset": "x"}, "`subset` is for activitynet and thumos14; received it for ava"),
        ("thumos14", {"label_map": "x"}, "`label_map` is for ava; received it for thumos14"),
        ("thumos14", {}, "not ActivityNet's annotation"),
    ],
)
def test_other_arguments_are_refused(files, rule, more, message):
    truth, mine = files({"data": 3}, {"results": {}})
    with pytest.raises(ValueError, match=message):
        score_submission(rule, truth, mine, **more)
