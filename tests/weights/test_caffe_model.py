import numpy as np
import pytest
from fixtures.public_networks import protobuf_field, write_caffe_model

from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.caffe_model import read_caffe_model

GENERATOR = np.random.default_rng(0)
ARRAYS = {
    "conv1.weight": GENERATOR.normal(size=(4, 3, 7, 7)).astype(np.float32),
    "conv1.bias": GENERATOR.normal(size=4).astype(np.float32),
    "fc6.weight": GENERATOR.normal(size=(5, 36)).astype(np.float32),
    "fc6.bias": GENERATOR.normal(size=5).astype(np.float32),
    "lstm1.weight": GENERATOR.normal(size=(8, 5)).astype(np.float32),
    "lstm1.bias": GENERATOR.normal(size=8).astype(np.float32),
    "lstm1.2": GENERATOR.normal(size=(8, 2)).astype(np.float32),
}
VOLUMES = {**ARRAYS, "conv1.weight": GENERATOR.normal(size=(4, 3, 3, 7, 7)).astype(np.float32)}


@pytest.mark.parametrize(
    ("form", "arrays"), [("shape", ARRAYS), ("four", ARRAYS), ("five", VOLUMES)]
)
def test_blobs_have_the_names_of_their_layers(tmp_path, form, arrays):
    path = write_caffe_model(tmp_path / "net.caffemodel", arrays, form)
    blobs = read_caffe_model(path)
    assert set(blobs) == set(arrays)
    for name, array in arrays.items():
        assert blobs[name].shape == array.shape
        assert blobs[name].dtype == "float32"
        np.testing.assert_array_equal(blobs[name].read(), array)


def test_files_cut_short_are_refused_by_their_name_alone(tmp_path):
    content = write_caffe_model(tmp_path / "net", ARRAYS, "shape").read_bytes()
    for suffix in ("", ".caffemodel"):
        path = tmp_path / f"cut{suffix}"
        for length in (3, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:length])
            if suffix:
                with pytest.raises(WeightsError, match=r"cut\.caffemodel: damaged or cut short: "):
                    read_caffe_model(path)
            else:
                assert read_caffe_model(path) is None


def blob(*fields):
    """A file of one layer with one blob of the given fields."""
    array = b"".join(protobuf_field(number, value) for number, value in fields)
    layer = protobuf_field(1, b"fc") + protobuf_field(7, array)
    return protobuf_field(1, b"net") + protobuf_field(100, layer)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (blob((5, bytes(8))), r"an array of shape \(0, 0, 0, 0\) has 8 bytes"),
        (blob((7, protobuf_field(1, b"\x03")), (5, bytes(8))), r"of shape \(3,\) has 8 bytes"),
        (blob((7, protobuf_field(1, b"\xff" * 5 + b"\x01")), (5, bytes(8))), "has 8 bytes"),
        (blob(*[(5, bytes(4))] * 65), "in too many pieces"),
        (blob((5, bytes(8)))[:-1], "longer than the file"),
        (protobuf_field(1, b"net") + b"\x0f", "the unknown type 7"),
        (protobuf_field(1, b"net") + b"\xff" * 10, "too many bytes"),
        (protobuf_field(1, b"net") + protobuf_field(50, b""), "field 50 is unknown"),
        (protobuf_field(1, b"net") + protobuf_field(100, 1), "a layer is no message"),
        (2 * blob((7, protobuf_field(1, b"\x01")), (5, bytes(4))), "'fc' is there twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_files_are_refused_with_the_reason(tmp_path, content, reason):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        read_caffe_model(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"PK\x03\x04", b"\nSome text\n", b"\x80\x02}."])
def test_other_files_are_none(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert read_caffe_model(tmp_path / "file") is None


def test_changed_files_are_refused_or_have_arrays_of_their_shapes(
    tmp_path, mutations, watch_events
):
    path = write_caffe_model(tmp_path / "net.caffemodel", ARRAYS)
    messages = []
    with watch_events() as events:
        for content in mutations(path.read_bytes(), 200, 0):
            path.write_bytes(content)
            try:
                blobs = read_caffe_model(path) or {}
            except WeightsError as error:
                messages.append(str(error))
            else:
                assert all(blob.read().shape == blob.shape for blob in blobs.values())
    assert events == []
    assert 0 < len(messages) < 200
    assert all(message.startswith(f"{path}: ") for message in messages)
