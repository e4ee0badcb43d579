import json
from fractions import Fraction

import cv2
import numpy as np
import pytest
from fixtures.videos import remux

from i3d_tf.video.encode import write_video
from i3d_tf.video.options import video_options
from i3d_tf.video.probe import (
    VideoInfo,
    describe_video,
    description_lines,
    probe,
    read_comment,
)


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


def test_description_of_a_plain_video(ten_seconds, tmp_path):
    path = tmp_path / "plain.mp4"
    path.write_bytes(ten_seconds)
    description = describe_video(path)
    assert json.loads(json.dumps(description)) == description
    expected = {
        "file": str(path),
        "bytes": len(ten_seconds),
        "duration": 10.0,
        "frame_rate": 25.0,
        "num_frames": 250,
        "height": 48,
        "width": 144,
        "chosen_stream": 0,
        "chosen_because": "it is the only one",
        "pixel_format": "yuv420p",
        "stored_size": [144, 48],
        "cropped": None,
        "turned": "no",
        "pixel_aspect": "1:1",
        "interlaced": False,
        "transparent": False,
        "frames_read": 250,
        "damage": None,
    }
    assert {name: description[name] for name in expected} == expected
    text = "\n".join(description_lines(description))
    for words in ("plain.mp4", "10 s, 25 frames per second, 250 frames", "damage      none in 250"):
        assert words in text
    assert "frames_read" not in describe_video(path, read=False)


def test_description_of_damage(numbered_frames, make_video, with_damaged_packet):
    video = make_video(numbered_frames(60), options={"g": "20", "bf": "0"})
    description = describe_video(with_damaged_packet(video, 30))
    assert description["damage"] == {
        "reason": "it is damaged at 1.20 s",
        "frames": 60,
        "concealed_frames": 10,
    }
    assert description_lines(description)[-1].endswith(
        "at 1.20 s; with --damaged=conceal 60 frames, of which 10 are concealed or lost"
    )
    assert video_options().damaged == "refuse"


def test_description_of_what_is_no_video(tmp_path):
    path = tmp_path / "no.mp4"
    assert describe_video(path)["error"] == "no such file or directory"
    path.write_bytes(b"text")
    description = describe_video(path)
    assert (description["bytes"], "not a video" in description["error"]) == (4, True)
    assert len(description_lines(description)) == 3


def test_description_of_a_turned_video(numbered_frames, make_video, with_display_matrix):
    video = make_video(numbered_frames(3))
    for matrix, words in (
        ((0, 1, -1, 0), "by 90 degrees clockwise"),
        ((-1, 0, 0, -1), "by 180 degrees"),
        ((0, -1, 1, 0), "by 90 degrees anticlockwise"),
        ((-1, 0, 0, 1), "mirrored"),
    ):
        assert describe_video(with_display_matrix(video, *matrix))["turned"] == words


def test_description_has_what_was_remarked(numbered_frames, make_video):
    video = bytearray(make_video(numbered_frames(200), "avi", "mpeg4"))
    at = video.index(b"strh") + 8 + 32
    video[at : at + 4] = (220).to_bytes(4, "little")
    remarks = describe_video(bytes(video))["remarks"]
    assert remarks == ["its header promises 0.8 s more than the 200 frames that it has."]


def test_description_of_a_folder_of_pictures(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((8, 16, 3), np.uint8))
    description = describe_video(tmp_path)
    assert (description["format"], description["frames_read"]) == ("folder of pictures", 3)
    assert "  shown       16 x 8" in description_lines(description)


@pytest.mark.parametrize("container", ["mp4", "matroska", "webm", "avi"])
def test_gaps_in_the_times_are_counted(numbered_frames, make_video, container):
    codec = {"avi": "msmpeg4", "webm": "libvpx"}.get(container, "libx264")
    numbers = [number for number in range(60) if number not in (20, 40, 41)]
    times = [Fraction(number, 25) for number in numbers]
    sound = make_video(numbered_frames(60), container, codec)
    assert describe_video(sound)["missing_by_time"] == 0
    gappy = remux(sound, container, lambda number, _: number in numbers)
    if container in ("mp4", "matroska"):  # as a recorder writes them
        gappy = make_video(numbered_frames(60)[numbers], container, codec, times=times)
    description = describe_video(gappy)
    assert (description["missing_by_time"], description["damage"]) == (3, None)
    assert any("3 frames would fill the gaps" in line for line in description_lines(description))


def test_gaps_are_not_counted_where_there_is_no_constant_rate(numbered_frames, make_video):
    times = [Fraction(number * number, 100) for number in range(30)]
    video = make_video(numbered_frames(30), times=times)
    assert describe_video(video)["missing_by_time"] is None
