import keras
import numpy as np
import pytest
from fixtures.networks import TINY

from i3d_tf import zoo
from i3d_tf.inflation.kernels import adapt_channels, inflate_inception, inflate_kernel
from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import FIRST_KERNEL, FIRST_KERNEL_2D, I3D, widen
from i3d_tf.weights.assign import assign_weights, read_weights

SIZE = (33, 35)
TOLERANCE = 1e-4  # of an endpoint's standard deviation, see `frozen_video`


@pytest.fixture
def kernel():
    """A (1, 1, 3, 2) kernel: the first filter gives r + 2g + 6b, the second 3r."""
    return np.array([[1, 3], [2, 0], [6, 0]], "float32")[None, None]


@pytest.mark.parametrize("time_steps", [1, 2, 3, 7])
def test_inflate_kernel_repeats_it_over_time(kernel, time_steps):
    inflated = inflate_kernel(kernel, time_steps)
    assert inflated.shape == (time_steps, 1, 1, 3, 2)
    assert inflated.dtype == np.float32
    for time_slice in inflated:
        np.testing.assert_array_equal(time_slice, kernel / np.float32(time_steps))


@pytest.mark.parametrize(("time_steps", "middle"), [(1, 0), (2, 0), (3, 1), (4, 1), (7, 3)])
def test_inflate_kernel_from_the_centre_fills_the_middle_only(kernel, time_steps, middle):
    inflated = inflate_kernel(kernel, time_steps, init="centre")
    np.testing.assert_array_equal(inflated[middle], kernel)
    assert np.count_nonzero(np.delete(inflated, middle, axis=0)) == 0


@pytest.mark.parametrize("init", ["repeat", "centre"])
def test_inflate_kernel_adds_up_to_the_kernel(init):
    kernel = np.random.default_rng(0).normal(size=(3, 5, 4, 6))
    inflated = inflate_kernel(kernel, 3, init)
    # Three thirds in float64.
    np.testing.assert_allclose(inflated.sum(axis=0), kernel, rtol=1e-15)


def test_adapt_channels_shares_the_response(kernel):
    """On a grey pixel of 1 the filters give 9 and 3; each of two channels gives half."""
    adapted = adapt_channels(kernel, 2)
    np.testing.assert_array_equal(adapted[0, 0], [[4.5, 1.5], [4.5, 1.5]])


@pytest.mark.parametrize("channels", [1, 2, 4, 10])
@pytest.mark.parametrize("shape", [(3, 3, 3, 8), (7, 3, 3, 3, 8)])
def test_adapt_channels_keeps_the_response_to_equal_channels(shape, channels):
    kernel = np.random.default_rng(0).normal(size=shape)
    adapted = adapt_channels(kernel, channels)
    assert adapted.shape == (*shape[:-2], channels, 8)
    # Ten additions in float64.
    np.testing.assert_allclose(adapted.sum(axis=-2), kernel.sum(axis=-2), atol=1e-14)
    np.testing.assert_array_equal(adapted, np.broadcast_to(adapted[..., :1, :], adapted.shape))


def test_adapt_channels_to_the_same_number_copies(kernel):
    adapted = adapt_channels(kernel, 3)
    np.testing.assert_array_equal(adapted, kernel)
    adapted[:] = 0
    assert kernel[0, 0, 1, 0] == 2


def test_integer_kernels_become_floating_point():
    ones = np.ones((1, 1, 3, 1), "int64")
    assert inflate_kernel(ones, 2).dtype == np.float32
    assert inflate_kernel(ones, 2).max() == 0.5
    assert adapt_channels(ones, 2).max() == 1.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((3, 3, 3)), 3), r"4 axes.*\(3, 3, 3\)"),
        ((np.ones((1, 3, 3, 3, 3)), 3), "4 axes"),
        ((np.ones((3, 3, 3, 8), "complex64"), 3), "complex64"),
        ((np.ones((3, 3, 3, 8)), 0), "`time_steps` must be an integer >= 1; received 0"),
        ((np.ones((3, 3, 3, 8)), 3, "center"), r"\('repeat', 'centre'\); received 'center'"),
    ],
)
def test_inflate_kernel_checks_its_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        inflate_kernel(*arguments)


