import cv2
import numpy as np
import pytest

from i3d_tf.flow.tvl1 import TVL1Parameters
from i3d_tf.flow.tvl1_opencv import flow_between


@pytest.fixture(scope="module")
def pair():
    """Two uint8 (64, 64) frames; in the second the content is 1 pixel further right."""
    noise = np.random.default_rng(0).random((64, 65)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    texture = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return np.ascontiguousarray(texture[:, 1:]), np.ascontiguousarray(texture[:, :-1])


def test_flow_between_with_defaults_is_opencv_s(pair):
    expected = cv2.optflow.DualTVL1OpticalFlow_create().calc(*pair, None)
    flow = flow_between(pair[0][np.newaxis], pair[1][np.newaxis], TVL1Parameters())
    np.testing.assert_array_equal(flow[0], expected)


def test_flow_between_treats_pairs_alone(pair):
    first, second = pair
    previous, following = np.stack([first, second, first]), np.stack([second, first, first])
    flow = flow_between(previous, following, TVL1Parameters())
    assert flow.shape == (3, 64, 64, 2)
    for index in range(3):
        alone = flow_between(previous[index][None], following[index][None], TVL1Parameters())
        np.testing.assert_array_equal(flow[index], alone[0])
    assert (flow[2] == 0).all()


def test_flow_between_of_float_frames_equals_uint8(pair):
    as_uint8 = flow_between(pair[0][None], pair[1][None], TVL1Parameters())
    as_float = flow_between(
        pair[0][None].astype(np.float32), pair[1][None].astype(np.float32), TVL1Parameters()
    )
    np.testing.assert_array_equal(as_float, as_uint8)


def test_flow_between_does_not_depend_on_frames_before(pair):
    before = flow_between(pair[0][None], pair[1][None], TVL1Parameters())
    flow_between(pair[0][None, :16, :16], pair[1][None, :16, :16], TVL1Parameters())
    np.testing.assert_array_equal(
        flow_between(pair[0][None], pair[1][None], TVL1Parameters()), before
    )


@pytest.mark.parametrize(
    "change",
    [
        {"tau": 0.1},
        {"lambda_": 0.05},
        {"theta": 0.1},
        {"scales": 1},
        {"scale_step": 0.5},
        {"warps": 1},
        {"epsilon": 0.5},
        {"inner_iterations": 1},
        {"outer_iterations": 1},
        {"median": 1},
    ],
)
def test_flow_between_depends_on_every_parameter(pair, change):
    default = flow_between(pair[0][None], pair[1][None], TVL1Parameters())
    changed = flow_between(pair[0][None], pair[1][None], TVL1Parameters(**change))
    assert not np.array_equal(changed, default)
