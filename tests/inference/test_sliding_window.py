import numpy as np
import pytest

from i3d_tf import zoo
from i3d_tf.inference import sliding_window as sliding_window_file
from i3d_tf.inference.predictor import Networks
from i3d_tf.inference.sliding_window import WindowPredictor, window_of_steps
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.transforms import center_crop, preprocess_input, resize_short_side

CHECKPOINTS = {"rgb": "small_rgb", "flow": "small_flow"}


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Seventy frames of noise, brighter in the second half."""
    frames = np.random.default_rng(0).integers(0, 128, (70, 48, 64, 3), np.uint8)
    frames[35:] += 120
    path = tmp_path_factory.mktemp("noise") / "noise.mp4"
    write_video(path, frames)
    return path


@pytest.fixture(scope="module")
def predictor(small_dir):
    return WindowPredictor("rgb", CHECKPOINTS, small_dir, window=32)


@pytest.fixture(scope="module")
def prediction(predictor, noise):
    return predictor.predict(noise)


def test_window_of_steps_is_the_one_that_its_middle_lies_in():
    # Steps look at frames 5, 13, 21, ...; the head's at the middles of two: 9, 17, ..., 57, 65.
    assert window_of_steps(64, 64).tolist() == [0] * 7
    assert window_of_steps(128, 64).tolist() == [0] * 7 + [1] * 8
    assert window_of_steps(9, 64).tolist() == [0]
    assert (np.diff(window_of_steps(1003, 16)) >= 0).all()
    assert set(window_of_steps(1003, 16)) == set(range(63))


def test_predict_of_the_whole_video_is_that_at_once(predictor, prediction, noise):
    assert (prediction.error, prediction.flow_engine) == (None, None)
    assert (prediction.frames, prediction.seconds) == (70, 2.8)
    clip = preprocess_input(center_crop(resize_short_side(read_clip(noise), 40), 32))
    logits = predictor.networks.models["rgb"](clip[None], training=False).numpy()[0]
    found = {p.index: p.logit for p in prediction.top}
    expected = dict(enumerate(logits))
    assert found == pytest.approx(expected, abs=1e-4 * float(np.linalg.norm(logits)))
    assert list(prediction.timing) == ["count frames", "rgb stream"]


def test_predict_sums_the_step_logits_of_two_networks(noise, monkeypatch):
    class FakeStreamer:
        def __init__(self, model):
            pass

        def run(self, frames, num_frames):
            yield len(list(frames))

    def step_logits(model, chunks):
        assert list(chunks) == [70]
        for logits in model:  # of four steps each
            yield np.tile(logits, (4, 1))

    networks = {"rgb": [[4, 0], [4, 0]], "flow": [[0, 2], [0, 4]]}
    opened = Networks(networks, ("run", "jump"), Protocol(short_side=40, crop_size=32))
    monkeypatch.setattr(sliding_window_file, "open_networks", lambda *_: opened)
    monkeypatch.setattr(sliding_window_file, "Streamer", FakeStreamer)
    monkeypatch.setattr(sliding_window_file, "step_logits", step_logits)
    predictor = WindowPredictor("joint", {}, flow_engine="dis", window=32)
    prediction = predictor.predict(noise)
    assert {p.label: p.logit for p in prediction.top} == {"run": 4, "jump": 3}
    windows = [{p.label: p.logit for p in window.top} for window in prediction.timeline]
    assert windows == [{"run": 4, "jump": 2}, {"run": 4, "jump": 4}]
    assert prediction.flow_engine == "dis"
    assert list(prediction.timing) == ["count frames", "rgb stream", "flow stream"]


def test_predict_has_a_timeline_of_consecutive_windows(prediction):
    spans = [(round(window.start, 2), round(window.end, 2)) for window in prediction.timeline]
    assert spans == [(0.0, 1.28), (1.28, 2.56)]  # the last 6 frames have no step of their own
    assert all(len(window.top) == 5 for window in prediction.timeline)
    # The halves differ in brightness, so that the predictions cannot be the same.
    first, second = prediction.timeline
    assert first.top[0].logit != second.top[0].logit


def test_predict_of_a_short_video_is_a_failure(predictor, write_grey_video, tmp_path):
    short = write_grey_video(tmp_path / "short.mp4", range(8))
    assert "it has 8 frames at 25 per second" in predictor.predict(short).error


def test_window_predictor_refuses_windows_shorter_than_a_step():
    with pytest.raises(ValueError, match="`window` must be an integer >= 8; received 7"):
        WindowPredictor("rgb", CHECKPOINTS, window=7)


def test_window_predictor_refuses_networks_of_fixed_length(monkeypatch):
    network = zoo.build("c3d", input_shape=(16, 32, 32, 3), classes=2, width_multiplier=1 / 32)
    opened = Networks({"rgb": network}, ("run", "jump"), Protocol())
    monkeypatch.setattr(sliding_window_file, "open_networks", lambda *_: opened)
    message = r"runs/mine: cannot see a video in one piece: `model` must take clips of any length"
    with pytest.raises(ValueError, match=message):
        WindowPredictor("rgb", {"rgb": "runs/mine"})
