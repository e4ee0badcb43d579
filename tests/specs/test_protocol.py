import pytest

from i3d_tf.specs.protocol import clip_shape, frames_seen


def test_rgb_shows_the_middle_of_every_step_and_flow_all():
    assert list(frames_seen("rgb", 50, 10)) == [5, 15, 25, 35, 45]
    assert list(frames_seen("rgb", 12, 5)) == [2, 7]
    assert list(frames_seen("rgb", 3, 1)) == [0, 1, 2]
    assert list(frames_seen("flow", 4, 10)) == [0, 1, 2, 3]


def test_the_shape_of_a_clip():
    assert clip_shape("rgb", 125, 5, 224) == (25, 224, 224, 3)
    assert clip_shape("rgb", 10, 10, 80) == (1, 80, 80, 3)
    assert clip_shape("flow", 10, 10, 80) == (10, 80, 80, 2)
    with pytest.raises(ValueError, match=r"`stream` must be one of .*; received 'joint'"):
        clip_shape("joint", 10, 10, 80)
