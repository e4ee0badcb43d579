"""Features against the outputs of the networks for whole clips, in one call of Keras."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import i3d_tf
from i3d_tf.features import extractor as extractor_module
from i3d_tf.features import network_check
from i3d_tf.features.extractor import FeatureExtractor, StreamExtractor
from i3d_tf.features.frame_options import FrameOptions, FrameSize
from i3d_tf.features.options import FeatureOptions, feature_config
from i3d_tf.inference.video_source import VideoSource
from i3d_tf.layers.frames import FoldTime, UnfoldTime
from i3d_tf.specs.protocol import Protocol
from i3d_tf.system.files import sha256
from i3d_tf.system.jobs import source_metadata
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms import preprocess_input
from i3d_tf.zoo import checkpoint
from i3d_tf.zoo.checkpoint import Checkpoint

# Batch norm is folded and sums are in another order: 2e-6 of the size was seen.
TOLERANCE = 1e-5
FRAMES = 77  # not a multiple of 8, and more than one chunk
EARLY = "Conv3d_1a_7x7"  # a quick endpoint
EARLY_WINDOWS = feature_config(EARLY, window=16)


@pytest.fixture(scope="module")
def extractor(small_dir, networks_read_once):
    """Function: (stream, config, more options) -> FeatureExtractor, the same every time."""

    @cache
    def build(stream="rgb", config=None, **more):
        options = {
            "rgb_checkpoint": "small_rgb",
            "flow_checkpoint": "small_flow",
            "checkpoint_dir": str(small_dir),
            "flow_engine": "dis",
        }
        config = config or feature_config(EARLY)
        return FeatureExtractor(FeatureOptions(config, stream, **options | more))

    return build


@pytest.fixture(scope="module")
def outputs(small_dir, moving_video, networks_read_once):
    """Function: (stream, endpoint, frames of the clip) -> the endpoint's output for them."""
    source = VideoSource(moving_video(FRAMES), Protocol(short_side=40, crop_size=32), "dis")
    clips, models = {}, {}

    @cache
    def compute(stream, endpoint, start=0, end=FRAMES):
        if stream not in clips:
            clips[stream] = preprocess_input(np.stack(list(source.frames(stream))), stream)
            opened = checkpoint.open_checkpoint(f"small_{stream}", str(small_dir))
            models[stream] = opened.model
        model = models[stream]
        endpoint = keras.Model(model.input, model.get_layer(endpoint).output)
        return endpoint(clips[stream][np.newaxis, start:end], training=False).numpy()[0]

    return compute


def assert_near(found, expected):
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * np.abs(expected).max(), rtol=0)


@pytest.mark.slow
def test_features_of_both_streams_lie_side_by_side(extractor, outputs, moving_video):
    found = extractor("joint", feature_config()).extract(moving_video(FRAMES))
    assert found.features.shape == (10, 128)
    assert found.metadata["channels"] == {"rgb": [0, 64], "flow": [64, 128]}
    assert_near(found.features[:, :64], outputs("rgb", "Mixed_5c").mean((1, 2)))
    assert_near(found.features[:, 64:], outputs("flow", "Mixed_5c").mean((1, 2)))
    np.testing.assert_allclose(found.times[:, 0], 8 * np.arange(10) / 25)
    assert found.times[-1, 2] == FRAMES / 25


def test_rows_are_means_of_steps_maps_or_one_for_all(extractor, outputs, moving_video):
    steps = outputs("rgb", EARLY)
    assert len(steps) == 39
    found = extractor(config=feature_config(EARLY, stride=6)).extract(moving_video(FRAMES))
    assert_near(found.features, steps.reshape(13, 3, -1, 4).mean((1, 2)))
    one_row = extractor(config=feature_config(EARLY, "space_time"))
    assert_near(one_row.extract(moving_video(FRAMES)).features, steps.mean((0, 1, 2))[np.newaxis])
    found = extractor(config=feature_config(EARLY, "none")).extract(moving_video(FRAMES))
    assert_near(found.features, steps)
    assert found.times.shape == (39, 3)


