import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from i3d_tf.inference import predictor as predictor_file
from i3d_tf.inference.predictor import Networks, Predictor, checkpoints_of
from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.protocol import Protocol

CLASSES = ("one", "two", "three", "four", "five")
SMALL = Protocol(frames=12, short_side=48, crop_size=32)
CODEC = 3 / 127.5  # how much H.264 and the way to YUV and back change a plain grey, in [-1, 1]


class FakeNetwork:
    """A network whose logits are the same for every clip; it keeps the clips."""

    name = "fake"

    def __init__(self, logits, frames=None):
        self.logits = np.array([logits], np.float32)
        self.inputs = [SimpleNamespace(shape=(None, frames, None, None, 3))]
        self.clips = []

    def __call__(self, clips):
        self.clips.append(clips)
        return SimpleNamespace(numpy=lambda: self.logits)


@pytest.fixture
def build(monkeypatch):
    """Function: (stream, networks by stream, protocol, ...) -> a Predictor of these networks."""

    def build(stream, networks, protocol=SMALL, **arguments):
        opened = Networks(networks, CLASSES, protocol)
        monkeypatch.setattr(predictor_file, "open_networks", lambda *_: opened)
        monkeypatch.setattr(predictor_file, "forward_function", lambda network: network)
        return Predictor(stream, {}, **arguments)

    return build


@pytest.fixture
def network():
    return FakeNetwork([0, 1, 4, 3, 2])


@pytest.fixture(scope="module")
def ramp(write_grey_video, tmp_path_factory):
    """Twenty frames, each 10 brighter than the one before it."""
    return write_grey_video(tmp_path_factory.mktemp("ramp") / "ramp.mp4", range(0, 200, 10))


def test_predict_loops_a_short_video_to_the_released_protocol(build, network, ramp):
    prediction = build("rgb", {"rgb": network}, Protocol()).predict(ramp)
    assert prediction.error is None
    assert (prediction.path, prediction.stream) == (str(ramp), "rgb")
    assert (prediction.frames, prediction.seconds) == (20, 0.8)
    (clip,) = network.clips
    assert clip.shape == (1, 250, 224, 224, 3)
    assert clip.dtype == np.float32
    expected = (10 * (np.arange(250) % 20)) / 127.5 - 1
    assert np.abs(clip[0, :, ::16, ::16] - expected[:, None, None, None]).max() <= CODEC


def test_predict_follows_another_protocol(build, network, ramp):
    # 12.5 frames per second are every second of the ramp's frames, each 20 brighter.
    protocol = Protocol(frames=16, frame_rate=12.5, short_side=48, crop_size=32)
    prediction = build("rgb", {"rgb": network}, protocol).predict(ramp)
    assert (prediction.frames, prediction.seconds) == (10, 0.8)
    (clip,) = network.clips
    assert clip.shape == (1, 16, 32, 32, 3)
    expected = (20 * (np.arange(16) % 10)) / 127.5 - 1
    assert np.abs(clip[0] - expected[:, None, None, None]).max() <= CODEC


def test_predict_averages_the_windows(build, ramp):
    class Brightness(FakeNetwork):
        def __call__(self, clip):
            return SimpleNamespace(numpy=lambda: np.full((1, 5), clip.mean(), np.float32))

    protocol = Protocol(frames=10, short_side=48, crop_size=32, windows=3)
    prediction = build("rgb", {"rgb": Brightness([])}, protocol).predict(ramp)
    # Windows from frames 0, 5 and 10 have the mean levels 45, 95 and 145.
    assert prediction.top[0].logit == pytest.approx(95 / 127.5 - 1, abs=CODEC)
    assert prediction.frames == 20


def test_predict_returns_the_best_classes_first(build, network, ramp):
    predictor = build("rgb", {"rgb": network})
    top = predictor.predict(ramp, top=2).top
    assert [(p.label, p.index, p.logit) for p in top] == [("three", 2, 4), ("four", 3, 3)]
    assert top[0].probability == pytest.approx(softmax([0, 1, 2, 3, 4])[4])
    assert len(predictor.predict(ramp, top=99).top) == 5


@pytest.fixture
def flow_calls(monkeypatch):
    """Flow is 10 pixels to the right everywhere; the arguments of each call are kept."""
    calls = []

    def compute_flow(frames, engine, next_frame):
        calls.append(SimpleNamespace(frames=frames, engine=engine, next_frame=next_frame))
        return np.full((*frames.shape[:3], 2), (10, 0), np.float32)

    monkeypatch.setattr(predictor_file, "compute_flow", compute_flow)
    return calls


