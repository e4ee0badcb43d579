import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.export import saved_model
from i3d_tf.export.saved_model import ServingModule, decoded_images, signature_shapes
from i3d_tf.models.c3d import c3d
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.transforms import center_crop, preprocess_input, resize_short_side

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
def module(network):
    return ServingModule({"rgb": network}, NAMES, PROTOCOL)


def video(frames, height=50, width=77):
    return np.random.default_rng(frames).integers(0, 256, (frames, height, width, 3), np.uint8)


def clip_of(frames):
    """The clip of a video, by the package's own preprocessing."""
    frames = center_crop(resize_short_side(frames, 40), 32)
    return preprocess_input(frames)[np.arange(12) % len(frames)][np.newaxis]


def assert_close(output, expected):
    assert np.linalg.norm(output - expected) <= TOLERANCE * np.linalg.norm(expected)


@pytest.mark.parametrize("number", [9, 12, 30])
def test_classify_ranks_the_classes_of_frames(module, network, number):
    frames = video(number)
    outputs = module.classify(frames)
    expected = network(clip_of(frames[:12])).numpy()[0]
    order = np.argsort(-expected, kind="stable")
    assert outputs["indices"].numpy().tolist() == order.tolist()
    assert outputs["labels"].numpy().tolist() == [NAMES[k].encode() for k in order]
    assert_close(outputs["logits"].numpy(), expected[order])
    exponentials = np.exp(expected[order].astype(float))
    np.testing.assert_allclose(
        outputs["probabilities"], exponentials / exponentials.sum(), atol=TOLERANCE
    )


def test_classify_encoded_is_classify_of_the_decoded_frames(module):
    frames = video(12)
    encoded = [tf.io.encode_png(frame).numpy() for frame in frames]
    outputs, expected = module.classify_encoded(encoded), module.classify(frames)
    for name, values in expected.items():
        assert outputs[name].numpy().tolist() == values.numpy().tolist(), name


def test_classify_encoded_takes_jpeg_and_png_of_one_size(module):
    red = np.zeros((40, 40, 3), np.uint8) + np.array([254, 0, 0], np.uint8)
    images = [tf.io.encode_jpeg(red).numpy(), tf.io.encode_png(red).numpy()]
    decoded = decoded_images(tf.constant(images))
    np.testing.assert_allclose(decoded, np.stack([red, red]), atol=1)
    other = tf.io.encode_png(red[:30]).numpy()
    with pytest.raises(tf.errors.InvalidArgumentError, match="shape"):
        module.classify_encoded([*images, other] * 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        module.classify_encoded([b"no picture"] * 12)


def test_features_are_the_input_of_the_head(module, network):
    clip = clip_of(video(20)[:12])
    features = module.features(clip)
    head = keras.Model(network.input, network.get_layer("Logits").input)
    expected = head(clip).numpy()[:, :, 0, 0]
    assert features["steps"].shape == (1, 1, 64)
    assert_close(features["steps"].numpy(), expected)
    assert_close(features["pooled"].numpy(), expected.mean(axis=1))


def test_logits_of_clips_of_any_size_are_one_trace(module, network):
    for shape in ((2, 9, 33, 40, 3), (1, 17, 64, 32, 3)):
        clip = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        assert_close(module.logits(clip)["logits"].numpy(), network(clip).numpy())
    assert module.logits.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (video(8), "of at least 9 frames"),
        (video(9, height=2, width=33), "a side over 16 times as long"),
        (video(9, height=0), "must have pixels"),
    ],
)
def test_classify_refuses_frames_without_clips(module, frames, reason):
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        module.classify(frames)


def mean_network(channels, head="Logits"):
    """A dense layer on the mean of a clip."""
    clip = keras.Input((None, None, None, channels))
    mean = keras.layers.GlobalAveragePooling3D()(clip)
    return keras.Model(clip, keras.layers.Dense(3, name=head)(mean))


def test_classify_follows_the_rgb_step_of_the_protocol():
    network = mean_network(3)
    module = ServingModule({"rgb": network}, NAMES, Protocol(30, 25.0, 40, 32, rgb_step=3))
    frames = video(30)
    outputs = module.classify(frames)
    clip = preprocess_input(center_crop(resize_short_side(frames, 40), 32))
    some = np.sort(network(clip[np.newaxis, 1::3]).numpy()[0])[::-1]
    every = np.sort(network(clip[np.newaxis]).numpy()[0])[::-1]
    assert_close(outputs["logits"].numpy(), some)
    assert np.linalg.norm(some - every) > 10 * TOLERANCE * np.linalg.norm(some)


