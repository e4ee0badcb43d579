import cv2
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.flow.tvl1 import DEFAULT, TVL1Parameters
from i3d_tf.flow.tvl1_graph import (
    FIXED_STEPS,
    FIXED_STEPS_COARSEST,
    TVL1Graph,
    step_limits,
)
from i3d_tf.flow.tvl1_tensorflow import TensorFlowLibrary, flow_between, flow_function

QUICK = TVL1Parameters(scales=1, warps=2)  # compiles sooner, on one level of the pyramid
GRAPH = TVL1Graph(TensorFlowLibrary(), DEFAULT)
SIZE = (32, 40)


@pytest.fixture(scope="module")
def pairs():
    """A smooth texture, moved right by 1, at rest, and moved down by 1: float32 (3, 32, 40)."""
    noise = np.random.default_rng(0).uniform(0, 255, (34, 42)).astype(np.float32)
    smooth = np.clip(3 * (cv2.GaussianBlur(noise, (0, 0), 2) - 127) + 127, 0, 255)
    still, right, down = smooth[1:-1, 1:-1], smooth[1:-1, :-2], smooth[:-2, 1:-1]
    return np.stack([still] * 3), np.stack([right, still, down])


@pytest.fixture(scope="module")
def compute():
    """The function for one pair at a time; compiling takes seconds."""
    return flow_function(*SIZE, QUICK, batch=1)


@pytest.fixture(scope="module")
def compute_two():
    """The function for two pairs at a time."""
    return flow_function(*SIZE, QUICK, batch=2)


@pytest.fixture(scope="module")
def flow(compute, pairs):
    """The flow of `pairs`, one at a time."""
    return compute(*pairs).numpy()


def test_flow_function_finds_motion(flow):
    middle = flow[:, 10:-10, 10:-10].mean(axis=(1, 2))
    np.testing.assert_allclose(middle, [[1, 0], [0, 0], [0, 1]], atol=0.1)
    assert not flow[1].any()


@pytest.mark.slow
def test_flow_function_does_not_depend_on_batch(compute_two, pairs, flow):
    # The same steps on the same numbers; only the order of sums may differ.
    np.testing.assert_allclose(compute_two(*pairs), flow, atol=1e-4)


def test_flow_function_of_any_number_of_pairs_is_one_trace(compute, pairs, flow):
    for number in (0, 1, 2, 3):
        result = compute(pairs[0][:number], pairs[1][:number])
        np.testing.assert_array_equal(result, flow[:number])
    assert compute.experimental_get_tracing_count() == 1


def test_flow_function_nests_in_compiled_function(compute, pairs, flow):
    @tf.function(jit_compile=True)
    def twice_the_flow(previous, following):
        return 2 * compute(previous, following)

    np.testing.assert_allclose(twice_the_flow(*map(tf.constant, pairs)), 2 * flow, atol=1e-4)


@pytest.mark.slow
def test_flow_function_is_saved_and_loaded(compute_two, pairs, flow, tmp_path):
    module = tf.Module()
    module.flow = compute_two
    tf.saved_model.save(module, str(tmp_path / "flow"))
    loaded = tf.saved_model.load(str(tmp_path / "flow")).flow
    np.testing.assert_allclose(loaded(*map(tf.constant, pairs)), flow, atol=1e-4)


def test_flow_function_of_any_size_is_one_trace(pairs, flow):
    any_size = flow_function(None, None, QUICK, batch=1, short_side=min(SIZE))
    # The same steps on the same numbers; only how they are compiled may differ.
    np.testing.assert_allclose(any_size(*pairs), flow, atol=1e-4)
    transposed = [images.swapaxes(1, 2) for images in pairs]
    swapped = any_size(*transposed).numpy().swapaxes(1, 2)[..., ::-1]
    np.testing.assert_allclose(swapped[:, 10:-10, 10:-10], flow[:, 10:-10, 10:-10], atol=0.1)
    assert any_size.experimental_get_tracing_count() == 1


def test_flow_function_of_any_size_needs_short_side():
    with pytest.raises(ValueError, match="`short_side` must be given where `height` or"):
        flow_function(None, 64)


def test_fixed_schedule_finds_motion(pairs, flow):
    fixed = flow_between(*pairs, QUICK, schedule="fixed")
    # Neither has quite converged, by about 0.05 pixels (epsilon for each of five last steps).
    np.testing.assert_allclose(fixed[:, 8:-8, 8:-8], flow[:, 8:-8, 8:-8], atol=0.1)
    assert not fixed[1].any()


def test_step_limits_of_early_stop():
    expected = np.tile([30] * 10 + [0], (5, 1))
    np.testing.assert_array_equal(
        step_limits(DEFAULT, "early_stop", coarsest=False).steps, expected
    )


def test_step_limits_of_fixed_schedule_repeat_last_row():
    assert step_limits(DEFAULT, "fixed", False).steps.tolist() == [
        [30, 20, 0],
        [15, 0, 0],
        *[[10, 0, 0]] * 3,
    ]
    more = step_limits(TVL1Parameters(warps=7), "fixed", coarsest=True).steps
    assert more[4:].tolist() == [[20, 0, 0, 0]] * 3
    assert len(FIXED_STEPS) == len(FIXED_STEPS_COARSEST) == DEFAULT.warps


