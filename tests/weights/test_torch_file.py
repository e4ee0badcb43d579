"""Files in `torch_files` were written by PyTorch 2.13; the tests need no PyTorch."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.torch_file import (
    OLD_START,
    is_torch_archive,
    read_old_torch_file,
    read_torch_archive,
)

FILES = Path(__file__).parent / "torch_files"
# A view of 0, 1, ..., 9 from 1 on, of steps 3, 1, 2.
RAMP = np.array([[[1, 3], [2, 4], [3, 5]], [[4, 6], [5, 7], [6, 8]]], np.float32)
STATE_DICT = {
    "ramp": RAMP,
    "same": np.array([4, 5, 6], np.float32),
    "parameter": np.array([1.5, -2], np.float32),
    "half": np.array([0.5, -3], np.float16),
    "bfloat16": np.array([0.5, -3], np.float32),
    "double": np.array([0.1]),
    "counter": np.array(7),
    "empty": np.zeros((0, 3), np.float32),
}


class Runs:
    """An object whose pickle runs a command."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def read(name):
    path = FILES / name
    is_old = path.read_bytes().startswith(OLD_START)
    assert is_torch_archive(path) != is_old
    return read_old_torch_file(path) if is_old else read_torch_archive(path)


@pytest.mark.parametrize("name", ["state_dict.pt", "old_state_dict.pt", "training.pt"])
def test_reads_the_state_dicts_of_pytorch(name):
    tensors, is_script = read(name)
    assert not is_script
    assert list(tensors) == list(STATE_DICT)
    for key, expected in STATE_DICT.items():
        assert tensors[key].shape == expected.shape
        assert tensors[key].dtype == ("bfloat16" if key == "bfloat16" else expected.dtype.name)
        np.testing.assert_array_equal(tensors[key].read(), expected, strict=True)


def test_reads_torchscript_without_its_code():
    tensors, is_script = read("torchscript.pt")
    assert is_script
    assert set(tensors) == {
        "scale",
        "inner.ramp",
        "inner.counter",
        "many.0.ramp",
        "many.0.counter",
    }
    for name in ("inner.ramp", "many.0.ramp"):
        np.testing.assert_array_equal(tensors[name].read(), RAMP, strict=True)
    np.testing.assert_array_equal(tensors["scale"].read(), np.array([1.5, -2], np.float32))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "frozen.pt",
            r"no named tensors, as in TorchScript that is frozen\. Give a state dict: torch\.save",
        ),
        ("module.pt", r"names torch\.nn\.modules\.linear\.Linear, .* Give a state dict: torch"),
    ],
)
def test_files_without_named_tensors_are_refused(name, message):
    with pytest.raises(WeightsError, match=message) as error:
        read(name)
    assert str(error.value).startswith(f"{FILES / name}: ")


def archive(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"archive/{name}", content)
    return path


def members_of(name):
    with zipfile.ZipFile(FILES / name) as file:
        return {info.filename.partition("/")[2]: file.read(info) for info in file.infolist()}


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_forbidden_globals_are_refused_and_not_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"weights": Runs()}, protocol)
    new = archive(tmp_path / "new.pt", {"data.pkl": content})
    old = tmp_path / "old.pt"
    start = (FILES / "old_state_dict.pt").read_bytes()[:137]  # magic number, version, system
    old.write_bytes(start + content + pickle.dumps([], 2))
    script = archive(tmp_path / "script.pt", {"data.pkl": content, "code/__torch__.py": b""})
    for reader, path in ((read_torch_archive, new), (read_torch_archive, script)):
        with pytest.raises(WeightsError, match=r"names (posix|nt)\.system, which weights never do"):
            reader(path)
    with pytest.raises(WeightsError, match=r"names (posix|nt)\.system, which weights never do"):
        read_old_torch_file(old)
    assert {path.name for path in tmp_path.iterdir()} == {"new.pt", "old.pt", "script.pt"}


