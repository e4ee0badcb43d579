import warnings

import h5py
import keras
import numpy as np
import pytest

import i3d_tf
from i3d_tf import zoo
from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.protocol import clip_shape
from i3d_tf.weights.assign import WeightsError, read_weights
from i3d_tf.weights.store import save_weights

TINY = 1 / 16
CLIP = np.random.default_rng(0).uniform(-1, 1, (1, 9, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def tiny(tiny_dir):
    """The network saved as `tiny_rgb`: five classes, a sixteenth of the width."""
    return i3d_tf.load("tiny_rgb", tiny_dir)


@pytest.fixture(scope="module")
def keras_file(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "tiny.keras"
    tiny.save(path)
    return path


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


def test_build_by_name():
    assert zoo.build("inception_i3d", width_multiplier=TINY, classes=3).output_shape == (None, 3)


def test_build_names_the_choices():
    with pytest.raises(ValueError, match=r"`name` must be one of \('inception_i3d',.*'resnet'"):
        zoo.build("resnet")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_papers_architectures_build_by_name_for_what_they_see(name):
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
def test_build_with_wrong_inputs_names_the_choices(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        zoo.build(name, **arguments)


def test_load_gives_the_saved_network(tiny, tiny_dir):
    assert tiny.name == "tiny_rgb"
    assert tiny.input_shape == (None, None, None, None, 3)
    assert tiny(CLIP).shape == (1, 5)
    assert i3d_tf.load("tiny_flow", tiny_dir).input_shape[-1] == 2
    fixed = i3d_tf.load("tiny_rgb", tiny_dir, (9, 32, 32, 3))
    np.testing.assert_array_equal(np.array(fixed(CLIP)), np.array(tiny(CLIP)))


def test_load_without_weights_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"convert\.py --release=rgb_imagenet --download"):
        i3d_tf.load("rgb_imagenet", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"convert\.py --release=rgb_imagenet --download"):
        i3d_tf.InceptionI3D(weights="rgb_imagenet", checkpoint_dir=tmp_path)


@pytest.mark.parametrize(
    "name", ["../tiny_rgb", "tiny/../tiny_rgb", "/tiny_rgb", "tiny_rgb.weights.h5"]
)
def test_load_takes_names_not_paths(tiny_dir, name):
    with pytest.raises(FileNotFoundError, match="No weights named"):
        i3d_tf.load(name, tiny_dir)


def test_load_with_channels_of_the_other_stream(tiny_dir):
    with pytest.raises(WeightsError, match=r"read 2 channels .* and `input_shape` has 3"):
        i3d_tf.load("tiny_flow", tiny_dir, (9, 32, 32, 3))


def test_load_without_a_head(tmp_path):
    body = i3d_tf.InceptionI3D(include_top=False, width_multiplier=TINY)
    save_weights(body, "body", tmp_path, {"width_multiplier": TINY})
    assert_same_weights(i3d_tf.load("body", tmp_path), body)


def test_weights_by_name_by_path_and_from_a_keras_file(tiny, tiny_dir, keras_file):
    for weights in (tiny_dir / "tiny_rgb.weights.h5", keras_file, str(keras_file)):
        assert_same_weights(build(weights), tiny)
    assert_same_weights(build("tiny_rgb", checkpoint_dir=tiny_dir), tiny)


def test_weights_decide_the_channels_where_nothing_else_does(tiny_dir):
    assert build("tiny_flow", checkpoint_dir=tiny_dir).input_shape == (None, None, None, None, 2)


def test_weights_for_an_input_tensor(tiny, tiny_dir):
    clip = keras.Input((9, 32, 32, 3))
    model = build("tiny_rgb", checkpoint_dir=tiny_dir, input_tensor=clip)
    np.testing.assert_array_equal(np.array(model(CLIP)), np.array(tiny(CLIP)))


def test_dropout_and_activation_do_not_change_the_weights(tiny, tiny_dir):
    model = build(
        "tiny_rgb", checkpoint_dir=tiny_dir, dropout_rate=0.5, classifier_activation="softmax"
    )
    assert_same_weights(model, tiny)


def test_weights_saved_after_training_load(tmp_path, tiny):
    trained = keras.models.clone_model(tiny)
    trained.set_weights(tiny.get_weights())
    trained.compile("adam", "mse")
    trained.optimizer.build(trained.trainable_variables)
    trained.save_weights(tmp_path / "trained.weights.h5")
    assert_same_weights(build(tmp_path / "trained.weights.h5"), tiny)


@pytest.mark.parametrize("kind", [".weights.h5", ".keras"])
def test_another_number_of_classes_loads_all_but_the_head_and_says_so(
    tiny, tiny_dir, keras_file, kind
):
    weights = keras_file if kind == ".keras" else tiny_dir / "tiny_rgb.weights.h5"
    with pytest.warns(
        UserWarning, match="has 5 classes and the model has 7: all .* but the head"
    ) as record:
        model = i3d_tf.InceptionI3D(weights=weights, classes=7, width_multiplier=TINY)
    assert record[0].filename == __file__
    assert model.output_shape == (None, 7)
    assert_same_weights(model, tiny, but=["Logits/"])


def test_without_a_head_nothing_is_said_about_it(tiny, tiny_dir):
    model = build("tiny_rgb", checkpoint_dir=tiny_dir, include_top=False)
    assert model.output_shape[-1] == 64
    assert len(model.weights) == 228
    expected = {k: v for k, v in read_weights(tiny).items() if not k.startswith("Logits/")}
    for name, value in read_weights(model).items():
        np.testing.assert_array_equal(value, expected[name])


def test_weights_without_a_head_for_a_network_with_one(tmp_path):
    body = i3d_tf.InceptionI3D(include_top=False, width_multiplier=TINY)
    body.save_weights(tmp_path / "body.weights.h5")
    with pytest.warns(UserWarning, match="has no classes and the model has 5"):
        model = i3d_tf.InceptionI3D(
            weights=tmp_path / "body.weights.h5", classes=5, width_multiplier=TINY
        )
    assert_same_weights(model, body, but=["Logits/"])


@pytest.mark.parametrize("kind", [".weights.h5", ".keras"])
def test_wrong_channels(tiny_dir, keras_file, kind):
    weights = keras_file if kind == ".keras" else tiny_dir / "tiny_rgb.weights.h5"
    with pytest.raises(
        WeightsError,
        match=r"Conv3d_1a_7x7/conv_3d/kernel: source \(7, 7, 7, 3, 4\), model \(7, 7, 7, 2, 4\)",
    ):
        build(weights, input_shape=(9, 32, 32, 2))


def test_wrong_width_of_a_weights_file(tiny_dir):
    with pytest.raises(
        WeightsError,
        match=r"first layer has 4 filters; with width_multiplier=0\.5 it would have 32",
    ):
        build("tiny_rgb", checkpoint_dir=tiny_dir, width_multiplier=0.5)


def test_wrong_width_of_a_keras_file(keras_file):
    with pytest.raises(
        WeightsError, match=r"shapes differ \(Conv3d_1a_7x7/.*source \(4,\), model \(8,\)"
    ):
        build(keras_file, width_multiplier=1 / 8)


@pytest.mark.parametrize(
    "weights", ["model.h5", "model.ckpt", "model.weights.json", "a/b.npz", "x.keras.zip"]
)
def test_other_kinds_of_file_are_refused(tmp_path, weights):
    with pytest.raises(ValueError, match=r"`weights` must be None, a name in .*received '"):
        build(weights, checkpoint_dir=tmp_path)


@pytest.mark.parametrize("weights", ["missing.weights.h5", "missing.keras"])
def test_a_file_that_is_not_there(tmp_path, weights):
    with pytest.raises(FileNotFoundError, match=f"{weights}: no such weights file"):
        build(tmp_path / weights)


@pytest.mark.parametrize("weights", ["../tiny_rgb", "rgb", 5, ""])
def test_names_that_are_not_there(tiny_dir, weights):
    with pytest.raises(
        FileNotFoundError, match=r"No weights named .*\(there: tiny_flow, tiny_rgb\)"
    ):
        build(weights, checkpoint_dir=tiny_dir)


def test_a_name_may_have_a_dot(tiny, tmp_path):
    save_weights(tiny, "tiny_v1.2", tmp_path, {"width_multiplier": TINY})
    assert_same_weights(build("tiny_v1.2", checkpoint_dir=tmp_path), tiny)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x.weights.h5", "not a readable HDF5 file"),
        ("x.keras", r"not a \.keras file, or cut short"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(WeightsError, match=message):
        build(tmp_path / name)


def test_a_keras_file_cut_short(keras_file, tmp_path):
    path = tmp_path / "cut.keras"
    path.write_bytes(keras_file.read_bytes()[:-30])
    with pytest.raises(WeightsError, match=r"cut\.keras: not a \.keras file, or cut short"):
        build(path)


def test_a_keras_file_with_damaged_weights(keras_file, tmp_path):
    content = bytearray(keras_file.read_bytes())
    middle = len(content) // 2  # the archive holds little besides the weights
    content[middle : middle + 64] = bytes(64)
    path = tmp_path / "damaged.keras"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged\.keras: cannot be loaded"):
        build(path)


def test_code_in_a_keras_file_is_not_run(tmp_path):
    clip = keras.Input((9, 32, 32, 3))
    keras.Model(clip, keras.layers.Lambda(lambda x: x + 1)(clip)).save(tmp_path / "code.keras")
    with pytest.raises(WeightsError, match=r"code\.keras: cannot be loaded \(.*Lambda"):
        build(tmp_path / "code.keras")


@pytest.mark.parametrize("name", ["other.weights.h5", "other.keras"])
def test_weights_of_another_network(tmp_path, name):
    clip = keras.Input((4,))
    other = keras.Model(clip, keras.layers.Dense(2)(clip))
    (other.save if name.endswith(".keras") else other.save_weights)(tmp_path / name)
    with pytest.raises(WeightsError, match=f"{name}: these are not the weights of an I3D"):
        build(tmp_path / name)


def test_an_array_too_many_and_one_too_few(tiny_dir, tmp_path):
    path = tmp_path / "changed.weights.h5"
    path.write_bytes((tiny_dir / "tiny_rgb.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file["layers/unit3d_9/conv_3d/vars/0"] = np.zeros(4, "f")
    with pytest.raises(WeightsError, match="231 arrays; 'inception_i3d' has 230 variables"):
        build(path)
    with h5py.File(path, "a") as file:
        del file["layers/unit3d_1/conv_3d/vars/0"]
    with pytest.raises(
        WeightsError, match=r"changed\.weights\.h5: does not fit 'inception_i3d' \(A total"
    ):
        build(path)
