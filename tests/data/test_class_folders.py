import unicodedata

import pytest

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
