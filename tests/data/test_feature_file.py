import io
import json
import os
import zipfile

import numpy as np
import pytest

import i3d_tf
from i3d_tf.data import feature_file
from i3d_tf.data.feature_file import (
    VideoFeatures,
    check_sidecar,
    is_feature_file,
    read_features,
    write_features,
)

FORMATS = ("npy", "npz", "h5")
METADATA = {"stream": "rgb", "stride": 8, "window": None, "source": {"name": "ü\udcff.mp4"}}


@pytest.fixture
def ramp():
    """Three rows of 0, 1, 2 and so on."""
    times = np.array([[0, 0.2, 0.32], [0.32, 0.5, 0.64], [0.64, 0.7, 0.1 + 0.6]])
    return VideoFeatures(np.arange(12, dtype=np.float32).reshape(3, 4), times, METADATA)


@pytest.mark.parametrize("ending", [*FORMATS, "hdf5", "NPY"])
@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 1, 2)])
def test_read_features_returns_written_values(ramp, tmp_path, ending, shape):
    path = tmp_path / f"a.b.{ending}"
    write_features(path, VideoFeatures(ramp.features.reshape(shape), ramp.times, METADATA))
    found = i3d_tf.read_features(path)
    np.testing.assert_array_equal(found.features, ramp.features.reshape(shape))
    np.testing.assert_array_equal(found.times, ramp.times)
    assert (found.features.dtype, found.times.dtype) == (np.float32, np.float64)
    assert found.metadata == METADATA
    found.features[0] = 1  # they are writable
    extra = [f"a.b.{ending}.json"] if ending.lower() == "npy" else []
    assert sorted(os.listdir(tmp_path)) == [f"a.b.{ending}", *extra]


@pytest.mark.parametrize("ending", FORMATS)
def test_write_features_gives_the_same_bytes_again(ramp, tmp_path, ending):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_features(tmp_path / name / f"x.{ending}", ramp, staging=tmp_path)
    names = os.listdir(tmp_path / "a")
    assert all(
        (tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in names
    )
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_numpy_h5py_and_json_read_feature_files(ramp, tmp_path):
    import h5py

    for ending in FORMATS:
        write_features(tmp_path / f"a.{ending}", ramp)
    plain = np.load(tmp_path / "a.npy", allow_pickle=False)
    np.testing.assert_array_equal(plain, ramp.features)
    side = json.loads((tmp_path / "a.npy.json").read_text())
    assert (side["stride"], side["times"][1]) == (8, [0.32, 0.5, 0.64])
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["features"], ramp.features)
        assert json.loads(str(arrays["metadata"]))["stream"] == "rgb"
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["times"][()], ramp.times)
        assert json.loads(file.attrs["metadata"])["format"] == "i3d_tf features"


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("keep", [0, 9, 150, -1, -40])
def test_read_features_refuses_files_cut_short(ramp, tmp_path, ending, keep):
    path = tmp_path / f"a.{ending}"
    write_features(path, ramp)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=rf"a\.{ending}: not a whole feature file: "):
        read_features(path)


def test_read_features_notices_every_flipped_bit_in_the_values_of_hdf5(ramp, tmp_path):
    path = tmp_path / "a.h5"
    write_features(path, ramp)
    content = path.read_bytes()
    parts = [ramp.features.tobytes(), ramp.times.tobytes(), b'"stride": 8']
    for part in parts:
        assert content.count(part) == 1
        for place in range(content.index(part), content.index(part) + len(part)):
            changed = bytearray(content)
            changed[place] ^= 1 << place % 8
            path.write_bytes(changed)
            with pytest.raises(ValueError, match=r"a\.h5: not a whole feature file: "):
                read_features(path)


