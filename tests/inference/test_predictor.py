import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from i3d_tf.inference import predictor as predictor_file
from i3d_tf.inference.predictor import Networks, Predictor
from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.protocol import Protocol

CLASSES = ("one", "two", "three", "four", "five")
SMALL = Protocol(frames=12, short_side=48, crop_size=32)
CODEC = 3 / 127.5  # how much H.264 and the way to YUV and back change a plain grey, in [-1, 1]


class FakeNetwork:
    """A network whose logits are the same for every clip; it keeps the clips."""

    def __init__(self, logits):
        self.logits = np.array([logits], np.float32)
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


def test_predictor_refuses_unknown_streams():
    with pytest.raises(ValueError, match=r"`stream` must be one of .*received 'both'"):
        Predictor("both", {})
