import keras
import numpy as np
import pytest

from i3d_tf.models.two_stream_2014 import two_stream_2014
from i3d_tf.specs.baselines import CNN_M, CNN_M_DENSE

SMALL = {"width_multiplier": 1 / 64, "classes": 5}
FLOW = {"stream": "flow", "input_shape": (4, 48, 48, 2), **SMALL}


def test_layers_have_the_shapes_of_caffes():
    model = two_stream_2014("rgb", width_multiplier=1 / 32)
    sizes = {"conv1": 109, "pool1": 54, "conv2": 26, "pool2": 13, "conv5": 13, "pool5": 6}
    found = {name: model.get_layer(name).output.shape[1:3] for name in sizes}
    assert found == {name: (size, size) for name, size in sizes.items()}
    assert model.get_layer("pool5").output.shape[-1] == 512 // 32
    assert model.get_layer("fc7").output.shape == (None, 2048 // 32)


@pytest.mark.parametrize(("channels", "parameters"), [(3, 90_627_813), (20, 90_707_781)])
def test_streams_have_the_published_parameters_by_their_table(channels, parameters):
    total, inputs = 0, channels
    for row in CNN_M:
        total += (row.kernel**2 * inputs + 1) * row.filters
        inputs = row.filters
    inputs *= 6 * 6
    for units in (*(row.units for row in CNN_M_DENSE), 101):
        total += (inputs + 1) * units
        inputs = units
    assert total == parameters


@pytest.mark.slow
def test_full_size_network_has_the_published_parameters():
    assert two_stream_2014("flow", classes=101).count_params() == 90_707_781


def test_only_the_rgb_network_normalizes_its_second_convolution():
    rgb = two_stream_2014("rgb", input_shape=(1, 48, 48, 3), **SMALL)
    flow = two_stream_2014(**FLOW)
    norms = [{layer.name for layer in m.layers if "norm" in layer.name} for m in (rgb, flow)]
    assert norms == [{"norm1", "norm2"}, {"norm1"}]


def image_of(model, clips):
    """What the first convolution of a flow network reads."""
    stacked = keras.Model(model.input, model.get_layer("fold_time").output)
    return np.array(stacked(clips))


def test_fields_are_stacked_without_their_means():
    clips = np.random.default_rng(0).uniform(-1, 1, (2, 4, 48, 48, 2)).astype("f4")
    image = image_of(two_stream_2014(**FLOW), clips)
    centered = clips - clips.mean((2, 3), keepdims=True)
    for channel in range(8):
        expected = centered[:, channel // 2, :, :, channel % 2]
        np.testing.assert_allclose(image[..., channel], expected, atol=1e-6)
    raw = image_of(two_stream_2014(**FLOW, subtract_mean_flow=False), clips)
    np.testing.assert_array_equal(raw[..., 5], clips[:, 2, ..., 1])


@pytest.mark.parametrize("is_bidirectional", [False, True])
def test_trajectories_of_constant_flow_are_its_stack(is_bidirectional):
    clips = np.broadcast_to(np.array([0.25, -0.5], "f4"), (1, 4, 48, 48, 2))
    arguments = {**FLOW, "is_bidirectional": is_bidirectional, "subtract_mean_flow": False}
    stacked, followed = (
        image_of(two_stream_2014(**arguments, stacking=stacking), clips)
        for stacking in ("flow", "trajectory")
    )
    np.testing.assert_allclose(followed, stacked, rtol=1e-6)


def test_trajectory_network_saves_and_loads(assert_saves, random_weights, random_clips):
    model = two_stream_2014(**FLOW, stacking="trajectory", is_bidirectional=True)
    assert_saves(random_weights(model), random_clips((4, 48, 48, 2), 1))


def test_heads_give_the_logits_of_two_datasets(random_weights, random_clips):
    heads = {"ucf101": 101, "hmdb51": 51}
    model = random_weights(two_stream_2014(**FLOW, heads=heads))
    logits = model(random_clips((4, 48, 48, 2), 3))
    assert {name: value.shape for name, value in logits.items()} == {
        "ucf101": (3, 101),
        "hmdb51": (3, 51),
    }
    names = {layer.name for layer in model.layers if layer.name.startswith("Logits")}
    assert names == {"Logits_ucf101", "Logits_hmdb51"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stacking": "dense"}, "`stacking` must be one of"),
        ({"flow_frames": 5}, r"`input_shape` must have T = 5; received \(4,"),
        ({"input_shape": (3, 48, 48, 2), "is_bidirectional": True}, "an even number of fields"),
        ({"input_shape": (None, 48, 48, 2)}, "must have T >= 1; received"),
        ({"heads": {}}, "`heads` must be one or more, of one stream"),
        ({"stream": "joint", "input_shape": None, "heads": {"a": 2}}, "one or more, of one stream"),
        ({"heads": {"a": 0}}, r"`heads\['a'\]` must be an integer >= 1"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_stream_2014(**{**FLOW, **arguments})
