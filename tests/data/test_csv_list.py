import unicodedata

import pytest

from i3d_tf.data.readers import read_dataset
from i3d_tf.specs.stick_actions import STICK_LABELS

VIDEOS = ["videos/1.mp4", "videos/größe 2.MP4"]


def read(folder, split="train", **arguments):
    return read_dataset("csv", folder, split, **arguments)


def test_csv_labels_are_names(make_tree, found_in):
    text = "\ufeffpath,label\r\nvideos/größe 2.mp4,walk\r\nvideos\\1.mp4,run\r\n\r\n"
    folder = make_tree(VIDEOS, {"splits/train.csv": text})
    dataset = read(folder)
    assert dataset.class_names == ("run", "walk")
    assert found_in(dataset, folder) == [("videos/größe 2.MP4", "walk"), ("videos/1.mp4", "run")]
    assert dataset.report.rows == 2


def test_csv_labels_are_the_same_in_every_split(make_tree):
    lists = {
        "splits/train.csv": "path,label\nvideos/1.mp4,walk\n",
        "splits/test.csv": "path,label\nvideos/1.mp4,run\n",
    }
    folder = make_tree(VIDEOS, lists)
    assert read(folder, "train").class_names == read(folder, "test").class_names == ("run", "walk")
    alone = read(folder, "anything", annotation=folder / "splits/train.csv")
    assert alone.class_names == ("walk",)
    assert read(folder, "test", annotation=folder / "splits").class_names == ("run", "walk")


def test_csv_labels_may_be_numbers_of_given_classes(make_tree):
    text = "label,path\n1,videos/1.mp4\nwalk,videos/größe 2.mp4\n"
    folder = make_tree(VIDEOS, {"splits/train.csv": text, "names.txt": "walk\nrun\n"})
    dataset = read(folder, classes=folder / "names.txt")
    assert dataset.class_names == ("walk", "run")
    assert [example.class_name for example in dataset.examples] == ["run", "walk"]


def test_csv_number_labels_need_classes(make_tree):
    folder = make_tree(VIDEOS, {"splits/train.csv": "path,label\nvideos/1.mp4,0\n"})
    with pytest.raises(
        ValueError, match=r"train.csv: its labels are numbers. Give the class names"
    ):
        read(folder)


def numbered(make_tree, *labels, **more):
    """Makes a list of videos with these labels, and of others with those of its splits."""
    lists = {"train": labels, **more}
    names = {split: [f"{split}/{k}.mp4" for k in range(len(each))] for split, each in lists.items()}
    texts = {
        f"splits/{split}.csv": "path,label\n"
        + "".join(f"{name},{label}\n" for name, label in zip(names[split], each, strict=True))
        for split, each in lists.items()
    }
    return make_tree([name for each in names.values() for name in each], texts)


@pytest.mark.parametrize("labels", [(1, 2, 3, 4), (5, 1), (1, 2, 3, 4, 5), (2, 1)])
def test_csv_labels_that_count_from_1_are_refused(make_tree, labels):
    folder = numbered(make_tree, *labels)
    message = (
        rf"train.csv: its labels are numbers within 1..{max(labels)}, and none is 0, the number of "
        "'a': they seem to count from 1. Subtract 1 from each, or write the names"
    )
    with pytest.raises(ValueError, match=message):
        read(folder, classes=list("abcde"))


def test_csv_labels_that_count_from_1_are_refused_without_classes(make_tree):
    with pytest.raises(ValueError, match=r"its labels are numbers\..* they count from 1, subtract"):
        read(numbered(make_tree, 1, 2, 3))
    with pytest.raises(ValueError, match=r"a name on each line\.$"):
        read(numbered(make_tree, 0, 1, 2))


@pytest.mark.parametrize(
    ("labels", "classes", "has_note"),
    [
        ((0, 1, 2, 3), "abcde", False),
        ((1, 2, 0), "abc", False),
        ((2, 4), "abcde", True),
        ((1,), "ab", True),
        (("b", "c"), "abc", False),
        ((1, 2), "123", False),  # names, not numbers
    ],
)
def test_csv_labels_without_0_may_be_of_some_classes(make_tree, labels, classes, has_note):
    report = read(numbered(make_tree, *labels), classes=list(classes)).report
    assert report.found == len(labels)
    note = "no label is 0, the number of 'a'; labels count from 0"
    assert (note in report.notes) is has_note


def test_csv_labels_of_other_splits_tell_where_they_count_from(make_tree):
    folder = numbered(make_tree, 1, 2, 3, test=(0, 1))
    (folder / "splits/other.csv").write_text("no list\n")
    assert read(folder, classes=list("abcd")).report.found == 3
    with pytest.raises(ValueError, match="they seem to count from 1"):
        read(folder, annotation=folder / "splits/train.csv", classes=list("abcd"))


