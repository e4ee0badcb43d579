"""AVA's files: persons, frames, label maps."""

import pytest

from i3d_tf.data.ava import Frame, PersonRow, read_frames, read_label_map, read_persons

BOX = "0.1,0.2,0.5,0.9"


@pytest.fixture
def read(tmp_path):
    """Function: (text, actions) -> PersonFile of a file with that text."""

    def write_and_read(text, actions=None):
        (tmp_path / "persons.csv").write_text(text)
        return read_persons(tmp_path / "persons.csv", actions)

    return write_and_read


def test_rows_of_the_truth_of_detections_and_of_ava_kinetics(read):
    found = read(f"v,0902,{BOX},12,3\nv,902.5,{BOX},7\nv,0903,{BOX},,0.75\nw,0904\n")
    box = (0.1, 0.2, 0.5, 0.9)
    assert found.rows == (
        PersonRow(Frame("v", 902.0), box, 12, 3.0),
        PersonRow(Frame("v", 902.5), box, 7, None),
        PersonRow(Frame("v", 903.0), box, None, 0.75),
    )
    assert found.frames == {("v", 902.0), ("v", 902.5), ("v", 903.0), ("w", 904.0)}
    assert found.skipped == ()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("v,0902,0.1", "it has 3 cells, not 2, 7 or 8"),
        (f"v,x,{BOX},1,1", "the time stamp 'x' is not a number of seconds"),
        ("v,1,0.1,0.2,1.5,0.9,1,1", "the box '0.1,0.2,1.5,0.9' is not within 0..1"),
        ("v,1,0.1,nan,0.5,0.9,1,1", "the box '0.1,nan,0.5,0.9' is not within 0..1"),
        ("v,1,0.5,0.2,0.1,0.9,1,1", "the box '0.5,0.2,0.1,0.9' has no area"),
        (f"v,1,{BOX},jump,1", "the action 'jump' is not a number"),
        (f"v,1,{BOX},13,1", "the action 13 is not in the label map"),
        (f"v,1,{BOX},12,best", "the last column 'best' is not a number"),
    ],
)
def test_bad_rows_are_named(read, row, reason):
    found = read(f"v,0902,{BOX},12,1\n{row}\n", [12])
    assert [str(each) for each in found.skipped] == [f"persons.csv line 2: {reason}"]
    assert len(found.rows) == 1


def test_frame_of_an_action_that_is_not_in_the_map_is_still_a_frame(read):
    assert read(f"v,5,{BOX},13,1\n", [12]).frames == {("v", 5.0)}


def test_other_files_are_refused(read, tmp_path):
    with pytest.raises(ValueError, match=r"no row is of AVA's form \(persons.csv line 1: it has 1"):
        read("hello\n")
    (tmp_path / "frames.csv").write_text(f"v,0902\nv,0903,{BOX},1,1\n")
    with pytest.raises(ValueError, match="every row must be a video and a time stamp"):
        read_frames(tmp_path / "frames.csv")


def test_label_map_has_both_forms(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_text(
        'item {\n  name: "stand"\n  id: 12\n}\n'
        'label {\n  name: "talk to (e.g., self)"\n  label_id: 79\n  label_type: PERSON\n}\n'
    )
    assert read_label_map(path) == {12: "stand", 79: "talk to (e.g., self)"}
    path.write_text('item {\n  name: "stand"\n}\n')
    with pytest.raises(ValueError, match="a block has no name or no id"):
        read_label_map(path)
    path.write_text(f'item {{\n  name: "stand"\n  id: {"9" * 5000}\n}}\n')
    with pytest.raises(ValueError, match="a block has no name or no id"):
        read_label_map(path)
    path.write_text("stand 12\n")
    with pytest.raises(ValueError, match="it has no block"):
        read_label_map(path)