@pytest.mark.parametrize(
    ("kernel", "channels", "message"),
    [
        (np.ones((3, 8)), 2, "4 or 5 axes"),
        (np.ones((3, 3, 3, 8)), 0, "`channels` must be an integer >= 1; received 0"),
    ],
)
def test_adapt_channels_checks_its_arguments(kernel, channels, message):
    with pytest.raises(ValueError, match=message):
        adapt_channels(kernel, channels)


# ---- Inception-v1


@pytest.fixture(scope="module")
def flat(tiny_network):
    return tiny_network("inception_v1")


@pytest.fixture(scope="module")
def deep(flat, build_tiny):
    """The I3D of the 2D network."""
    model = build_tiny("inception_i3d")
    assign_weights(model, inflate_inception(read_weights(flat)))
    return model


def mixed_5c(model, inputs):
    """Returns the outputs of the last endpoint before the head."""
    return np.array(keras.Model(model.input, model.get_layer("Mixed_5c").output)(inputs))


def test_inflate_inception_gives_the_image_outputs_for_a_frozen_video(flat, deep, frozen_video):
    image = np.random.default_rng(0).uniform(-1, 1, (1, *SIZE, 3)).astype("float32")
    # So many frames that no padding reaches some steps of Mixed_5c.
    frozen_video(flat, deep, image, np.repeat(image[:, None], 136, axis=1))


def test_inflate_inception_is_what_the_general_inflation_computes(flat, deep):
    """Another way to the same network: the layers one by one, and a rule instead of the table."""
    general = zoo.inflate(keras.Model(flat.input, flat.get_layer("Mixed_5c").output))
    clip = np.random.default_rng(1).uniform(-1, 1, (1, 20, *SIZE, 3)).astype("float32")
    expected = np.array(general(clip))
    assert np.abs(mixed_5c(deep, clip) - expected).max() <= TOLERANCE * expected.std()


def test_inflate_inception_from_the_centre_depends_on_single_frames(flat, build_tiny):
    """Nothing but the middle frame counts: no step depends on the padding."""
    model = build_tiny("inception_i3d")
    assign_weights(model, inflate_inception(read_weights(flat), init="centre"))
    image = np.random.default_rng(0).uniform(-1, 1, (1, *SIZE, 3)).astype("float32")
    outputs = mixed_5c(model, np.repeat(image[:, None], 9, axis=1))
    expected = mixed_5c(flat, image)
    assert np.abs(outputs - expected[:, None]).max() <= TOLERANCE * expected.std()


@pytest.mark.parametrize("channels", [None, 2, 3])
def test_inflate_inception_has_every_variable_of_i3d(flat, channels):
    rows = tuple(widen(row, TINY) for row in I3D)
    arrays = inflate_inception(read_weights(flat), channels)
    expected = variable_shapes(rows, channels or 3, classes=5)
    assert {path: value.shape for path, value in arrays.items()} == expected


def test_inflate_inception_adapts_the_first_kernel(flat):
    kernel = read_weights(flat)[FIRST_KERNEL_2D]
    adapted = inflate_inception(read_weights(flat), channels=2)[FIRST_KERNEL]
    np.testing.assert_array_equal(adapted, inflate_kernel(adapt_channels(kernel, 2), 7))


def test_inflate_inception_repeats_kernels_and_keeps_the_head(flat):
    name = "Mixed_4c/Branch_1/Conv2d_0b_3x3/conv_2d/kernel"
    kernel = read_weights(flat)[name]
    arrays = inflate_inception(read_weights(flat))
    slices = arrays["Mixed_4c/Branch_1/Conv3d_0b_3x3/conv_3d/kernel"]
    for part in slices:
        np.testing.assert_array_equal(part, kernel / np.float32(3))
    head = "Logits/Conv{0}d_0c_1x1/conv_{0}d/"
    for kind in ("kernel", "bias"):
        expected = read_weights(flat)[head.format(2) + kind]
        np.testing.assert_array_equal(
            arrays[head.format(3) + kind].reshape(expected.shape), expected
        )
