"""Networks of random weights: what matters is what is said, not how right it is."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from i3d_tf.evaluation import evaluate as evaluate_file
from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate, summary
from i3d_tf.weights.store import save_weights

TINY = 1 / 16
DIRECTIONS = ["down", "left", "right", "up"]
PROTOCOL = {"frames": 9, "frame_rate": 25.0, "short_side": 40, "crop_size": 32}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A checkpoint directory with `rgb` and `flow`; `other` and `strange` have other classes."""
    from i3d_tf.models.inception import inception_i3d

    directory = tmp_path_factory.mktemp("networks")
    for name, channels, labels in (
        ("rgb", 3, DIRECTIONS),
        ("flow", 2, DIRECTIONS),
        ("other", 2, ["in", "out", "left", "right"]),
        ("strange", 2, ["in", "out", "north", "south"]),
    ):
        shape = (None, None, None, channels)
        model = inception_i3d(input_shape=shape, classes=4, width_multiplier=TINY)
        row = {"classes": 4, "labels": labels, "width_multiplier": TINY, "protocol": PROTOCOL}
        save_weights(model, name, directory, row | {"stream": "rgb" if channels == 3 else "flow"})
    return directory


@pytest.fixture(scope="module")
def data_dir(squares_dir, tmp_path_factory):
    """The squares, with a test video that cannot be read."""
    folder = tmp_path_factory.mktemp("squares") / "clips"
    shutil.copytree(squares_dir, folder)
    (folder / "test" / "up" / "broken.mp4").write_bytes(b"not a video")
    return folder


@pytest.fixture
def options(networks, data_dir, tmp_path):
    return EvaluateOptions(
        dataset="class_folders",
        data_dir=str(data_dir),
        split="test",
        report_dir=str(tmp_path / "report"),
        rgb_checkpoint="rgb",
        checkpoint_dir=str(networks),
        flow_dir=str(tmp_path / "flow"),
        flow_engine="dis",
    )


@pytest.mark.slow
def test_the_engine_is_the_one_that_made_the_flow(options):
    both = dataclasses.replace(options, flow_checkpoint="flow", flow_engine="opencv")
    evaluate(both)
    record = evaluate(dataclasses.replace(both, flow_engine="numba"))  # computes nothing any more
    assert record["protocol"]["flow_engine"] == "opencv"


def test_both_streams_and_their_sum(options, tmp_path, data_dir):
    both = dataclasses.replace(options, flow_checkpoint="flow")
    record = evaluate(both)
    assert list(record["results"]) == ["rgb", "flow", "joint"]
    assert (record["videos"], record["classes"]) == (4, DIRECTIONS)
    text = (tmp_path / "report" / "report.json").read_text("utf-8")
    assert json.loads(text) == record
    assert "NaN" not in text
    with np.load(tmp_path / "report" / "logits.npz") as arrays:
        assert all(np.isfinite(arrays[stream]).all() for stream in ("rgb", "flow"))
        assert arrays["labels"].tolist() == [0, 1, 2, 3]
    assert len(list((tmp_path / "flow" / "test").rglob("*.flow.zip"))) == 4  # made on first use
    protocol = record["protocol"]
    assert (protocol["frames"], protocol["clips"], protocol["crops"]) == (9, 1, 1)
    assert (protocol["precision"], protocol["flow_engine"]) == ("float32", "dis")
    ((unreadable,),) = [record["data"]["unreadable"]]
    assert unreadable["path"] == f"{data_dir}/test/up/broken.mp4"
    assert record["data"]["found"] == 5
    lines = summary(record, both.report_dir)
    assert lines[0] == "4 videos, 4 classes"
    assert [line.split()[0] for line in lines[1:4]] == ["rgb", "flow", "joint"]


def test_windows_and_crops_are_asked_for_and_said(options):
    changed = dataclasses.replace(options, protocol={"windows": 2, "crops": 2, "frames": 10})
    protocol = evaluate(changed)["protocol"]
    assert (protocol["clips"], protocol["crops"], protocol["frames"]) == (2, 2, 10)
    assert protocol["crop_size"] == 32


def test_frozen_time_is_said(options):
    record = evaluate(dataclasses.replace(options, freeze_time=True))
    assert record["protocol"]["time"] == "frozen: the middle frame of every clip, repeated"
    assert list(record["results"]) == ["rgb"]


def test_folders_of_other_classes_are_left_out_and_said(options):
    other = dataclasses.replace(options, rgb_checkpoint=None, flow_checkpoint="other")
    record = evaluate(other)
    assert record["videos"] == 2
    assert record["data"]["left_out"] == 3
    lines = summary(record, other.report_dir)
    assert "  note: folders that are not classes: down, up" in lines
    assert "  note: 2 of 4 classes have no video" in lines


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rgb_checkpoint": None}, "give --rgb_checkpoint, --flow_checkpoint or both"),
        ({"rgb_checkpoint": "flow"}, "flow: is a network for flow, not rgb"),
        ({"flow_checkpoint": "other"}, "both networks must have the same classes"),
        ({"flow_checkpoint": "strange", "rgb_checkpoint": None}, "none|no row|none of"),
        ({"split": "val"}, "has no folder 'val'"),
    ],
)
def test_what_does_not_fit_is_refused(options, changes, message):
    with pytest.raises((ValueError, OSError), match=message):
        evaluate(dataclasses.replace(options, **changes))


def test_networks_that_expect_other_clips_are_not_mixed(options, monkeypatch):
    opened = evaluate_file.open_checkpoint

    def longer(name, directory):
        found = opened(name, directory)
        frames = 16 if found.stream == "flow" else 9
        return dataclasses.replace(
            found, protocol=dataclasses.replace(found.protocol, frames=frames)
        )

    monkeypatch.setattr(evaluate_file, "open_checkpoint", longer)
    both = dataclasses.replace(options, flow_checkpoint="flow")
    with pytest.raises(ValueError, match="the networks expect frames 9 and 16; give --frames"):
        evaluate(both)


def test_a_split_of_which_nothing_can_be_read(options, data_dir, tmp_path):
    folder = tmp_path / "none"
    shutil.copytree(data_dir, folder)
    for path in folder.rglob("*.mp4"):
        path.write_bytes(b"not a video")
    with pytest.raises(ValueError, match="no video of test could be read"):
        evaluate(dataclasses.replace(options, data_dir=str(folder)))
    assert not (tmp_path / "report").exists()
