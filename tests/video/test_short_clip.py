import numpy as np
import pytest

from i3d_tf.video.decode import read_clip, read_first_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms import stretch


@pytest.fixture(scope="module")
def ramp(write_grey_video, tmp_path_factory):
    """Twenty frames at 25 per second, each 10 brighter than the one before it."""
    return write_grey_video(tmp_path_factory.mktemp("ramp") / "ramp.mp4", range(0, 200, 10))


def levels(frames):
    return np.rint(frames.mean((1, 2, 3)) / 10).astype(int).tolist()


def test_the_first_frames_as_they_are(ramp):
    frames = read_first_frames(ramp, 16)
    np.testing.assert_array_equal(frames, read_clip(ramp)[:16])
    assert levels(frames) == list(range(16))


@pytest.mark.parametrize(("rate", "step"), [(12.5, 2), (5, 5)])
def test_resampled(ramp, rate, step):
    assert levels(read_first_frames(ramp, 4, rate)) == [0, step, 2 * step, 3 * step]


def test_frames_that_are_shown_twice(ramp):
    # Of two equally near frames the earlier: times 0, .5, 1, 1.5, ... of a frame.
    assert levels(read_first_frames(ramp, 7, 50)) == [0, 0, 1, 1, 2, 2, 3]


def test_no_more_is_read_than_asked_for(ramp, tmp_path):
    # A file that stops in its middle is damaged only for those who get there.
    changed = []

    def keep(frame):
        changed.append(1)
        return frame

    read_first_frames(ramp, 9, change=keep)
    assert len(changed) == 9


def test_frames_are_changed_as_they_are_read(ramp):
    frames = read_first_frames(ramp, 9, change=lambda frame: stretch(frame, 32))
    assert frames.shape == (9, 32, 32, 3)
    assert levels(frames) == list(range(9))


@pytest.mark.parametrize(
    ("rate", "reason"),
    [(None, "it has 20 frames; 21 are needed"), (5, "it has 4 frames at 5 per second; 21 are")],
)
def test_too_few_frames(ramp, rate, reason):
    with pytest.raises(VideoError, match=reason):
        read_first_frames(ramp, 21, rate)


def test_bad_videos_say_why(write_bad_videos, tmp_path):
    for name, reason in write_bad_videos(tmp_path).items():
        with pytest.raises(VideoError) as raised:
            read_first_frames(tmp_path / name, 9)
        expected = "it has 1 frames; 9 are needed" if name == "one_frame.mp4" else reason
        assert raised.value.reason.startswith(expected)


def test_the_aspect_is_not_kept():
    frame = np.zeros((40, 80, 3), np.uint8)
    frame[:, 40:] = 255
    square = stretch(frame, 40)
    assert square.shape == (40, 40, 3)
    # Half as wide: no column is mixed from both sides of the edge.
    assert (square[:, :20] == 0).all()
    assert (square[:, 20:] == 255).all()
    np.testing.assert_array_equal(stretch(frame[:, ::-1], 40), square[:, ::-1])


def test_bilinear_at_half_pixel_centres():
    # Centres 0.5 and 1.5 become 0.5 .. 3.5 halves: 0.25, 0.75, 1.25, 1.75, the outer ones beyond.
    frame = np.tile(np.array([[0], [100]], np.uint8)[..., None], (1, 2, 3))
    assert stretch(frame, 4)[:, 0, 0].tolist() == [0, 25, 75, 100]


def test_a_square_of_that_size_stays_as_it_is():
    frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(stretch(frame, 32), frame)
