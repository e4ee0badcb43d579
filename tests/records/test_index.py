"""Indexes of shards that this program and others wrote."""

import json
import math
import shutil
import struct
from pathlib import Path

import pytest
import tensorflow as tf

from i3d_tf.records import keys
from i3d_tf.records.index import (
    FRAME_BYTES,
    Record,
    RecordError,
    describe_record,
    index_path,
    read_index,
    scan_shard,
)
from i3d_tf.records.write import add_values

SECOND = 1_000_000  # microseconds


def sequence_example(context, pictures=(b"a", b"b"), times=()):
    """A SequenceExample with values of its context, and pictures."""
    example = tf.train.SequenceExample()
    for key, value in context.items():
        add_values(example.context.feature[key], value)
    lists = example.feature_lists.feature_list
    for picture in pictures:
        add_values(lists["image/encoded"].feature.add(), picture)
    for time in times:
        add_values(lists["image/timestamp"].feature.add(), time)
    return example


def described(context, **lists):
    content = sequence_example(context, **lists).SerializeToString()
    return describe_record(content, "shard", 3, 100)


def test_describe_record_of_media_sequence():
    context = {
        "example/id": "abc_000001",
        "clip/media_id": "abc",
        "clip/label/index": [7],
        "clip/label/string": ["abseiling"],
        "image/frame_rate": 25.0,
        "image/height": 256,
        "image/width": 340,
    }
    record = described(context)
    assert record.name == "abc_000001"
    assert (record.label, record.label_text, record.is_label_trusted) == (7, "abseiling", True)
    assert (record.frames, record.frame_rate, record.height, record.width) == (2, 25.0, 256, 340)
    assert (record.offset, record.position, record.frame_count) == (100, None, None)


def test_numbers_that_count_nothing_are_unknown():
    context = {
        "clip/label/index": -1,
        "image/height": -256,
        "image/width": 340.0,
        "image/frame_rate": math.nan,
    }
    record = described(context)
    assert (record.label, record.height, record.width, record.frame_rate) == (None, 0, 0, None)


def test_index_of_a_record_with_damaged_numbers_is_read_again(tmp_path):
    example = sequence_example({"clip/label/index": -1, "image/width": 2**62})
    lists = example.feature_lists.feature_list
    add_values(lists["region/timestamp"].feature.add(), 2**62)
    for side, value in zip(("ymin", "xmin", "ymax", "xmax"), (0.0, 0.0, 1.0, 1.0), strict=True):
        add_values(lists[f"region/bbox/{side}"].feature.add(), value)
    shard = str(tmp_path / "shard")
    with tf.io.TFRecordWriter(shard) as writer:
        writer.write(example.SerializeToString())
    first = read_index(shard)
    assert Path(index_path(shard)).exists()
    assert read_index(shard) == first
    assert first.records[0].persons[0].regions[0].box == (0, 0, 1, 1)


def test_describe_record_of_charades_has_segments_and_rate_of_its_times():
    context = {
        "example/id": "AO8RW",
        "segment/start/timestamp": [0, 2 * SECOND],
        "segment/end/timestamp": [SECOND, 3 * SECOND],
        "segment/label/index": [92, 147],
        "segment/label/string": ["c092", "c147"],
    }
    record = described(context, pictures=(b"a", b"b", b"c"), times=(0, 41667, 83333))
    assert record.segments == ((0.0, 1.0, "c092"), (2.0, 3.0, "c147"))
    assert record.frame_rate == pytest.approx(24, abs=0.01)
    assert (record.label, record.label_text) == (None, None)


def test_describe_record_of_dmvr_does_not_trust_its_numbers():
    record = described({"clip/label/index": 3, "clip/label/text": "run", "video/filename": "a"})
    assert (record.label_text, record.is_label_trusted, record.name) == ("run", False, "shard#3")


def test_describe_record_of_tf_models_has_number_alone():
    record = described({"clip/label/index": 5})
    assert (record.label, record.label_text, record.is_label_trusted) == (5, None, True)


@pytest.mark.parametrize("content", [b"\xff" * 9, b""])
def test_describe_record_refuses_others(content):
    with pytest.raises(RecordError, match=r"^shard: record 3 (is no SequenceExample|has no image)"):
        describe_record(content, "shard", 3, 0)


def test_offsets_are_those_of_records_in_the_file(texture_records):
    (shard, _) = sorted(texture_records.glob("all-0000?-of-00002"))
    content = shard.read_bytes()
    offset = 0
    for record in read_index(str(shard)).records:
        assert record.offset == offset
        assert struct.unpack_from("<Q", content, offset) == (record.length,)
        offset += FRAME_BYTES + record.length
    assert offset == len(content)


