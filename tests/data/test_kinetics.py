"""With rows of our own in the form of the official CSV files."""

import pytest

from i3d_tf.data.readers import read_dataset
from i3d_tf.specs.labels import read_labels

HEADING = "label,youtube_id,time_start,time_end,split\n"
TRAIN = HEADING + (
    '"shooting goal (soccer)","-aaaaaaaaaa",84,94,"train"\n'
    "archery,b_bbbbbbbbb,0,10,train\n"
    "zumba,ccccccccccc,5,15,train\n"
)


def read(folder, split="train", dataset="kinetics400", **arguments):
    return read_dataset(dataset, folder, split, **arguments)


CUT = "-aaaaaaaaaa_000084_000094.mp4"


@pytest.mark.parametrize(
    ("stored", "start", "end"),
    [
        (CUT, None, None),
        (f"train/{CUT}", None, None),
        (f"shooting goal (soccer)/{CUT}", None, None),
        (f"train/shooting_goal_(soccer)/{CUT}", None, None),
        (f"videos/train/shooting goal (soccer)/{CUT}", None, None),
        ("-aaaaaaaaaa_000084_000094.MKV", None, None),
        (f"train/{CUT}.mkv", None, None),
        ("-aaaaaaaaaa_000084_000094.webm.mp4", None, None),
        ("-aaaaaaaaaa.mp4.webm", 84.0, 94.0),
        ("-aaaaaaaaaa.mp4", 84.0, 94.0),
        ("shooting_goal_(soccer)/-aaaaaaaaaa.webm", 84.0, 94.0),
        ("videos/shooting goal (soccer)/-aaaaaaaaaa.mp4", 84.0, 94.0),
    ],
)
def test_kinetics_finds_videos_in_every_layout(make_tree, stored, start, end):
    folder = make_tree([stored], {"annotations/train.csv": TRAIN})
    (example,) = read(folder).examples
    assert example.path == f"{folder}/{stored}"
    assert (example.start, example.end) == (start, end)
    assert example.class_name == "shooting goal (soccer)"


def test_kinetics_prefers_cut_video_to_whole_one(make_tree, found_in):
    folder = make_tree(["archery/b_bbbbbbbbb.mp4", "b_bbbbbbbbb_000000_000010.mp4"])
    make_tree(texts={"train.csv": TRAIN})
    assert found_in(read(folder), folder) == [("b_bbbbbbbbb_000000_000010.mp4", "archery")]


def test_kinetics_ids_differ_by_case(make_tree):
    folder = make_tree(["B_bbbbbbbbb.mp4", "ccccccccccc.mp4"], {"train.csv": TRAIN})
    report = read(folder).report
    assert report.found == 1
    assert report.missing == (CUT, "b_bbbbbbbbb_000000_000010.mp4")


@pytest.mark.parametrize("size", [400, 600, 700])
def test_kinetics_labels_are_those_of_released_logits(make_tree, size):
    names = read_labels(f"kinetics{size}")
    rows = "".join(f"{name},{k:011d},0,10,val\n" for k, name in reversed(list(enumerate(names))))
    folder = make_tree([f"{k:011d}.mp4" for k in range(size)], {"validate.csv": HEADING + rows})
    dataset = read(folder, "val", f"kinetics{size}")
    assert dataset.class_names == names
    assert len(dataset.examples) == size
    for example in dataset.examples:
        assert example.label == int(example.path[-15:-4])
    assert dataset.report.notes == ()


def test_kinetics_class_in_other_spellings(make_tree):
    rows = (
        "passing American football (not in game),aaaaaaaaaaa,0,10,val\n"
        "passing american football (not in game),bbbbbbbbbbb,0,10,val\n"
    )
    folder = make_tree(["aaaaaaaaaaa.mp4", "bbbbbbbbbbb.mp4"], {"val.csv": HEADING + rows})
    first, second = read(folder, "val", "kinetics600").examples
    assert first.label == second.label


@pytest.mark.parametrize(
    "name",
    [
        "train.csv",
        "kinetics_train.csv",
        "kinetics-400_train.csv",
        "annotations/kinetics400_train.csv",
    ],
)
def test_kinetics_finds_annotation_by_published_names(make_tree, name):
    assert read(make_tree(["ccccccccccc.mp4"], {name: TRAIN})).report.found == 1


def test_kinetics_columns_in_any_order(make_tree):
    text = "youtube_id,label,is_cc,time_end,time_start\r\naaaaaaaaaaa,archery,0,94.0,84.0\r\n"
    folder = make_tree(["aaaaaaaaaaa_000084_000094.mp4"], {"val.csv": text})
    assert read(folder, "val").report.found == 1


def test_kinetics_one_file_for_all_splits(make_tree, found_in):
    rows = "".join(
        f"archery,{letter * 11},0,10,{split}\n"
        for letter, split in zip("abcd", ("train", "val", "validate", "test"), strict=True)
    )
    folder = make_tree([f"{letter * 11}.mp4" for letter in "abcd"], {"all.csv": HEADING + rows})
    dataset = read(folder, "val", annotation=folder / "all.csv")
    assert found_in(dataset, folder) == [(f"{letter * 11}.mp4", "archery") for letter in "bc"]
    assert dataset.report.left_out == 2


def test_kinetics_some_of_the_classes(make_tree, found_in):
    folder = make_tree(["ccccccccccc.mp4", "b_bbbbbbbbb.mp4"], {"train.csv": TRAIN})
    (folder / "mini.txt").write_text("zumba\nshooting_goal_(soccer)\n")
    dataset = read(folder, classes=folder / "mini.txt")
    assert dataset.class_names == ("shooting goal (soccer)", "zumba")
    assert found_in(dataset, folder) == [("ccccccccccc.mp4", "zumba")]
    assert dataset.examples[0].label == 1
    assert (dataset.report.missing, dataset.report.left_out) == ((CUT,), 1)
    assert read(folder, classes=dataset.class_names).class_names == dataset.class_names


