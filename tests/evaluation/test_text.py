import pytest

from i3d_tf.evaluation.measure import measure
from i3d_tf.evaluation.text import counted, flatten, format_value, percent, protocol_rows


def test_percent():
    assert percent(0.9166) == "91.7%"
    assert percent(1, 0) == "100%"
    assert percent(None) == "-"


def test_counted():
    assert counted(1, "video") == "1 video"
    assert counted(1200, "video") == "1,200 videos"
    assert counted(0, "class", "classes") == "0 classes"


def rows_of(six_clips, protocol, data_report=None):
    return protocol_rows(measure(six_clips(protocol=protocol, data_report=data_report)))


def test_protocol_rows_have_units_and_the_networks(six_clips):
    protocol = {
        "frames": 250,
        "rgb_step": 10,
        "frame_rate": 25 / 3,
        "crop_size": 224,
        "checkpoints": {"rgb": {"name": "mine", "sha256": "0123"}, "flow": "other"},
    }
    assert rows_of(six_clips, protocol) == [
        ("Frames of a clip", "250"),
        ("Frames that RGB gets", "one of 10"),
        ("Frame rate", "8.333 frames per second"),
        ("Crop", "224 x 224 pixels"),
        ("Fusion of the streams", "sum of the logits"),
        ("RGB network", "mine"),
        ("SHA-256 of the RGB network", "0123"),
        ("Optical flow network", "other"),
    ]


def test_protocol_rows_leave_out_what_says_nothing_or_stands_elsewhere(six_clips):
    protocol = {"rgb_step": 1, "flow_engine": None, "dataset": "a", "split": "b", "empty": []}
    fusion = ("Fusion of the streams", "sum of the logits")
    assert rows_of(six_clips, protocol, {"name": "a", "split": "c"}) == [fusion, ("Split", "b")]


def test_protocol_rows_list_other_entries_and_keep_braces(six_clips):
    protocol = {"precision": "{0.__class__}", "features": {"frame_rate": 3}, "checkpoints": "x"}
    rows = dict(rows_of(six_clips, protocol))
    assert rows["Precision"] == "{0.__class__}"
    assert rows["Features, frame rate"] == "3"
    assert rows["Checkpoints"] == "x"


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "-"), (True, "yes"), (25.0, "25"), (3, "3"), ([1, "a"], "1, a"), ([], "-")],
)
def test_format_value(value, words):
    assert format_value(value) == words


def test_flatten_yields_keys_of_nested_values():
    nested = {"a": 1, "b": {"c": {"d": 2}, "e": 3}}
    assert list(flatten(nested)) == [(("a",), 1), (("b", "c", "d"), 2), (("b", "e"), 3)]
