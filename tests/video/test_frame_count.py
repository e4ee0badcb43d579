from fractions import Fraction

import numpy as np
import pytest

from i3d_tf.video import decode as frame_count
from i3d_tf.video.decode import count_frames, read_frames
from i3d_tf.video.errors import VideoError


@pytest.mark.parametrize(("frame_rate", "count"), [(25, 10), (30, 12), (60, 24), (1, 1)])
def test_as_many_as_are_read(make_video, numbered_frames, frame_rate, count):
    video = make_video(numbered_frames(12), frame_rate=30)
    assert count_frames(video, frame_rate) == count
    assert len(list(read_frames(video, frame_rate, short_side=None))) == count


def test_uneven_times(make_video, numbered_frames):
    # Shown for 0.1, 0.5 and 0.2 seconds, and the last for as long as the header's rate says.
    times = [Fraction(0), Fraction("0.1"), Fraction("0.6"), Fraction("0.8")]
    video = make_video(numbered_frames(4), container="matroska", times=times)
    assert count_frames(video) == len(list(read_frames(video, short_side=None)))


@pytest.mark.parametrize("name", ["part.avi", "v_GGSY1Qvo990.mp4", "v_CricketShot_g04_c01_rgb.gif"])
def test_real_videos(shared_dir, name):
    video = shared_dir / "videos" / name
    assert count_frames(video) == sum(1 for _ in read_frames(video, short_side=16))


def test_damage_is_an_error(make_video, numbered_frames, monkeypatch):
    whole = make_video(np.tile(numbered_frames(12), (4, 1, 1, 1)), container="matroska")
    with pytest.raises(VideoError, match="damaged or cut short"):
        count_frames(whole[: len(whole) * 3 // 4])
    with pytest.raises(VideoError, match="it is empty"):
        count_frames(b"")
    with pytest.raises(ValueError, match="`frame_rate` must be a number > 0; received 0"):
        count_frames(whole, 0)
    monkeypatch.setattr(frame_count, "MAX_FRAMES", 9)
    with pytest.raises(VideoError, match="it has more than 9 frames"):
        count_frames(whole)
