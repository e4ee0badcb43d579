"""The first frames of a video, and frames made square: what Fréchet video distances look at."""

from fractions import Fraction
from itertools import islice

import cv2
import numpy as np

from i3d_tf.specs.streams import CROP_SIZE
from i3d_tf.video.decode import frames_from
from i3d_tf.video.media import VideoError, open_media
from i3d_tf.video.picture import Clip, Upright
from i3d_tf.video.timeline import as_fraction, between, resample


def stretch(frame, size=CROP_SIZE):
    """Resizes a frame to a square, the aspect not kept.

    Bilinear without antialiasing at half-pixel centres (OpenCV's INTER_LINEAR).

    Args:
        frame: uint8 (H, W, 3).
        size: Pixels, the side of the square.

    Returns:
        uint8 (size, size, 3).
    """
    if frame.shape[:2] == (size, size):
        return frame
    return cv2.resize(np.ascontiguousarray(frame), (size, size), interpolation=cv2.INTER_LINEAR)


def read_first_frames(source, num_frames, frame_rate=None, change=None):
    """Reads the first frames of a video; no more of it is decoded.

    Args:
        source: As for `read_clip`.
        num_frames: Frames, at least 1.
        frame_rate: Frames per second after resampling, as of `read_clip`; None takes the frames as
            they are.
        change: As for `read_clip`.

    Returns:
        uint8 (num_frames, H, W, 3), RGB.

    Raises:
        VideoError: The video cannot be read, is damaged, or has fewer frames.
    """
    rate = None if frame_rate is None else as_fraction("frame_rate", frame_rate, positive=True)
    with open_media(source) as media:
        first, timed = frames_from(media, Fraction(0))
        clip = Clip(media.path, Upright(first.item.frame), change)
        if rate is None:
            chosen = islice(between(timed), num_frames)
        else:
            chosen = resample(timed, rate, end=num_frames / rate)
        for shown, count in chosen:
            if shown.item.damaged:
                raise VideoError(media.path, f"it is damaged at {float(shown.time):.2f} s")
            clip.append(shown.item.frame, count)
    if clip.num_frames < num_frames:
        raise VideoError(media.path, too_short(clip.num_frames, num_frames, frame_rate))
    return clip.frames()


def too_short(found, needed, frame_rate=None) -> str:
    """Why a clip cannot be made of so few frames."""
    at_rate = "" if frame_rate is None else f" at {frame_rate:.4g} per second"
    return f"it has {found} frames{at_rate}; {needed} are needed"
