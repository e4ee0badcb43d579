import numpy as np

from i3d_tf.viz.annotate import annotate_boxes, annotate_frame, annotate_frames


def test_annotate_frame_draws_only_at_the_top():
    frame = np.full((120, 160, 3), 200, np.uint8)
    picture = annotate_frame(frame, [("playing cricket", 0.5), ("kicking", 0.1)])
    assert picture.shape == frame.shape
    assert picture.dtype == np.uint8
    assert (picture[:35] != 200).any()
    np.testing.assert_array_equal(picture[60:], frame[60:])
    np.testing.assert_array_equal(frame, 200)  # the input is left alone


def test_annotate_frame_bar_is_as_long_as_its_fraction():
    frame = np.zeros((120, 161, 3), np.uint8)
    picture = annotate_frame(frame, [("", 0.5)])
    blue = np.flatnonzero(picture[10, :, 2] > 100)
    assert (blue.min(), blue.max()) == (0, 80)


def test_annotate_frames_accepts_frames_smaller_than_the_text():
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    assert [f.shape for f in annotate_frames(frames, [("a long class name", 1.0)] * 5)] == [
        (8, 8, 3)
    ] * 2


def test_boxes_have_their_text_above_or_below_them():
    frame = np.full((200, 300, 3), 90, np.uint8)
    low, high = (0.1, 0.6, 0.2, 0.9), (0.8, 0.0, 0.95, 0.5)
    picture = annotate_boxes(frame, [(low, [("walk", 1.0)]), (high, [("stand up", 0.5)])])
    changed = (picture != frame).any(axis=-1)
    assert changed[119, 30:60].all()  # its upper edge
    assert changed[100:119, 30:50].any(axis=0).all()  # above the low box
    assert not changed[130:170, 35:55].any()  # who is in it can be seen
    assert changed[101:120, 245:270].any(axis=0).all()  # below the high one
    assert not changed[150:, 100:].any()
