import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.export.saved_model import ServingModule, signature_shapes
from i3d_tf.models.c3d import c3d
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.transforms import centre_crop, preprocess_input, resize_short_side

NAMES = ("run", "jump", "sit")
PROTOCOL = Protocol(frames=12, short_side=40, crop_size=32)
# Both compute in float32, in another order: 1e-6 was measured. A mistake in the preprocessing of
# one pixel or one frame moves these logits by over 1e-3.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def network(random_weights):
    model = inception_i3d(input_shape=(None, None, None, 3), classes=3, width_multiplier=1 / 16)
    return random_weights(model)


@pytest.fixture(scope="module")
def served(network):
    return ServingModule({"rgb": network}, NAMES, PROTOCOL)


def video(frames, height=50, width=77):
    return np.random.default_rng(frames).integers(0, 256, (frames, height, width, 3), np.uint8)


def shown(frames):
    """What a network sees of a video, by the package's own preprocessing."""
    frames = centre_crop(resize_short_side(frames, 40), 32)
    return preprocess_input(frames)[np.arange(12) % len(frames)][np.newaxis]


def assert_close(answer, expected):
    assert np.linalg.norm(answer - expected) <= TOLERANCE * np.linalg.norm(expected)


@pytest.mark.parametrize("number", [9, 12, 30])
def test_frames_become_ranked_classes(served, network, number):
    frames = video(number)
    answer = served.classify(frames)
    expected = network(shown(frames[:12])).numpy()[0]
    order = np.argsort(-expected, kind="stable")
    assert answer["indices"].numpy().tolist() == order.tolist()
    assert answer["labels"].numpy().tolist() == [NAMES[k].encode() for k in order]
    assert_close(answer["logits"].numpy(), expected[order])
    exponentials = np.exp(expected[order].astype(float))
    np.testing.assert_allclose(
        answer["probabilities"], exponentials / exponentials.sum(), atol=TOLERANCE
    )


def test_features_are_what_the_head_reads(served, network):
    clip = shown(video(20)[:12])
    features = served.features(clip)
    head = keras.Model(network.input, network.get_layer("Logits").input)
    expected = head(clip).numpy()[:, :, 0, 0]
    assert features["steps"].shape == (1, 1, 64)
    assert_close(features["steps"].numpy(), expected)
    assert_close(features["pooled"].numpy(), expected.mean(axis=1))


def test_clips_of_any_size_are_one_trace(served, network):
    for shape in ((2, 9, 33, 40, 3), (1, 17, 64, 32, 3)):
        clip = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        assert_close(served.logits(clip)["logits"].numpy(), network(clip).numpy())
    assert served.logits.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (video(8), "of at least 9 frames"),
        (video(9, height=2, width=33), "a side over 16 times as long"),
        (video(9, height=0), "must have pixels"),
    ],
)
def test_what_cannot_be_classified_is_said(served, frames, reason):
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        served.classify(frames)


def test_rgb_shows_some_frames_where_the_protocol_says_so(network):
    sparse = ServingModule({"rgb": network}, NAMES, Protocol(30, 25.0, 40, 32, rgb_step=3))
    frames = video(30)
    answer = sparse.classify(frames)
    clip = preprocess_input(centre_crop(resize_short_side(frames, 40), 32))
    some = np.sort(network(clip[np.newaxis, 1::3]).numpy()[0])[::-1]
    every = np.sort(network(clip[np.newaxis]).numpy()[0])[::-1]
    assert_close(answer["logits"].numpy(), some)
    assert np.linalg.norm(some - every) > 10 * TOLERANCE * np.linalg.norm(some)


def test_a_network_of_fixed_size_says_so():
    network = c3d(input_shape=(16, 32, 32, 3), classes=3, width_multiplier=1 / 32)
    served = ServingModule({"rgb": network}, NAMES, Protocol(16, 25.0, 40, 32))
    shapes = signature_shapes(served)
    assert shapes["serving_default"]["inputs"] == {"clip": "float32 (None, 16, 32, 32, 3)"}
    assert list(shapes["features"]["outputs"]) == ["pooled"]
    assert served.classify(video(16))["labels"].shape == (3,)
    with pytest.raises(ValueError, match=r"takes clips of .* \(16, 32, 32\); .* \(12, 32, 32\)"):
        ServingModule({"rgb": network}, NAMES, PROTOCOL)


def test_a_network_of_lower_precision_answers_in_float32(network):
    served = ServingModule({"rgb": fuse_for_inference(network, "bfloat16")}, NAMES, PROTOCOL)
    clip = shown(video(12))
    answers = {**served.logits(clip), **served.features(clip)}
    assert {value.dtype.name for value in answers.values()} == {"float32"}
    expected = network(clip).numpy()
    error = np.linalg.norm(answers["logits"].numpy() - expected) / np.linalg.norm(expected)
    assert error <= 0.1  # bfloat16 has 8 bits, 4e-3 a rounding; 1e-2 was measured


def test_two_streams_are_summed(network):
    flow = inception_i3d(input_shape=(None, None, None, 2), classes=3, width_multiplier=1 / 16)
    served = ServingModule({"rgb": network, "flow": flow}, NAMES, PROTOCOL)
    generator = np.random.default_rng(0)
    clips = [generator.uniform(-1, 1, (1, 9, 32, 32, c)).astype(np.float32) for c in (3, 2)]
    expected = network(clips[0]).numpy() + flow(clips[1]).numpy()
    assert_close(served.logits(*clips)["logits"].numpy(), expected)
    assert served.features(*clips)["pooled"].shape == (1, 128)
