"""Averages over windows and crops, of a network whose logits are grey levels."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.data.example import VideoExample
from i3d_tf.data.pipeline import PipelineConfig
from i3d_tf.inference.dataset_logits import compute_logits, forward_function
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.encode import write_video

FRAMES, STEP = 20, 10


@pytest.fixture(scope="module")
def ramps(tmp_path_factory):
    """Two videos: 10 grey levels brighter from frame to frame, and from column 32 on 50 more."""
    folder = tmp_path_factory.mktemp("ramps")
    found = []
    for label, steps in enumerate((1, 0.5)):
        levels = np.round(np.arange(FRAMES) * STEP * steps)[:, None, None, None]
        frames = np.broadcast_to(levels, (FRAMES, 32, 64, 3)).copy()
        frames[:, :, 32:] += 50
        write_video(folder / f"{label}.mp4", frames.astype(np.uint8))
        found.append(VideoExample(str(folder / f"{label}.mp4"), label, str(label)))
    return found


def config(examples, batch_size=2, **protocol):
    protocol = Protocol(**{"frames": 4, "short_side": 32, "crop_size": 32, **protocol})
    return PipelineConfig(examples, ("rgb",), protocol, batch_size, seed=0)


def first_and_last(clips):
    """The grey levels at the centre of the first and of the last frame, (N, 2)."""
    levels = (clips[:, :, 16, 16, 0] + 1) * 127.5
    return tf.stack([levels[:, 0], levels[:, -1]], axis=1)


def test_compute_logits_of_one_clip_sees_first_frames(ramps):
    logits, failures = compute_logits(first_and_last, config(ramps))
    # The centre of 64 columns: the edge between the halves is at column 16 of the crop.
    assert logits == pytest.approx(np.array([[50, 80], [50, 65]]), abs=2)  # H.264
    assert logits.dtype == np.float32
    assert failures.reasons == {}


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_compute_logits_averages_windows_and_crops(ramps, batch_size):
    # Windows begin at frames 0, 8 and 16, and the crops are the halves: 25 more on average.
    logits, _ = compute_logits(first_and_last, config(ramps, batch_size, windows=3, crops=2))
    expected = np.array([[80, 110], [40, 55]]) + 25
    assert logits == pytest.approx(expected, abs=2)


def test_compute_logits_of_unreadable_video_are_nan(ramps, tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    broken = VideoExample(str(tmp_path / "text.mp4"), 0, "0")
    examples = [ramps[0], broken, ramps[1]]
    logits, failures = compute_logits(first_and_last, config(examples, windows=2))
    assert np.isnan(logits[1]).all()
    assert np.isfinite(logits[[0, 2]]).all()
    assert list(failures.reasons) == [broken.path]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_compute_logits_refuses_a_network_without_finite_ones(ramps, value):
    def broken(clips):
        return tf.where(first_and_last(clips) > 79, value, 0)  # of the last frame of one video

    with pytest.raises(FloatingPointError, match=r"logits are not finite, .* of .*0\.mp4\.$"):
        compute_logits(broken, config(ramps))


def test_compute_logits_raises_error_of_pipeline_itself(ramps):
    unlabelled = dataclasses.replace(config(ramps), examples=[None])
    with pytest.raises(AttributeError, match=r"^'NoneType' object has no attribute 'start'"):
        compute_logits(first_and_last, unlabelled)


def test_forward_function_traces_network_once():
    calls = []

    def model(clips, training):
        calls.append(training)
        return clips[:, 0, 0, 0]

    forward = forward_function(model)
    for count in (2, 2, 1, 3):
        assert forward(tf.zeros((count, 4, 8, 8, 3))).shape == (count, 3)
    assert set(calls) == {False}
    assert len(calls) == 2  # for the first number of clips, and for any other
