import os
import unicodedata
from pathlib import Path

import pytest

from i3d_tf.system.shards import Shard
from i3d_tf.video.find import find_targets, find_videos, videos_below


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


def test_find_videos_keeps_order(folder):
    assert find_videos(["b.mp4", "notes.txt", "a.AVI"]) == ["b.mp4", "notes.txt", "a.AVI"]


def test_find_videos_expands_folder_without_hidden_files(folder):
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


def test_find_videos_tells_how_many_other_files_a_folder_has(folder, capsys):
    for name in ("a.srt", "deep/b.TXT", "deep/er/cover.jpg", ".secret"):
        (folder / name).touch()
    assert len(find_videos(["b.mp4", "deep", "."])) == 7
    assert capsys.readouterr().err.splitlines() == [
        "deep: 2 other files (.jpg 1, .txt 1) are no videos",
        ".: 4 other files (.txt 2, .jpg 1, .srt 1) are no videos",
    ]
    find_videos(["deep"], quiet=True)
    find_videos(["deep/er/c.webm", "?.mp4"])
    assert capsys.readouterr().err == ""
    (folder / "none").mkdir()
    (folder / "none/notes.txt").touch()
    with pytest.raises(ValueError, match=r"none: no videos .*It has 1 other file \(\.txt 1\)\.$"):
        find_videos(["none"])


def test_find_videos_does_not_count_the_pictures_of_a_frame_folder(make_tree, capsys):
    folder = make_tree(["set/a/1.jpg", "set/a/2.jpg", "set/notes.txt"])
    assert find_videos([folder / "set"]) == [f"{folder}/set/a"]
    assert capsys.readouterr().err == f"{folder}/set: 1 other file (.txt 1) is no video\n"
    (folder / "set/a/notes.txt").touch()
    assert find_videos([folder / "set/a"]) == [f"{folder}/set/a"]
    assert capsys.readouterr().err == ""


def test_find_videos_follows_links_to_folders(make_tree, monkeypatch):
    folder = make_tree(["e/a.mp4", "v/run/n.mp4"])
    (folder / "v/run/more").symlink_to("../../e")
    (folder / "v/sub").symlink_to("../e")
    (folder / "v/loop").symlink_to(".")
    (folder / "v/other").symlink_to("loop")
    monkeypatch.chdir(folder)
    assert find_videos(["v"]) == ["v/run/n.mp4", "v/sub/a.mp4"]
    assert find_videos(["v/**/*.mp4"]) == ["v/run/n.mp4", "v/sub/a.mp4"]
    assert find_videos(["v/r*/**"]) == ["v/run/more/a.mp4", "v/run/n.mp4"]
    assert find_videos(["**/v/**/n.mp4"]) == ["v/run/n.mp4"]
    assert find_videos([f"{folder}/**/run/*"]) == [f"{folder}/v/run/n.mp4"]


def test_find_videos_and_targets_take_names_that_start_with_a_dash(make_tree, monkeypatch):
    make_tree(["-a.mp4", "-set/-b.mp4"], {"list.txt": "-a.mp4\n-set/-b.mp4\n"})
    monkeypatch.chdir(make_tree())
    assert find_videos(["-a.mp4", "-set", "*.mp4"]) == ["-a.mp4", "-set/-b.mp4"]
    places = {t.video: t.path.as_posix() for t in find_targets(["list.txt"], "-out", ".npy")}
    assert places == {"-a.mp4": "-out/-a.npy", "-set/-b.mp4": "-out/-set/-b.npy"}


def test_find_videos_and_targets_compare_accents_as_letters(make_tree, monkeypatch):
    stored, listed = (unicodedata.normalize(form, "Übung/é.mp4") for form in ("NFD", "NFC"))
    monkeypatch.chdir(make_tree([stored], {"list.txt": f"{listed}\n"}))
    assert find_videos([listed]) == [stored]
    assert find_videos(["Übung"]) == [stored]
    assert find_videos(["Ünbekannt.mp4"]) == ["Ünbekannt.mp4"]
    (target,) = find_targets(["list.txt"], "out", ".npy")
    assert (target.video, target.path) == (stored, Path("out", stored).with_suffix(".npy"))


