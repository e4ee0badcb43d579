"""Features against the answers of the networks to whole clips, in one call of Keras."""

from functools import cache

import keras
import numpy as np
import pytest

from i3d_tf.features import extractor as feature_network
from i3d_tf.features.extractor import FeatureExtractor
from i3d_tf.features.options import FeatureOptions, feature_rules
from i3d_tf.inference.video_source import VideoSource
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms import preprocess_input
from i3d_tf.zoo import checkpoint as checkpoint_module
from i3d_tf.zoo import load

SOURCE = {"name": "a.mp4", "bytes": 9}
# Batch norm is folded and sums are in another order: 2e-6 of the size was seen.
TOLERANCE = 1e-5
FRAMES = 141  # not a multiple of 8, and more than one chunk


@pytest.fixture(scope="module")
def extractor(small_dir):
    """Function: (stream, rules, more options) -> FeatureExtractor; networks are read once."""

    @cache
    def build(stream="rgb", rules=None, **more):
        options = {
            "rgb_weights": "small_rgb",
            "flow_weights": "small_flow",
            "checkpoint_dir": str(small_dir),
            "engine": "dis",
        }
        return FeatureExtractor(FeatureOptions(rules or feature_rules(), stream, **options | more))

    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (checkpoint_module, "open_checkpoint"),
            (feature_network, "fuse_for_inference"),
        ):
            patch.setattr(module, name, cache(getattr(module, name)))
        yield build


@pytest.fixture(scope="module")
def answers(small_dir, moving_video):
    """Function: (stream, endpoint, part of the clip) -> what the network's endpoint says of it."""
    shown = VideoSource(moving_video(FRAMES), Protocol(short_side=40, crop_size=32), "dis")
    clips, models = {}, {}

    def answer(stream, endpoint, part=slice(None)):
        if stream not in clips:
            clips[stream] = preprocess_input(np.stack(list(shown.frames(stream))), stream)
            models[stream] = load(f"small_{stream}", small_dir)
        model = models[stream]
        endpoint = keras.Model(model.input, model.get_layer(endpoint).output)
        return endpoint(clips[stream][part][np.newaxis], training=False).numpy()[0]

    return answer


def assert_near(found, expected):
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_the_whole_video(extractor, answers, moving_video, stream):
    found = extractor(stream).extract(moving_video(FRAMES), SOURCE)
    assert_near(found.features, answers(stream, "Mixed_5c").mean((1, 2)))
    assert found.features.shape == (18, 64)
    np.testing.assert_allclose(found.times[:, 0], 8 * np.arange(18) / 25)
    assert found.times[-1, 2] == FRAMES / 25


def test_means_of_steps_maps_and_one_row_of_all(extractor, answers, moving_video):
    steps = answers("rgb", "Mixed_5c")
    found = extractor(rules=feature_rules(stride=16)).extract(moving_video(FRAMES), SOURCE)
    assert_near(found.features, steps.reshape(9, 2, 1, 64).mean((1, 2)))
    found = extractor(rules=feature_rules(pool="space_time")).extract(moving_video(FRAMES), SOURCE)
    assert_near(found.features, steps.mean((0, 1, 2))[np.newaxis])
    rules = feature_rules("Mixed_4f", "none")
    found = extractor(rules=rules).extract(moving_video(FRAMES), SOURCE)
    assert_near(found.features, answers("rgb", "Mixed_4f"))
    assert found.times.shape == (36, 3)


def test_what_the_head_sees_and_says(extractor, answers, moving_video):
    pooled = extractor(rules=feature_rules("AvgPool3d_0a_7x7"))
    found = pooled.extract(moving_video(FRAMES), SOURCE).features
    assert_near(found, answers("rgb", "AvgPool3d_0a_7x7")[:, 0, 0])
    logits = extractor(rules=feature_rules("Logits")).extract(moving_video(FRAMES), SOURCE).features
    assert logits.shape == (17, 5)
    assert_near(logits.mean(0), answers("rgb", "Logits"))