def test_scan_finds_what_the_writer_knew(texture_records):
    for shard in map(str, texture_records.glob("all-0000?-of-00002")):
        assert tuple(scan_shard(shard)) == read_index(shard).records


def test_index_is_made_of_a_shard_without_and_kept_beside_it(texture_records, tmp_path):
    source = str(min(texture_records.glob("all-0000?-of-00002")))
    shard = shutil.copy(source, tmp_path / "a b%.tfrecord")
    wanted = read_index(source).records
    assert read_index(str(shard)).records == wanted
    assert (tmp_path / "a b%.tfrecord.index.json").exists()
    assert read_index(str(shard)).records == wanted


def test_index_of_a_folder_that_cannot_be_written_is_kept_in_the_cache(
    texture_records, tmp_path, monkeypatch
):
    source = str(min(texture_records.glob("all-0000?-of-00002")))
    shard = shutil.copy(source, tmp_path / "shard")
    monkeypatch.setenv("I3D_TF_HOME", str(tmp_path / "home"))
    # A link to nowhere in a folder that does not exist: as root, permissions stop nobody.
    monkeypatch.setattr("i3d_tf.records.index.index_path", lambda shard: f"/proc/none/{shard}")
    wanted = read_index(str(shard)).records
    assert len(list((tmp_path / "home").rglob("*.index.json"))) == 1
    monkeypatch.setattr("i3d_tf.records.index.scan_shard", None)
    assert read_index(str(shard)).records == wanted


@pytest.mark.parametrize("change", ["longer", "other"])
def test_stale_index_is_refused(texture_records, tmp_path, change):
    source = str(min(texture_records.glob("all-0000?-of-00002")))
    shard = shutil.copy(source, tmp_path / "shard")
    shutil.copy(index_path(source), index_path(str(shard)))
    content = bytearray((tmp_path / "shard").read_bytes())
    content = content + b"x" if change == "longer" else content[:-1] + b"x"
    (tmp_path / "shard").write_bytes(content)
    with pytest.raises(RecordError, match=r"shard: its index .* is of another shard .*Remove"):
        read_index(str(shard))


def test_damaged_index_is_one_line(texture_records, tmp_path):
    source = str(min(texture_records.glob("all-0000?-of-00002")))
    shard = shutil.copy(source, tmp_path / "shard")
    for text in ("{", "[]", '{"description": "i3d_tf record index", "version": 1}'):
        (tmp_path / "shard.index.json").write_text(text)
        with pytest.raises(ValueError, match=r"index.json: not the index of a shard .*Remove it"):
            read_index(str(shard))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("offset", -1), ("frames", "2"), ("label", 0.5), ("frame_rate", 0), ("name", None)),
        *(("flow_rounding", "up"), ("segments", [[0, 1]]), ("segments", 3), ("other", 1)),
        *(("offset", 2**70), ("length", 10**6), ("frame_rate", math.nan), ("frame_rate", 10**400)),
        *(("persons", [[math.nan, []]]), ("height", 2**63)),
    ],
)
def test_index_with_a_value_of_another_kind_is_one_line(texture_records, tmp_path, name, value):
    source = str(min(texture_records.glob("all-0000?-of-00002")))
    shard = shutil.copy(source, tmp_path / "shard")
    fields = json.loads(Path(index_path(source)).read_text("utf-8"))
    fields["records"][0][name] = value
    (tmp_path / "shard.index.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=r"index.json: not the index of a shard .*Remove it"):
        read_index(str(shard))


def test_damaged_and_compressed_shards_are_one_line(texture_records, tmp_path):
    source = min(texture_records.glob("all-0000?-of-00002"))
    content = bytearray(source.read_bytes())
    content[200] ^= 1
    (tmp_path / "shard").write_bytes(content)
    with pytest.raises(RecordError, match=r"shard: record 0 at byte 0: .*corrupted"):
        read_index(str(tmp_path / "shard"))
    with tf.io.TFRecordWriter(str(tmp_path / "zipped"), "GZIP") as writer:
        writer.write(b"a")
    with pytest.raises(RecordError, match=r"zipped: it is compressed \(gzip\).* unpack it"):
        read_index(str(tmp_path / "zipped"))


def test_keys_are_those_of_media_sequence():
    assert keys.FLOW_ENCODED == "FORWARD_FLOW/image/encoded"
    assert Record("a", 0, 1, 2).flow_rounding == "nearest"
