import h5py
import keras
import numpy as np
import pytest

from i3d_tf.models.inception import inception_v1
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.weights_file import (
    FIRST_DATASET,
    LAST_DATASET,
    describe_weights,
    read_first_kernel,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.weights.h5"


def test_describe_weights_of_a_network_with_its_head(tiny_dir):
    # 64 / 16 filters; 57 convolutions with three batch-norm variables each, and the head's two.
    rgb = describe_weights(tiny_dir / "tiny_rgb.weights.h5")
    assert rgb[:3] == (3, 4, 5)
    assert len(rgb.shapes) == 230
    assert {(7, 7, 7, 3, 4), (1, 1, 1, 64, 5), (5,)} <= set(rgb.shapes)
    assert describe_weights(tiny_dir / "tiny_flow.weights.h5")[:3] == (2, 4, 5)


def test_describe_weights_of_a_trained_network_without_its_head(tiny_dir, path):
    path.write_bytes((tiny_dir / "tiny_rgb.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        del file["layers/logits"]
        file["optimizer/vars/0"] = np.zeros(4)  # is not counted
    found = describe_weights(path)
    assert found[:3] == (3, 4, None)
    assert len(found.shapes) == 228


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_file_that_is_not_hdf5_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"file\.weights\.h5: not a readable HDF5 file"):
        describe_weights(path)


def test_truncated_file_is_refused(tiny_dir, path):
    path.write_bytes((tiny_dir / "tiny_rgb.weights.h5").read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"not a readable HDF5 file .*truncated"):
        describe_weights(path)


def test_weights_of_another_network_are_refused(path):
    clip = keras.Input((2,))
    keras.Model(clip, keras.layers.Dense(1)(clip)).save_weights(path)
    with pytest.raises(WeightsError, match="not the weights of an I3D"):
        describe_weights(path)


def test_empty_hdf5_file_is_refused(path):
    h5py.File(path, "w").close()
    with pytest.raises(WeightsError, match="not the weights of an I3D"):
        describe_weights(path)


@pytest.mark.parametrize("odd", [FIRST_DATASET, LAST_DATASET])
def test_kernels_without_five_axes_are_refused(path, odd):
    with h5py.File(path, "w") as file:
        for name in (FIRST_DATASET, LAST_DATASET):
            file[name] = 1.0 if name == odd else np.zeros((1, 1, 1, 3, 4))
    with pytest.raises(WeightsError, match="not the weights of an I3D"):
        describe_weights(path)


@pytest.mark.parametrize("huge", [FIRST_DATASET, LAST_DATASET])
def test_shapes_larger_than_the_file_are_refused(path, huge):
    with h5py.File(path, "w") as file:
        for name in (FIRST_DATASET, LAST_DATASET):
            shape = (1, 1, 1, 1024, 10**4 if name == huge else 4)
            file.create_dataset(name, shape, "f", chunks=(1, 1, 1, 8, 4))
    with pytest.raises(WeightsError, match="declares more values than it holds"):
        describe_weights(path)


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """(2D network of twenty channels, its file)."""
    model = inception_v1(input_shape=(None, None, 20), classes=5, width_multiplier=1 / 16)
    path = tmp_path_factory.mktemp("flat") / "flat.weights.h5"
    model.save_weights(path)
    return model, path


def test_describe_weights_of_a_2d_network(flat):
    found = describe_weights(flat[1], "inception_v1")
    assert found[:3] == (20, 4, 5)
    assert len(found.shapes) == 230


def test_2d_network_is_not_an_i3d_nor_the_other_way_round(flat, tiny_dir):
    with pytest.raises(
        WeightsError, match=r"not the weights of an I3D\. They are a 2D .*--inflate"
    ):
        describe_weights(flat[1])
    with pytest.raises(WeightsError, match=r"not the weights of a 2D Inception-v1\.$"):
        describe_weights(tiny_dir / "tiny_rgb.weights.h5", "inception_v1")


def test_read_first_kernel_of_either_network(flat, tiny_dir):
    model, path = flat
    expected = np.array(model.get_layer("Conv2d_1a_7x7").convolution().kernel)
    np.testing.assert_array_equal(read_first_kernel(path), expected)
    assert read_first_kernel(tiny_dir / "tiny_flow.weights.h5").shape == (7, 7, 7, 2, 4)


def test_read_first_kernel_of_another_network(path):
    h5py.File(path, "w").close()
    with pytest.raises(WeightsError, match="not the weights of an I3D"):
        read_first_kernel(path)