def test_find_videos_searches_hidden_folder_that_is_named(folder):
    assert find_videos(["deep/.cache"]) == ["deep/.cache/d.mp4"]


def test_find_videos_expands_pattern(folder):
    assert find_videos(["*.mp4"]) == [
        "b.mp4",
        "clip 1.mp4",
        "clip [1080p].mp4",
        "ünï côdé ✓.mp4",
    ]
    assert find_videos(["**/*.webm"]) == ["deep/er/c.webm"]
    assert find_videos(["?.*"]) == ["a.AVI", "b.mp4"]


def test_find_videos_takes_existing_name_with_brackets_as_it_is(folder):
    assert find_videos(["clip [1080p].mp4"]) == ["clip [1080p].mp4"]
    assert find_videos(["clip [0-9].mp4"]) == ["clip 1.mp4"]


@pytest.mark.parametrize(
    "name", ["missing.mp4", "s3://bucket/a*.mp4", "", "x" * 5000, "zero\0byte.mp4", "b.mp4/x.mp4"]
)
def test_find_videos_keeps_names_that_cannot_be_files(folder, name):
    assert find_videos(["b.mp4", name]) == ["b.mp4", name]


def test_find_videos_returns_no_video_twice(folder):
    assert find_videos(["b.mp4", "./b.mp4", str(folder / "b.mp4"), "b.*", "."])[0] == "b.mp4"
    found = find_videos(["b.mp4", "./b.mp4", str(folder / "b.mp4"), "b.*", ".", folder])
    assert len(found) == 7
    places = ["s3://x/b.mp4", "s3://x/b.mp4", "s3://x/./b.mp4"]
    assert find_videos(places) == ["s3://x/b.mp4", "s3://x/./b.mp4"]


def test_find_videos_returns_name_that_is_not_text(folder):
    name = os.fsdecode(b"latin-\xe9.mp4")
    (folder / "deep/er" / name).touch()
    assert find_videos(["deep"]) == ["deep/er/c.webm", f"deep/er/{name}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no video was named"),
        (
            ["b.mp4", "empty"],
            r"empty: no videos in this folder .*\. There are no files in it",
        ),
        (["*.mkv"], r"\*\.mkv: no file matches this pattern"),
        (["deep*"], "no file matches this pattern"),
    ],
)
def test_find_videos_refuses_arguments_without_video(folder, arguments, message):
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        find_videos(arguments)


def test_videos_below_lists_videos_folder_by_folder(make_tree):
    folder = make_tree(["b/2.MP4", "b/1.avi", "a.webm", "notes.txt", ".trash/3.mp4", "b/.4.mp4"])
    assert videos_below(str(folder)) == [f"{folder}/{n}" for n in ("a.webm", "b/1.avi", "b/2.MP4")]


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


def test_find_targets_keeps_structure_of_named_folder(videos):
    assert places("videos") == {
        "videos/run/a.mp4": "out/run/a.npy",
        "videos/run/b c.mp4": "out/run/b c.npy",
        "videos/walk/größe.MP4": "out/walk/größe.npy",
    }
    assert {target.root for target in find_targets([videos], "out", ".npy")} == {str(videos)}


def test_find_targets_puts_files_and_patterns_together(videos):
    assert places("videos/run/a.mp4", "videos/walk/*", "s3://bucket/x.mp4") == {
        "videos/run/a.mp4": "out/a.npy",
        "videos/walk/größe.MP4": "out/größe.npy",
        "s3://bucket/x.mp4": "out/x.npy",
    }
    (target, *_) = find_targets(["videos/run/a.mp4"], "out", ".npy")
    assert target.root is None


def test_find_targets_reads_lists_relative_to_themselves(videos):
    other = videos.parent / "other.mp4"
    text = f"\ufeffrun/a.mp4\r\n\r\n walk/größe.MP4 \n../other.mp4\n{other}\n"
    (videos / "list.txt").write_text(text, "utf-8")
    assert list(places("videos/list.txt").values()) == [
        "out/run/a.npy",
        "out/walk/größe.npy",
        "out/other.npy",
    ]