def test_predict_sums_the_logits_of_two_networks(build, flow_calls, ramp):
    networks = {"rgb": FakeNetwork([3, 0, 0, 0, 0]), "flow": FakeNetwork([0, 0, 2, 0, 2])}
    prediction = build("joint", networks).predict(ramp)
    logits = {p.label: p.logit for p in prediction.top}
    assert logits == {"one": 3, "two": 0, "three": 2, "four": 0, "five": 2}
    (flow_clip,), (rgb_clip,) = networks["flow"].clips, networks["rgb"].clips
    assert flow_clip.shape == (1, 12, 32, 32, 2)
    assert (flow_clip == [0.5, 0]).all()  # 10 of 20 pixels
    assert rgb_clip.shape == (1, 12, 32, 32, 3)
    stages = ["decode", "crop", "rgb network", "flow", "flow network"]
    assert list(prediction.timing) == stages


def test_predict_gives_a_network_of_both_streams_both_clips(build, network, flow_calls, ramp):
    protocol = dataclasses.replace(SMALL, rgb_step=3)
    prediction = build("joint", {"joint": network}, protocol).predict(ramp)
    (clips,) = network.clips
    shapes = {stream: clip.shape for stream, clip in clips.items()}
    assert shapes == {"rgb": (1, 4, 32, 32, 3), "flow": (1, 12, 32, 32, 2)}
    assert list(prediction.timing) == ["decode", "crop", "flow", "joint network"]


@pytest.mark.parametrize("frames", [12, 20])
def test_predict_computes_flow_of_resized_frames_and_the_next(
    build, network, flow_calls, ramp, frames
):
    protocol = Protocol(frames=frames, short_side=60, crop_size=32)
    predictor = build("flow", {"flow": network}, protocol, flow_engine="opencv")
    assert predictor.predict(ramp).flow_engine == "opencv"
    (call,) = flow_calls
    assert call.frames.shape == (frames, 60, 80, 3)
    assert call.engine == "opencv"
    if frames == 20:  # the whole video
        assert call.next_frame is None
    else:
        assert abs(call.next_frame.mean() - 120) <= 3


def test_predict_returns_why_a_video_failed(build, network, tmp_path):
    prediction = build("rgb", {"rgb": network}).predict(tmp_path / "missing.mp4")
    assert (prediction.error, prediction.top) == ("no such file or directory", [])
    assert network.clips == []


def test_predict_of_a_video_too_large_for_memory_is_a_failure(build, network, ramp, monkeypatch):
    def read_test_clips(*_):
        raise MemoryError

    monkeypatch.setattr(predictor_file, "read_test_clips", read_test_clips)
    prediction = build("rgb", {"rgb": network}).predict(ramp)
    assert prediction.error == "there is not enough memory for it"


def test_predict_of_a_damaged_network_is_a_failure(build, network, ramp):
    network.logits[0, 0] = np.nan
    assert "not finite" in build("rgb", {"rgb": network}).predict(ramp).error


def levels(clip):
    """The grey level of every frame of a network's input, as uint8."""
    return np.round((clip[0].mean((1, 2, 3)) + 1) * 127.5).astype(int).tolist()


def grey_frames(numbers, height=48, width=64):
    """Plain grey frames, uint8 (T, H, W, 3)."""
    frames = np.array(numbers, np.uint8)[:, None, None, None]
    return np.broadcast_to(frames, (len(numbers), height, width, 3))


def test_frames_without_a_rate_are_taken_as_they_are(build, network):
    predictor = build("rgb", {"rgb": network})
    for number in (10, 30):  # the protocol has 12: neither looped nor cut
        prediction = predictor.predict(grey_frames(range(number)), top=1)
        assert (prediction.path, prediction.error) == ("<frames>", None)
        assert prediction.frames == number
        assert prediction.top[0].label == "three"
        assert network.clips[-1].shape == (1, number, 32, 32, 3)
        assert levels(network.clips[-1]) == list(range(number))


def test_frames_of_the_crop_size_are_not_resized(build, network):
    pictures = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
    build("rgb", {"rgb": network}).predict(pictures)
    (clip,) = network.clips
    np.testing.assert_array_equal(np.round((clip[0] + 1) * 127.5), pictures)


def test_frames_with_a_rate_are_resampled_and_looped_like_a_file(build, network):
    # At 50 frames per second, every second frame is left; 12 of these 10 are the protocol's.
    prediction = build("rgb", {"rgb": network}).predict(grey_frames(range(20)), frame_rate=50)
    assert prediction.frames == 10
    assert levels(network.clips[0]) == [*range(0, 20, 2), 0, 2]


