"""Clips as small still pictures for a page."""

import base64

import cv2
import numpy as np

from i3d_tf.specs.validation import check_integer

GAP = 3  # pixels between two frames
MAX_ASPECT = 3.0  # width by height; wider frames are cut to their middle
QUALITY = 80  # of JPEG, 0..100


def film_strip(frames: np.ndarray, count: int = 4, height: int = 96) -> np.ndarray:
    """Puts a few frames of a clip, equally spaced from the first to the last, side by side.

    Args:
        frames: uint8 (T, H, W, 3), RGB, T >= 1.
        count: Frames to show; a clip of fewer frames shows them all.
        height: Pixels.

    Returns:
        uint8 (height, width, 3), RGB; black between the frames.

    Raises:
        ValueError: The frames are of another shape or type, or a number is not positive.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise ValueError(
            "`frames` must be uint8 (T, H, W, 3), none of them 0; received "
            f"{frames.dtype} {frames.shape}."
        )
    check_integer("count", count, 1)
    check_integer("height", height, 1)
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    gap = np.zeros((height, GAP, 3), np.uint8)
    parts = [_resize(frames[index], height) for index in chosen]
    return np.concatenate([parts[0], *(x for part in parts[1:] for x in (gap, part))], axis=1)


def _resize(frame, height):
    source_height, source_width, _ = frame.shape
    shown = min(source_width, max(1, round(source_height * MAX_ASPECT)))
    left = (source_width - shown) // 2
    width = max(1, round(shown * height / source_height))
    # Averaging over areas keeps fine patterns from turning into others.
    part = np.ascontiguousarray(frame[:, left : left + shown])
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)


def jpeg(picture: np.ndarray, quality: int = QUALITY) -> bytes:
    """Encodes a picture, uint8 (H, W, 3) RGB, as a JPEG file."""
    done, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise ValueError(f"`picture` cannot be written as JPEG; received {picture.shape}.")
    return encoded.tobytes()


def data_uri(content: bytes, media_type: str = "image/jpeg") -> str:
    """Returns a file's content as an address, for a page that needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
