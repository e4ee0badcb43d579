import keras
import numpy as np
import pytest

from i3d_tf.models.inception import inception_i3d, inception_v1
from i3d_tf.specs.geometry import endpoint_shapes, receptive_fields, variable_shapes
from i3d_tf.specs.inception_v1 import (
    ENDPOINTS,
    I3D,
    INCEPTION_V1,
    INCEPTION_V1_ENDPOINTS,
    widen,
)

NETWORKS = {
    "inception_i3d": (inception_i3d, I3D, ENDPOINTS),
    "inception_v1": (inception_v1, INCEPTION_V1, INCEPTION_V1_ENDPOINTS),
}


def endpoints(model, names):
    return keras.Model(model.input, {name: model.get_layer(name).output for name in names})


@pytest.mark.parametrize(
    ("name", "channels", "classes", "width"),
    [
        ("inception_i3d", 3, 400, 1),
        ("inception_i3d", 2, 600, 1 / 16),
        ("inception_v1", 3, 1001, 1),
        ("inception_v1", 20, 7, 1 / 16),
    ],
)
def test_variables_are_those_of_the_table(name, channels, classes, width):
    build, rows, _ = NETWORKS[name]
    shape = (*(None,) * len(rows[0].kernel), channels)
    model = build(input_shape=shape, classes=classes, width_multiplier=width)
    built = {variable.path: tuple(variable.shape) for variable in model.variables}
    assert built == variable_shapes([widen(row, width) for row in rows], channels, classes)


