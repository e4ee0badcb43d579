"""Networks of random weights that only average colours: the predictions do not matter here."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.evaluation.results import read_results
from i3d_tf.evaluation.text import summary
from i3d_tf.system.files import folder_lock

DIRECTIONS = ["down", "left", "right", "up"]
PROTOCOL = {
    "test_frames": 9,
    "frame_rate": 25.0,
    "short_side": 40,
    "crop_size": 32,
    "test_windows": 1,
    "rgb_step": 1,
}


def tiny_network(*channels):
    """A network of one stream, or of both, which takes clips of any shape."""
    names = {3: "rgb", 2: "flow"}
    inputs = [keras.Input((None, None, None, count), name=names[count]) for count in channels]
    means = [keras.layers.GlobalAveragePooling3D()(each) for each in inputs]
    if len(means) == 1:
        return keras.Model(inputs[0], keras.layers.Dense(4)(means[0]))
    mean = keras.layers.Concatenate()(means)
    return keras.Model({each.name: each for each in inputs}, keras.layers.Dense(4)(mean))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Folders of training runs: name -> path."""
    folder = tmp_path_factory.mktemp("networks")
    runs = (
        ("rgb", (3,), DIRECTIONS, {}),
        ("flow", (2,), DIRECTIONS, {}),
        ("longer", (2,), DIRECTIONS, {"test_frames": 16}),
        ("joint", (3, 2), DIRECTIONS, {}),
        ("other", (2,), ["in", "out", "left", "right"], {}),
        ("strange", (2,), ["in", "out", "north", "south"], {}),
    )
    for name, channels, labels, changes in runs:
        (folder / name).mkdir()
        tiny_network(*channels).save(folder / name / "best.keras")
        run = {"settings": PROTOCOL | changes, "class_names": labels}
        (folder / name / "run.json").write_text(json.dumps(run), "utf-8")
        row = {"step": 2, "test_accuracy": 0.5}
        (folder / name / "history.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    return {name: str(folder / name) for name, *_ in runs}


@pytest.fixture(scope="module")
def data_dir(squares_dir, tmp_path_factory):
    """The squares, with a test video that cannot be read."""
    folder = tmp_path_factory.mktemp("squares") / "clips"
    shutil.copytree(squares_dir, folder)
    (folder / "test" / "up" / "broken.mp4").write_bytes(b"not a video")
    return folder


@pytest.fixture
def options(networks, data_dir, tmp_path, squares_flow_dir):
    return EvaluateOptions(
        dataset="class_folders",
        data_dir=str(data_dir),
        split="test",
        report_dir=str(tmp_path / "report"),
        rgb_checkpoint=networks["rgb"],
        flow_dir=str(squares_flow_dir),
        flow_engine="dis",
    )


@pytest.mark.slow
def test_processes_make_the_report_of_threads(options, networks, tmp_path):
    both = dataclasses.replace(options, flow_checkpoint=networks["flow"])
    for processes in (None, 2):
        folder = tmp_path / f"report of {processes}"
        evaluate(dataclasses.replace(both, report_dir=str(folder), input_processes=processes))
    threads, processes = ((tmp_path / f"report of {each}") for each in (None, 2))
    names = {path.name for path in threads.iterdir()}
    assert "report.json" in names
    assert {path.name for path in processes.iterdir()} == names
    for name in names:
        assert (processes / name).read_bytes() == (threads / name).read_bytes(), name


def test_both_streams_and_their_sum(options, networks, data_dir, tmp_path, capsys):
    both = dataclasses.replace(options, flow_checkpoint=networks["flow"])
    results = evaluate(both)
    assert list(results.by_stream) == ["rgb", "flow", "joint"]
    assert results.class_names == tuple(DIRECTIONS)
    assert [prediction.label for prediction in results.predictions] == DIRECTIONS
    assert read_results(tmp_path / "report") == results
    with np.load(tmp_path / "report" / "logits.npz") as arrays:
        assert all(np.isfinite(arrays[stream]).all() for stream in ("rgb", "flow"))
        assert arrays["labels"].tolist() == [0, 1, 2, 3]
    assert {"frames": 9, "clips": 1, "crops": 1, "crop_size": 32}.items() <= (
        results.protocol.items()
    )
    assert (results.protocol["precision"], results.protocol["flow_engine"]) == ("float32", "dis")
    history = [{"step": 2, "test_accuracy": 0.5}]
    assert results.history == {"rgb": history, "flow": history}
    ((unreadable,),) = [results.data["unreadable"]]
    broken = f"{data_dir}/test/up/broken.mp4"
    assert unreadable["path"] == broken
    assert results.data["found"] == 5
    output = capsys.readouterr()  # the flow of the others is there
    assert "computing flow by dis for 1 videos, 4 already there" in output.out
    assert f"error: {broken}: it is not a video" in output.err
    lines = summary(results, both.report_dir)
    assert lines[0] == "4 videos, 4 classes"
    assert [line.split()[0] for line in lines[1:4]] == ["rgb", "flow", "joint"]


@pytest.mark.slow
def test_flow_engine_is_the_one_that_made_the_files(options, networks, tmp_path):
    flow_dir = str(tmp_path / "flow")
    both = dataclasses.replace(options, flow_checkpoint=networks["flow"], flow_dir=flow_dir)
    evaluate(dataclasses.replace(both, flow_engine="opencv"))
    results = evaluate(dataclasses.replace(both, flow_engine="numba"))  # computes nothing any more
    assert results.protocol["flow_engine"] == "opencv"


def test_network_of_both_streams(options, networks):
    joint = dataclasses.replace(options, rgb_checkpoint=None, joint_checkpoint=networks["joint"])
    results = evaluate(joint)
    assert list(results.by_stream) == ["joint"]
    assert (results.best.streams, results.best.fusion) == (("rgb", "flow"), None)


def test_protocol_overrides_that_of_the_networks(options):
    changed = dataclasses.replace(options, protocol={"windows": 2, "crops": 2, "frames": 10})
    protocol = evaluate(changed).protocol
    assert (protocol["clips"], protocol["crops"], protocol["frames"]) == (2, 2, 10)
    assert protocol["crop_size"] == 32


def test_freeze_time_is_in_the_protocol(options):
    results = evaluate(dataclasses.replace(options, freeze_time=True))
    assert results.protocol["time"] == "frozen: the middle frame of every clip, repeated"
    assert list(results.by_stream) == ["rgb"]


def test_folders_of_other_classes_are_left_out(options, networks):
    other = dataclasses.replace(options, rgb_checkpoint=None, flow_checkpoint=networks["other"])
    results = evaluate(other)
    assert len(results.predictions) == 2
    assert results.data["left_out"] == 3
    lines = summary(results, other.report_dir)
    assert "  note: folders that are not classes: down, up" in lines
    assert "  note: 2 of 4 classes have no video" in lines


@pytest.mark.parametrize(
    ("streams", "split", "message"),
    [
        ({"rgb": None}, "test", "no network was named. Give --rgb_checkpoint, --flow_ch"),
        ({"joint": "joint"}, "test", "sees both streams. Give no other network beside it"),
        ({"rgb": "flow"}, "test", "flow: is for flow, not for rgb"),
        ({"flow": "other"}, "test", "do not have the same classes"),
        ({"flow": "longer"}, "test", r"frames 9 and 16\. Give --frames"),
        ({"rgb": None, "flow": "strange"}, "test", "no row is of this split and these classes"),
        ({}, "val", "has no folder 'val'"),
    ],
)
def test_evaluate_refuses_networks_and_data_that_do_not_fit(
    options, networks, streams, split, message
):
    named = {f"{stream}_checkpoint": networks.get(name) for stream, name in streams.items()}
    with pytest.raises((ValueError, OSError), match=message):
        evaluate(dataclasses.replace(options, split=split, **named))


def test_split_without_a_readable_video(options, data_dir, tmp_path):
    folder = tmp_path / "none"
    shutil.copytree(data_dir, folder)
    for path in folder.rglob("*.mp4"):
        path.write_bytes(b"not a video")
    with pytest.raises(ValueError, match="no video of test could be read"):
        evaluate(dataclasses.replace(options, data_dir=str(folder)))
    assert not (tmp_path / "report").exists()


def test_evaluate_refuses_a_folder_that_another_process_writes_into(options, tmp_path):
    (tmp_path / "report").mkdir()
    with folder_lock(tmp_path / "report"):
        message = "report: another process is writing into this folder. Wait until it has ended"
        with pytest.raises(BlockingIOError, match=message):
            evaluate(options)
        assert list((tmp_path / "report").iterdir()) == []
    assert len(evaluate(options).predictions) == 4


@pytest.fixture
def own_videos(networks, own_dir, tmp_path):
    """Function: (stream, test videos) -> a copy of its run whose test videos were chosen."""

    def change(stream, test):
        folder = shutil.copytree(networks[stream], tmp_path / f"{stream} run")
        run = json.loads((folder / "run.json").read_text("utf-8"))
        run["split"] = {"train": ["left/0.mp4"], "test": test}
        (folder / "run.json").write_text(json.dumps(run), "utf-8")
        return str(folder)

    return change


def test_class_folders_have_the_test_videos_of_the_run(options, own_videos, own_dir):
    run = own_videos("rgb", ["left/1.mp4", "up/0.mp4", "up/gone.mp4"])
    results = evaluate(
        dataclasses.replace(options, data_dir=str(own_dir), rgb_checkpoint=run, split="test")
    )
    paths = [prediction.path.removeprefix(f"{own_dir}/") for prediction in results.predictions]
    assert paths == ["left/1.mp4", "up/0.mp4"]
    assert (results.data["found"], results.data["missing"]) == (2, ["up/gone.mp4"])


def test_two_runs_are_tested_on_what_neither_was_trained_on(options, own_videos, own_dir, tmp_path):
    both = dataclasses.replace(
        options,
        data_dir=str(own_dir),
        rgb_checkpoint=own_videos("rgb", ["left/1.mp4", "up/0.mp4"]),
        flow_checkpoint=own_videos("flow", ["left/2.mp4", "up/0.mp4"]),
        flow_dir=str(tmp_path / "flow"),
    )
    (prediction,) = evaluate(both).predictions
    assert prediction.path == f"{own_dir}/up/0.mp4"


def test_runs_without_a_common_test_video_are_refused(options, own_videos, own_dir):
    both = dataclasses.replace(
        options,
        data_dir=str(own_dir),
        rgb_checkpoint=own_videos("rgb", ["left/1.mp4"]),
        flow_checkpoint=own_videos("flow", ["left/2.mp4"]),
    )
    with pytest.raises(ValueError, match=r"have no video of the split 'test' in common\. Train"):
        evaluate(both)


def test_class_folders_without_a_recorded_split_need_its_folder(options, own_dir):
    with pytest.raises(FileNotFoundError, match=r"has no folder 'test'\. Give another `split`"):
        evaluate(dataclasses.replace(options, data_dir=str(own_dir)))
    assert (
        len(evaluate(dataclasses.replace(options, data_dir=str(own_dir), split="")).predictions)
        == 9
    )


def test_class_that_is_called_test_is_no_split(options, own_videos, own_dir, tmp_path):
    folder = shutil.copytree(own_dir, tmp_path / "videos")
    (folder / "left").rename(folder / "test")
    run = own_videos("rgb", ["up/0.mp4"])
    results = evaluate(dataclasses.replace(options, data_dir=str(folder), rgb_checkpoint=run))
    assert [prediction.path for prediction in results.predictions] == [f"{folder}/up/0.mp4"]