def test_read_features_reads_hdf5_of_earlier_versions_without_a_checksum(ramp, tmp_path):
    import h5py

    path = tmp_path / "a.h5"
    write_features(path, ramp)
    with h5py.File(path, "a") as file:
        del file.attrs["sha256"], file.attrs["has_trailer"]
    np.testing.assert_array_equal(read_features(path).features, ramp.features)
    with h5py.File(path, "a") as file:
        file.attrs["metadata"] = np.arange(3)
    with pytest.raises(ValueError, match="its metadata are not text"):
        read_features(path)


def test_read_features_refuses_an_npz_that_unpacks_to_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr("i3d_tf.system.expansion.ALWAYS_ALLOWED", 2**16)
    np.savez_compressed(tmp_path / "a.npz", features=np.zeros((999, 999), np.float32))
    with pytest.raises(ValueError, match=r"a\.npz: .* bytes unpack to 3,992,\d{3}, which is not"):
        read_features(tmp_path / "a.npz")


def test_read_features_refuses_an_npy_with_the_metadata_of_another(ramp, tmp_path):
    path, side = tmp_path / "a.npy", tmp_path / "a.npy.json"
    write_features(path, ramp)
    text = side.read_text()
    write_features(path, VideoFeatures(ramp.features + 1, ramp.times, METADATA))
    side.write_text(text)
    with pytest.raises(ValueError, match=r"a\.npy\.json belongs to another file"):
        read_features(path)
    side.write_text("[" * 10**5)
    with pytest.raises(ValueError, match="its metadata are not JSON"):
        read_features(path)
    side.write_text("{}")
    with pytest.raises(ValueError, match="must be of 'i3d_tf features', version 1"):
        read_features(path)
    side.unlink()
    with pytest.raises(ValueError, match=r"its metadata, a\.npy\.json, are not beside it"):
        read_features(path)


