import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from i3d_tf.inference import annotate as flow_pictures
from i3d_tf.inference import predictor as predict_module
from i3d_tf.inference import test_clip as shown_frames
from i3d_tf.inference.annotate import annotated_path, write_annotated
from i3d_tf.inference.prediction import Answer
from i3d_tf.inference.predictor import Predictor, predict
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip
from i3d_tf.zoo import checkpoint as checkpoint_module
from i3d_tf.zoo import load
from i3d_tf.zoo.checkpoint import open_checkpoint

WEIGHTS = {"rgb": "tiny_rgb", "flow": "tiny_flow"}
CODEC = 3 / 127.5  # how much H.264 and the way to YUV and back change a plain grey, in [-1, 1]


class Network:
    """Answers every clip with the same logits, and keeps the clips."""

    def __init__(self, logits):
        self.logits = np.array([logits], np.float32)
        self.clips = []

    def __call__(self, clips):
        (clip,) = np.array(clips)
        self.clips.append(clip)
        return SimpleNamespace(numpy=lambda: self.logits)


@pytest.fixture(scope="module")
def rgb(tiny_dir):
    return Predictor("rgb", WEIGHTS, tiny_dir)


@pytest.fixture(scope="module")
def joint(tiny_dir):
    return Predictor("joint", WEIGHTS, tiny_dir, engine="opencv")


@pytest.fixture
def network(rgb, monkeypatch):
    """What `rgb` asks instead of its network."""
    network = Network([0, 1, 4, 3, 2])
    monkeypatch.setitem(rgb.networks, "rgb", network)
    return network


@pytest.fixture(scope="module")
def ramp(write_grey_video, tmp_path_factory):
    """Twenty frames, each 10 brighter than the one before it."""
    return write_grey_video(tmp_path_factory.mktemp("ramp") / "ramp.mp4", range(0, 200, 10))


