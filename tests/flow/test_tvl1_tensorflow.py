import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.flow.tvl1 import DEFAULT, TVL1Parameters
from i3d_tf.flow.tvl1_tensorflow import (
    FIXED_STEPS,
    FIXED_STEPS_COARSEST,
    flow_between,
    flow_function,
    median_filter,
    step_limits,
)

QUICK = TVL1Parameters(scales=1, warps=2)  # compiles sooner, on one level of the pyramid
SIZE = (32, 40)


@pytest.fixture(scope="module")
def pairs():
    """A smooth texture, moved right by 1, at rest, and moved down by 1: float32 (3, 32, 40)."""
    noise = np.random.default_rng(0).uniform(0, 255, (34, 42)).astype(np.float32)
    smooth = np.clip(3 * (cv2.GaussianBlur(noise, (0, 0), 2) - 127) + 127, 0, 255)
    still, right, down = smooth[1:-1, 1:-1], smooth[1:-1, :-2], smooth[:-2, 1:-1]
    return np.stack([still] * 3), np.stack([right, still, down])


@pytest.fixture(scope="module")
def flow(pairs):
    """The flow of `pairs`, one at a time."""
    return flow_function(*SIZE, QUICK, batch=1)(*pairs).numpy()


def test_the_flow_is_the_motion(flow):
    middle = flow[:, 10:-10, 10:-10].mean(axis=(1, 2))
    np.testing.assert_allclose(middle, [[1, 0], [0, 0], [0, 1]], atol=0.1)
    assert not flow[1].any()


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_a_pair_stops_when_it_has_converged_whatever_the_batch(pairs, flow, batch):
    together = flow_function(*SIZE, QUICK, batch=batch)(*pairs)
    # The same steps on the same numbers; only the order of sums may differ.
    np.testing.assert_allclose(together, flow, atol=1e-4)


def test_any_number_of_pairs_is_one_trace(pairs, flow):
    compute = flow_function(*SIZE, QUICK, batch=1)
    for number in (0, 1, 2, 3):
        result = compute(pairs[0][:number], pairs[1][:number])
        np.testing.assert_array_equal(result, flow[:number])
    assert compute.experimental_get_tracing_count() == 1


def test_it_nests_in_a_compiled_function(pairs, flow):
    compute = flow_function(*SIZE, QUICK, batch=1)

    @tf.function(jit_compile=True)
    def twice_the_flow(previous, following):
        return 2 * compute(previous, following)

    np.testing.assert_allclose(twice_the_flow(*map(tf.constant, pairs)), 2 * flow, atol=1e-4)


def test_a_saved_model_needs_no_i3d_tf(pairs, flow, tmp_path):
    module = tf.Module()
    module.flow = flow_function(*SIZE, QUICK, batch=2)
    tf.saved_model.save(module, str(tmp_path / "flow"))
    np.save(tmp_path / "pairs.npy", np.stack(pairs))
    code = """
import sys, numpy, tensorflow
compute = tensorflow.saved_model.load("flow").flow
numpy.save("result.npy", compute(*map(tensorflow.constant, numpy.load("pairs.npy"))))
assert not any(name.startswith("i3d_tf") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "result.npy"), flow, atol=1e-4)


def test_frames_of_any_size_are_one_trace(pairs, flow):
    any_size = flow_function(None, None, QUICK, batch=1, short_side=min(SIZE))
    # The same steps on the same numbers; only how they are compiled may differ.
    np.testing.assert_allclose(any_size(*pairs), flow, atol=1e-4)
    transposed = [images.swapaxes(1, 2) for images in pairs]
    swapped = any_size(*transposed).numpy().swapaxes(1, 2)[..., ::-1]
    np.testing.assert_allclose(swapped[:, 10:-10, 10:-10], flow[:, 10:-10, 10:-10], atol=0.1)
    assert any_size.experimental_get_tracing_count() == 1


def test_any_size_needs_the_short_side():
    with pytest.raises(ValueError, match="`short_side` must be given where `height` or"):
        flow_function(None, 64)


def test_the_fixed_schedule_finds_the_motion_too(pairs, flow):
    fixed = flow_between(*pairs, QUICK, schedule="fixed")
    # Neither has quite converged, by about 0.05 pixels (epsilon for each of five last steps).
    np.testing.assert_allclose(fixed[:, 8:-8, 8:-8], flow[:, 8:-8, 8:-8], atol=0.1)
    assert not fixed[1].any()


def test_early_stopping_may_take_all_iterations_after_each_median():
    expected = np.tile([30] * 10 + [0], (5, 1))
    np.testing.assert_array_equal(
        step_limits(DEFAULT, "early_stop", coarsest=False).steps, expected
    )


def test_fixed_steps_go_on_like_their_last_row():
    assert step_limits(DEFAULT, "fixed", False).steps.tolist() == [
        [30, 20, 0],
        [15, 0, 0],
        *[[10, 0, 0]] * 3,
    ]
    more = step_limits(TVL1Parameters(warps=7), "fixed", coarsest=True).steps
    assert more[4:].tolist() == [[20, 0, 0, 0]] * 3
    assert len(FIXED_STEPS) == len(FIXED_STEPS_COARSEST) == DEFAULT.warps


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match=r"`schedule` must be one of .*; received 'slow'"):
        flow_function(64, 64, schedule="slow")


@pytest.mark.parametrize("size", [(23, 37), (1, 1), (2, 3)])
def test_the_median_is_opencv_s(size):
    noise = np.random.default_rng(0).random((2, *size)).astype(np.float32)
    expected = [cv2.medianBlur(image, 5).reshape(size) for image in noise]
    np.testing.assert_array_equal(median_filter(tf.constant(noise)), expected)