def test_head_pool_and_logits_of_a_whole_video(extractor, outputs, moving_video):
    pooled = extractor(config=feature_config("AvgPool3d_0a_7x7")).extract(moving_video(FRAMES))
    assert_near(pooled.features, outputs("rgb", "AvgPool3d_0a_7x7")[:, 0, 0])
    logits = extractor(config=feature_config("Logits")).extract(moving_video(FRAMES))
    assert logits.features.shape == (9, 5)
    assert_near(logits.features.mean(0), outputs("rgb", "Logits"))


@pytest.mark.parametrize(
    ("endpoint", "pool", "mean_over"),
    [
        ("Conv3d_2b_1x1", "space_time", (1, 2, 3)),
        ("Conv3d_2b_1x1", "space", (2, 3)),
        (EARLY, "none", ()),
        ("Logits", None, ()),
    ],
)
def test_windows_are_clips_of_their_own(
    extractor, outputs, moving_video, endpoint, pool, mean_over
):
    config = feature_config(endpoint, pool, window=16, stride=24)
    found = extractor(config=config, batch_size=2).extract(moving_video(FRAMES))
    parts = np.stack([outputs("rgb", endpoint, at, at + 16) for at in range(0, 62, 24)])
    assert_near(found.features, parts.mean(mean_over) if mean_over else parts)
    np.testing.assert_allclose(found.times[1], [24 / 25, 32 / 25, 40 / 25])


def by_hand(outputs, start, end):
    """The head's pool of a window: 2x7x7 with stride 1, then the mean over time."""
    steps = outputs("rgb", "Mixed_5c", start, end)
    pooled = [
        (steps[k].mean((0, 1)) + steps[k + 1].mean((0, 1))) / 2 for k in range(len(steps) - 1)
    ]
    return np.mean(pooled, 0)


@pytest.mark.parametrize("endpoint", ["Mixed_5c", "AvgPool3d_0a_7x7"])
def test_windows_are_pooled_as_in_the_head(extractor, outputs, moving_video, endpoint):
    config = feature_config(endpoint, window=64, stride=8)
    found = extractor(config=config).extract(moving_video(FRAMES))
    expected = np.stack([by_hand(outputs, start, start + 64) for start in (0, 8)])
    assert_near(found.features, expected)
    assert found.metadata["pool"] == "head"
    plain = outputs("rgb", "Mixed_5c", 0, 64).mean((0, 1, 2))
    assert np.abs(plain - expected[0]).max() > 100 * TOLERANCE * np.abs(plain).max()


def test_rows_of_the_head_of_a_whole_video(extractor, outputs, moving_video):
    config = feature_config(pool="head", keep_axes=True)
    found = extractor(config=config).extract(moving_video(FRAMES))
    assert found.features.shape == (9, 1, 1, 64)
    assert_near(found.features, outputs("rgb", "AvgPool3d_0a_7x7"))


SMALL = FrameSize(56, 40)


@pytest.mark.parametrize("window", [16, None])
def test_crops_are_an_axis_behind_the_rows(extractor, moving_video, window):
    config = feature_config(EARLY, window=window)
    ten, five, one = (
        extractor("joint", config, frames=FrameOptions(size=SMALL, crops=crops))
        .extract(moving_video(40))
        .features
        for crops in (10, 5, 1)
    )
    rows = 2 if window else 20
    assert [part.shape for part in (ten, five, one)] == [(rows, 10, 8), (rows, 5, 8), (rows, 8)]
    np.testing.assert_allclose(ten[:, :5], five, atol=1e-6)
    np.testing.assert_allclose(ten[:, 2], one, atol=1e-6)
    assert np.abs(ten[:, 5:] - ten[:, :5]).max() > 1e-3
    order = FrameOptions(size=SMALL, crops=5, crop_order="center_first")
    found = extractor("joint", config, frames=order).extract(moving_video(40)).features
    np.testing.assert_allclose(found, five[:, [2, 0, 1, 3, 4]], atol=1e-6)


def test_frame_rate_of_the_file_is_in_times_and_metadata(extractor, moving_video, tmp_path):
    video = tmp_path / "slow.mp4"
    write_video(video, read_clip(moving_video(40), None), 12.5)
    native = FrameOptions(frame_rate="native")
    found = extractor(config=EARLY_WINDOWS, frames=native).extract(video)
    assert (found.metadata["frames"], found.metadata["frame_rate"]) == (40, 12.5)
    assert found.metadata["preprocessing"]["frame_rate"] == "native"
    np.testing.assert_allclose(found.times[1] * 12.5, [16, 24, 32])
    twice = extractor(config=EARLY_WINDOWS, frames=FrameOptions(frame_rate=50.0)).extract(video)
    assert (twice.metadata["frames"], twice.metadata["frame_rate"]) == (160, 50.0)


