import keras
import numpy as np
import pytest

from i3d_tf.models.fused_3d import fused_3d
from i3d_tf.models.inception import inception_v1
from i3d_tf.specs.complexity import architecture_complexity

SMALL = {"classes": 5, "width_multiplier": 1 / 16}
SHAPES = {"rgb": (5, 33, 35, 3), "flow": (50, 33, 35, 2)}


def shapes(steps, size=32):
    return {"rgb": (steps, size, size, 3), "flow": (10 * steps, size, size, 2)}


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(1)
    return fused_3d(**SMALL)


def test_full_size_has_the_shapes_and_the_parameters_of_the_table():
    model = fused_3d(input_shape=shapes(5, 224))
    assert model.get_layer("flow_fold_time").output.shape == (None, 224, 224, 20)
    assert model.get_layer("rgb_unfold_time").output.shape == (None, 5, 7, 7, 1024)
    assert model.get_layer("streams").output.shape == (None, 5, 7, 7, 2048)
    assert model.get_layer("Conv3d_6a_3x3").output.shape == (None, 5, 7, 7, 512)
    assert model.get_layer("MaxPool3d_6b_3x3").output.shape == (None, 3, 4, 4, 512)
    assert model.output_shape == (None, 400)
    assert model.count_params() == architecture_complexity("fused_3d").parameters == 39_785_968


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_other_numbers_of_steps_have_the_same_variables(steps, small, random_clips):
    model = fused_3d(input_shape=shapes(steps), **SMALL)
    assert [v.path for v in model.weights] == [v.path for v in small.weights]
    assert np.array(model(random_clips(shapes(steps), 2))).shape == (2, 5)


def test_every_step_goes_through_inception(small, random_clips):
    clips = random_clips(SHAPES, 2)
    outputs = [small.get_layer(f"{stream}_unfold_time").output for stream in SHAPES]
    rgb, flow = (np.array(f) for f in keras.Model(small.input, outputs)(clips))
    for stream, features, channels in (("rgb", rgb, 3), ("flow", flow, 20)):
        network = inception_v1(
            include_top=False, input_shape=(None, None, channels), width_multiplier=1 / 16
        )
        network.set_weights(small.get_layer(f"{stream}_stream").get_weights())
        for step in range(5):
            if stream == "rgb":
                images = clips["rgb"][:, step]
            else:  # its ten fields, x and y of the first first
                fields = clips["flow"][:, 10 * step : 10 * step + 10]
                images = np.concatenate(np.moveaxis(fields, 1, 0), axis=-1)
            # float32 sums in another order
            np.testing.assert_allclose(
                features[:, step], np.array(network(images)), rtol=1e-4, atol=1e-6
            )


def test_endpoints_and_variables(small):
    trunk = small.get_layer("rgb_stream")
    assert trunk.get_layer("Mixed_4f").output.shape == (None, None, None, 832 // 16)
    network = [v.path for v in inception_v1(include_top=False, width_multiplier=1 / 16).weights]
    paths = [variable.path for variable in small.weights]
    expected = [f"{stream}_stream/{path}" for stream in SHAPES for path in network]
    assert sorted(paths[: len(expected)]) == sorted(expected)
    assert paths[len(expected)] == "Conv3d_6a_3x3/conv_3d/kernel"
    assert paths[-1] == "Logits/Conv3d_0c_1x1/conv_3d/bias"


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_one_stream_alone(stream, random_clips, assert_saves):
    model = fused_3d(stream, **SMALL)
    assert model.input_shape[1:] == (SHAPES[stream][0], None, None, SHAPES[stream][-1])
    assert {v.path.split("/")[0] for v in model.weights} == {
        f"{stream}_stream",
        "Conv3d_6a_3x3",
        "Logits",
    }
    assert_saves(model, random_clips(SHAPES[stream], 2))


@pytest.mark.slow
def test_it_overfits_eight_clips(accuracy_after_training):
    keras.utils.set_random_seed(0)
    model = fused_3d(input_shape=shapes(3), classes=4, width_multiplier=1 / 16)
    assert accuracy_after_training(model, shapes(3), learning_rate=0.1, steps=10) == 1.0


def test_it_saves_and_loads(small, random_clips, assert_saves):
    assert_saves(small, random_clips(SHAPES, 2))


def test_mixed_precision(random_clips, assert_float32_logits):
    assert_float32_logits(lambda: fused_3d(**SMALL), random_clips(SHAPES, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stream": "none"}, r"`stream` must be one of \('rgb', 'flow', 'joint'\).*'none'"),
        ({"input_shape": (5, 64, 64, 3)}, r"each of \('rgb', 'flow'\)"),
        (
            {"input_shape": {"rgb": (5, 64, 64, 3), "flow": (40, 64, 64, 2)}},
            "10 flow fields for every RGB frame .* received",
        ),
        (
            {"input_shape": {"rgb": (5, 64, 64, 3), "flow": (50, 64, 96, 2)}},
            "one H and W for both",
        ),
        (
            {"input_shape": {"rgb": (5, 64, 64, 3), "flow": (50, 64, 64, 3)}},
            r"`input_shape\['flow'\]` must have C = 2 for flow",
        ),
        (
            {"input_shape": {"rgb": (None, 64, 64, 3), "flow": (50, 64, 64, 2)}},
            r"`input_shape\['rgb'\]` must have T >= 1; received \(None",
        ),
        ({"stream": "flow", "input_shape": (9, 64, 64, 2)}, "T >= 10; received"),
        ({"stream": "flow", "input_shape": (25, 64, 64, 2)}, "a multiple of 10 frames"),
        ({"classes": 2.0}, "classes"),
        ({"dropout_rate": 1}, "dropout_rate"),
        ({"width_multiplier": 0}, "width_multiplier"),
    ],
)
def test_what_cannot_work_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        fused_3d(**arguments)
