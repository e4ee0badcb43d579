import json

import keras
import numpy as np
import pytest

from i3d_tf.layers.frames import PerFrame
from i3d_tf.layers.inception import InceptionBlock
from i3d_tf.layers.unit import Unit2D, Unit3D
from i3d_tf.models.fold_batch_norm import PRECISIONS, fuse_for_inference
from i3d_tf.models.two_stream import two_stream
from i3d_tf.specs.inception_v1 import BATCH_NORM_EPSILON, ENDPOINTS, INCEPTION_V1_ENDPOINTS
from i3d_tf.zoo import build, inflate
from i3d_tf.zoo.pretrained import MODELS

layers = keras.layers

# Name of a network -> the smallest sensible input; odd sizes, where SAME padding is asymmetric.
SHAPES = {
    "inception_i3d": (9, 33, 35, 3),
    "inception_v1": (33, 35, 3),
    "convnet_lstm": (3, 33, 35, 3),
    "c3d": (16, 33, 35, 3),
    "two_stream": {"rgb": (1, 33, 35, 3), "flow": (10, 33, 35, 2)},
    "fused_3d": {"rgb": (2, 33, 35, 3), "flow": (20, 33, 35, 2)},
    "two_stream_i3d": {"rgb": (9, 33, 35, 3), "flow": (9, 33, 35, 2)},
}
# Of an answer's norm. float32: the promise; sums in another order, 6e-8 a rounding, through up to
# 22 layers, give 3e-6 at most. bfloat16 rounds to 2^-9 of a value, 0.2 %, at every layer: its 22
# roundings add up to sqrt(22) * 0.2 % = 0.9 %, and to 3 % in networks of four filters a layer.
TOLERANCES = {"float32": 1e-4, "bfloat16": 6e-2}


@pytest.fixture(scope="module")
def network(random_weights):
    """Function: (name, arguments) -> a narrow network of the zoo with random weights."""

    def make(name, **arguments):
        return random_weights(
            build(name, **{"input_shape": SHAPES[name], "width_multiplier": 1 / 16, **arguments})
        )

    return make


@pytest.fixture(scope="module")
def small(network):
    return network("inception_i3d", classes=5)


def difference(found, expected):
    """The distance of two answers, relative to the second's norm."""
    found, expected = (np.array(answer).astype("float64") for answer in (found, expected))
    assert found.shape == expected.shape
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def endpoints(model, names):
    outputs = {name: model.get_layer(name).output for name in names}
    return keras.Model(model.inputs[0], outputs)


def kinds(model):
    return {type(layer) for layer in model._flatten_layers()}


def test_a_unit_whose_answer_is_known():
    """Sees 1 and 3, through a weight of 4: (4 x - 2) / 2 + 1, since 3.999 + 0.001 has root 2."""
    unit = Unit3D(1, (1, 1, 1), name="unit")
    clip = keras.Input((2, 1, 1, 1))
    model = keras.Model(clip, unit(clip))
    beta, mean, variance = [1.0], [2.0], [4 - BATCH_NORM_EPSILON]
    for weight, value in zip(
        (unit.conv_3d.kernel, *unit.batch_norm.weights),
        (np.full((1, 1, 1, 1, 1), 4.0), beta, mean, variance),
        strict=True,
    ):
        weight.assign(value)
    fused = fuse_for_inference(model)
    kernel, bias = fused.get_layer("unit").get_weights()
    np.testing.assert_allclose(kernel.ravel(), [2], rtol=1e-6)  # float32
    np.testing.assert_allclose(bias, [0], atol=1e-6)
    answer = np.array(fused(np.array([1, 3], "float32").reshape(1, 2, 1, 1, 1)))
    np.testing.assert_allclose(answer.ravel(), [2, 6], rtol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", MODELS)
def test_every_network_answers_the_same_and_saves(
    name, precision, network, random_clips, assert_saves
):
    model = network(name, classes=5, dropout_rate=0.5)
    before = model.get_weights()
    fused = fuse_for_inference(model, precision)
    clips = random_clips(SHAPES[name], 2)
    answer = fused(clips, training=True)  # as without: nothing is left that could train
    assert keras.backend.standardize_dtype(answer.dtype) == fused.output.dtype == "float32"
    assert difference(answer, model(clips)) < TOLERANCES[precision]
    assert fused.name == model.name
    assert fused.input_shape == model.input_shape
    assert fused.output_shape == model.output_shape
    assert fused.trainable_variables == []
    assert kinds(fused).isdisjoint({InceptionBlock, layers.Dropout})
    assert_saves(fused, clips)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("name", "names"), [("inception_i3d", ENDPOINTS), ("inception_v1", INCEPTION_V1_ENDPOINTS)]
)
def test_every_endpoint_is_the_same(name, names, precision, network, random_clips):
    model = network(name)
    clips = random_clips(SHAPES[name], 1)
    found = endpoints(fuse_for_inference(model, precision), names)(clips)
    for endpoint, expected in endpoints(model, names)(clips).items():
        assert difference(found[endpoint], expected) < TOLERANCES[precision], endpoint


