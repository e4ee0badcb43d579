"""Batches of records are those of the videos that they were made of."""

import dataclasses
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.data.flow_store import FlowStore
from i3d_tf.data.pipeline import Failures, PipelineConfig, evaluation_clips, train_batches
from i3d_tf.records.index import FRAME_BYTES, scan_shard
from i3d_tf.records.make_records import FlowOptions, make_records
from i3d_tf.records.pipeline import (
    FailedRecords,
    RecordConfig,
    plan_dataset,
    read_record_frames,
    record_batches,
    stored_fields,
    stored_frames,
)
from i3d_tf.records.record_format import RecordFormat
from i3d_tf.records.record_set import Place, read_records
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms import resize_short_side

PROTOCOL = Protocol(frames=8, short_side=36, crop_size=32)
DEFAULTS = {"streams": ("rgb",), "batch_size": 2, "seed": 3, "protocol": PROTOCOL}
EPOCHS_3 = 6  # steps: three times four videos, two a batch


def of_videos(dataset, **changes):
    return PipelineConfig(**{"examples": dataset.examples, **DEFAULTS, **changes})


def of_records(records, **changes):
    fields = {"examples": records.dataset.examples, "places": records.places}
    return RecordConfig(**{**fields, **DEFAULTS, **changes})


def batches_of(config, first=0, last=EPOCHS_3):
    """The arrays of each batch, in order; there must be no failure."""
    failures = Failures()
    if isinstance(config, RecordConfig):
        failed = FailedRecords(config)
        made = record_batches(config, first, last, failures, failed)
        assert len(made) == last - first
    else:
        made = train_batches(config, first, last, failures)
    found = [tf.nest.map_structure(np.array, batch) for batch in made]
    assert failures.reasons == {}
    assert not isinstance(config, RecordConfig) or failed.reasons() == {}
    return found


def assert_same(some, others):
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


@pytest.fixture(scope="module")
def records(texture_records):
    return read_records(str(texture_records))


def test_batches_of_three_epochs_are_those_of_videos(texture_set, records):
    found = batches_of(of_records(records))
    assert found[0][0].shape == (2, 8, 32, 32, 3)
    assert_same(found, batches_of(of_videos(texture_set)))


VARIANTS = {
    "looped": {"protocol": dataclasses.replace(PROTOCOL, frames=70)},
    "steps": {"protocol": dataclasses.replace(PROTOCOL, frames=15, rgb_step=5)},
    "looped steps": {"protocol": dataclasses.replace(PROTOCOL, frames=70, rgb_step=4)},
    "snippets": {"protocol": dataclasses.replace(PROTOCOL, frames=2, segments=3)},
    "many snippets": {"protocol": dataclasses.replace(PROTOCOL, frames=4, segments=9)},
    "resized": {"protocol": dataclasses.replace(PROTOCOL, crop_size=20)},
    "jitter": {"jitter": 0.4},
    "frozen": {"freeze_time": True, "jitter": 0.4},
    "not mirrored, later epochs": {"flip": False, "epoch_start": 6, "seed": 0},
    "crops of TSN": {"crop_scales": (1.0, 0.875, 0.75, 0.66), "jitter": 0.4},
    "crops of TSN, enlarged": {
        "crop_scales": (0.9, 0.5, 0.25),
        "protocol": dataclasses.replace(PROTOCOL, crop_size=36),
    },
    "class weights": {"class_weights": (0.5, 1.5)},
    "the second of two processes": {"share": (1, 2)},
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_batches_are_those_of_videos(texture_set, records, changes):
    first = 3 if "epoch_start" in changes else 0
    found = batches_of(of_records(records, **changes), first)
    assert_same(found, batches_of(of_videos(texture_set, **changes), first))


@pytest.mark.slow
def test_batches_of_cuts_are_those_of_videos(texture_set, tmp_path):
    cuts = [
        dataclasses.replace(example, start=start, end=end)
        for example in texture_set.examples
        for start, end in ((0.12, 0.71), (0.5, None))
    ]
    report = dataclasses.replace(texture_set.report, rows=8, found=8)
    dataset = dataclasses.replace(texture_set, examples=tuple(cuts), report=report)
    make_records(dataset, tmp_path, form=RecordFormat("png", short_side=36), processes=1)
    records = read_records(str(tmp_path))
    names = [example.path.rpartition("/")[2] for example in records.dataset.examples]
    assert names[:2] == ["0 ü.mp4#0.12-0.71", "0 ü.mp4#0.5-"]
    changes = {"protocol": dataclasses.replace(PROTOCOL, frames=20)}
    assert_same(
        batches_of(of_records(records, **changes)), batches_of(of_videos(dataset, **changes))
    )


@pytest.fixture(scope="module")
def flow_records(texture_dir, texture_set, tmp_path_factory):
    """Records with flow, and a function of a protocol to the store of the same flow."""
    folder = tmp_path_factory.mktemp("flow records")
    flow_dir = tmp_path_factory.mktemp("flow")
    flow = FlowOptions(str(flow_dir), str(texture_dir), "dis")
    make_records(
        texture_set, folder, "both", 1, RecordFormat("png", short_side=36), flow, processes=1
    )
    records = read_records(str(folder))
    return records, lambda protocol: FlowStore(flow_dir, protocol, texture_dir, "dis")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "looped", "snippets", "frozen", "looped steps"])
