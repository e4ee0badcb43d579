import pytest

from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.example import VideoExample
from i3d_tf.data.match_videos import NOT_SELECTED, AnnotatedVideo, Candidate, collect
from i3d_tf.data.quarantine import Quarantine, VideoCheck, check_line
from i3d_tf.specs.datasets import Dataset
from i3d_tf.system.storage import file_state
from i3d_tf.system.tables import SkippedRow

CLASSES = ClassNames(("run", "walk"))
DATASET = Dataset("d", form="csv")


def row(line, name, label=0, start=None, end=None):
    return AnnotatedVideo("d.csv", line, name, label, ("",), (Candidate(name, start, end),))


def gather(folder, rows, quarantine=None, dataset=DATASET):
    return collect(dataset, "train", str(folder), CLASSES, rows, Quarantine(quarantine))


def test_collect_accounts_for_every_row(make_tree):
    folder = make_tree(["1.mp4", "2.mp4"])
    bad = VideoCheck(f"{folder}/2.mp4", None, None, *file_state(f"{folder}/2.mp4"), "damaged")
    (folder / "bad.jsonl").write_text(check_line(bad, folder))
    skipped = SkippedRow("d.csv", 4, "nonsense")
    rows = [
        row(1, "1.mp4", 1),
        row(2, "2.mp4"),
        row(3, "3.mp4"),
        skipped,
        NOT_SELECTED,
        NOT_SELECTED,
    ]
    dataset = gather(folder, rows, folder / "bad.jsonl")
    assert dataset.examples == (VideoExample(f"{folder}/1.mp4", 1, "walk"),)
    assert dataset.class_names == ("run", "walk")
    report = dataset.report
    assert (report.rows, report.found, report.left_out) == (6, 1, 2)
    assert report.missing == ("3.mp4",)
    assert report.quarantined == ((f"{folder}/2.mp4", "damaged"),)
    assert report.skipped == (skipped,)
    assert report.notes == ("1 of 2 classes have no video",)


def test_collect_skips_repeated_rows(make_tree):
    folder = make_tree(["1.mp4"])
    rows = [row(1, "1.mp4"), row(2, "1.mp4"), row(3, "1.mp4", 1), row(4, "2.mp4"), row(5, "2.mp4")]
    report = gather(folder, rows).report
    assert report.found == 1
    assert report.missing == ("2.mp4",)
    assert [str(each) for each in report.skipped] == [
        "d.csv line 2: 1.mp4 is listed in d.csv line 1 already",
        "d.csv line 3: 1.mp4 as 'walk' contradicts d.csv line 1, which says 'run' and was kept",
        "d.csv line 5: 2.mp4 is listed in d.csv line 4 already",
    ]


def test_collect_keeps_two_cuts_of_one_video(make_tree):
    rows = [row(1, "1.mp4", 0, 0.0, 2.0), row(2, "1.mp4", 1, 2.0, 4.0)]
    examples = gather(make_tree(["1.mp4"]), rows).examples
    assert [(each.label, each.start, each.end) for each in examples] == [
        (0, 0.0, 2.0),
        (1, 2.0, 4.0),
    ]


def test_collect_notes(make_tree):
    folder = make_tree(["1.avi", "2.mp4"])
    gone = VideoCheck(f"{folder}/gone.mp4", None, None, 5, 5, "damaged")
    (folder / "bad.jsonl").write_text(check_line(gone, folder))
    published = Dataset("d", form="csv", classes=3)
    rows = [row(1, "1.mp4"), row(2, "2.mp4", 1)]
    assert gather(folder, rows, folder / "bad.jsonl", published).report.notes == (
        "2 classes; d was published with 3",
        "1 videos were found under another ending than listed",
        "1 records of the quarantine are outdated: those files have changed or are gone; check the "
        "videos again",
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"d train: the annotation has no rows\."),
        ([row(1, "8.mp4"), row(2, "9.mp4")], r"none of the 2 videos listed is in .*, not even 8"),
        (
            [SkippedRow("d.csv", 2, "nonsense"), SkippedRow("d.csv", 3, "more")],
            r"d train: none of 2 rows can be used; the first fault is in d.csv line 2: nonsense",
        ),
        ([NOT_SELECTED], r"no row is of this split and these classes \(1 rows read\)"),
    ],
)
def test_collect_without_examples_names_the_reason(make_tree, rows, message):
    with pytest.raises(ValueError, match=message):
        gather(make_tree(), rows)


def test_collect_of_quarantined_videos_alone(make_tree):
    folder = make_tree(["1.mp4"])
    bad = VideoCheck(f"{folder}/1.mp4", None, None, *file_state(f"{folder}/1.mp4"), "damaged")
    (folder / "bad.jsonl").write_text(check_line(bad, folder))
    with pytest.raises(ValueError, match=r"all 1 videos are known to be unreadable, .*1.mp4: dama"):
        gather(folder, [row(1, "1.mp4")], folder / "bad.jsonl")
