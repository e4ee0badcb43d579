"""Annotations of when something happens, in their three forms."""

import json

import numpy as np
import pytest

from i3d_tf.data.example import NO_LABEL, Interval, IntervalVideo
from i3d_tf.data.intervals import (
    CHARADES_CLASSES,
    interval_targets,
    read_intervals,
)
from i3d_tf.data.readers import read_dataset


@pytest.fixture
def read(tmp_path):
    """Function: (text, name, classes) -> IntervalAnnotation of a file with that text."""

    def write_and_read(text, name="when.csv", classes=None):
        (tmp_path / name).write_text(text)
        return read_intervals(tmp_path / name, classes)

    return write_and_read


def test_table_of_intervals(read):
    annotation = read("id,start,end,class\nb,1,2.5,wave\na,0,1,jump\nb,2,3,jump\nc,,,\n")
    assert annotation.class_names == ("jump", "wave")
    assert annotation.videos == (
        IntervalVideo("b", (Interval(1, 1, 2.5), Interval(0, 2, 3))),
        IntervalVideo("a", (Interval(0, 0, 1),)),
        IntervalVideo("c"),
    )
    assert annotation.skipped == ()


def test_classes_with_numbers_are_in_the_order_of_the_numbers(read):
    annotation = read("id,start,end,class\na,0,1,c10\na,0,1,c9\n")
    assert annotation.class_names == ("c9", "c10")


def test_table_may_say_durations_and_splits(read):
    text = "id,start,end,class,duration,split\na,0,1,x,9.5,test\n"
    (video,) = read(text).videos
    assert (video.duration, video.split) == (9.5, "test")


def test_action_may_be_a_moment(read):
    assert read("id,start,end,class\na,1,1,x\n").videos[0].intervals == (Interval(0, 1, 1),)


def test_charades_form(read):
    rows = 'AAAA1,"a, b",c000 0.00 5.00;c156 2.50 90.00,10.00\nAAAA2,x,,7.52\n'
    annotation = read(f"id,script,actions,length\n{rows}")
    assert annotation.class_names == CHARADES_CLASSES
    assert annotation.videos == (
        IntervalVideo("AAAA1", (Interval(0, 0, 5), Interval(156, 2.5, 90)), 10.0),
        IntervalVideo("AAAA2", (), 7.52),
    )


def test_record_form(read):
    record = {"AAAA1": {"subset": "testing", "duration": 10.0, "actions": [[2, 0, 5.5]]}}
    annotation = read(json.dumps(record), "charades.json")
    assert annotation.videos == (IntervalVideo("AAAA1", (Interval(2, 0, 5.5),), 10.0, "testing"),)
    assert annotation.class_names == CHARADES_CLASSES


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,2,1,x", "it ends at 1 s, before its start at 2 s"),
        ("a,0,1,y", "'y' is not one of the 1 classes"),
        ("a,zero,1,x", "column start: 'zero' is not a number of seconds >= 0"),
        ("a,-1,1,x", "column start: '-1' is not a number of seconds >= 0"),
        ("a,,1,x", "its start or its end is missing"),
        (",0,1,x", "column id is empty"),
        ("a,0,1", "it has 3 cells, the heading 4"),
    ],
)
def test_bad_rows_are_named(read, row, reason):
    annotation = read(f"id,start,end,class\nb,0,1,x\n{row}\n", classes=["x"])
    (skipped,) = annotation.skipped
    assert str(skipped) == f"when.csv line 3: {reason}"


def test_bad_actions_of_charades_are_named(read):
    annotation = read("id,actions,length\nA,c000 1 2;c157 1 2;c003 2;c000 3 2,9\nA,c000 1 2,9\n")
    assert annotation.videos == (IntervalVideo("A", (Interval(0, 1, 2),), 9.0),)
    assert [row.reason for row in annotation.skipped] == [
        "'c157 1 2': 'c157' is not one of the 157 classes",
        "'c003 2': an action is a class, its start and its end",
        "'c000 3 2': it ends at 2 s, before its start at 3 s",
        "A is there twice",
    ]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("id,start,end,class\n", "a.csv", "it names no video"),
        ("video,label\na,b\n", "a.csv", "no column 'id'"),
        ('{"a": 3}', "a.json", "not a record of videos and their actions"),
        ('{"a": {"actions": [[]]}}', "a.json", "not a record of videos and their actions"),
    ],
)
def test_other_files_are_refused(read, text, name, message):
    with pytest.raises(ValueError, match=message):
        read(text, name)


def test_targets_include_both_ends_unless_strict():
    intervals = [Interval(0, 1, 3), Interval(0, 2, 4), Interval(2, 0, 1)]
    times = np.arange(5.0)
    expected = np.array([[0, 1, 1, 1, 1], [0] * 5, [1, 1, 0, 0, 0]], bool).T
    np.testing.assert_array_equal(interval_targets(intervals, times, 3), expected)
    strict = np.array([[0, 0, 1, 1, 0], [0] * 5, [0] * 5], bool).T
    np.testing.assert_array_equal(interval_targets(intervals, times, 3, strict=True), strict)


def read_videos(folder, split=None, **arguments):
    return read_dataset("intervals", folder, split, folder / "when.csv", **arguments)


def test_videos_are_found_by_their_names_and_others_are_counted(make_tree, found_in, adds_up):
    text = (
        "id,start,end,class,split\na,1,2,wave,training\nsub/b,0,1,jump,training\n"
        "c,0,1,jump,train\nd,,,,train\na,3,2,wave,training\ne,0,1,jump,testing\n"
    )
    folder = make_tree(["a.mp4", "sub/b.avi", "videos/d.webm", "e.mp4"], {"when.csv": text})
    dataset = read_videos(folder, "train")
    assert found_in(dataset, folder) == [("a.mp4", ""), ("sub/b.avi", ""), ("videos/d.webm", "")]
    assert [example.intervals for example in dataset.examples] == [
        (Interval(1, 1, 2),), (Interval(0, 0, 1),), ()
    ]  # fmt: skip
    assert {example.label for example in dataset.examples} == {NO_LABEL}
    report = dataset.report
    assert (report.missing, report.left_out, dataset.class_names) == (("c",), 1, ("jump", "wave"))
    assert "ends at 2 s, before its start" in str(report.skipped[0])
    (only,) = read_videos(folder, "test", classes=dataset.class_names).examples
    assert (only.actions.name, only.intervals) == ("e", (Interval(0, 0, 1),))


def test_annotation_without_splits_is_read_whole_for_any_split(make_tree):
    text = "id,actions,length\nAAAAA,c001 0 2;c156 1 9,8\nBBBBB,,5\n"
    folder = make_tree(["AAAAA.mp4", "BBBBB.mp4"], {"when.csv": text})
    first, second = read_videos(folder, "test").examples
    assert first.intervals == (Interval(1, 0, 2), Interval(156, 1, 9))
    assert (first.actions.duration, second.intervals) == (8, ())


def test_name_that_leads_out_of_the_folder_is_an_error(make_tree):
    folder = make_tree([], {"when.csv": "id,start,end,class\n../a,0,1,x\n"})
    with pytest.raises(ValueError, match=r"video '\.\./a': '\.\./a' leads out of `data_dir`"):
        read_videos(folder)


def test_annotation_of_other_classes_is_refused(read):
    text = "id,start,end,class\na,0,1,wave\nb,0,1,jump\n"
    with pytest.raises(ValueError, match=r"no action is valid; .* line 2: 'wave' is not one of"):
        read(text, classes=["archery"])
    assert read("id,start,end,class\na,,,\n", classes=["archery"]).videos == (IntervalVideo("a"),)
