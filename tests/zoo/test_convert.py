import dataclasses
import json
import shutil
from functools import cache

import numpy as np
import pytest

import i3d_tf
from i3d_tf.specs.inception_v1 import I3D, widen
from i3d_tf.specs.releases import DATA_FILE, INDEX_FILE, RELEASES, UpstreamFile
from i3d_tf.system.files import git_blob_id, sha256
from i3d_tf.weights import sonnet
from i3d_tf.weights.assign import WeightsError, read_weights
from i3d_tf.weights.store import MANIFEST, read_manifest
from i3d_tf.zoo import convert as convert_module
from i3d_tf.zoo.convert import convert, download_release

NARROW = tuple(widen(row, 1 / 16) for row in I3D)


@pytest.fixture(scope="module")
def converted(shared_dir, recipe, write_checkpoint, tmp_path_factory):
    """Function: release -> a checkpoint directory with it, made from the recipe's values."""
    import tensorflow as tf

    directory = tmp_path_factory.mktemp("converted")

    @cache
    def convert_release(name):
        prefix = shared_dir / "golden/release_index" / name / "model.ckpt"
        shapes = tf.train.load_checkpoint(str(prefix)).get_variable_to_shape_map()
        values = {key: recipe.weight(key, shape) for key, shape in shapes.items()}
        source = write_checkpoint(directory / "upstream", values)
        convert(name, source, directory)
        shutil.rmtree(source)
        return directory

    yield convert_release
    shutil.rmtree(directory)


@pytest.mark.parametrize("name", RELEASES)
def test_converts_the_names_and_shapes_of_every_real_index_file(converted, recipe, name):
    directory = converted(name)
    release = RELEASES[name]
    row = read_manifest(directory)[name]
    assert (row["stream"], row["classes"], row["labels"]) == (
        release.stream,
        release.classes,
        f"kinetics{release.classes}",
    )
    assert row["variables"] == 230
    model = i3d_tf.load(name, directory)
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


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_meets_the_reference_for_random_clips(converted, recipe, shared_dir, assert_meets, stream):
    model = i3d_tf.load(f"{stream}_imagenet", converted(f"{stream}_imagenet"))
    clip = recipe.clip(20, {"rgb": 3, "flow": 2}[stream])
    with np.load(shared_dir / f"golden/{stream}_imagenet_random20.npz") as reference:
        assert_meets(model, clip, reference)


def test_meets_the_reference_for_a_real_clip(converted, shared_dir, assert_meets):
    model = i3d_tf.load("rgb_imagenet", converted("rgb_imagenet"))
    path = shared_dir / "videos/v_CricketShot_g04_c01_rgb.gif"
    clip = i3d_tf.preprocess_input(i3d_tf.read_clip(path, frame_rate=None), stream="rgb")
    assert clip.shape == (79, 224, 224, 3)
    with np.load(shared_dir / "golden/rgb_imagenet_cricket79.npz") as reference:
        assert_meets(model, clip[np.newaxis], reference)


def test_weights_and_manifest_say_what_they_are(
    released_checkpoint, released_shapes, values_for, tmp_path
):
    path = convert("rgb_imagenet", released_checkpoint, tmp_path)
    assert path == tmp_path / "rgb_imagenet.weights.h5"
    sources = {name: sha256(released_checkpoint / name) for name in (INDEX_FILE, DATA_FILE)}
    assert json.loads((tmp_path / MANIFEST).read_text())["weights"] == {
        "rgb_imagenet": {
            "file": "rgb_imagenet.weights.h5",
            "sha256": sha256(path),
            "architecture": "inception_i3d",
            "stream": "rgb",
            "classes": 400,
            "labels": "kinetics400",
            "variables": 230,
            "source": {
                "release": "rgb_imagenet",
                "sha256": sources,
                "is_published_file": False,
            },
        }
    }
    released = values_for(released_shapes("rgb_imagenet"))
    weights = read_weights(i3d_tf.load("rgb_imagenet", tmp_path))
    assert len(weights) == len(released) == 230
    for ours, value in weights.items():
        theirs = "RGB/inception_i3d/" + sonnet.released_name(ours)
        np.testing.assert_array_equal(value, released[theirs])


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
def test_a_damaged_source_changes_nothing(narrow, tmp_path, damage):
    DAMAGE[damage](narrow)
    assert is_refused("rgb_imagenet", narrow, tmp_path).startswith(f"{narrow}/model.ckpt.")


def test_another_release_changes_nothing(narrow, tmp_path):
    message = is_refused("flow_imagenet", narrow, tmp_path)
    assert "not the names of flow_imagenet" in message


def test_a_file_known_to_be_another_release_changes_nothing(narrow, tmp_path, monkeypatch):
    file = narrow / DATA_FILE
    blob = UpstreamFile(DATA_FILE, None, git_blob_id(file))
    twin = dataclasses.replace(RELEASES["rgb_scratch"], data=blob)
    monkeypatch.setitem(RELEASES, "rgb_scratch", twin)
    message = is_refused("rgb_imagenet", narrow, tmp_path)
    assert message == f"{file}: this is rgb_scratch, not rgb_imagenet. Use --release=rgb_scratch."


def test_wrong_shapes_change_nothing(narrow, tmp_path, monkeypatch):
    monkeypatch.setattr(sonnet, "I3D", I3D)
    message = is_refused("rgb_imagenet", narrow, tmp_path)
    assert "has shape (7, 7, 7, 3, 4); rgb_imagenet has (7, 7, 7, 3, 64)" in message


def test_a_network_that_does_not_fit_changes_nothing(narrow, tmp_path):
    # Here the reader expects the narrow network, and the writer has the wide one.
    assert "shapes differ" in is_refused("rgb_imagenet", narrow, tmp_path)


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


def test_downloads_index_and_data(small_upstream, tmp_path):
    folder = download_release("rgb_scratch", tmp_path / "out", small_upstream)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        INDEX_FILE: "some index",
        DATA_FILE: "some data",
    }


def test_a_download_that_is_not_the_published_file_is_not_kept(small_upstream, tmp_path):
    data = tmp_path / "mirror/data/checkpoints/rgb_scratch" / DATA_FILE
    data.write_text("some DATA")
    with pytest.raises(WeightsError, match="not the published file"):
        download_release("rgb_scratch", tmp_path / "out", small_upstream)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [INDEX_FILE]


def test_what_is_published_is_marked_so(narrow, monkeypatch):
    spec = RELEASES["rgb_imagenet"]
    published = dataclasses.replace(
        spec,
        index=UpstreamFile(INDEX_FILE, None, git_blob_id(narrow / INDEX_FILE)),
        data=UpstreamFile(DATA_FILE, None, git_blob_id(narrow / DATA_FILE)),
    )
    monkeypatch.setitem(RELEASES, "rgb_imagenet", published)
    assert convert_module._manifest_row(spec, narrow, 230)["source"]["is_published_file"]
    change(narrow, INDEX_FILE, flipped)
    assert not convert_module._manifest_row(spec, narrow, 230)["source"]["is_published_file"]
