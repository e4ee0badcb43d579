import keras
import numpy as np
import pytest

from i3d_tf.models.fused_3d import fused_3d
from i3d_tf.models.inception import inception_v1

STEPS = 2


def shapes(steps, size=33):
    return {"rgb": (steps, size, size, 3), "flow": (10 * steps, size, size, 2)}


@pytest.fixture(scope="module")
def network(build_tiny, random_weights):
    return random_weights(build_tiny("fused_3d", input_shape=shapes(STEPS)))


def test_endpoints_have_the_shapes_of_the_paper(network):
    """At 33 pixels, which Inception-v1 reduces to 2, and with 2 steps instead of 5."""
    shapes = {
        "flow_fold_time": (33, 33, 20),
        "rgb_unfold_time": (2, 2, 2, 1024 // 16),
        "streams": (2, 2, 2, 2048 // 16),
        "Conv3d_6a_3x3": (2, 2, 2, 512 // 16),
        "MaxPool3d_6b_3x3": (1, 1, 1, 512 // 16),
    }
    assert {name: network.get_layer(name).output.shape[1:] for name in shapes} == shapes


def test_number_of_steps_does_not_change_the_variables(network, tiny_network, random_clips):
    other = tiny_network("fused_3d")  # of one step
    assert [v.path for v in other.weights] == [v.path for v in network.weights]
    assert np.array(network(random_clips(shapes(STEPS), 2))).shape == (2, 5)


@pytest.mark.parametrize(("stream", "channels"), [("rgb", 3), ("flow", 20)])
def test_every_step_goes_through_inception(stream, channels, network, random_clips):
    clips = random_clips(shapes(STEPS), 2)
    part = keras.Model(network.input, network.get_layer(f"{stream}_unfold_time").output)
    features = np.array(part(clips))
    trunk = inception_v1(
        include_top=False, input_shape=(None, None, channels), width_multiplier=1 / 16
    )
    trunk.set_weights(network.get_layer(f"{stream}_stream").get_weights())
    for step in range(STEPS):
        if stream == "rgb":
            images = clips["rgb"][:, step]
        else:  # its ten fields, x and y of the first first
            fields = clips["flow"][:, 10 * step : 10 * step + 10]
            images = np.concatenate(np.moveaxis(fields, 1, 0), axis=-1)
        # float32 sums in another order
        np.testing.assert_allclose(features[:, step], np.array(trunk(images)), rtol=1e-4, atol=1e-5)


def test_variables_begin_with_their_stream(network, tiny_network):
    trunk = network.get_layer("rgb_stream")
    assert trunk.get_layer("Mixed_4f").output.shape[-1] == 832 // 16
    of_trunk = [v.path for v in tiny_network("inception_v1").weights[:-2]]
    paths = [variable.path for variable in network.weights]
    expected = [f"{stream}_stream/{path}" for stream in ("rgb", "flow") for path in of_trunk]
    assert sorted(paths[: len(expected)]) == sorted(expected)
    assert paths[len(expected)] == "Conv3d_6a_3x3/conv_3d/kernel"
    assert paths[-1] == "Logits/Conv3d_0c_1x1/conv_3d/bias"


def test_one_stream_has_one_trunk():
    model = fused_3d("flow", classes=5, width_multiplier=1 / 16)
    assert model.input_shape[1:] == (50, None, None, 2)
    assert model.output_shape == (None, 5)
    assert {v.path.split("/")[0] for v in model.weights} == {
        "flow_stream",
        "Conv3d_6a_3x3",
        "Logits",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"input_shape": {"rgb": (5, 64, 64, 3), "flow": (40, 64, 64, 2)}},
            "10 flow fields for every RGB frame .* received",
        ),
        (
            {"input_shape": {"rgb": (5, 64, 64, 3), "flow": (50, 64, 96, 2)}},
            "one H and W for both",
        ),
        (
            {"input_shape": {"rgb": (None, 64, 64, 3), "flow": (50, 64, 64, 2)}},
            r"`input_shape\['rgb'\]` must have T >= 1; received \(None",
        ),
        ({"stream": "flow", "input_shape": (9, 64, 64, 2)}, "T >= 10; received"),
        ({"stream": "flow", "input_shape": (25, 64, 64, 2)}, "a multiple of 10 frames"),
    ],
)
def test_fused_3d_names_the_allowed_shapes(arguments, message):
    with pytest.raises(ValueError, match=message):
        fused_3d(**arguments)
