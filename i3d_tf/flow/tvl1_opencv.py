"""The reference TV-L1 engine: OpenCV's, whose flow the released weights expect."""

import cv2
import numpy as np

from i3d_tf.flow.tvl1 import TVL1Parameters


def flow_between(
    previous: np.ndarray, following: np.ndarray, parameters: TVL1Parameters
) -> np.ndarray:
    """Computes the optical flow of each pair of frames, by OpenCV's DualTVL1OpticalFlow.

    Args:
        previous: Grey (N, H, W), uint8 or float32 within [0, 255].
        following: Like `previous`: the frame after each of them.
        parameters: Parameters.

    Returns:
        float32 (N, H, W, 2), x then y, pixels per frame.
    """
    engine = _make_engine(parameters)
    flow = np.empty((*previous.shape, 2), np.float32)
    for index in range(len(previous)):
        flow[index] = engine.calc(_as_opencv(previous[index]), _as_opencv(following[index]), None)
    return flow


def _make_engine(parameters):
    # Never kept from call to call: OpenCV lowers the number of pyramid levels for good when it
    # meets small frames, and would then compute another flow for the large ones that follow.
    engine = cv2.optflow.DualTVL1OpticalFlow_create()
    engine.setTau(parameters.tau)
    engine.setLambda(parameters.lambda_)
    engine.setTheta(parameters.theta)
    engine.setScalesNumber(parameters.scales)
    engine.setScaleStep(parameters.scale_step)
    engine.setWarpingsNumber(parameters.warps)
    engine.setEpsilon(parameters.epsilon)
    engine.setInnerIterations(parameters.inner_iterations)
    engine.setOuterIterations(parameters.outer_iterations)
    engine.setMedianFiltering(parameters.median)
    return engine


def _as_opencv(frame):
    # OpenCV multiplies float frames by 255, because it expects them within [0, 1]; uint8 it takes
    # as it is.
    return frame if frame.dtype == np.uint8 else frame / np.float32(255)
