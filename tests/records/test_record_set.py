"""Labels and order of records of this program, MediaSequence, DMVR and TF Models."""

import pytest
import tensorflow as tf
from records.test_index import sequence_example

from i3d_tf.records.index import RecordError, index_path
from i3d_tf.records.record_set import find_shards, read_records


@pytest.fixture
def write_shard(tmp_path):
    """Function: (name, contexts) -> writes a shard of records with these contexts."""

    def write(name, *contexts):
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            for context in contexts:
                writer.write(sequence_example(context).SerializeToString())
        return str(tmp_path)

    return write


def labels(records):
    return [(example.label, example.class_name) for example in records.dataset.examples]


def kinetics(name, *label):
    return {"example/id": name, "clip/label/string": label[0]} | (
        {"clip/label/index": label[1]} if label[1:] else {}
    )


def test_records_have_the_order_and_labels_of_the_dataset(texture_records, texture_set):
    records = read_records(str(texture_records))
    assert records.dataset.class_names == texture_set.class_names
    wanted = [(example.label, example.class_name) for example in texture_set.examples]
    assert labels(records) == wanted
    names = [example.path.rpartition("/")[2] for example in records.dataset.examples]
    assert names == ["0 ü.mp4", "1 ü.mp4"] * 2
    assert records.dataset.examples[0].path == f"{texture_records}/left/0 ü.mp4"
    assert records.settings == {"format": "png", "frame_rate": 25.0, "short_side": 36}


def test_names_without_numbers_are_sorted(write_shard):
    folder = write_shard("k-00000-of-00001", kinetics("1", "yoga"), kinetics("2", "archery"))
    assert labels(read_records(folder)) == [(1, "yoga"), (0, "archery")]


def test_numbers_beside_names_are_kept(write_shard):
    folder = write_shard("k", kinetics("1", "a", 1), kinetics("2", "b", 0), kinetics("3", "a", 1))
    assert read_records(folder).dataset.class_names == ("b", "a")


@pytest.mark.parametrize("second", [0, 2])
def test_numbers_that_contradict_names_or_leave_gaps_are_not_used(write_shard, second):
    folder = write_shard("k", kinetics("1", "b", 0), kinetics("2", "a", second))
    assert read_records(folder).dataset.class_names == ("a", "b")


def test_numbers_of_dmvr_are_never_used(write_shard):
    first = {"clip/label/text": "b", "clip/label/index": 0}
    folder = write_shard("d", first, {"clip/label/text": "a", "clip/label/index": 1})
    records = read_records(folder)
    assert labels(records) == [(1, "b"), (0, "a")]
    assert [example.path for example in records.dataset.examples] == [
        f"{folder}/d#0",
        f"{folder}/d#1",
    ]


def test_numbers_alone_are_labels_and_classes_name_them(write_shard, tmp_path):
    folder = write_shard("t", {"clip/label/index": 2}, {"clip/label/index": 0})
    assert labels(read_records(folder)) == [(2, "class 2"), (0, "class 0")]
    assert labels(read_records(folder, ["x", "y", "z"])) == [(2, "z"), (0, "x")]


def test_classes_choose_records(write_shard):
    folder = write_shard("k", *(kinetics(str(n), name) for n, name in enumerate("abc")))
    records = read_records(folder, ["c", "a"])
    assert labels(records) == [(1, "a"), (0, "c")]
    assert records.dataset.report.left_out == 1


def test_same_names_are_told_apart(write_shard):
    folder = write_shard("k", kinetics("1", "a"), kinetics("1", "b"))
    paths = [example.path for example in read_records(folder).dataset.examples]
    assert paths == [f"{folder}/1", f"{folder}/1#2"]


def test_record_without_class_is_one_line(write_shard):
    folder = write_shard("k", kinetics("1", "a"), {"example/id": "2"})
    with pytest.raises(RecordError, match="k: record 1 has no class"):
        read_records(folder)


def test_names_and_numbers_alone_do_not_mix(write_shard):
    folder = write_shard("k", kinetics("1", "a"), {"clip/label/index": 1})
    with pytest.raises(ValueError, match="some of its records have a class name"):
        read_records(folder)


def test_find_shards_of_file_folder_and_pattern(texture_records):
    shards = [str(texture_records / f"all-0000{index}-of-00002") for index in range(2)]
    assert find_shards(str(texture_records)) == shards
    assert find_shards(shards[1]) == shards[1:]
    assert find_shards(f"{texture_records}/all-*") == shards
    assert find_shards(f"{texture_records}/all-0000?-of-00002") == shards
    assert index_path(shards[0]).endswith("-of-00002.index.json")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("none/train-*", "there is no such shard"),
        ("s3://bucket/train-*", "must be on this machine or at gs://"),
    ],
)
def test_find_shards_says_why_there_is_none(pattern, reason):
    with pytest.raises(ValueError, match=f"`records` .*{reason}"):
        find_shards(pattern)
