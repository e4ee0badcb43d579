import keras
import numpy as np
import pytest

import i3d_tf
from i3d_tf.inflation.build import border
from i3d_tf.weights.assign import WeightsError, read_weights

# Name: the smallest image that it takes.
APPLICATIONS = {
    "ResNet50": 32,
    "ResNet50V2": 32,
    "InceptionV3": 75,
    "VGG16": 32,
    "DenseNet121": 32,
    "Xception": 71,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "EfficientNetB0": 32,
}
TOLERANCE = 1e-4  # of the output's scale; measured at most 4e-6, a wrong layer gives above 1e-2
JUMP = 8  # frames from one output step to the next


def application(name, random_weights, include_top=True):
    size = APPLICATIONS[name]
    arguments = {"classifier_activation": None, "classes": 20} if include_top else {}
    model_2d = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), include_top=include_top, **arguments
    )
    return random_weights(model_2d)


def images_for(model_2d):
    """Noise as bright as pixels are, and the same growing darker from left to right."""
    noise = np.random.default_rng(1).uniform(0, 255, model_2d.input_shape[1:])
    darker = noise * np.linspace(1, 0, noise.shape[1])[:, None]
    return np.stack([noise, darker]).astype("float32")


def assert_steps_are(outputs, expected):
    """Asserts that every time step of `outputs`, (N, T, ...), is `expected`, (N, ...)."""
    scale = np.abs(expected).max()
    # Otherwise the outputs do not depend on the input, and the test is void.
    assert np.abs(expected[0] - expected[1]).max() > 10 * TOLERANCE * scale
    errors = np.abs(np.asarray(outputs) - expected[:, None]).max()
    assert outputs.shape[1] >= 1
    assert errors < TOLERANCE * scale


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_frozen_video_gives_the_2d_outputs(name, random_weights):
    """Everywhere with edge padding, beyond the border with zero, at the steps left with valid."""
    model_2d = application(name, random_weights)
    images = images_for(model_2d)
    expected = np.asarray(model_2d(images))

    edge = i3d_tf.inflate(model_2d, padding="edge", time="steps")
    assert_steps_are(edge(np.repeat(images[:, None], JUMP + 1, axis=1)), expected)

    (reach,) = border(model_2d)
    steps = reach.start + 1 + reach.end
    clip = np.repeat(images[:1, None], JUMP * steps, axis=1)
    zero = np.asarray(i3d_tf.inflate(model_2d, time="steps")(clip))[0]
    errors = np.abs(zero - expected[0]).max(axis=1) / np.abs(expected).max()
    assert len(errors) == steps
    assert errors[reach.start : steps - reach.end].max() < TOLERANCE
    assert errors[0] > TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["InceptionV3", "MobileNetV2", "ResNet50"])
def test_frozen_video_gives_the_2d_outputs_without_padding(name, random_weights):
    """With as many frames as one step of the output needs, and one step of the output."""
    model_2d = application(name, random_weights, include_top=False)
    images = images_for(model_2d)
    (lost,) = border(model_2d, "every_other", padding="valid")
    frames = JUMP * (lost.start + 1 + lost.end)
    model = i3d_tf.inflate(model_2d, "every_other", padding="valid", frames=frames)
    assert model.output_shape == (None, 1, *model_2d.output_shape[1:])
    outputs = model(np.repeat(images[:, None], frames, axis=1))
    assert_steps_are(outputs, np.asarray(model_2d(images)))


def single_steps(site):
    """Makes every NxN convolution NxNxN; nothing else reduces time."""
    return site.kernel_size if site.role == "convolution" else 1, 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV3Small", "ResNet50V2", "VGG16"])
def test_centered_kernels_process_frames_of_a_moving_video_alone(name, random_weights, tmp_path):
    model_2d = application(name, random_weights, include_top=False)
    frames = np.concatenate([images_for(model_2d), images_for(model_2d)[::-1, ::-1]])
    model = i3d_tf.inflate(model_2d, temporal=single_steps, init="centre")
    outputs = np.asarray(model(frames[None]))
    expected = np.asarray(model_2d(frames))
    assert outputs.shape == (1, *expected.shape)
    np.testing.assert_allclose(outputs[0], expected, atol=TOLERANCE * np.abs(expected).max())
    model.save(tmp_path / "inflated.keras")
    loaded = keras.models.load_model(tmp_path / "inflated.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded(frames[None])), outputs)


def test_head_of_inception_v1_is_inflated(tiny_network):
    model_2d = tiny_network("inception_v1")
    images = np.random.default_rng(0).uniform(-1, 1, (2, 40, 33, 3)).astype("float32")
    images[1] *= np.linspace(0, 1, 33)[:, None]
    model = i3d_tf.inflate(model_2d, padding="edge")
    outputs = model(np.repeat(images[:, None], 9, axis=1))
    assert_steps_are(outputs[:, None], np.asarray(model_2d(images)))


def small_network():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Normalization(mean=1.0, variance=4.0)(image)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(2)(x), name="small")


def test_channels_are_adapted_for_flow(random_weights):
    """A clip of two equal channels gives the outputs of a grey one of three."""
    model_2d = random_weights(small_network())
    grey = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    model = i3d_tf.inflate(model_2d, padding="edge", channels=2, frames=5, name="flow")
    assert model.name == "flow"
    assert model.input_shape == (None, 5, 8, 8, 2)
    outputs = model(np.broadcast_to(grey[:, None], (2, 5, 8, 8, 2)))
    expected = np.asarray(model_2d(np.repeat(grey, 3, axis=-1)))
    np.testing.assert_allclose(np.asarray(outputs), expected, atol=1e-5)


def test_adapted_normalization_is_used():
    """It computes with copies of its weights, which must follow them."""
    image = keras.Input((4, 4, 3))
    layer = keras.layers.Normalization()
    model_2d = keras.Model(image, layer(image))
    layer.adapt(np.random.default_rng(0).normal(3, 2, (50, 4, 4, 3)))
    clip = np.ones((1, 2, 4, 4, 3), "float32")
    outputs = np.asarray(i3d_tf.inflate(model_2d)(clip))
    assert np.abs(outputs - clip).min() > 0.1
    np.testing.assert_allclose(outputs[:, 0], np.asarray(model_2d(clip[:, 0])), atol=1e-6)
    with pytest.raises(WeightsError, match=r"/mean: source \(3,\), model \(2,\)"):
        i3d_tf.inflate(model_2d, channels=2)


def test_training_the_3d_network_leaves_the_2d_one(random_weights):
    model_2d = random_weights(small_network())
    before = read_weights(model_2d)
    model = i3d_tf.inflate(model_2d, padding="edge")
    model.compile("sgd", "mse")
    clips = np.random.default_rng(0).normal(size=(2, 3, 8, 8, 3))
    model.fit(clips, np.zeros((2, 2)), verbose=0)
    for path, value in read_weights(model_2d).items():
        np.testing.assert_array_equal(value, before[path])
    kernel = read_weights(model)["conv/kernel"]
    assert np.abs(kernel.sum(axis=0) - before["conv/kernel"]).max() > 1e-4


def test_inflate_names_the_inits():
    with pytest.raises(ValueError, match=r"\('repeat', 'centre'\); received 'mean'"):
        i3d_tf.inflate(small_network(), init="mean")