def test_signature_shapes_of_a_network_of_fixed_size():
    network = c3d(input_shape=(16, 32, 32, 3), classes=3, width_multiplier=1 / 32)
    module = ServingModule({"rgb": network}, NAMES, Protocol(16, 25.0, 40, 32))
    shapes = signature_shapes(module)
    assert shapes["serving_default"]["inputs"] == {"clip": "float32 (None, 16, 32, 32, 3)"}
    assert list(shapes["features"]["outputs"]) == ["pooled"]
    assert module.classify(video(16))["labels"].shape == (3,)
    with pytest.raises(ValueError, match=r"takes clips of .* \(16, 32, 32\); .* \(12, 32, 32\)"):
        ServingModule({"rgb": network}, NAMES, PROTOCOL)


def test_several_crops_are_refused():
    with pytest.raises(ValueError, match="`protocol` must have one crop for a SavedModel; rec"):
        ServingModule({"rgb": mean_network(3)}, NAMES, Protocol(12, 25.0, 40, 32, crops=3))


def test_outputs_of_a_bfloat16_network_are_float32(network):
    module = ServingModule({"rgb": fuse_for_inference(network, "bfloat16")}, NAMES, PROTOCOL)
    clip = clip_of(video(12))
    outputs = {**module.logits(clip), **module.features(clip)}
    assert {value.dtype.name for value in outputs.values()} == {"float32"}
    expected = network(clip).numpy()
    error = np.linalg.norm(outputs["logits"].numpy() - expected) / np.linalg.norm(expected)
    assert error <= 0.1  # bfloat16 has 8 bits, 4e-3 a rounding; 1e-2 was measured


def test_logits_of_two_streams_are_summed_and_features_joined():
    networks = {"rgb": mean_network(3), "flow": mean_network(2)}
    module = ServingModule(networks, NAMES, PROTOCOL)
    generator = np.random.default_rng(0)
    clips = [generator.uniform(-1, 1, (1, 9, 32, 32, c)).astype(np.float32) for c in (3, 2)]
    expected = sum(n(c).numpy() for n, c in zip(networks.values(), clips, strict=True))
    assert_close(module.logits(*clips)["logits"].numpy(), expected)
    means = [clip.mean(axis=(1, 2, 3)) for clip in clips]
    assert_close(module.features(*clips)["pooled"].numpy(), np.concatenate(means, axis=1))


@pytest.mark.parametrize(("stream", "channels"), [("rgb", 3), ("flow", 2)])
def test_logits_of_one_stream_take_a_clip(stream, channels):
    module = ServingModule({stream: mean_network(channels)}, NAMES, PROTOCOL)
    (spec,) = module.logits.input_signature
    assert (spec.name, spec.shape.as_list()) == ("clip", [None, None, None, None, channels])


def test_signatures_of_a_network_without_head_have_no_features():
    module = ServingModule({"rgb": mean_network(3, "other")}, NAMES, PROTOCOL)
    assert set(module.signatures()) == {
        *("serving_default", "classify", "classify_encoded", "labels", "record")
    }


def test_classify_gives_a_network_its_flow_of_both_directions(monkeypatch):
    def difference(previous, following):
        change = tf.cast(following, tf.float32) - tf.cast(previous, tf.float32)
        return tf.stack([change, tf.zeros_like(change)], axis=-1)

    monkeypatch.setattr(saved_model, "flow_function", lambda *_, **__: difference)
    clip = keras.Input((4, 32, 32, 2))
    means = keras.layers.Reshape((8,))(keras.ops.mean(clip, axis=(2, 3)))  # of every field
    network = keras.Model(clip, keras.layers.Dense(3, name="Logits")(means))
    protocol = Protocol(4, 25.0, 40, 32, windows=2, flow_direction="both")
    module = ServingModule({"flow": network}, NAMES, protocol)
    levels = np.arange(9) ** 2
    frames = np.broadcast_to(levels[:, None, None, None], (9, 40, 48, 3)).astype(np.uint8)
    changes = np.array([[5, 7, -3, -1], [15, 15, -13, -11]]) / 20  # from frames 2 and 7
    fields = np.zeros((2, 4, 32, 32, 2), np.float32)
    fields[..., 0] = changes[:, :, None, None]
    expected = network(fields).numpy().mean(axis=0)
    assert_close(module.classify(frames)["logits"].numpy(), np.sort(expected)[::-1])
