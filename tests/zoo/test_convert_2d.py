from functools import cache

import keras
import numpy as np
import pytest

import i3d_tf
from i3d_tf import zoo
from i3d_tf.models.applications import application_names
from i3d_tf.specs import slim
from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import INCEPTION_V1, widen
from i3d_tf.system.files import sha256
from i3d_tf.weights.assign import WeightsError, read_weights
from i3d_tf.weights.store import read_manifest
from i3d_tf.zoo import convert_2d
from i3d_tf.zoo.convert_2d import (
    convert_slim,
    inflate_application,
    inflate_slim,
    inflated_name,
)

NAMES = {stream: inflated_name(stream) for stream in ("rgb", "flow")}


@pytest.fixture(scope="module")
def converted(recipe, write_v1_checkpoint, tmp_path_factory):
    """A checkpoint directory with the network and both I3D made of it, of the recipe's values."""
    directory = tmp_path_factory.mktemp("slim")
    shapes = variable_shapes(INCEPTION_V1, 3, slim.CLASSES)
    names = {slim.slim_name(path): shape for path, shape in shapes.items()}
    values = {name: recipe.weight(name, shape) for name, shape in names.items()}
    source = write_v1_checkpoint(directory / "upstream/inception_v1.ckpt", values)
    assert convert_slim(source, directory) == directory / "slim_inception_v1.weights.h5"
    paths = inflate_slim(source, directory)
    assert paths == [directory / f"{NAMES[stream]}.weights.h5" for stream in NAMES]
    return directory


@pytest.fixture(scope="module")
def network(converted):
    """Function: name -> the network of these weights, which is loaded once."""
    return cache(lambda name: i3d_tf.load(name, converted))


def test_converted_network_meets_the_reference(network, recipe, assert_meets, shared_dir):
    flat = network(slim.NAME)
    assert flat.name == "slim_inception_v1"
    assert flat.input_shape == (None, None, None, 3)
    with np.load(shared_dir / "golden/slim_inception_v1.npz", allow_pickle=False) as reference:
        assert_meets(flat, recipe.image(), reference)


def test_inflated_network_gives_a_frozen_video_the_outputs_of_the_picture(
    network, recipe, frozen_video
):
    """At small pictures, so that a clip fits in whose middle no border of time reaches."""
    image = recipe.image(40)
    clip = np.repeat(image[:, None], 136, axis=1)
    frozen_video(network(slim.NAME), network(NAMES["rgb"]), image, clip)


def test_inflated_flow_network_gives_equal_components_the_outputs_of_a_grey_picture(
    network, recipe, frozen_video
):
    grey = recipe.image(40)[..., :1]
    clip = np.repeat(np.repeat(grey, 2, axis=-1)[:, None], 136, axis=1)
    frozen_video(network(slim.NAME), network(NAMES["flow"]), np.repeat(grey, 3, axis=-1), clip)


@pytest.mark.slow
def test_inflated_weights_load_without_their_head(network, converted):
    with pytest.warns(UserWarning, match="has 1001 classes and the model has 12"):
        model = i3d_tf.InceptionI3D(weights=NAMES["flow"], classes=12, checkpoint_dir=converted)
    assert model.input_shape[-1] == 2
    whole = read_weights(network(NAMES["flow"]))
    for name, value in read_weights(model).items():
        if not name.startswith("Logits/"):
            np.testing.assert_array_equal(value, whole[name])


def test_2d_weights_are_not_those_of_i3d(converted):
    with pytest.raises(WeightsError, match=r"not the weights of an I3D.*--inflate"):
        i3d_tf.InceptionI3D(weights=slim.NAME, checkpoint_dir=converted)


def test_rows_of_the_manifest_name_source_and_inflation(converted):
    rows = read_manifest(converted)
    source = converted / "upstream/inception_v1.ckpt"
    expected = {
        "file": "slim_inception_v1.weights.h5",
        "sha256": sha256(converted / "slim_inception_v1.weights.h5"),
        "architecture": "inception_v1",
        "stream": "rgb",
        "classes": 1001,
        "variables": 230,
        "source": {
            "release": "slim_inception_v1",
            "sha256": {"inception_v1.ckpt": sha256(source)},
        },
    }
    assert rows[slim.NAME] == expected
    for stream, name in NAMES.items():
        assert rows[name]["architecture"] == "inception_i3d"
        assert rows[name]["stream"] == stream
        assert rows[name]["source"] == expected["source"]
        assert rows[name]["inflated"]["init"] == "repeat"
    assert "arXiv:1608.00859" in rows[NAMES["flow"]]["inflated"]["first_layer"]
    assert rows[NAMES["rgb"]]["inflated"]["first_layer"] == "as it was"


def test_missing_weights_name_the_command(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"unpack http.*i3d convert --release=slim_i\S* --so"
    ):
        i3d_tf.load(slim.NAME, tmp_path)
    with pytest.raises(FileNotFoundError, match="--inflate --source=FOLDER"):
        i3d_tf.load(NAMES["flow"], tmp_path)


