"""Records of actions in time and of persons in boxes: batches are those of the videos."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.data.ava import read_label_map
from i3d_tf.data.pipeline import Failures, PipelineConfig, evaluation_clips, train_batches
from i3d_tf.data.readers import read_dataset
from i3d_tf.data.views import View
from i3d_tf.inference import frame_logits
from i3d_tf.inference.person_clips import BoxCounts, key_frame_clips, person_batches
from i3d_tf.inference.person_dataset import (
    read_person_dataset,
    read_person_videos,
    without_empty_frames,
)
from i3d_tf.models.inception import inception_i3d
from i3d_tf.records.index import RecordError, index_path, read_index, scan_shard
from i3d_tf.records.make_records import make_records
from i3d_tf.records.pipeline import FailedRecords, RecordConfig, record_batches
from i3d_tf.records.record_format import RecordFormat
from i3d_tf.records.record_set import each_key_frame, read_interval_records, read_person_records
from i3d_tf.records.regions import shortest_decimal
from i3d_tf.specs.protocol import Protocol

PROTOCOL = Protocol(frames=8, short_side=36, crop_size=32)
FORM = RecordFormat("png", short_side=36)
STEPS = 6
ACTIONS = [  # with moments, an action past the end, and one of a single frame
    *("left/0 ü,0.12,0.48,walk", "left/0 ü,0.36,9,sit", "left/1 ü,0.2,0.2,sit"),
    *("left/1 ü,0.333333,0.7,walk", "right/0 ü,,,", "right/1 ü,0,0.28,walk"),
]
PERSONS = [
    *("left/0 ü,900.3,0.123,0.05,0.611,0.937,12,0", "left/0 ü,900.3,0.123,0.05,0.611,0.937,79,0"),
    *("left/0 ü,900.3,0.5,0.1,0.999,0.9,12,1", "left/0 ü,900.9,0.2,0.3,0.31,0.77,79,0"),
    *(
        "left/1 ü,900.02,0.001,0.002,0.4,0.9,12,0",
        "right/0 ü,900.5",
        "right/1 ü,901.1,0,0,1,1,79,3",
    ),
]


@pytest.fixture(scope="module")
def timed(texture_dir, tmp_path_factory):
    """The videos with actions in time, and their records."""
    folder = tmp_path_factory.mktemp("actions")
    (folder / "when.csv").write_text("\n".join(["id,start,end,class", *ACTIONS]) + "\n", "utf-8")
    dataset = read_dataset("intervals", texture_dir, None, str(folder / "when.csv"))
    assert [len(example.intervals) for example in dataset.examples] == [2, 2, 0, 1]
    make_records(dataset, folder, "timed", 2, FORM, processes=1)
    return dataset, read_interval_records(f"{folder}/timed-*")


@pytest.fixture(scope="module")
def boxed(texture_dir, tmp_path_factory):
    """The videos with persons in boxes, an example for each key frame, and their records."""
    folder = tmp_path_factory.mktemp("persons")
    (folder / "boxes.csv").write_text("\n".join(PERSONS) + "\n", "utf-8")
    items = (f'item {{\n name: "{name}"\n id: {n}\n}}' for n, name in ((79, "talk"), (12, "stand")))
    (folder / "map.pbtxt").write_text("\n".join(items))
    files = str(texture_dir), folder / "boxes.csv"
    dataset, action_ids = read_person_videos(*files, folder / "map.pbtxt", 25.0, time_offset=900.0)
    make_records(dataset, folder, "boxed", 2, FORM, processes=1, action_ids=action_ids)
    actions = read_label_map(folder / "map.pbtxt")
    of_videos = read_person_dataset(*files, actions, 25.0, time_offset=900.0)
    return of_videos, each_key_frame(read_person_records(f"{folder}/boxed-*"))


def configs(dataset, records, **changes):
    """Settings of the videos, and of the records."""
    fields = {
        "streams": ("rgb",),
        "protocol": PROTOCOL,
        "batch_size": 2,
        "seed": 3,
        "jitter": 0.4,
        "classes": 2,
        **changes,
    }
    of_records = RecordConfig(examples=records.dataset.examples, places=records.places, **fields)
    return PipelineConfig(examples=dataset.examples, **fields), of_records


def assert_same(some, others):
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_actions_are_those_of_the_videos(timed):
    dataset, records = timed
    assert records.dataset.class_names == dataset.class_names == ("sit", "walk")
    assert [each.intervals for each in records.dataset.examples] == [
        each.intervals for each in dataset.examples
    ]


@pytest.mark.parametrize("task", ["frames", pytest.param("multilabel", marks=pytest.mark.slow)])
@pytest.mark.parametrize("frames", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_batches_with_actions_are_those_of_videos(timed, task, frames):
    protocol = dataclasses.replace(PROTOCOL, frames=frames)
    of_videos, of_records = configs(*timed, task=task, protocol=protocol)
    failures, failed = Failures(), FailedRecords(of_records)
    found = list(record_batches(of_records, 0, STEPS, failures, failed).as_numpy_iterator())
    wanted = list(train_batches(of_videos, 0, STEPS, failures).as_numpy_iterator())
    assert_same(found, wanted)
    assert found[0][1].shape == ((2, frames, 2) if task == "frames" else (2, 2))
    targets = np.concatenate([labels for _, labels, _ in found])
    assert 0 < targets.mean() < 1
    assert failures.reasons == failed.reasons() == {}


@pytest.mark.slow
def test_test_clips_of_actions_are_those_of_videos(timed):
    clips = [
        list(evaluation_clips(config, Failures()).as_numpy_iterator())
        for config in configs(*timed, task="frames")
    ]
    assert_same(*clips)
    of_videos, of_records = configs(*timed, task="frames")
    for example, other in zip(of_videos.examples, of_records.examples, strict=True):
        view = View(np.arange(5, 13))
        assert_same(of_records.decode(other, view), of_videos.decode(example, view))


@pytest.mark.slow
def test_frame_logits_are_those_of_videos(timed, monkeypatch):
    monkeypatch.setattr(frame_logits, "FRAMES_AT_ONCE", 12)  # of 30, so that parts are put together
    model = inception_i3d(input_shape=(None, 32, 32, 3), classes=2, width_multiplier=1 / 16)
    failures = Failures()
    found, wanted = (
        [logits.steps for _, logits in frame_logits.FrameLogits(model, config).of_all(failures)]
        for config in configs(*timed, task="frames")
    )
    assert_same(found, wanted)
    assert (len(found), failures.reasons) == (4, {})


@pytest.mark.slow
def test_unreadable_record_has_no_action_and_no_weight(timed):
    _, of_records = configs(*timed, task="frames")
    place = of_records.places[of_records.examples[0].path]
    damaged = dataclasses.replace(place.record, offset=place.record.offset + 1)
    places = {
        **of_records.places,
        of_records.examples[0].path: dataclasses.replace(place, record=damaged),
    }
    config = dataclasses.replace(of_records, places=places)
    failed = FailedRecords(config)
    made = list(record_batches(config, 0, 2, Failures(), failed).as_numpy_iterator())
    weights = np.concatenate([weights for *_, weights in made])
    targets = np.concatenate([targets for _, targets, _ in made])
    assert sorted(weights) == [0, 1, 1, 1]
    assert not targets[weights == 0].any()
    assert list(failed.reasons()) == [config.examples[0].path]


def test_persons_are_those_of_the_videos(boxed):
    dataset, records = boxed
    assert records.dataset.class_names == dataset.class_names == ("talk", "stand")
    found, wanted = (
        [(frame.time, [person[:2] for person in frame.persons]) for (frame,) in key_frames]
        for key_frames in (
            [each.key_frames for each in examples]
            for examples in (records.dataset.examples, dataset.examples)
        )
    )
    assert found == wanted
    assert len(found) == 5


@pytest.mark.slow
def test_batches_of_persons_are_those_of_videos(boxed):
    dataset = without_empty_frames(boxed[0])
    records = dataclasses.replace(boxed[1], dataset=without_empty_frames(boxed[1].dataset))
    found, wanted = (
        list(person_batches(config, 2, 0, STEPS, Failures(), BoxCounts()).as_numpy_iterator())
        for config in configs(dataset, records, task="persons")
    )
    assert_same(found, wanted)
    (inputs, targets, weights) = found[0]
    assert (inputs["clip"].shape, inputs["boxes"].shape) == ((2, 8, 32, 32, 3), (2, 2, 4))
    assert (targets.shape, weights.shape) == ((2, 2, 2), (2, 2))
    of_key_frames = [
        list(key_frame_clips(config, Failures()).as_numpy_iterator())
        for config in configs(*boxed, task="persons")
    ]
    assert_same(*of_key_frames)
    assert of_key_frames[0][0][0]["clip"].shape == (1, 8, 36, 60, 3)  # whole frames
    assert len(of_key_frames[0]) == 4  # nobody is in the fifth


def test_size_of_frames_is_that_of_the_first_where_a_record_does_not_say(boxed):
    _, config = configs(*boxed, task="persons")
    example = config.examples[0]
    place = config.places[example.path]
    assert config.frame_size(example) == (36, 60)
    silent = dataclasses.replace(place, record=dataclasses.replace(place.record, height=0))
    other = dataclasses.replace(config, places={example.path: silent})
    assert other.frame_size(example) == (36, 60)


@pytest.mark.parametrize("value", [0.123, 0.1, 0.999999, 1 / 3, 0.0, 1.0])
def test_shortest_decimal_is_what_was_written(value):
    written = round(value, 6)
    assert shortest_decimal(float(np.float32(written))) == written


def change_index(records, change):
    """Writes the indexes anew with other contents of their records."""
    for shard in {place.shard for place in records.places.values()}:
        path = Path(index_path(shard))
        content = json.loads(path.read_text("utf-8"))
        change(content)
        path.write_text(json.dumps(content), "utf-8")


@pytest.fixture
def own_records(timed, tmp_path):
    """A copy of the records of actions, and its folder."""
    shard = next(iter(timed[1].places.values())).shard
    folder = shutil.copytree(Path(shard).parent, tmp_path / "own")
    pattern = f"{folder}/timed-*"
    return read_interval_records(pattern), pattern


def test_actions_are_found_by_name(own_records):
    records, folder = own_records
    one = read_interval_records(folder, ["run", "walk"]).dataset
    assert one.class_names == ("run", "walk")
    assert [[i.label for i in e.intervals] for e in one.examples] == [[1], [1], [], [1]]

    def number(content):
        del content["class_names"]
        for row in content["records"]:
            for segment in row.get("segments", ()):
                segment[2] = {"sit": 0, "walk": 3}[segment[2]]

    change_index(records, number)
    numbered = read_interval_records(folder).dataset
    assert numbered.class_names == ("class 0", "class 1", "class 2", "class 3")
    assert [[i.label for i in e.intervals] for e in numbered.examples] == [[3, 0], [0, 3], [], [3]]


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        ([], "no record has actions in time"),
        ([[2, 1, "walk"]], "record 0 has an action that ends before it starts: 2 to 1 s"),
        ([[0, float("nan"), "walk"]], "record 0 has an action that ends before it starts"),
    ],
)
def test_actions_that_are_none_are_one_line(own_records, segments, reason):
    records, folder = own_records

    def change(content):
        for row in content["records"]:
            row["segments"] = segments

    change_index(records, change)
    with pytest.raises(RecordError, match=reason):
        read_interval_records(folder)


def test_scan_reads_the_same_actions(own_records):
    records, _ = own_records
    for shard in {place.shard for place in records.places.values()}:
        assert tuple(scan_shard(shard)) == read_index(shard).records
