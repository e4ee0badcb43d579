import h5py
import keras
import numpy as np
import pytest

from i3d_tf.models.inception import inception_i3d, inception_v1
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.weights_file import (
    FIRST_KERNEL,
    LAST_KERNEL,
    KerasFile,
    describe_weights,
    read_first_kernel,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.weights.h5"


def test_describes_a_network_with_its_head(tiny_dir):
    # 64 / 16 filters; 57 convolutions with three batch-norm variables each, and the head's two.
    rgb = describe_weights(tiny_dir / "tiny_rgb.weights.h5")
    assert rgb == KerasFile(channels=3, filters=4, classes=5, variables=230)
    assert describe_weights(tiny_dir / "tiny_flow.weights.h5") == rgb._replace(channels=2)


def test_describes_a_network_without_its_head(path):
    inception_i3d(include_top=False, width_multiplier=1 / 16).save_weights(path)
    assert describe_weights(path) == KerasFile(3, 4, None, 228)


def test_an_optimizers_state_is_not_counted(path):
    model = inception_i3d(classes=5, width_multiplier=1 / 16, dropout_rate=0.5)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save_weights(path)
    assert describe_weights(path).variables == 230


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_not_hdf5(path, content):
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"file\.weights\.h5: not a readable HDF5 file"):
        describe_weights(path)


def test_a_file_cut_short(tiny_dir, path):
    path.write_bytes((tiny_dir / "tiny_rgb.weights.h5").read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"not a readable HDF5 file .*truncated"):
        describe_weights(path)


def test_weights_of_another_network(path):
    clip = keras.Input((2,))
    keras.Model(clip, keras.layers.Dense(1)(clip)).save_weights(path)
    with pytest.raises(WeightsError, match="not the weights of an I3D"):
        describe_weights(path)


def test_a_file_with_nothing_in_it(path):
    h5py.File(path, "w").close()
    with pytest.raises(WeightsError, match="not the weights of an I3D"):
        describe_weights(path)


@pytest.mark.parametrize("odd", [FIRST_KERNEL, LAST_KERNEL])
def test_kernels_without_their_five_axes(path, odd):
    with h5py.File(path, "w") as file:
        for name in (FIRST_KERNEL, LAST_KERNEL):
            file[name] = 1.0 if name == odd else np.zeros((1, 1, 1, 3, 4))
    with pytest.raises(WeightsError, match="not the weights of an I3D"):
        describe_weights(path)


@pytest.mark.parametrize("huge", [FIRST_KERNEL, LAST_KERNEL])
def test_shapes_that_the_file_has_no_room_for(path, huge):
    with h5py.File(path, "w") as file:
        for name in (FIRST_KERNEL, LAST_KERNEL):
            shape = (1, 1, 1, 1024, 10**9 if name == huge else 4)
            file.create_dataset(name, shape, "f", chunks=(1, 1, 1, 1, 4))
    with pytest.raises(WeightsError, match="declares more values than it holds"):
        describe_weights(path)


@pytest.fixture
def flat(path):
    """A 2D network of twenty channels, saved at `path`."""
    model = inception_v1(input_shape=(None, None, 20), classes=5, width_multiplier=1 / 16)
    model.save_weights(path)
    return model


def test_describes_a_2d_network(flat, path):
    assert describe_weights(path, "inception_v1") == KerasFile(20, 4, 5, 230)


def test_a_2d_network_is_not_an_i3d_nor_the_other_way_round(flat, path, tiny_dir):
    with pytest.raises(
        WeightsError, match=r"not the weights of an I3D\. They are a 2D .*--inflate"
    ):
        describe_weights(path)
    with pytest.raises(WeightsError, match=r"not the weights of a 2D Inception-v1\.$"):
        describe_weights(tiny_dir / "tiny_rgb.weights.h5", "inception_v1")


def test_first_kernel_of_either_network(flat, path, tiny_dir):
    np.testing.assert_array_equal(
        read_first_kernel(path), np.array(flat.get_layer("Conv2d_1a_7x7").convolution().kernel)
    )
    assert read_first_kernel(tiny_dir / "tiny_flow.weights.h5").shape == (7, 7, 7, 2, 4)


def test_first_kernel_of_another_network(path):
    clip = keras.Input((2,))
    keras.Model(clip, keras.layers.Dense(1)(clip)).save_weights(path)
    with pytest.raises(WeightsError, match="not the weights of an I3D"):
        read_first_kernel(path)
