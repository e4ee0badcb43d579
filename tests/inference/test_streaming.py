"""Chunk by chunk against all at once, with random weights and statistics."""

from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf import zoo
from i3d_tf.inference.streaming import (
    LAST_ENDPOINT,
    STREAMED_ENDPOINTS,
    Chunk,
    Streamer,
    chunked_forward,
    head_pool,
    next_chunk,
    pools_as_i3d,
    split_before_time,
    step_logits,
)
from i3d_tf.layers import convolution
from i3d_tf.layers.head import HeadPool, HeadWindow
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.geometry import Span
from i3d_tf.specs.inception_v1 import I3D, Conv, MaxPool

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
    ("frames", "chunk_steps"),
    [(250, 48), (251, 32), (253, 48), (119, 4), (9, 32), (66, 32), (100, 125)],
)
def test_streamer_gives_the_logits_of_the_whole_clip(network, streamer, frames, chunk_steps):
    clip = random_clip(network, frames)
    steps = np.concatenate(list(streamer.run(clip, frames, chunk_steps)))
    assert steps.shape == (-(-frames // 8), 64)
    streamed = np.concatenate(list(step_logits(network, [steps[:1], steps[1:]])))
    whole = network(network_input(clip), training=False).numpy()[0]
    assert np.linalg.norm(streamed.mean(0) - whole) <= TOLERANCE * np.linalg.norm(whole)


@pytest.fixture(scope="module")
def last_steps(network):
    """Function: clip -> the last endpoint of the whole clip at once, averaged over positions."""
    whole = keras.Model(network.input, network.get_layer(LAST_ENDPOINT).output)
    function = tf.function(
        lambda clip: tf.reduce_mean(whole(clip, training=False)[0], (1, 2)),
        input_signature=[tf.TensorSpec((1, *network.input_shape[1:]))],
        autograph=False,
    )
    return lambda clip: function(network_input(clip)).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("start", [1, 2, 3, 4])
def test_streamer_gives_every_step_of_clips_of_any_length(network, streamer, last_steps, start):
    for number, frames in enumerate([*range(9, 41), 67, 131]):
        clip = random_clip(network, frames)
        chunk_steps = 1 + (number + start) % 4
        steps = np.concatenate(list(streamer.run(iter(clip), frames, chunk_steps)))
        expected = last_steps(clip)
        assert steps.shape == expected.shape
        np.testing.assert_allclose(steps, expected, atol=TOLERANCE * np.abs(expected).max())


def assert_gives_the_endpoint(network, endpoint, frames, tolerance=TOLERANCE):
    clip = random_clip(network, frames)
    streamer = Streamer(network, endpoint, pooled=False)
    steps = np.concatenate(list(streamer.run(iter(clip), frames, 12)))
    whole = tf.function(keras.Model(network.input, network.get_layer(endpoint).output))
    expected = tf.cast(whole(network_input(clip), training=False)[0], tf.float32).numpy()
    assert steps.shape == expected.shape
    np.testing.assert_allclose(steps, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(
    ("channels", "endpoint", "frames"),
    [(3, "Conv3d_1a_7x7", 61), (3, "Mixed_4f", 123), (2, "Mixed_3b", 62)],
)
def test_streamer_gives_every_step_of_an_endpoint(build, channels, endpoint, frames):
    assert_gives_the_endpoint(build(channels), endpoint, frames)


@pytest.mark.parametrize(
    ("endpoint", "frames"),
    [
        ("Mixed_3b", 62),
        *(pytest.param(LAST_ENDPOINT, n, marks=pytest.mark.slow) for n in (9, 64, 131)),
    ],
)
def test_streamer_gives_the_endpoint_of_convolutions_in_pairs(
    network, endpoint, frames, monkeypatch
):
    monkeypatch.setattr(convolution, "MIN_PAIR_CHANNELS", 1)
    assert_gives_the_endpoint(fuse_for_inference(network), endpoint, frames)


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", STREAMED_ENDPOINTS)
def test_streamer_gives_every_endpoint_of_a_folded_network(network, endpoint):
    assert_gives_the_endpoint(fuse_for_inference(network), endpoint, 97)


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ["Conv3d_1a_7x7", "Mixed_4f"])
def test_streamer_gives_the_endpoint_of_a_bfloat16_network(network, endpoint):
    """Sums in another order round to another of the 256 steps of a power of two."""
    assert_gives_the_endpoint(fuse_for_inference(network, "bfloat16"), endpoint, 130, 2**-6)


def test_streamer_reads_few_frames_ahead(network, streamer):
    """Frames are read as far ahead of the outputs as the halos and some chunks of 8 reach."""
    made = 0

    def frames():
        nonlocal made
        for _ in range(600):
            made += 1
            yield np.zeros(network.input_shape[2:], np.uint8)

    done = 0
    for steps in streamer.run(frames(), 600, 4):
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
    with pytest.raises(ValueError, match=r"must be I3D; .* has other layers"):
        Streamer(other)


@pytest.mark.parametrize("name", ["s3d_g", "i2d"])
def test_streamer_refuses_networks_that_have_the_endpoints_of_i3d_alone(name, build_tiny):
    network = build_tiny(name)
    with pytest.raises(ValueError, match=r"must be I3D; .* has other layers"):
        Streamer(network)
    assert chunked_forward(network) is None


@pytest.mark.parametrize("frames", [9, 250])
def test_chunked_forward_gives_the_logits_of_the_whole_clip(network, frames):
    clip = network_input(random_clip(network, frames))
    expected = network(clip, training=False).numpy()
    logits = chunked_forward(network)(clip).numpy()
    assert (logits.shape, logits.dtype) == ((1, 5), np.float32)
    assert np.linalg.norm(logits - expected) <= TOLERANCE * np.linalg.norm(expected)


def test_chunked_forward_is_none_for_other_networks(network):
    fixed = zoo.build("inception_i3d", input_shape=(16, 32, 32, 3), width_multiplier=1 / 64)
    assert chunked_forward(fixed) is None
    assert chunked_forward(keras.Model(network.input, network.layers[-2].output)) is None
    assert chunked_forward(len) is None


def test_next_chunk_by_hand():
    """A kernel of 7 at a stride of 2: two zeros before an even clip, so step 10 sees 18 to 24."""
    span = Span((7, 1, 1), (2, 1, 1))
    assert next_chunk(100, span, 0, 3) == Chunk(0, 2, 0, 0)
    assert next_chunk(100, span, 0, 24) == Chunk(0, 24, 0, 10)
    assert next_chunk(100, span, 10, 49) == Chunk(18, 48, 10, 22)
    assert next_chunk(100, span, 22, 100) == Chunk(42, 100, 22, 50)
    # Of an odd clip three zeros are before it, and its chunks have odd lengths.
    assert next_chunk(101, span, 10, 50) == Chunk(16, 49, 10, 23)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_next_chunk_gives_every_window_its_steps(kernel, stride):
    """By the steps that each window of SAME padding sees, for all lengths and pieces."""
    span = Span((kernel, 1, 1), (stride, 1, 1))
    for length in range(1, 41):
        whole = windows(range(length), kernel, stride)
        for piece in (1, 2, 3, 7, 40):
            found = []
            for available in [*range(piece, length, piece), length]:
                chunk = next_chunk(length, span, len(found), available)
                assert chunk.output_start == len(found)
                assert chunk.start % stride == 0
                outputs = windows(range(chunk.start, chunk.end), kernel, stride)
                first = chunk.start // stride
                found += outputs[chunk.output_start - first : chunk.output_end - first]
                assert len(found) == chunk.output_end
            assert found == whole


def windows(steps, kernel, stride):
    """The steps under each position of a kernel, with SAME padding as TensorFlow defines it."""
    count = -(-len(steps) // stride)
    before = max(0, (count - 1) * stride + kernel - len(steps)) // 2
    starts = (n * stride - before for n in range(count))
    return [[*steps[max(0, start) : start + kernel]] for start in starts]


def test_split_before_time_leaves_one_layer_that_sees_neighbors_to_each_part():
    parts = split_before_time(I3D[:-1])
    assert [row for part in parts for row in part] == list(I3D[:-1])
    names = [[row.name for row in part] for part in parts]
    assert names[:3] == [
        ["Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "Conv3d_2b_1x1"],
        ["Conv3d_2c_3x3", "MaxPool3d_3a_3x3"],
        ["Mixed_3b"],
    ]
    assert all(len(part) == 1 for part in parts[2:])


def test_split_before_time_cuts_before_strides():
    image = Conv("Conv3d_a", 4, (1, 3, 3))
    skip = MaxPool("MaxPool3d_b", (1, 1, 1), (2, 1, 1))
    assert split_before_time([image, image, skip, image]) == [(image, image), (skip, image)]


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


def test_head_of_pairs_is_for_networks_that_pool_so():
    pairs, windows = HeadPool(), HeadWindow()
    assert pools_as_i3d(pairs, (1, 4, 9, 9, 8))
    assert pools_as_i3d(windows, (1, 4, 7, 7, 8))
    assert not pools_as_i3d(windows, (1, 4, 7, 8, 8))
    assert not pools_as_i3d(keras.layers.GlobalAveragePooling3D(), (1, 4, 7, 7, 8))
