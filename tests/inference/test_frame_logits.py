"""Logits along whole videos, of a narrow I3D on 32 x 32 pixels."""

import keras
import numpy as np
import pytest

from i3d_tf.data.example import VideoExample
from i3d_tf.data.pipeline import Failures, PipelineConfig
from i3d_tf.inference import frame_logits as frame_logits_file
from i3d_tf.inference.dataset_logits import pool_step_logits
from i3d_tf.inference.frame_logits import FrameLogits, VideoLogits, gives_frame_logits
from i3d_tf.inference.streaming import Streamer, step_logits
from i3d_tf.layers.head import Logits
from i3d_tf.specs.geometry import head_positions
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.encode import write_video
from i3d_tf.zoo.networks import build

FRAMES = 200
PROTOCOL = Protocol(short_side=32, crop_size=32, frames=9)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return build(
        "inception_i3d",
        input_shape=(None, 32, 32, 3),
        classes=2,
        width_multiplier=1 / 16,
        all_steps=True,
    )


@pytest.fixture(scope="module")
def frame_logits(network):
    """FrameLogits of the network, with a video that does not exist as its only example."""
    examples = [VideoExample("none.mp4", 0, "")]
    return FrameLogits(network, PipelineConfig(examples, ("rgb",), PROTOCOL, 1, 0))


@pytest.fixture
def network_outputs(frame_logits, tmp_path):
    """Function: frames -> VideoLogits of a video of these frames."""

    def compute(frames):
        write_video(tmp_path / "a.mp4", frames)
        return frame_logits(VideoExample(str(tmp_path / "a.mp4"), 0, ""))

    return compute


def pictures(boundary, frames=FRAMES):
    """A picture, and from a frame on another."""
    generator = np.random.default_rng(3)
    before, after = generator.integers(0, 255, (2, 4, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    return np.stack([before if k < boundary else after for k in range(frames)])


def test_logits_at_times_are_interpolated_and_constant_outside():
    logits = VideoLogits(np.array([[0.0, 8.0], [8.0, 0.0]], np.float32), np.array([9, 17]), 24, 10)
    found = logits.at(np.array([0.0, 0.9, 1.1, 1.7, 99.0]))
    np.testing.assert_allclose(found, [[0, 8], [0, 8], [2, 6], [8, 0], [8, 0]], atol=1e-6)
    assert logits.frame_times[[0, 23]].tolist() == [0, 2.3]


def test_boundary_that_moves_by_8_frames_moves_the_logits_by_8(network):
    streamer = Streamer(network)

    def logits_of_frames(frames):
        steps = np.concatenate(list(step_logits(network, streamer.run(frames, FRAMES))))
        logits = VideoLogits(steps, np.array(head_positions(I3D, FRAMES)), FRAMES, 25.0)
        return logits.at(logits.frame_times)

    before, after = (logits_of_frames(pictures(boundary)) for boundary in (96, 104))
    # Without what the ends of the video reach: half of the receptive field of 107 frames.
    inside = slice(54, FRAMES - 54 - 8)
    moved = slice(inside.start + 8, inside.stop + 8)
    size = np.ptp(before[inside])
    np.testing.assert_allclose(after[moved], before[inside], atol=1e-4 * size)  # float32
    assert np.abs(after[inside] - before[inside]).max() > 0.1 * size


def test_video_is_decoded_in_parts(frame_logits, network_outputs, monkeypatch):
    whole = network_outputs(pictures(10, 40))
    monkeypatch.setattr(frame_logits_file, "FRAMES_AT_ONCE", 7)
    np.testing.assert_array_equal(network_outputs(pictures(10, 40)).steps, whole.steps)
    assert (len(whole.steps), whole.num_frames, whole.frame_rate) == (4, 40, 25)


def test_network_with_all_steps_has_the_mean_of_their_logits():
    clip = keras.Input((None, 1, 1, 2))
    network = keras.Model(clip, Logits(3, all_steps=True)(clip))
    values = np.random.default_rng(0).normal(size=(1, 4, 1, 1, 2)).astype(np.float32)
    steps = np.array(network(values))
    assert steps.shape == (1, 4, 3)
    pooled = pool_step_logits(network, keras.ops.convert_to_tensor(steps))
    np.testing.assert_allclose(pooled, steps.mean(axis=1), atol=1e-6)
    assert gives_frame_logits(network)
    assert not gives_frame_logits(keras.Model(clip, Logits(3)(clip)))


def test_short_video_is_looped(network_outputs):
    logits = network_outputs(pictures(2, 5))
    assert (logits.num_frames, len(logits.steps), len(logits.frame_times)) == (5, 1, 5)


def test_unreadable_video_is_noted(frame_logits):
    failures = Failures()
    ((example, logits),) = frame_logits.of_all(failures)
    assert (example.path, logits) == ("none.mp4", None)
    assert list(failures.reasons) == ["none.mp4"]
