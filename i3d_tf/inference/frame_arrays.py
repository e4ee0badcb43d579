"""Checks of videos that are given as arrays of frames."""

from typing import Any

import numpy as np

from i3d_tf.specs.inception_v1 import MIN_FRAMES

_TO_BYTES = (
    "Convert values in [0, 1] by (255 * video).round().astype('uint8'), those in [-1, 1] by "
    "(127.5 * (video + 1)).round().astype('uint8')."
)


def check_frames(video: Any) -> np.ndarray:
    """Returns frames, (T, H, W, 3), or a batch of them, (N, T, H, W, 3), as an array of NumPy.

    Args:
        video: What a user gave: an array of NumPy, or a tensor that becomes one.

    Raises:
        ValueError: It is not uint8, not of such a shape, or has fewer than 9 frames; the message
            says what to do.
    """
    frames = np.asarray(video)
    if frames.dtype != np.uint8:
        raise ValueError(f"{_expected(frames)} {_dtype_advice(frames.dtype)}")
    if frames.ndim not in (4, 5) or frames.shape[-1] != 3 or 0 in frames.shape[-4:]:
        raise ValueError(f"{_expected(frames)} {_shape_advice(frames.shape)}")
    if frames.shape[-4] < MIN_FRAMES:
        raise ValueError(f"{_expected(frames)} Give at least {MIN_FRAMES} frames.")
    return frames


def _expected(frames):
    return (
        "`video` must be a path, or uint8 frames in RGB, (T, H, W, 3) or (N, T, H, W, 3); received "
        f"{frames.dtype} {frames.shape}."
    )


def _dtype_advice(dtype):
    if np.issubdtype(dtype, np.floating):
        return _TO_BYTES
    if np.issubdtype(dtype, np.integer):
        return "If its values are within 0..255, convert them by video.astype('uint8')."
    return "Read the video with i3d_tf.read_clip, or give its path."


def _shape_advice(shape):
    axes = "NTHWC"[-len(shape) :] if len(shape) in (4, 5) else ""
    if axes and shape[-1] == 4:
        return "Leave the alpha channel out: video[..., :3]."
    if axes and shape[-1] == 1:
        return "Repeat the only channel: video.repeat(3, axis=-1)."
    if axes and 3 in shape[-4:-2]:
        source = len(shape) - 4 + shape[-4:-2].index(3)
        return f"Move the channels to the end: numpy.moveaxis(video, {source}, -1)."
    if len(shape) == 3:
        return "One picture is no video; numpy.stack makes frames of a list of pictures."
    return "Its axes are time, height, width and channels, in this order."
