"""Optical flow as colours: hue is direction, saturation is length, white is no motion.

The wheel is that of Baker et al., "A Database and Evaluation Methodology for Optical Flow" (IJCV
2011): right is red, down yellow, left cyan-blue, up violet, with more room for hues that the eye
distinguishes well.
"""

import cv2
import numpy as np

from i3d_tf.specs.validation import check_integer, check_positive

FONT = cv2.FONT_HERSHEY_DUPLEX
# (55ths of the way round the wheel, colour), clockwise on the screen, starting at motion to the
# right. Colours between two of them are interpolated.
WHEEL = (
    (0, (255, 0, 0)),  # right: red
    (15, (255, 255, 0)),  # yellow
    (21, (0, 255, 0)),  # green
    (25, (0, 255, 255)),  # cyan
    (36, (0, 0, 255)),  # blue
    (49, (255, 0, 255)),  # magenta
    (55, (255, 0, 0)),  # red again
)
LONG_FLOW_BRIGHTNESS = 0.75  # of flow that is longer than the scale
FULL_COLOUR_SHARE = 0.95  # of pixels that a scale chosen for a clip covers
MIN_SCALE = 1.0  # pixels per frame, so that noise does not look like motion
MIN_LEGEND = 16  # pixels


def flow_scale(flow: np.ndarray) -> float:
    """Chooses the length of flow that gets the full colour.

    Args:
        flow: Float (..., 2), pixels per frame.

    Returns:
        The 95th percentile of the lengths, at least 1, in pixels per frame.
    """
    lengths = np.hypot(flow[..., 0], flow[..., 1])
    return max(MIN_SCALE, float(np.quantile(lengths, FULL_COLOUR_SHARE)))


def colour_flow(flow: np.ndarray, scale: float) -> np.ndarray:
    """Paints flow.

    Args:
        flow: Float (H, W, 2) or (T, H, W, 2), x then y (y points down), pixels per frame.
        scale: Pixels per frame that get the full colour, > 0; longer flow is darker. See
            `flow_scale`.

    Returns:
        uint8 RGB, (H, W, 3) or (T, H, W, 3).

    Raises:
        ValueError: The flow has another shape or type, or the scale is not positive.
    """
    flow = np.asarray(flow)
    if flow.ndim not in (3, 4) or flow.shape[-1] != 2 or not np.issubdtype(flow.dtype, np.floating):
        raise ValueError(
            "`flow` must be float (H, W, 2) or (T, H, W, 2), x then y; received "
            f"{flow.dtype} {flow.shape}."
        )
    check_positive("scale", scale)
    x, y = (flow[..., axis].astype(np.float32) / np.float32(scale) for axis in range(2))
    length = np.hypot(x, y)[..., np.newaxis]
    hue = _hues(np.arctan2(y, x))
    # From white without motion to the hue at the scale's end.
    colour = np.where(length <= 1, 255 - length * (255 - hue), LONG_FLOW_BRIGHTNESS * hue)
    return np.rint(colour).astype(np.uint8)


def wheel_legend(size: int, scale: float, name: str = "") -> np.ndarray:
    """Draws the wheel, the legend of pictures of the same scale.

    Args:
        size: Pixels, the side of the picture, at least 16.
        scale: Pixels per frame at the rim of the disc; it is written below.
        name: Text before the scale, such as the algorithm.

    Returns:
        uint8 RGB (size, size, 3), black around the disc.

    Raises:
        ValueError: The size is too small, or the scale not positive.
    """
    check_integer("size", size, MIN_LEGEND)
    diameter = round(size * 0.8)
    middle = (diameter - 1) / 2
    y, x = (np.mgrid[:diameter, :diameter] - middle) * (scale / middle)
    disc = colour_flow(np.stack([x, y], axis=-1).astype(np.float32), scale)
    disc[np.hypot(x, y) > scale] = 0
    picture = np.zeros((size, size, 3), np.uint8)
    left = (size - diameter) // 2
    picture[:diameter, left : left + diameter] = disc
    _write_below(picture, f"{name} {scale:.2g} px".strip(), diameter)
    return picture


def _write_below(picture, text, top):
    """Writes text below row `top`, as large as the space allows."""
    height, width = picture.shape[0] - top, picture.shape[1]
    scale = cv2.getFontScaleFromHeight(FONT, max(6, round(height * 0.7)))
    (text_width, text_height), _ = cv2.getTextSize(text, FONT, scale, 1)
    if text_width > width - 4:  # antialiased strokes are a little wider
        scale *= (width - 4) / text_width
        (text_width, text_height), _ = cv2.getTextSize(text, FONT, scale, 1)
    corner = (width - text_width) // 2, top + (height + text_height) // 2
    cv2.putText(picture, text, corner, FONT, scale, (255, 255, 255), 1, cv2.LINE_AA)


def _hues(angle):
    """Returns the wheel's colours, float32 (..., 3), of angles in radians, clockwise."""
    places = np.array([place for place, _ in WHEEL]) * (2 * np.pi / WHEEL[-1][0])
    colours = np.array([colour for _, colour in WHEEL])
    channels = [np.interp(angle % (2 * np.pi), places, colours[:, k]) for k in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)
