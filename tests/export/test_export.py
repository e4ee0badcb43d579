import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.export.export import export, output_folder
from i3d_tf.inference.predictor import Predictor
from i3d_tf.specs.stick_actions import DEMO, STICK_LABELS, STICK_NETWORKS
from i3d_tf.synthetic.clip import clip_seed, render_clip
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.transforms import center_crop, preprocess_input, resize_short_side
from i3d_tf.zoo.checkpoint import open_checkpoint

CHECKPOINTS = Path(__file__).parent.parent.parent / "checkpoints"
# Of the norm of the logits. Both compute in float32, batch norm folded or not: 1e-6 was measured;
# a frame shifted by one pixel moves the logits by 1e-2.
TOLERANCE = 1e-4

# A stranger's process: it has TensorFlow, the exports, and no i3d_tf.
STRANGER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "i3d_tf":
            raise ImportError(name)

sys.meta_path.insert(0, Blocker())
import numpy as np, tensorflow as tf

inputs, found = np.load("inputs.npz", allow_pickle=False), {}
for name in ("rgb", "joint"):
    model = tf.saved_model.load(name)
    signatures = model.signatures
    clips = {k: tf.constant(inputs[k]) for k in ("rgb", "flow")}
    clips = clips if name == "joint" else {"clip": clips["rgb"]}
    outputs = {
        "serving_default": signatures["serving_default"](**clips),
        "features": signatures["features"](**clips),
        "classify": signatures["classify"](frames=tf.constant(inputs[name + "_frames"])),
        "labels": signatures["labels"](),
        "record": signatures["record"](),
    }
    for signature, tensors in outputs.items():
        for key, value in tensors.items():
            found[f"{name}/{signature}/{key}"] = np.array(value.numpy())
