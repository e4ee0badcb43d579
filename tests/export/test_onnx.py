import json
import subprocess
import sys

import numpy as np
import pytest

from i3d_tf import zoo
from i3d_tf.export import onnx as export_onnx
from i3d_tf.export.export import export
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.zoo.checkpoint import open_checkpoint

# A stranger's process: it has ONNX Runtime and NumPy, and neither i3d_tf nor TensorFlow.
STRANGER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("i3d_tf", "tensorflow", "keras"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocker())
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("both/model.onnx", providers=["CPUExecutionProvider"])
clips = np.load("clips.npz", allow_pickle=False)
(logits,) = session.run(["logits"], {name: clips[name] for name in clips})
texts = session.get_modelmeta().custom_metadata_map
np.savez("answers.npz", logits=logits, labels=texts["labels"], record=texts["record"])
"""


@pytest.fixture(scope="module")
def needs_onnx():
    for package in export_onnx.PACKAGES:
        pytest.importorskip(package, reason=f"needs {package}, of the extra i3d_tf[export]")


@pytest.fixture(scope="module")
def folder(needs_onnx, tiny_dir, tmp_path_factory):
    """A folder with an export of both streams, and clips of a size that no stride divides."""
    folder = tmp_path_factory.mktemp("onnx")
    export("tiny_rgb", folder / "both", "tiny_flow", form="onnx", checkpoint_dir=tiny_dir)
    generator = np.random.default_rng(0)
    clips = {
        stream: generator.uniform(-1, 1, (3, 15, 37, 44, channels)).astype(np.float32)
        for stream, channels in (("rgb", 3), ("flow", 2))
    }
    np.savez(folder / "clips.npz", **clips)
    return folder


def test_onnx_runtime_answers_like_the_keras_models_without_i3d_tf(folder, tiny_dir):
    subprocess.run([sys.executable, "-c", STRANGER], cwd=folder, check=True, capture_output=True)
    answers = np.load(folder / "answers.npz", allow_pickle=False)
    clips = np.load(folder / "clips.npz", allow_pickle=False)
    expected = sum(
        open_checkpoint(f"tiny_{stream}", tiny_dir).model(clips[stream]).numpy()
        for stream in ("rgb", "flow")
    )
    error = np.linalg.norm(answers["logits"] - expected) / np.linalg.norm(expected)
    assert error <= export_onnx.TOLERANCE
    record = json.loads((folder / "both" / "export.json").read_text("utf-8"))
    assert record.pop("largest_error") <= export_onnx.TOLERANCE
    assert json.loads(answers["record"].item()) == record
    assert json.loads(answers["labels"].item()) == record["class_names"]
    assert (record["format"], record["stream"]) == ("onnx", "joint")


def test_all_axes_but_the_channels_are_open(folder):
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "both" / "model.onnx")
    shapes = {value.name: value.shape for value in session.get_inputs()}
    assert shapes == {"rgb": ["N", "T", "H", "W", 3], "flow": ["N", "T", "H", "W", 2]}


@pytest.mark.parametrize(
    ("model", "stream", "arguments"),
    [
        ("convnet_lstm", "rgb", {"all_steps": True}),
        ("c3d", "rgb", {"input_shape": (16, 32, 32, 3), "width_multiplier": 1 / 32}),
        ("two_stream", "flow", {"stream": "flow"}),
        ("fused_3d", "joint", {"input_shape": {"rgb": (2, 32, 32, 3), "flow": (20, 32, 32, 2)}}),
    ],
)
def test_the_other_architectures_are_exported_too(needs_onnx, tmp_path, model, stream, arguments):
    network = zoo.build(model, **{"classes": 3, "width_multiplier": 1 / 16, **arguments})
    record = {"class_names": ["run", "jump", "sit"], "protocol": {}}
    path = tmp_path / "model.onnx"
    error = export_onnx.write_onnx(
        path, {stream: fuse_for_inference(network)}, record, shown=(20, 32)
    )
    assert 0 < error <= export_onnx.TOLERANCE
    assert path.stat().st_size > 4 * network.count_params() * 0.9


def test_a_file_that_answers_otherwise_is_not_written(needs_onnx, tiny_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(export_onnx, "TOLERANCE", 1e-12)  # below float32's 6e-8 a rounding
    with pytest.raises(ValueError, match=r"model\.onnx does not answer like the network: .* off"):
        export("tiny_rgb", tmp_path / "export", form="onnx", checkpoint_dir=tiny_dir)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(tiny_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(export_onnx, "PACKAGES", ("numpy", "no_such_package"))
    message = r"'onnx' needs no_such_package: pip install 'i3d_tf\[export\]'"
    with pytest.raises(ValueError, match=message):
        export("tiny_rgb", tmp_path / "export", form="onnx", checkpoint_dir=tiny_dir)
    assert list(tmp_path.iterdir()) == []
