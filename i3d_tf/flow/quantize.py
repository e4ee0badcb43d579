"""Flow in 8 bits, as it is stored: code = (flow + 20) * 255 / 40, and its inverse.

One code spans 40 / 255 = 0.157 pixels, so unpacked flow is within 0.0785 pixels of what was packed
(and within +-20). Zero flow lies halfway between codes 127 and 128:

rounding   code of zero   unpacked to
nearest    128            20 / 255 = 0.0784 pixels, as near as codes that reach both ends can come
floor      127            0, since a code that was truncated stands for the middle of its span
deepmind   127            -0.0784 pixels

Codes that another program truncated must be unpacked as "floor": read as "nearest" they are half a
code, 0.0784 pixels, too low everywhere. DeepMind's networks were trained on just that, codes that
were truncated and then read as if they had not been, which "deepmind" repeats: zero flow is
-0.0039 in a network's input.

The program video_features rounds 128 + flow * 255 / 40 to the nearest, halves to even, without a
limit: zero flow is 20 / 255 pixels, and 20 pixels get the code 256, which only `through_codes` can
give ("video_features").
"""

import numpy as np

from i3d_tf.specs.streams import FLOW_BOUND, FLOW_ROUNDINGS
from i3d_tf.specs.validation import check_choice

CODES_PER_PIXEL = 255 / (2 * FLOW_BOUND)


VIDEO_FEATURES = "video_features"


def check_rounding(rounding: str | None) -> str | None:
    """Returns a rounding, or None; raises ValueError where there is none of that name."""
    if rounding is not None:
        check_choice("flow_rounding", rounding, FLOW_ROUNDINGS)
    return rounding


def quantize(flow: np.ndarray, rounding: str = "nearest") -> np.ndarray:
    """Packs flow into 8 bits.

    Args:
        flow: float array of any shape, pixels per frame; what exceeds +-20 is truncated
            (arXiv:1705.07750).
        rounding: "nearest" (halves up); "floor" or "deepmind" truncate.

    Returns:
        uint8 of the same shape; zero flow is 128 ("nearest") or 127 (the others).
    """
    check_choice("rounding", rounding, FLOW_ROUNDINGS)
    flow = np.asarray(flow)
    if not np.issubdtype(flow.dtype, np.floating):
        raise ValueError(f"`flow` must be float, in pixels per frame; received dtype {flow.dtype}.")
    if not np.isfinite(flow).all():
        raise ValueError("`flow` must be finite; received infinite values or NaN.")
    codes = np.clip(flow, -FLOW_BOUND, FLOW_BOUND).astype(np.float32)
    codes += np.float32(FLOW_BOUND)
    codes *= np.float32(CODES_PER_PIXEL)
    if rounding == "nearest":
        codes += np.float32(0.5)
    return codes.astype(np.uint8)  # towards zero, which is down: no code is negative


def dequantize(codes: np.ndarray, rounding: str = "nearest") -> np.ndarray:
    """Unpacks 8-bit flow; packing the result again, "deepmind" apart, gives the same codes.

    Args:
        codes: uint8 array of any shape, from `quantize` or a pipeline that stores flow in its way.
        rounding: How the codes were rounded; "deepmind" unpacks them as for the released networks.

    Returns:
        float32 of the same shape, pixels per frame, within [-20, 20].
    """
    check_choice("rounding", rounding, FLOW_ROUNDINGS)
    codes = np.asarray(codes)
    if codes.dtype != np.uint8:
        raise ValueError(f"`codes` must be uint8; received dtype {codes.dtype}.")
    offset = 0.5 if rounding == "floor" else 0.0
    flow = (np.arange(256) + offset) / CODES_PER_PIXEL - FLOW_BOUND
    # Only +20 itself is truncated to code 255, which therefore has no span of its own.
    return np.minimum(flow, FLOW_BOUND).astype(np.float32)[codes]


def through_codes(flow: np.ndarray, rounding: str) -> np.ndarray:
    """Returns flow as it is when it has been stored in 8 bits.

    Args:
        flow: See `quantize`.
        rounding: See `dequantize`; or "video_features".

    Returns:
        float32 of the same shape, pixels per frame, within [-20, 20]; "video_features" makes 20.16
        of 20.
    """
    if rounding == VIDEO_FEATURES:
        bounded = np.clip(np.asarray(flow, np.float32), -FLOW_BOUND, FLOW_BOUND)
        codes = np.rint(128 + np.float32(CODES_PER_PIXEL) * bounded)
        return codes / np.float32(CODES_PER_PIXEL) - np.float32(FLOW_BOUND)
    return dequantize(quantize(flow, rounding), rounding)
