import dataclasses
import json
import shutil
from functools import cache, partial
from pathlib import Path

import keras
import numpy as np
import pytest

import i3d_tf
from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.inception_v1 import I3D, widen
from i3d_tf.specs.releases import DATA_FILE, INDEX_FILE, RELEASES, UpstreamFile
from i3d_tf.system.files import git_blob_id, sha256
from i3d_tf.weights import sonnet
from i3d_tf.weights.assign import WeightsError, read_weights
from i3d_tf.weights.store import MANIFEST, read_manifest
from i3d_tf.zoo import convert as convert_module
from i3d_tf.zoo import releases as releases_module
from i3d_tf.zoo.convert import convert, convert_weights, download_release
from i3d_tf.zoo.convert_port import ConvertedPort
from i3d_tf.zoo.network_file import load_weights_file

NARROW = tuple(widen(row, 1 / 16) for row in I3D)


@pytest.fixture(scope="module")
def converted(shared_dir, recipe, write_checkpoint, tmp_path_factory):
    """Function: release -> (its network, its row of the manifest), of the recipe's values.

    The checkpoint has the names and shapes of the real index file.
    """
    import tensorflow as tf

    @cache
    def convert_release(name):
        directory = tmp_path_factory.mktemp(name)
        prefix = shared_dir / "golden/release_index" / name / "model.ckpt"
        shapes = tf.train.load_checkpoint(str(prefix)).get_variable_to_shape_map()
        values = {key: recipe.weight(key, shape) for key, shape in shapes.items()}
        source = write_checkpoint(directory / "upstream", values)
        convert(name, source, directory)
        model, row = i3d_tf.load(name, directory), read_manifest(directory)[name]
        shutil.rmtree(directory)
        return model, row

    return convert_release


# tests/weights/test_sonnet.py reads these names and shapes, too, of a narrow network.
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        "rgb_imagenet",
        *(pytest.param(name, marks=SLOW) for name in RELEASES if name != "rgb_imagenet"),
    ],
)
def test_convert_takes_the_names_and_shapes_of_real_index_files(converted, recipe, name):
    model, row = converted(name)
    release = RELEASES[name]
    assert (row["stream"], row["classes"]) == (release.stream, release.classes)
    assert row["labels"] == f"kinetics{release.classes}"
    assert row["variables"] == 230
    channels = {"rgb": 3, "flow": 2}[release.stream]
    assert model.input_shape == (None, None, None, None, channels)
    weights = read_weights(model)
    assert len(weights) == 230
    for ours, theirs, shape in (
        ("Conv3d_1a_7x7/conv_3d/kernel", "Conv3d_1a_7x7/conv_3d/w", (7, 7, 7, channels, 64)),
        ("Mixed_5c/Branch_3/Conv3d_0b_1x1/batch_norm/moving_variance",) * 2 + ((128,),),
        ("Logits/Conv3d_0c_1x1/conv_3d/bias", "Logits/Conv3d_0c_1x1/conv_3d/b", (release.classes,)),
    ):
        np.testing.assert_array_equal(weights[ours], recipe.weight(release.prefix + theirs, shape))


@pytest.mark.parametrize("stream", ["rgb", pytest.param("flow", marks=SLOW)])
def test_converted_network_meets_the_reference_for_random_clips(
    converted, recipe, shared_dir, assert_meets, stream
):
    model, _ = converted(f"{stream}_imagenet")
    clip = recipe.clip(20, {"rgb": 3, "flow": 2}[stream])
    with np.load(shared_dir / f"golden/{stream}_imagenet_random20.npz") as reference:
        assert_meets(model, clip, reference)


@SLOW
def test_converted_network_meets_the_reference_for_a_real_clip(converted, shared_dir, assert_meets):
    model, _ = converted("rgb_imagenet")
    path = shared_dir / "videos/v_CricketShot_g04_c01_rgb.gif"
    clip = i3d_tf.preprocess_input(i3d_tf.read_clip(path, frame_rate=None), stream="rgb")
    assert clip.shape == (79, 224, 224, 3)
    with np.load(shared_dir / "golden/rgb_imagenet_cricket79.npz") as reference:
        assert_meets(model, clip[np.newaxis], reference)


@pytest.fixture
def narrow_network(monkeypatch):
    """Releases are a sixteenth as wide as they are."""
    monkeypatch.setattr(sonnet, "I3D", NARROW)
    network = partial(inception_i3d, width_multiplier=1 / 16)
    monkeypatch.setattr(releases_module, "inception_i3d", network)


