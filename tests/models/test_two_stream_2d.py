import keras
import numpy as np
import pytest

from i3d_tf.models.inception import inception_v1
from i3d_tf.models.two_stream import two_stream_2d
from i3d_tf.specs.complexity import architecture_complexity
from i3d_tf.weights.assign import assign_weights, read_weights

SMALL = {"classes": 5, "width_multiplier": 1 / 8}
SHAPES = {"rgb": (1, 33, 35, 3), "flow": (10, 33, 35, 2)}


@pytest.fixture(scope="module")
def joint():
    keras.utils.set_random_seed(1)
    return two_stream_2d(**SMALL)


def test_full_size_has_the_parameters_of_the_table():
    assert (
        two_stream_2d().count_params()
        == architecture_complexity("two_stream").parameters
        == 12_087_680
    )


@pytest.mark.parametrize(("stream", "channels"), [("rgb", 3), ("flow", 20)])
def test_one_stream_is_inception(stream, channels, random_clips):
    model = two_stream_2d(stream, **SMALL)
    network = inception_v1(input_shape=(None, None, channels), **SMALL)
    assert [v.path for v in model.weights] == [v.path for v in network.weights]
    network.set_weights(model.get_weights())
    clips = random_clips(SHAPES[stream], 2)
    images = np.concatenate(np.moveaxis(clips, 1, 0), axis=-1)  # frame after frame
    np.testing.assert_array_equal(np.array(model(clips)), np.array(network(images)))
    assert model.get_layer("Mixed_4f").output.shape[-1] == 832 // 8


def test_flow_is_stacked_field_after_field_x_before_y():
    model = two_stream_2d("flow", **SMALL)
    flow = np.zeros((1, 10, 32, 32, 2), "float32")
    flow += np.arange(20, dtype="float32").reshape(1, 10, 1, 1, 2)
    image = np.array(keras.Model(model.input, model.get_layer("fold_time").output)(flow))
    assert image.shape == (1, 32, 32, 20)
    assert (image == np.arange(20)).all()


def test_joint_adds_the_logits(joint, random_clips):
    clips = random_clips(SHAPES, 2)
    parts = {}
    for stream in SHAPES:
        model = two_stream_2d(stream, **SMALL)
        model.set_weights(joint.get_layer(f"{stream}_stream").get_weights())
        parts[stream] = np.array(model(clips[stream]))
    # float32 sums in another order
    np.testing.assert_allclose(
        np.array(joint(clips)), parts["rgb"] + parts["flow"], rtol=1e-4, atol=1e-6
    )
    averaged = two_stream_2d(fusion="probabilities", **SMALL)
    np.testing.assert_allclose(np.array(averaged(clips)).sum(axis=1), 1, rtol=1e-5)


def test_weights_are_written_by_path(random_clips):
    network = inception_v1(**SMALL)
    arrays = {f"rgb_stream/{path}": value for path, value in read_weights(network).items()}
    model = two_stream_2d(**SMALL)
    assert assign_weights(model, arrays, ignore_target=["flow_stream/*"]) == len(network.weights)
    clips = random_clips(SHAPES["rgb"], 2)
    rgb = model.get_layer("rgb_stream")
    np.testing.assert_array_equal(np.array(rgb(clips)), np.array(network(clips[:, 0])))


@pytest.mark.slow
def test_it_overfits_eight_clips(accuracy_after_training):
    keras.utils.set_random_seed(0)
    shapes = {"rgb": (1, 32, 32, 3), "flow": (10, 32, 32, 2)}
    model = two_stream_2d(input_shape=shapes, classes=4, width_multiplier=1 / 8)
    assert accuracy_after_training(model, shapes, learning_rate=0.1, steps=12) == 1.0


def test_it_saves_and_loads(joint, random_clips, assert_saves):
    assert_saves(joint, random_clips(SHAPES, 2))


def test_mixed_precision(random_clips, assert_float32_logits):
    assert_float32_logits(lambda: two_stream_2d(**SMALL), random_clips(SHAPES, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stream": "both"}, r"`stream` must be one of \('rgb', 'flow', 'joint'\).*'both'"),
        ({"fusion": "sum"}, "`fusion` must be one of .*'sum'"),
        ({"stream": "rgb", "input_shape": (2, 64, 64, 3)}, "T = 1; received"),
        ({"stream": "flow", "input_shape": (9, 64, 64, 2)}, "T = 10; received"),
        ({"stream": "flow", "input_shape": (10, 64, 64, 3)}, "C = 2 for flow; received"),
        ({"stream": "rgb", "input_shape": (1, 64, 64, 2)}, "C = 3 for rgb; received"),
        ({"stream": "rgb", "input_shape": SHAPES}, r"must be \(T, H, W, C\) for stream 'rgb'"),
        ({"input_shape": (10, 64, 64, 2)}, r"each of \('rgb', 'flow'\), as in .*received \(10"),
        ({"input_shape": {"rgb": (1, 64, 64, 3)}}, r"each of \('rgb', 'flow'\)"),
        (
            {"input_shape": {"rgb": (1, 64, 64, 3), "flow": (10, 31, 64, 2)}},
            r"`input_shape\['flow'\]` must have H >= 32 or None",
        ),
        ({"classes": 0}, "classes"),
        ({"dropout_rate": 1.0}, "dropout_rate"),
        ({"width_multiplier": 0}, "width_multiplier"),
    ],
)
def test_what_cannot_work_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_stream_2d(**arguments)
