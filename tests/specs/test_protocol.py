import pytest

from i3d_tf.specs.protocol import Protocol, clip_shape, flow_fields, frame_indices


def test_frame_indices_are_the_middle_of_every_step_for_rgb_and_all_for_flow():
    assert list(frame_indices("rgb", 50, 10)) == [5, 15, 25, 35, 45]
    assert list(frame_indices("rgb", 12, 5)) == [2, 7]
    assert list(frame_indices("rgb", 3, 1)) == [0, 1, 2]
    assert list(frame_indices("flow", 4, 10)) == [0, 1, 2, 3]


def test_frame_indices_of_snippets_follow_each_other():
    assert list(frame_indices("rgb", 5, 5, segments=3)) == [2, 7, 12]
    assert list(frame_indices("flow", 2, 5, segments=3)) == [0, 1, 2, 3, 4, 5]
    assert clip_shape("flow", 5, 5, 80, segments=3) == (15, 80, 80, 2)


def test_clip_shape_counts_the_frames_of_the_stream():
    assert clip_shape("rgb", 125, 5, 224) == (25, 224, 224, 3)
    assert clip_shape("rgb", 10, 10, 80) == (1, 80, 80, 3)
    assert clip_shape("flow", 10, 10, 80) == (10, 80, 80, 2)
    with pytest.raises(ValueError, match=r"`stream` must be one of .*; received 'joint'"):
        clip_shape("joint", 10, 10, 80)


def test_flow_fields_of_both_directions_start_at_the_rgb_frame():
    fields = flow_fields(6, "both")
    assert [field.frame for field in fields] == [3, 4, 5, 3, 2, 1]
    assert [field.is_backward for field in fields] == [False] * 3 + [True] * 3
    assert list(frame_indices("rgb", 6, 6)) == [3]
    assert flow_fields(3) == [(0, False), (1, False), (2, False)]
    snippets = flow_fields(2, "both", segments=2)
    assert snippets == [(1, False), (1, True), (3, False), (3, True)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 0}, r"`frames` must be an integer within 1\.\.65536; received 0"),
        ({"windows": 2.0}, r"`windows` must be an integer within 1\.\.4096; received 2.0"),
        ({"frame_rate": 0}, "`frame_rate` must be a number > 0 and <= 1000; received 0"),
        ({"frame_rate": float("nan")}, "`frame_rate` must be a number > 0"),
        ({"crop_size": 300}, "`crop_size` must be at most `short_side`"),
        ({"frames": 5, "rgb_step": 10}, "`rgb_step` less than twice `frames`"),
        ({"crop_set": "all"}, r"`crop_set` must be one of \('spread', 'corners'\); received 'all'"),
        (
            {"crop_set": "corners"},
            r"`crops` must be one of \(5, 10\) for `crop_set` 'corners'",
        ),
        ({"frames": 5, "flow_direction": "both"}, "`frames` must be even .*; received 5"),
        ({"flow_direction": "backward"}, r"one of \('forward', 'both'\); received 'backward'"),
        ({"segments": 3, "windows": 2}, "`windows` must be 1 with 3 segments, .*; received 2"),
    ],
)
def test_protocol_refuses_numbers_that_are_not_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        Protocol(**arguments)


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_protocol_is_made_of_its_plain_values(direction):
    protocol = Protocol(frames=10, flow_direction=direction)
    assert Protocol(**protocol.as_json()) == protocol
    assert ("flow_direction" in protocol.as_json()) == (direction == "both")
