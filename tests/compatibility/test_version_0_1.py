"""Files that version 0.1 wrote are still read, and give what they gave.

`make_version_0_1.py` says what is in `version_0_1/` and how it was made.
"""

import json
import os
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from fixtures.networks import network_params

import i3d_tf
from i3d_tf import layers
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.evaluation.compare_reports import compare_reports
from i3d_tf.flow.flow_file import open_flow_file
from i3d_tf.layers.pool import MaxPool3D
from i3d_tf.system.jobs import source_metadata
from i3d_tf.zoo import build, load_keras
from i3d_tf.zoo.checkpoint import open_checkpoint

FIXTURES = Path(__file__).parent / "version_0_1"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text("utf-8"))
BUILT = ("convnet_lstm", "c3d", "two_stream", "fused_3d", "two_stream_i3d")
NETWORKS = (*BUILT, "folded", "inflated")
VIDEO = "videos/moving.mp4"
CHECKPOINT = ("--checkpoint_dir=checkpoints", "--rgb_weights=tiny_rgb")
# Of a norm. On the processor that wrote the files nothing differs; float32 sums in another order
# change up to 2e-6. Dropout as of another step, a small mistake, changes a resumed run by 2e-4.
TOLERANCE = 2e-5
# Since version 0.1: layers, and fields of the protocol with what they were before.
LATER_LAYERS = {
    *("BoxesInPixels", "ExtendTime", "FrameDifferences", "GroupedConv2D", "RoIAlign", "StepPool"),
    "TimePool",
}
LATER_PROTOCOL = {"segments": 1, "crop_set": "spread", "flow_direction": "forward"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of version 0.1, unpacked, of the times of change that its lists speak of."""
    folder = tmp_path_factory.mktemp("compatibility") / "version_0_1"
    shutil.copytree(FIXTURES, folder)
    for path in folder.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    for line in (folder / "videos/quarantine.jsonl.journal").read_text().splitlines():
        record = json.loads(line)
        time = record["mtime_ns"]
        os.utime(folder / "videos" / record["path"], ns=(time, time))
    return folder


@pytest.fixture(autouse=True)
def _within(folder, monkeypatch):
    """The files name each other relative to their folder."""
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def arrays(folder):
    return dict(np.load(folder / "expected.npz", allow_pickle=False))


@pytest.fixture(scope="module")
def structures(folder):
    return json.loads((folder / "networks/structures.json").read_text("utf-8"))


def assert_close(found, expected):
    found, expected = np.array(found, np.float64), np.array(expected, np.float64)
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) <= TOLERANCE * np.linalg.norm(expected)


def approximately(value):
    """The value, in which floats are compared with a tolerance, however deep."""
    if isinstance(value, dict):
        return {key: approximately(part) for key, part in value.items()}
    if isinstance(value, list):
        return [approximately(part) for part in value]
    return pytest.approx(value, rel=TOLERANCE, abs=1e-5) if isinstance(value, float) else value


def clips_for(model):
    """The clips that version 0.1 was shown: whole numbers, scaled to [-1, 1)."""
    found = {}
    for tensor in model.inputs:
        sizes = tensor.shape[1:]
        shape = [size or default for size, default in zip(sizes, (9, 32, 32, 3), strict=False)]
        numbers = np.arange(np.prod(shape), dtype=np.uint64) * np.uint64(2654435761)
        values = (numbers % np.uint64(2**16)).astype(np.float32)
        found[tensor.name] = (values / np.float32(2**15) - np.float32(1)).reshape(1, *shape)
    return found if len(found) > 1 else next(iter(found.values()))


def assert_structure(model, structure):
    assert [weight.path for weight in model.weights] == structure["weights"]
    assert [layer.name for layer in model.layers] == structure["layers"]


def predicted(run_tool, *arguments):
    status, out, err = run_tool("predict", *arguments, "--json", "--top=3", VIDEO)
    assert (status, err) == (0, [])
    record = json.loads(out[0])
    del record["timing"]
    return record


# ---- networks


def release(version):
    return tuple(map(int, version.split(".")[:2]))


@pytest.mark.parametrize("name", network_params(NETWORKS))
def test_keras_file_gives_the_same_logits(name, arrays, structures):
    path = Path(f"networks/{name}.keras")
    with zipfile.ZipFile(path) as file:
        written_by = json.loads(file.read("metadata.json"))["keras_version"]
    if release(keras.__version__) < release(written_by):
        pytest.skip(f"Keras {keras.__version__} reads no files of Keras {written_by}")
    model = load_keras(path)
    assert_structure(model, structures[name])
    assert_close(model(clips_for(model)), arrays[f"logits/{name}"])


@pytest.mark.parametrize("name", network_params(BUILT))
def test_network_built_anew_has_the_same_names(name, structures):
    arguments = structures[name]["arguments"]
    assert_structure(build(name, **arguments), structures[name])


def test_keras_files_hold_every_layer(structures):
    found = {name for structure in structures.values() for name in structure["classes"]}
    assert set(layers.__all__) - LATER_LAYERS <= found


# ---- checkpoint directory


def test_load_finds_the_weights_by_name(arrays):
    model = i3d_tf.load("tiny_rgb", checkpoint_dir="checkpoints")
    assert_close(model(clips_for(model)), arrays["logits/checkpoint"])


def test_weights_file_fits_the_network():
    model = i3d_tf.InceptionI3D(
        weights="checkpoints/tiny_rgb.weights.h5", classes=3, width_multiplier=1 / 32
    )
    expected = i3d_tf.load("tiny_rgb", checkpoint_dir="checkpoints")
    for found, weight in zip(model.weights, expected.weights, strict=True):
        assert found.path == weight.path
        np.testing.assert_array_equal(np.array(found), np.array(weight))


def test_prediction_of_named_weights(run_tool):
    expected = approximately(EXPECTED["predictions"]["checkpoint"])
    assert predicted(run_tool, *CHECKPOINT) == expected


# ---- training run


def test_run_is_opened_as_a_checkpoint(arrays, structures):
    checkpoint = open_checkpoint("run")
    expected = EXPECTED["run"]
    assert checkpoint.stream == "rgb"
    assert list(checkpoint.class_names) == expected["class_names"]
    assert vars(checkpoint.protocol) == expected["protocol"] | LATER_PROTOCOL
    assert checkpoint.sha256 == expected["sha256"]
    assert checkpoint.history == expected["history"]
    assert_structure(checkpoint.model, structures["run"])
    assert_close(checkpoint.model(clips_for(checkpoint.model)), arrays["logits/run"])


def test_prediction_of_a_run(run_tool):
    expected = approximately(EXPECTED["predictions"]["run"])
    assert predicted(run_tool, "--rgb_weights=run") == expected


def test_compiled_state_is_loaded_by_keras():
    import i3d_tf.training.train  # noqa: F401 - registers the loss and the metric

    model = keras.models.load_model("run/best.keras")
    assert model.loss.get_config() == EXPECTED["run"]["loss"] | {"step_gain": None}
    assert model.optimizer.get_config() == EXPECTED["run"]["optimizer"]


@pytest.mark.slow
@pytest.mark.usefixtures("eager_training")
def test_run_is_resumed(run_tool, arrays, tmp_path, monkeypatch):
    # Version 0.1 trained with the gradient that TensorFlow's 3D max-pools have on CPUs.
    monkeypatch.setattr(MaxPool3D, "call", keras.layers.MaxPooling3D.call)
    workdir = shutil.copytree("run", tmp_path / "run")
    status, out, err = run_tool(
        "train",
        "--recipe=stick_actions",
        "--dataset=class_folders",
        "--data_dir=data",
        f"--workdir={workdir}",
        *("--train_frames=9", "--test_frames=9", "--frame_rate=25"),
        *("--short_side=40", "--crop_size=32", f"--width_multiplier={1 / 32}"),
        *("--batch_norm_momentum=0.9", "--batch_size=2", "--steps=5", "--evaluate_every=2"),
        *("--learning_rates=0.002", "--deterministic"),
    )
    assert (status, err) == (0, [])
    assert "going on from step 4 of 5" in out
    expected = EXPECTED["resumed"]
    history = (workdir / "history.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in history] == expected["history"]
    model = load_keras(workdir / f"step_{expected['step']:08d}.keras")
    assert_close(model(clips_for(model)), arrays["logits/resumed"])


# ---- export


def test_prediction_of_an_export(run_tool):
    expected = approximately(EXPECTED["predictions"]["export"])
    assert predicted(run_tool, "--saved_model=export") == expected


# ---- features and flow


@pytest.mark.parametrize("file_format", ["npy", "npz", "h5"])
def test_feature_file_is_read(file_format, arrays):
    found = i3d_tf.read_features(f"features/moving.{file_format}")
    np.testing.assert_array_equal(found.features, arrays[f"features/{file_format}"])
    np.testing.assert_array_equal(found.times, arrays[f"times/{file_format}"])
    assert found.metadata == EXPECTED["features"][file_format]


@pytest.mark.slow
def test_feature_file_is_kept_and_made_again_alike(run_tool, arrays, tmp_path):
    rows = ("--window=9", "--stride=4")
    kept = shutil.copytree("features", tmp_path / "features") / "moving.npy"
    before = kept.stat().st_mtime_ns
    for folder in ("features", "anew"):
        status, *_ = run_tool(
            "extract_features", *CHECKPOINT, *rows, f"--output_dir={tmp_path / folder}", VIDEO
        )
        assert status == 0
    assert kept.stat().st_mtime_ns == before
    anew = i3d_tf.read_features(tmp_path / "anew/moving.npy")
    assert_close(anew.features, arrays["features/npy"])
    np.testing.assert_array_equal(anew.times, arrays["times/npy"])
    # "head" and "space_time" are the same where the network has two time steps.
    renamed = {"pool": "head", "source": source_metadata(VIDEO)}
    assert anew.metadata == {**EXPECTED["features"]["npy"], **renamed}


def test_flow_file_is_read(arrays):
    found = open_flow_file("flow/moving.flow.zip")
    assert found.metadata == EXPECTED["flow"]
    np.testing.assert_array_equal(found.read(), arrays["flow"])


def test_flow_file_is_kept_and_made_again_alike(run_tool, arrays, tmp_path, exact_remap):
    kept = shutil.copytree("flow", tmp_path / "flow") / "moving.flow.zip"
    before = kept.stat().st_mtime_ns
    for folder, engine in (("flow", "numba"), ("anew", "opencv")):
        arguments = (f"--engine={engine}", "--short_side=24", f"--flow_dir={tmp_path / folder}")
        status, *_ = run_tool("compute_flow", *arguments, VIDEO)
        assert status == 0
    assert kept.stat().st_mtime_ns == before
    anew = open_flow_file(tmp_path / "anew/moving.flow.zip")
    # Both engines compute the same bits.
    np.testing.assert_array_equal(anew.read(), arrays["flow"])
    expected = {**EXPECTED["flow"], "engine": "opencv", "source": source_metadata(VIDEO)}
    assert anew.metadata == expected


# ---- statistics


@pytest.mark.parametrize(
    "generated", ["fvd_test.npz", pytest.param("data/test", marks=pytest.mark.slow)]
)
def test_fvd_from_saved_statistics(generated, run_tool):
    status, out, err = run_tool(
        "fvd",
        "--real=fvd_train.npz",
        f"--generated={generated}",
        *("--weights=tiny_rgb", "--checkpoint_dir=checkpoints"),
        *("--protocol=version_0_1", "--frames=9", "--size=32", "--json"),
    )
    assert (status, err) == (0, [])
    record = json.loads(out[0])
    # A difference of matrices, whose error is larger than that of the features.
    assert record["fvd"] == pytest.approx(EXPECTED["fvd"]["distance"], rel=1e-3)
    assert record["protocol"].items() >= EXPECTED["fvd"]["protocol"].items()


def test_fvd_refuses_saved_statistics_under_another_protocol(run_tool):
    status, out, err = run_tool(
        "fvd",
        *("--real=fvd_train.npz", "--generated=data/test"),
        *("--weights=tiny_rgb", "--checkpoint_dir=checkpoints", "--frames=9", "--size=32"),
    )
    assert (status, out, len(err)) == (1, [], 1)
    assert "fvd_train.npz: these statistics are of other features: " in err[0]
    assert "protocol 'version_0_1' instead of 'original'" in err[0]


# ---- reports


@pytest.mark.slow
def test_report_is_made_again_alike(run_tool, tmp_path):
    folders = (tmp_path, Path("report"))
    status, *_ = run_tool(
        "evaluate",
        *("--dataset=class_folders", "--data_dir=data", "--split=test"),
        *("--rgb_checkpoint=run", f"--report_dir={tmp_path}"),
    )
    assert status == 0
    anew, before = (json.loads((path / "report.json").read_text("utf-8")) for path in folders)
    assert anew == approximately(before)


def test_reports_are_compared():
    found = compare_reports("report_before", "report_after")
    expected = EXPECTED["comparison"]
    for name in ("overall", "classes"):
        changes = [[change.name, change.before, change.after] for change in getattr(found, name)]
        assert changes == expected[name]
    assert [found.fixed, found.broken] == expected["gained_and_lost"]
    assert found.p_value == pytest.approx(expected["p_value"])


# ---- lists of videos


def test_journal_saves_decoding_again(run_tool, folder, tmp_path):
    videos = tmp_path / "videos"
    shutil.copytree("videos", videos)  # with their times of change
    journal = videos / "quarantine.jsonl.journal"
    names = ("quarantine.jsonl", journal.name)
    before = [(videos / name).read_bytes() for name in names]
    assert [run_tool("check_videos", f"--data_dir={videos}", "--processes=1")[0]] == [1]
    assert [(videos / name).read_bytes() for name in names] == before
    os.utime(videos / "moving.mp4")
    run_tool("check_videos", f"--data_dir={videos}", "--processes=1")
    lines = journal.read_bytes().removeprefix(before[1]).splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["moving.mp4"]


def test_quarantine_names_the_bad_video():
    found = Quarantine("videos/quarantine.jsonl")
    assert [["broken.mp4", found.reason("videos/broken.mp4")]] == EXPECTED["bad_videos"]
    assert found.reason(VIDEO) is None
    assert found.outdated == 0