@pytest.mark.parametrize(
    ("short", "frames"),
    [("loop", lambda t: t % 12), ("repeat", lambda t: min(t, 11)), ("pad", None)],
)
def test_short_videos_are_filled(extractor, outputs, moving_video, small_dir, short, frames):
    config = feature_config(EARLY, window=16, short=short)
    found = extractor("joint", config).extract(moving_video(12))
    assert found.metadata["short"] == short
    assert found.times.tolist() == [[0, 0.32, 0.64]]
    source = VideoSource(moving_video(12), Protocol(short_side=40, crop_size=32), "dis")
    for number, stream in enumerate(("rgb", "flow")):
        clip = preprocess_input(np.stack(list(source.frames(stream))), stream)
        if frames is None:
            clip = np.concatenate([clip, np.zeros_like(clip[:4])])
        else:
            clip = clip[[frames(t) for t in range(16)]]
        model = checkpoint.open_checkpoint(f"small_{stream}", str(small_dir)).model
        network = keras.Model(model.input, model.get_layer(EARLY).output)
        expected = network(clip[np.newaxis], training=False).numpy().mean((1, 2, 3))
        assert_near(found.features[:, 4 * number : 4 * number + 4], expected)


def test_short_videos_have_no_rows_where_wanted(extractor, moving_video):
    config = feature_config(EARLY, window=16, short="empty")
    assert extractor("joint", config).extract(moving_video(12)).features.shape == (0, 8)
    whole = feature_config(EARLY, short="empty")
    assert extractor("rgb", whole).extract(moving_video(8)).features.shape == (0, 4)


def test_short_whole_videos_are_looped(extractor, moving_video):
    found = extractor(config=feature_config(EARLY, short="loop")).extract(moving_video(8))
    assert found.features.shape == (5, 4)
    assert found.metadata["frames"] == 8


def test_value_range_scales_the_inputs(extractor, moving_video, small_dir):
    made = extractor(config=EARLY_WINDOWS, frames=FrameOptions(value_range=0.5))
    found = made.extract(moving_video(16))
    assert found.metadata["preprocessing"]["range"]["rgb"].startswith("[-0.5, 0.5]")
    source = VideoSource(moving_video(16), Protocol(short_side=40, crop_size=32))
    clip = np.stack(list(source.frames("rgb"))) / np.float32(255) - np.float32(0.5)
    model = checkpoint.open_checkpoint("small_rgb", str(small_dir)).model
    network = keras.Model(model.input, model.get_layer(EARLY).output)
    assert_near(found.features, network(clip[np.newaxis], training=False).numpy().mean((1, 2, 3)))


def test_metadata_say_how_features_were_made(extractor, moving_video, small_dir):
    video = moving_video(40)
    joint = extractor("joint", EARLY_WINDOWS)
    metadata = joint.extract(video).metadata
    assert metadata["weights"]["flow"] == {
        "name": "small_flow",
        "sha256": sha256(small_dir / "small_flow.weights.h5"),
    }
    assert list(metadata)[:5] == ["stream", "endpoint", "pool", "window", "stride"]
    assert [metadata[name] for name in list(metadata)[:5]] == ["joint", EARLY, "space_time", 16, 16]
    assert (metadata["frame_rate"], metadata["frames"]) == (25, 40)
    assert metadata["preprocessing"]["crop"] == "centre, 32 x 32"
    assert metadata["preprocessing"]["short_side"] == 40
    assert metadata["preprocessing"]["flow"]["engine"] == "dis"
    assert metadata["source"] == source_metadata(video)
    assert metadata["project_version"] == i3d_tf.__version__
    known_before = joint.metadata(video)
    assert known_before == {name: metadata[name] for name in known_before}
    assert "flow" not in extractor("rgb").metadata(video)["preprocessing"]


