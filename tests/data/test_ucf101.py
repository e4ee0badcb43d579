"""With rows of our own in the form of the official lists."""

import pytest

from i3d_tf.data.readers import read_dataset

CLASSES = "1 Archery\r\n2 HandstandPushups\r\n3 YoYo\r\n"
TRAIN = (
    "Archery/v_Archery_g08_c01.avi 1\r\n"
    "HandstandPushups/v_HandStandPushups_g08_c01.avi 2\r\n"
    "YoYo/v_YoYo_g08_c01.avi 3\r\n"
    "YoYo/v_YoYo_g08_c02.avi 3\r\n"
)
TEST = "Archery/v_Archery_g01_c01.avi\nYoYo/v_YoYo_g01_c01.avi\n"
LISTS = {
    "ucfTrainTestlist/classInd.txt": CLASSES,
    "ucfTrainTestlist/trainlist01.txt": TRAIN,
    "ucfTrainTestlist/testlist01.txt": TEST,
    "ucfTrainTestlist/trainlist03.txt": "YoYo/v_YoYo_g01_c01.avi 3\n",
}
VIDEOS = [
    "Archery/v_Archery_g08_c01.avi",
    "Archery/v_Archery_g01_c01.avi",
    "HandstandPushups/v_HandStandPushups_g08_c01.avi",
    "YoYo/v_YoYo_g08_c01.avi",
    "YoYo/v_YoYo_g01_c01.avi",
]


def read(folder, split="train1", **arguments):
    return read_dataset("ucf101", folder, split, **arguments)


def test_ucf101_training_split(make_tree, found_in):
    folder = make_tree([f"UCF-101/{name}" for name in VIDEOS], LISTS)
    dataset = read(folder)
    assert dataset.class_names == ("Archery", "HandstandPushups", "YoYo")
    assert found_in(dataset, folder) == [
        ("UCF-101/Archery/v_Archery_g08_c01.avi", "Archery"),
        ("UCF-101/HandstandPushups/v_HandStandPushups_g08_c01.avi", "HandstandPushups"),
        ("UCF-101/YoYo/v_YoYo_g08_c01.avi", "YoYo"),
    ]
    assert [example.label for example in dataset.examples] == [0, 1, 2]
    assert dataset.report.missing == ("YoYo/v_YoYo_g08_c02.avi",)
    assert dataset.report.notes == ("3 classes; ucf101 was published with 101",)


def test_ucf101_other_splits(make_tree, found_in):
    folder = make_tree(VIDEOS, LISTS)
    assert found_in(read(folder, "test1"), folder) == [
        ("Archery/v_Archery_g01_c01.avi", "Archery"),
        ("YoYo/v_YoYo_g01_c01.avi", "YoYo"),
    ]
    assert found_in(read(folder, "train3"), folder) == [("YoYo/v_YoYo_g01_c01.avi", "YoYo")]
    with pytest.raises(FileNotFoundError, match=r"ucf101: there is no trainlist02.txt in"):
        read(folder, "train2")


def test_ucf101_videos_in_one_folder_and_lists_elsewhere(make_tree, found_in):
    names = [f"videos/{name.rpartition('/')[2]}" for name in VIDEOS]
    folder = make_tree(names, LISTS)
    (folder / "ucfTrainTestlist").rename(folder / "lists")
    for annotation in ("lists", "lists/trainlist01.txt"):
        dataset = read(folder / "videos", annotation=folder / annotation)
        assert found_in(dataset, folder) == [
            ("videos/v_Archery_g08_c01.avi", "Archery"),
            ("videos/v_HandStandPushups_g08_c01.avi", "HandstandPushups"),
            ("videos/v_YoYo_g08_c01.avi", "YoYo"),
        ]


@pytest.mark.parametrize(
    "stored",
    [
        "HandstandPushups/v_HandstandPushups_g08_c01.avi",
        "HandStandPushups/v_HandStandPushups_g08_c01.avi",
        "v_HandstandPushups_g08_c01.mp4",
    ],
)
def test_ucf101_class_with_two_spellings(make_tree, found_in, stored):
    folder = make_tree([stored], LISTS)
    assert found_in(read(folder), folder) == [(stored, "HandstandPushups")]


def test_ucf101_some_of_the_classes_in_official_order(make_tree):
    folder = make_tree(VIDEOS, LISTS)
    dataset = read(folder, "test1", classes=["YoYo", "Archery"])
    assert dataset.class_names == ("Archery", "YoYo")
    assert [example.label for example in dataset.examples] == [0, 1]
    dataset = read(folder, "train1", classes=["YoYo"])
    assert [example.label for example in dataset.examples] == [0]
    assert dataset.report.left_out == 2


def test_ucf101_rows_without_example_are_reported(make_tree):
    rows = (
        "YoYo/v_YoYo_g08_c01.avi 3\n"
        "YoYo/v_YoYo_g08_c01.avi 3\n"
        "v_YoYo_g08_c02.avi 3\n"
        "YoYo/v_YoYo_g08_c02.avi 1\n"
        "Archery/v_YoYo_g08_c01.avi 1\n"
        "\n"
    )
    folder = make_tree(["v_YoYo_g08_c01.avi"], LISTS | {"ucfTrainTestlist/trainlist01.txt": rows})
    report = read(folder).report
    assert (report.rows, report.found) == (5, 1)
    assert [str(row).removeprefix("trainlist01.txt line ") for row in report.skipped] == [
        "2: YoYo/v_YoYo_g08_c01.avi is listed in trainlist01.txt line 1 already",
        "3: 'v_YoYo_g08_c02.avi 3' is not of the form Class/video.avi",
        "4: it gives YoYo the number 1, classInd.txt gives 3",
        "5: Archery/v_YoYo_g08_c01.avi as 'Archery' contradicts trainlist01.txt line 1, which says "
        "'YoYo' and was kept",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("trainlist01.txt", "YoYo/a.avi 3\nYoga/b.avi 4\n", r"line 2, column label: 'Yoga' is not"),
        ("trainlist01.txt", "../YoYo/a.avi 3\n", r"trainlist01.txt: line 1: .* leads out of"),
        ("trainlist01.txt", "/YoYo/a.avi 3\n", r"trainlist01.txt: line 1: .* leads out of"),
        ("trainlist01.txt", "", r"ucf101 train1: the annotation has no rows"),
        (
            "classInd.txt",
            "0 Archery\n1 YoYo\n",
            r"line 1 must be 1 and the name of a further class",
        ),
        ("classInd.txt", "1 Archery\n3 YoYo\n", r"classInd.txt: line 2 must be 2 and the name"),
        ("classInd.txt", "1 Archery\n2 Archery\n", r"classInd.txt: line 2 must be 2 and"),
        ("classInd.txt", "1 Archery\n2\n", r"classInd.txt: line 2 must be 2 and"),
        ("classInd.txt", "1 ../..\n", r"classInd.txt: line 1: '../..' leads out"),
        ("classInd.txt", "Archery\n", r"classInd.txt: line 1 must be 1 and"),
        ("classInd.txt", "\n", r"classInd.txt: the file is empty"),
    ],
)
def test_ucf101_errors_name_the_line(make_tree, name, text, message):
    folder = make_tree(VIDEOS, LISTS | {f"ucfTrainTestlist/{name}": text})
    with pytest.raises(ValueError, match=message):
        read(folder)


def test_ucf101_missing_class_list(make_tree):
    folder = make_tree(VIDEOS, {"trainlist01.txt": TRAIN})
    with pytest.raises(
        FileNotFoundError, match=r"ucf101: there is no classInd.txt beside .*trainl"
    ):
        read(folder)