def test_code_of_the_class_names_of_a_script_is_never_looked_up(port_files, tmp_path):
    path = port_files.torchscript(tmp_path / "script.pt")  # its classes exist nowhere
    assert len(read_torch_archive(path).tensors) == 344


def change_pickle(path, old, new, name="state_dict.pt"):
    """Writes an archive with other instructions in its pickle."""
    members = members_of(name)
    assert members["data.pkl"].count(old) >= 1
    return archive(path, {**members, "data.pkl": members["data.pkl"].replace(old, new, 1)})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # offset 1, shape (2, 3, 2), strides (3, 1, 2)
        (b"K\x01K\x02K\x03K\x02\x87", b"K\x03K\x02K\x03K\x02\x87", "reaches beyond its storage"),
        (b"K\x01K\x02K\x03K\x02\x87", b"K\x01K\x02K\x04K\x09\x87", "reaches beyond its storage"),
        (
            b"K\x01K\x02K\x03K\x02\x87",
            b"J\xff\xff\xff\xffK\x02K\x03K\x02\x87",
            "no shape and strides",
        ),
        (b"K\x03K\x01K\x02\x87", b"K\x03J\xff\xff\xff\xffK\x02\x87", "no shape and strides"),
        (b"K\x03K\x01K\x02\x87", b"K\x03K\x01\x86", "no shape and strides"),
        (b"K\x03K\x01K\x02\x87", b"K\x03K\x01\x88\x87", "no shape and strides"),
        (b"FloatStorage", b"EvilsStorage", r"names torch\.EvilsStorage"),
        (b"FloatStorage", b"ShortStorage", "should have 10 numbers of int16"),
        (b"cpuq\x07K\x0a", b"cpuq\x07K\x0b", "should have 11 numbers of float32"),
        (b"X\x07\x00\x00\x00storage", b"X\x07\x00\x00\x00storagX", "not a storage's"),
        (b"_rebuild_tensor_v2", b"_rebuild_tensor_v3", r"names torch\._utils\._rebuild_tensor_v3"),
    ],
)
def test_tensors_that_are_no_views_of_their_storages_are_refused(tmp_path, old, new, message):
    path = change_pickle(tmp_path / "file.pt", old, new)
    with pytest.raises(WeightsError, match=message):
        read_torch_archive(path)


def test_a_pickle_cannot_change_a_tensor_or_a_storage(tmp_path):
    evil = b"}(X\x05\x00\x00\x00countJ\xff\xff\xff\x7fub"  # sets `count` of the value before it
    for place in (b"tq\x08Q", b"tq\x0cRq\x0d"):
        path = change_pickle(tmp_path / "file.pt", place, place + evil)
        with pytest.raises(WeightsError, match="sets attributes of a value"):
            read_torch_archive(path)


def test_damaged_archives_are_refused(tmp_path):
    members, path = members_of("state_dict.pt"), tmp_path / "file.pt"
    cases = [
        ({**members, "byteorder": b"big"}, zipfile.ZIP_STORED, "big-endian"),
        (members, zipfile.ZIP_DEFLATED, "is compressed, which torch.save never does"),
        ({k: v for k, v in members.items() if k != "data/0"}, zipfile.ZIP_STORED, "data/0"),
        ({**members, "data/0": members["data/0"][:-4]}, zipfile.ZIP_STORED, "has 36 bytes"),
    ]
    for content, compression, message in cases:
        archive(path, content, compression)
        with pytest.raises(WeightsError, match=message):
            read_torch_archive(path)
    content = (FILES / "state_dict.pt").read_bytes()
    path.write_bytes(content.replace(members["data/0"], members["data/0"][:-1] + b"\x00"))
    with pytest.raises(WeightsError, match="Bad CRC-32"):
        read_torch_archive(path)


