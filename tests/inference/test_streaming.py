"""Chunk by chunk against all at once, with random weights and statistics."""

import numpy as np
import pytest

from i3d_tf import zoo
from i3d_tf.inference import streaming
from i3d_tf.inference.streaming import Chunk, Streamer, parts_of, plan_chunks, step_logits
from i3d_tf.specs.geometry import Span, receptive_fields
from i3d_tf.specs.inception_v1 import I3D

# Sums in another order, where a window is longer: 1e-6 of the size was seen.
TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=["rgb", "flow"])
def network(request):
    channels = {"rgb": 3, "flow": 2}[request.param]
    model = zoo.build(
        "inception_i3d", input_shape=(None, 32, 32, channels), classes=5, width_multiplier=1 / 16
    )
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if variable.path.endswith("moving_variance"):
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
        elif variable.path.endswith(("beta", "bias", "moving_mean")):
            variable.assign(generator.normal(0.0, 0.1, variable.shape))
    return model


@pytest.fixture(scope="module")
def streamer(network):
    """Of the last endpoint; traced once for all lengths."""
    return Streamer(network)


def clip(model, frames):
    generator = np.random.default_rng(frames)
    shape = (frames, *model.input_shape[2:])
    if shape[-1] == 3:
        return generator.integers(0, 256, shape, np.uint8)
    return generator.uniform(-25, 25, shape).astype(np.float32)


def shown(frames):
    """What the network is given of a clip."""
    if frames.dtype == np.uint8:
        return (frames / np.float32(127.5) - 1).astype(np.float32)
    return np.clip(frames, -20, 20) / 20


@pytest.mark.parametrize(
    ("frames", "chunk_frames"),
    [
        (250, 64),
        (250, 96),
        (251, 96),
        (253, 64),
        (254, 96),
        (300, 250),
        (119, 8),
        (9, 64),
        (66, 64),
    ],
)
def test_the_logits_of_the_whole(network, streamer, frames, chunk_frames):
    video = clip(network, frames)
    steps = np.concatenate(list(streamer.run(video, frames, chunk_frames)))
    assert steps.shape == (-(-frames // 8), 64)
    streamed = np.concatenate(list(step_logits(network, [steps[:1], steps[1:]])))
    whole = network(shown(video)[None], training=False).numpy()[0]
    assert np.linalg.norm(streamed.mean(0) - whole) <= TOLERANCE * np.linalg.norm(whole)


@pytest.mark.parametrize(
    ("endpoint", "frames"), [("Conv3d_1a_7x7", 61), ("Mixed_3c", 62), ("Mixed_4f", 123)]
)
def test_every_step_of_every_endpoint_the_borders_too(network, endpoint, frames):
    import keras

    video = clip(network, frames)
    streamer = Streamer(network, endpoint, pooled=False)
    steps = np.concatenate(list(streamer.run(iter(video), frames, 24)))
    whole = keras.Model(network.input, network.get_layer(endpoint).output)
    expected = whole(shown(video)[None], training=False).numpy()[0]
    assert steps.shape == expected.shape
    np.testing.assert_allclose(steps, expected, atol=TOLERANCE * np.abs(expected).max())


def test_a_smaller_halo_would_not_do(network, monkeypatch):
    """The plan's halo is needed: as if a step saw nothing but itself, the answers differ."""
    video = clip(network, 250)

    def blind(rows):
        return {name: Span((1, 1, 1), span.jump) for name, span in receptive_fields(rows).items()}

    monkeypatch.setattr(streaming, "receptive_fields", blind)
    streamer = Streamer(network)
    right, wrong = (np.concatenate(list(streamer.run(video, 250, steps))) for steps in (250, 64))
    assert np.abs(wrong - right).max() > 100 * TOLERANCE * np.abs(right).max()


def test_chunks_begin_at_whole_steps_and_have_the_remainder_of_the_whole():
    """A field of 59 and a jump of 8: 29 steps and one answer more are a halo of 40."""
    chunks = plan_chunks(1003, Span((59, 1, 1), (8, 1, 1)), 96)
    assert chunks[0] == Chunk(0, 96 + 40 + 3, 0, 12)
    assert [chunk.first for chunk in chunks] == list(range(0, 126, 12))
    assert chunks[-1].last == 126
    assert chunks[-1].end == 1003
    for chunk in chunks:
        assert chunk.begin % 8 == 0
        assert (chunk.end - chunk.begin) % 8 == 1003 % 8


def test_the_network_is_cut_behind_its_max_pools():
    parts = parts_of(I3D[:-1])
    assert [row for part in parts for row in part] == list(I3D[:-1])
    assert [part[-1].name[:11] for part in parts[:-1]] == [f"MaxPool3d_{n}" for n in (2, 3, 4, 5)]
    assert parts[-1][-1].name == "Mixed_5b"


def test_memory_is_that_of_some_chunks(network, streamer):
    """Frames are made as far ahead of the answers as the halos and three chunks of 8 reach."""
    made = 0

    def frames():
        nonlocal made
        for _ in range(800):
            made += 1
            yield np.zeros(network.input_shape[2:], np.uint8)

    answered = 0
    for steps in streamer.run(frames(), 800, 8):
        answered += 8 * len(steps)
        assert made <= answered + 300
    assert made == answered == 800


def test_what_cannot_be_streamed(network, streamer):
    with pytest.raises(ValueError, match=r"`endpoint` must be one of .*; received 'Mixed_6a'"):
        Streamer(network, "Mixed_6a")
    with pytest.raises(ValueError, match=r"`frames` must be at least 9; there are 8"):
        list(streamer.run([], 8))
    with pytest.raises(ValueError, match="the video has 5 frames; 20 were counted before"):
        list(streamer.run(clip(network, 5), 20))
    with pytest.raises(ValueError, match="must be at least 1; received 0 and 8"):
        plan_chunks(0, receptive_fields(I3D)["Mixed_5c"], 8)
    fixed = zoo.build("inception_i3d", input_shape=(16, 32, 32, 3), width_multiplier=1 / 16)
    with pytest.raises(ValueError, match="must take clips of any length"):
        Streamer(fixed)
