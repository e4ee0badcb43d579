import pytest

from i3d_tf.evaluation.measure import measure
from i3d_tf.evaluation.text import counted, flatten, format_value, percent, protocol_line

PROTOCOL = {
    "frames": 250,
    "frame_rate": 25.0,
    "clips": 1,
    "crops": 3,
    "flow_engine": "numba",
    "checkpoints": {"rgb": "a"},
}


def test_percent():
    assert percent(0.9166) == "91.7%"
    assert percent(1, 0) == "100%"
    assert percent(None) == "-"


def test_counted():
    assert counted(1, "video") == "1 video"
    assert counted(1200, "video") == "1,200 videos"
    assert counted(0, "class", "classes") == "0 classes"


def test_protocol_line_of_a_stream_and_of_two(six_clips):
    results = measure(six_clips(protocol=PROTOCOL))
    line = "6 videos, 250 frames, 25 frames/s, 1 clip a video, 3 crops"
    assert protocol_line(results, "rgb") == line
    assert protocol_line(results, "joint") == f"{line}, numba flow, sum of the logits"


def test_protocol_line_keeps_braces_in_a_value(six_clips):
    results = measure(six_clips(protocol={"precision": "{0.__class__} (s)"}))
    assert protocol_line(results, "rgb") == "6 videos, {0.__class__} (s)"


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "-"), (True, "yes"), (25.0, "25"), (3, "3"), ([1, "a"], "1, a"), ([], "-")],
)
def test_format_value(value, words):
    assert format_value(value) == words


def test_flatten_yields_keys_of_nested_values():
    nested = {"a": 1, "b": {"c": {"d": 2}, "e": 3}}
    assert list(flatten(nested)) == [(("a",), 1), (("b", "c", "d"), 2), (("b", "e"), 3)]
