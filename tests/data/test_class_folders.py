import unicodedata

import pytest

from i3d_tf.data.class_folders import (
    find_split_folders,
    select_videos,
    split_videos,
    video_name,
)
from i3d_tf.data.readers import read_dataset


def read(folder, split=None, **arguments):
    return read_dataset("class_folders", folder, split, **arguments)


def test_class_folders_are_classes(make_tree, found_in):
    folder = make_tree(["walk/2.MP4", "walk/1.avi", "run fast/more/3.webm", ".git/4.mp4"])
    dataset = read(folder)
    assert dataset.class_names == ("run fast", "walk")
    assert found_in(dataset, folder) == [
        ("run fast/more/3.webm", "run fast"),
        ("walk/1.avi", "walk"),
        ("walk/2.MP4", "walk"),
    ]
    assert [example.label for example in dataset.examples] == [0, 1, 1]


def test_folders_of_pictures_are_videos(make_tree, found_in):
    names = ["run/1/img_00001.jpg", "run/1/img_00002.jpg", "walk/more/2/000001.png", "walk/3.mp4"]
    folder = make_tree([*names, "walk/1.jpg", "walk/more/2/flow_x_1.jpg"])
    dataset = read(folder)
    assert found_in(dataset, folder) == [
        ("run/1", "run"),
        ("walk/3.mp4", "walk"),
        ("walk/more/2", "walk"),
    ]
    assert [str(row) for row in dataset.report.skipped] == [
        "walk/1.jpg: its ending is not a video's"
    ]


def test_other_files_are_skipped(make_tree):
    report = read(make_tree(["run/1.mp4", "run/notes.txt", "run/.DS_Store"])).report
    assert (report.rows, report.found) == (2, 1)
    assert str(report.skipped[0]) == "run/notes.txt: its ending is not a video's"
    assert report.notes == ("1 other file (.txt 1) is no video",)


def test_links_to_folders_are_followed(make_tree, found_in):
    folder = make_tree(["e/1.mp4", "data/run/2.mp4", "data/walk/3.mp4"])
    (folder / "data/run/more").symlink_to("../../e")
    (folder / "data/run/up").symlink_to("..")
    (folder / "data/jump").symlink_to("../e")
    assert found_in(read(folder / "data"), folder / "data") == [
        ("jump/1.mp4", "jump"),
        ("run/2.mp4", "run"),
        ("run/more/1.mp4", "run"),
        ("walk/3.mp4", "walk"),
    ]


def test_covers_beside_videos_are_skipped(make_tree, found_in):
    folder = make_tree(["run/1.mp4", "run/1.webp", "run/2.rm"])
    dataset = read(folder)
    assert found_in(dataset, folder) == [("run/1.mp4", "run"), ("run/2.rm", "run")]
    assert [str(row) for row in dataset.report.skipped] == [
        "run/1.webp: it is sound or a single picture"
    ]


def test_labels_are_the_same_in_every_split_folder(make_tree, found_in):
    folder = make_tree(["train/b/1.mp4", "train/c/2.mp4", "validation/a/3.mp4", "lists/x/4.mp4"])
    train, val = read(folder, "train"), read(folder, "val")
    assert train.class_names == val.class_names == ("a", "b", "c")
    assert found_in(train, folder) == [("train/b/1.mp4", "b"), ("train/c/2.mp4", "c")]
    assert found_in(val, folder) == [("validation/a/3.mp4", "a")]
    assert val.report.notes == ("2 of 3 classes have no video",)


def test_given_classes_keep_their_order(make_tree, found_in):
    folder = make_tree(["b/1.mp4", "a/2.mp4", "lists/3.mp4", "lists/4.txt"])
    dataset = read(folder, classes=["b", "a"])
    assert dataset.class_names == ("b", "a")
    assert found_in(dataset, folder) == [("a/2.mp4", "a"), ("b/1.mp4", "b")]
    assert dataset.report.left_out == 2
    assert dataset.report.notes == ("folders that are not classes: lists",)


def test_class_names_are_normalized(make_tree):
    stored, name = (unicodedata.normalize(form, "Größe") for form in ("NFD", "NFC"))
    dataset = read(make_tree([f"{stored}/1.mp4", "run/2.mp4"]))
    assert dataset.class_names == (name, "run")
    assert {example.class_name for example in dataset.examples} == {name, "run"}


def test_links_to_class_folders_are_followed(make_tree, found_in):
    folder = make_tree(["elsewhere/1.mp4", "videos/run/2.mp4"])
    (folder / "videos/walk").symlink_to(folder / "elsewhere")
    assert found_in(read(folder / "videos"), folder) == [
        ("videos/run/2.mp4", "run"),
        ("videos/walk/1.mp4", "walk"),
    ]


