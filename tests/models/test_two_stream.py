import keras
import numpy as np
import pytest

from i3d_tf.metrics.ranking import softmax
from i3d_tf.models.two_stream import two_stream, two_stream_2d, two_stream_i3d

layers = keras.layers


def toy_network(channels, classes=4):
    """(N, T, H, W, C) -> (N, classes)."""
    clip = keras.Input((2, 3, 3, channels))
    return keras.Model(clip, layers.Dense(classes)(layers.GlobalAveragePooling3D()(clip)))


@pytest.fixture(scope="module")
def streams():
    keras.utils.set_random_seed(2)
    return toy_network(3), toy_network(2)


@pytest.fixture(scope="module")
def clips(random_clips):
    return random_clips({"rgb": (2, 3, 3, 3), "flow": (2, 3, 3, 2)}, 3)


def test_two_stream_adds_logits_or_averages_probabilities(streams, clips):
    rgb, flow = streams
    logits = np.array(rgb(clips["rgb"])), np.array(flow(clips["flow"]))
    added = np.array(two_stream(rgb, flow)(clips))
    np.testing.assert_allclose(added, sum(logits), rtol=1e-5, atol=1e-6)
    averaged = np.array(two_stream(rgb, flow, fusion="probabilities")(clips))
    np.testing.assert_allclose(averaged, (softmax(logits[0]) + softmax(logits[1])) / 2, rtol=1e-5)


def test_two_stream_loads_with_variables_that_begin_with_their_stream(streams, clips, tmp_path):
    rgb, flow = streams
    model = two_stream(rgb, flow, name="both")
    model.save(tmp_path / "both.keras")
    loaded = keras.models.load_model(tmp_path / "both.keras", safe_mode=True)
    assert loaded.name == "both"
    assert [v.path for v in loaded.weights] == [
        f"{name}/{v.path}"
        for name, part in (("rgb_stream", rgb), ("flow_stream", flow))
        for v in part.weights
    ]
    np.testing.assert_array_equal(np.array(loaded(clips)), np.array(model(clips)))


def test_two_stream_checks_its_arguments(streams):
    rgb, flow = streams
    with pytest.raises(ValueError, match=r"`fusion` must be one of .*'sum'"):
        two_stream(rgb, flow, fusion="sum")
    with pytest.raises(ValueError, match=r"\(None, 4\) and \(None, 7\)"):
        two_stream(rgb, toy_network(2, classes=7))


# ---- the paper's two networks


@pytest.mark.slow
def test_resnet50_two_stream_has_the_size_of_the_first_kinetics_paper():
    # arXiv:1705.06950 prints 48M: both streams of ResNet-50, 23,587,712 up to its average pool,
    # with 400 classes; the first kernel of flow reads 20 channels instead of 3.
    head, more_channels = 2049 * 400, 7 * 7 * (20 - 3) * 64
    expected = 2 * (23_587_712 + head) + more_channels
    assert expected == 48_867_936
    assert two_stream_2d(backbone="resnet50").count_params() == expected


@pytest.mark.parametrize("name", ["two_stream", "two_stream_i3d"])
def test_joint_network_adds_the_logits_of_its_streams(name, tiny_network, tiny_clips):
    joint, clips = tiny_network(name), tiny_clips(name)
    parts = [np.array(joint.get_layer(f"{s}_stream")(clips[s])) for s in ("rgb", "flow")]
    np.testing.assert_allclose(np.array(joint(clips)), sum(parts), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "one"), [("two_stream", "inception_v1"), ("two_stream_i3d", "inception_i3d")]
)
def test_joint_variables_begin_with_their_stream(name, one, tiny_network):
    paths = [variable.path for variable in tiny_network(name).weights]
    of_one = [variable.path for variable in tiny_network(one).weights]
    assert paths[: len(of_one)] == [f"rgb_stream/{path}" for path in of_one]
    assert paths[len(of_one) :] == [f"flow_stream/{path}" for path in of_one]


