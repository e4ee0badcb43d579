"""Chunk by chunk against all at once, with random weights and statistics."""

from functools import cache

import keras
import numpy as np
import pytest

from i3d_tf import zoo
from i3d_tf.inference import streaming
from i3d_tf.inference.streaming import (
    Chunk,
    Streamer,
    head_pool,
    plan_chunks,
    split_after_max_pools,
    step_logits,
)
from i3d_tf.specs.geometry import Span, receptive_fields
from i3d_tf.specs.inception_v1 import I3D

# Sums in another order, where a window is longer: 1e-6 of the size was seen.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def build(random_weights):
    """Function: channels -> a narrow network of random weights, the same at every call."""

    @cache
    def build(channels):
        return random_weights(
            zoo.build(
                "inception_i3d",
                input_shape=(None, 32, 32, channels),
                classes=5,
                width_multiplier=1 / 16,
            )
        )

    return build


@pytest.fixture(scope="module")
def network(build):
    return build(3)


@pytest.fixture(scope="module")
def streamer(network):
    """Of the last endpoint; traced once for all lengths."""
    return Streamer(network)


def random_clip(model, frames):
    generator = np.random.default_rng(frames)
    shape = (frames, *model.input_shape[2:])
    if shape[-1] == 3:
        return generator.integers(0, 256, shape, np.uint8)
    return generator.uniform(-25, 25, shape).astype(np.float32)


def network_input(frames):
    """The clip in [-1, 1], by hand."""
    if frames.dtype == np.uint8:
        return (frames / np.float32(127.5) - 1).astype(np.float32)[None]
    return np.clip(frames, -20, 20)[None] / 20


@pytest.mark.parametrize(
    ("frames", "chunk_frames"),
    [(250, 96), (251, 64), (253, 96), (119, 8), (9, 64), (66, 64), (100, 250)],
)
def test_streamer_gives_the_logits_of_the_whole_clip(network, streamer, frames, chunk_frames):
    clip = random_clip(network, frames)
    steps = np.concatenate(list(streamer.run(clip, frames, chunk_frames)))
    assert steps.shape == (-(-frames // 8), 64)
    streamed = np.concatenate(list(step_logits(network, [steps[:1], steps[1:]])))
    whole = network(network_input(clip), training=False).numpy()[0]
    assert np.linalg.norm(streamed.mean(0) - whole) <= TOLERANCE * np.linalg.norm(whole)


@pytest.mark.parametrize(
    ("channels", "endpoint", "frames"),
    [(3, "Conv3d_1a_7x7", 61), (3, "Mixed_4f", 123), (2, "Mixed_3b", 62)],
)
def test_streamer_gives_every_step_of_an_endpoint(build, channels, endpoint, frames):
    network = build(channels)
    clip = random_clip(network, frames)
    streamer = Streamer(network, endpoint, pooled=False)
    steps = np.concatenate(list(streamer.run(iter(clip), frames, 24)))
    whole = keras.Model(network.input, network.get_layer(endpoint).output)
    expected = whole(network_input(clip), training=False).numpy()[0]
    assert steps.shape == expected.shape
    np.testing.assert_allclose(steps, expected, atol=TOLERANCE * np.abs(expected).max())


def test_streamer_needs_the_halo(network, monkeypatch):
    """As if a step saw nothing but itself, the outputs differ."""

    def without_field(rows):
        return {name: Span((1, 1, 1), span.jump) for name, span in receptive_fields(rows).items()}

    monkeypatch.setattr(streaming, "receptive_fields", without_field)
    streamer = Streamer(network, "Mixed_3c", pooled=True)
    clip = random_clip(network, 60)
    whole, chunked = (np.concatenate(list(streamer.run(clip, 60, n))) for n in (60, 24))
    assert np.abs(chunked - whole).max() > 100 * TOLERANCE * np.abs(whole).max()


def test_streamer_reads_few_frames_ahead(network, streamer):
    """Frames are read as far ahead of the outputs as the halos and three chunks of 8 reach."""
    made = 0

    def frames():
        nonlocal made
        for _ in range(600):
            made += 1
            yield np.zeros(network.input_shape[2:], np.uint8)

    done = 0
    for steps in streamer.run(frames(), 600, 8):
        done += 8 * len(steps)
        assert made <= done + 300
    assert made == done == 600


def test_streamer_refuses_other_networks_and_clips(network, streamer):
    with pytest.raises(ValueError, match=r"`endpoint` must be one of .*; received 'Mixed_6a'"):
        Streamer(network, "Mixed_6a")
    with pytest.raises(ValueError, match=r"`frames` must be at least 9; there are 8"):
        list(streamer.run([], 8))
    with pytest.raises(ValueError, match="the video has 5 frames; 20 were counted before"):
        list(streamer.run(random_clip(network, 5), 20))
    fixed = keras.Model(*[keras.Input((16, 32, 32, 3))] * 2)
    with pytest.raises(ValueError, match="must take clips of any length"):
        Streamer(fixed)
    other = keras.Model(*[keras.Input((None, 32, 32, 3))] * 2)
    with pytest.raises(ValueError, match=r"must be I3D; .* has no endpoint 'Conv3d_1a_7x7'"):
        Streamer(other)


def test_plan_chunks_start_at_whole_steps_and_have_the_remainder_of_the_whole():
    """A field of 59 and a jump of 8: 29 steps and one output step more are a halo of 40."""
    chunks = plan_chunks(1003, Span((59, 1, 1), (8, 1, 1)), 96)
    assert chunks[0] == Chunk(0, 96 + 40 + 3, 0, 12)
    assert [chunk.output_start for chunk in chunks] == list(range(0, 126, 12))
    assert chunks[-1].output_end == 126
    assert chunks[-1].end == 1003
    for chunk in chunks:
        assert chunk.start % 8 == 0
        assert (chunk.end - chunk.start) % 8 == 1003 % 8


def test_split_after_max_pools_loses_no_row():
    parts = split_after_max_pools(I3D[:-1])
    assert [row for part in parts for row in part] == list(I3D[:-1])
    assert [part[-1].name[:11] for part in parts[:-1]] == [f"MaxPool3d_{n}" for n in (2, 3, 4, 5)]
    assert parts[-1][-1].name == "Mixed_5b"


@pytest.mark.parametrize("lengths", [(5,), (1, 4), (2, 1, 2)])
def test_head_pool_averages_neighbors_across_chunks(lengths):
    steps = np.array([[0.0], [2.0], [4.0], [8.0], [16.0]], np.float32)
    chunks = np.split(steps, np.cumsum(lengths)[:-1])
    pooled = np.concatenate(list(head_pool(chunks)))
    assert pooled.ravel().tolist() == [1, 3, 6, 12]


def test_step_logits_refuses_other_heads():
    frames = keras.Input((4,))
    other = keras.Model(frames, keras.layers.Dense(3, name="Logits")(frames))
    with pytest.raises(ValueError, match="must have the head of I3D; 'Logits' is Dense"):
        next(step_logits(other, []))