def test_two_streams_are_those_of_videos(texture_set, flow_records, name):
    records, store = flow_records
    changes = {"streams": ("rgb", "flow"), **VARIANTS.get(name, {})}
    protocol = changes.get("protocol", PROTOCOL)
    videos = of_videos(texture_set, flow_store=store(protocol), **changes)
    found = batches_of(of_records(records, **changes))
    assert_same(found, batches_of(videos))
    assert name == "frozen" or np.abs(found[0][0]["flow"]).max() > 0.04  # a pixel a frame


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [{}, {"windows": 3, "crops": 2}, {"segments": 2}])
def test_evaluation_clips_are_those_of_videos(texture_set, records, protocol):
    changes = {"protocol": dataclasses.replace(PROTOCOL, **protocol)}
    clips = [
        list(evaluation_clips(config, Failures()).as_numpy_iterator())
        for config in (of_records(records, **changes), of_videos(texture_set, **changes))
    ]
    assert_same(*clips)


@pytest.mark.slow
def test_jpeg_records_differ_by_the_codec_alone(texture_set, tmp_path):
    form = RecordFormat("jpeg", quality=95, short_side=36)
    make_records(texture_set, tmp_path, form=form, processes=1)
    records = read_records(str(tmp_path))
    found = batches_of(of_records(records))
    wanted = batches_of(of_videos(texture_set))
    errors = np.concatenate([codec_errors(example.path) for example in texture_set.examples])
    for one, other in zip(found, wanted, strict=True):
        assert_same([one[1:]], [other[1:]])
        difference = np.abs(one[0] - other[0]) * 127.5
        assert difference.max() < errors.max() + 0.01
        assert difference.mean() < 1.3 * errors.mean()  # a clip is a part of all frames
        assert difference.mean() > 0.7 * errors.mean()


def codec_errors(path):
    """Differences in levels between the frames of a video and the same after JPEG."""
    errors = []
    for frame in resize_short_side(read_clip(path, 25), 36):
        encoded = tf.io.encode_jpeg(frame, quality=95)
        decoded = tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE").numpy()
        errors.append(np.abs(decoded.astype(float) - frame))
    return np.stack(errors)


def damaged(records_dir, folder, number, change):
    """A copy of the records, one of which has another byte in it; and the record."""
    shutil.copytree(records_dir, folder)
    records = read_records(str(folder))
    example = records.dataset.examples[number]
    place = records.places[example.path]
    shard = Path(place.shard)
    content = bytearray(shard.read_bytes())
    change(content, place.record)
    shard.write_bytes(content)  # after the index was read, as a disk that fails during a training
    return records, example, place


def flip_a_bit(content, record):
    content[record.offset + record.length // 2] ^= 1


def break_pictures(content, record):
    """Makes the pictures of a record none, and its checksum right."""
    start, end = record.offset, record.offset + FRAME_BYTES + record.length
    whole = bytes(content[start + 12 : end - 4]).replace(b"\x89PNG", b"\x89XYZ")
    path = "ram://one"
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(whole)
    content[start:end] = tf.io.gfile.GFile(path, "rb").read()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason"),
    [(flip_a_bit, "corrupted record"), (break_pictures, "Unknown image file format")],
)
def test_damaged_record_is_reported_and_weighs_nothing(
    texture_records, records, tmp_path, change, reason
):
    broken, example, place = damaged(texture_records, tmp_path / "copy", 2, change)
    config = of_records(broken)
    failures, failed = Failures(), FailedRecords(config)
    made = record_batches(config, 0, 4, failures, failed)
    found = [tf.nest.map_structure(np.array, batch) for batch in made]
    weights = np.concatenate([weights for *_, weights in found])
    paths = [path for step in range(4) for path in config.paths(step)]
    assert [path == example.path for path in paths] == (weights == 0).tolist()
    assert weights.sum() == 6
    clips = np.concatenate([clips for clips, *_ in found])
    others = np.concatenate([clips for clips, *_ in batches_of(of_records(records), 0, 4)])
    np.testing.assert_array_equal(clips[weights > 0], others[weights > 0])
    assert (clips[weights == 0] == -1).all()  # black
    where = f"{place.shard}, record {place.number} at byte {place.record.offset}: "
    assert list(failed.reasons()) == [example.path]
    assert failed.reasons()[example.path].startswith(where)
    assert reason in failed.reasons()[example.path]


def test_plan_has_a_row_for_each_clip_and_reads_nothing(records, monkeypatch):
    config = of_records(records, class_weights=(0.5, 1.5))
    rows = list(plan_dataset(config, 1, 3, Failures()).as_numpy_iterator())
    examples = [config.read(position) for position in range(2, 6)]
    assert [row["label"] for row in rows] == [example.label for example in examples]
    assert [row["weight"] for row in rows] == [0.5 + example.label for example in examples]
    for row, example in zip(rows, examples, strict=True):
        assert config.examples[row["example"]] is example
        assert row["offset"] == config.places[example.path].record.offset
        assert (np.diff(row["rgb"]) == 1).all()