def test_csv_without_a_heading_is_read_with_a_note(make_tree, found_in):
    folder = make_tree(["v/-0.mp4", "v/1.mp4"], {"list.txt": "v/-0.mp4 1\nv/1.mp4 0\n"})
    dataset = read(folder, None, annotation=folder / "list.txt", classes=["a", "b"])
    assert found_in(dataset, folder) == [("v/-0.mp4", "b"), ("v/1.mp4", "a")]
    assert dataset.report.notes == ("list.txt has no heading: read as path,label",)
    (folder / "list.txt").write_text("v/-0.mp4 200 1\n")
    with pytest.raises(ValueError, match=r"list.txt: line 1: it is no heading, and has 3 cells"):
        read(folder, None, annotation=folder / "list.txt", classes=["a", "b"])


def test_csv_finds_folders_whose_accents_are_stored_otherwise(make_tree):
    stored, listed = (unicodedata.normalize(form, "Übung/é.mp4") for form in ("NFD", "NFC"))
    folder = make_tree([stored], {"splits/train.csv": f"path,label\n{listed},a\n"})
    (example,) = read(folder).examples
    assert example.path == f"{folder}/{stored}"


def test_csv_labels_with_accents_are_one_class(make_tree):
    one, other = (unicodedata.normalize(form, "böse") for form in ("NFC", "NFD"))
    text = f"path,label\nvideos/1.mp4,{one}\nvideos/größe 2.mp4,{other}\n"
    dataset = read(make_tree(VIDEOS, {"splits/train.csv": text}))
    assert dataset.class_names == (one,)
    assert dataset.report.found == 2


def test_csv_cuts(make_tree):
    text = "path,label,start,end\nvideos/1.mp4,run,0.5,2\nvideos/1.mp4,run,3,\nvideos/1.mp4,run,,\n"
    examples = read(make_tree(VIDEOS, {"splits/train.csv": text})).examples
    assert [(each.start, each.end) for each in examples] == [(0.5, 2.0), (3.0, None), (None, None)]


def test_csv_rows_without_example_are_reported(make_tree):
    text = (
        "path,label,start,end\n"
        "videos/1.mp4,run,,\n"
        "videos/1.mp4,run,,\n"
        "videos/1.mp4\n"
        ",run,,\n"
        "videos/1.mp4,,,\n"
        "videos/1.mp4,run,2,1\n"
        "videos/1.mp4,run,soon,\n"
        "videos/9.mp4,run,,\n"
        "a/../videos/größe 2.avi,run,,\n"
    )
    report = read(make_tree(VIDEOS, {"splits/train.csv": text})).report
    assert (report.rows, report.found) == (9, 2)
    assert report.missing == ("videos/9.mp4",)
    assert [str(row).removeprefix("train.csv line ") for row in report.skipped] == [
        "3: videos/1.mp4 is listed in train.csv line 2 already",
        "4: it has 1 cells, the heading 4",
        "5: column path: it is empty",
        "6: column label: it is empty",
        "7: the cut must end after it starts; it is 2 to 1 s",
        "8: column start: 'soon' is not a number of seconds >= 0",
    ]
    assert report.notes == ("1 videos were found under another ending than listed",)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "videos/1.mp4,jump",
            r"train.csv: line 3, column label: 'jump' is not one of the 2 classe",
        ),
        ("videos/1.mp4,2", r"train.csv: line 3, column label: '2' is not one of the 2 classes"),
        ("videos/1.mp4,rum", r"\(did you mean 'run'\?\). Correct it or give `classes`"),
        ("../1.mp4,run", r"train.csv: line 3, column path: '../1.mp4' leads out of `data_dir`"),
        ("/etc/passwd,run", r"train.csv: line 3, column path: '/etc/passwd' leads out"),
    ],
)
def test_csv_errors_name_line_and_column(make_tree, row, message):
    folder = make_tree(VIDEOS, {"splits/train.csv": f"path,label\nvideos/1.mp4,run\n{row}\n"})
    with pytest.raises(ValueError, match=message):
        read(folder, classes=["run", "walk"])


def test_stick_actions_has_its_own_class_order(make_tree):
    lists = {"splits/test.csv": "path,label\nvideos/1.mp4,sit_down\n"}
    folder = make_tree(VIDEOS, lists)
    dataset = read_dataset("stick_actions", folder, "test")
    assert dataset.class_names == STICK_LABELS
    assert dataset.examples[0].label == STICK_LABELS.index("sit_down")


@pytest.mark.parametrize(
    ("split", "error", "message"),
    [
        ("test", FileNotFoundError, r"csv: there is no test.csv in .*splits. Name its file or"),
        ("../train", ValueError, r"'../train' leads out"),
        (None, ValueError, r"csv: no list was named. Give `split`, for splits/<split>.csv"),
    ],
)
def test_csv_missing_list(make_tree, split, error, message):
    folder = make_tree(VIDEOS, {"splits/train.csv": "path,label\nvideos/1.mp4,run\n"})
    with pytest.raises(error, match=message):
        read(folder, split)


def test_csv_empty_list(make_tree):
    folder = make_tree(VIDEOS, {"splits/train.csv": "path,label\n"})
    with pytest.raises(ValueError, match=r"csv train: the annotation has no rows"):
        read(folder)
