import numpy as np
import pytest

from i3d_tf.inflation.kernels import adapt_channels, inflate_kernel


@pytest.fixture
def kernel():
    """A (1, 1, 3, 2) kernel: the first filter answers r + 2g + 6b, the second 3r."""
    return np.array([[1, 3], [2, 0], [6, 0]], "float32")[None, None]


@pytest.mark.parametrize("extent", [1, 2, 3, 7])
def test_repeat_shares_the_kernel_over_time(kernel, extent):
    inflated = inflate_kernel(kernel, extent)
    assert inflated.shape == (extent, 1, 1, 3, 2)
    assert inflated.dtype == np.float32
    for time_slice in inflated:
        np.testing.assert_array_equal(time_slice, kernel / np.float32(extent))


@pytest.mark.parametrize(("extent", "middle"), [(1, 0), (2, 0), (3, 1), (4, 1), (7, 3)])
def test_centre_fills_the_middle_slice_only(kernel, extent, middle):
    inflated = inflate_kernel(kernel, extent, init="centre")
    np.testing.assert_array_equal(inflated[middle], kernel)
    assert np.count_nonzero(np.delete(inflated, middle, axis=0)) == 0


@pytest.mark.parametrize("init", ["repeat", "centre"])
def test_time_slices_add_up_to_the_kernel(init):
    kernel = np.random.default_rng(0).normal(size=(3, 5, 4, 6))
    inflated = inflate_kernel(kernel, 3, init)
    # Three thirds in float64.
    np.testing.assert_allclose(inflated.sum(axis=0), kernel, rtol=1e-15)


def test_channels_share_what_the_kernel_answered(kernel):
    """On a grey pixel of 1 the filters answered 9 and 3; each of two channels gives half."""
    adapted = adapt_channels(kernel, 2)
    np.testing.assert_array_equal(adapted[0, 0], [[4.5, 1.5], [4.5, 1.5]])


@pytest.mark.parametrize("channels", [1, 2, 4, 10])
@pytest.mark.parametrize("shape", [(3, 3, 3, 8), (7, 3, 3, 3, 8)])
def test_response_to_equal_channels_stays(shape, channels):
    kernel = np.random.default_rng(0).normal(size=shape)
    adapted = adapt_channels(kernel, channels)
    assert adapted.shape == (*shape[:-2], channels, 8)
    # Ten additions in float64.
    np.testing.assert_allclose(adapted.sum(axis=-2), kernel.sum(axis=-2), atol=1e-14)
    np.testing.assert_array_equal(adapted, np.broadcast_to(adapted[..., :1, :], adapted.shape))


def test_the_same_number_of_channels_changes_nothing(kernel):
    adapted = adapt_channels(kernel, 3)
    np.testing.assert_array_equal(adapted, kernel)
    adapted[:] = 0
    assert kernel[0, 0, 1, 0] == 2


def test_whole_numbers_become_floating_point():
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
        ((np.ones((3, 3, 3, 8)), 0), "`extent`.* 0"),
        ((np.ones((3, 3, 3, 8)), 3.0), "`extent`.* 3.0"),
        ((np.ones((3, 3, 3, 8)), 3, "center"), r"\('repeat', 'centre'\); received 'center'"),
    ],
)
def test_what_cannot_be_inflated_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        inflate_kernel(*arguments)


@pytest.mark.parametrize(
    ("kernel", "channels", "message"),
    [
        (np.ones((3, 8)), 2, "4 or 5 axes"),
        (np.ones((3, 3, 3, 8)), 0, "`channels`.* 0"),
        (np.ones((3, 3, 3, 8)), True, "`channels`.* True"),
    ],
)
def test_what_cannot_be_adapted_is_named(kernel, channels, message):
    with pytest.raises(ValueError, match=message):
        adapt_channels(kernel, channels)
