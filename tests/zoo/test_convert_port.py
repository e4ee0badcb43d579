import dataclasses

import numpy as np
import pytest

import i3d_tf
from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.labels import read_labels
from i3d_tf.specs.releases import RELEASES
from i3d_tf.system.files import sha256
from i3d_tf.weights.assign import WeightsError, assign_weights
from i3d_tf.weights.released_data import release_data_blob
from i3d_tf.weights.store import read_manifest
from i3d_tf.zoo.checkpoint import open_checkpoint
from i3d_tf.zoo.convert_port import convert_port


@pytest.fixture(scope="module")
def converted(port_files, tmp_path_factory):
    """(folder, result) of a state dict's conversion."""
    folder = tmp_path_factory.mktemp("converted")
    source = port_files.state_dict(folder / "rgb_imagenet.pt")
    return folder, convert_port(source, "mine", folder)


def test_converted_network_computes_as_its_arrays_do(converted, port_files, random_clips):
    folder, result = converted
    checkpoint = open_checkpoint("mine", folder)
    assert checkpoint.class_names == read_labels("kinetics400")
    direct = inception_i3d(classes=400)
    assign_weights(direct, port_files.arrays())
    clips = random_clips((9, 64, 64, 3), 2)
    expected = np.array(direct(clips))
    np.testing.assert_array_equal(np.array(checkpoint.model(clips)), expected)
    assert np.ptp(expected) > 0
    assert result.path == folder / "mine.weights.h5"


def test_row_names_the_source(converted):
    folder, result = converted
    source = folder / "rgb_imagenet.pt"
    row = read_manifest(folder)["mine"]
    assert row["source"] == {
        "form": "a PyTorch state dict with the names of pytorch-i3d",
        "equals_release": None,
        "sha256": {"rgb_imagenet.pt": sha256(source)},
    }
    assert (row["stream"], row["classes"], row["labels"]) == ("rgb", 400, "kinetics400")
    assert result.lines == [
        f"{source}: a PyTorch state dict with the names of pytorch-i3d, rgb, 400 classes; equal to "
        "no release. The classes are taken to be those of kinetics400."
    ]


def test_values_of_a_release_are_recognized(port_files, tmp_path, monkeypatch):
    blob = release_data_blob(port_files.arrays(), RELEASES["rgb_scratch"])
    data = dataclasses.replace(RELEASES["rgb_scratch"].data, blob=blob)
    monkeypatch.setitem(
        RELEASES, "rgb_scratch", dataclasses.replace(RELEASES["rgb_scratch"], data=data)
    )
    source = port_files.torchscript(tmp_path / "i3d_torchscript.pt")
    result = convert_port(source, "rgb_scratch", tmp_path)
    assert result.lines == [
        f"{source}: TorchScript with the names of pytorch-i3d, rgb, 400 classes; equal to "
        "rgb_scratch, bit for bit."
    ]
    row = read_manifest(tmp_path)["rgb_scratch"]
    assert (row["source"]["equals_release"], row["labels"]) == ("rgb_scratch", "kinetics400")
    with pytest.raises(
        WeightsError, match="of flow_scratch, bit for bit; they are those of rgb_scratch"
    ):
        convert_port(source, "flow_scratch", tmp_path)


def test_network_of_unknown_classes_has_no_labels(make_port_files, tmp_path):
    files = make_port_files(channels=2, classes=157)
    source = files.old_state_dict(tmp_path / "flow.pt")
    result = convert_port(source, "charades", tmp_path)
    assert "no checksum" in result.lines[1]
    assert sha256(source) in result.lines[1]
    assert "flow, 157 classes; equal to no release." in result.lines[0]
    assert "The names of the classes are unknown" in result.lines[0]
    row = read_manifest(tmp_path)["charades"]
    assert (row["stream"], row["classes"], row["labels"]) == ("flow", 157, None)


def test_network_without_a_head(make_port_files, tmp_path):
    files = make_port_files(channels=2)
    source = files.keras2(tmp_path / "notop.h5", with_head=False)
    result = convert_port(source, "features", tmp_path)
    assert "flow, without a classifier, so that it cannot be compared" in result.lines[0]
    model = i3d_tf.load("features", tmp_path)
    assert model.output_shape == (None, None, None, None, 1024)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("rgb_imagenet", WeightsError, "not known to be those of rgb_imagenet, bit for bit. Give"),
        ("../mine", ValueError, "`name` must be made of letters"),
    ],
)
def test_names_that_are_not_allowed_change_nothing(port_files, tmp_path, name, error, message):
    source = port_files.state_dict(tmp_path / "file.pt")
    with pytest.raises(error, match=message):
        convert_port(source, name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_source_changes_nothing(port_files, tmp_path):
    source = port_files.state_dict(tmp_path / "file.pt")
    source.write_bytes(source.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"file\.pt: "):
        convert_port(source, "mine", tmp_path / "out")
    assert not (tmp_path / "out").exists()