def test_find_targets_takes_video_once(videos):
    found = places("videos/run/a.mp4", "videos", str(videos / "run" / "a.mp4"))
    assert found["videos/run/a.mp4"] == "out/a.npy"
    assert len(found) == 3


def test_find_targets_refuses_shared_file(videos):
    (videos / "walk" / "a.avi").touch()
    with pytest.raises(ValueError, match=r"run/a\.mp4 and .*a\.avi would both become out/a\.npy"):
        places("videos/run/a.mp4", "videos/walk/a.avi")
    assert len(places("videos")) == 4
    with pytest.raises(ValueError, match="no video was named"):
        places()
    assert places("missing.mp4") == {"missing.mp4": Path("out/missing.npy").as_posix()}


def test_find_targets_keeps_the_ending_of_the_second_of_one_stem(videos):
    (videos / "run" / "a.avi").touch()
    (videos / "run" / "a.webm").touch()
    found = places("videos")
    assert found["videos/run/a.avi"] == "out/run/a.npy"
    assert found["videos/run/a.mp4"] == "out/run/a.mp4.npy"
    assert found["videos/run/a.webm"] == "out/run/a.webm.npy"
    # Whatever their order.
    assert places("videos/run/a.mp4", "videos/run/a.avi")["videos/run/a.mp4"] == "out/a.mp4.npy"
    (videos / "run" / "a.mp4.avi").touch()
    with pytest.raises(ValueError, match=r"would both become out/run/a\.mp4\.npy\. Rename one"):
        places("videos")


def test_find_targets_leaves_an_output_to_the_video_that_it_was_made_of(videos):
    (videos / "run" / "a.avi").touch()
    (videos.parent / "out" / "run").mkdir(parents=True)
    made = videos.parent / "out" / "run" / "a.npy"
    made.write_text("a.mp4")

    def found(*arguments):
        targets = find_targets(arguments, "out", ".npy", source_of=Path.read_text)
        return {target.video: target.path.as_posix() for target in targets}

    assert found("videos")["videos/run/a.mp4"] == "out/run/a.npy"
    assert found("videos")["videos/run/a.avi"] == "out/run/a.avi.npy"
    made.rename(videos.parent / "out" / "a.npy")  # where videos that are named by themselves go
    assert found("videos/run/a.avi") == {"videos/run/a.avi": "out/a.avi.npy"}
    (videos / "run" / "a.mp4").unlink()  # a.avi has taken its place
    assert found("videos/run/a.avi") == {"videos/run/a.avi": "out/a.npy"}


def test_find_targets_refuses_a_further_file_that_is_another_video_s(videos):
    (videos / "run" / "a_fps.mp4").touch()

    def names(stem):
        return [f"{stem}.npy", f"{stem}_fps.npy"]

    with pytest.raises(ValueError, match=r"a_fps\.mp4 and .*a\.mp4 would both become .*a_fps\.npy"):
        find_targets(["videos"], "out", names)
    (videos / "run" / "a_fps.mp4").unlink()
    (first, *_) = find_targets(["videos"], "out", names)
    assert [path.as_posix() for path in first.paths] == ["out/run/a.npy", "out/run/a_fps.npy"]


def test_find_targets_gives_the_same_places_to_all_shards(videos):
    (videos / "run" / "a.avi").touch()
    whole = {(t.video, t.path) for t in find_targets(["videos"], "out", ".npy")}
    parts = [find_targets(["videos"], "out", ".npy", shard=Shard(k, 3)) for k in range(3)]
    assert whole == {(t.video, t.path) for part in parts for t in part}


def test_find_targets_with_data_dir_keeps_its_structure(videos):
    (videos / "list.txt").write_text("walk/größe.MP4\n", "utf-8")
    found = find_targets(["videos/run/a.mp4", "videos/list.txt"], "out", ".npy", videos, flat=True)
    assert [target.path.as_posix() for target in found] == ["out/run/a.npy", "out/walk/größe.npy"]
    assert {target.root for target in found} == {str(videos)}
    assert len(find_targets([], "out", ".npy", videos)) == 3
    with pytest.raises(ValueError, match=r"`video` must be below `data_dir`, .*; received b\.mp4"):
        find_targets(["b.mp4"], "out", ".npy", videos)


