import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.experiments.stick_actions import NAMES
from i3d_tf.export import export as export_module
from i3d_tf.export.export import export, new_folder
from i3d_tf.inference.predictor import Predictor
from i3d_tf.specs.stick_actions import DEMO, STICK_LABELS
from i3d_tf.synthetic.clip import clip_seed, render_clip
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.transforms import centre_crop, preprocess_input, resize_short_side
from i3d_tf.zoo import checkpoint as checkpoint_module
from i3d_tf.zoo import open_checkpoint

pytestmark = pytest.mark.slow  # two exports, and the first flow of each size compiles

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
    answers = {
        "serving_default": signatures["serving_default"](**clips),
        "features": signatures["features"](**clips),
        "classify": signatures["classify"](frames=tf.constant(inputs[name + "_frames"])),
        "labels": signatures["labels"](),
        "record": signatures["record"](),
    }
    for signature, outputs in answers.items():
        for key, value in outputs.items():
            found[f"{name}/{signature}/{key}"] = np.array(value.numpy())
found = {k: v.astype("S") if v.dtype == object else v for k, v in found.items()}
np.savez("answers.npz", **found)
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
    """A folder with an export of RGB, one of both streams, and what to ask them."""
    folder = tmp_path_factory.mktemp("exports")
    export(NAMES["rgb"], folder / "rgb", checkpoint_dir=CHECKPOINTS)
    export(NAMES["rgb"], folder / "joint", NAMES["flow"], checkpoint_dir=CHECKPOINTS)
    generator = np.random.default_rng(0)
    clips = {
        stream: generator.uniform(-1, 1, (2, 11, 50, 43, channels)).astype(np.float32)
        for stream, channels in (("rgb", 3), ("flow", 2))
    }
    rate = open_checkpoint(NAMES["rgb"], CHECKPOINTS).protocol.frame_rate
    frames = {f"{name}_frames": read_clip(path, rate) for name, path in videos.items()}
    np.savez(folder / "inputs.npz", **clips, **frames)
    return folder


@pytest.fixture(scope="module")
def answers(folder):
    """What a process without i3d_tf is told."""
    command = [sys.executable, "-I", "-c", STRANGER]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "answers.npz", allow_pickle=False)


@pytest.fixture(scope="module")
def networks():
    return {stream: open_checkpoint(name, CHECKPOINTS).model for stream, name in NAMES.items()}


def assert_close(answer, expected, tolerance=TOLERANCE):
    assert answer.shape == expected.shape
    assert np.linalg.norm(answer - expected) <= tolerance * np.linalg.norm(expected)


def in_order(answers, name):
    """The logits that `classify` returned best first, in the order of the classes."""
    logits = np.empty(12, np.float32)
    logits[answers[f"{name}/classify/indices"]] = answers[f"{name}/classify/logits"]
    return logits


def texts(strings):
    return tuple(text.decode() for text in strings)


def test_clips_get_the_logits_of_the_keras_models(answers, folder, networks):
    clips = np.load(folder / "inputs.npz")
    logits = {stream: network(clips[stream]).numpy() for stream, network in networks.items()}
    assert_close(answers["rgb/serving_default/logits"], logits["rgb"])
    assert_close(answers["joint/serving_default/logits"], logits["rgb"] + logits["flow"])
    assert answers["rgb/features/pooled"].shape == (2, 256)
    np.testing.assert_array_equal(
        answers["joint/features/pooled"][:, :256], answers["rgb/features/pooled"]
    )


def test_frames_of_a_video_get_the_answer_of_the_keras_model(answers, folder, networks):
    frames = np.load(folder / "inputs.npz")["rgb_frames"]
    assert frames.shape[1:3] == (200, 256)
    clip = preprocess_input(centre_crop(resize_short_side(frames[:16], 96), 80))
    clip = clip[np.arange(16) % len(clip)]
    expected = networks["rgb"](clip[np.newaxis]).numpy()[0]
    assert_close(in_order(answers, "rgb"), expected)
    order = np.argsort(-expected, kind="stable")
    assert texts(answers["rgb/classify/labels"]) == tuple(STICK_LABELS[k] for k in order)


