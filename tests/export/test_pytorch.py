import importlib.util
import json

import numpy as np
import pytest

from i3d_tf.export.export import PACKAGES, export
from i3d_tf.export.pytorch import torch_tensors
from i3d_tf.models.inception import inception_i3d
from i3d_tf.weights.assign import assign_weights
from i3d_tf.weights.store import save_weights

needs_safetensors = pytest.mark.skipif(
    importlib.util.find_spec("safetensors") is None,
    reason="needs safetensors, of the extra i3d_tf[export]",
)


@pytest.fixture(scope="module")
def network(port_files):
    model = inception_i3d(classes=400)
    assign_weights(model, port_files.arrays())
    return model


def assert_is_state_dict(tensors, port_files):
    """The tensors are those of the fixture, which PyTorch has loaded with `strict=True`."""
    storages = port_files.storages()
    expected = {
        name: view.values(storages[view.key]) for name, view in port_files.tensors().items()
    }
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    assert set(tensors) == set(expected)
    assert len(tensors) == 57 * 6 + 2
    for name, values in tensors.items():
        wanted = np.zeros((), np.int64) if name in counters else expected[name]
        np.testing.assert_array_equal(values, wanted, strict=True)
        assert values.flags.c_contiguous


def test_torch_tensors_are_the_state_dict_of_pytorch_i3d(network, port_files):
    assert_is_state_dict(torch_tensors(network), port_files)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("inception_i3d", {}),
        ("inception_i3d", {"include_top": False, "width_multiplier": 1.0}),
        ("inception_v1", {}),
        ("two_stream_i3d", {}),
        ("c3d", {}),
    ],
)
def test_torch_tensors_refuses_other_networks(build_tiny, name, arguments):
    network = build_tiny(name, **arguments)
    message = f"'pytorch' is for I3D of full width with its head; '{network.name}' is another"
    with pytest.raises(ValueError, match=message):
        torch_tensors(network)


@needs_safetensors
def test_export_writes_safetensors(network, port_files, tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    save_weights(network, "plain", tmp_path, {"labels": "kinetics400"})
    folder = export("plain", tmp_path / "export", format="pytorch", checkpoint_dir=tmp_path)
    assert_is_state_dict(load_file(folder / "model.safetensors"), port_files)
    record = json.loads((folder / "export.json").read_text("utf-8"))
    assert (record["format"], record["stream"]) == ("pytorch", "rgb")
    with safe_open(folder / "model.safetensors", "np") as file:
        assert file.metadata()["format"] == "pt"
        assert json.loads(file.metadata()["record"]) == record


@needs_safetensors
def test_export_of_another_network_leaves_nothing(small_dir, tmp_path):
    with pytest.raises(ValueError, match="'pytorch' is for I3D of full width"):
        export("small_rgb", tmp_path / "new", format="pytorch", checkpoint_dir=small_dir)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "bfloat16"}, "`precision` of the format 'pytorch' must be float32"),
        ({"flow_checkpoint": "flow"}, "'pytorch' takes one network"),
    ],
)
def test_export_refuses_what_the_format_has_not(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export("rgb", tmp_path / "new", format="pytorch", **arguments)


def test_export_names_the_missing_package(tmp_path, monkeypatch):
    monkeypatch.setitem(PACKAGES, "pytorch", ("no_such_package",))
    with pytest.raises(ValueError, match=r"needs no_such_package: pip install 'i3d_tf\[export\]'"):
        export("rgb", tmp_path / "new", format="pytorch")
