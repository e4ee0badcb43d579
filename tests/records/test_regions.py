"""Persons in boxes in records: what is written, and what is read of other programs' records."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from records.test_index import sequence_example

from i3d_tf.data.example import KeyFrame, Person
from i3d_tf.inference.person_dataset import read_person_videos
from i3d_tf.records.index import RecordError, index_path, read_index, scan_shard
from i3d_tf.records.record_set import read_person_records, read_records
from i3d_tf.records.regions import Region, RegionFrame, add_regions, read_regions
from i3d_tf.video.encode import write_video

# Shares that float32 holds exactly.
LEFT, RIGHT = (0.125, 0.25, 0.5, 1.0), (0.5, 0.0, 0.75, 0.875)
SIDES = ("ymin", "xmin", "ymax", "xmax")
KEY_FRAMES = (
    KeyFrame("a", 900.2, 0.2, (Person(LEFT, (0, 1), 3.0), Person(RIGHT, (), 4.0))),
    KeyFrame("a", 900.4, 0.4),
)
ROWS = "a,900.2,0.125,0.25,0.5,1,79,3\na,900.2,0.125,0.25,0.5,1,12,3\na,900.2,0.5,0,0.75,0.875,,4\n"
ROWS += "a,900.4\nb,900,0.125,0.25,0.5,1,79,3\nb,990,0.125,0.25,0.5,1,79,3\ngone,900\n"
MAP = 'item {\n name: "stand"\n id: 12\n}\nitem {\n name: "talk to"\n id: 79\n}\n'


def regions_of(**columns):
    """A SequenceExample, by hand: region/KEY, with / for __, to a list of lists of values."""
    example = sequence_example({"example/id": "by hand"})
    for name, entries in columns.items():
        features = example.feature_lists.feature_list["region/" + name.replace("__", "/")].feature
        for values in entries:
            feature = features.add()
            for value in values:
                if isinstance(value, bytes):
                    feature.bytes_list.value.append(value)
                elif isinstance(value, float):
                    feature.float_list.value.append(value)
                else:
                    feature.int64_list.value.append(value)
    return example


def boxes(*frames):
    """The columns of boxes (x1, y1, x2, y2), a list of them for each frame."""
    return {
        f"bbox__{side}": [[box[number] for box in frame] for frame in frames]
        for side, number in zip(SIDES, (1, 0, 3, 2), strict=True)
    }


@pytest.fixture
def write_shard(tmp_path):
    """Function: SequenceExamples -> pattern of a shard of them."""

    def write(*examples):
        with tf.io.TFRecordWriter(str(tmp_path / "shard")) as writer:
            for example in examples:
                writer.write(example.SerializeToString())
        return str(tmp_path / "shard")

    return write


@pytest.fixture
def persons_dir(tmp_path):
    """Two videos of three frames, a fifth of a second apart, and their persons."""
    folder = tmp_path / "videos %d"
    folder.mkdir()
    for name in "ab":
        write_video(folder / f"{name}.mp4", (np.full((20, 30, 3), 90, np.uint8) for _ in "123"), 5)
    (folder / "persons.csv").write_text(ROWS)
    (folder / "map.pbtxt").write_text(MAP)
    return folder


def test_regions_have_the_keys_of_media_sequence():
    example = tf.train.SequenceExample()
    names = ("stand", "talk to")
    add_regions(example.feature_lists.feature_list, KEY_FRAMES, names, (12, 79))
    integer, text = (
        tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
        tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64),
    )
    number = tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)
    kinds = {
        "region/timestamp": integer,
        "region/num_regions": integer,
        "region/is_annotated": integer,
        "region/label/index": integer,
        "region/label/string": text,
        "region/track/index": integer,
        **{f"region/bbox/{side}": number for side in SIDES},
    }
    assert set(example.feature_lists.feature_list) == set(kinds)
    _, found = tf.io.parse_single_sequence_example(
        example.SerializeToString(), sequence_features=kinds
    )
    assert {key: value.to_list() for key, value in found.items()} == {
        "region/timestamp": [[200_000], [400_000]],
        "region/num_regions": [[3], [0]],
        "region/is_annotated": [[1], [1]],
        "region/label/index": [[12, 79, 0], []],
        "region/label/string": [[b"stand", b"talk to", b""], []],
        "region/track/index": [[3, 3, 4], []],
        "region/bbox/ymin": [[0.25, 0.25, 0.0], []],
        "region/bbox/xmin": [[0.125, 0.125, 0.5], []],
        "region/bbox/ymax": [[1.0, 1.0, 0.875], []],
        "region/bbox/xmax": [[0.5, 0.5, 0.75], []],
    }


@pytest.mark.parametrize("number", [None, 0.5, 1e300])
def test_scores_and_missing_numbers_are_no_tracks(number):
    example = tf.train.SequenceExample()
    persons = (Person(LEFT, (0,), 3.0), Person(RIGHT, (0,), number))
    lists = example.feature_lists.feature_list
    add_regions(lists, (KeyFrame("a", 0.0, 0.0, persons),), ("stand",))
    assert "region/track/index" not in lists
    regions = (Region(LEFT, ("stand",)), Region(RIGHT, ("stand",)))
    assert read_regions(lists) == (RegionFrame(0.0, regions),)
    assert list(lists["region/label/index"].feature[0].int64_list.value) == [1, 1]


def test_tool_writes_persons_which_read_back_the_same(persons_dir, tmp_path, run_tool):
    flags = (
        *(f"--data_dir={persons_dir}", f"--output_dir={tmp_path}/out", "--shards=1"),
        *("--processes=1", "--short_side=20", "--frame_rate=5", "--format=png"),
        *(f"--boxes={persons_dir}/persons.csv", f"--label_map={persons_dir}/map.pbtxt"),
    )
    status, lines, errors = run_tool("make_records", *flags, "--time_offset=900")
    assert (status, errors) == (0, [])
    assert "2 records" in lines[-1]
    shard = f"{tmp_path}/out/records-00000-of-00001"
    assert tuple(scan_shard(shard)) == read_index(shard).records
    dataset, action_ids = read_person_videos(
        *(str(persons_dir), persons_dir / "persons.csv", persons_dir / "map.pbtxt", 5.0),
        time_offset=900.0,
    )
    assert action_ids == (12, 79)
    records = read_person_records(shard).dataset
    assert records.class_names == dataset.class_names == ("stand", "talk to")
    assert [example.path for example in records.examples] == [f"{shard}/a.mp4", f"{shard}/b.mp4"]
    assert [example.label for example in records.examples] == [-1, -1]
    for found, wanted in zip(records.examples, dataset.examples, strict=True):
        assert [frame.persons for frame in found.key_frames] == [
            frame.persons for frame in wanted.key_frames
        ]
        times = [frame.time for frame in wanted.key_frames]
        assert [frame.time for frame in found.key_frames] == pytest.approx(times, abs=1e-6)
    assert [frame.persons for frame in records.examples[0].key_frames] == [
        frame.persons for frame in KEY_FRAMES
    ]
    status, _, errors = run_tool("make_records", *flags, "--time_offset=899.9")
    assert status == 1  # the same videos with persons at other times are other records
    assert "made with other settings: videos" in errors[0]
    with pytest.raises(RecordError, match="record 0 has persons in boxes, and no class; one of"):
        read_records(shard)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--boxes=persons.csv",), "--label_map must be the file of the actions of --boxes"),
        (("--label_map=map.pbtxt",), "--label_map is for --boxes, a file of persons"),
        (("--time_offset=9",), "--time_offset is for --boxes, a file of persons"),
        (("--boxes=persons.csv", "--split=x"), "--split is not for persons in boxes"),
        (("--boxes=persons.csv", "--dataset=csv"), "--dataset is not for persons in boxes"),
        (("--boxes=persons.csv", "--label_map=map.pbtxt"), "no key frame can be read"),
        (("--boxes=map.pbtxt", "--label_map=map.pbtxt"), "no row is of AVA's form"),
    ],
)
def test_tool_refuses_in_one_line(persons_dir, tmp_path, run_tool, monkeypatch, flags, reason):
    monkeypatch.chdir(persons_dir)
    status, _, errors = run_tool("make_records", "--data_dir=.", "--output_dir=out", *flags)
    assert (status, len(errors)) == (1, 1)
    assert reason in errors[0]
    assert not (persons_dir / "out").exists()


def test_records_of_others_are_read(write_shard):
    # Four frames: two labels of one box, a frame that is not annotated, nobody, another track.
    example = regions_of(
        **boxes([LEFT, LEFT], [], [], [LEFT, LEFT]),
        timestamp=[[0], [1_000_000], [2_000_000], [2_500_000]],
        num_regions=[[2], [0], [0], [2]],
        is_annotated=[[1], [0], [1], [1]],
        label__string=[[b"walk", b"sit"], [], [], [b"sit", b"walk"]],
        label__index=[[80, 11], [], [], [11, 80]],
        track__index=[[5, 5], [], [], [5, 6]],
    )
    pattern = write_shard(example)
    records = read_person_records(pattern).dataset
    assert records.class_names == ("sit", "walk")
    assert records.examples[0].key_frames == (
        KeyFrame("by hand", 0.0, 0.0, (Person(LEFT, (0, 1), 5.0),)),
        KeyFrame("by hand", 2.0, 2.0),
        KeyFrame("by hand", 2.5, 2.5, (Person(LEFT, (0,), 5.0), Person(LEFT, (1,), 6.0))),
    )
    (frame, *_) = read_person_records(pattern, ["walk"]).dataset.examples[0].key_frames
    assert frame.persons == (Person(LEFT, (0,), 5.0),)


def test_numbers_alone_count_from_1(write_shard):
    pattern = write_shard(
        regions_of(**boxes([LEFT, RIGHT]), timestamp=[[0]], label__index=[[3, 1]])
    )
    records = read_person_records(pattern).dataset
    assert records.class_names == ("class 1", "class 2", "class 3")
    persons = (Person(LEFT, (2,)), Person(RIGHT, (0,)))
    assert records.examples[0].key_frames[0].persons == persons
    named = read_person_records(pattern, ["x", "y", "z"]).dataset
    assert (named.class_names, named.examples[0].key_frames[0].persons) == (
        ("x", "y", "z"),
        persons,
    )


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"timestamp": [[0]]},
        {**boxes([LEFT]), "timestamp": [[0], [1]]},
        {**boxes([LEFT]), "timestamp": [[0]], "label__index": [[1, 2]]},
        {**boxes([LEFT]), "timestamp": [[0]], "bbox__ymin": [[]]},
        {**boxes([LEFT]), "timestamp": [[b"0"]]},
        {**boxes([LEFT]), "timestamp": [[0]], "track__index": [[0.5]]},
    ],
)
def test_lists_that_do_not_agree_are_no_persons(write_shard, columns):
    pattern = write_shard(regions_of(**columns))
    with pytest.raises(RecordError, match=r"shard: record 0 has no persons in boxes$"):
        read_person_records(pattern)


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 1.5, 1.0), (0.5, 0.0, 0.25, 1.0), (0.0, np.nan, 1.0, 1.0)]
)
def test_box_outside_of_the_frame_is_one_line(write_shard, box):
    pattern = write_shard(regions_of(**boxes([box]), timestamp=[[0]]))
    with pytest.raises(RecordError, match=r"record 0 has a box that is not within 0\.\.1"):
        read_person_records(pattern)


def test_names_and_numbers_of_one_set_are_refused(write_shard):
    named = regions_of(**boxes([LEFT]), timestamp=[[0]], label__string=[[b"sit"]])
    numbered = regions_of(**boxes([LEFT]), timestamp=[[0]], label__index=[[1]])
    with pytest.raises(ValueError, match="some of its actions have a name, and others a number"):
        read_person_records(write_shard(named, numbered))


@pytest.mark.parametrize(
    "persons",
    [3, [[0]], [["a", []]], [[0, [[[0, 0, 1], [], None]]]], [[0, [[[0, 0, 1, 1], [0.5], None]]]]],
)
def test_index_with_persons_of_another_kind_is_one_line(write_shard, persons):
    pattern = write_shard(regions_of(**boxes([LEFT]), timestamp=[[0]]))
    read_index(pattern)
    path = Path(index_path(pattern))
    content = json.loads(path.read_text("utf-8"))
    content["records"][0]["persons"] = persons
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"index.json: not the index of a shard .*Remove it"):
        read_person_records(pattern)