@pytest.mark.parametrize(
    ("names", "arguments", "error", "message"),
    [
        (["1.mp4"], {}, ValueError, r"there are no class folders in it\."),
        (["run/a.txt"], {}, ValueError, r"none of 1 rows can be used; the first fault is in run/a"),
        (["run/1.mp4"], {"split": "test"}, OSError, r"has no folder 'test'. Give another `split`"),
        (["run/1.mp4"], {"annotation": "a.csv"}, ValueError, r"`annotation` must be None"),
    ],
)
def test_class_folders_refuses_other_folders(make_tree, names, arguments, error, message):
    with pytest.raises(error, match=message):
        read(make_tree(names), **arguments)


def named(counts):
    """Names of videos to their classes: "a" 3 times is a/0.mp4 to a/2.mp4."""
    return {f"{name}/{k}.mp4": name for name, count in counts.items() for k in range(count)}


def test_split_videos_takes_a_fifth_of_every_class_and_one_at_least():
    videos = named({"one": 1, "two": 2, "seven": 7, "eight": 8, "fifty": 50})
    split = split_videos(videos, seed=0)
    assert sorted(split["train"] + split["test"]) == sorted(videos)
    tested = [videos[name] for name in split["test"]]
    counts = {name: tested.count(name) for name in dict.fromkeys(videos.values())}
    assert counts == {"one": 0, "two": 1, "seven": 1, "eight": 2, "fifty": 10}


def test_split_videos_follows_from_names_and_seed_alone():
    videos = named({"a": 10, "b": 10})
    split = split_videos(videos, seed=0)
    # The two of each with the lowest sha256sum of "0/a/0.mp4" and so on.
    assert split["test"] == ("a/2.mp4", "a/6.mp4", "b/2.mp4", "b/9.mp4")
    assert split_videos(dict(reversed(videos.items())), seed=0) == split
    assert split_videos(videos, seed=1) != split


def test_split_videos_leaves_known_videos_where_they_are():
    known = split_videos(named({"a": 3, "b": 5}), seed=0)
    videos = named({"a": 40, "b": 5, "c": 3})
    split = split_videos(videos, 7, known)
    assert set(known["test"]) < set(split["test"])
    assert set(known["train"]) < set(split["train"])
    assert [videos[name] for name in set(split["test"]) - set(known["test"])] == ["c"]


def test_split_videos_tests_a_new_video_of_a_class_that_had_one():
    known = split_videos(named({"a": 1, "b": 2}), seed=0)
    assert known["train"].count("a/0.mp4") == 1
    split = split_videos(named({"a": 2, "b": 2}), 0, known)
    assert set(split["test"]) - set(known["test"]) == {"a/1.mp4"}
    lost = split_videos(named({"b": 2}), 0, {"train": ["b/0.mp4", "b/1.mp4"], "test": []})
    assert lost["test"] == ()  # what was trained on is never tested on


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["walk/1.mp4", "run/2.mp4"], None),
        (["train/walk/1.mp4", "test/walk/2.mp4"], ("train", "test")),
        (["training/a/1.mp4", "validation/a/2.mp4", "test/a/3.mp4"], ("train", "val")),
        (["train/1.mp4", "test/2.mp4", "bus/3.mp4"], None),  # a class of trains
        (["train/steam/1.mp4", "bus/red/2.mp4"], None),
    ],
)
def test_find_split_folders(make_tree, names, expected):
    assert find_split_folders(str(make_tree(names))) == expected


def test_find_split_folders_needs_videos_to_test_on(make_tree):
    folder = str(make_tree(["train/a/1.mp4", "train/b/2.mp4"]))
    message = rf"has a folder 'train' and none to test on\..* --data_dir={folder}/train to split"
    with pytest.raises(ValueError, match=message):
        find_split_folders(folder)


@pytest.mark.usefixtures("adds_up")
def test_select_videos_accounts_for_missing_and_other_videos(make_tree, found_in):
    folder = make_tree(["a/1.mp4", "a/2.mp4", "b/1.mp4", "b/x.txt"])
    dataset = select_videos(read(folder), "test", ["b/1.mp4", "a/gone.mp4"], ["a note"])
    assert found_in(dataset, folder) == [("b/1.mp4", "b")]
    report = dataset.report
    assert (report.split, report.rows, report.found, report.left_out) == ("test", 5, 1, 2)
    assert (report.missing, report.notes) == (
        ("a/gone.mp4",),
        ("1 other file (.txt 1) is no video", "a note"),
    )
    with pytest.raises(
        ValueError, match=r"has none of the 1 videos that run\.json lists for test,"
    ):
        select_videos(read(folder), "test", ["c/1.mp4"])


def test_video_name_is_the_same_wherever_the_folder_lies(make_tree):
    stored = unicodedata.normalize("NFD", "Größe")
    (example,) = read(make_tree([f"{stored}/1.mp4"])).examples
    folder = example.path.removesuffix(f"/{stored}/1.mp4")
    for data_dir in (folder, f"{folder}/"):
        assert video_name(example, data_dir) == "Größe/1.mp4"