@pytest.mark.parametrize("job", [convert_slim, inflate_slim])
def test_damaged_source_changes_nothing(
    job, monkeypatch, values_for, write_v1_checkpoint, tmp_path
):
    monkeypatch.setattr(slim, "ROWS", tuple(widen(row, 1 / 16) for row in INCEPTION_V1))
    shapes = variable_shapes(slim.ROWS, 3, slim.CLASSES)
    values = values_for({slim.slim_name(path): shape for path, shape in shapes.items()})
    source = write_v1_checkpoint(tmp_path / "inception_v1.ckpt", values)
    other = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    for network in ("inception_v1", "inception_i3d"):
        monkeypatch.setattr(convert_2d, network, lambda **_: other)
    with pytest.raises(WeightsError, match="Nothing was assigned to"):
        job(source, tmp_path / "out")
    source.write_bytes(source.read_bytes()[:-9])
    with pytest.raises(WeightsError, match="not a readable checkpoint"):
        job(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_application_is_inflated_from_a_keras_file(tmp_path):
    keras.utils.set_random_seed(0)
    flat = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    flat.save(tmp_path / "whole.keras")
    path = inflate_application("MobileNet", tmp_path / "whole.keras", tmp_path / "new")
    assert path == tmp_path / "new/MobileNet_inflated.keras"
    assert [item.name for item in (tmp_path / "new").iterdir()] == [path.name]
    deep = zoo.load_keras(path)
    assert deep.input_shape == (None, None, 8, 8, 3)
    # Each kernel is spread over time; no other weights change.
    for value, inflated in zip(flat.get_weights(), deep.get_weights(), strict=True):
        total = inflated.sum(0) if value.ndim == 4 else inflated
        np.testing.assert_allclose(total, value, rtol=1e-5)


@pytest.fixture(scope="module")
def mobile_net(tmp_path_factory):
    """A network of keras.applications with random weights, and a folder where they are saved."""
    folder = tmp_path_factory.mktemp("mobile_net")
    model = keras.applications.MobileNet(weights=None)
    model.save_weights(folder / "whole.weights.h5")
    keras.Model(model.input, model.get_layer("conv_pw_13_relu").output).save_weights(
        folder / "headless.weights.h5"
    )
    return model, folder


@pytest.fixture
def inflated(monkeypatch):
    """The 2D networks that were inflated; the result is a network of one layer."""
    networks = []

    def inflate(model_2d):
        networks.append(model_2d)
        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    monkeypatch.setattr(convert_2d, "inflate", inflate)
    return networks


def test_application_has_the_weights_of_a_file(mobile_net, inflated, tmp_path):
    model, folder = mobile_net
    inflate_application("MobileNet", folder / "whole.weights.h5", tmp_path)
    for value, expected in zip(inflated[0].get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_weights_without_a_head_give_a_network_without_one(mobile_net, inflated, tmp_path):
    model, folder = mobile_net
    with pytest.warns(UserWarning, match="has no head of 1000 classes"):
        inflate_application("MobileNet", folder / "headless.weights.h5", tmp_path)
    assert inflated[0].output_shape[-1] == 1024
    np.testing.assert_array_equal(inflated[0].get_weights()[0], model.get_weights()[0])


def test_convert_names_a_file_of_another_network(tmp_path):
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(
        WeightsError, match=r"text\.h5: not the weights of MobileNet, with its 1000"
    ):
        inflate_application("MobileNet", tmp_path / "text.h5", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nothing\.keras: no such file"):
        inflate_application("MobileNet", tmp_path / "nothing.keras", tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["text.h5"]


@pytest.mark.slow
def test_weights_of_another_application_are_refused(mobile_net, tmp_path):
    _, folder = mobile_net
    with pytest.raises(WeightsError, match="not the weights of MobileNetV2"):
        inflate_application("MobileNetV2", folder / "whole.weights.h5", tmp_path)


def test_failed_download_asks_for_a_file(monkeypatch, tmp_path, capsys):
    def build(weights):
        assert weights == "imagenet"
        print("Downloading")
        raise Exception("URL fetch failure")  # as Keras does

    monkeypatch.setattr(convert_2d.keras.applications, "ResNet50", build)
    with pytest.raises(WeightsError, match=r"ResNet50: .*URL fetch failure.*--source=FILE"):
        inflate_application("ResNet50", output_dir=tmp_path)
    assert capsys.readouterr().out == ""


def test_unknown_application(tmp_path):
    assert {"ResNet50", "InceptionV3", "VGG16", "MobileNetV2"} <= set(application_names())
    with pytest.raises(ValueError, match=r"`application` must be one of .*'ResNet50'.*'ResNet'"):
        inflate_application("ResNet", output_dir=tmp_path)