def test_convert_writes_weights_and_their_row(
    narrow_network, released_shapes, values_for, write_checkpoint, tmp_path
):
    # The irregular release: 600 classes, an optimizer's state, batch norm with five axes.
    released = values_for(released_shapes("rgb_scratch_kin600", NARROW))
    source = write_checkpoint(tmp_path / "upstream", released)
    path = convert("rgb_scratch_kin600", source, tmp_path)
    assert path == tmp_path / "rgb_scratch_kin600.weights.h5"
    assert json.loads((tmp_path / MANIFEST).read_text())["weights"] == {
        "rgb_scratch_kin600": {
            "file": "rgb_scratch_kin600.weights.h5",
            "sha256": sha256(path),
            "architecture": "inception_i3d",
            "stream": "rgb",
            "classes": 600,
            "labels": "kinetics600",
            "variables": 230,
            "source": {
                "release": "rgb_scratch_kin600",
                "sha256": {name: sha256(source / name) for name in (INDEX_FILE, DATA_FILE)},
                "is_published_file": False,
            },
        }
    }
    weights = read_weights(load_weights_file(path, 1 / 16))
    assert len(weights) == 230
    for ours, value in weights.items():
        expected = released[sonnet.released_name(ours)].reshape(value.shape)
        np.testing.assert_array_equal(value, expected)


@pytest.fixture
def narrow(monkeypatch, released_shapes, values_for, write_checkpoint, tmp_path):
    """A small checkpoint whose names and shapes pass for those of `rgb_imagenet`."""
    monkeypatch.setattr(sonnet, "I3D", NARROW)
    values = values_for(released_shapes("rgb_imagenet", NARROW))
    return write_checkpoint(tmp_path / "upstream", values)


def change(folder, name, edit):
    content = bytearray((folder / name).read_bytes())
    (folder / name).write_bytes(edit(content))


def flipped(content):
    content[len(content) // 2] ^= 1
    return content


DAMAGE = {
    "data cut short": lambda folder: change(folder, DATA_FILE, lambda content: content[:-5000]),
    "index cut short": lambda folder: change(folder, INDEX_FILE, lambda content: content[:-5]),
    "data changed": lambda folder: change(folder, DATA_FILE, flipped),
    "index changed": lambda folder: change(folder, INDEX_FILE, flipped),
    "data empty": lambda folder: change(folder, DATA_FILE, lambda content: b""),
    "data missing": lambda folder: (folder / DATA_FILE).unlink(),
}


def is_refused(release, source, tmp_path):
    """Converting fails with one line and touches nothing, be there weights already or not."""
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    (earlier / f"{release}.weights.h5").write_bytes(b"earlier weights")
    (earlier / MANIFEST).write_text('{"weights": {"earlier": {}}}')
    before = {path.name: path.read_bytes() for path in earlier.iterdir()}
    for output_dir in (earlier, tmp_path / "new"):
        with pytest.raises(WeightsError) as error:
            convert(release, source, output_dir)
        assert "\n" not in str(error.value)
    assert {path.name: path.read_bytes() for path in earlier.iterdir()} == before
    assert not (tmp_path / "new").exists()
    return str(error.value)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_source_changes_nothing(narrow, tmp_path, damage):
    DAMAGE[damage](narrow)
    assert is_refused("rgb_imagenet", narrow, tmp_path).startswith(f"{narrow}/model.ckpt.")


def test_another_release_changes_nothing(narrow, tmp_path):
    message = is_refused("flow_imagenet", narrow, tmp_path)
    assert "not the names of flow_imagenet" in message


def test_weights_that_do_not_fit_the_network_change_nothing(narrow, tmp_path, monkeypatch):
    other = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    monkeypatch.setattr(releases_module, "inception_i3d", lambda **_: other)
    message = is_refused("rgb_imagenet", narrow, tmp_path)
    assert message.startswith("Nothing was assigned to")


def test_unknown_release(tmp_path):
    for job in (convert, download_release):
        with pytest.raises(ValueError, match=r"`release` must be one of .*received 'rgb'"):
            job("rgb", tmp_path)


@pytest.fixture
def small_upstream(monkeypatch, tmp_path):
    """The address of a mirror in which `rgb_scratch` is two files of a few bytes."""
    folder = tmp_path / "mirror/data/checkpoints/rgb_scratch"
    folder.mkdir(parents=True)
    files = {}
    for part, name in (("index", INDEX_FILE), ("data", DATA_FILE)):
        (folder / name).write_text(f"some {part}")
        path = f"data/checkpoints/rgb_scratch/{name}"
        files[part] = UpstreamFile(path, len(f"some {part}"), git_blob_id(folder / name))
    small = dataclasses.replace(RELEASES["rgb_scratch"], **files)
    monkeypatch.setitem(convert_module.RELEASES, "rgb_scratch", small)
    return (tmp_path / "mirror").as_uri()


def test_download_release_fetches_index_and_data(small_upstream, tmp_path):
    folder = download_release("rgb_scratch", tmp_path / "out", small_upstream)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        INDEX_FILE: "some index",
        DATA_FILE: "some data",
    }


