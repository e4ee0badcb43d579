"""Ablations of small networks of random weights, against the evaluation of the same videos."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.explain.ablate_time import AblationOptions, ablate_time
from i3d_tf.explain.video_logits import read_video_logits

DIRECTIONS = ["down", "left", "right", "up"]
SETTINGS = {
    "test_frames": 12,
    "frame_rate": 25.0,
    "short_side": 40,
    "crop_size": 32,
    "test_windows": 1,
    "rgb_step": 1,
}
CONDITIONS = ("reversed", "shuffled", "frozen:middle", "frozen:best", "frozen:oracle")


def test_options_name_networks():
    options = AblationOptions(report_dir="new", data_dir="data")
    with pytest.raises(ValueError, match="no network was named"):
        _ = options.checkpoints
    with pytest.raises(ValueError, match="sees both streams"):
        _ = dataclasses.replace(options, rgb_checkpoint="a", joint_checkpoint="b").checkpoints
    assert dataclasses.replace(options, flow_checkpoint="a").checkpoints == {"flow": "a"}


@pytest.mark.parametrize("options", [{}, {"data_dir": "data", "videos": ["a.mp4"]}])
def test_ablate_time_needs_a_dataset_or_videos(tmp_path, options):
    with pytest.raises(ValueError, match=r"by --data_dir or as arguments; received (both|neither)"):
        ablate_time(AblationOptions(report_dir=str(tmp_path / "new"), **options))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Folders of training runs of networks that see the order of frames: stream -> path."""
    folder = tmp_path_factory.mktemp("networks")
    keras.utils.set_random_seed(0)
    for name, channels in (("rgb", 3), ("flow", 2)):
        clip = keras.Input((None, None, None, channels))
        hidden = keras.layers.Conv3D(4, (3, 5, 5), strides=(2, 4, 4), activation="relu")(clip)
        outputs = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling3D()(hidden))
        (folder / name).mkdir()
        keras.Model(clip, outputs).save(folder / name / "best.keras")
        run = {"settings": SETTINGS, "class_names": DIRECTIONS}
        (folder / name / "run.json").write_text(json.dumps(run), "utf-8")
    return {name: str(folder / name) for name in ("rgb", "flow")}


@pytest.fixture(scope="module")
def data_dir(squares_dir, tmp_path_factory):
    """The squares, with a test video that cannot be read."""
    folder = tmp_path_factory.mktemp("squares") / "clips"
    shutil.copytree(squares_dir, folder)
    (folder / "test" / "up" / "broken.mp4").write_bytes(b"not a video")
    return folder


@pytest.fixture
def options(networks, data_dir, tmp_path):
    return AblationOptions(
        report_dir=str(tmp_path / "report"),
        data_dir=str(data_dir),
        rgb_checkpoint=networks["rgb"],
        flow_checkpoint=networks["flow"],
        conditions=CONDITIONS,
        frozen_frames=3,
        flow_engine="dis",
    )


def evaluated(options, tmp_path, freeze_time):
    report = tmp_path / f"evaluation_{freeze_time}"
    evaluate(
        EvaluateOptions(
            dataset="class_folders",
            data_dir=options.data_dir,
            split="test",
            report_dir=str(report),
            rgb_checkpoint=options.rgb_checkpoint,
            flow_checkpoint=options.flow_checkpoint,
            flow_dir=str(tmp_path / "flow"),
            flow_engine="dis",
            freeze_time=freeze_time,
        )
    )
    with np.load(report / "logits.npz") as arrays:
        return {name: arrays[name] for name in ("rgb", "flow")}


@pytest.mark.slow
def test_original_and_frozen_middle_are_those_of_evaluation(options, tmp_path, capsys):
    ablation = ablate_time(options)
    assert list(ablation.results) == ["rgb", "flow", "joint"]
    assert [name.partition("/")[0] for name in ablation.videos] == ["test"] * 4
    assert "broken.mp4" in capsys.readouterr().err
    record = json.loads((tmp_path / "report" / "ablation.json").read_text("utf-8"))
    (unreadable,) = record["data"]["unreadable"]
    assert unreadable["path"].endswith("broken.mp4")
    folder = tmp_path / "report" / "videos"
    found = [read_video_logits(folder / f"{name[:-4]}.json")[0] for name in ablation.videos]
    for freeze_time in (False, True):
        expected = evaluated(options, tmp_path, freeze_time)
        for stream in ("rgb", "flow"):
            rows = [
                each.frozen[stream][each.middle]
                if freeze_time
                else each.ordered[stream]["original"]
                for each in found
            ]
            np.testing.assert_allclose(rows, expected[stream], atol=2e-5)
    for each in found:
        assert np.abs(each.ordered["flow"]["reversed"] - each.ordered["flow"]["original"]).max() > 0


@pytest.mark.slow
def test_stopped_ablation_goes_on(options, tmp_path, networks):
    options = dataclasses.replace(options, flow_checkpoint=None)
    ablate_time(options)
    folder = tmp_path / "report"
    page, numbers = ((folder / name).read_bytes() for name in ("index.html", "ablation.json"))
    files = sorted((folder / "videos" / "test").rglob("*.json"))
    assert len(files) == 4
    kept = files[0].stat().st_mtime_ns
    files[1].unlink()
    ablate_time(options)
    assert files[0].stat().st_mtime_ns == kept
    assert (folder / "index.html").read_bytes() == page
    assert (folder / "ablation.json").read_bytes() == numbers
    with pytest.raises(ValueError, match="other settings: settings: seed 0, not 1"):
        ablate_time(dataclasses.replace(options, seed=1))
    ablate_time(dataclasses.replace(options, seed=1, overwrite=True))
    assert files[0].stat().st_mtime_ns > kept


@pytest.mark.slow
def test_videos_without_labels(options, data_dir, tmp_path, run_tool):
    video = data_dir / "test" / "up"
    arguments = [f"--rgb_checkpoint={options.rgb_checkpoint}", f"--report_dir={tmp_path / 'new'}"]
    status, out, err = run_tool("ablate_time", *arguments, "--conditions=reversed", video)
    assert (status, len(err)) == (0, 1)
    assert out[0] == "same prediction as with the frames as they are, %, of 1 videos"
    assert out[-1] == str(tmp_path / "new")
    assert not (tmp_path / "new" / "accuracy.svg").exists()
