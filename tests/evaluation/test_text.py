import pytest

from i3d_tf.evaluation.text import counted, flattened, percent, protocol_line, spelt

RECORD = {
    "videos": 1200,
    "protocol": {
        "frames": 250,
        "frame_rate": 25.0,
        "clips": 1,
        "crops": 3,
        "flow_engine": "numba",
        "checkpoints": {"rgb": "a"},
    },
    "results": {
        "rgb": {"streams": ["rgb"], "fusion": None},
        "joint": {"streams": ["rgb", "flow"], "fusion": "logits"},
    },
}


def test_percent():
    assert percent(0.9166) == "91.7%"
    assert percent(1, 0) == "100%"
    assert percent(None) == "-"


def test_counts():
    assert counted(1, "video") == "1 video"
    assert counted(1200, "video") == "1,200 videos"
    assert counted(0, "class", "classes") == "0 classes"


def test_the_protocol_in_one_line():
    words = "1,200 videos, 250 frames, 25 frames/s, 1 clip a video, 3 crops"
    assert protocol_line(RECORD, "rgb") == words
    assert protocol_line(RECORD, "joint") == f"{words}, numba flow, sum of the logits"


def test_braces_in_a_value_are_only_text():
    record = {**RECORD, "protocol": {"precision": "{0.__class__} (s)"}}
    assert protocol_line(record, "rgb") == "1,200 videos, {0.__class__} (s)"


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "-"), (True, "yes"), (25.0, "25"), (3, "3"), ([1, "a"], "1, a"), ([], "-")],
)
def test_plain_values_as_text(value, words):
    assert spelt(value) == words


def test_nested_values_are_listed_by_their_keys():
    nested = {"a": 1, "b": {"c": {"d": 2}, "e": 3}}
    assert list(flattened(nested)) == [(("a",), 1), (("b", "c", "d"), 2), (("b", "e"), 3)]
