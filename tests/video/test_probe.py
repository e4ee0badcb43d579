import numpy as np
import pytest

from i3d_tf.video.encode import write_video
from i3d_tf.video.probe import VideoInfo, probe, read_comment


def test_probe_reads_header(ten_seconds):
    expected = VideoInfo(duration=10.0, frame_rate=25.0, num_frames=250, height=48, width=144)
    assert probe(ten_seconds) == expected


def test_probe_of_stream_without_header(numbered_frames, make_video):
    info = probe(make_video(numbered_frames(3), "h264"))
    assert (info.duration, info.num_frames, info.height, info.width) == (None, None, 48, 144)


def test_probe_of_real_clip_agrees_with_its_frames(shared_dir):
    info = probe(shared_dir / "videos" / "v_GGSY1Qvo990.mp4")
    assert (info.num_frames, info.height, info.width) == (355, 240, 320)
    assert info.frame_rate == pytest.approx(19.62)
    assert info.duration == pytest.approx(18.04, abs=0.01)


def test_read_comment_returns_what_was_written(tmp_path):
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    for comment in (None, '{"classes": ["ü  50%"]}', "a" * 20_000):
        write_video(tmp_path / "a.mp4", frames, comment=comment)
        assert read_comment(tmp_path / "a.mp4") == comment