@pytest.mark.parametrize("frames", [9, 10, 64, 79, 250])
@pytest.mark.parametrize("size", [(224, 224), (256, 341), (33, 32)])
def test_endpoint_shapes_of_i3d_are_those_of_the_table(tiny_network, frames, size):
    model = tiny_network("inception_i3d")
    expected = endpoint_shapes([widen(row, 1 / 16) for row in I3D], (frames, *size, 3))
    names = (*ENDPOINTS, "AvgPool3d_0a_7x7")
    shapes = endpoints(model, names).compute_output_shape((2, frames, *size, 3))
    steps = -(-frames // 8)
    assert shapes.pop("AvgPool3d_0a_7x7") == (2, steps - 1, 1, 1, 1024 // 16)
    assert shapes.pop("Logits") == (2, 5)
    assert shapes == {name: (2, *shape) for name, shape in expected.items()}
    assert expected["Mixed_5c"][0] == steps


@pytest.mark.parametrize("size", [(224, 224), (33, 64)])
def test_endpoint_shapes_of_inception_v1_are_those_of_the_table(tiny_network, size):
    model = tiny_network("inception_v1")
    expected = endpoint_shapes([widen(row, 1 / 16) for row in INCEPTION_V1], (*size, 3))
    shapes = endpoints(model, INCEPTION_V1_ENDPOINTS).compute_output_shape((2, *size, 3))
    assert shapes.pop("Logits") == (2, 5)
    assert shapes == {name: (2, *shape) for name, shape in expected.items()}


def test_endpoints_have_their_shapes_for_any_size(tiny_network, tiny_clips):
    model, clips = tiny_network("inception_i3d"), tiny_clips("inception_i3d")
    assert model.input_shape == (None, None, None, None, 3)
    expected = endpoint_shapes([widen(row, 1 / 16) for row in I3D], clips.shape[1:])
    outputs = endpoints(model, ENDPOINTS[:-1])(clips)
    assert {name: tuple(output.shape[1:]) for name, output in outputs.items()} == expected


def test_receptive_field_is_the_reach_of_one_frame():
    """One changed frame reaches exactly the output steps whose receptive field holds it."""
    keras.utils.set_random_seed(0)
    model = inception_i3d(include_top=False, input_shape=(240, 32, 32, 1), width_multiplier=0.03)
    assert model.layers[-1].name == "Mixed_5c"
    assert model.output.shape[1:4] == (30, 1, 1)
    still = np.zeros((1, 240, 32, 32, 1), "float32")
    changed = still.copy()
    # A large pulse, with random weights and no saturation, passes through some path of every block.
    changed[:, 120] = np.random.default_rng(0).normal(0, 1e4, (32, 32, 1))
    difference = np.abs(np.array(model(changed)) - np.array(model(still))).max(axis=(0, 2, 3, 4))
    reached = np.flatnonzero(difference > 0)
    span = receptive_fields(I3D)["Mixed_5c"]
    assert len(reached) <= -(-span.field[0] // span.jump[0]) + 1
    assert len(reached) >= span.field[0] // span.jump[0] - 1


@pytest.mark.parametrize(
    ("name", "pooling", "reduce"),
    [("inception_i3d", "avg", np.mean), ("inception_v1", "max", np.max)],
)
def test_pooling_without_the_head(name, pooling, reduce, tiny_network, build_tiny, tiny_clips):
    model, clips = tiny_network(name), tiny_clips(name)
    pooled = build_tiny(name, include_top=False, pooling=pooling)
    pooled.set_weights(model.get_weights()[:-2])
    features = np.array(endpoints(model, ["Mixed_5c"])(clips)["Mixed_5c"])
    expected = reduce(features, axis=tuple(range(1, features.ndim - 1)))
    np.testing.assert_allclose(np.array(pooled(clips)), expected, rtol=1e-5, atol=1e-6)


def test_classifier_activation_follows_the_average(tiny_network, build_tiny, tiny_clips):
    network, clips = tiny_network("inception_i3d"), tiny_clips("inception_i3d")
    model = build_tiny("inception_i3d", classifier_activation="softmax")
    model.set_weights(network.get_weights())
    logits = np.array(network(clips), "float64")
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.array(model(clips)), expected, rtol=1e-5)
    assert model.get_layer("Logits").output.shape == (None, 5)


def test_input_tensor_is_built_on():
    frames = keras.Input((9, 32, 32, 3), dtype="uint8", name="frames")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(frames)
    model = inception_i3d(input_tensor=scaled, classes=5, width_multiplier=0.03)
    assert model.inputs[0] is frames
    assert model.output_shape == (None, 5)


def test_frames_folded_into_the_batch_are_images(tiny_network):
    model = tiny_network("inception_v1")
    clip = np.random.default_rng(2).uniform(-1, 1, (2, 3, 33, 35, 3)).astype("float32")
    folded = np.array(model(clip.reshape(6, 33, 35, 3))).reshape(2, 3, 5)
    for example in range(2):
        # The same numbers in batches of other sizes, summed in another order.
        np.testing.assert_allclose(
            folded[example], np.array(model(clip[example])), rtol=1e-4, atol=1e-5
        )


def test_both_networks_fit_into_one_model(tiny_network):
    """Layers of one model may not share a name: the two differ wherever both have a convolution."""
    image, clip = keras.Input((32, 32, 3)), keras.Input((9, 32, 32, 3))
    outputs = [tiny_network("inception_v1")(image), tiny_network("inception_i3d")(clip)]
    both = keras.Model([image, clip], keras.layers.Add()(outputs))
    assert both.output_shape == (None, 5)


@pytest.mark.parametrize(
    ("build", "arguments", "message"),
    [
        (inception_i3d, {"input_shape": (8, 224, 224, 3)}, "T >= 9"),
        (inception_v1, {"input_shape": (64, 224, 224, 3)}, r"\(H, W, C\)"),
        (inception_i3d, {"pooling": "mean"}, "`pooling` must be one of .*'mean'"),
        (inception_i3d, {"input_tensor": np.zeros((1, 9, 32, 32, 3))}, "symbolic"),
        (inception_v1, {"input_tensor": keras.Input((9, 32, 32, 3))}, "`input_tensor`.*H, W, C"),
        (
            inception_v1,
            {"input_tensor": keras.Input((32, 32, 3)), "input_shape": (32, 33, 3)},
            "must equal",
        ),
    ],
)
def test_inception_checks_its_arguments(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_clip_too_short_for_the_head_is_refused(tiny_network):
    with pytest.raises(ValueError, match="at least 9"):
        tiny_network("inception_i3d")(np.zeros((1, 8, 32, 32, 3), "float32"))
