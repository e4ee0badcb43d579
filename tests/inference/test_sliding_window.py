import json

import numpy as np
import pytest

from i3d_tf.inference.command_output import answer_videos
from i3d_tf.inference.sliding_window import WindowPredictor, window_of_steps
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.transforms import centre_crop, preprocess_input, resize_short_side

WEIGHTS = {"rgb": "tiny_rgb", "flow": "tiny_flow"}
LABELS = ("one", "two", "three", "four", "five")


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Seventy frames of noise, brighter in the second half."""
    frames = np.random.default_rng(0).integers(0, 128, (70, 48, 64, 3), np.uint8)
    frames[35:] += 120
    path = tmp_path_factory.mktemp("noise") / "noise ü.mp4"
    write_video(path, frames)
    return path


@pytest.fixture(scope="module")
def predictor(tiny_dir):
    found = WindowPredictor("rgb", WEIGHTS, tiny_dir, window=32)
    # Small crops: the network takes any size, and the test less time.
    found.protocol = found.protocol.__class__(short_side=36, crop_size=32)
    return found


def test_a_step_belongs_to_the_window_that_its_middle_lies_in():
    # Steps look at frames 5, 13, 21, ...; the head's at the middles of two: 9, 17, ..., 57, 65.
    assert window_of_steps(64, 64).tolist() == [0] * 7
    assert window_of_steps(128, 64).tolist() == [0] * 7 + [1] * 8
    assert window_of_steps(9, 64).tolist() == [0]
    assert (np.diff(window_of_steps(1003, 16)) >= 0).all()
    assert set(window_of_steps(1003, 16)) == set(range(63))


def test_the_whole_video_is_answered_as_at_once(predictor, noise):
    answer = predictor.answer(noise, top=5)
    assert answer.error is None
    assert (answer.frames, answer.seconds) == (70, 2.8)
    frames = resize_short_side(read_clip(noise), 36)
    clip = preprocess_input(centre_crop(frames, 32))[None]
    logits = predictor.models["rgb"](clip, training=False).numpy()[0]
    found = {p.index: p.logit for p in answer.top}
    expected = dict(enumerate(logits))
    assert found == pytest.approx(expected, abs=1e-4 * float(np.linalg.norm(logits)))


def test_windows_follow_each_other_to_the_end(predictor, noise):
    timeline = predictor.answer(noise, top=2).timeline
    spans = [(round(window.start, 2), round(window.end, 2)) for window in timeline]
    assert spans == [(0.0, 1.28), (1.28, 2.56), (2.56, 2.8)][: len(spans)]
    assert len(spans) >= 2
    assert all(len(window.top) == 2 for window in timeline)
    # The halves differ in brightness, so that the answers cannot be the same.
    assert timeline[0].top[0].logit != timeline[1].top[0].logit


def test_the_time_line_as_json_as_text_and_as_a_picture(predictor, noise, tmp_path, capsys):
    assert answer_videos([noise], predictor, 2, True, timeline_dir=tmp_path / "pictures") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["timeline"][0]["start"] == 0.0
    assert {"class", "index", "probability", "logit"} == set(record["timeline"][0]["top"][0])
    picture = tmp_path / "pictures" / "noise ü_timeline.svg"
    assert "noise ü.mp4" in picture.read_text("utf-8")
    with pytest.raises(ValueError, match="would replace another; name another folder"):
        answer_videos([noise], predictor, timeline_dir=tmp_path / "pictures")
    assert answer_videos([noise], predictor, 1) == 0
    text = capsys.readouterr().out
    assert "  0.0 to " in text
    assert " (up to 0." in text


def test_a_video_of_too_few_frames_and_a_window_of_less_than_a_step(
    predictor, tiny_dir, write_grey_video, tmp_path
):
    short = write_grey_video(tmp_path / "short.mp4", range(8))
    assert "it has 8 frames at 25 per second" in predictor.answer(short).error
    with pytest.raises(ValueError, match=r"`window` must be at least 8 frames, .* received 7"):
        WindowPredictor("rgb", WEIGHTS, tiny_dir, window=7)
