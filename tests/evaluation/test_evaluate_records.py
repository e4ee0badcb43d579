"""Evaluation on records: the same numbers as on the videos that they were made of."""

import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from i3d_tf.data.readers import read_dataset
from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.evaluation.results import read_results
from i3d_tf.evaluation.text import summary
from i3d_tf.records.make_records import FlowOptions, make_records
from i3d_tf.records.record_format import RecordFormat
from i3d_tf.records.record_set import read_records

DIRECTIONS = ["down", "left", "right", "up"]
SETTINGS = {"frame_rate": 25.0, "short_side": 40, "crop_size": 32, "rgb_step": 1}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Folders of runs of random networks that average colours, or flow: stream to path."""
    folder = tmp_path_factory.mktemp("networks")
    for name, channels in (("rgb", 3), ("flow", 2)):
        clips = keras.Input((None, None, None, channels))
        weights = keras.initializers.RandomNormal(stddev=5.0, seed=channels)
        dense = keras.layers.Dense(4, kernel_initializer=weights)
        model = keras.Model(clips, dense(keras.layers.GlobalAveragePooling3D()(clips)))
        (folder / name).mkdir()
        model.save(folder / name / "best.keras")
        settings = {**SETTINGS, "test_frames": 9, "test_windows": 1}
        run = {"settings": settings, "class_names": DIRECTIONS}
        (folder / name / "run.json").write_text(json.dumps(run), "utf-8")
    return {name: str(folder / name) for name in ("rgb", "flow")}


@pytest.fixture(scope="module")
def square_records(squares_dir, squares_flow_dir, tmp_path_factory):
    """Lossless records of the test split, with flow, in two shards."""
    folder = tmp_path_factory.mktemp("records")
    flow = FlowOptions(str(squares_flow_dir), str(squares_dir), "dis")
    form, dataset = (
        RecordFormat("png", short_side=40),
        read_dataset("class_folders", squares_dir, "test"),
    )
    make_records(dataset, folder, "test", 2, form, flow, processes=1)
    return folder


@pytest.fixture
def on_videos(networks, squares_dir, squares_flow_dir, tmp_path):
    return EvaluateOptions(
        dataset="class_folders",
        data_dir=str(squares_dir),
        split="test",
        report_dir=str(tmp_path / "on videos"),
        rgb_checkpoint=networks["rgb"],
        flow_checkpoint=networks["flow"],
        flow_dir=str(squares_flow_dir),
        flow_engine="dis",
    )


@pytest.fixture
def on_records(on_videos, square_records, tmp_path):
    return dataclasses.replace(
        on_videos,
        data_dir=None,
        flow_dir=None,
        records=f"{square_records}/test-*",
        report_dir=str(tmp_path / "on records"),
    )


PROTOCOLS = {
    "of the network": {},
    "windows and crops": {"windows": 2, "crops": 3, "frames": 8},
    "corners": {"segments": 2, "frames": 4, "crops": 10, "crop_set": "corners"},
}


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_numbers_are_those_of_the_videos(on_videos, on_records, protocol):
    found, wanted = (
        evaluate(dataclasses.replace(options, protocol=protocol))
        for options in (on_records, on_videos)
    )
    assert list(found.by_stream) == ["rgb", "flow", "joint"]
    assert found.by_stream == wanted.by_stream
    assert [p.rankings for p in found.predictions] == [p.rankings for p in wanted.predictions]
    names = [prediction.path.removeprefix(on_records.records) for prediction in found.predictions]
    assert [on_videos.data_dir + name for name in names] == [
        prediction.path for prediction in wanted.predictions
    ]
    with (
        np.load(Path(on_records.report_dir) / "logits.npz") as of_records,
        np.load(Path(on_videos.report_dir) / "logits.npz") as of_videos,
    ):
        for name in ("rgb", "flow", "labels"):
            np.testing.assert_array_equal(of_records[name], of_videos[name])
        assert np.ptp(of_records["flow"], axis=0).min() > 0
    same = wanted.protocol.keys() - {"dataset", "split", "flow_engine"}
    assert found.protocol["flow_engine"] == "DIS"  # records know the algorithm
    assert {name: found.protocol[name] for name in same} == {n: wanted.protocol[n] for n in same}


def test_report_names_the_records_and_shows_their_frames(on_records):
    options = dataclasses.replace(on_records, flow_checkpoint=None)
    results = evaluate(options)
    assert read_results(options.report_dir) == results
    assert (results.data["name"], results.data["data_dir"]) == ("records", options.records)
    assert results.protocol["records"] == {"format": "png", "frame_rate": 25.0, "short_side": 40}
    assert results.errors
    page = (Path(options.report_dir) / "index.html").read_text("utf-8")
    assert page.count("data:image/jpeg") == len(results.errors)
    assert summary(results, options.report_dir)[0] == "4 videos, 4 classes"


@pytest.mark.slow
def test_frames_of_another_size_are_noted(on_records):
    options = dataclasses.replace(on_records, flow_checkpoint=None, protocol={"short_side": 36})
    note = "made with short_side 40, and the network's is 36: clips are not those of the videos"
    assert evaluate(options).data["notes"] == [note]


@pytest.mark.slow
def test_damaged_record_is_left_out_and_named(on_records, square_records, tmp_path):
    folder = shutil.copytree(square_records, tmp_path / "records")
    records = read_records(str(folder))
    place = records.places[records.dataset.examples[1].path]
    shard, index = Path(place.shard), Path(f"{place.shard}.index.json")
    content = bytearray(shard.read_bytes())
    content[place.record.offset + place.record.length // 2] ^= 1
    shard.write_bytes(content)
    fields = json.loads(index.read_text())
    del fields["shard"]["digest"]  # as in the middle of a large shard, which has none
    index.write_text(json.dumps(fields))
    options = dataclasses.replace(on_records, records=str(folder), flow_checkpoint=None)
    results = evaluate(options)
    (unreadable,) = results.data["unreadable"]
    assert unreadable["path"] == records.dataset.examples[1].path
    assert unreadable["reason"].startswith(f"{shard}, record {place.number} at byte ")
    assert len(results.predictions) == 3


def with_split(run, folder, test):
    """A copy of a run whose test videos training chose."""
    shutil.copytree(run, folder)
    content = json.loads((folder / "run.json").read_text("utf-8"))
    content["split"] = {"train": ["left/9.mp4"], "test": test}
    (folder / "run.json").write_text(json.dumps(content), "utf-8")
    return str(folder)


@pytest.mark.slow
def test_split_is_that_of_the_run(on_records, networks, square_records, tmp_path):
    dataset = read_records(on_records.records).dataset
    name = dataset.examples[2].path.removeprefix(f"{on_records.records}/")
    run = with_split(networks["rgb"], tmp_path / "run", [name, "up/gone.mp4"])
    options = dataclasses.replace(on_records, rgb_checkpoint=run, flow_checkpoint=None)
    results = evaluate(options)
    assert [prediction.path for prediction in results.predictions] == [dataset.examples[2].path]
    assert (results.data["missing"], results.protocol["split"]) == (["up/gone.mp4"], "test")
    assert len(evaluate(dataclasses.replace(options, split="")).predictions) == 4
    other = with_split(networks["rgb"], tmp_path / "other", ["x/y.mp4"])
    with pytest.raises(ValueError, match=r"none is one of the 1 videos .* give --split= for all"):
        evaluate(dataclasses.replace(options, rgb_checkpoint=other))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"records": None}, "`data_dir` must be the folder of a dataset; received None"),
        ({"data_dir": "videos"}, "`data_dir` must be None with records; received 'videos'"),
        ({"flow_dir": "flow"}, "`flow_dir` must be None with records; received 'flow'"),
        ({"quarantine": "list"}, "`quarantine` must be None with records"),
        ({"records": "none-*"}, r"`records` none-\*: there is no such shard"),
    ],
)
def test_what_does_not_fit_is_one_line(on_records, changes, reason):
    with pytest.raises(ValueError, match=reason):
        evaluate(dataclasses.replace(on_records, **changes))
    assert not Path(on_records.report_dir).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"protocol": {"short_side": 36}}, "has flow of short side 40, not 36"),
        ({"flow_rounding": "floor"}, "has flow whose codes were rounded as 'nearest', not 'floor'"),
    ],
)
def test_flow_that_does_not_fit_is_one_line(on_records, changes, reason):
    with pytest.raises(ValueError, match=reason):
        evaluate(dataclasses.replace(on_records, **changes))
    assert not Path(on_records.report_dir).exists()


@pytest.mark.slow
def test_tool_evaluates_on_records(on_records, run_tool):
    status, lines, errors = run_tool(
        "evaluate",
        f"--checkpoint={on_records.rgb_checkpoint}",
        f"--records={on_records.records}",
        f"--report_dir={on_records.report_dir}",
    )
    assert (status, errors) == (0, [])
    assert "4 videos, 4 classes" in lines


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ((), "--data_dir or --records is needed"),
        (
            ("--records=x", "--data_dir=y", "--damaged=conceal"),
            "--records cannot be combined with --data_dir and --damaged",
        ),
        (("--records=x", "--dataset=csv"), "--records cannot be combined with --dataset"),
    ],
)
def test_tool_refuses_in_one_line(run_tool, flags, reason):
    status, _, errors = run_tool("evaluate", *flags, "--checkpoint=x", "--report_dir=y")
    assert (status, len(errors)) == (1, 1)
    assert reason in errors[0]