@pytest.mark.parametrize(
    ("endpoint", "pool", "mean_over"),
    [
        ("Mixed_5c", "space_time", (1, 2, 3)),
        ("Conv3d_2b_1x1", "space", (2, 3)),
        ("Conv3d_1a_7x7", "none", ()),
        ("Logits", None, ()),
    ],
)
def test_windows_are_clips_of_their_own(
    extractor, answers, moving_video, endpoint, pool, mean_over
):
    rules = feature_rules(endpoint, pool, window=16, stride=24)
    found = extractor(rules=rules, batch_size=4).extract(moving_video(FRAMES), SOURCE)
    parts = [answers("rgb", endpoint, slice(at, at + 16)) for at in range(0, 126, 24)]
    assert_near(found.features, np.stack(parts).mean(mean_over) if mean_over else np.stack(parts))
    np.testing.assert_allclose(found.times[1], [24 / 25, 32 / 25, 40 / 25])


def test_both_streams_lie_side_by_side(extractor, moving_video):
    both = extractor("joint").extract(moving_video(FRAMES), SOURCE)
    parts = [extractor(s).extract(moving_video(FRAMES), SOURCE) for s in ("rgb", "flow")]
    np.testing.assert_array_equal(both.features, np.concatenate([p.features for p in parts], 1))
    assert both.metadata["channels"] == {"rgb": [0, 64], "flow": [64, 128]}
    np.testing.assert_array_equal(both.times, parts[1].times)


def test_what_is_said_of_features(extractor, moving_video, small_dir):
    import i3d_tf
    from i3d_tf.system.files import sha256

    said = extractor("joint").extract(moving_video(40), SOURCE).metadata
    assert said["weights"]["flow"] == {
        "name": "small_flow",
        "sha256": sha256(small_dir / "small_flow.weights.h5"),
    }
    assert (said["stream"], said["endpoint"], said["pool"]) == ("joint", "Mixed_5c", "space")
    assert (said["frame_rate"], said["stride"], said["window"], said["frames"]) == (25, 8, None, 40)
    assert said["preprocessing"]["crop"] == "centre, 32 x 32"
    assert said["preprocessing"]["short_side"] == 40
    assert said["preprocessing"]["flow"]["engine"] == "dis"
    assert said["source"] == SOURCE
    assert said["project_version"] == i3d_tf.__version__
    assert "flow" not in extractor("rgb").account(SOURCE)["preprocessing"]


@pytest.mark.parametrize("stream", ["rgb", "joint"])
def test_windows_of_several_videos_share_batches(extractor, moving_video, tmp_path, stream):
    """Five, none, three and two windows are three batches of four, and each as alone."""
    maker = extractor(stream, feature_rules(window=16), batch_size=4)
    broken = tmp_path / "broken.mp4"
    content = moving_video(FRAMES).read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    videos = [moving_video(80), broken, moving_video(50), moving_video(40), moving_video(9)]
    sizes = []
    for network in maker.networks.values():
        answer = network._answer
        network._answer = lambda clips, answer=answer: (sizes.append(len(clips)), answer(clips))[1]
    found = list(maker.extract_several([(video, SOURCE, None) for video in videos]))
    assert sizes == [4, 4, 2] * len(maker.networks)
    for k in (0, 2, 3):
        alone = maker.extract(videos[k], SOURCE)
        np.testing.assert_array_equal(found[k].features, alone.features)
        np.testing.assert_array_equal(found[k].times, alone.times)
        assert found[k].metadata == alone.metadata
        assert len(found[k].features) == {0: 5, 2: 3, 3: 2}[k]
    assert [type(found[k]) for k in (1, 4)] == [VideoError] * 2
    assert "cut short" in found[1].reason
    assert found[4].reason == "it has 9 frames at 25 per second; at least 16 are needed"


def test_too_many_features_of_one_of_several(extractor, moving_video, monkeypatch):
    maker = extractor(rules=feature_rules(window=16), batch_size=4)
    monkeypatch.setattr(feature_network, "MAX_BYTES", 3 * 64 * 4)
    jobs = [(moving_video(frames), SOURCE, None) for frames in (80, 50)]
    too_many, enough = maker.extract_several(jobs)
    assert "would take more than" in too_many.reason
    assert enough.features.shape == (3, 64)