@pytest.mark.parametrize(
    ("build", "one", "shape"),
    [
        (two_stream_2d, "inception_v1", (10, None, None, 2)),
        (two_stream_i3d, "inception_i3d", (None, None, None, 2)),
    ],
)
def test_one_stream_has_the_variables_of_its_network(build, one, shape, tiny_network):
    model = build("flow", classes=5, width_multiplier=1 / 16)
    assert model.input_shape[1:] == shape
    assert model.output_shape == (None, 5)
    assert [v.path for v in model.weights] == [v.path for v in tiny_network(one).weights]


def test_two_stream_2d_stacks_flow_field_after_field(tiny_network, build_tiny, tiny_clips):
    flow = tiny_network("two_stream").get_layer("flow_stream")
    ramp = np.zeros((1, 10, 32, 32, 2), "float32")
    ramp += np.arange(20, dtype="float32").reshape(1, 10, 1, 1, 2)  # x before y
    image = np.array(keras.Model(flow.input, flow.get_layer("fold_time").output)(ramp))
    assert image.shape == (1, 32, 32, 20)
    assert (image == np.arange(20)).all()
    # ... and Inception-v1 classifies that image.
    network = build_tiny("inception_v1", input_shape=(None, None, 20))
    network.set_weights(flow.get_weights())
    clips = tiny_clips("two_stream")["flow"]
    images = np.concatenate(np.moveaxis(clips, 1, 0), axis=-1)
    np.testing.assert_array_equal(np.array(flow(clips)), np.array(network(images)))


@pytest.mark.parametrize(
    ("build", "arguments", "message"),
    [
        (two_stream_2d, {"fusion": "sum"}, "`fusion` must be one of .*'sum'"),
        (two_stream_2d, {"stream": "rgb", "input_shape": (2, 64, 64, 3)}, "T = 1; received"),
        (two_stream_2d, {"stream": "flow", "input_shape": (9, 64, 64, 2)}, "T = 10; received"),
        (two_stream_2d, {"stream": "flow", "input_shape": (10, 64, 64, 3)}, "C = 2 for flow"),
        (
            two_stream_2d,
            {"input_shape": {"rgb": (1, 31, 64, 3), "flow": (10, 64, 64, 2)}},
            r"`input_shape\['rgb'\]` must have H >= 32 or None",
        ),
        (two_stream_i3d, {"stream": "depth"}, "`stream` must be one of .*'depth'"),
        (two_stream_i3d, {"stream": "rgb", "input_shape": (8, 64, 64, 3)}, "T >= 9 or None"),
        (two_stream_i3d, {"stream": "flow", "input_shape": (9, 64, 64, 3)}, "C = 2 for flow"),
        (two_stream_i3d, {"fusion": "max"}, "`fusion` must be one of"),
    ],
)
def test_network_names_the_allowed_arguments(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_two_stream_refuses_networks_that_cannot_be_meant(streams):
    rgb, flow = streams
    ends = [layers.Softmax(), layers.Activation("softmax"), layers.Dense(4, activation="softmax")]
    clip = keras.Input((2, 3, 3, 2))
    nested = keras.Model(clip, keras.Sequential([flow, ends[0]])(clip))
    subclassed = type("Own", (keras.Model,), {})()
    for first, second, message in (
        (flow, rgb, "`rgb_model` must read 3 channels; received a model of 2"),
        (rgb, rgb, "`flow_model` must read 2 channels; received a model of 3"),
        (None, flow, "`rgb_model` must be a functional or sequential .* received None"),
        (rgb, subclassed, "`flow_model` must be a functional or sequential"),
        (two_stream(rgb, flow), flow, "`rgb_model` must be .* of one input"),
        *((keras.Sequential([rgb, end]), flow, "`rgb_model` must give logits") for end in ends),
        (rgb, nested, "`flow_model` must give logits"),
    ):
        with pytest.raises(ValueError, match=message):
            two_stream(first, second)
