import os

import pytest

from i3d_tf.video.find import find_videos, is_video_name, videos_below


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with some files; their content does not matter."""
    for name in (
        "b.mp4",
        "a.AVI",
        "notes.txt",
        ".hidden.mp4",
        "deep/er/c.webm",
        "deep/.cache/d.mp4",
        "folder.mp4/e.gif",
        "clip [1080p].mp4",
        "clip 1.mp4",
        "ünï côdé ✓.mp4",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_stay_in_the_order_given(folder):
    assert find_videos(["b.mp4", "notes.txt", "a.AVI"]) == ["b.mp4", "notes.txt", "a.AVI"]


def test_a_folder_means_every_video_below_it_but_hidden_ones(folder):
    assert find_videos([folder]) == [
        str(folder / name)
        for name in (
            "a.AVI",
            "b.mp4",
            "clip 1.mp4",
            "clip [1080p].mp4",
            "deep/er/c.webm",
            "folder.mp4/e.gif",
            "ünï côdé ✓.mp4",
        )
    ]


def test_a_hidden_folder_that_is_named_is_searched(folder):
    assert find_videos(["deep/.cache"]) == ["deep/.cache/d.mp4"]


def test_a_pattern_means_the_files_it_matches(folder):
    assert find_videos(["*.mp4"]) == [
        "b.mp4",
        "clip 1.mp4",
        "clip [1080p].mp4",
        "ünï côdé ✓.mp4",
    ]
    assert find_videos(["**/*.webm"]) == ["deep/er/c.webm"]
    assert find_videos(["?.*"]) == ["a.AVI", "b.mp4"]


def test_brackets_in_a_real_name_are_no_pattern(folder):
    assert find_videos(["clip [1080p].mp4"]) == ["clip [1080p].mp4"]
    assert find_videos(["clip [0-9].mp4"]) == ["clip 1.mp4"]


@pytest.mark.parametrize(
    "name", ["missing.mp4", "s3://bucket/a*.mp4", "", "x" * 5000, "zero\0byte.mp4", "b.mp4/x.mp4"]
)
def test_what_cannot_be_a_file_stays_for_the_reader_to_refuse(folder, name):
    assert find_videos(["b.mp4", name]) == ["b.mp4", name]


def test_no_video_comes_twice(folder):
    assert find_videos(["b.mp4", "./b.mp4", str(folder / "b.mp4"), "b.*", "."])[0] == "b.mp4"
    found = find_videos(["b.mp4", "./b.mp4", str(folder / "b.mp4"), "b.*", ".", folder])
    assert len(found) == 7
    places = ["s3://x/b.mp4", "s3://x/b.mp4", "s3://x/./b.mp4"]
    assert find_videos(places) == ["s3://x/b.mp4", "s3://x/./b.mp4"]


def test_a_name_that_is_not_text(folder):
    name = os.fsdecode(b"latin-\xe9.mp4")
    (folder / "deep/er" / name).touch()
    assert find_videos(["deep"]) == ["deep/er/c.webm", f"deep/er/{name}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no video was named"),
        (["b.mp4", "empty"], r"empty: no videos in this folder \(files ending in .* \.mp4 "),
        (["*.mkv"], r"\*\.mkv: no file matches this pattern"),
        (["deep*"], "no file matches this pattern"),
    ],
)
def test_arguments_without_a_video(folder, arguments, message):
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        find_videos(arguments)


def test_videos_below_a_folder(make_tree):
    folder = make_tree(["b/2.MP4", "b/1.avi", "a.webm", "notes.txt", ".trash/3.mp4", "b/.4.mp4"])
    assert videos_below(str(folder)) == [f"{folder}/{n}" for n in ("a.webm", "b/1.avi", "b/2.MP4")]
    assert not is_video_name("mp4")
