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


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "avi", "mpeg"])
def test_probe_measures_the_video_and_not_its_sound(numbered_frames, make_video, container):
    codec = "mpeg2video" if container == "mpeg" else "mpeg4"
    video = make_video(numbered_frames(200), container, codec, sound_seconds=20)
    assert probe(video).duration == pytest.approx(8, abs=0.001)


def test_probe_counts_an_avi_that_promises_more(numbered_frames, make_video):
    video = bytearray(make_video(numbered_frames(200), "avi", "mpeg4"))
    at = video.index(b"strh") + 8 + 32  # after FourCCs, flags, rates and the start
    assert int.from_bytes(video[at : at + 4], "little") == 200
    video[at : at + 4] = (220).to_bytes(4, "little")
    assert probe(bytes(video)).duration == pytest.approx(8, abs=0.001)


def test_probe_does_not_guess_where_the_clock_is_set_back(numbered_frames, make_video):
    video = make_video(numbered_frames(30), "mpegts")
    assert probe(video).duration == pytest.approx(1.2)
    assert probe(video + video).duration is None
