"""Networks that return what they are shown: the brightness of frames, or their flow."""

import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.explain import condition_logits as logits_file
from i3d_tf.explain.condition_logits import ConditionLogits, ordered_flow
from i3d_tf.explain.frame_orders import parse_conditions
from i3d_tf.flow.compute import compute_flow
from i3d_tf.inference.test_clip import TestClips as Clips
from i3d_tf.specs.protocol import Protocol

SIZE = 32


@pytest.fixture
def clip_of(monkeypatch):
    """Function: frames of a window, of segments -> the next clip that is read: frame t is t."""

    def prepare(length, segments=1):
        frames = np.arange(length * segments, dtype=np.uint8)[:, None, None, None]
        frames = np.broadcast_to(frames, (length * segments, SIZE, SIZE, 3))
        starts = tuple(range(0, length * segments, length))
        clips = Clips(frames, starts, length, length * segments, segments)
        monkeypatch.setattr(logits_file, "read_test_clips", lambda *_: clips)

    return prepare


def brightness(clips, training):
    """The number of every frame of clips of RGB."""
    return tf.round((tf.reduce_mean(clips, [2, 3, 4]) + 1) * 127.5)


def rows_of(found, network="rgb"):
    return {name: row.astype(int).tolist() for name, row in found.ordered[network].items()}


@pytest.mark.parametrize("crops", [1, 2])
def test_rgb_is_shown_in_the_order_of_each_condition(clip_of, crops):
    clip_of(8)
    conditions = parse_conditions(["reversed", "subsampled:3", "shuffled:4", "frozen:oracle"])
    protocol = Protocol(frames=8, short_side=SIZE, crop_size=SIZE, crops=crops)
    found = ConditionLogits({"rgb": brightness}, protocol, conditions, 3)("path", "name")
    rows = rows_of(found)
    assert rows["original"] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert rows["reversed"] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert rows["subsampled:3"] == [0, 0, 0, 3, 3, 3, 6, 6]
    assert sorted(rows["shuffled:4"][:4]) == [0, 1, 2, 3]
    assert found.frozen["rgb"].tolist() == [[1] * 8, [4] * 8, [6] * 8]
    assert found.middle == 1


def test_short_clips_are_looped_after_they_are_changed(clip_of):
    clip_of(3)
    protocol = Protocol(frames=8, short_side=SIZE, crop_size=SIZE)
    conditions = parse_conditions(["reversed", "frozen:middle"])
    found = ConditionLogits({"rgb": brightness}, protocol, conditions, 9)("path", "name")
    assert rows_of(found)["reversed"] == [2, 1, 0, 2, 1, 0, 2, 1]
    assert found.frozen["rgb"].tolist() == [[1] * 8]  # frame 4 of the looped clip


def test_snippets_are_reversed_together(clip_of):
    clip_of(2, segments=3)
    protocol = Protocol(frames=2, segments=3, short_side=SIZE, crop_size=SIZE)
    conditions = parse_conditions(["reversed"])
    found = ConditionLogits({"rgb": brightness}, protocol, conditions, 9)("path", "name")
    assert rows_of(found) == {"original": [0, 1, 2, 3, 4, 5], "reversed": [5, 4, 3, 2, 1, 0]}
    assert found.frozen["rgb"].shape == (0, 6)


def test_shuffling_is_of_the_seed_and_of_the_name(clip_of):
    clip_of(30)
    protocol = Protocol(frames=30, short_side=SIZE, crop_size=SIZE)
    conditions = parse_conditions(["shuffled"])

    def shuffled(seed, name):
        predict = ConditionLogits({"rgb": brightness}, protocol, conditions, 9, seed)
        return rows_of(predict("path", name))["shuffled"]

    assert sorted(shuffled(0, "a")) == list(range(30))
    assert shuffled(0, "a") == shuffled(0, "a")
    assert shuffled(0, "a") != shuffled(0, "b")
    assert shuffled(0, "a") != shuffled(1, "a")


def test_flow_of_a_frozen_frame_is_zero(clip_of):
    clip_of(9)

    def motion(clips, training):
        return tf.reduce_max(tf.abs(clips), [2, 3, 4])

    protocol = Protocol(frames=9, short_side=SIZE, crop_size=SIZE)
    conditions = parse_conditions(["frozen:best"])
    networks = {"rgb": brightness, "flow": motion}
    found = ConditionLogits(networks, protocol, conditions, 3, 0, "dis", "nearest")("path", "name")
    assert found.frozen["flow"].tolist() == [[0] * 9] * 3
    assert found.frozen["rgb"].tolist() == [[1] * 9, [4] * 9, [7] * 9]


@pytest.fixture(scope="module")
def moving():
    """A textured square that moves to the right by 2 pixels a frame."""
    generator = np.random.default_rng(0)
    texture = generator.integers(0, 256, (16, 16, 3), np.uint8)
    frames = np.full((5, 48, 48, 3), 90, np.uint8)
    for number, frame in enumerate(frames):
        frame[16:32, 12 + 2 * number :][:, :16] = texture
    return frames


def test_ordered_flow_of_the_original_is_that_of_the_clip(moving):
    for next_frame in (None, moving[4]):
        expected = compute_flow(moving[:4], "dis", next_frame=next_frame)
        np.testing.assert_array_equal(
            ordered_flow(moving[:4], np.arange(4), "dis", next_frame), expected
        )


def test_ordered_flow_of_repeated_frames_is_between_the_different_ones(moving):
    flow = ordered_flow(moving, np.array([0, 0, 2, 2, 2]), "dis")
    expected = compute_flow(moving[:1], "dis", next_frame=moving[2])
    np.testing.assert_array_equal(flow[1], expected[0])
    assert not flow[[0, 2, 3, 4]].any()


def test_ordered_flow_backwards_is_computed_anew(moving):
    forward = ordered_flow(moving, np.arange(5), "dis")
    backward = ordered_flow(moving, np.arange(5)[::-1], "dis")
    np.testing.assert_array_equal(backward, compute_flow(moving[::-1], "dis"))
    inside = np.s_[:, 20:28, 22:26]
    assert forward[inside][..., 0].mean() > 1.5
    assert backward[inside][..., 0].mean() < -1.5
    assert not np.array_equal(backward[:4], -forward[3::-1])


def test_bidirectional_flow_turns_around_backwards(moving, monkeypatch):
    def rightwards(clips, training):
        return tf.reduce_mean(clips[..., 0], [2, 3])

    clips = Clips(moving[:4], (0,), 4, 4)
    monkeypatch.setattr(logits_file, "read_test_clips", lambda *_: clips)
    protocol = Protocol(frames=4, short_side=48, crop_size=48, flow_direction="both")
    conditions = parse_conditions(["reversed", "frozen:middle"])
    found = ConditionLogits({"flow": rightwards}, protocol, conditions, 1, 0, "dis")("path", "name")
    signs = {name: np.sign(row).tolist() for name, row in found.ordered["flow"].items()}
    assert signs == {"original": [1, 1, -1, -1], "reversed": [-1, -1, 1, 1]}
    assert not found.frozen["flow"].any()
