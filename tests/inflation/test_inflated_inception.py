import keras
import numpy as np
import pytest

from i3d_tf import zoo
from i3d_tf.inflation.kernels import inflate_inception
from i3d_tf.models.inception import inception_i3d, inception_v1
from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import I3D, widen
from i3d_tf.weights.assign import assign_weights, read_weights

SMALL = {"width_multiplier": 1 / 8, "classes": 5}
SIZE = (33, 35)
FRAMES = 136  # so that there are steps of Mixed_5c which no padding reaches
TOLERANCE = 1e-4  # of an endpoint's standard deviation, see `frozen_video`


@pytest.fixture(scope="module")
def flat():
    """A 2D network whose batch norm is not trivial, so that a mistake in it shows."""
    keras.utils.set_random_seed(3)
    model = inception_v1(**SMALL)
    generator = np.random.default_rng(3)
    for variable in model.variables:
        if "/batch_norm/" in variable.path:
            low = 0.5 if variable.path.endswith("variance") else -0.2
            variable.assign(generator.uniform(low, low + 0.4, variable.shape))
    return model


def inflated(flat, channels, init="repeat"):
    """The I3D made from a 2D network."""
    model = inception_i3d(input_shape=(None, None, None, channels), **SMALL)
    assign_weights(model, inflate_inception(read_weights(flat), channels, init))
    return model


def mixed_5c(model, inputs):
    """What the last endpoint before the head answers."""
    return np.array(keras.Model(model.input, model.get_layer("Mixed_5c").output)(inputs))


def test_a_frozen_video_is_answered_as_its_picture(flat, frozen_video):
    image = np.random.default_rng(0).uniform(-1, 1, (1, *SIZE, 3)).astype("float32")
    clip = np.repeat(image[:, None], FRAMES, axis=1)
    frozen_video(flat, inflated(flat, 3), image, clip)


def test_from_the_centre_every_step_is(flat):
    """Nothing but the middle frame is looked at: no step knows of the padding."""
    image = np.random.default_rng(0).uniform(-1, 1, (1, *SIZE, 3)).astype("float32")
    found = mixed_5c(inflated(flat, 3, "centre"), np.repeat(image[:, None], 9, axis=1))
    expected = mixed_5c(flat, image)
    assert np.abs(found - expected[:, None]).max() <= TOLERANCE * expected.std()


def test_flow_of_equal_components_is_answered_as_a_grey_picture(flat, frozen_video):
    """Two channels get the sum of three: where all are equal that is the same picture."""
    grey = np.random.default_rng(0).uniform(-1, 1, (1, *SIZE, 1)).astype("float32")
    clip = np.repeat(np.repeat(grey, 2, axis=-1)[:, None], FRAMES, axis=1)
    image = np.repeat(grey, 3, axis=-1)
    frozen_video(flat, inflated(flat, 2), image, clip)


def test_is_what_the_general_inflation_computes(flat):
    """Another way to the same network: the layers one by one, and a rule instead of the table."""
    general = zoo.inflate(keras.Model(flat.input, flat.get_layer("Mixed_5c").output))
    clip = np.random.default_rng(1).uniform(-1, 1, (1, 20, *SIZE, 3)).astype("float32")
    expected = np.array(general(clip))
    found = mixed_5c(inflated(flat, 3), clip)
    assert np.abs(found - expected).max() <= TOLERANCE * expected.std()


def test_every_variable_of_i3d_is_there(flat):
    rows = tuple(widen(row, SMALL["width_multiplier"]) for row in I3D)
    for channels in (2, 3):
        arrays = inflate_inception(read_weights(flat), channels)
        expected = variable_shapes(rows, channels, SMALL["classes"])
        assert {path: value.shape for path, value in arrays.items()} == expected


def test_channels_stay_where_none_are_asked_for(flat):
    arrays = inflate_inception(read_weights(flat))
    assert arrays["Conv3d_1a_7x7/conv_3d/kernel"].shape == (7, 7, 7, 3, 8)


def test_a_kernel_is_shared_over_time(flat):
    name = "Mixed_4c/Branch_1/Conv2d_0b_3x3/conv_2d/kernel"
    kernel = read_weights(flat)[name]
    arrays = inflate_inception(read_weights(flat))
    slices = arrays["Mixed_4c/Branch_1/Conv3d_0b_3x3/conv_3d/kernel"]
    for part in slices:
        np.testing.assert_array_equal(part, kernel / np.float32(3))
    # An extent of 1 changes nothing, and so it is with biases.
    head = "Logits/Conv{0}d_0c_1x1/conv_{0}d/"
    for kind in ("kernel", "bias"):
        expected = read_weights(flat)[head.format(2) + kind]
        np.testing.assert_array_equal(
            arrays[head.format(3) + kind].reshape(expected.shape), expected
        )
