import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from i3d_tf.system.files import sha256
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.store import MANIFEST
from i3d_tf.zoo.network_file import load_keras, load_network, load_weights_file, restore_state
from i3d_tf.zoo.resolve import resolve

TINY = 1 / 16


def test_name_without_a_head_is_loaded(headless_dir):
    model = load_network(resolve("headless", headless_dir))
    assert (model.name, model.output_shape[-1], len(model.weights)) == ("headless", 64, 228)


def test_unknown_architecture_in_the_manifest(tmp_path):
    (tmp_path / "odd.weights.h5").write_bytes(b"weights")
    row = {"architecture": "vgg", "sha256": sha256(tmp_path / "odd.weights.h5")}
    (tmp_path / MANIFEST).write_text(json.dumps({"weights": {"odd": row}}))
    with pytest.raises(
        WeightsError, match=r"`architecture` must be one of .*'inception_v1'.*'vgg'"
    ):
        load_network(resolve("odd", tmp_path))


def test_wrong_width_of_a_weights_file(tiny_dir):
    for load in (
        lambda path: load_weights_file(path, 0.5),
        lambda path: load_network(resolve(path), width_multiplier=0.5),
    ):
        with pytest.raises(
            WeightsError,
            match=r"first layer has 4 filters; with width_multiplier=0\.5 it would have 32",
        ):
            load(tiny_dir / "tiny_rgb.weights.h5")


def test_channels_of_the_other_stream(tiny_dir):
    with pytest.raises(WeightsError, match=r"read 2 channels .* and `input_shape` has 3"):
        load_network(resolve("tiny_flow", tiny_dir), (9, 32, 32, 3))


