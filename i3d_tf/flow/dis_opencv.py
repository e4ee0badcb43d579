"""DIS, a faster algorithm than TV-L1, on which the released weights were not trained.

Kroeger, Timofte, Dai and Van Gool, "Fast Optical Flow using Dense Inverse Search" (ECCV 2016), in
OpenCV's version.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from i3d_tf.flow.tvl1 import check_pairs
from i3d_tf.specs.validation import check_choice

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


@dataclass(frozen=True)
class DISParameters:
    """Parameters of DIS optical flow.

    Attributes:
        preset: Name of OpenCV's set of parameters: "ultrafast", "fast" or "medium".

    Raises:
        ValueError: There is no such set.
    """

    preset: str = "medium"

    def __post_init__(self):
        check_choice("preset", self.preset, PRESETS)


def flow_between(
    previous: np.ndarray, following: np.ndarray, parameters: DISParameters
) -> np.ndarray:
    """Computes the optical flow of each pair of frames.

    Args:
        previous: Grey (N, H, W), uint8 or float within [0, 255], H and W at least 16; float is
            rounded to uint8, which is all that DIS takes.
        following: Like `previous`: the frame after each of them.
        parameters: Parameters.

    Returns:
        float32 (N, H, W, 2), x then y, pixels per frame.
    """
    check_pairs(previous, following)
    # A new one in each call: nothing that it remembers reaches the next clip.
    engine = cv2.DISOpticalFlow_create(PRESETS[parameters.preset])  # type: ignore[attr-defined]
    flow = np.empty((*previous.shape, 2), np.float32)
    for index in range(len(previous)):
        flow[index] = engine.calc(_as_uint8(previous[index]), _as_uint8(following[index]), None)
    return flow


def _as_uint8(frame):
    rounded = frame if frame.dtype == np.uint8 else np.rint(frame).astype(np.uint8)
    return np.ascontiguousarray(rounded)