def header(shape, dtype="<f4"):
    file = io.BytesIO()
    fields = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            header((10**12, 1024)) + bytes(64),
            r"header says, \(1000000000000, 1024\)",
        ),
        (header((-1, -4)) + bytes(16), "size than its header says"),
        (header((4, 4), "<f8") + bytes(128), r"must be \('float32',\), row by row; it is float64"),
        (header((1,), "|O") + bytes(8), "it is object"),
        (b"\x80\x04K\x01.", "not an array in NumPy's format"),
    ],
)
def test_read_features_compares_headers_with_file_sizes(ramp, tmp_path, content, message):
    for ending in ("npy", "npz"):
        write_features(tmp_path / f"a.{ending}", ramp)
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_features(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        metadata = archive.read("metadata.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("metadata.npy", metadata)
        archive.writestr("features.npy", content)
    with pytest.raises(ValueError, match=message):
        read_features(tmp_path / "a.npz")


def test_read_features_refuses_hdf5_with_values_elsewhere(ramp, tmp_path):
    import h5py

    path = tmp_path / "a.h5"
    for change, message in (
        (
            lambda file: file.create_dataset("features", (10**12, 9), "f4"),
            "size than its header",
        ),
        (lambda file: file.create_dataset("features", (3, 4), "f8"), "dataset of float32"),
        (lambda file: file.__setitem__("features", h5py.ExternalLink("b.h5", "x")), "is missing"),
        (lambda file: file.create_group("features"), "dataset of float32"),
        (lambda file: None, "features is missing"),
    ):
        write_features(path, ramp)
        with h5py.File(path, "r+") as file:
            del file["features"]
            change(file)
        with pytest.raises(ValueError, match=message):
            read_features(path)


def test_names_shapes_and_dtypes_are_checked(ramp, tmp_path):
    with pytest.raises(ValueError, match=r"must end in one of \.npy, \.npz, \.h5"):
        read_features(tmp_path / "a.mat")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_features(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"times of 3 rows must be \(3, 3\); they are \(2, 3\)"):
        VideoFeatures(ramp.features, ramp.times[:2], METADATA)
    with pytest.raises(ValueError, match=r"C at least 1; they are \(3, 0\)"):
        VideoFeatures(ramp.features[:, :0], ramp.times, METADATA)
    with pytest.raises(ValueError, match="`features` must be float32; received float64"):
        VideoFeatures(ramp.features.astype(float), ramp.times, METADATA)


def test_video_features_refuse_more_than_the_limit(ramp, monkeypatch):
    monkeypatch.setattr(feature_file, "MAX_BYTES", 47)
    with pytest.raises(ValueError, match="take more than 47 bytes; pool them"):
        VideoFeatures(ramp.features, ramp.times, METADATA)


def test_write_features_takes_arrays_of_any_layout(ramp, tmp_path):
    turned = VideoFeatures(np.asfortranarray(ramp.features), ramp.times, METADATA)
    for name, features in (("a.npy", ramp), ("b.npy", turned)):
        write_features(tmp_path / name, features)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_read_features_turns_the_byte_order(ramp, tmp_path):
    path = tmp_path / "a.npz"
    write_features(path, ramp)
    with np.load(path) as arrays:
        metadata = arrays["metadata"]
    np.savez(path, features=ramp.features.astype(">f4"), times=ramp.times, metadata=metadata)
    np.testing.assert_array_equal(read_features(path).features, ramp.features)


@pytest.mark.parametrize(
    ("ending", "length", "limit"), [("npy", 2**20, 2**20), ("h5", 2**16, 2**16 - 2**10)]
)
def test_write_features_refuses_long_metadata(ramp, tmp_path, ending, length, limit):
    features = VideoFeatures(ramp.features, ramp.times, {"a": "b" * length})
    with pytest.raises(ValueError, match=f"`metadata` must be at most {limit} characters"):
        write_features(tmp_path / f"a.{ending}", features)


def test_write_features_gives_an_npy_its_name_after_its_metadata(ramp, tmp_path, monkeypatch):
    replace = os.replace

    def stop(source, target):
        replace(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_features(tmp_path / "a.npy", ramp)
    assert os.listdir(tmp_path) == ["a.npy.json"]


@pytest.mark.parametrize("ending", FORMATS)
def test_write_features_leaves_the_old_files_on_a_full_disk(tmp_path, ending):
    resource = pytest.importorskip("resource", reason="limits are set with POSIX's setrlimit")
    path = tmp_path / f"a.{ending}"
    small = VideoFeatures(np.ones((1, 4), np.float32), np.zeros((1, 3)), METADATA)
    large = VideoFeatures(np.ones((9, 4096), np.float32), np.zeros((9, 3)), METADATA)
    write_features(path, small)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    try:
        with pytest.raises(OSError, match=rf"a\.{ending}: it cannot be written: file too large"):
            write_features(path, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


@pytest.mark.parametrize("ending", ["npy", "npz", "h5"])
def test_is_feature_file_knows_damaged_ones_from_others(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    assert not is_feature_file(path)
    values = VideoFeatures(np.ones((1, 2), "f"), np.ones((1, 3)), {})
    write_features(path, values)
    assert is_feature_file(path)
    if ending != "h5":  # which says nothing once it is cut short
        path.write_bytes(path.read_bytes()[:-1])
        assert is_feature_file(path)
    for other in tmp_path.iterdir():
        other.write_bytes(b"text")
    assert not is_feature_file(path)


def test_check_sidecar_keeps_other_files(tmp_path):
    check_sidecar(tmp_path / "a.npy")
    (tmp_path / "a.npy.json").write_text("{}")
    check_sidecar(tmp_path / "a.npz")
    with pytest.raises(FileExistsError, match=r"a\.npy\.json: exists already and was not written"):
        check_sidecar(tmp_path / "a.npy")


def test_read_features_checks_an_hdf5_file_before_it_is_opened(ramp, tmp_path, monkeypatch):
    import h5py

    path = tmp_path / "a.h5"
    write_features(path, ramp)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(h5py, "File", None)
    with pytest.raises(ValueError, match="it is damaged: its SHA-256 differs"):
        read_features(path)
