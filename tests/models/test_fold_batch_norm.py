import json

import keras
import numpy as np
import pytest
from fixtures.networks import network_params

from i3d_tf.layers.inception import InceptionBlock
from i3d_tf.layers.unit import Unit2D, Unit3D
from i3d_tf.models.fold_batch_norm import PRECISIONS, fuse_for_inference
from i3d_tf.specs.inception_v1 import BATCH_NORM_EPSILON, ENDPOINTS, INCEPTION_V1_ENDPOINTS
from i3d_tf.zoo import inflate
from i3d_tf.zoo.networks import MODELS

layers = keras.layers

# Of the norm of the outputs. float32: the promise; sums in another order, 6e-8 a rounding, through
# up to 22 layers, give 3e-6 at most. bfloat16 rounds to 2^-9 of a value, 0.2 %, at every layer: its
# 22 roundings add up to sqrt(22) * 0.2 % = 0.9 %, and to 3 % in networks of four filters a layer.
TOLERANCES = {"float32": 1e-4, "bfloat16": 6e-2}


@pytest.fixture(scope="module")
def folded(tiny_network):
    """Function: (name, precision) -> the folded copy of a tiny network, made once."""
    networks = {}

    def find(name, precision="float32"):
        if (name, precision) not in networks:
            networks[name, precision] = fuse_for_inference(tiny_network(name), precision)
        return networks[name, precision]

    return find


def difference(outputs, expected):
    """The distance of two arrays, relative to the second's norm."""
    outputs, expected = (np.array(values).astype("float64") for values in (outputs, expected))
    assert outputs.shape == expected.shape
    return np.linalg.norm(outputs - expected) / np.linalg.norm(expected)


def endpoints(model, names):
    outputs = {name: model.get_layer(name).output for name in names}
    return keras.Model(model.inputs[0], outputs)


def kinds(model):
    return {type(layer) for layer in model._flatten_layers()}


def test_unit_is_folded_by_hand():
    """Inputs 1 and 3, a weight of 4: (4 x - 2) / 2 + 1, since 3.999 + 0.001 has root 2."""
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
    outputs = np.array(fused(np.array([1, 3], "float32").reshape(1, 2, 1, 1, 1)))
    np.testing.assert_allclose(outputs.ravel(), [2, 6], rtol=1e-6)


# Every network in one precision, two of them in the other.
@pytest.mark.parametrize(
    ("name", "precision"),
    [
        *(
            pytest.param(*name.values, "float32", marks=name.marks)
            if hasattr(name, "marks")
            else (name, "float32")
            for name in network_params(MODELS)
        ),
        *((name, "bfloat16") for name in ("inception_i3d", "convnet_lstm")),
    ],
)
def test_folded_network_gives_the_same_outputs(name, precision, tiny_network, folded, tiny_clips):
    model, fused = tiny_network(name), folded(name, precision)
    clips = tiny_clips(name)
    outputs = fused(clips, training=True)  # as without: nothing is left that could train
    assert keras.backend.standardize_dtype(outputs.dtype) == fused.output.dtype == "float32"
    assert difference(outputs, model(clips)) < TOLERANCES[precision]
    assert fused.name == model.name
    assert fused.input_shape == model.input_shape
    assert fused.output_shape == model.output_shape
    assert fused.trainable_variables == []
    assert kinds(fused).isdisjoint({InceptionBlock, layers.Dropout})


@pytest.mark.parametrize(("name", "precision"), [("inception_i3d", "bfloat16"), ("c3d", "float32")])
def test_folded_network_saves_and_loads(name, precision, folded, tiny_clips, assert_saves):
    assert_saves(folded(name, precision), tiny_clips(name, 1))


def test_fuse_for_inference_does_not_change_the_model(tiny_network):
    model = tiny_network("c3d")
    before, config = model.get_weights(), model.to_json()
    fuse_for_inference(model, "bfloat16")
    assert model.to_json() == config
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize(
    ("name", "names", "precision"),
    [
        ("inception_i3d", ENDPOINTS, "float32"),
        ("inception_i3d", ENDPOINTS, "bfloat16"),
        ("inception_v1", INCEPTION_V1_ENDPOINTS, "float32"),
    ],
)
def test_every_endpoint_is_the_same(name, names, precision, tiny_network, folded, tiny_clips):
    clips = tiny_clips(name, 1)
    outputs = endpoints(folded(name, precision), names)(clips)
    for endpoint, expected in endpoints(tiny_network(name), names)(clips).items():
        assert difference(outputs[endpoint], expected) < TOLERANCES[precision], endpoint


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "trunks"),
    [("two_stream_i3d", ("rgb_stream", "flow_stream")), ("fused_3d", ("rgb_stream",))],
)
def test_endpoints_within_streams_are_the_same(name, trunks, tiny_network, folded, random_clips):
    model, fused = tiny_network(name), folded(name)
    for trunk in trunks:
        old, new = (network.get_layer(trunk) for network in (model, fused))
        assert all(weight.path.startswith(f"{trunk}/Conv") for weight in new.weights[:2])
        shape = tuple(length or 33 for length in old.input_shape[1:])
        inputs = random_clips(shape, 1)
        outputs, expected = (endpoints(part, ["Mixed_4f"])(inputs) for part in (new, old))
        assert difference(outputs["Mixed_4f"], expected["Mixed_4f"]) < TOLERANCES["float32"]
    paths = [weight.path for weight in fused.weights]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize(
    ("arguments", "precision"),
    [
        ({"include_top": False}, "bfloat16"),
        (
            {"input_shape": (None, 48, None, 2), "classifier_activation": "softmax"},
            "float32",
        ),
    ],
    ids=str,
)
def test_every_form_of_i3d_is_folded(
    arguments, precision, build_tiny, random_weights, random_clips
):
    model = random_weights(build_tiny("inception_i3d", **arguments))
    fused = fuse_for_inference(model, precision)
    assert fused.output.dtype == "float32"
    assert fused.input_shape == model.input_shape
    _, _, height, width, channels = model.input_shape
    clips = random_clips((10, height or 33, width or 33, channels), 1)
    assert difference(fused(clips), model(clips)) < TOLERANCES[precision]