def test_kinetics_takes_names_in_the_case_of_another_edition(make_tree):
    rows = "passing American football (not in game),b_bbbbbbbbb,0,10,train\n"
    folder = make_tree(["b_bbbbbbbbb.mp4"], {"train.csv": HEADING + rows})
    for dataset, spelling in (("kinetics600", "american"), ("kinetics700", "American")):
        (example,) = read(folder, dataset=dataset).examples
        assert example.class_name == f"passing {spelling} football (not in game)"


def test_kinetics_of_one_id_has_all_its_cuts(make_tree, found_in):
    rows = "archery,b_bbbbbbbbb,0,10,train\nzumba,b_bbbbbbbbb,20,30,train\n"
    names = ["b_bbbbbbbbb_000000_000010.mp4", "b_bbbbbbbbb_000020_000030.mp4"]
    folder = make_tree(names, {"train.csv": HEADING + rows})
    assert found_in(read(folder), folder) == [(names[0], "archery"), (names[1], "zumba")]


@pytest.mark.parametrize("name", ["b_bbbbbbbbb_000000_000010.mp4", "b_bbbbbbbbb.mp4"])
def test_kinetics_prefers_replacements_of_the_mirror(make_tree, found_in, name):
    kept = "train/ccccccccccc_000005_000015.mp4"
    replaced = f"replacement/replacement_for_corrupted_k400/{name}"
    files = ["train/b_bbbbbbbbb_000000_000010.mp4", kept, replaced, "train/dddddddddddd.mp4"]
    folder = make_tree(files, {"train.csv": TRAIN})
    dataset = read(folder)
    assert found_in(dataset, folder) == [(replaced, "archery"), (kept, "zumba")]
    assert dataset.report.missing == (CUT,)
    assert dataset.report.notes[:2] == (
        "1 videos have a replacement for a corrupted file, which is used",
        "1 files in the folder of train are in no row, such as dddddddddddd.mp4",
    )


def test_kinetics_test_lists_without_labels_say_what_to_do(make_tree):
    text = "youtube_id,time_start,time_end,split\nb_bbbbbbbbb,0,10,test\n"
    folder = make_tree(["b_bbbbbbbbb.mp4"], {"test.csv": text})
    with pytest.raises(ValueError, match=r"test.csv: it has no column 'label', .* i3d predict"):
        read(folder, "test")


def test_kinetics_rows_without_example_are_reported(make_tree):
    text = HEADING + (
        "archery,aaaaaaaaaaa,0,10,train\n"
        "archery,aaaaaaaaaaa,0,10,train\n"
        "zumba,aaaaaaaaaaa,0,10,train\n"
        "zumba,aaaaaaaaaaa,10,20,train\n"
        "archery,#NAME?,0,10,train\n"
        "archery,../../../ab,0,10,train\n"
        "archery,bbbbbbbbbbb,10,10,train\n"
        "archery,bbbbbbbbbbb,,10,train\n"
        "archery,bbbbbbbbbbb,0,0:10,train\n"
        "archery,bbbbbbbbbbb,0\n"
        ",bbbbbbbbbbb,0,10,train\n"
        "archery,bbbbbbbbbbb,0,10,holdout\n"
    )
    report = read(make_tree(["aaaaaaaaaaa.mp4"], {"train.csv": text})).report
    assert (report.rows, report.found) == (12, 2)
    assert [str(row).removeprefix("train.csv line ") for row in report.skipped] == [
        "3: aaaaaaaaaaa_000000_000010.mp4 is listed in train.csv line 2 already",
        "4: aaaaaaaaaaa_000000_000010.mp4 as 'zumba' contradicts train.csv line 2, which says "
        "'archery' and was kept",
        "6: column youtube_id: '#NAME?' is not 11 of A-Z a-z 0-9 - _",
        "7: column youtube_id: '../../../ab' is not 11 of A-Z a-z 0-9 - _",
        "8: the cut must end after it starts; it is 10 to 10 s",
        "9: column time_start: it is empty",
        "10: column time_end: '0:10' is not a number of seconds >= 0",
        "11: it has 3 cells, the heading 5",
        "12: column label: it is empty",
        "13: column split: 'holdout' is not one of ('train', 'val', 'test')",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEADING + "archrey,aaaaaaaaaaa,0,10,train\n",
            r"line 2, column label: 'archrey' is not on",
        ),
        (
            HEADING + "archrey,aaaaaaaaaaa,0,10,train\n",
            r"\(did you mean 'archery'\?\). Give the ann",
        ),
        (
            "youtube_id,time_start,time_end,split\n",
            r"it has no column 'label', as the published",
        ),
        (HEADING + "archery,aaaaaaaaaaa,0,10,val\n", r"no row is of this split and these classes"),
        (
            HEADING + "archery,?,0,10,train\n",
            r"none of 1 rows can be used; the first fault is in t",
        ),
        (TRAIN, r"none of the 3 videos listed is in .*, not even -aaaaaaaaaa_000084_000094.mp4"),
    ],
)
def test_kinetics_errors_name_line_and_column(make_tree, text, message):
    with pytest.raises(ValueError, match=message):
        read(make_tree(texts={"train.csv": text}))


def test_kinetics_class_that_leads_out_is_skipped(make_tree):
    text = HEADING + "../..,aaaaaaaaaaa,0,10,train\nyoga,bbbbbbbbbbb,0,10,train\n"
    folder = make_tree(["bbbbbbbbbbb.mp4"], {"train.csv": text})
    report = read(folder, dataset="kinetics700").report
    assert "leads out of" in str(report.skipped[0])
