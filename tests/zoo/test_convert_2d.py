import json

import keras
import numpy as np
import pytest

import i3d_tf
from i3d_tf import zoo
from i3d_tf.specs import slim
from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import INCEPTION_V1, widen
from i3d_tf.system.files import sha256
from i3d_tf.weights.assign import WeightsError, read_weights
from i3d_tf.weights.store import MANIFEST, read_manifest
from i3d_tf.zoo import convert_2d
from i3d_tf.zoo.convert_2d import (
    applications,
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
def flat(converted):
    return i3d_tf.load(slim.NAME, converted)


def test_meets_the_reference(flat, recipe, assert_meets, shared_dir):
    assert flat.name == "slim_inception_v1"
    assert flat.input_shape == (None, None, None, 3)
    with np.load(shared_dir / "golden/slim_inception_v1.npz", allow_pickle=False) as reference:
        assert_meets(flat, recipe.image(), reference)


def test_inflated_it_answers_a_frozen_video_as_the_picture(flat, converted, recipe, frozen_video):
    """At small pictures, so that a clip fits in whose middle no border of time reaches."""
    deep = i3d_tf.load(NAMES["rgb"], converted)
    image = recipe.image(40)
    frozen_video(flat, deep, image, np.repeat(image[:, None], 136, axis=1))


def test_inflated_for_flow_it_answers_equal_components_as_a_grey_picture(
    flat, converted, recipe, frozen_video
):
    deep = i3d_tf.load(NAMES["flow"], converted)
    grey = recipe.image(40)[..., :1]
    clip = np.repeat(np.repeat(grey, 2, axis=-1)[:, None], 136, axis=1)
    frozen_video(flat, deep, np.repeat(grey, 3, axis=-1), clip)


@pytest.mark.parametrize(("stream", "channels"), [("rgb", 3), ("flow", 2)])
def test_fine_tuning_begins_with_everything_but_the_head(converted, stream, channels):
    with pytest.warns(UserWarning, match="has 1001 classes and the model has 12"):
        model = i3d_tf.InceptionI3D(weights=NAMES[stream], classes=12, checkpoint_dir=converted)
    assert model.input_shape[-1] == channels
    whole = read_weights(i3d_tf.load(NAMES[stream], converted))
    for name, value in read_weights(model).items():
        if not name.startswith("Logits/"):
            np.testing.assert_array_equal(value, whole[name])


def test_2d_weights_are_not_those_of_i3d(converted):
    with pytest.raises(WeightsError, match=r"not the weights of an I3D.*--inflate"):
        i3d_tf.InceptionI3D(weights=slim.NAME, checkpoint_dir=converted)


def test_the_manifest_says_what_they_are(converted):
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


def test_an_architecture_that_nobody_knows(converted, tmp_path):
    (tmp_path / "slim_inception_v1.weights.h5").hardlink_to(
        converted / "slim_inception_v1.weights.h5"
    )
    row = read_manifest(converted)[slim.NAME] | {"architecture": "vgg"}
    (tmp_path / MANIFEST).write_text(json.dumps({"weights": {slim.NAME: row}}))
    with pytest.raises(
        WeightsError, match=r"`architecture` must be one of .*'inception_v1'.*'vgg'"
    ):
        i3d_tf.load(slim.NAME, tmp_path)


def test_without_weights_the_command_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"unpack http.*convert\.py --release=slim_i\S* --so"
    ):
        i3d_tf.load(slim.NAME, tmp_path)
    with pytest.raises(FileNotFoundError, match="--inflate --source=FOLDER"):
        i3d_tf.load(NAMES["flow"], tmp_path)


@pytest.mark.parametrize("job", [convert_slim, inflate_slim])
def test_a_damaged_source_changes_nothing(
    job, monkeypatch, values_for, write_v1_checkpoint, tmp_path
):
    monkeypatch.setattr(slim, "ROWS", tuple(widen(row, 1 / 16) for row in INCEPTION_V1))
    shapes = variable_shapes(slim.ROWS, 3, slim.CLASSES)
    values = values_for({slim.slim_name(path): shape for path, shape in shapes.items()})
    source = write_v1_checkpoint(tmp_path / "inception_v1.ckpt", values)
    # The reader expects the narrow network, and the writer has the wide one.
    with pytest.raises(WeightsError, match="shapes differ"):
        job(source, tmp_path / "out")
    source.write_bytes(source.read_bytes()[:-9])
    with pytest.raises(WeightsError, match="not a readable checkpoint"):
        job(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def mobile_net(tmp_path_factory):
    """A network of keras.applications with random weights, saved in three ways."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("mobile_net")
    model = keras.applications.MobileNet(weights=None)
    model.save_weights(folder / "whole.weights.h5")
    model.save(folder / "whole.keras")
    headless = keras.applications.MobileNet(weights=None, include_top=False)
    headless.set_weights(model.get_weights()[: len(headless.weights)])
    headless.save_weights(folder / "headless.weights.h5")
    return model, folder


@pytest.mark.parametrize("file", ["whole.weights.h5", "whole.keras"])
def test_an_application_is_inflated_with_the_weights_of_a_file(mobile_net, tmp_path, file):
    model, folder = mobile_net
    path = inflate_application("MobileNet", folder / file, tmp_path / "new")
    assert path == tmp_path / "new/MobileNet_inflated.keras"
    assert [item.name for item in (tmp_path / "new").iterdir()] == [path.name]
    deep = zoo.load_keras(path)
    assert deep.input_shape == (None, None, 224, 224, 3)
    # Each kernel is spread over time; no other weights change.
    total = sum(float(np.sum(value, dtype=np.float64)) for value in model.get_weights())
    found = sum(float(np.sum(value, dtype=np.float64)) for value in deep.get_weights())
    # Sums of four million float32 values, some of them thirds.
    assert found == pytest.approx(total, rel=1e-5)


def test_a_file_without_the_head_gives_a_network_without_one(mobile_net, tmp_path):
    _, folder = mobile_net
    with pytest.warns(UserWarning, match="has no head of 1000 classes"):
        path = inflate_application("MobileNet", folder / "headless.weights.h5", tmp_path)
    assert zoo.load_keras(path).output_shape[-1] == 1024


def test_files_that_do_not_fit_are_named(mobile_net, tmp_path):
    _, folder = mobile_net
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(
        WeightsError, match=r"text\.h5: not the weights of MobileNet, with its 1000"
    ):
        inflate_application("MobileNet", tmp_path / "text.h5", tmp_path)
    with pytest.raises(WeightsError, match="not the weights of MobileNetV2"):
        inflate_application("MobileNetV2", folder / "whole.weights.h5", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nothing\.keras: no such file"):
        inflate_application("MobileNet", tmp_path / "nothing.keras", tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["text.h5"]


def test_without_a_network_a_file_is_asked_for(monkeypatch, tmp_path, capsys):
    def build(weights):
        assert weights == "imagenet"
        print("Downloading")
        raise Exception("URL fetch failure")  # as Keras does

    monkeypatch.setattr(convert_2d.keras.applications, "ResNet50", build)
    with pytest.raises(WeightsError, match=r"ResNet50: .*URL fetch failure.*--source=FILE"):
        inflate_application("ResNet50", output_dir=tmp_path)
    assert capsys.readouterr().out == ""


def test_unknown_application(tmp_path):
    assert {"ResNet50", "InceptionV3", "VGG16", "MobileNetV2"} <= set(applications())
    with pytest.raises(ValueError, match=r"`application` must be one of .*'ResNet50'.*'ResNet'"):
        inflate_application("ResNet", output_dir=tmp_path)
