import os

import pytest

from i3d_tf.video.names import (
    VIDEO_SUFFIXES,
    OtherFiles,
    assign_outputs,
    bare_stem,
    is_video_file,
    is_video_name,
    output_path,
    video_stem,
)

# Endings that public bug reports and cameras have; what is not here may go and come.
COMMON = """3g2 3gp apng asf avi divx dv f4v flv gif h264 h265 hevc insv ivf m2t m2ts m2v m4v mjpeg
mkv mov mp4 mpe mpeg mpg mts mxf nut obu ogm ogv qt rm rmvb ts vob webm wmv wtv xvid y4m 360"""


@pytest.mark.parametrize("ending", COMMON.split())
def test_is_video_name_knows_endings_in_either_case(ending):
    assert is_video_name(f"a.{ending}")
    assert is_video_name(f"a.b.{ending.upper()}")


def test_is_video_name_needs_a_known_ending():
    assert len(set(VIDEO_SUFFIXES)) == len(VIDEO_SUFFIXES)
    assert not any(
        map(is_video_name, ("mp4", ".mp4", "a.mp4.part", "a.jpg", "a.png", "a.mp3", "a"))
    )


def test_stems_lose_one_ending_or_all():
    assert video_stem("id.mp4.mkv") == "id.mp4"
    assert bare_stem("id.mp4.mkv") == "id"
    assert video_stem("v1.2") == bare_stem("v1.2") == "v1.2"
    assert bare_stem(".mp4") == ".mp4"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.ogg", b"OggS" + bytes(24) + b"\x80theora", True),
        ("a.OGG", b"OggS" + bytes(24) + b"OVP80", True),
        ("a.ogg", b"OggS" + bytes(24) + b"\x01vorbis", False),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0", True),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0", False),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", False),
        ("a.webp", b"", False),
        ("a.mp4", b"", True),
        ("a.txt", b"", False),
    ],
)
def test_is_video_file_opens_files_whose_ending_may_be_of_sound_or_a_picture(
    tmp_path, name, content, expected
):
    (tmp_path / name).write_bytes(content)
    assert is_video_file(str(tmp_path), name) is expected


def test_is_video_file_of_a_file_that_cannot_be_opened(tmp_path):
    assert not is_video_file(str(tmp_path), "gone.ogg")
    assert not is_video_file("gs://bucket", "a.webp")


def test_other_files_are_counted_by_endings():
    others = OtherFiles(ignored=("list.jsonl",))
    assert (str(others), others.sentence()) == ("", None)
    others.add("a.TXT")
    assert others.sentence() == "1 other file (.txt 1) is no video"
    for name in ("b.txt", "c.json", "README", "Mr. Smith and others", "list.jsonl"):
        others.add(name)
    assert others.sentence() == "5 other files (.txt 2, no ending 2, .json 1) are no videos"
    for ending in "abcdef":
        others.add(f"x.{ending}")
    assert str(others).endswith("(.txt 2, no ending 2, .a 1, .b 1, .c 1, .d 1, others 3)")


def test_output_path_replaces_ending():
    assert output_path("videos/a/b.c.mp4", "out", ".npy").as_posix() == "out/b.c.npy"
    assert output_path("videos/a/b.mp4", "out", ".npy", "videos").as_posix() == "out/a/b.npy"
    with pytest.raises(ValueError, match="`video` must be below `data_dir`, videos; received else"):
        output_path("elsewhere/b.mp4", "out", ".npy", "videos")


def test_assign_outputs_names_videos_that_share_one():
    def path_of(video, keeps_ending):
        return os.path.basename(video)

    assert assign_outputs(["a/x", "b/y"], path_of, "Rename one.") == {
        "a/x": "x",
        "b/y": "y",
    }
    with pytest.raises(ValueError, match=r"^a/x and b/x would both become x\. Rename one\.$"):
        assign_outputs(["a/x", "b/x"], path_of, "Rename one.")