@pytest.fixture(scope="module")
def long(write_grey_video, tmp_path_factory):
    """Three hundred frames; frame t has the level t // 2."""
    levels = [frame // 2 for frame in range(300)]
    return write_grey_video(tmp_path_factory.mktemp("long") / "long.mp4", levels)


def test_the_network_sees_the_clip_looped_to_250_frames_cropped_and_scaled(rgb, network, ramp):
    answer = rgb.answer(ramp)
    assert answer.error is None
    assert (answer.path, answer.stream) == (str(ramp), "rgb")
    assert (answer.frames, answer.seconds) == (20, 0.8)
    (clip,) = network.clips
    assert clip.shape == (250, 224, 224, 3)
    assert clip.dtype == np.float32
    expected = (10 * (np.arange(250) % 20)) / 127.5 - 1
    assert np.abs(clip - expected[:, None, None, None]).max() <= CODEC


def test_of_a_long_video_the_first_250_frames_are_used(rgb, network, long):
    answer = rgb.answer(long)
    assert (answer.frames, answer.seconds) == (250, 10.0)
    (clip,) = network.clips
    expected = (np.arange(250) // 2) / 127.5 - 1
    assert np.abs(clip.mean((1, 2, 3)) - expected).max() <= CODEC


def test_the_best_classes_come_first(rgb, network, ramp):
    answer = rgb.answer(ramp, top=2)
    assert [(p.label, p.index, p.logit) for p in answer.top] == [("three", 2, 4), ("four", 3, 3)]
    total = sum(np.exp([0, 1, 2, 3, 4]))
    assert answer.top[0].probability == pytest.approx(np.exp(4) / total)
    assert len(rgb.answer(ramp, top=99).top) == 5


def test_where_the_time_went(rgb, network, ramp):
    assert list(rgb.answer(ramp).timing) == ["decode", "crop", "rgb network"]


def test_the_real_network_answers_as_if_called_by_hand(rgb, tiny_dir, ramp):
    levels = read_clip(ramp)[:, 0, 0].astype(np.float32)
    # Plain grey frames stay what they are, however they are resized and cropped.
    clip = np.broadcast_to(levels[:, None, None] / 127.5 - 1, (20, 224, 224, 3))
    logits = np.array(load("tiny_rgb", tiny_dir)(clip[np.newaxis, np.arange(250) % 20]))[0]
    answer = rgb.answer(ramp)
    assert [p.index for p in answer.top] == np.argsort(-logits).tolist()
    found = np.array([p.logit for p in sorted(answer.top, key=lambda p: p.index)])
    # float32 sums in another order, as in the comparison with the references
    assert np.linalg.norm(found - logits) <= 1e-4 * np.linalg.norm(logits)


@pytest.fixture
def asked_flow(monkeypatch):
    """Flow is 10 pixels to the right everywhere; what was asked for is kept."""
    asked = []

    def compute_flow(frames, engine, next_frame):
        asked.append(SimpleNamespace(frames=frames, engine=engine, next_frame=next_frame))
        return np.full((*frames.shape[:3], 2), (10, 0), np.float32)

    monkeypatch.setattr(predict_module, "compute_flow", compute_flow)
    return asked


@pytest.fixture
def two_networks(joint, monkeypatch):
    networks = {"rgb": Network([3, 0, 0, 0, 0]), "flow": Network([0, 0, 2, 0, 2])}
    for stream, network in networks.items():
        monkeypatch.setitem(joint.networks, stream, network)
    return networks


def test_two_streams_are_the_sum_of_their_logits(joint, two_networks, asked_flow, ramp):
    answer = joint.answer(ramp)
    logits = {p.label: p.logit for p in answer.top}
    assert logits == {"one": 3, "two": 0, "three": 2, "four": 0, "five": 2}
    (clip,) = two_networks["flow"].clips
    assert clip.shape == (250, 224, 224, 2)
    assert (clip == [0.5, 0]).all()  # 10 of 20 pixels
    assert two_networks["rgb"].clips[0].shape == (250, 224, 224, 3)
    stages = ["decode", "crop", "rgb network", "flow", "flow network"]
    assert list(answer.timing) == stages


def test_flow_is_computed_on_resized_frames(joint, two_networks, asked_flow, ramp):
    joint.answer(ramp)
    (asked,) = asked_flow
    assert asked.frames.shape == (20, 256, 341, 3)
    assert asked.engine == "opencv"
    assert asked.next_frame is None


def test_the_last_flow_of_a_long_video_goes_to_the_frame_after_it(
    joint, two_networks, asked_flow, long
):
    answer = joint.answer(long)
    (asked,) = asked_flow
    assert answer.frames == len(asked.frames) == 250
    assert abs(asked.next_frame.mean() - 250 // 2) <= 3


def test_every_bad_video_says_why(rgb, network, write_bad_videos, tmp_path):
    for name, reason in write_bad_videos(tmp_path).items():
        answer = rgb.answer(tmp_path / name)
        assert answer.error.startswith(reason), name
        assert answer.top == []
    assert rgb.answer(tmp_path / "missing.mp4").error == "no such file or directory"
    assert rgb.answer(tmp_path).error == "it is a folder, not a file"
    assert network.clips == []


@pytest.mark.parametrize(("frames", "answered"), [(8, False), (9, True)])
def test_nine_frames_are_enough(rgb, network, write_grey_video, tmp_path, frames, answered):
    path = write_grey_video(tmp_path / "short.mp4", [50] * frames)
    assert (rgb.answer(path).error is None) == answered


def test_frames_that_would_not_fit_into_memory_when_resized(
    rgb, network, write_grey_video, tmp_path
):
    path = write_grey_video(tmp_path / "strip.mp4", [50] * 9, size=(16, 258))
    assert rgb.answer(path).error == (
        "its frames of 258 x 16 pixels are too narrow: one side is more than 16 times the other"
    )
    assert rgb.answer(write_grey_video(tmp_path / "ok.mp4", [50] * 9, size=(32, 16))).error is None


def test_too_little_memory_for_one_video_does_not_stop_the_others(rgb, network, ramp, monkeypatch):
    answers = iter([MemoryError(), None])

    def read(*arguments, **keywords):
        if error := next(answers):
            raise error
        return read_clip(*arguments, **keywords)

    monkeypatch.setattr(shown_frames, "read_clip", read)
    first, second = predict([ramp, ramp], rgb)
    assert first.error == "there is not enough memory for it"
    assert second.error is None


def test_an_output_that_is_not_finite_is_an_error(rgb, network, ramp):
    network.logits[0, 0] = np.nan
    assert "not finite" in rgb.answer(ramp).error


def test_predict_answers_in_order_and_goes_on_after_a_failure(rgb, network, ramp, tmp_path):
    missing = tmp_path / "missing.mp4"
    answers = list(predict([ramp, missing, ramp], rgb, top=1))
    assert [answer.path for answer in answers] == [str(ramp), str(missing), str(ramp)]
    assert [len(answer.top) for answer in answers] == [1, 0, 1]


def test_unknown_stream(tiny_dir):
    with pytest.raises(ValueError, match=r"`stream` must be one of .*received 'both'"):
        Predictor("both", WEIGHTS, tiny_dir)


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"convert\.py --release=rgb_imagenet"):
        Predictor("rgb", {"rgb": "rgb_imagenet"}, tmp_path)


def test_weights_of_the_other_stream(tiny_dir):
    with pytest.raises(ValueError, match=r"tiny_flow: is for flow, not for rgb\."):
        Predictor("rgb", {"rgb": "tiny_flow"}, tiny_dir)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"class_names": ("one", "two", "three", "five", "four")}, "classes"),
        ({"protocol": Protocol(frames=64)}, "protocol"),
    ],
)
def test_two_streams_must_agree(tiny_dir, monkeypatch, change, what):
    def open_changed(name, checkpoint_dir):
        checkpoint = open_checkpoint(name, checkpoint_dir)
        return dataclasses.replace(checkpoint, **change) if name == "tiny_flow" else checkpoint

    monkeypatch.setattr(checkpoint_module, "open_checkpoint", open_changed)
    with pytest.raises(ValueError, match=f"tiny_rgb and tiny_flow do not have the same {what}"):
        Predictor("joint", WEIGHTS, tiny_dir)