@pytest.mark.parametrize(
    ("indices", "frames", "ratio", "wanted"),
    [
        ([2, 3, 4], 9, (1, 1), [2, 3, 4]),
        ([2, 3, 4, 5], 4, (1, 1), [2, 3, 2, 3]),  # two frames are there, and get looped
        ([1, 4, 7], 6, (1, 1), [1, 4, 1]),
        ([0, 1, 2, 3], 9, (1, 2), [0, 0, 1, 1]),  # 12.5 a second: the earlier of equally near
        ([0, 1, 2, 3], 9, (2, 1), [0, 2, 4, 6]),  # 50 a second
        ([0, 1, 2, 3], 4, (2, 1), [0, 2, 0, 2]),
    ],
)
def test_stored_frames(indices, frames, ratio, wanted):
    assert stored_frames(np.array(indices), frames, ratio).tolist() == wanted


def test_stored_fields_start_over():
    assert stored_fields(np.array([2, 3, 4]), 9).tolist() == [2, 3, 4]
    assert stored_fields(np.array([2, 3, 4, 5]), 4).tolist() == [2, 3, 2, 3]
    with pytest.raises(ValueError, match="its flow ends before frame 4"):
        stored_fields(np.array([4]), 4)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"heads": ("a", "b")}, "`records` are for one dataset of videos"),
        (
            {"crop_scales": (1.0, 0.75), "streams": ("flow",)},
            "`crop_scales` must be None for flow of records",
        ),
        ({"streams": ("flow",)}, r"record \d has no flow. Make records with --flow_dir"),
        (
            {
                "streams": ("flow",),
                "protocol": dataclasses.replace(PROTOCOL, flow_direction="both"),
            },
            "`flow_direction` must be forward",
        ),
    ],
)
def test_settings_that_records_cannot_serve_are_one_line(records, changes, reason):
    with pytest.raises(ValueError, match=reason):
        of_records(records, **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"protocol": dataclasses.replace(PROTOCOL, short_side=40)}, "of short side 36, not 40"),
        ({"protocol": dataclasses.replace(PROTOCOL, frame_rate=10)}, "at 25 frames per second"),
        ({"flow_rounding": "floor"}, "rounded as 'nearest', not 'floor'"),
    ],
)
@pytest.mark.slow
def test_flow_of_another_kind_is_one_line(flow_records, changes, reason):
    with pytest.raises(ValueError, match=reason):
        of_records(flow_records[0], streams=("flow",), **changes)


@pytest.mark.slow
@pytest.mark.parametrize("label", [{"clip/label/text": b"run"}, {"clip/label/index": 0}])
def test_frames_of_other_programs_are_resampled_and_resized(tmp_path, label):
    context = {key: feature(value) for key, value in label.items()}
    pictures = [
        tf.io.encode_jpeg(np.full((72, 90, 3), 4 * number, np.uint8), quality=100).numpy()
        for number in range(60)
    ]
    times = [round(1e6 * number / 50) for number in range(60)]  # 50 frames a second
    example = tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(
            feature_list={
                "image/encoded": tf.train.FeatureList(feature=map(feature, pictures)),
                "image/timestamp": tf.train.FeatureList(feature=map(feature, times)),
            }
        ),
    )
    with tf.io.TFRecordWriter(str(tmp_path / "other.tfrecord")) as writer:
        writer.write(example.SerializeToString())
    records = read_records(str(tmp_path))
    config = of_records(records, batch_size=1)
    assert config.count(records.dataset.examples[0]) == 30
    for position, (clips, labels, weights) in enumerate(batches_of(config)):
        assert (labels.tolist(), weights.tolist()) == ([0], [1.0])
        view = config.sample(position, records.dataset.examples[0])
        levels = np.rint((clips + 1) * 127.5).astype(int)
        assert np.ptp(levels, axis=(2, 3, 4)).max() == 0
        np.testing.assert_array_equal(levels[0, :, 0, 0, 0], 8 * view.indices)


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def png(width, height):
    """A PNG of one pixel that says it has others."""
    content = bytearray(tf.io.encode_png(np.zeros((1, 1, 3), np.uint8)).numpy())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [(png(60_000, 60_000), "too much memory"), (png(1, 1)[:20], "Invalid PNG")],
    ids=["large", "short"],
)
def test_picture_that_is_too_large_is_not_decoded(tmp_path, picture, reason):
    example = tf.train.SequenceExample()
    frames = example.feature_lists.feature_list["image/encoded"]
    for content in (png(1, 1), picture):
        frames.feature.add().bytes_list.value.append(content)
    shard = str(tmp_path / "shard")
    with tf.io.TFRecordWriter(shard) as writer:
        writer.write(example.SerializeToString())
    place = Place(shard, 0, *scan_shard(shard))
    assert read_record_frames("video", place, [0, 0]).shape == (2, 1, 1, 3)
    with pytest.raises(VideoError, match=f"record 0 at byte 0: .*{reason}"):
        read_record_frames("video", place, [1])
