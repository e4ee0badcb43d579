import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from i3d_tf.features import fvd_clips as fvd_features
from i3d_tf.features.fvd_clips import ClipRules, FeatureNetwork, gather_features
from i3d_tf.video.decode import read_first_frames
from i3d_tf.video.transforms import stretch
from i3d_tf.zoo import checkpoint as checkpoint_module
from i3d_tf.zoo import load, open_checkpoint

SMALL = ClipRules(frames=9, size=32)


class Levels:
    """Answers every clip with its first and its last grey level, and keeps the batches."""

    about = {"weights": "levels"}  # noqa: RUF012 - nobody changes it

    def __init__(self, **rules):
        self.rules = ClipRules(**{"frames": 9, "size": 32, **rules})
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


def test_the_convention_of_fvd():
    assert ClipRules() == ClipRules(frames=16, frame_rate=None, size=224, features="logits")


def test_videos_in_order_in_batches(folder):
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
    assert gathered.statistics.metadata == Levels.about
    assert gathered.failures == {}


def test_features_are_only_kept_when_asked_for(folder):
    assert gather_features([folder], Levels(), 2, "real").features is None


def test_at_another_rate(folder):
    gathered = gather_features([folder / "0.mp4"], Levels(frame_rate=12.5), 2, "real", keep=True)
    np.testing.assert_allclose(gathered.features, [[0, 80]], atol=2)


def test_arrays_and_videos_together(folder, clips, tmp_path):
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


def test_what_cannot_be_read_is_left_out(folder, clips, write_bad_videos, tmp_path):
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
def test_nine_frames_are_enough(write_grey_video, tmp_path, frames, failed):
    path = write_grey_video(tmp_path / "short.mp4", [50] * frames)
    gathered = gather_features([path], Levels(), 2, "real")
    assert (gathered.statistics.count, len(gathered.failures)) == (1 - failed, failed)


def test_of_a_file_damaged_in_the_middle_what_was_whole_counts(clips, tmp_path):
    np.savez(tmp_path / "a.npz", clips)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[-400] ^= 255  # within the last clip; found when its sum is compared
    (tmp_path / "a.npz").write_bytes(content)
    gathered = gather_features([tmp_path / "a.npz"], Levels(), 2, "real")
    assert gathered.statistics.count == 2
    assert "CRC" in gathered.failures[str(tmp_path / "a.npz")]


def test_arrays_have_no_frame_rate(clips, tmp_path):
    np.save(tmp_path / "a.npy", clips)
    gathered = gather_features([tmp_path / "a.npy"], Levels(frame_rate=25), 2, "real")
    assert gathered.failures[str(tmp_path / "a.npy")].startswith("clips in arrays have no frame")


def test_too_little_memory_for_one_video_does_not_stop_the_others(folder, monkeypatch):
    def read(path, *arguments):
        if path.endswith("2.mp4"):
            raise MemoryError
        return read_first_frames(path, *arguments)

    monkeypatch.setattr(fvd_features, "read_first_frames", read)
    gathered = gather_features([folder], Levels(), 2, "real")
    assert gathered.statistics.count == 4
    assert gathered.failures == {str(folder / "2.mp4"): "there is not enough memory"}


def test_videos_are_not_read_much_further_than_needed(folder, monkeypatch):
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

    monkeypatch.setattr(fvd_features, "processor_count", lambda: 1)
    monkeypatch.setattr(fvd_features, "find_videos", lambda _: Noted([folder / "0.mp4"] * 40))
    gather_features([folder], Noting(), 1, "real")
    # Two may be under way beyond the one that is used.
    assert seen == [min(used + 3, 40) for used in range(40)]


def test_logits_are_those_of_the_network(tiny_dir, clips):
    network = FeatureNetwork("tiny_rgb", tiny_dir, SMALL)
    square = np.array([[stretch(frame, 32) for frame in clip] for clip in clips])
    expected = np.array(load("tiny_rgb", tiny_dir)(square.astype(np.float32) / 127.5 - 1))
    np.testing.assert_allclose(network(square), expected, rtol=1e-4, atol=1e-5)
    assert network.about == {
        "weights": "tiny_rgb",
        "weights_sha256": network.about["weights_sha256"],
        "features": "logits",
        "frames": 9,
        "frame_rate": None,
        "resize": "32 x 32, bilinear, aspect not kept",
    }


def test_pooled_features_become_the_logits_by_the_last_convolution(tiny_dir):
    square = np.random.default_rng(1).integers(0, 256, (2, 24, 32, 32, 3), np.uint8)
    logits, pooled = (
        FeatureNetwork("tiny_rgb", tiny_dir, ClipRules(24, size=32, features=features))(square)
        for features in ("logits", "pooled")
    )
    assert pooled.shape == (2, 64)  # 1024 / 16
    kernel, bias = load("tiny_rgb", tiny_dir).get_layer("Logits").get_weights()
    np.testing.assert_allclose(pooled @ kernel[0, 0, 0] + bias, logits, rtol=1e-4, atol=1e-5)


def test_networks_of_another_kind_are_refused(tiny_dir):
    with pytest.raises(ValueError, match="tiny_flow: is for flow, not for rgb"):
        FeatureNetwork("tiny_flow", tiny_dir, SMALL)
    with pytest.raises(FileNotFoundError, match=r"convert\.py --release=rgb_imagenet"):
        FeatureNetwork("rgb_imagenet", tiny_dir, SMALL)


def test_a_network_for_clips_of_one_size_says_so(tiny_dir, monkeypatch):
    def open_fixed(name, checkpoint_dir):
        model = load(name, checkpoint_dir, input_shape=(16, 64, 64, 3))
        return dataclasses.replace(open_checkpoint(name, checkpoint_dir), model=model)

    monkeypatch.setattr(checkpoint_module, "open_checkpoint", open_fixed)
    with pytest.raises(ValueError, match=r"only reads clips of \(16, 64, 64\) .*\(9, 32, 32\)"):
        FeatureNetwork("tiny_rgb", tiny_dir, SMALL)


def test_an_output_that_is_not_finite_is_an_error(tiny_dir, monkeypatch):
    network = FeatureNetwork("tiny_rgb", tiny_dir, SMALL)
    answer = SimpleNamespace(numpy=lambda: np.full((1, 5), np.nan))
    monkeypatch.setattr(network, "_forward", lambda clips: answer)
    with pytest.raises(ValueError, match="tiny_rgb: its output is not finite"):
        network(np.zeros((1, 9, 32, 32, 3), np.uint8))


def test_too_little_memory_for_a_batch_says_what_to_do(tiny_dir, monkeypatch):
    def fail(clips):
        raise MemoryError

    network = FeatureNetwork("tiny_rgb", tiny_dir, SMALL)
    monkeypatch.setattr(network, "_forward", fail)
    with pytest.raises(ValueError, match="for 4 clips at once; give a smaller --batch_size"):
        network(np.zeros((4, 9, 32, 32, 3), np.uint8))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"features": "Mixed_5c"}, r"`features` must be one of .*received 'Mixed_5c'"),
        ({"frames": 8}, "`frames` must be at least 9; received 8"),
        ({"size": 31}, r"`size` must be within 32\.\.1024 pixels; received 31"),
        ({"frame_rate": 0.0}, "`frame_rate` must be a finite number > 0; received 0.0"),
        ({"frame_rate": float("nan")}, "`frame_rate` must be a finite number > 0"),
    ],
)
def test_rules_that_cannot_be(rules, message):
    with pytest.raises(ValueError, match=message):
        ClipRules(**rules)