def test_a_network_trained_on_other_clips_is_shown_such_clips(rgb, network, ramp, monkeypatch):
    # 12.5 frames per second are every second of the ramp's frames, each 20 brighter.
    protocol = Protocol(frames=16, frame_rate=12.5, short_side=48, crop_size=32)
    monkeypatch.setattr(rgb, "protocol", protocol)
    answer = rgb.answer(ramp)
    assert (answer.frames, answer.seconds) == (10, 0.8)
    (clip,) = network.clips
    assert clip.shape == (16, 32, 32, 3)
    expected = (20 * (np.arange(16) % 10)) / 127.5 - 1
    assert np.abs(clip - expected[:, None, None, None]).max() <= CODEC


ANSWER = Answer(
    "a.mp4", "rgb", 20, 0.8, [Prediction("run", 7, 0.75, 2.5)], timing={"decode": 0.12345}
)


def test_an_answer_as_json():
    record = {
        "path": "a.mp4",
        "stream": "rgb",
        "frames": 20,
        "seconds": 0.8,
        "top": [{"class": "run", "index": 7, "probability": 0.75, "logit": 2.5}],
        "timing": {"decode": 0.123},
    }
    assert json.loads(json.dumps(ANSWER.as_json())) == record


def test_where_flow_was_computed_json_says_how():
    answer = dataclasses.replace(ANSWER, stream="joint", engine="opencv")
    assert answer.as_json()["flow"] == {"algorithm": "TV-L1", "engine": "opencv"}


def test_a_failure_as_json():
    failure = Answer("b.mp4", "flow", frames=3, error="it is empty")
    assert failure.as_json() == {"path": "b.mp4", "stream": "flow", "error": "it is empty"}


@pytest.mark.parametrize(
    ("output_video", "videos", "expected"),
    [
        ("new.mp4", 1, "new.mp4"),
        ("new.MP4", 1, "new.MP4"),
        ("new", 1, "new/a_predicted.mp4"),
        ("new", 2, "new/a_predicted.mp4"),
        ("new.folder", 2, "new.folder/a_predicted.mp4"),
        ("folder.mp4", 1, "folder.mp4/a_predicted.mp4"),
    ],
)
def test_where_a_copy_goes(tmp_path, output_video, videos, expected):
    (tmp_path / "folder.mp4").mkdir()
    assert annotated_path(tmp_path / output_video, "x/a.avi", videos) == tmp_path / expected


@pytest.mark.parametrize(
    ("output_video", "videos", "message"),
    [
        ("there.mp4", 1, "exists already"),
        ("dangling.mp4", 1, "exists already"),
        ("folder", 1, "a_predicted.mp4: exists already"),
        ("there.txt", 1, "not a folder"),
        ("new.avi", 1, "copies are .mp4 files"),
        ("new.mp4", 2, "one file for 2 videos; name a folder"),
    ],
)
def test_where_a_copy_cannot_go(tmp_path, output_video, videos, message):
    (tmp_path / "there.mp4").touch()
    (tmp_path / "there.txt").touch()
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a_predicted.mp4").touch()
    with pytest.raises(ValueError, match=message):
        annotated_path(tmp_path / output_video, "x/a.avi", videos)


def test_a_copy_plays_and_shows_the_classes(ramp, tmp_path):
    answer = Answer(str(ramp), "rgb", 20, 0.8, [Prediction("running", 7, 0.5, 2.5)])
    write_annotated(answer, tmp_path / "new/copy.mp4")
    original, copy = read_clip(ramp).astype(int), read_clip(tmp_path / "new/copy.mp4").astype(int)
    assert copy.shape == original.shape == (20, 48, 64, 3)
    assert np.abs(copy[:, 32:] - original[:, 32:]).max() <= 6  # twice through the codec
    # A bar half as wide as the picture, whose colour is not grey, behind the letters.
    red, blue = copy[10, 6, :, 0], copy[10, 6, :, 2]
    assert (blue - red)[2:28].min() > 60
    assert np.abs(blue - red)[38:].max() < 40
    assert copy[10, 4:18].max() > 200  # letters


@pytest.mark.parametrize(("stream", "width"), [("flow", 64), ("joint", 128)])
def test_a_copy_shows_what_the_networks_saw(ramp, tmp_path, monkeypatch, stream, width):
    asked = []

    def pictures(video, engine, beside):
        asked.append((video, engine))
        return np.zeros((12, 48, 128 if beside else 64, 3), np.uint8)

    monkeypatch.setattr(flow_pictures, "flow_pictures", pictures)
    top = [Prediction("running", 7, 0.5, 2.5)]
    answer = Answer(str(ramp), stream, 20, 0.8, top, engine="opencv")
    write_annotated(answer, tmp_path / "copy.mp4")
    assert asked == [(str(ramp), "opencv")]
    assert read_clip(tmp_path / "copy.mp4").shape == (12, 48, width, 3)
