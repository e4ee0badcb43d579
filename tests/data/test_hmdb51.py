"""With rows of our own in the form of the official lists."""

import pytest

from i3d_tf.data.readers import read_dataset

NAME = "#12 [day]_(1)_brush_hair_u_nm_np1_ba_goo_0.avi"  # the official names have such letters
LISTS = {
    "testTrainMulti_7030_splits/wave_test_split1.txt": "w1.avi 1 \nw2.avi 2 \nw3.avi 0 \n",
    "testTrainMulti_7030_splits/brush_hair_test_split1.txt": f"{NAME} 1 \r\nb2.avi 2 \r\n",
    "testTrainMulti_7030_splits/wave_test_split2.txt": "w1.avi 2 \nw2.avi 0 \nw3.avi 1 \n",
    "testTrainMulti_7030_splits/readme.txt": "not a list",
}
VIDEOS = ["wave/w1.avi", "wave/w2.avi", "wave/w3.avi", f"brush_hair/{NAME}", "brush_hair/b2.avi"]


def read(folder, split="train1", **arguments):
    return read_dataset("hmdb51", folder, split, **arguments)


@pytest.mark.parametrize("place", ["", "hmdb51_org/", "videos/"])
def test_hmdb51_codes_choose_the_split(make_tree, found_in, place):
    folder = make_tree([place + name for name in VIDEOS], LISTS)
    train = read(folder)
    assert train.class_names == ("brush_hair", "wave")
    assert found_in(train, folder) == [
        (f"{place}brush_hair/{NAME}", "brush_hair"),
        (f"{place}wave/w1.avi", "wave"),
    ]
    assert (train.report.rows, train.report.left_out) == (5, 3)
    assert train.report.notes == ("2 classes; hmdb51 was published with 51",)
    assert found_in(read(folder, "test1"), folder) == [
        (f"{place}brush_hair/b2.avi", "brush_hair"),
        (f"{place}wave/w2.avi", "wave"),
    ]
    assert found_in(read(folder, "train2"), folder) == [(f"{place}wave/w3.avi", "wave")]


def test_hmdb51_videos_in_one_folder_and_lists_elsewhere(make_tree, found_in):
    folder = make_tree(["videos/w1.mp4"], LISTS)
    (folder / "testTrainMulti_7030_splits").rename(folder / "lists")
    for annotation in ("lists", "lists/wave_test_split1.txt"):
        dataset = read(folder / "videos", annotation=folder / annotation)
        assert found_in(dataset, folder) == [("videos/w1.mp4", "wave")]
        assert dataset.report.missing == (f"brush_hair/{NAME}",)


def test_hmdb51_some_of_the_classes(make_tree, found_in):
    folder = make_tree(VIDEOS, LISTS)
    dataset = read(folder, classes=["wave"])
    assert dataset.class_names == ("wave",)
    assert found_in(dataset, folder) == [("wave/w1.avi", "wave")]
    with pytest.raises(ValueError, match=r"received 'waves' \(did you mean 'wave'\?\)"):
        read(folder, classes=["waves"])


def test_hmdb51_rows_without_example_are_reported(make_tree):
    rows = "w1.avi 1\nw1.avi 1\nw2.avi 3\nw2.avi\nw 9.avi 1\n1\n"
    folder = make_tree(VIDEOS, LISTS | {"testTrainMulti_7030_splits/wave_test_split1.txt": rows})
    report = read(folder).report
    assert (report.rows, report.found, report.left_out) == (8, 2, 1)
    assert report.missing == ("wave/w 9.avi",)
    assert [str(row).removeprefix("wave_test_split1.txt line ") for row in report.skipped] == [
        "2: wave/w1.avi is listed in wave_test_split1.txt line 1 already",
        "3: 'w2.avi 3' is not a video and a code of 0, 1 or 2",
        "4: 'w2.avi' is not a video and a code of 0, 1 or 2",
        "6: '1' is not a video and a code of 0, 1 or 2",
    ]


@pytest.mark.parametrize("name", ["../w1.avi", "/w1.avi", "a/w1.avi"])
def test_hmdb51_refuses_path_in_a_list(make_tree, name):
    lists = {"testTrainMulti_7030_splits/wave_test_split1.txt": f"w1.avi 1\n{name} 1\n"}
    with pytest.raises(ValueError, match=r"wave_test_split1.txt: line 2: "):
        read(make_tree(VIDEOS, LISTS | lists))


def test_hmdb51_missing_lists(make_tree):
    folder = make_tree(VIDEOS)
    with pytest.raises(FileNotFoundError) as caught:
        read(folder, "test3")
    assert str(caught.value).startswith(
        f"hmdb51: there is no <class>_test_split3.txt in {folder} or "
    )
    with pytest.raises(
        FileNotFoundError, match=r"`annotation` .*: there is no such file or folder"
    ):
        read(folder, annotation=folder / "nothing")
