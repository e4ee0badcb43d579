import dataclasses

import keras
import numpy as np
import pytest

from i3d_tf.specs.labels import read_labels
from i3d_tf.specs.published import PUBLISHED_OUTPUT
from i3d_tf.specs.releases import SAMPLE_FILES
from i3d_tf.system.files import git_blob_id
from i3d_tf.weights.assign import WeightsError
from i3d_tf.zoo import verify_release as verify_module
from i3d_tf.zoo.verify_release import compare, read_sample, verify_release

NAMES = read_labels("kinetics400")
STREAMS = tuple(PUBLISHED_OUTPUT)


def published_logits(stream):
    """Logits with the published norm and top 20; the other 380 are equal and negative."""
    published = PUBLISHED_OUTPUT[stream]
    top = [logit for logit, _ in published.top]
    rest = -np.sqrt((published.norm**2 - np.square(top).sum()) / (400 - len(top)))
    logits = np.full((1, 400), rest)
    logits[0, [NAMES.index(name) for _, name in published.top]] = top
    return logits


def place(stream, rank):
    """The index of the class that was published at a rank, the best being 1."""
    return NAMES.index(PUBLISHED_OUTPUT[stream].top[rank - 1][1])


@pytest.mark.parametrize("stream", STREAMS)
def test_compare_accepts_the_published_output(stream):
    lines, agrees = compare(stream, published_logits(stream))
    assert agrees
    assert len(lines) == 21
    assert "differs" not in "".join(lines)
    assert lines[1].split()[0] == "1"
    assert lines[1].count("playing cricket") == 2


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("scale", [1 + 0.9e-3, 1 - 0.9e-3])
def test_compare_accepts_differences_below_one_in_a_thousand(stream, scale):
    assert compare(stream, published_logits(stream) * scale)[1]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("rank", [1, 10, 20])
def test_compare_marks_a_changed_logit(stream, rank):
    logits = published_logits(stream)
    logits[0, place(stream, rank)] *= 1.002
    lines, agrees = compare(stream, logits)
    assert not agrees
    assert "<- differs" in lines[rank]


def test_compare_marks_exchanged_classes():
    logits = published_logits("rgb")
    second, third = place("rgb", 2), place("rgb", 3)
    logits[0, [second, third]] = logits[0, [third, second]]
    lines, agrees = compare("rgb", logits)
    assert not agrees
    assert [line.endswith("<- differs") for line in lines[1:5]] == [False, True, True, False]


def test_compare_notices_another_norm():
    logits = published_logits("rgb")
    logits[logits < 0] *= 1.01
    lines, agrees = compare("rgb", logits)
    assert not agrees
    assert "differs" not in "".join(lines[1:])


@pytest.fixture
def samples(monkeypatch, tmp_path):
    """A folder with stand-ins for the two published arrays, all zero, at the published places."""
    for stream, channels in (("rgb", 3), ("flow", 2)):
        path = tmp_path / SAMPLE_FILES[stream].path.rpartition("/")[2]
        np.save(path, np.zeros((1, 79, 224, 224, channels), np.float16))
        publish(monkeypatch, stream, path)
    return tmp_path


def publish(monkeypatch, stream, path):
    """Makes a file the published one."""
    file = dataclasses.replace(SAMPLE_FILES[stream], blob=git_blob_id(path))
    monkeypatch.setitem(SAMPLE_FILES, stream, file)


@pytest.fixture
def networks(monkeypatch):
    """Networks whose logits for any clip are the published ones; the fixture returns these."""
    published = {part: published_logits(part)[0] for part in ("rgb", "flow")}

    def load(name, checkpoint_dir):
        part = name.removesuffix("_imagenet")
        clip = keras.Input((None, None, None, {"rgb": 3, "flow": 2}[part]))
        pooled = keras.layers.GlobalAveragePooling3D()(clip)
        bias = keras.initializers.Constant(published[part])
        logits = keras.layers.Dense(400, bias_initializer=bias)(pooled)
        return keras.Model(clip, logits, name=name)

    monkeypatch.setattr(verify_module, "load", load)
    return published


def test_verify_release_compares_the_given_streams(samples, networks):
    lines = verify_release(["flow", "rgb"], "checkpoints", samples)
    assert [line.partition(":")[0] for line in lines if "norm" in line] == ["flow", "rgb"]
    assert len(lines) == 42


def test_verify_release_prints_a_differing_comparison(samples, networks, capsys):
    networks["flow"][place("flow", 1)] += 1
    with pytest.raises(ValueError, match="differs from the published one for flow"):
        verify_release(["rgb", "flow"], "checkpoints", samples)
    assert capsys.readouterr().out.count("<- differs") == 1


def test_verify_release_adds_both_streams_for_joint(samples, networks, monkeypatch):
    compared = {}

    def keep(stream, logits):
        compared[stream] = logits
        return [], True

    monkeypatch.setattr(verify_module, "compare", keep)
    verify_release(["joint"], "checkpoints", samples)
    expected = (networks["rgb"] + networks["flow"])[np.newaxis]
    np.testing.assert_allclose(compared["joint"], expected, rtol=1e-6)


@pytest.mark.parametrize("streams", [[], ["both"], ["rgb", ""]])
def test_verify_release_refuses_unknown_and_no_streams(tmp_path, streams):
    with pytest.raises(ValueError, match=r"`streams` must be some of \('rgb', 'flow', 'joint'\)"):
        verify_release(streams, tmp_path, tmp_path)


def test_missing_array_names_the_flag(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"_rgb\.npy: no such file\. Add --download, or copy"
    ):
        verify_release(["rgb"], tmp_path, tmp_path)


def test_missing_weights_are_named(samples, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^rgb_imagenet: not in"):
        verify_release(["rgb"], tmp_path / "checkpoints", samples)


def test_read_sample_refuses_another_array(samples):
    path = samples / "v_CricketShot_g04_c01_rgb.npy"
    np.save(path, np.ones((1, 79, 224, 224, 3), np.float16))
    with pytest.raises(WeightsError, match=r"rgb\.npy: not the published file \(git blob id"):
        read_sample("rgb", samples, download=False)


def test_read_sample_refuses_another_shape(samples, monkeypatch):
    path = samples / "v_CricketShot_g04_c01_rgb.npy"
    np.save(path, np.zeros((79, 224, 224, 3), np.float16))
    publish(monkeypatch, "rgb", path)
    with pytest.raises(WeightsError, match=r"has shape \(79, 224, 224, 3\), expected \(1, 79,"):
        read_sample("rgb", samples, download=False)


def test_read_sample_returns_float32(samples):
    clip = read_sample("flow", samples, download=False)
    assert clip.shape == (1, 79, 224, 224, 2)
    assert clip.dtype == np.float32


def test_read_sample_downloads_on_request(samples, tmp_path):
    (tmp_path / "mirror/data").mkdir(parents=True)
    name = "v_CricketShot_g04_c01_flow.npy"
    (samples / name).rename(tmp_path / "mirror/data" / name)
    mirror = (tmp_path / "mirror").as_uri()
    with pytest.raises(FileNotFoundError):
        read_sample("flow", tmp_path / "out", download=False, base_url=mirror)
    clip = read_sample("flow", tmp_path / "out", download=True, base_url=mirror)
    assert clip.shape == (1, 79, 224, 224, 2)
    assert (tmp_path / "out" / name).is_file()
