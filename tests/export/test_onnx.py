import importlib.util
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from i3d_tf import zoo
from i3d_tf.export import onnx as onnx_file
from i3d_tf.export.export import PACKAGES, export
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
np.savez("outputs.npz", logits=logits, labels=texts["labels"], record=texts["record"])
"""


missing = [name for name in PACKAGES["onnx"] if importlib.util.find_spec(name) is None]
needs_onnx = pytest.mark.skipif(
    bool(missing), reason=f"needs {', '.join(missing)}, of the extra i3d_tf[export]"
)


@pytest.fixture(scope="module")
def folder(small_dir, tmp_path_factory):
    """A folder with an export of both streams, and clips of a size that no stride divides."""
    folder = tmp_path_factory.mktemp("onnx")
    export("small_rgb", folder / "both", "small_flow", format="onnx", checkpoint_dir=small_dir)
    generator = np.random.default_rng(0)
    clips = {
        stream: generator.uniform(-1, 1, (3, 15, 37, 44, channels)).astype(np.float32)
        for stream, channels in (("rgb", 3), ("flow", 2))
    }
    np.savez(folder / "clips.npz", **clips)
    return folder


@needs_onnx
def test_onnx_runtime_computes_the_keras_logits_without_i3d_tf(folder, small_dir):
    subprocess.run([sys.executable, "-c", STRANGER], cwd=folder, check=True, capture_output=True)
    outputs = np.load(folder / "outputs.npz", allow_pickle=False)
    clips = np.load(folder / "clips.npz", allow_pickle=False)
    expected = sum(
        open_checkpoint(f"small_{stream}", small_dir).model(clips[stream]).numpy()
        for stream in ("rgb", "flow")
    )
    error = np.linalg.norm(outputs["logits"] - expected) / np.linalg.norm(expected)
    assert error <= onnx_file.TOLERANCE
    metadata = json.loads((folder / "both" / "export.json").read_text("utf-8"))
    assert metadata.pop("largest_error") <= onnx_file.TOLERANCE
    assert json.loads(outputs["record"].item()) == metadata
    assert json.loads(outputs["labels"].item()) == metadata["class_names"]
    assert (metadata["format"], metadata["stream"]) == ("onnx", "joint")


@needs_onnx
def test_export_leaves_all_axes_but_the_channels_open(folder):
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "both" / "model.onnx")
    shapes = {value.name: value.shape for value in session.get_inputs()}
    assert shapes == {"rgb": ["N", "T", "H", "W", 3], "flow": ["N", "T", "H", "W", 2]}


@needs_onnx
@pytest.mark.parametrize(
    ("model", "stream", "arguments"),
    [
        ("convnet_lstm", "rgb", {"all_steps": True}),
        ("deep_lstm", "rgb", {"all_steps": True, "lstm_layers": 2}),
        ("lrcn", "rgb", {"all_steps": True, "input_shape": (None, 32, 32, 3)}),
        ("pooled_frames", "rgb", {"pooling": "slow"}),
        ("pooled_frames", "rgb", {"pooling": "time_conv"}),
        ("c3d", "rgb", {"input_shape": (16, 32, 32, 3), "width_multiplier": 1 / 32}),
        ("two_stream", "flow", {"stream": "flow"}),
        ("fused_3d", "joint", {"input_shape": {"rgb": (2, 32, 32, 3), "flow": (20, 32, 32, 2)}}),
    ],
)
def test_write_onnx_exports_the_other_architectures(
    tmp_path, random_weights, model, stream, arguments
):
    network = zoo.build(model, **{"classes": 3, "width_multiplier": 1 / 16, **arguments})
    random_weights(network)
    metadata = {"class_names": ["run", "jump", "sit"], "protocol": {}}
    path = tmp_path / "model.onnx"
    error = onnx_file.write_onnx(
        path, {stream: fuse_for_inference(network)}, metadata, clip_size=(20, 32)
    )
    assert 0 < error <= onnx_file.TOLERANCE
    assert path.stat().st_size > 4 * network.count_params() * 0.9


@needs_onnx
def test_write_onnx_never_writes_a_file_with_other_logits(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "TOLERANCE", -1.0)
    clip = keras.Input((None, None, None, 3))
    network = keras.Model(clip, keras.layers.GlobalAveragePooling3D()(clip))
    metadata = {"class_names": ["red", "green", "blue"], "protocol": {}}
    message = r"model\.onnx does not compute what the network does: .* off"
    with pytest.raises(ValueError, match=message):
        onnx_file.write_onnx(tmp_path / "model.onnx", {"rgb": network}, metadata, (20, 32))
    assert list(tmp_path.iterdir()) == []


def test_export_names_a_missing_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(PACKAGES, "onnx", ("numpy", "no_such_package"))
    message = r"'onnx' needs no_such_package: pip install 'i3d_tf\[export\]'"
    with pytest.raises(ValueError, match=message):
        export("small_rgb", tmp_path / "export", format="onnx")
    assert list(tmp_path.iterdir()) == []