def test_download_of_another_file_is_not_kept(small_upstream, tmp_path):
    data = tmp_path / "mirror/data/checkpoints/rgb_scratch" / DATA_FILE
    data.write_text("some DATA")
    with pytest.raises(WeightsError, match="not the published file"):
        download_release("rgb_scratch", tmp_path / "out", small_upstream)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [INDEX_FILE]


@pytest.fixture
def jobs(monkeypatch):
    """The calls of `convert_weights`: (function, *arguments)."""
    called = []

    def record(name, result):
        def function(*arguments):
            called.append((name, *arguments))
            return result

        return function

    for name, result in (
        ("convert", "release.h5"),
        ("download_release", "downloads"),
        ("convert_slim", "slim.h5"),
        ("inflate_slim", ["rgb.h5", "flow.h5"]),
        ("inflate_application", "application.keras"),
        ("convert_port", ConvertedPort("port.h5", ["a line"])),
    ):
        monkeypatch.setattr(convert_module, name, record(name, result))
    return called


@pytest.mark.parametrize(
    ("arguments", "expected", "result"),
    [
        (
            {"release": "rgb_scratch", "source": "x"},
            [("convert", "rgb_scratch", "x", "out")],
            ["release.h5"],
        ),
        (
            {"release": "rgb_scratch", "download": True, "base_url": "file://a"},
            [
                ("download_release", "rgb_scratch", Path("out/upstream/rgb_scratch"), "file://a"),
                ("convert", "rgb_scratch", "downloads", "out"),
            ],
            ["release.h5"],
        ),
        (
            {"release": "slim_inception_v1", "source": "x"},
            [("convert_slim", "x", "out")],
            ["slim.h5"],
        ),
        (
            {"release": "slim_inception_v1", "source": "x", "inflate": True},
            [("inflate_slim", "x", "out")],
            ["rgb.h5", "flow.h5"],
        ),
        (
            {"keras_application": "VGG16", "inflate": True},
            [("inflate_application", "VGG16", None, "out")],
            ["application.keras"],
        ),
        (
            {"source": "x", "name": "mine"},
            [("convert_port", "x", "mine", "out")],
            ["port.h5"],
        ),
    ],
)
def test_convert_weights_calls_the_job_of_its_arguments(jobs, arguments, expected, result):
    assert convert_weights(**arguments, output_dir="out") == result
    assert jobs == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give either --release or --keras_application"),
        ({"release": "rgb_imagenet", "keras_application": "VGG16"}, "Give either --release or"),
        ({"release": "rgb_imagenet", "name": "mine", "source": "x"}, "or --name"),
        ({"name": "mine"}, "--name needs --source=FILE"),
        ({"name": "mine", "source": "x", "inflate": True}, "--name needs --source=FILE"),
        ({"release": "rgb_imagenet"}, "needs either --source=DIR_OR_PREFIX or --download"),
        ({"release": "rgb_imagenet", "download": True, "source": "x"}, "needs either --source"),
        ({"release": "rgb", "source": "x"}, "`release` must be one of .*received 'rgb'"),
        ({"release": "rgb_scratch", "source": "x", "inflate": True}, "rgb_scratch is 3D already"),
        ({"release": "slim_inception_v1"}, r"Unpack http.*2016_08_28\.tar\.gz and give its file"),
        (
            {"release": "slim_inception_v1", "source": "x", "download": True},
            "slim_inception_v1 needs --source",
        ),
        ({"keras_application": "VGG16", "source": "x"}, "--keras_application needs --inflate"),
        (
            {"keras_application": "VGG16", "inflate": True, "download": True},
            "cannot be combined with --download",
        ),
    ],
)
def test_convert_weights_refuses_arguments_that_do_not_fit(jobs, arguments, message):
    with pytest.raises(ValueError, match=message):
        convert_weights(**arguments)
    assert jobs == []
