import keras
import numpy as np
import pytest

from i3d_tf.models.inception import inception_i3d
from i3d_tf.models.two_stream import two_stream_i3d
from i3d_tf.specs.complexity import architecture_complexity

SMALL = {"classes": 5, "width_multiplier": 1 / 16}
SHAPES = {"rgb": (9, 33, 35, 3), "flow": (9, 33, 35, 2)}


@pytest.fixture(scope="module")
def joint():
    keras.utils.set_random_seed(1)
    return two_stream_i3d(**SMALL)


def test_full_size_has_the_parameters_of_the_release():
    released = 12_704_544 + 12_682_592
    assert (
        two_stream_i3d().count_params()
        == architecture_complexity("two_stream_i3d").parameters
        == released
    )


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_one_stream_is_i3d(stream, random_clips):
    model = two_stream_i3d(stream, **SMALL)
    i3d = inception_i3d(input_shape=(None, None, None, SHAPES[stream][-1]), **SMALL)
    assert [v.path for v in model.weights] == [v.path for v in i3d.weights]
    i3d.set_weights(model.get_weights())
    clips = random_clips(SHAPES[stream], 2)
    np.testing.assert_array_equal(np.array(model(clips)), np.array(i3d(clips)))


def test_joint_adds_the_logits(joint, random_clips):
    clips = random_clips(SHAPES, 2)
    parts = [np.array(joint.get_layer(f"{s}_stream")(clips[s])) for s in SHAPES]
    np.testing.assert_allclose(np.array(joint(clips)), sum(parts), rtol=1e-5, atol=1e-6)
    assert joint.name == "two_stream_i3d"
    assert joint.get_layer("flow_stream").get_layer("Mixed_5c").output.shape[-1] == 64


def test_variables_begin_with_their_stream(joint):
    paths = [variable.path for variable in joint.weights]
    half = len(paths) // 2
    i3d = [variable.path for variable in inception_i3d(**SMALL).weights]
    assert paths[:half] == [f"rgb_stream/{path}" for path in i3d]
    assert paths[half:] == [f"flow_stream/{path}" for path in i3d]


@pytest.mark.slow
def test_it_overfits_eight_clips(accuracy_after_training):
    keras.utils.set_random_seed(0)
    shapes = {"rgb": (9, 32, 32, 3), "flow": (9, 32, 32, 2)}
    model = two_stream_i3d(input_shape=shapes, classes=4, width_multiplier=1 / 16)
    assert accuracy_after_training(model, shapes, learning_rate=0.1, steps=10) == 1.0


def test_it_saves_and_loads(joint, random_clips, assert_saves):
    assert_saves(joint, random_clips(SHAPES, 2))


def test_mixed_precision(random_clips, assert_float32_logits):
    assert_float32_logits(lambda: two_stream_i3d(**SMALL), random_clips(SHAPES, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stream": "depth"}, r"`stream` must be one of \('rgb', 'flow', 'joint'\).*'depth'"),
        ({"stream": "rgb", "input_shape": (8, 64, 64, 3)}, "T >= 9 or None; received"),
        ({"stream": "flow", "input_shape": (9, 64, 64, 3)}, "C = 2 for flow; received"),
        ({"input_shape": (9, 64, 64, 3)}, r"each of \('rgb', 'flow'\)"),
        ({"fusion": "max"}, "`fusion` must be one of"),
    ],
)
def test_what_cannot_work_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_stream_i3d(**arguments)