@pytest.mark.parametrize(
    ("name", "trunks"),
    [("two_stream_i3d", ("rgb_stream", "flow_stream")), ("fused_3d", ("rgb_stream",))],
)
def test_endpoints_within_streams(name, trunks, network, random_clips):
    model = network(name)
    fused = fuse_for_inference(model)
    for trunk in trunks:
        old, new = (network.get_layer(trunk) for network in (model, fused))
        assert all(weight.path.startswith(f"{trunk}/Conv") for weight in new.weights[:2])
        inputs = random_clips(old.input_shape[1:], 2)
        found, expected = (endpoints(part, ["Mixed_4f"])(inputs) for part in (new, old))
        assert difference(found["Mixed_4f"], expected["Mixed_4f"]) < TOLERANCES["float32"]
    paths = [weight.path for weight in fused.weights]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize(
    ("arguments", "precision"),
    [
        ({"include_top": False}, "bfloat16"),
        ({"include_top": False, "pooling": "avg"}, "bfloat16"),
        ({"include_top": False, "pooling": "max"}, "float32"),
        ({"classifier_activation": "softmax", "dropout_rate": 0.5}, "bfloat16"),
        ({"input_shape": None}, "float32"),
        ({"input_shape": (None, 48, None, 2), "classes": 7, "width_multiplier": 1 / 8}, "float32"),
    ],
    ids=str,
)
def test_every_form_of_i3d(arguments, precision, network, random_clips):
    model = network("inception_i3d", **arguments)
    fused = fuse_for_inference(model, precision)
    assert fused.output.dtype == "float32"
    assert fused.input_shape == model.input_shape
    shape = [given or 48 for given in model.input_shape[1:]]
    for frames in {model.input_shape[1] or 9, model.input_shape[1] or 10}:
        clips = random_clips((frames, *shape[1:]), 1)
        assert difference(fused(clips), model(clips)) < TOLERANCES[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_fusing_again_changes_nothing(precision, network, random_clips):
    for name in ("fused_3d", "convnet_lstm"):
        once = fuse_for_inference(network(name), precision)
        twice = fuse_for_inference(once, precision)
        assert json.loads(twice.to_json()) == json.loads(once.to_json())
        clips = random_clips(SHAPES[name], 1)
        np.testing.assert_array_equal(np.array(twice(clips)), np.array(once(clips)))


def test_bfloat16_stores_its_weights_so(small):
    fused = fuse_for_inference(small, "bfloat16")
    dtypes = {(weight.path.startswith("Logits/"), weight.dtype) for weight in fused.weights}
    assert dtypes == {(True, "float32"), (False, "bfloat16")}
    assert fused.get_layer("Mixed_4f").output.dtype == "bfloat16"


def test_a_network_of_mixed_precision_gives_the_same(small, random_clips):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build("inception_i3d", input_shape=SHAPES["inception_i3d"], **narrow(5))
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(small.get_weights())
    clips = random_clips(SHAPES["inception_i3d"], 1)
    for precision in PRECISIONS:
        expected = np.array(fuse_for_inference(small, precision)(clips))
        found = np.array(fuse_for_inference(mixed, precision)(clips))
        np.testing.assert_array_equal(found, expected)


def narrow(classes):
    return {"classes": classes, "width_multiplier": 1 / 16}


def test_a_network_from_a_file(small, random_clips, tmp_path):
    small.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    clips = random_clips(SHAPES["inception_i3d"], 1)
    found = np.array(fuse_for_inference(loaded)(clips))
    np.testing.assert_array_equal(found, np.array(fuse_for_inference(small)(clips)))


def test_it_can_be_traced(small, random_clips):
    import tensorflow as tf

    fused = fuse_for_inference(small)
    clips = random_clips(SHAPES["inception_i3d"], 1)
    traced = tf.function(fused)(clips)
    assert difference(traced, fused(clips)) < TOLERANCES["float32"]


def test_an_inception_block_reads_its_input_once(small):
    fused = fuse_for_inference(small)
    kernel = fused.get_layer("Mixed_4f").entry.conv_3d.kernel
    branches = small.get_layer("Mixed_4f").branches
    assert kernel.shape[-1] == sum(branch.units[0].filters for branch in branches[:3])
    assert len(fused.weights) == 2 * (3 + 9 * 4 + 1)  # a kernel and a bias each


def test_two_streams_of_one_network_stay_one(network, random_clips):
    """Their weights are the same variables, and stay so."""
    model = network("inception_v1", **narrow(3))
    fused = fuse_for_inference(two_stream(model, model, fusion="probabilities"))
    assert len(fused.weights) == len(fuse_for_inference(model).weights)
    images = random_clips(SHAPES["inception_v1"], 1)
    expected = keras.ops.softmax(model(images))
    assert difference(fused({"rgb": images, "flow": images}), expected) < TOLERANCES["float32"]


# ---- plain Keras networks


def plain(body, shape=(9, 8, 4)):
    image = keras.Input(shape)
    return keras.Model(image, body(image))


def conv_then_norm(convolution, **norm):
    def body(image):
        norm_layer = layers.BatchNormalization(name="norm", **norm)
        return layers.ReLU(name="relu")(norm_layer(convolution(image)))

    return plain(body)


@pytest.mark.parametrize(
    "convolution",
    [
        layers.Conv2D(6, 3, 2, padding="same", use_bias=False),
        layers.Conv2D(6, (1, 3), groups=2, dilation_rate=2),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        layers.DepthwiseConv2D(3),
        layers.Dense(5),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("norm", [{}, {"scale": False}, {"center": False, "axis": 3}], ids=str)
def test_a_convolution_and_its_norm_become_one(convolution, norm, random_weights, random_clips):
    convolution = type(convolution).from_config(convolution.get_config())
    model = random_weights(conv_then_norm(convolution, **norm))
    fused = fuse_for_inference(model)
    assert layers.BatchNormalization not in kinds(fused)
    assert type(fused.get_layer("norm")) is type(convolution)
    images = random_clips((9, 8, 4), 2)
    for name in ("norm", "relu"):
        found, expected = (endpoints(m, [name])(images)[name] for m in (fused, model))
        assert difference(found, expected) < TOLERANCES["float32"]


def shared_convolution(image):
    convolution = layers.Conv2D(4, 1)
    return layers.BatchNormalization()(convolution(image)) + convolution(-image)


def norm_of_two(image):
    norm = layers.BatchNormalization()
    return layers.Add()([norm(layers.Conv2D(4, 1)(image)), norm(image)])


def convolution_seen_twice(image):
    features = layers.Conv2D(4, 1)(image)
    return features * layers.BatchNormalization()(features)


def bent_convolution(image):
    return layers.BatchNormalization()(layers.Conv2D(4, 1, activation="tanh")(image))


def norm_of_rows(image):
    return layers.BatchNormalization(axis=1)(layers.Conv2D(4, 1)(image))


def transposed(image):
    return layers.BatchNormalization()(layers.Conv2DTranspose(4, 3)(image))


@pytest.mark.parametrize(
    "body",
    [
        *(shared_convolution, norm_of_two, convolution_seen_twice),
        *(bent_convolution, norm_of_rows, transposed),
    ],
)
def test_norms_that_cannot_be_folded_stay(body, random_weights, random_clips):
    model = random_weights(plain(body))
    fused = fuse_for_inference(model)
    assert layers.BatchNormalization in kinds(fused)
    images = random_clips((9, 8, 4), 2)
    statistics = [np.array(weight) for weight in fused.weights]
    assert difference(fused(images, training=True), model(images)) < TOLERANCES["float32"]
    for weight, value in zip(fused.weights, statistics, strict=True):
        np.testing.assert_array_equal(np.array(weight), value)


def test_sequential_models_and_models_within_models(random_weights, random_clips):
    inner = keras.Sequential(
        [
            *(keras.Input((9, 8, 4)), layers.Rescaling(0.5), layers.Conv2D(6, 3, name="conv")),
            *(layers.BatchNormalization(name="norm"), layers.Dropout(0.5), layers.ReLU()),
        ],
        name="inner",
    )
    model = keras.Sequential(
        [inner, layers.GlobalAveragePooling2D(), layers.Dense(3)], name="outer"
    )
    random_weights(model)
    images = random_clips((9, 8, 4), 2)
    for precision in PRECISIONS:
        fused = fuse_for_inference(model, precision)
        assert difference(fused(images), model(images)) < TOLERANCES[precision]
        assert kinds(fused).isdisjoint({layers.BatchNormalization, layers.Dropout})


@pytest.mark.parametrize("precision", PRECISIONS)
def test_networks_of_keras_applications(precision, random_weights, random_clips):
    model = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=5, classifier_activation=None
    )
    random_weights(model)
    fused = fuse_for_inference(model, precision)
    assert layers.BatchNormalization not in kinds(fused)
    images = random_clips((32, 32, 3), 2)
    assert difference(fused(images), model(images)) < 3 * TOLERANCES[precision]  # 53 layers


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_inflated_network(precision, random_weights, random_clips):
    def body(image):
        features = layers.Conv2D(6, 3, 2, padding="same", use_bias=False)(image)
        features = layers.ReLU()(layers.BatchNormalization(name="norm")(features))
        features = layers.SeparableConv2D(6, 3, padding="same")(features)
        return layers.GlobalAveragePooling2D()(features)

    model = random_weights(inflate(plain(body), padding="edge"))
    assert PerFrame in kinds(model) or layers.BatchNormalization in kinds(model)
    fused = fuse_for_inference(model, precision)
    assert layers.BatchNormalization not in kinds(fused)
    clips = random_clips((5, 9, 8, 4), 2)
    assert difference(fused(clips), model(clips)) < TOLERANCES[precision]


# ---- what cannot be


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


class Closed(layers.Layer):
    """Has an argument that its config does not tell."""

    def __init__(self, secret, **kwargs):
        super().__init__(**kwargs)
        self.secret = secret

    def call(self, inputs):
        return inputs

    def get_config(self):
        return super().get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Subclassed, "must be a functional or sequential Keras model"),
        (lambda: Unit2D(1, (1, 1)), "must be a functional or sequential Keras model"),
        (lambda: plain(Subclassed(name="inner")), "'inner'"),
        (lambda: plain(Closed(1, name="shut")), "'shut' of class Closed"),
    ],
    ids=("subclassed", "layer", "subclassed within", "layer without a config"),
)
def test_what_cannot_be_copied_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        fuse_for_inference(make())


def test_an_unknown_precision_is_named(small):
    with pytest.raises(ValueError, match=r"\('float32', 'bfloat16'\); received 'float16'"):
        fuse_for_inference(small, "float16")
