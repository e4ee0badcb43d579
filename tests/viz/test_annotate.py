import numpy as np

from i3d_tf.viz.annotate import annotate_frame, annotate_frames


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