@pytest.mark.parametrize(("name", "precision"), [("fused_3d", "float32"), ("c3d", "bfloat16")])
def test_folding_again_changes_nothing(name, precision, folded, tiny_clips):
    once = folded(name, precision)
    twice = fuse_for_inference(once, precision)
    assert json.loads(twice.to_json()) == json.loads(once.to_json())
    clips = tiny_clips(name, 1)
    np.testing.assert_array_equal(np.array(twice(clips)), np.array(once(clips)))


def test_bfloat16_weights_are_stored_as_such(folded):
    fused = folded("inception_i3d", "bfloat16")
    dtypes = {(weight.path.startswith("Logits/"), weight.dtype) for weight in fused.weights}
    assert dtypes == {(True, "float32"), (False, "bfloat16")}
    assert fused.get_layer("Mixed_4f").output.dtype == "bfloat16"


def test_mixed_precision_network_is_folded_to_the_same(
    tiny_network, build_tiny, folded, tiny_clips
):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build_tiny("inception_i3d")
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(tiny_network("inception_i3d").get_weights())
    clips = tiny_clips("inception_i3d", 1)
    for precision in PRECISIONS:
        expected = np.array(folded("inception_i3d", precision)(clips))
        outputs = np.array(fuse_for_inference(mixed, precision)(clips))
        np.testing.assert_array_equal(outputs, expected)


def test_network_from_a_file_is_folded(tiny_network, folded, tiny_clips, tmp_path):
    tiny_network("c3d").save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    clips = tiny_clips("c3d", 1)
    np.testing.assert_array_equal(
        np.array(fuse_for_inference(loaded)(clips)), np.array(folded("c3d")(clips))
    )


def test_folded_network_can_be_traced(folded, tiny_clips):
    import tensorflow as tf

    fused = folded("inception_i3d")
    clips = tiny_clips("inception_i3d", 1)
    traced = tf.function(fused)(clips)
    assert difference(traced, fused(clips)) < TOLERANCES["float32"]


def test_inception_block_convolves_its_input_once(tiny_network, folded):
    fused = folded("inception_i3d")
    kernel = fused.get_layer("Mixed_4f").entry.conv_3d.kernel
    branches = tiny_network("inception_i3d").get_layer("Mixed_4f").branches
    assert kernel.shape[-1] == sum(branch.units[0].filters for branch in branches[:3])
    assert len(fused.weights) == 2 * (3 + 9 * 4 + 1)  # a kernel and a bias each


def test_network_that_is_used_twice_shares_its_weights(tiny_network, folded, tiny_clips):
    model = tiny_network("inception_v1")
    inputs = {name: keras.Input(model.input_shape[1:], name=name) for name in ("left", "right")}
    outputs = keras.layers.Add()([model(image) for image in inputs.values()])
    fused = fuse_for_inference(keras.Model(inputs, outputs))
    assert len(fused.weights) == len(folded("inception_v1").weights)
    images = tiny_clips("inception_v1", 1)
    expected = 2 * model(images)
    assert difference(fused({"left": images, "right": images}), expected) < TOLERANCES["float32"]


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
def test_convolution_and_its_norm_become_one_layer(convolution, norm, random_weights, random_clips):
    convolution = type(convolution).from_config(convolution.get_config())
    model = random_weights(conv_then_norm(convolution, **norm))
    fused = fuse_for_inference(model)
    assert layers.BatchNormalization not in kinds(fused)
    assert type(fused.get_layer("norm")) is type(convolution)
    images = random_clips((9, 8, 4), 2)
    for name in ("norm", "relu"):
        outputs, expected = (endpoints(m, [name])(images)[name] for m in (fused, model))
        assert difference(outputs, expected) < TOLERANCES["float32"]


def shared_convolution(image):
    convolution = layers.Conv2D(4, 1)
    return layers.BatchNormalization()(convolution(image)) + convolution(-image)


def norm_of_two(image):
    norm = layers.BatchNormalization()
    return layers.Add()([norm(layers.Conv2D(4, 1)(image)), norm(image)])


