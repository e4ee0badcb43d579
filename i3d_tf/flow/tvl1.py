"""Parameters, pyramid sizes and checks of frames that all TV-L1 engines share.

The method is Zach, Pock and Bischof, "A Duality Based Approach for Realtime TV-L1 Optical Flow"
(DAGM 2007), as written down by Perez, Meinhardt-Llopis and Facciolo, "TV-L1 Optical Flow
Estimation" (IPOL 2013). The released flow checkpoints were trained on flow made with OpenCV's
version of it at these defaults.
"""

from dataclasses import dataclass

import numpy as np

from i3d_tf.specs.validation import check_integer, check_number, check_positive

# In pixels: no level of the pyramid has a shorter side (OpenCV's rule), and no frame may.
MIN_SIDE = 16
MEDIAN_SIDES = (1, 5)


@dataclass(frozen=True)
class TVL1Parameters:
    """Parameters of TV-L1 optical flow, named after the symbols of the IPOL paper.

    Attributes:
        tau: Time step of the dual update; converges for tau <= 0.25.
        lambda_: Weight of the data term; smaller gives smoother flow.
        theta: Tightness of the coupling between the data and the smoothness term.
        scales: Levels of the image pyramid, at most; none has a side under 16 pixels.
        scale_step: Size of one level over the size of the level below it.
        warps: Warps of the second image per level.
        epsilon: Stop when the root mean square change of the flow, in pixels, falls below this.
        inner_iterations: Primal-dual steps between two median filters.
        outer_iterations: Median filters per warp.
        median: Side of the median filter in pixels: 5, or 1 to switch it off.

    Raises:
        ValueError: A parameter is out of range.
    """

    tau: float = 0.25
    lambda_: float = 0.15
    theta: float = 0.3
    scales: int = 5
    scale_step: float = 0.8
    warps: int = 5
    epsilon: float = 0.01
    inner_iterations: int = 30
    outer_iterations: int = 10
    median: int = 5

    def __post_init__(self):
        for name in ("tau", "lambda_", "theta", "scale_step"):
            check_positive(name, getattr(self, name))
        check_number("tau", self.tau, maximum=0.25)
        check_number("epsilon", self.epsilon, minimum=0)
        for name in ("scales", "warps", "inner_iterations", "outer_iterations"):
            check_integer(name, getattr(self, name), minimum=1)
        if self.scale_step >= 1:
            raise ValueError(f"`scale_step` must be a number < 1; received {self.scale_step!r}.")
        if self.median not in MEDIAN_SIDES:
            raise ValueError(f"`median` must be one of {MEDIAN_SIDES}; received {self.median!r}.")


DEFAULT = TVL1Parameters()
# 1.6 to 1.7 times as fast, by fewer warps. Against the default parameters, on three real clips at
# short side 256, the mean end-point error is 0.03 to 0.11 pixels, its 95th percentile 0.12 to 0.33,
# and 0.5 to 3.6 % of the pixels are off by more than half a pixel.
FAST = TVL1Parameters(warps=2)


def pyramid_sizes(height: int, width: int, parameters: TVL1Parameters) -> list[tuple[int, int]]:
    """Returns (height, width) of each level of the image pyramid, from the full size down.

    Args:
        height: Height of the frames in pixels.
        width: Width of the frames in pixels.
        parameters: Parameters.
    """
    sizes = [(height, width)]
    while len(sizes) < parameters.scales:
        height, width = (round(side * parameters.scale_step) for side in sizes[-1])
        if min(height, width) < MIN_SIDE:
            break
        sizes.append((height, width))
    return sizes


def check_pairs(previous: np.ndarray, following: np.ndarray) -> None:
    """Raises ValueError unless an engine can compute the flow between these frames.

    Args:
        previous: To be grey (N, H, W), uint8 or float within [0, 255]; N may be 0.
        following: To be like `previous`.
    """
    if previous.shape != following.shape or previous.dtype != following.dtype:
        raise ValueError(
            "`previous` and `following` must be alike; received "
            f"{previous.dtype} {previous.shape} and {following.dtype} {following.shape}."
        )
    if previous.ndim != 3 or min(previous.shape[1:]) < MIN_SIDE:
        raise ValueError(
            f"`previous` must be grey (N, H, W), H and W at least {MIN_SIDE} pixels; received "
            f"shape {previous.shape}."
        )
    is_float = np.issubdtype(previous.dtype, np.floating)
    if previous.dtype != np.uint8 and not is_float:
        raise ValueError(f"`previous` must be uint8 or float; received {previous.dtype}.")
    if is_float:
        check_levels("previous", previous)
        check_levels("following", following)


def check_levels(name: str, frames: np.ndarray) -> None:
    """Raises ValueError unless float frames lie within [0, 255].

    Args:
        name: The argument's name, for the error.
        frames: Float, any shape.
    """
    # Also rejects NaN: the engines are compiled for finite numbers only.
    if frames.size and not (frames.min() >= 0 and frames.max() <= 255):
        raise ValueError(
            f"`{name}` of float must lie within [0, 255]; received values from "
            f"{frames.min():g} to {frames.max():g}."
        )
