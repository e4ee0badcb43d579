import io
import os

import numpy as np
import pytest
from PIL import Image

from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError
from i3d_tf.web.uploads import (
    MEGABYTE,
    Limits,
    check_video,
    delete_old_files,
    held_bytes,
    safe_name,
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"some text\n", "not a video that FFmpeg can read"),
    ],
)
def test_check_video_refuses_other_files(tmp_path, content, reason):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=reason):
        check_video(path, Limits())


def test_check_video_refuses_a_large_file_without_reading_it(tmp_path):
    path = tmp_path / "large.mp4"
    with open(path, "wb") as file:
        file.truncate(200 * MEGABYTE)  # nothing is written
    with pytest.raises(VideoError, match=r"200\.0 MB; at most 100 are taken.*--max_megabytes"):
        check_video(path, Limits())


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mjpeg"])
def test_check_video_refuses_a_long_video(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".mp4"):
        write_video(path, np.zeros((65, 32, 32, 3), np.uint8))
    else:  # which does not say how long it is
        picture = io.BytesIO()
        Image.new("RGB", (32, 32)).save(picture, "jpeg")
        path.write_bytes(picture.getvalue() * 65)
    check_video(path, Limits(max_seconds=3))
    with pytest.raises(VideoError, match=r"more than 2 s.*--max_seconds"):
        check_video(path, Limits(max_seconds=2))


def test_limits_must_be_positive():
    with pytest.raises(ValueError, match="max_seconds"):
        Limits(max_seconds=0)
    with pytest.raises(ValueError, match="max_videos"):
        Limits(max_videos=1)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\clip.mp4", "clip.mp4"),
        ("a\0b\n<b>.mp4", "a_b__b_.mp4"),
        ("..", "video"),
        ("", "video"),
        ("ü" * 200 + ".mp4", "ü" * 48 + ".mp4"),
    ],
)
def test_safe_name(given, name):
    assert safe_name(given) == name


def test_delete_old_files_keeps_new_ones(tmp_path):
    old, new = tmp_path / "a/old.mp4", tmp_path / "b/new.mp4"
    for path in (old, new):
        path.parent.mkdir()
        path.write_bytes(b"1234")
    os.utime(old, (0, 0))
    assert held_bytes(tmp_path) == 8
    delete_old_files(tmp_path, age=3600)
    assert (old.exists(), new.exists(), held_bytes(tmp_path)) == (False, True, 4)