def test_where_memory_is_not_enough_for_all_it_may_be_for_each(
    extractor, moving_video, monkeypatch
):
    maker = extractor(rules=feature_rules(window=16))

    def too_much(*_):
        raise MemoryError

    monkeypatch.setattr(maker, "_together", too_much)
    jobs = [(moving_video(frames), SOURCE, None) for frames in (40, 50)]
    assert [len(found.features) for found in maker.extract_several(jobs)] == [2, 3]


def test_short_videos_fill_batches_together(extractor, moving_video, tmp_path):
    """Windows of 16 frames, four batches of 2: eight windows are enough for a group."""
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    videos = [moving_video(n) for n in (80, 50, 40, FRAMES)]
    short = extractor(rules=feature_rules(window=16), batch_size=2)
    assert list(short.groups([*videos[:2], bad, *videos[2:], videos[2]])) == [
        [*videos[:2]],
        [bad, *videos[2:]],
        [videos[2]],
    ]
    for rules in (feature_rules(), feature_rules(pool="none", window=16)):
        assert list(extractor(rules=rules).groups(videos)) == [[video] for video in videos]


def test_bfloat16_is_near(extractor, moving_video):
    exact = extractor().extract(moving_video(40), SOURCE).features
    found = extractor(precision="bfloat16").extract(moving_video(40), SOURCE)
    assert found.metadata["precision"] == "bfloat16"
    # Eight bits of fraction through 22 layers; 1e-2 was seen, and other weights would be off by 1.
    assert 0 < np.linalg.norm(found.features - exact) < 0.05 * np.linalg.norm(exact)


@pytest.mark.parametrize(
    ("frames", "rules", "message"),
    [
        (8, feature_rules(), "it has 8 frames at 25 per second; at least 9 are needed"),
        (
            8,
            feature_rules("Conv3d_1a_7x7", window=9),
            "it has 8 frames at 25 per second; at least 9 are needed",
        ),
        (
            15,
            feature_rules("Conv3d_1a_7x7", window=16),
            "it has 15 frames at 25 per second; at least 16 are",
        ),
    ],
)
def test_videos_that_are_too_short(extractor, moving_video, frames, rules, message):
    with pytest.raises(VideoError, match=message):
        extractor("joint", rules).extract(moving_video(frames), SOURCE)


def test_the_shortest_there_are(extractor, moving_video):
    assert extractor("joint").extract(moving_video(9), SOURCE).features.shape == (2, 128)
    rules = feature_rules("Conv3d_1a_7x7", window=16)
    found = extractor("joint", rules).extract(moving_video(16), SOURCE)
    assert found.features.shape == (1, 8)


def test_more_features_than_memory_is_meant_for(extractor, moving_video, monkeypatch):
    monkeypatch.setattr(feature_network, "MAX_BYTES", 2 * 64 * 4)
    with pytest.raises(VideoError, match=r"its features would take more than .* GiB; pool them"):
        extractor().extract(moving_video(40), SOURCE)


def test_an_output_that_is_not_finite(extractor, moving_video, monkeypatch):
    rows = (np.array([value], np.float32) for value in (0, np.nan))
    monkeypatch.setattr(extractor().networks["rgb"], "rows", lambda shown: rows)
    with pytest.raises(VideoError, match="output is not finite: its weights are damaged"):
        extractor().extract(moving_video(9), SOURCE)


def test_weights_that_do_not_fit(extractor, tiny_dir):
    with pytest.raises(ValueError, match="small_flow: is for flow, not for rgb"):
        extractor("rgb", rgb_weights="small_flow")
    with pytest.raises(FileNotFoundError, match=r"convert\.py --release=rgb_imagenet"):
        extractor("rgb", rgb_weights="rgb_imagenet")
    with pytest.raises(ValueError, match=r"`stream` must be one of .*; received 'both'"):
        extractor("both")
    with pytest.raises(ValueError, match=r"`batch_size` must be an integer .*; received 0"):
        extractor(batch_size=0)