def test_members_of_an_archive_may_not_be_counted_twice(tmp_path):
    # Two names in the directory for the same bytes: unpacked, they are more than the file has.
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as file:
        file.writestr("archive/data.pkl", members_of("state_dict.pt")["data.pkl"])
        file.writestr("archive/data/0", b"x" * 40)
        info = file.getinfo("archive/data/0")
        info.file_size = info.compress_size = 1 << 40
    path = tmp_path / "bomb.pt"
    path.write_bytes(plain.getvalue())
    with pytest.raises(WeightsError, match="bomb"):
        read_torch_archive(path)


def old_file(path, tensors, storages):
    """Writes an old file: the instructions of its tensors, and (key, numbers) of its storages."""
    start = (FILES / "old_state_dict.pt").read_bytes()[:137]
    content = (
        start + b"\x80\x02}(" + tensors + b"u." + pickle.dumps([key for key, _ in storages], 2)
    )
    for _, values in storages:
        content += struct.pack("<q", len(values)) + values.tobytes()
    path.write_bytes(content)
    return path


def view(key, length, metadata=b"N"):
    """The instructions of a tensor of 2 numbers, the first of a storage or of a view of one."""
    return (
        b"ctorch._utils\n_rebuild_tensor\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        + b"X\x01\x00\x00\x00" + key + b"X\x03\x00\x00\x00cpuK" + bytes([length]) + metadata
        + b"tQK\x00K\x02\x85K\x01\x85tR"
    )  # fmt: skip


def test_old_files_may_have_views_of_storages(tmp_path):
    ramp = ("a", np.arange(9, dtype="<f4"))
    metadata = b"X\x01\x00\x00\x00vK\x05K\x02\x87"  # two numbers from the sixth on
    tensors = (
        b"X\x01\x00\x00\x00x" + view(b"a", 9) + b"X\x01\x00\x00\x00y" + view(b"a", 9, metadata)
    )
    found = read_old_torch_file(old_file(tmp_path / "old.pt", tensors, [ramp])).tensors
    np.testing.assert_array_equal(found["x"].read(), [0, 1])
    np.testing.assert_array_equal(found["y"].read(), [5, 6])
    outside = metadata.replace(b"K\x05", b"K\x08")
    path = old_file(tmp_path / "old.pt", b"X\x01\x00\x00\x00y" + view(b"a", 9, outside), [ramp])
    with pytest.raises(WeightsError, match="has 4 bytes, and should have 2 numbers"):
        read_old_torch_file(path)


def test_old_files_may_have_been_on_a_gpu(tmp_path):
    tensor = view(b"a", 9).replace(b"ctorch\nFloat", b"ctorch.cuda\nFloat")
    tensor = tensor.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    path = tmp_path / "old.pt"
    old_file(path, b"X\x01\x00\x00\x00x" + tensor, [("a", np.arange(9, dtype="<f4"))])
    np.testing.assert_array_equal(read_old_torch_file(path).tensors["x"].read(), [0, 1])


def test_damaged_old_files_are_refused(tmp_path):
    content, path = (FILES / "old_state_dict.pt").read_bytes(), tmp_path / "old.pt"
    keys = content.index(b"\x80\x02]q")
    for changed, message in (
        (content[:-1], "cut short"),
        (content[:keys], "damaged pickle"),
        (content + b"x", "bytes after its last storage"),
        (content.replace(b"endianq\x02\x88", b"endianq\x02\x89"), "big-endian"),
        (content.replace(b"M\xe9\x03", b"M\xea\x03", 1), "not a file of torch.save"),
        (content[:keys] + content[keys:].replace(b"q\x01", b"q\x01a", 1), "old.pt: "),
    ):
        path.write_bytes(changed)
        with pytest.raises(WeightsError, match=message):
            read_old_torch_file(path)


def test_is_torch_archive_takes_no_other_files(tmp_path):
    (tmp_path / "text").write_text("text")
    with zipfile.ZipFile(tmp_path / "other", "w") as file:
        file.writestr("config.json", "{}")
    assert not any(is_torch_archive(path) for path in (*tmp_path.iterdir(), tmp_path / "none"))
