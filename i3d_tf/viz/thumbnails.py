"""Clips as small still pictures."""

import base64

import cv2
import numpy as np

GAP = 3  # pixels between two frames
WIDEST = 3.0  # of the height; wider frames are cut to their middle
QUALITY = 80  # of JPEG, 0..100


def film_strip(frames, count=4, height=96):
    """Puts a few frames of a clip, equally spaced from the first to the last, side by side.

    Args:
        frames: uint8 (T, H, W, 3), RGB, T >= 1.
        count: How many to show at most; a clip of fewer frames shows them all.
        height: Pixels.

    Returns:
        uint8 (height, width, 3), RGB; black between the frames.

    Raises:
        ValueError: The frames are not as above, or a number is not positive.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise ValueError(
            "`frames` must be uint8 (T, H, W, 3), none of them 0; received "
            f"{frames.dtype} {frames.shape}."
        )
    if count < 1 or height < 1:
        raise ValueError(
            f"`count` and `height` must be at least 1; received {count!r} and {height!r}."
        )
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    gap = np.zeros((height, GAP, 3), np.uint8)
    parts = [_resize(frames[index], height) for index in chosen]
    return np.concatenate([parts[0], *(x for part in parts[1:] for x in (gap, part))], axis=1)


def _resize(frame, height):
    source_height, source_width, _ = frame.shape
    shown = min(source_width, max(1, round(source_height * WIDEST)))
    left = (source_width - shown) // 2
    width = max(1, round(shown * height / source_height))
    # Averaging over areas keeps fine patterns from turning into others.
    part = np.ascontiguousarray(frame[:, left : left + shown])
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)


def jpeg(picture, quality=QUALITY) -> bytes:
    """A picture, uint8 (H, W, 3) RGB, as the bytes of a JPEG file."""
    done, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise ValueError(f"`picture` cannot be written as JPEG; received {picture.shape}.")
    return encoded.tobytes()


def data_uri(content: bytes, media_type="image/jpeg") -> str:
    """A file's content as an address that holds it, for a page that needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
