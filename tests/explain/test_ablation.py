"""Ablations of a few videos with made-up logits."""

import json

import numpy as np
import pytest

from i3d_tf.explain.ablation import exchanges, measure, select_frame
from i3d_tf.explain.ablation_page import ablation_page
from i3d_tf.explain.frame_orders import parse_conditions
from i3d_tf.explain.video_logits import VideoLogits, read_video_logits, write_video_logits

NAMES = ("open", "close", "stand")
METADATA = {
    "data": {"name": "doors", "split": "test", "unreadable": [{"path": "<b>", "reason": "cut"}]},
    "settings": {
        "weights": {"rgb": {"name": "mine", "sha256": "0" * 64}},
        "protocol": {"frames": 16, "frame_rate": 8.5},
        "seed": 0,
    },
    "bootstrap": {"samples": 2000, "level": 0.95},
}


def one_hot(label, strength=3.0):
    return strength * np.eye(3)[label]


def video(label, backwards, frozen=None):
    rows = {"original": one_hot(label), "reversed": one_hot(backwards)}
    frames = np.zeros((0, 3)) if frozen is None else np.array(frozen)
    return VideoLogits({"rgb": rows}, {"rgb": frames}, 0)


@pytest.fixture
def ablation():
    """Doors that open close when they are played backwards; standing stays standing."""
    backwards = {0: 1, 1: 0, 2: 2}
    labels = [0, 1, 2] * 4
    videos = {f"{n}.mp4": video(label, backwards[label]) for n, label in enumerate(labels)}
    conditions = parse_conditions(["reversed"])
    return measure(NAMES, conditions, videos, labels, METADATA)


def test_reversal_exchanges_pairs_and_leaves_others(ablation):
    original, changed = (ablation.results["rgb"][k].labels for k in ("original", "reversed"))
    assert (original.accuracy, original.drop, original.exchanges) == (1, (0, 0, 0), ())
    assert (changed.correct, changed.accuracy) == (4, 4 / 12)
    assert changed.class_accuracy == (0, 0, 1)
    assert changed.class_drops == ((1, 1, 1), (1, 1, 1), (0, 0, 0))
    assert changed.drop.low < changed.drop.value == 8 / 12 < changed.drop.high
    assert (changed.unaffected, changed.unaffected_share) == ((2,), 1 / 3)
    (pair,) = changed.exchanges
    assert (pair.classes, pair.shares, pair.original_shares) == ((0, 1), (1, 1), (0, 0))
    assert ablation.results["rgb"]["reversed"].same == 4 / 12


def test_record_is_json_with_every_prediction(ablation):
    record = json.loads(json.dumps(ablation.to_json(), allow_nan=False))
    found = record["results"]["rgb"]["reversed"]
    assert found["classes_without_drop"] == [2]
    assert found["exchanged"][0]["classes"] == [0, 1]
    assert found["confusions"][0] == {"class": 0, "predicted": 1, "videos": 4, "share": 1.0}
    assert record["predictions"][0]["label"] == "open"
    assert record["predictions"][0]["rgb"]["reversed"][0] == "close"
    assert ablation.lines()[-1].split() == ["reversed", "33.3"]


def test_page_shows_pairs_and_escapes_names(ablation):
    page = ablation_page(ablation)
    assert "1 pair of classes change places in most videos" in page
    assert "66.7 (" in page
    assert "&lt;b&gt; · cut" in page
    assert "<b>" not in page


def test_streams_are_added():
    rows = {"original": one_hot(0, 1.0), "reversed": one_hot(0, 1.0)}
    flow = {"original": one_hot(1, 2.0), "reversed": one_hot(1, 0.5)}
    frozen = {"rgb": np.zeros((0, 3)), "flow": np.zeros((0, 3))}
    videos = {"a.mp4": VideoLogits({"rgb": rows, "flow": flow}, frozen, 0)}
    found = measure(NAMES, parse_conditions(["reversed"]), videos, [0], METADATA)
    assert found.headline == "joint"
    predicted = {k: r.predicted.tolist() for k, r in found.results["joint"].items()}
    assert predicted == {"original": [1], "reversed": [0]}


def test_videos_without_labels_have_predictions_and_no_oracle():
    frames = [one_hot(1), one_hot(2, 9.0)]
    videos = {"a.mp4": video(0, 0, frames)}
    conditions = parse_conditions(["reversed", "frozen:middle", "frozen:best", "frozen:oracle"])
    found = measure(NAMES, conditions, videos, None, METADATA)
    predicted = {k: r.predicted.tolist() for k, r in found.results["rgb"].items()}
    assert predicted == {"original": [0], "reversed": [0], "frozen:middle": [1], "frozen:best": [2]}
    assert found.results["rgb"]["frozen:best"].same == 0
    assert "stand 100\N{NO-BREAK SPACE}%" in ablation_page(found)
    assert len(found.lines()) == 6


def test_select_frame_is_by_confidence_or_by_the_label():
    frozen = np.array([one_hot(1, 5.0), one_hot(0, 0.1), one_hot(2, 7.0)])
    assert select_frame(frozen, "middle", 1, None).tolist() == frozen[1].tolist()
    assert select_frame(frozen, "best", 1, None).tolist() == frozen[2].tolist()
    # Correct if any frame is, however small its probability.
    assert select_frame(frozen, "oracle", 1, 0).tolist() == frozen[1].tolist()
    assert select_frame(frozen, "oracle", 1, 1).tolist() == frozen[0].tolist()


def test_exchanges_need_both_ways():
    both = np.array([[1, 3, 0], [4, 0, 0], [2, 0, 2]])
    (pair,) = exchanges(both, np.diag([4, 4, 4]))
    assert (pair.classes, pair.shares) == ((0, 1), (0.75, 1.0))
    assert exchanges(np.array([[1, 3, 0], [0, 4, 0], [0, 0, 4]]), np.eye(3)) == []


def test_file_of_a_video_holds_its_logits(tmp_path):
    path = tmp_path / "a.json"
    logits = video(0, 1, [one_hot(1), one_hot(2)])
    write_video_logits(logits, "a.mp4", str(tmp_path), {"seed": 3}, path, tmp_path)
    found, record = read_video_logits(path)
    assert record["settings"] == {"seed": 3}
    np.testing.assert_array_equal(found.frozen["rgb"], logits.frozen["rgb"])
    np.testing.assert_array_equal(found.ordered["rgb"]["reversed"], one_hot(1))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "other"),
        ("middle", 2),
        ("logits", {}),
        ("logits", {"rgb": {"original": [1.0, "2", 3.0]}}),
        ("logits", {"rgb": {"original": [1.0, 2.0]}}),
        ("frozen", {"rgb": [[1.0], [2.0, 3.0]]}),
        ("frozen", {"flow": [[1.0, 2.0, 3.0]]}),
        ("source", None),
    ],
)
def test_damaged_file_of_a_video_is_refused(tmp_path, key, value):
    path = tmp_path / "a.json"
    logits = video(0, 1, [one_hot(1), one_hot(2)])
    write_video_logits(logits, "a.mp4", str(tmp_path), {}, path, tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ValueError, match=r"a\.json: not the logits of an ablation"):
        read_video_logits(path)