def test_array_too_many_and_too_few(tiny_dir, tmp_path):
    path = tmp_path / "changed.weights.h5"
    path.write_bytes((tiny_dir / "tiny_rgb.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file["layers/unit3d_9/conv_3d/vars/0"] = np.zeros(4, "f")
    with pytest.raises(WeightsError, match="231 arrays; 'inception_i3d' has 230 variables"):
        load_weights_file(path, TINY)
    with h5py.File(path, "a") as file:
        del file["layers/unit3d_1/conv_3d/vars/0"]
    with pytest.raises(
        WeightsError, match=r"changed\.weights\.h5: does not fit 'inception_i3d': more of its"
    ):
        load_weights_file(path, TINY)


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    """A network of one layer in a file."""
    inputs = keras.Input((99,))
    path = tmp_path_factory.mktemp("keras") / "dense.keras"
    keras.Model(inputs, keras.layers.Dense(99)(inputs)).save(path)
    return path


def test_text_in_place_of_a_keras_file(tmp_path):
    path = tmp_path / "x.keras"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(WeightsError, match=r"x\.keras: not a \.keras file, or cut short"):
        load_keras(path)


def test_keras_file_cut_short(keras_file, tmp_path):
    path = tmp_path / "cut.keras"
    path.write_bytes(keras_file.read_bytes()[:-30])
    with pytest.raises(WeightsError, match=r"cut\.keras: not a \.keras file, or cut short"):
        load_keras(path)


def test_keras_file_with_damaged_weights(keras_file, tmp_path):
    content = bytearray(keras_file.read_bytes())
    middle = len(content) // 2  # the archive holds little besides the weights
    content[middle : middle + 64] = bytes(64)
    path = tmp_path / "damaged.keras"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged\.keras: cannot be loaded"):
        load_keras(path)


def test_code_in_a_keras_file_is_not_run(tmp_path):
    clip = keras.Input((9, 32, 32, 3))
    keras.Model(clip, keras.layers.Lambda(lambda x: x + 1)(clip)).save(tmp_path / "code.keras")
    with pytest.raises(WeightsError, match=r"code\.keras: cannot be loaded \(.*Lambda"):
        load_keras(tmp_path / "code.keras")


@pytest.mark.parametrize(
    ("array", "value", "problem"),
    [
        (
            "unit3d/conv_3d/vars/0",
            np.nan,
            "Conv3d_1a_7x7/conv_3d/kernel has values that are not",
        ),
        ("unit3d/batch_norm/vars/2", -1, "batch_norm/moving_variance has variances below zero"),
    ],
)
def test_values_of_a_weights_file_are_checked(tiny_dir, tmp_path, array, value, problem):
    path = tmp_path / "changed.weights.h5"
    path.write_bytes((tiny_dir / "tiny_rgb.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file[f"layers/{array}"][..., 1] = value
    with pytest.raises(WeightsError, match=rf"changed\.weights\.h5: .*{problem}"):
        load_weights_file(path, TINY)


@pytest.fixture
def trained():
    """A compiled network of 99 x 99 weights."""
    model = keras.Sequential([keras.Input((99,)), keras.layers.Dense(99, name="last")])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_values_of_a_keras_file_are_checked(trained, tmp_path):
    trained.layers[-1].kernel.assign(np.full((99, 99), np.inf))
    trained.save(tmp_path / "infinite.keras")
    message = r"infinite\.keras: .*last/kernel has values that are not finite"
    with pytest.raises(WeightsError, match=message):
        load_keras(tmp_path / "infinite.keras")
    with pytest.raises(WeightsError, match=message):
        restore_state(trained, tmp_path / "infinite.keras")


def test_model_that_was_never_built_is_refused(tmp_path):
    path = tmp_path / "unbuilt.keras"
    keras.Sequential([keras.layers.Dense(1)]).save(path)
    with pytest.raises(WeightsError, match=r"unbuilt\.keras: the model in it was never built"):
        load_keras(path)


def test_restore_state_refuses_a_file_cut_anywhere(trained, tmp_path):
    whole, cut = tmp_path / "whole.keras", tmp_path / "cut.keras"
    trained.save(whole)
    restore_state(trained, whole)
    content = whole.read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 1):
        cut.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"cut\.keras: not a \.keras file, or cut short"):
            restore_state(trained, cut)


def test_restore_state_names_a_damaged_file(trained, tmp_path):
    path = tmp_path / "damaged.keras"
    trained.save(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged\.keras: not the state of this run"):
        restore_state(trained, path)


def compressed(path, shape):
    """Writes the weights of a layer that take a few kB and unpack to a gigabyte and more."""
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/dense/vars/0", shape, "f", chunks=(1, 1), compression="gzip")
        file["layers/dense/vars/1"] = np.zeros(99, "f")
    return path


def test_keras_file_that_unpacks_to_gigabytes_is_refused(keras_file, tmp_path, monkeypatch):
    monkeypatch.setattr("h5py.Dataset.__getitem__", None)  # nothing is read
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(keras_file) as whole, zipfile.ZipFile(path, "w") as archive:
        for name in ("config.json", "metadata.json"):
            archive.writestr(name, whole.read(name))
        archive.write(compressed(tmp_path / "model.weights.h5", (2**15, 2**14)), "model.weights.h5")
    assert path.stat().st_size < 2**16
    for load in (load_keras, lambda path: restore_state(None, path)):
        with pytest.raises(WeightsError, match=r"bomb\.keras: its .* unpack to 2,147,484,044"):
            load(path)


def test_weights_file_that_unpacks_to_gigabytes_is_refused(tiny_dir, tmp_path):
    path = tmp_path / "bomb.weights.h5"
    path.write_bytes((tiny_dir / "tiny_rgb.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        del file["layers/unit3d_1/conv_3d/vars/0"]
        file.create_dataset(
            "layers/unit3d_1/conv_3d/vars/0", (1, 1, 1, 2**15, 2**14), "f", compression="gzip"
        )
    with pytest.raises(WeightsError, match=r"bomb\.weights\.h5: its [\d,]+ bytes unpack to 2,1"):
        load_weights_file(path, TINY)


def test_weights_file_with_an_array_of_another_shape_is_refused_unread(tiny_dir, tmp_path):
    path = tmp_path / "large.weights.h5"
    path.write_bytes((tiny_dir / "tiny_rgb.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        del file["layers/unit3d_1/conv_3d/vars/0"]
        file.create_dataset(
            "layers/unit3d_1/conv_3d/vars/0", (1, 1, 1, 2**12, 2**13), "f", compression="gzip"
        )
    with pytest.raises(WeightsError, match=r"have shape \(1, 1, 1, 4096, 8192\) than"):
        load_weights_file(path, TINY)
