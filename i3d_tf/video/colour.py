"""Random changes of colour for training, decided elsewhere."""

import cv2
import numpy as np

GREY = np.array([[0.299, 0.587, 0.114]] * 3, np.float32)  # ITU-R BT.601 luma, in every channel


def change_colours(frames, brightness=1.0, contrast=1.0, saturation=1.0):
    """Scales brightness, contrast about middle grey, and saturation about each pixel's luma.

    Args:
        frames: uint8 RGB (T, H, W, 3).
        brightness: Factor on all values; 1 changes nothing.
        contrast: Factor on the distance from 127.5.
        saturation: Factor on the distance from grey; 0 leaves luma alone.

    Returns:
        uint8 (T, H, W, 3), rounded and truncated to [0, 255].
    """
    if (brightness, contrast, saturation) == (1.0, 1.0, 1.0):
        return frames
    # One affine map of (R, G, B) does all three.
    matrix = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * GREY
    offset = np.full((3, 1), 127.5 * (1 - contrast), np.float32)
    affine = np.concatenate([brightness * contrast * matrix, offset], axis=1)
    return np.stack([cv2.transform(frame, affine) for frame in frames])