@pytest.mark.parametrize("stream", ["rgb", "joint"])
def test_short_videos_have_the_same_features_in_shared_batches(
    extractor, moving_video, tmp_path, monkeypatch, stream
):
    """Five, none, three and two windows are three batches of four."""
    made = extractor(stream, EARLY_WINDOWS, batch_size=4)
    broken = tmp_path / "broken.mp4"
    content = moving_video(FRAMES).read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    videos = [moving_video(80), broken, moving_video(50), moving_video(40), moving_video(9)]
    alone = {k: made.extract(videos[k]) for k in (0, 2, 3)}
    sizes = []
    rows_of_windows = StreamExtractor.rows_of_windows
    monkeypatch.setattr(
        StreamExtractor,
        "rows_of_windows",
        lambda self, windows: (sizes.append(len(windows)), rows_of_windows(self, windows))[1],
    )
    results = list(made.extract_videos((video, None) for video in videos))
    assert sorted(sizes) == sorted([4, 4, 2] * len(made.streams))
    for k, expected in alone.items():
        found = results[k]
        np.testing.assert_array_equal(found.features, expected.features)
        np.testing.assert_array_equal(found.times, expected.times)
        assert found.metadata == expected.metadata
        assert len(found.features) == {0: 5, 2: 3, 3: 2}[k]
    assert "cut short" in results[1].reason
    assert results[4].reason == (
        "it has 9 frames at 25 per second; at least 16 are needed, or --short=loop or "
        "--short=repeat"
    )


@pytest.mark.parametrize("config", [EARLY_WINDOWS, feature_config(EARLY, stride=16)])
def test_too_many_features_are_an_error_of_their_video(
    extractor, moving_video, monkeypatch, config
):
    row_bytes = 4 * 4
    monkeypatch.setattr(extractor_module, "MAX_BYTES", 3 * row_bytes)
    videos = [(moving_video(frames), None) for frames in (80, 48)]
    too_many, enough = extractor(config=config, batch_size=4).extract_videos(videos)
    assert "its features would take more than" in too_many.reason
    assert enough.features.shape == (3, 4)


def test_video_with_too_many_features_is_not_read_to_its_end(extractor, moving_video, monkeypatch):
    calls, rows_of_windows = [], StreamExtractor.rows_of_windows
    monkeypatch.setattr(
        StreamExtractor,
        "rows_of_windows",
        lambda self, windows: (calls.append(1), rows_of_windows(self, windows))[1],
    )
    monkeypatch.setattr(extractor_module, "MAX_BYTES", 1)
    made = extractor(config=feature_config(EARLY, window=9, stride=1), batch_size=1)
    with pytest.raises(VideoError, match="pool them, or take a later endpoint or a larger stride"):
        made.extract(moving_video(FRAMES))
    assert len(calls) <= 4  # of 69: two are under way when the first row is too large


