"""Runs on records: the same as on the videos that they were made of."""

import dataclasses
import io
import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from i3d_tf.data.readers import read_dataset
from i3d_tf.inference.person_dataset import read_person_videos
from i3d_tf.records.index import RecordError
from i3d_tf.records.make_records import FlowOptions, make_records
from i3d_tf.records.record_format import RecordFormat
from i3d_tf.records.record_set import read_records
from i3d_tf.specs.recipes import for_task
from i3d_tf.training.callbacks import Scalars
from i3d_tf.training.splits import read_run_videos
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.training.workdir import Workdir
from i3d_tf.video.encode import write_video
from i3d_tf.zoo.run_record import read_run

pytestmark = pytest.mark.usefixtures("small_network")
FORM = RecordFormat("png", short_side=40)


@pytest.fixture(scope="module")
def square_records(squares_dir, tmp_path_factory):
    """Records of the squares, two shards of each split."""
    folder = tmp_path_factory.mktemp("records")
    for split in ("train", "test"):
        dataset = read_dataset("class_folders", squares_dir, split)
        make_records(dataset, folder, split, 2, FORM, processes=1)
    return folder


def of_records(folder, workdir, **changes):
    return TrainOptions(
        data_dir=None,
        workdir=str(workdir),
        records=f"{folder}/train-*",
        test_records=f"{folder}/test-*",
        **changes,
    )


def state(workdir):
    """Bytes of every array of the newest state, by name."""
    found = {}
    content = zipfile.ZipFile(workdir.latest()[1]).read("model.weights.h5")

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(note)
    return found


def history(workdir):
    return [(row["step"], row["test_accuracy"]) for row in workdir.history()]


