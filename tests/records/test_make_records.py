"""The job that writes shards: their bytes, what is left out, what is kept."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.data.example import Interval, IntervalVideo, VideoDataset
from i3d_tf.data.readers import read_dataset
from i3d_tf.records import make_records as make_records_file
from i3d_tf.records.index import read_index
from i3d_tf.records.make_records import entries_of, make_records
from i3d_tf.records.record_format import RecordFormat
from i3d_tf.records.write import make_record
from i3d_tf.system.shards import Shard
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video

FORM = RecordFormat("png", short_side=20, frame_rate=5)


@pytest.fixture
def small_dir(tmp_path):
    """A class of four videos of two frames a fifth of a second apart, and one that is none."""
    folder = tmp_path / "videos" / "grey"
    folder.mkdir(parents=True)
    for number in range(4):
        frames = (np.full((20, 30, 3), level + number, np.uint8) for level in (50, 200))
        write_video(folder / f"{number}.mp4", frames, 5)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder.parent


@pytest.fixture
def small_set(small_dir):
    return read_dataset("class_folders", small_dir)


def whole_set(dataset):
    """The dataset without the video that cannot be read."""
    examples = tuple(each for each in dataset.examples if "broken" not in each.path)
    report = dataclasses.replace(dataset.report, rows=4, found=4)
    return dataclasses.replace(dataset, examples=examples, report=report)


def feature(*values):
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def test_shard_has_the_bytes_of_media_sequence(small_set, tmp_path):
    dataset = whole_set(small_set)
    dataset = dataclasses.replace(
        dataset,
        examples=dataset.examples[:1],
        report=dataclasses.replace(dataset.report, rows=1, found=1),
    )
    make_records(dataset, tmp_path / "records", "one", 1, FORM, processes=1)
    context = {
        "example/id": feature(b"grey/0.mp4"),
        "example/dataset_name": feature(b"class_folders"),
        "clip/data_path": feature(b"grey/0.mp4"),
        "clip/media_id": feature(b"grey/0.mp4"),
        "clip/label/index": feature(0),
        "clip/label/string": feature(b"grey"),
        "image/format": feature(b"PNG"),
        "image/channels": feature(3),
        "image/height": feature(20),
        "image/width": feature(30),
        "image/frame_rate": feature(5.0),
        "i3d_tf/frame_count": feature(2),
        "i3d_tf/position": feature(0),
    }
    frames = read_clip(dataset.examples[0].path, 5)
    pictures = [tf.io.encode_png(frame, compression=3).numpy() for frame in frames]
    lists = {
        "image/encoded": tf.train.FeatureList(feature=map(feature, pictures)),
        "image/timestamp": tf.train.FeatureList(feature=map(feature, (0, 200_000))),
    }
    expected = tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(feature_list=lists),
    )
    with tf.io.TFRecordWriter(str(tmp_path / "expected")) as writer:
        writer.write(expected.SerializeToString(deterministic=True))
    written = tmp_path / "records" / "one-00000-of-00001"
    assert written.read_bytes() == (tmp_path / "expected").read_bytes()


def test_actions_are_segments_with_first_and_last_frames(small_set):
    actions = IntervalVideo("0", (Interval(1, 0.1, 0.3), Interval(0, 0.0, 0.5)))
    example = dataclasses.replace(small_set.examples[0], label=-1, class_name="", actions=actions)
    record = make_record(example, "0", 0, "intervals", ("walk", "jump"), FORM)
    found = {
        key: list(value.int64_list.value) or list(value.bytes_list.value)
        for key, value in record.context.feature.items()
        if key.startswith(("segment/", "clip/label"))
    }
    assert found == {
        "segment/start/timestamp": [100_000, 0],
        "segment/end/timestamp": [300_000, 500_000],
        "segment/start/index": [1, 0],  # frames are at 0 and 0.2 seconds
        "segment/end/index": [1, 1],
        "segment/label/index": [1, 0],
        "segment/label/string": [b"jump", b"walk"],
    }


def test_unreadable_video_is_left_out_and_named(small_set, tmp_path, capsys):
    report = make_records(small_set, tmp_path / "out", "all", 2, FORM, processes=1)
    assert (report.written, report.kept, report.records, report.failed) == (2, 0, 4, ())
    ((name, reason),) = report.left_out
    assert name == "grey/broken.mp4"
    assert "broken.mp4: " + reason in capsys.readouterr().err
    assert f"left out: grey/broken.mp4: {reason}" in report.lines()[1]
    again = make_records(small_set, tmp_path / "out", "all", 2, FORM, processes=1)
    assert (again.written, again.kept, again.left_out) == (0, 2, report.left_out)


def test_shards_hold_every_video_once_and_do_not_depend_on_others(small_set, tmp_path):
    dataset = whole_set(small_set)
    make_records(dataset, tmp_path / "all", "all", 3, FORM, processes=1)
    shards = sorted(tmp_path.glob("all/all-0000?-of-00003"))
    names = [[record.name for record in read_index(str(shard)).records] for shard in shards]
    assert sorted(name for of_shard in names for name in of_shard) == [
        f"grey/{number}.mp4" for number in range(4)
    ]
    fewer = dataclasses.replace(dataset, examples=dataset.examples[2:])
    make_records(fewer, tmp_path / "fewer", "all", 3, FORM, processes=1)
    for shard, of_shard in zip(shards, names, strict=True):
        found = [each.name for each in read_index(str(tmp_path / "fewer" / shard.name)).records]
        assert found == [name for name in of_shard if name in ("grey/2.mp4", "grey/3.mp4")]


def test_parts_of_the_shards_make_the_whole(small_set, tmp_path):
    dataset = whole_set(small_set)
    make_records(dataset, tmp_path / "whole", "all", 3, FORM, processes=1)
    for index in range(2):
        part = Shard(index, 2)
        make_records(dataset, tmp_path / "parts", "all", 3, FORM, processes=1, shard=part)
    for path in (tmp_path / "whole").glob("all-*"):
        assert (tmp_path / "parts" / path.name).read_bytes() == path.read_bytes()


def test_missing_shard_and_shard_without_index_are_made_anew(small_set, tmp_path, capsys):
    dataset, out = whole_set(small_set), tmp_path / "out"
    make_records(dataset, out, "all", 3, FORM, processes=1)
    before = {path.name: path.read_bytes() for path in out.glob("all-*")}
    (out / "all-00001-of-00003").unlink()
    (out / "all-00002-of-00003").write_bytes(b"of a job that was killed")
    report = make_records(dataset, out, "all", 3, FORM, processes=1)
    assert (report.written, report.kept) == (2, 1)
    assert "all-00002-of-00003: its index" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in out.glob("all-*")} == before


def test_other_settings_and_other_files_are_not_replaced(small_set, tmp_path):
    dataset, out = whole_set(small_set), tmp_path / "out"
    make_records(dataset, out, "all", 1, FORM, processes=1)
    other = dataclasses.replace(FORM, short_side=18)
    with pytest.raises(ValueError, match="made with other settings: short_side 20, not 18"):
        make_records(dataset, out, "all", 1, other, processes=1)
    fewer = dataclasses.replace(dataset, examples=dataset.examples[1:])
    with pytest.raises(ValueError, match="made with other settings: videos"):
        make_records(fewer, out, "all", 1, FORM, processes=1)
    assert make_records(dataset, out, "all", 1, other, processes=1, overwrite=True).written == 1
    (out / "own-00000-of-00001").write_text("the user's")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="was not written by this command"):
            make_records(dataset, out, "own", 1, FORM, processes=1, overwrite=overwrite)
    assert (out / "own-00000-of-00001").read_text() == "the user's"


def test_stopped_shard_leaves_nothing(small_set, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(make_records_file, "write_index", stop)
    with pytest.raises(KeyboardInterrupt):
        make_records(small_set, tmp_path / "out", "all", 1, FORM, processes=1)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "n" * 300])
def test_names_that_no_shard_can_have_are_one_line(small_set, tmp_path, name):
    with pytest.raises(ValueError, match="`name` must be the start of a file's name"):
        make_records(small_set, tmp_path, name, 1, FORM)


def test_entries_tell_cuts_and_repeated_videos_apart(small_set):
    first = small_set.examples[0]
    examples = (
        first,
        dataclasses.replace(first, start=1.5, end=2.0),
        dataclasses.replace(first, end=2.0),
        dataclasses.replace(first, label=1),
    )
    dataset = VideoDataset(examples, ("grey", "b"), small_set.report)
    assert [(entry.name, entry.position) for entry in entries_of(dataset)] == [
        ("grey/0.mp4", 0),
        ("grey/0.mp4#1.5-2", 1),
        ("grey/0.mp4#0-2", 2),
        ("grey/0.mp4#2", 3),
    ]


def test_tool_writes_records_and_exits_with_1_where_a_video_is_left_out(
    small_dir, tmp_path, run_tool
):
    flags = (
        f"--data_dir={small_dir}",
        f"--output_dir={tmp_path}/out %d",
        "--shards=1",
        "--processes=1",
        "--short_side=20",
    )
    status, lines, errors = run_tool("make_records", *flags)
    assert (status, len(errors)) == (1, 1)
    assert "4 records; 1 shards written, 0 already there, 0 failed; 1 videos left out" in lines[-2]
    (small_dir / "grey" / "broken.mp4").unlink()
    status, _, errors = run_tool("make_records", *flags)
    assert status == 1
    assert "made with other settings: videos" in errors[0]
    status, lines, errors = run_tool("make_records", *flags, "--overwrite")
    assert (status, errors) == (0, [])
    (shard,) = (tmp_path / "out %d").glob("records-00000-of-00001")
    assert read_index(str(shard)).records[0].name == "grey/0.mp4"


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("--data_dir=none", "there is no such folder"),
        ("--dataset=none", "`dataset` must be one of"),
        ("--split=none", "has no folder 'none'"),
        ("--shards=100000", "`shards` must be"),
        ("--short_side=0", "`short_side` must be"),
        ("--frame_rate=0", "`frame_rate` must be"),
    ],
)
def test_tool_refuses_in_one_line(small_dir, tmp_path, run_tool, flag, reason):
    flags = (f"--data_dir={small_dir}", f"--output_dir={tmp_path}/out")
    status, _, errors = run_tool("make_records", *flags, flag)
    assert (status, len(errors)) == (1, 1)
    assert reason in errors[0]
    assert not (tmp_path / "out").exists()
