"""Files of persons, grouped by frame, and their videos."""

import pytest

from i3d_tf.data.ava import Frame, read_persons
from i3d_tf.data.example import Person
from i3d_tf.inference.person_dataset import (
    group_persons,
    read_person_dataset,
    without_empty_frames,
)

ACTIONS = {12: "stand", 79: "talk to"}
LEFT, RIGHT = "0.1,0.2,0.5,0.9", "0.5,0.2,0.75,1"


@pytest.fixture(scope="module")
def video_bytes(write_grey_video, tmp_path_factory):
    """A video of a second, 25 frames."""
    return write_grey_video(tmp_path_factory.mktemp("video") / "a.mp4", range(25)).read_bytes()


@pytest.fixture
def read(make_tree):
    """Function: (rows, files by name, options) -> dataset of a folder with these."""

    def make(rows, files, **options):
        folder = make_tree(texts={**files, "persons.csv": "\n".join(rows) + "\n"})
        boxes = folder / "persons.csv"
        return read_person_dataset(str(folder), boxes, ACTIONS, 25.0, **options)

    return make


def test_rows_of_one_box_are_one_person(make_tree):
    rows = [f"v,1,{LEFT},79,3", f"v,1,{RIGHT},12,4", f"v,1,{LEFT},12,3", f"v,2,{LEFT},12,3", "v,3"]
    folder = make_tree(texts={"persons.csv": "\n".join(rows)})
    found = group_persons(read_persons(folder / "persons.csv"), {12: 0, 79: 1})
    left, right = (0.1, 0.2, 0.5, 0.9), (0.5, 0.2, 0.75, 1.0)
    assert found == {
        Frame("v", 1.0): (Person(left, (0, 1), 3.0), Person(right, (0,), 4.0)),
        Frame("v", 2.0): (Person(left, (0,), 3.0),),
        Frame("v", 3.0): (),
    }


def test_detected_persons_have_a_lowest_score(make_tree):
    folder = make_tree(texts={"persons.csv": f"v,1,{LEFT},,0.9\nv,1,{RIGHT},,0.4\n"})
    found = group_persons(read_persons(folder / "persons.csv"), {}, min_score=0.5)
    assert [person.number for person in found[Frame("v", 1.0)]] == [0.9]


def test_key_frames_of_videos_with_all_faults_named(read, video_bytes):
    rows = [
        f"a,900.4,{LEFT},12,0",
        "a,900",
        f"a,902,{LEFT},12,0",  # after its end
        f"a,899,{LEFT},12,0",  # before its start
        f"a,900.4,{RIGHT},5,0",  # no such action
        f"gone,900,{LEFT},12,0",
        f"bad,900,{LEFT},12,0",
    ]
    dataset = read(rows, {"a.mp4": video_bytes, "bad.mp4": "?"}, time_offset=900.0)
    frames = [frame for example in dataset.examples for frame in example.key_frames]
    assert [(frame.timestamp, frame.time) for frame in frames] == [
        (900.0, 0.0),
        (900.4, pytest.approx(0.4)),
    ]
    assert [len(frame.persons) for frame in frames] == [0, 1]
    report = dataset.report
    assert (report.rows, report.found, report.missing) == (6, 1, ("gone",))
    assert [path.rpartition("/")[2] for path, _ in report.quarantined] == ["bad.mp4"]
    reasons = [str(row) for row in report.skipped]
    assert "persons.csv line 5: the action 5 is not in the label map" in reasons
    assert any("a at 902 s is at 2 s of" in reason for reason in reasons)
    assert any("a at 899 s is at -1 s of" in reason for reason in reasons)
    assert "2 key frames with 1 persons" in report.notes
    assert "1 key frames have nobody" in report.notes
    assert len(without_empty_frames(dataset).examples) == 1


def test_clips_of_kinetics_start_at_the_second_in_their_name(read, video_bytes):
    rows = [f"abc,10.4,{LEFT},12", f"abc,20.2,{LEFT},12", f"abc,99,{LEFT},12"]
    names = ["abc_000010_000011.mp4", "abc_000020_000021.mp4"]
    dataset = read(rows, dict.fromkeys(names, video_bytes))
    found = [(each.path.rpartition("/")[2], each.key_frames[0].time) for each in dataset.examples]
    assert found == [(names[0], pytest.approx(0.4)), (names[1], pytest.approx(0.2))]
    assert dataset.report.missing == ("abc",)


def test_key_frames_all_outside_are_refused(read, video_bytes):
    with pytest.raises(
        ValueError, match=r"no key frame can be read; the first fault is .* a at 9 s"
    ):
        read([f"a,9,{LEFT},12,0"], {"a.mp4": video_bytes})


def test_classes_keep_the_labels_of_a_network(read, video_bytes):
    rows = [f"a,0,{LEFT},12,0", f"a,0,{LEFT},79,0"]
    dataset = read(rows, {"a.mp4": video_bytes}, class_names=("walk", "talk to"))
    assert dataset.examples[0].key_frames[0].persons[0].labels == (1,)