def test_frames_with_a_rate_are_those_of_the_same_file(build, network, ramp):
    from i3d_tf.video.decode import read_clip

    protocol = Protocol(frames=9, frame_rate=12.5, short_side=48, crop_size=32)
    predictor = build("rgb", {"rgb": network}, protocol)
    expected = predictor.predict(ramp)
    found = predictor.predict(read_clip(ramp, frame_rate=None), frame_rate=25)
    assert (found.frames, found.seconds) == (expected.frames, expected.seconds)
    np.testing.assert_array_equal(*network.clips)


def test_frames_with_a_rate_have_windows(build, network):
    protocol = Protocol(frames=10, short_side=48, crop_size=32, windows=3)
    build("rgb", {"rgb": network}, protocol).predict(grey_frames(range(20)), frame_rate=25)
    assert [levels(clip)[0] for clip in network.clips] == [0, 5, 10]


def test_batches_and_lists_give_lists(build, network, ramp, tmp_path):
    predictor = build("rgb", {"rgb": network})
    clip = grey_frames(range(12))
    assert [p.frames for p in predictor.predict(np.stack([clip, clip]))] == [12, 12]
    predictions = predictor.predict([ramp, str(tmp_path / "none.mp4"), clip[:9]])
    assert [p.frames for p in predictions] == [12, 0, 9]
    assert [p.error is None for p in predictions] == [True, False, True]
    assert predictor.predict([]) == []
    with pytest.raises(ValueError, match=r"a batch \(1, 12, 48, 64, 3\) in a list"):
        predictor.predict([clip[np.newaxis]])


def test_flow_of_frames_has_no_frame_after_the_last(build, network, flow_calls):
    build("flow", {"flow": network}, flow_engine="opencv").predict(grey_frames(range(10)))
    (call,) = flow_calls
    assert call.frames.shape == (10, 48, 64, 3)
    assert call.next_frame is None


@pytest.mark.parametrize(("rounding", "expected"), [(None, 0), ("deepmind", -1 / 255)])
def test_still_frames_have_the_flow_of_the_rounding(build, network, rounding, expected):
    predictor = build("flow", {"flow": network}, flow_engine="opencv", flow_rounding=rounding)
    predictor.predict(grey_frames([100] * 10))
    # Code 127 of 0 to 255 within [-1, 1], where zero lies halfway between two codes.
    np.testing.assert_allclose(network.clips[0], expected, atol=2e-7)
    with pytest.raises(ValueError, match="`flow_rounding` must be one of"):
        build("flow", {"flow": network}, flow_rounding="up")


def test_network_of_clips_of_one_length_needs_these_frames(build):
    predictor = build("rgb", {"rgb": FakeNetwork([0, 1, 2, 3, 4], frames=12)})
    assert predictor.predict(grey_frames(range(12))).frames == 12
    with pytest.raises(ValueError, match=r"gets 12 of them; it gets 20 of 20\. Give `frame_rate`"):
        predictor.predict(grey_frames(range(20)))
    assert predictor.predict(grey_frames(range(20)), frame_rate=25).frames == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((grey_frames(range(9)), 5, 0), "`frame_rate` must be a number > 0"),
        (("video.mp4", 5, 25), "`frame_rate` must be None for the path of a video"),
        ((grey_frames(range(9)), 5, 50), "it has 5 frames at 25 per second; at least 9 are needed"),
        ((grey_frames(range(9), 32, 999),), "too narrow"),
    ],
)
def test_predict_refuses_what_is_no_video(build, network, arguments, message):
    with pytest.raises(ValueError, match=message):
        build("rgb", {"rgb": network}).predict(*arguments)


@pytest.mark.parametrize(
    ("stream", "checkpoints", "expected"),
    [
        ("rgb", None, {"rgb": "rgb_imagenet"}),
        ("joint", None, {"rgb": "rgb_imagenet", "flow": "flow_imagenet"}),
        ("rgb", "rgb_scratch", {"rgb": "rgb_scratch"}),
        ("flow", Path("run"), {"flow": Path("run")}),
        ("joint", "run", {"joint": "run"}),
        ("rgb", {"rgb": "a", "flow": "b"}, {"rgb": "a"}),
        ("joint", {"rgb": "a", "flow": "b"}, {"rgb": "a", "flow": "b"}),
        ("joint", {"joint": "c"}, {"joint": "c"}),
    ],
)
def test_checkpoints_of_a_stream(stream, checkpoints, expected):
    assert checkpoints_of(stream, checkpoints) == expected


def test_checkpoints_of_a_stream_must_be_named():
    with pytest.raises(ValueError, match="`checkpoints` must name a network for flow; received"):
        checkpoints_of("joint", {"rgb": "a"})


def test_predictor_refuses_unknown_streams():
    with pytest.raises(ValueError, match=r"`stream` must be one of .*received 'both'"):
        Predictor("both", {})
