from pathlib import Path

import pytest

from i3d_tf.video.find import find_targets


@pytest.fixture
def videos(tmp_path, monkeypatch):
    """The working folder, with videos/run/a.mp4, videos/run/b c.mp4 and videos/walk/größe.MP4."""
    for name in ("run/a.mp4", "run/b c.mp4", "walk/größe.MP4"):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "videos"


def places(*arguments):
    return {t.video: t.path.as_posix() for t in find_targets(arguments, "out", ".npy")}


def test_a_folders_structure_is_kept(videos):
    assert places("videos") == {
        "videos/run/a.mp4": "out/run/a.npy",
        "videos/run/b c.mp4": "out/run/b c.npy",
        "videos/walk/größe.MP4": "out/walk/größe.npy",
    }
    assert {target.root for target in find_targets([videos], "out", ".npy")} == {str(videos)}


def test_files_and_patterns_lie_together(videos):
    assert places("videos/run/a.mp4", "videos/walk/*", "s3://bucket/x.mp4") == {
        "videos/run/a.mp4": "out/a.npy",
        "videos/walk/größe.MP4": "out/größe.npy",
        "s3://bucket/x.mp4": "out/x.npy",
    }
    (target, *_) = find_targets(["videos/run/a.mp4"], "out", ".npy")
    assert target.root is None


def test_lists_are_relative_to_themselves(videos):
    other = videos.parent / "other.mp4"
    text = f"\ufeffrun/a.mp4\r\n\r\n walk/größe.MP4 \n../other.mp4\n{other}\n"
    (videos / "list.txt").write_text(text, "utf-8")
    assert list(places("videos/list.txt").values()) == [
        "out/run/a.npy",
        "out/walk/größe.npy",
        "out/other.npy",
    ]


def test_a_video_that_is_named_twice_is_taken_once(videos):
    found = places("videos/run/a.mp4", "videos", str(videos / "run" / "a.mp4"))
    assert found["videos/run/a.mp4"] == "out/a.npy"
    assert len(found) == 3


def test_two_videos_never_share_a_file(videos):
    (videos / "walk" / "a.avi").touch()
    with pytest.raises(ValueError, match=r"run/a\.mp4 and .*a\.avi would both become out/a\.npy"):
        places("videos/run/a.mp4", "videos/walk/a.avi")
    assert len(places("videos")) == 4
    with pytest.raises(ValueError, match="no video was named"):
        places()
    assert places("missing.mp4") == {"missing.mp4": Path("out/missing.npy").as_posix()}