def test_two_streams_answer_like_predict(answers, videos):
    predictor = Predictor("joint", NAMES, CHECKPOINTS, engine="graph")
    answer = predictor.answer(videos["joint"], top=12)
    expected = {p.index: p.logit for p in answer.top}
    assert_close(in_order(answers, "joint"), np.array([expected[k] for k in range(12)]))
    assert texts(answers["joint/classify/labels"]) == tuple(p.label for p in answer.top)
    assert answer.top[0].label == "sit_down"


def test_the_labels_and_the_record_are_inside_and_beside(answers, folder):
    for name, streams in (("rgb", ["rgb"]), ("joint", ["rgb", "flow"])):
        record = json.loads((folder / name / "export.json").read_text("utf-8"))
        assert json.loads(answers[f"{name}/record/record"].item()) == record
        assert texts(answers[f"{name}/labels/labels"]) == STICK_LABELS
        assert (record["format"], record["stream"]) == ("saved_model", name)
        assert record["class_names"] == list(STICK_LABELS)
        assert (record["precision"], record["made_by"]) == ("float32", "i3d_tf 0.1.0")
        manifest = json.loads((CHECKPOINTS / "manifest.json").read_text("utf-8"))["weights"]
        assert record["sources"] == {
            stream: {"name": NAMES[stream], "sha256": manifest[NAMES[stream]]["sha256"]}
            for stream in streams
        }
        assert record["protocol"]["short_side"] == 96
        assert set(record["signatures"]) == {
            *("serving_default", "classify", "features", "labels", "record")
        }


def test_a_folder_that_exists_is_not_replaced(tmp_path):
    target = tmp_path / "mine"
    target.mkdir()
    (target / "kept.txt").write_text("kept")
    with pytest.raises(FileExistsError, match="mine: exists already; name another"):
        export("tiny_rgb", target)
    assert [path.name for path in target.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize(
    "failure",
    [OSError(28, "No space left on device"), tf.errors.ResourceExhaustedError(None, None, "full")],
)
def test_a_full_disk_leaves_nothing(tiny_dir, tmp_path, monkeypatch, failure):
    def fill(folder, *_):
        (folder / "saved_model.pb").write_bytes(b"half")
        raise failure

    monkeypatch.setattr(export_module, "_write_saved_model", fill)
    reason = r"export: the export cannot be written \((No space left on device|full)\)"
    with pytest.raises(OSError, match=reason):
        export("tiny_rgb", tmp_path / "export", checkpoint_dir=tiny_dir)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path):
    def stop():
        with new_folder(tmp_path / "new", 1) as folder:
            (folder / "half.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tiny_dir, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=r"file/deep: cannot be made \(Not a directory\)"):
        export("tiny_rgb", tmp_path / "file" / "deep" / "er", checkpoint_dir=tiny_dir)


def test_wrong_streams_are_refused(tiny_dir, tmp_path):
    for first, second, message in (
        ("tiny_flow", "tiny_rgb", "tiny_flow: is for flow, not for rgb"),
        ("tiny_rgb", "tiny_rgb", "tiny_rgb: is for rgb, not for flow"),
    ):
        with pytest.raises(ValueError, match=message):
            export(first, tmp_path / "export", second, checkpoint_dir=tiny_dir)
    assert list(tmp_path.iterdir()) == []


def test_streams_of_other_classes_are_refused(tiny_dir, tmp_path, monkeypatch):
    opened = checkpoint_module.open_checkpoint

    def other_classes(name, checkpoint_dir):
        checkpoint = opened(name, checkpoint_dir)
        if name == "tiny_flow":
            object.__setattr__(checkpoint, "class_names", tuple("abcde"))
        return checkpoint

    monkeypatch.setattr(checkpoint_module, "open_checkpoint", other_classes)
    with pytest.raises(ValueError, match="tiny_rgb and tiny_flow do not have the same classes"):
        export("tiny_rgb", tmp_path / "export", "tiny_flow", checkpoint_dir=tiny_dir)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"form": "tflite"}, r"`form` must be one of .*; received 'tflite'"),
        ({"precision": "int8"}, r"`precision` must be one of .*; received 'int8'"),
        ({"form": "onnx", "precision": "bfloat16"}, r"must be float32; received 'bfloat16'"),
    ],
)
def test_unknown_choices_are_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export("tiny_rgb", tmp_path / "export", **arguments)