def test_flow_function_refuses_unknown_schedule():
    with pytest.raises(ValueError, match=r"`schedule` must be one of .*; received 'slow'"):
        flow_function(64, 64, schedule="slow")


@pytest.mark.parametrize("size", [(23, 37), (1, 1), (2, 3)])
def test_median_filter_equals_opencv(size):
    noise = np.random.default_rng(0).random((2, *size)).astype(np.float32)
    expected = [cv2.medianBlur(image, 5).reshape(size) for image in noise]
    np.testing.assert_array_equal(GRAPH.median_filter(tf.constant(noise)), expected)


SHAPE = (24, 37)


@pytest.fixture
def images():
    """Two batches of two images, float32 (2, 24, 37)."""
    generator = np.random.default_rng(0)
    return generator.uniform(0, 255, (2, 2, *SHAPE)).astype(np.float32)


def derivatives(image):
    """Central differences with the edge repeated: OpenCV's centeredGradient."""
    padded = np.pad(image, 1, mode="edge")
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2


@pytest.mark.parametrize("scale", [0.8, 0.5, 0.37])
def test_resize_to_smaller_equals_opencv(images, scale):
    expected = cv2.resize(images[0][1], None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    smaller = GRAPH.resize(tf.constant(images[0]), expected.shape, (1 / scale, 1 / scale))
    # A few roundings of numbers below 256.
    np.testing.assert_allclose(smaller[1], expected, atol=1e-4)


def test_resize_to_larger_equals_opencv(images):
    expected = cv2.resize(images[0][1], (46, 29), interpolation=cv2.INTER_LINEAR)
    larger = GRAPH.resize(tf.constant(images[0]), (29, 46), (24 / 29, 37 / 46))
    np.testing.assert_allclose(larger[1], expected, atol=1e-4)


def test_repeat_edge_repeats_edge():
    image = tf.constant([[[1.0, 2.0], [3.0, 4.0]]])
    expected = np.pad(image[0], 2, mode="edge")
    np.testing.assert_array_equal(GRAPH.repeat_edge(image, 2)[0], expected)


def test_linearise_without_motion_reads_image_itself(images):
    previous, following = images
    data = GRAPH.linearise(
        previous, GRAPH.warp_table(tf.constant(following)), *tf.zeros((2, *images[0].shape))
    )
    for index in range(2):
        expected_x, expected_y = derivatives(following[index])
        np.testing.assert_array_equal(data.gradient_x[index], expected_x)
        np.testing.assert_array_equal(data.gradient_y[index], expected_y)
        np.testing.assert_array_equal(data.constant[index], following[index] - previous[index])
        norm = expected_x**2 + expected_y**2
        np.testing.assert_allclose(data.inverse_norm[index], 1 / norm, rtol=1e-6)


def test_linearise_between_pixels_is_opencv_s_cubic_remap(images, exact_remap):
    previous, following = images
    generator = np.random.default_rng(1)
    u1, u2 = generator.uniform(-8, 8, images.shape).astype(np.float32)  # some lead out of the image
    data = GRAPH.linearise(previous, GRAPH.warp_table(tf.constant(following)), u1, u2)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    for index in range(2):
        position = (x + u1[index], y + u2[index])
        warped, warped_x, warped_y = (
            cv2.remap(image, *position, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
            for image in (following[index], *derivatives(following[index]))
        )
        # Positions below 64 have a spacing of 4e-6, and neighbors differ by up to 255 grey levels.
        np.testing.assert_allclose(data.gradient_x[index], warped_x, atol=1e-3)
        np.testing.assert_allclose(data.gradient_y[index], warped_y, atol=1e-3)
        constant = warped - warped_x * u1[index] - warped_y * u2[index] - previous[index]
        np.testing.assert_allclose(data.constant[index], constant, atol=1e-2)


@pytest.mark.parametrize("u1", [-1000.0, 1000.0])
def test_linearise_far_outside_reads_zeros(images, u1):
    previous, following = images
    away = np.full(images[0].shape, u1, np.float32)
    data = GRAPH.linearise(previous, GRAPH.warp_table(tf.constant(following)), away, -away)
    for images_of_zeros in (data.gradient_x, data.gradient_y, data.inverse_norm):
        assert not images_of_zeros.numpy().any()
    np.testing.assert_array_equal(data.constant, -previous)


def test_linearise_of_flat_image_has_no_gradient():
    flat = tf.fill((1, *SHAPE), 77.0)
    data = GRAPH.linearise(
        flat - 10, GRAPH.warp_table(flat), tf.zeros_like(flat), tf.zeros_like(flat)
    )
    for images_of_zeros in (data.gradient_x, data.gradient_y, data.inverse_norm):
        assert not images_of_zeros.numpy().any()
    np.testing.assert_array_equal(data.constant, tf.fill((1, *SHAPE), 10.0))