def convolution_read_twice(image):
    features = layers.Conv2D(4, 1)(image)
    return features * layers.BatchNormalization()(features)


def activated_convolution(image):
    return layers.BatchNormalization()(layers.Conv2D(4, 1, activation="tanh")(image))


def norm_of_rows(image):
    return layers.BatchNormalization(axis=1)(layers.Conv2D(4, 1)(image))


def transposed(image):
    return layers.BatchNormalization()(layers.Conv2DTranspose(4, 3)(image))


@pytest.mark.parametrize(
    "body",
    [
        shared_convolution,
        norm_of_two,
        convolution_read_twice,
        activated_convolution,
        norm_of_rows,
        transposed,
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


def test_models_within_sequential_models_are_folded(random_weights, random_clips):
    inner = keras.Sequential(
        [
            keras.Input((9, 8, 4)),
            layers.Rescaling(0.5),
            layers.Conv2D(6, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.5),
            layers.ReLU(),
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


def test_layers_of_integers_and_adapted_layers_are_copied(random_clips):
    image = keras.Input((9, 8, 4), dtype="uint8")
    normalization = layers.Normalization()
    features = normalization(layers.Identity(dtype="uint8", name="bytes")(image))
    model = keras.Model(image, layers.Conv2D(2, 3)(features))
    images = (127 * (random_clips((9, 8, 4), 2) + 1)).astype("uint8")
    normalization.adapt(images)
    fused = fuse_for_inference(model, "bfloat16")
    assert fused.get_layer("bytes").compute_dtype == "uint8"
    assert difference(fused(images), model(images)) < TOLERANCES["bfloat16"]


def test_network_of_keras_applications_is_folded(random_weights, random_clips):
    model = keras.applications.MobileNet(
        (32, 32, 3), alpha=0.25, weights=None, classes=5, classifier_activation=None
    )
    random_weights(model)
    fused = fuse_for_inference(model)
    assert layers.BatchNormalization not in kinds(fused)
    images = random_clips((32, 32, 3), 2)
    assert difference(fused(images), model(images)) < 3 * TOLERANCES["float32"]  # 28 layers


def test_inflated_network_is_folded(random_weights, random_clips):
    def body(image):
        features = layers.Conv2D(6, 3, 2, padding="same", use_bias=False)(image)
        features = layers.ReLU()(layers.BatchNormalization(name="norm")(features))
        features = layers.SeparableConv2D(6, 3, padding="same")(features)
        return layers.GlobalAveragePooling2D()(features)

    model = random_weights(inflate(plain(body), padding="edge"))
    assert layers.BatchNormalization in kinds(model)
    fused = fuse_for_inference(model)
    assert layers.BatchNormalization not in kinds(fused)
    clips = random_clips((5, 9, 8, 4), 2)
    assert difference(fused(clips), model(clips)) < TOLERANCES["float32"]


# ---- errors


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


class Closed(layers.Layer):
    """A layer with an argument that its config lacks."""

    def __init__(self, secret, **kwargs):
        super().__init__(**kwargs)
        self.secret = secret

    def call(self, inputs):
        return inputs

    def get_config(self):
        return super().get_config()


class LateWeights(layers.Layer):
    """A layer whose copies have weights that it lacks."""

    made = 0

    def build(self, input_shape):
        for index in range(LateWeights.made):
            self.add_weight(name=f"weight_{index}", shape=())
        LateWeights.made += 1

    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Subclassed, "must be a functional or sequential Keras model"),
        (lambda: Unit2D(1, (1, 1)), "must be a functional or sequential Keras model"),
        (lambda: plain(Subclassed(name="inner")), "'inner'"),
        (lambda: plain(Closed(1, name="shut")), "'shut' of class Closed"),
        (lambda: plain(LateWeights(name="late")), "'late' of class LateWeights .* of shapes"),
    ],
    ids=("subclassed", "layer", "subclassed within", "layer without a config", "other weights"),
)
def test_fuse_for_inference_names_layers_that_cannot_be_copied(make, message):
    with pytest.raises(ValueError, match=message):
        fuse_for_inference(make())


def test_fuse_for_inference_names_the_precisions(tiny_network):
    with pytest.raises(ValueError, match=r"\('float32', 'bfloat16'\); received 'float16'"):
        fuse_for_inference(tiny_network("c3d"), "float16")


@pytest.mark.parametrize(
    ("weight", "value", "problem"),
    [
        (0, np.nan, "conv_3d/kernel has values that are not finite"),
        (3, -1.0, "batch_norm/moving_variance has variances below zero"),
    ],
)
def test_weights_that_cannot_be_computed_with_are_refused(weight, value, problem):
    clip = keras.Input((2, 1, 1, 1))
    unit = Unit3D(1, (1, 1, 1), name="unit")
    model = keras.Model(clip, unit(clip), name="damaged")
    variable = model.weights[weight]
    variable.assign(np.full(variable.shape, value))
    with pytest.raises(ValueError, match=f"'damaged': .*{problem}"):
        fuse_for_inference(model)
