import keras
import numpy as np
import pytest

from i3d_tf.models.c3d import c3d
from i3d_tf.specs.baselines import C3D, C3D_DENSE
from i3d_tf.specs.complexity import architecture_complexity
from i3d_tf.specs.geometry import endpoint_shapes

SMALL = {"input_shape": (16, 32, 32, 3), "classes": 5, "width_multiplier": 1 / 16}


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(1)
    return c3d(**SMALL)


def test_full_size_has_the_shapes_and_the_parameters_of_the_table():
    model = c3d()
    shapes = endpoint_shapes(C3D, (16, 112, 112, 3))
    assert shapes["pool1"] == (8, 56, 56, 64)  # time is halved by the first pool
    assert shapes["pool5"] == (1, 4, 4, 512)
    for name, shape in shapes.items():
        assert model.get_layer(name).output.shape == (None, *shape)
    for row in C3D_DENSE:
        assert model.get_layer(row.name).output.shape == (None, 4096)
    assert model.output_shape == (None, 400)
    assert model.count_params() == architecture_complexity("c3d").parameters == 79_656_464


@pytest.mark.parametrize("shape", [(16, 32, 32, 3), (16, 80, 80, 3), (20, 33, 47, 2)])
def test_other_sizes(shape, random_clips):
    model = c3d(**SMALL | {"input_shape": shape})
    assert (
        model.count_params() == architecture_complexity("c3d", {"rgb": shape}, 5, 1 / 16).parameters
    )
    assert np.array(model(random_clips(shape, 2))).shape == (2, 5)


def test_variables(small):
    paths = [variable.path for variable in small.weights]
    assert paths[:2] == ["conv1a/conv_3d/kernel", "conv1a/batch_norm/beta"]
    assert "fc6/dense/kernel" in paths
    assert "fc7/batch_norm/moving_variance" in paths
    assert paths[-2:] == ["Logits/kernel", "Logits/bias"]


def test_dropout_acts_in_training_only(small, random_clips):
    clips = random_clips(SMALL["input_shape"], 2)
    model = c3d(dropout_rate=0.5, **SMALL)
    model.set_weights(small.get_weights())
    np.testing.assert_array_equal(np.array(model(clips)), np.array(small(clips)))
    first, second = (np.array(model(clips, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 0


@pytest.mark.slow
def test_it_overfits_eight_clips(accuracy_after_training):
    keras.utils.set_random_seed(0)
    shape = (16, 48, 48, 3)
    model = c3d(shape, classes=4, width_multiplier=1 / 16)
    assert accuracy_after_training(model, shape, learning_rate=0.03, steps=15) == 1.0


def test_it_saves_and_loads(small, random_clips, assert_saves):
    assert_saves(small, random_clips(SMALL["input_shape"], 2))


def test_mixed_precision(random_clips, assert_float32_logits):
    assert_float32_logits(lambda: c3d(**SMALL), random_clips(SMALL["input_shape"], 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (15, 112, 112, 3)}, r"T >= 16; received \(15,"),
        ({"input_shape": (None, 112, 112, 3)}, r"T >= 16; received \(None,"),
        ({"input_shape": (16, None, 112, 3)}, "H >= 32; received"),
        ({"input_shape": (16, 112, 31, 3)}, "W >= 32"),
        ({"input_shape": (16, 112, 112, 4)}, "C = 3 for rgb, 2 for flow"),
        ({"input_shape": (112, 112, 3)}, r"\(T, H, W, C\)"),
        ({"classes": 0}, "classes"),
        ({"dropout_rate": 1.0}, "dropout_rate"),
        ({"width_multiplier": -1}, "width_multiplier"),
    ],
)
def test_what_cannot_work_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        c3d(**arguments)