@pytest.mark.slow
def test_run_on_records_is_that_on_videos_also_when_stopped(
    tiny_recipe, squares_dir, square_records, tmp_path, monkeypatch
):
    recipe = dataclasses.replace(tiny_recipe, steps=8, evaluate_every=4, jitter=0.2)
    common = {"deterministic": True, "seed": 3, "class_weights": True}
    recipe = dataclasses.replace(recipe, train_split="train", test_split="test")
    options = TrainOptions(data_dir=str(squares_dir), workdir=str(tmp_path / "videos"), **common)
    of_videos = train(recipe, options)
    whole = train(recipe, of_records(square_records, tmp_path / "whole", **common))
    assert state(whole) == state(of_videos)
    assert history(whole) == history(of_videos)
    options = of_records(square_records, tmp_path / "stopped", **common)
    with monkeypatch.context() as patches:
        on_train_batch_end = Scalars.on_train_batch_end

        def stop(self, batch, logs=None):
            on_train_batch_end(self, batch, logs)
            if self.first_step + batch + 1 == 6:
                raise KeyboardInterrupt

        patches.setattr(Scalars, "on_train_batch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, options)
    moved = shutil.copytree(square_records, tmp_path / "moved records")
    stopped = train(recipe, of_records(moved, tmp_path / "stopped", **common))
    assert state(stopped) == state(whole)
    settings = read_run(Path(whole.path) / "run.json")["settings"]
    assert settings["records"] == {"format": "png", "frame_rate": 25.0, "short_side": 40}


@pytest.mark.slow
def test_flow_from_records_trains_as_from_videos(
    tiny_recipe, squares_dir, squares_flow_dir, tmp_path
):
    recipe = dataclasses.replace(
        tiny_recipe,
        stream="flow",
        steps=2,
        evaluate_every=2,
        train_split="train",
        test_split="test",
    )
    common = {"deterministic": True, "flow_engine": "dis"}
    options = TrainOptions(
        data_dir=str(squares_dir),
        workdir=str(tmp_path / "videos"),
        flow_dir=str(squares_flow_dir),
        **common,
    )
    of_videos = train(recipe, options)
    flow = FlowOptions(str(squares_flow_dir), str(squares_dir), "dis")
    for split in ("train", "test"):
        dataset = read_dataset("class_folders", squares_dir, split)
        make_records(dataset, tmp_path / "records", split, 1, FORM, flow, processes=1)
    whole = train(recipe, of_records(tmp_path / "records", tmp_path / "whole", **common))
    assert state(whole) == state(of_videos)
    assert history(whole) == history(of_videos)


def test_split_of_records_is_that_of_the_folder(tiny_recipe, own_dir, tmp_path):
    dataset = read_dataset("class_folders", own_dir)
    make_records(dataset, tmp_path / "records", "all", 2, FORM, processes=1)
    recipe = dataclasses.replace(tiny_recipe, derived=("train_split", "test_split"))
    splits = [
        read_run_videos(recipe, TrainOptions(workdir=str(tmp_path), **source)).split
        for source in (
            {"data_dir": str(own_dir)},
            {"data_dir": None, "records": str(tmp_path / "records")},
        )
    ]
    assert splits[0] == splits[1]
    assert len(splits[1]["test"]) == 3


def test_note_says_where_frames_are_of_another_size(tiny_recipe, square_records, tmp_path):
    recipe = dataclasses.replace(tiny_recipe, short_side=36)
    videos = read_run_videos(recipe, of_records(square_records, tmp_path))
    note = "made with short_side 40, and the recipe's is 36: clips are not those of the videos"
    assert videos.train.report.notes == videos.test.report.notes == (note,)
    assert (
        read_run_videos(tiny_recipe, of_records(square_records, tmp_path)).train.report.notes == ()
    )


@pytest.mark.slow
def test_damaged_records_are_reported_and_the_run_goes_on(
    tiny_recipe, square_records, tmp_path, capsys
):
    folder = shutil.copytree(square_records, tmp_path / "records")
    records = read_records(f"{folder}/train-*")
    example = records.dataset.examples[4]
    place = records.places[example.path]
    shard = Path(place.shard)
    content = bytearray(shard.read_bytes())
    # As if in the middle of a large shard, of which the index has a hash of both ends.
    content[place.record.offset + place.record.length // 2] ^= 1
    index = Path(f"{shard}.index.json")
    fields = json.loads(index.read_text())
    del fields["shard"]["digest"]
    index.write_text(json.dumps(fields))
    shard.write_bytes(content)
    recipe = dataclasses.replace(tiny_recipe, steps=12, evaluate_every=6)
    workdir = train(recipe, of_records(folder, tmp_path / "run"))
    assert list(workdir.unreadable()) == [example.path]
    printed = capsys.readouterr().out
    assert "unreadable videos, excluded: 1" in printed
    assert f"{shard}, record {place.number} at byte {place.record.offset}: corrupted" in printed
    assert Workdir(workdir.path).latest()[0] == 12


@pytest.mark.parametrize(
    ("options", "recipe", "reason"),
    [
        ({"records": None}, {}, "`test_records` must be None without records"),
        ({"records": None, "test_records": None}, {}, "`data_dir` must be the folder of a dataset"),
        ({"data_dir": "videos"}, {}, "`data_dir` must be None with records; received 'videos'"),
        ({"quarantine": "list"}, {}, "`quarantine` must be None with records"),
        ({"input_processes": 2}, {}, "`input_processes` must be None with records; received 2"),
        (
            {},
            {"crop_scales": (1.0, 0.9), "stream": "flow"},
            "`crop_scales` must be None with records of flow",
        ),
        ({"records": "none-*"}, {}, "`records` none-*: there is no such shard"),
        ({}, {"stream": "flow"}, "record 0 has no flow. Make records with --flow_dir"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tiny_recipe, square_records, tmp_path, options, recipe, reason
):
    options = dataclasses.replace(of_records(square_records, tmp_path / "run"), **options)
    with pytest.raises(ValueError, match=reason.replace("*", r"\*")):
        train(dataclasses.replace(tiny_recipe, **recipe), options)


@pytest.mark.parametrize(
    ("task", "changes", "reason"),
    [
        ("frames", {"intervals": "when.csv"}, "`intervals` must be None with records"),
        ("frames", {"test_records": None}, "`test_records` must be records of other videos"),
        ("frames", {}, "no record has actions in time"),
        ("persons", {}, "record 0 has no persons in boxes"),
        ("persons", {"boxes": "boxes.csv"}, "`boxes` must be None with records"),
        ("persons", {"label_map": "map.pbtxt"}, "`label_map` must be None with records"),
        ("persons", {"time_offset": 900.0}, "`time_offset` must be 0 with records"),
        ("persons", {"data_service": "grpc://a:1"}, "`data_service` must be None for persons"),
    ],
)
def test_task_that_does_not_fit_is_one_line(
    tiny_recipe, square_records, tmp_path, task, changes, reason
):
    options = dataclasses.replace(of_records(square_records, tmp_path / "run"), **changes)
    with pytest.raises((ValueError, RecordError), match=reason):
        train(for_task(tiny_recipe, task), options)


@pytest.fixture(scope="module")
def task_sources(tmp_path_factory):
    """Task to options of the same videos: those of videos, and those of records."""
    folder = tmp_path_factory.mktemp("tasks")
    rows, boxes = ["id,start,end,class,split"], {"train": [], "test": []}
    for number, split in enumerate(("train", "train", "test")):
        levels = np.where(np.arange(16) < 8, 40, 200)[:: (-1) ** number]
        frames = np.broadcast_to(levels[:, None, None, None], (16, 32, 32, 3))
        write_video(folder / f"{number}.mp4", frames.astype(np.uint8))
        rows += [f"{number},0.32,0.63,day,{split}", f"{number},0,9,sky,{split}"]
        boxes[split] += [f"{number},0.3,0.012,0.1,0.5,1,1,0", f"{number},0.5,0,0,0.999,1,2,1"]
    (folder / "when.csv").write_text("\n".join(rows) + "\n")
    items = (f'item {{\n name: "{name}"\n id: {n}\n}}' for n, name in ((1, "sit"), (2, "run")))
    (folder / "map.pbtxt").write_text("\n".join(items))
    form = RecordFormat("png", short_side=32)
    for split, lines in boxes.items():
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
        timed = read_dataset("intervals", folder, split, str(folder / "when.csv"))
        make_records(timed, folder / "timed", split, 1, form, processes=1)
        files = (folder / f"{split}.csv", folder / "map.pbtxt", 25.0)
        boxed, ids = read_person_videos(str(folder), *files)
        make_records(boxed, folder / "boxed", split, 1, form, processes=1, action_ids=ids)

    def sources(task):
        files = {"intervals": str(folder / "when.csv")}
        if task == "persons":
            files = {"boxes": str(folder / "train.csv"), "test_boxes": str(folder / "test.csv")}
            files["label_map"] = str(folder / "map.pbtxt")
        name = folder / ("boxed" if task == "persons" else "timed")
        of_records = {"records": f"{name}/train-*", "test_records": f"{name}/test-*"}
        return {"data_dir": str(folder), **files}, {"data_dir": None, **of_records}

    return sources


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multilabel", "persons"])
def test_run_of_a_task_is_that_on_videos(tiny_recipe, task_sources, tmp_path, task):
    changes = {"steps": 2, "evaluate_every": 1, "short_side": 32, "jitter": 0.2}
    recipe = for_task(dataclasses.replace(tiny_recipe, **changes), task)
    runs = [
        train(recipe, TrainOptions(workdir=str(tmp_path / name), deterministic=True, **source))
        for name, source in zip(("videos", "records"), task_sources(task), strict=True)
    ]
    assert state(runs[0]) == state(runs[1])
    assert runs[0].history() == runs[1].history()


def test_records_for_training_and_for_testing_are_refused(tiny_recipe, task_sources, tmp_path):
    _, source = task_sources("frames")
    options = TrainOptions(workdir=str(tmp_path), **source | {"test_records": source["records"]})
    with pytest.raises(ValueError, match="2 records are for training and for testing, such as"):
        train(for_task(tiny_recipe, "frames"), options)