@pytest.mark.parametrize("config", [EARLY_WINDOWS, feature_config(EARLY)])
def test_too_little_memory_is_an_error_of_the_videos_that_need_it(
    extractor, moving_video, monkeypatch, config
):
    made = extractor(config=config, batch_size=2)

    def fail(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")

    monkeypatch.setattr(extractor_module, "preprocess_input", fail)
    monkeypatch.setattr(extractor_module, "average_steps", fail)
    with pytest.raises(MemoryError):
        made.extract(moving_video(40))
    monkeypatch.undo()
    assert made.extract(moving_video(40)).features.shape[-1] == 4


def test_bfloat16_is_near(extractor, moving_video):
    exact = extractor().extract(moving_video(40)).features
    found = extractor(precision="bfloat16").extract(moving_video(40))
    assert found.metadata["precision"] == "bfloat16"
    # Eight bits of fraction; 2e-3 was seen, and other weights would be off by 1.
    assert 0 < np.linalg.norm(found.features - exact) < 0.02 * np.linalg.norm(exact)


@pytest.mark.parametrize(
    ("frames", "config", "needed"),
    [
        (8, feature_config(EARLY), 9),
        (8, feature_config(EARLY, window=9), 9),
        (15, EARLY_WINDOWS, 16),
    ],
)
def test_videos_that_are_too_short(extractor, moving_video, frames, config, needed):
    message = f"it has {frames} frames at 25 per second; at least {needed} are needed"
    with pytest.raises(VideoError, match=message):
        extractor("joint", config).extract(moving_video(frames))


def test_videos_that_are_just_long_enough(extractor, moving_video):
    whole = extractor("joint", feature_config()).extract(moving_video(9))
    assert whole.features.shape == (2, 128)
    window = extractor("joint", EARLY_WINDOWS).extract(moving_video(16))
    assert window.features.shape == (1, 8)


def test_output_that_is_not_finite_is_an_error(extractor, moving_video, monkeypatch):
    rows = (np.array([value], np.float32) for value in (0, np.nan))
    monkeypatch.setattr(StreamExtractor, "rows_of_video", lambda *_: rows)
    with pytest.raises(VideoError, match="output is not finite: its weights are damaged"):
        extractor().extract(moving_video(9))


def test_checkpoints_must_be_there_and_of_their_stream(extractor):
    with pytest.raises(ValueError, match="small_flow: is for flow, not for rgb"):
        extractor("rgb", rgb_checkpoint="small_flow")
    with pytest.raises(FileNotFoundError, match="rgb_imagenet: not in"):
        extractor("rgb", rgb_checkpoint="rgb_imagenet")


@pytest.fixture
def mean_extractor(monkeypatch):
    """Function: (config, rgb_step) -> FeatureExtractor of a network of two frames' means."""

    def build(config, rgb_step=1):
        clip = keras.Input((None, None, None, 3))
        pairs = keras.layers.AveragePooling3D((2, 1, 1), name="pairs")(clip)
        frames = FoldTime(name="frames")(pairs)
        color = keras.layers.GlobalAveragePooling2D(name="color")(frames)
        outputs = keras.layers.Identity(name="end")(UnfoldTime(name="steps")([color, pairs]))
        protocol = Protocol(short_side=40, crop_size=32, rgb_step=rgb_step)
        opened = Checkpoint("pairs", keras.Model(clip, outputs), "rgb", ("a",), protocol, "0")
        checkpoints = SimpleNamespace(by_stream={"rgb": opened}, protocol=protocol)
        monkeypatch.setattr(extractor_module, "open_checkpoints", lambda *_, **__: checkpoints)
        return FeatureExtractor(FeatureOptions(config, "rgb"))

    return build


@pytest.mark.parametrize(("rgb_step", "seen"), [(1, range(4)), (2, (1, 3))])
def test_windows_of_any_network_have_the_frames_that_it_was_trained_with(
    mean_extractor, moving_video, rgb_step, seen
):
    video = moving_video(9)
    source = VideoSource(video, Protocol(short_side=40, crop_size=32))
    frames = np.stack(list(source.frames("rgb"))) / 127.5 - 1
    by_color = frames.mean((1, 2))
    extracted = mean_extractor(feature_config("end", "mean", window=4), rgb_step).extract(video)
    assert_near(extracted.features, np.stack([by_color[np.add(seen, at)].mean(0) for at in (0, 4)]))
    assert extracted.metadata.get("rgb_step", 1) == rgb_step
    assert extracted.metadata["receptive_field"] == 4
    by_position = mean_extractor(feature_config("pairs", "none", window=4), rgb_step)
    assert by_position.extract(video).features.shape == (2, len(seen) // 2, 32, 32, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 9}, "pairs: it has no endpoint Mixed_5c. Give --endpoint; .* steps, end"),
        ({"endpoint": "color", "window": 4}, "its layer color sees frames as clips of their own"),
        ({"endpoint": "end", "window": 1}, r"it takes no clips of \(1, 32, 32\)"),
    ],
)
def test_networks_must_have_the_endpoint(mean_extractor, settings, message):
    with pytest.raises(ValueError, match=message):
        mean_extractor(feature_config(**settings))


@pytest.mark.parametrize("rgb_step", [1, 2])
def test_whole_videos_are_for_i3d_over_all_frames(extractor, small_dir, monkeypatch, rgb_step):
    opened = checkpoint.open_checkpoint("small_rgb", str(small_dir))
    monkeypatch.setattr(network_check, "is_i3d", lambda _: rgb_step > 1)
    protocol = replace(opened.protocol, rgb_step=rgb_step)
    opened = replace(opened, protocol=protocol)
    checkpoints = SimpleNamespace(by_stream={"rgb": opened}, protocol=protocol)
    monkeypatch.setattr(extractor_module, "open_checkpoints", lambda *_, **__: checkpoints)
    with pytest.raises(ValueError, match=r"it is not I3D over all frames, .* a --window"):
        FeatureExtractor(FeatureOptions(feature_config(), "rgb"))
