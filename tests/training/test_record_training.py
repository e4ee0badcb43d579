"""Runs on records: the same as on the videos that they were made of."""

import dataclasses
import io
import json
import shutil
import zipfile
from pathlib import Path

import h5py
import pytest

from i3d_tf.data.readers import read_dataset
from i3d_tf.records.make_records import FlowOptions, make_records
from i3d_tf.records.record_format import RecordFormat
from i3d_tf.records.record_set import read_records
from i3d_tf.training.callbacks import Scalars
from i3d_tf.training.splits import read_run_videos
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.training.workdir import Workdir
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
        ({}, {"crop_scales": (1.0, 0.9)}, "`crop_scales` must be None with records"),
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


def test_task_of_intervals_is_refused(tiny_recipe, square_records, tmp_path):
    recipe = dataclasses.replace(tiny_recipe, task="frames", dataset="intervals")
    options = of_records(square_records, tmp_path, intervals="when.csv", test_intervals="when.csv")
    with pytest.raises(ValueError, match="`intervals` must be None with records"):
        train(recipe, options)
