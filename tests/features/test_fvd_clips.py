from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from i3d_tf.features import fvd_clips, fvd_reader
from i3d_tf.features.fvd_clips import FeatureNetwork, gather_features
from i3d_tf.features.fvd_protocol import FORMER_PROTOCOL, clip_config
from i3d_tf.system.files import sha256
from i3d_tf.video.decode import iter_frames
from i3d_tf.video.transforms import stretch
from i3d_tf.zoo import checkpoint

SMALL = clip_config(FORMER_PROTOCOL, frames=9, size=32)


class Levels:
    """A network whose features are a clip's first and last grey level; it keeps the batches."""

    metadata = {"weights": "levels"}  # noqa: RUF012 - nobody changes it

    def __init__(self, **config):
        self.config = clip_config(FORMER_PROTOCOL, **{"frames": 9, "size": 32, **config})
        self.batches = []

    def __call__(self, clips):
        self.batches.append(clips)
        return clips[:, [0, -1]].mean((2, 3, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(write_grey_video, tmp_path_factory):
    """Five videos of 20 frames; video k begins at the level 10 k and gets 5 brighter a frame."""
    folder = tmp_path_factory.mktemp("grey")
    for k in range(5):
        write_grey_video(folder / f"{k}.mp4", range(10 * k, 10 * k + 100, 5))
    return folder


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).integers(0, 256, (3, 9, 40, 50, 3), np.uint8)


def test_gather_features_takes_videos_in_order_and_in_batches(folder):
    network = Levels()
    gathered = gather_features([folder], network, 2, "real", keep=True)
    assert [batch.shape for batch in network.batches] == [
        *[(2, 9, 32, 32, 3)] * 2,
        (1, 9, 32, 32, 3),
    ]
    assert network.batches[0].dtype == np.uint8
    expected = [[10 * k, 10 * k + 40] for k in range(5)]
    np.testing.assert_allclose(gathered.features, expected, atol=2)  # of the codec
    np.testing.assert_allclose(gathered.statistics.mean, gathered.features.mean(0), rtol=1e-6)
    assert gathered.statistics.count == 5
    assert gathered.statistics.metadata == Levels.metadata
    assert gathered.failures == {}


def test_gather_features_keeps_features_when_asked(folder):
    assert gather_features([folder], Levels(), 2, "real").features is None


def test_gather_features_resamples(folder):
    gathered = gather_features([folder / "0.mp4"], Levels(frame_rate=12.5), 2, "real", keep=True)
    np.testing.assert_allclose(gathered.features, [[0, 80]], atol=2)


def test_gather_features_takes_clip_arrays_and_videos(folder, clips, tmp_path):
    np.savez(tmp_path / "a.npz", clips, clips[:1])
    np.save(tmp_path / "b.npy", clips[1:])
    network = Levels()
    sources = [tmp_path / "a.npz", folder, tmp_path / "*.npy"]
    gathered = gather_features(sources, network, 4, "real")
    assert gathered.statistics.count == 4 + 5 + 2
    shown = np.concatenate(network.batches)
    expected = [[stretch(frame, 32) for frame in clip] for clip in clips]
    np.testing.assert_array_equal(shown[:3], expected)
    np.testing.assert_array_equal(shown[3], expected[0])
    np.testing.assert_array_equal(shown[9:], expected[1:])


def test_gather_features_skips_unreadable_sources(folder, clips, write_bad_videos, tmp_path):
    reasons = write_bad_videos(tmp_path)
    reasons["one_frame.mp4"] = "it has 1 frames; 9 are needed"
    np.save(tmp_path / "short.npy", clips[:, :8])
    reasons["short.npy"] = "a clip: it has 8 frames; 9 are needed"
    sources = [tmp_path, folder, tmp_path / "short.npy", tmp_path / "missing.mp4"]
    gathered = gather_features(sources, Levels(), 2, "real")
    assert gathered.statistics.count == 5
    reasons["missing.mp4"] = "no such file or directory"
    assert set(gathered.failures) == {str(tmp_path / name) for name in reasons}
    for name, reason in reasons.items():
        assert gathered.failures[str(tmp_path / name)].startswith(reason)


@pytest.mark.parametrize(("frames", "failed"), [(8, 1), (9, 0)])
def test_gather_features_needs_nine_frames(write_grey_video, tmp_path, frames, failed):
    path = write_grey_video(tmp_path / "short.mp4", [50] * frames)
    gathered = gather_features([path], Levels(), 2, "real")
    assert (gathered.statistics.count, len(gathered.failures)) == (1 - failed, failed)


def test_gather_features_takes_the_clips_before_damage(clips, tmp_path):
    np.savez(tmp_path / "a.npz", clips)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[-400] ^= 255  # within the last clip; found when its sum is compared
    (tmp_path / "a.npz").write_bytes(content)
    gathered = gather_features([tmp_path / "a.npz"], Levels(), 2, "real")
    assert gathered.statistics.count == 2
    assert "CRC" in gathered.failures[str(tmp_path / "a.npz")]


def test_gather_features_refuses_a_frame_rate_of_clip_arrays(clips, tmp_path):
    np.save(tmp_path / "a.npy", clips)
    gathered = gather_features([tmp_path / "a.npy"], Levels(frame_rate=25), 2, "real")
    assert gathered.failures[str(tmp_path / "a.npy")].startswith("clips in arrays have no frame")


def test_gather_features_goes_on_after_too_little_memory_for_one_video(folder, monkeypatch):
    def read(path, *arguments, **keywords):
        if path.endswith("2.mp4"):
            raise MemoryError
        return iter_frames(path, *arguments, **keywords)

    monkeypatch.setattr(fvd_reader, "iter_frames", read)
    gathered = gather_features([folder], Levels(), 2, "real")
    assert gathered.statistics.count == 4
    assert gathered.failures == {str(folder / "2.mp4"): "there is not enough memory"}


def test_gather_features_reads_little_ahead(folder, monkeypatch):
    taken, seen = [], []

    class Noted(list):
        def __iter__(self):
            for path in super().__iter__():
                taken.append(path)
                yield path

    class Noting(Levels):
        def __call__(self, clips):
            seen.append(len(taken))
            return super().__call__(clips)

    monkeypatch.setattr(fvd_reader, "processor_count", lambda: 1)
    monkeypatch.setattr(fvd_clips, "find_videos", lambda *_, **__: Noted([folder / "0.mp4"] * 40))
    gather_features([folder], Noting(), 1, "real")
    # Two may be under way beyond the one that is used.
    assert seen == [min(used + 3, 40) for used in range(40)]


@pytest.fixture
def feature_network(monkeypatch):
    """Function: (layers, config, input shape) -> FeatureNetwork of these layers."""

    def build(*layers, config=SMALL, shape=(None, None, None, 3)):
        clips = keras.Input(shape)
        model = keras.Model(clips, keras.Sequential(layers)(clips) if layers else clips)
        opened = SimpleNamespace(model=model, name="small", sha256="0")
        checkpoints = SimpleNamespace(by_stream={"rgb": opened})
        monkeypatch.setattr(fvd_clips, "open_checkpoints", lambda *_: checkpoints)
        return FeatureNetwork("small", "checkpoints", config)

    return build


@pytest.mark.slow
def test_logits_and_pooled_features_are_those_of_the_network(tiny_dir, monkeypatch):
    clips = np.random.default_rng(1).integers(0, 256, (2, 17, 32, 32, 3), np.uint8)
    monkeypatch.setattr(checkpoint, "open_checkpoint", cache(checkpoint.open_checkpoint))
    model = checkpoint.open_checkpoint("tiny_rgb", tiny_dir).model
    expected = np.array(model(clips.astype(np.float32) / 127.5 - 1))
    config = clip_config(FORMER_PROTOCOL, frames=17, size=32)
    networks = {
        features: FeatureNetwork("tiny_rgb", tiny_dir, replace(config, features=features))
        for features in ("logits", "pooled")
    }
    logits, pooled = networks["logits"](clips), networks["pooled"](clips)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert pooled.shape == (2, 64)  # 1024 / 16
    # The last convolution of the mean is the mean of the last convolution.
    kernel, bias = model.get_layer("Logits").get_weights()
    np.testing.assert_allclose(pooled @ kernel[0, 0, 0] + bias, logits, rtol=1e-4, atol=1e-5)
    assert networks["pooled"].metadata == {
        "weights": "tiny_rgb",
        "weights_sha256": sha256(tiny_dir / "tiny_rgb.weights.h5"),
        "features": "pooled",
        "frames": 17,
        "frame_rate": None,
        "resize": "32 x 32, bilinear, aspect not kept",
        "protocol": "version_0_1",
        "clips": "first",
        "frame_step": 1,
        "clips_per_video": None,
    }


def test_feature_network_needs_clips_of_its_size(feature_network):
    with pytest.raises(ValueError, match=r"small: it takes images\. Name a network for RGB"):
        feature_network(shape=(None, None, 3))
    with pytest.raises(ValueError, match=r"small: it takes only clips of \(16, 64, 64\) .*\(9, 32"):
        feature_network(shape=(16, 64, 64, 3))
    pooled = clip_config(FORMER_PROTOCOL, frames=9, size=32, features="pooled")
    with pytest.raises(ValueError, match="small: it has no AvgPool3d_0a_7x7 to take features from"):
        feature_network(keras.layers.GlobalAveragePooling3D(), config=pooled)


def test_feature_network_refuses_output_that_is_not_finite(feature_network):
    network = feature_network(
        keras.layers.GlobalAveragePooling3D(), keras.layers.Rescaling(float("inf"))
    )
    with pytest.raises(ValueError, match="small: its output is not finite; the weights are damage"):
        network(np.zeros((1, 9, 32, 32, 3), np.uint8))


def test_feature_network_without_memory_asks_for_smaller_batches(feature_network, monkeypatch):
    def fail(clips):
        raise MemoryError

    monkeypatch.setattr(fvd_clips, "forward_function", lambda model: fail)
    network = feature_network(keras.layers.GlobalAveragePooling3D())
    with pytest.raises(ValueError, match="for 4 clips at once; give a smaller --batch_size"):
        network(np.zeros((4, 9, 32, 32, 3), np.uint8))