def test_find_targets_flat_puts_all_together(videos):
    found = find_targets(["videos"], "out", ".npy", flat=True)
    assert [target.path.name for target in found] == ["a.npy", "b c.npy", "größe.npy"]
    assert {(target.path.parent.as_posix(), target.root) for target in found} == {("out", None)}


def test_find_targets_of_empty_list_is_an_error(videos):
    (videos / "list.txt").write_text("\n", "utf-8")
    with pytest.raises(ValueError, match="no video was named"):
        find_targets(["videos/list.txt"], "out", ".npy")


def test_folders_that_cannot_be_read_are_inputs(videos, close_folder):
    close_folder(videos / "run")
    assert find_videos(["videos"]) == ["videos/run", "videos/walk/größe.MP4"]
    assert find_videos(["videos/run"]) == ["videos/run"]
    closed, _ = find_targets(["videos"], "out", ".npy")
    assert (closed.video, closed.root) == ("videos/run", "videos")


def test_find_videos_takes_folders_of_pictures_where_there_are_no_videos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.jpg", "b/c/1.PNG", "d/cover.jpg", ".e/1.jpg", "f/flow_x_1.jpg", "g.v1/1.png"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_videos(["set"]) == ["set/a", "set/b/c", "set/g.v1"]
    assert find_videos(["set/g.v1", "set"]) == ["set/g.v1", "set/a", "set/b/c"]
    assert find_videos(["set/*"]) == ["set/a", "set/g.v1"]
    (target,) = find_targets(["set/g.v1"], "out", ".npy")
    assert target.path.name == "g.v1.npy"  # what follows its dot is no ending
    (tmp_path / "set/d/1.mp4").touch()
    assert find_videos(["set"]) == ["set/d/1.mp4"]
    with pytest.raises(
        ValueError,
        match=r"set/f: no videos .* no folders of numbered .*1 other file \(\.jp",
    ):
        find_videos(["set/f"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "run/a.mp4 3\nwalk/größe.MP4 4\n"),
        ("list.csv", "path,label\nrun/a.mp4,running\nwalk/größe.MP4,walking\n"),
        ("list.tsv", "label\tpath\tstart\nrunning\trun/a.mp4\t0.5\nwalking\twalk/größe.MP4\t1\n"),
        ("list.txt", "run/a.mp4\nwalk/größe.MP4\n"),
    ],
)
def test_lists_may_have_labels(videos, name, text):
    (videos / name).write_text(text, "utf-8")
    found = ["videos/run/a.mp4", "videos/walk/größe.MP4"]
    assert [target.video for target in find_targets([f"videos/{name}"], "out", ".npy")] == found
    assert find_videos((), list_file=f"videos/{name}") == found


def test_list_with_a_row_of_other_width_is_an_error(videos):
    (videos / "list.csv").write_text("path,label\nrun/a.mp4\n", "utf-8")
    with pytest.raises(ValueError, match=r"list\.csv: line 2: it has 1 cells, the heading 2\."):
        find_videos((), list_file="videos/list.csv")


def test_line_of_a_list_that_is_a_file_is_a_path(make_tree, monkeypatch):
    monkeypatch.chdir(make_tree(["a.mp4 2"], {"list.txt": "a.mp4 2\n"}))
    assert find_videos((), list_file="list.txt") == ["a.mp4 2"]


def test_list_of_kinetics_without_labels_names_the_cut_videos(tmp_path):
    path = tmp_path / "test.csv"
    path.write_text("youtube_id,time_start,time_end,split\n-aaaaaaaaaa,84,94,test\n", "utf-8")
    assert find_videos([], list_file=path) == [f"{tmp_path}/-aaaaaaaaaa_000084_000094.mp4"]
    path.write_text("youtube_id,time_start,time_end\n-aaaaaaaaaa,x,94\n", "utf-8")
    with pytest.raises(ValueError, match=r"line 2: the times 'x' and '94' are not numbers"):
        find_videos([], list_file=path)
