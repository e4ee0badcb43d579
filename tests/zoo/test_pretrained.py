import warnings
from functools import cache

import keras
import numpy as np
import pytest

import i3d_tf
from i3d_tf import zoo
from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.inception_v1 import FIRST_KERNEL
from i3d_tf.specs.protocol import clip_shape
from i3d_tf.weights.assign import WeightsError, read_weights
from i3d_tf.weights.weights_file import read_first_kernel
from i3d_tf.zoo import pretrained

TINY = 1 / 16
SHAPE = (9, 32, 32, 3)
CLIP = np.random.default_rng(0).uniform(-1, 1, (1, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def tiny(tiny_dir):
    """The network saved as `tiny_rgb`: five classes, a sixteenth of the width."""
    return i3d_tf.load("tiny_rgb", tiny_dir, SHAPE)


@pytest.fixture(scope="module")
def keras_file(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "tiny.keras"
    tiny.save(path)
    with pytest.MonkeyPatch.context() as patch:  # the file is read once
        patch.setattr(pretrained, "load_keras", cache(pretrained.load_keras))
        yield path


def build(weights, **arguments):
    """A network of tiny width with weights; a warning fails the test."""
    arguments = {"width_multiplier": TINY, "classes": 5} | arguments
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return i3d_tf.InceptionI3D(weights=weights, **arguments)


def assert_same_weights(model, other, but=()):
    ours, theirs = read_weights(model), read_weights(other)
    names = {name for name in ours if not name.startswith(tuple(but))}
    assert names == {name for name in theirs if not name.startswith(tuple(but))}
    for name in names:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_build_names_the_choices():
    with pytest.raises(ValueError, match=r"`name` must be one of \('inception_i3d',.*'resnet'"):
        zoo.build("resnet")


@pytest.mark.parametrize(
    "name",
    [
        name if name == "c3d" else pytest.param(name, marks=pytest.mark.slow)
        for name in ARCHITECTURES
    ],
)
def test_build_returns_the_papers_architectures(name):
    architecture = ARCHITECTURES[name]
    shapes = {
        stream: clip_shape(stream, architecture.train_frames, architecture.rgb_step, 32)
        for stream in ("rgb", "flow")
    }
    joint = "joint" in architecture.streams
    model = zoo.build(
        name, input_shape=shapes if joint else shapes["rgb"], width_multiplier=TINY, classes=3
    )
    assert model.output_shape == (None, 3)
    assert model.name == name
    seen = {stream: (None, *shape) for stream, shape in shapes.items()}
    assert model.input_shape == ([seen["flow"], seen["rgb"]] if joint else seen["rgb"])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("c3d", {"stream": "flow"}, r"'c3d' takes the arguments \('input_shape',.*\['stream'\]"),
        ("two_stream", {"stream": "sound"}, r"one of \('rgb', 'flow', 'joint'\).*'sound'"),
        ("c3d", {"input_shape": (9, 112, 112, 3)}, "T >= 16"),
        ("convnet_lstm", {"input_shape": (9, 112, 112, 1)}, "C = 3 for rgb, 2 for flow"),
        ("inception_i3d", {"input_shape": (8, 112, 112, 3)}, "T >= 9"),
    ],
)
def test_build_refuses_wrong_arguments(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        zoo.build(name, **arguments)


def test_load_returns_a_network_of_a_fixed_size(tiny):
    assert tiny.name == "tiny_rgb"
    assert tiny.input_shape == (None, *SHAPE)
    assert tiny(CLIP).shape == (1, 5)


def test_missing_release_is_named(tmp_path):
    for load in (
        lambda: i3d_tf.load("rgb_imagenet", tmp_path),
        lambda: i3d_tf.InceptionI3D(weights="rgb_imagenet", checkpoint_dir=tmp_path),
    ):
        with pytest.raises(FileNotFoundError, match=r"^rgb_imagenet: not in"):
            load()


@pytest.mark.parametrize(
    "name", ["../tiny_rgb", "tiny/../tiny_rgb", "/tiny_rgb", "tiny_rgb.weights.h5"]
)
def test_load_takes_names_not_paths(tiny_dir, name):
    with pytest.raises(FileNotFoundError, match="No weights named"):
        i3d_tf.load(name, tiny_dir)


def test_untrained_network_checks_its_arguments():
    with pytest.raises(ValueError, match="`classes` must be"):
        i3d_tf.InceptionI3D(classes=0)


@pytest.mark.slow
def test_weights_may_be_a_file_with_an_optimizer_for_an_input_tensor(tiny, tmp_path):
    tiny.compile("adam", "mse")
    tiny.optimizer.build(tiny.trainable_variables)
    tiny.save_weights(tmp_path / "trained.weights.h5")
    model = build(
        tmp_path / "trained.weights.h5", input_tensor=keras.Input(SHAPE), dropout_rate=0.5
    )
    np.testing.assert_array_equal(np.array(model(CLIP)), np.array(tiny(CLIP)))


def test_named_weights_decide_the_channels_and_may_lose_their_head(tiny_dir):
    model = build("tiny_flow", checkpoint_dir=tiny_dir, include_top=False)
    assert model.input_shape == (None, None, None, None, 2)
    assert model.output_shape[-1] == 64
    assert len(model.weights) == 228


def test_other_number_of_classes_loads_all_but_the_head_with_a_warning(tiny, keras_file):
    with pytest.warns(
        UserWarning, match="has 5 classes and the model has 7: all .* but the head"
    ) as record:
        model = i3d_tf.InceptionI3D(
            weights=keras_file,
            classes=7,
            classifier_activation="softmax",
            width_multiplier=TINY,
        )
    assert record[0].filename == __file__
    assert model.output_shape == (None, 7)
    assert_same_weights(model, tiny, but=["Logits/"])


@pytest.mark.slow
def test_weights_without_a_head_for_a_network_with_one(headless_dir):
    path = headless_dir / "headless.weights.h5"
    with pytest.warns(UserWarning, match="has no classes and the model has 5"):
        model = i3d_tf.InceptionI3D(weights=path, classes=5, width_multiplier=TINY)
    np.testing.assert_array_equal(read_weights(model)[FIRST_KERNEL], read_first_kernel(path))


def test_weights_of_other_channels_are_refused(keras_file):
    with pytest.raises(
        WeightsError,
        match=r"Conv3d_1a_7x7/conv_3d/kernel: source \(7, 7, 7, 3, 4\), model \(7, 7, 7, 2, 4\)",
    ):
        build(keras_file, input_shape=(9, 32, 32, 2))


def test_weights_of_another_width_are_refused(tiny_dir):
    with pytest.raises(WeightsError, match=r"with width_multiplier=0\.5 it would have 32"):
        build("tiny_rgb", checkpoint_dir=tiny_dir, width_multiplier=0.5)


@pytest.mark.parametrize("name", ["other.weights.h5", "other.keras"])
def test_weights_of_another_network_are_refused(tmp_path, name):
    clip = keras.Input((4,))
    other = keras.Model(clip, keras.layers.Dense(2)(clip))
    (other.save if name.endswith(".keras") else other.save_weights)(tmp_path / name)
    with pytest.raises(WeightsError, match=f"{name}: these are not the weights of an I3D"):
        build(tmp_path / name)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ("model.h5", ValueError, r"Weights must be a known name .* \.weights\.h5 file; received"),
        ("missing.keras", FileNotFoundError, "no such file"),
        ("missing.weights.h5", FileNotFoundError, "no such file"),
        ("run", FileNotFoundError, "No weights named 'run'"),
    ],
)
def test_weights_that_are_no_file_of_a_network(tmp_path, monkeypatch, weights, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text("{}")
    with pytest.raises(error, match=message):
        build(weights, checkpoint_dir=tmp_path)
