"""Heat maps over frames."""

import cv2
import numpy as np

MAX_SHARE = 0.75  # of the colour, where the heat is 1
GAMMA = 0.8  # of the share of the colour below, so that little heat is seen
# Of the 256 colours of the map those from here on, as dark ones are not seen on dark frames.
FIRST_COLOUR = 110
HIDDEN_BRIGHTNESS = 0.45  # of what is not seen


def overlay_heat(
    frame: np.ndarray,
    heat: np.ndarray,
    seen: np.ndarray | None = None,
    threshold: float | None = None,
) -> np.ndarray:
    """Paints heat over a frame: from violet to yellow, the more of it the more heat there is.

    Args:
        frame: uint8 (H, W, 3), RGB.
        heat: Float (H, W) in [0, 1].
        seen: bool (H, W); the rest of the frame is darkened. None is all of it.
        threshold: Heat from which on the frame and the colour are mixed half and half, and below
            which there is no colour; None mixes them in proportion to the heat.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ValueError: The shapes differ.
    """
    if heat.shape != frame.shape[:2]:
        raise ValueError(f"`heat` must be {frame.shape[:2]} like the frame; received {heat.shape}.")
    heat = np.clip(heat, 0, 1).astype(np.float32)
    levels = np.rint(FIRST_COLOUR + heat * (255 - FIRST_COLOUR)).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    share = MAX_SHARE * heat**GAMMA
    if threshold is not None:
        share = np.where(heat >= threshold, np.float32(0.5), np.float32(0))
    base = frame.astype(np.float32)
    if seen is not None:
        base[~seen] *= HIDDEN_BRIGHTNESS
    return np.rint(base + share[..., np.newaxis] * (colours - base)).astype(np.uint8)