found = {k: v.astype("S") if v.dtype == object else v for k, v in found.items()}
np.savez("outputs.npz", **found)
assert not any(name.partition(".")[0] == "i3d_tf" for name in sys.modules)
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two clips that no network was trained on, wider than high."""
    folder = tmp_path_factory.mktemp("clips")
    frames = render_clip("sit_down", clip_seed(0, DEMO, "sit_down", 1), size=256)
    write_video(folder / "rgb.mp4", frames[:, 56:])
    write_video(folder / "joint.mp4", frames[:, 20:-20])
    return {name: folder / f"{name}.mp4" for name in ("rgb", "joint")}


@pytest.fixture(scope="module")
def folder(videos, tmp_path_factory):
    """A folder with an export of RGB, one of both streams, and their inputs."""
    folder = tmp_path_factory.mktemp("exports")
    export(STICK_NETWORKS["rgb"], folder / "rgb", checkpoint_dir=CHECKPOINTS)
    export(
        STICK_NETWORKS["rgb"], folder / "joint", STICK_NETWORKS["flow"], checkpoint_dir=CHECKPOINTS
    )
    generator = np.random.default_rng(0)
    clips = {
        stream: generator.uniform(-1, 1, (2, 11, 50, 43, channels)).astype(np.float32)
        for stream, channels in (("rgb", 3), ("flow", 2))
    }
    rate = open_checkpoint(STICK_NETWORKS["rgb"], CHECKPOINTS).protocol.frame_rate
    frames = {f"{name}_frames": read_clip(path, rate) for name, path in videos.items()}
    np.savez(folder / "inputs.npz", **clips, **frames)
    return folder


@pytest.fixture(scope="module")
def outputs(folder):
    """Outputs of both exports in a process without i3d_tf."""
    command = [sys.executable, "-I", "-c", STRANGER]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "outputs.npz", allow_pickle=False)


@pytest.fixture(scope="module")
def networks():
    return {
        stream: open_checkpoint(name, CHECKPOINTS).model for stream, name in STICK_NETWORKS.items()
    }


def assert_close(output, expected):
    assert output.shape == expected.shape
    assert np.linalg.norm(output - expected) <= TOLERANCE * np.linalg.norm(expected)


def in_order(outputs, name):
    """The logits that `classify` returned best first, in the order of the classes."""
    logits = np.empty(12, np.float32)
    logits[outputs[f"{name}/classify/indices"]] = outputs[f"{name}/classify/logits"]
    return logits


def strings(strings):
    return tuple(text.decode() for text in strings)


two_exports = pytest.mark.slow  # and the first flow of each size compiles


@two_exports
def test_serving_default_is_the_keras_models(outputs, folder, networks):
    clips = np.load(folder / "inputs.npz")
    logits = {stream: network(clips[stream]).numpy() for stream, network in networks.items()}
    assert_close(outputs["rgb/serving_default/logits"], logits["rgb"])
    assert_close(outputs["joint/serving_default/logits"], logits["rgb"] + logits["flow"])
    assert outputs["rgb/features/pooled"].shape == (2, 256)
    np.testing.assert_array_equal(
        outputs["joint/features/pooled"][:, :256], outputs["rgb/features/pooled"]
    )


@two_exports
def test_classify_of_rgb_is_the_keras_model(outputs, folder, networks):
    frames = np.load(folder / "inputs.npz")["rgb_frames"]
    assert frames.shape[1:3] == (200, 256)
    clip = preprocess_input(center_crop(resize_short_side(frames[:16], 96), 80))
    clip = clip[np.arange(16) % len(clip)]
    expected = networks["rgb"](clip[np.newaxis]).numpy()[0]
    assert_close(in_order(outputs, "rgb"), expected)
    order = np.argsort(-expected, kind="stable")
    assert strings(outputs["rgb/classify/labels"]) == tuple(STICK_LABELS[k] for k in order)


@two_exports
def test_classify_of_two_streams_is_the_predictor(outputs, videos):
    predictor = Predictor("joint", STICK_NETWORKS, CHECKPOINTS, flow_engine="graph")
    top = predictor.predict(videos["joint"], top=12).top
    expected = {p.index: p.logit for p in top}
    assert_close(in_order(outputs, "joint"), np.array([expected[k] for k in range(12)]))
    assert strings(outputs["joint/classify/labels"]) == tuple(p.label for p in top)
    assert top[0].label == "sit_down"


@two_exports
def test_labels_and_metadata_are_inside_and_beside(outputs, folder):
    for name, streams in (("rgb", ["rgb"]), ("joint", ["rgb", "flow"])):
        metadata = json.loads((folder / name / "export.json").read_text("utf-8"))
        assert json.loads(outputs[f"{name}/record/record"].item()) == metadata
        assert strings(outputs[f"{name}/labels/labels"]) == STICK_LABELS
        assert (metadata["format"], metadata["stream"]) == ("saved_model", name)
        assert metadata["class_names"] == list(STICK_LABELS)
        manifest = json.loads((CHECKPOINTS / "manifest.json").read_text("utf-8"))["weights"]
        assert metadata["sources"] == {
            stream: {
                "name": STICK_NETWORKS[stream],
                "sha256": manifest[STICK_NETWORKS[stream]]["sha256"],
            }
            for stream in streams
        }
        assert metadata["protocol"]["short_side"] == 96
        assert set(metadata["signatures"]) == {
            "serving_default",
            "classify",
            "classify_encoded",
            "features",
            "labels",
            "record",
        }


def test_export_never_replaces_a_folder(tmp_path):
    target = tmp_path / "mine"
    target.mkdir()
    (target / "kept.txt").write_text("kept")
    with pytest.raises(FileExistsError, match="mine: exists already; name another"):
        export("tiny_rgb", target)
    assert [path.name for path in target.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "tflite"}, r"`format` must be one of .*; received 'tflite'"),
        ({"precision": "int8"}, r"`precision` must be one of .*; received 'int8'"),
        ({"format": "onnx", "precision": "bfloat16"}, r"must be float32; received 'bfloat16'"),
    ],
)
def test_export_refuses_unknown_choices(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export("tiny_rgb", tmp_path / "export", **arguments)


def half_written(path, error):
    with output_folder(path, 1) as folder:
        (folder / "saved_model.pb").write_bytes(b"half")
        raise error


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        tf.errors.ResourceExhaustedError(None, None, "/x/.part; full [Op:SaveV2]"),
    ],
)
def test_output_folder_leaves_nothing_on_a_full_disk(tmp_path, error):
    reason = r"new: the export cannot be written \((No space left on device|full)\)"
    with pytest.raises(OSError, match=reason):
        half_written(tmp_path / "new", error)
    assert list(tmp_path.iterdir()) == []


def test_output_folder_leaves_nothing_after_an_interrupt(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        half_written(tmp_path / "new", KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == []


def test_output_folder_names_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(OSError, match=r"file/deep: cannot be made \(Not a directory\)"),
        output_folder(tmp_path / "file" / "deep" / "er", 1),
    ):
        pass
