"""Resize, crop, mirror and scale clips, as the released models saw them.

A clip is an array (T, H, W, C): C = 3 (R, G, B) or C = 2 (x flow, y flow, pixels per frame).
"""

import math

import cv2
import numpy as np

from i3d_tf.specs.streams import CHANNELS, CROP_SIZE, FLOW_BOUND, SHORT_SIDE, STREAMS
from i3d_tf.video.container import MAX_BYTES
from i3d_tf.video.sampling import as_generator


def resized_shape(height, width, short_side=SHORT_SIDE):
    """Height and width after the short side is resized, the aspect kept.

    The long side becomes long * short_side / short, rounded to the nearest pixel, halves up, in
    integers.

    Args:
        height: Pixels, at least 1.
        width: Pixels, at least 1.
        short_side: Pixels the shorter side gets, at least 1.

    Returns:
        (height, width) in pixels.
    """
    short = min(height, width)
    scaled = [(2 * side * short_side + short) // (2 * short) for side in (height, width)]
    return scaled[0], scaled[1]


def resize_short_side(frames, short_side=SHORT_SIDE):
    """Resizes frames so that the shorter side is `short_side`, bilinear, the aspect kept.

    Bilinear without antialiasing at half-pixel centres (OpenCV's INTER_LINEAR), as in the released
    preprocessing. A clip that already has that size is returned as it is.

    Args:
        frames: uint8 RGB (T, H, W, 3), T, H and W at least 1.
        short_side: Pixels (256 in arXiv:1705.07750), at least 1.

    Returns:
        uint8 (T, H', W', 3) with min(H', W') == short_side; see `resized_shape` for the rounding.
    """
    _check_rgb(frames)
    _check_size("short_side", short_side)
    num_frames, height, width, channels = frames.shape
    new_height, new_width = resized_shape(height, width, short_side)
    if (new_height, new_width) == (height, width):
        return frames
    shape = (num_frames, new_height, new_width, channels)
    if math.prod(shape) > MAX_BYTES:  # one row of many pixels grows to many rows of many more
        raise ValueError(
            f"`frames` resized to {shape} would exceed {MAX_BYTES / 2**30:g} GiB; take fewer "
            f"frames or crop them first; received shape {frames.shape}."
        )
    resized = np.empty(shape, np.uint8)
    for index, frame in enumerate(frames):
        resized[index] = cv2.resize(
            np.ascontiguousarray(frame), (new_width, new_height), interpolation=cv2.INTER_LINEAR
        )
    return resized


def crop(frames, top, left, size=CROP_SIZE):
    """Cuts a square out of every frame.

    Args:
        frames: (T, H, W, C), any dtype.
        top: First row, in pixels, 0 <= top <= H - size.
        left: First column, in pixels, 0 <= left <= W - size.
        size: Side of the square in pixels.

    Returns:
        A view (T, size, size, C) of `frames`.
    """
    _check_fits(frames, size)
    height, width = frames.shape[1:3]
    whole = all(isinstance(offset, (int, np.integer)) for offset in (top, left))
    if not (whole and 0 <= top <= height - size and 0 <= left <= width - size):
        raise ValueError(
            f"`top` must be an int within [0, {height - size}] and `left` within "
            f"[0, {width - size}] for a crop of {size} from {height} x {width}; "
            f"received top={top!r}, left={left!r}."
        )
    return frames[:, top : top + size, left : left + size]


def centre_offsets(height, width, size=CROP_SIZE):
    """Top and left of the centre crop, rounded down where a pixel is left over.

    Args:
        height: Pixels, at least `size`.
        width: Pixels, at least `size`.
        size: Side of the square in pixels.

    Returns:
        (top, left) in pixels.
    """
    return (height - size) // 2, (width - size) // 2


def random_offsets(height, width, size, generator):
    """Top and left of a random crop; every position is equally likely.

    Args:
        height: Pixels, at least `size`.
        width: Pixels, at least `size`.
        size: Side of the square in pixels.
        generator: numpy.random.Generator, or an int >= 0 that seeds one.

    Returns:
        (top, left) in pixels.
    """
    generator = as_generator(generator)
    return int(generator.integers(height - size + 1)), int(generator.integers(width - size + 1))


def centre_crop(frames, size=CROP_SIZE):
    """Cuts the centre square out of every frame: the test-time crop of arXiv:1705.07750.

    Args:
        frames: (T, H, W, C), any dtype, H and W at least `size`.
        size: Side of the square in pixels.

    Returns:
        A view (T, size, size, C) of `frames`.
    """
    _check_fits(frames, size)
    return crop(frames, *centre_offsets(*frames.shape[1:3], size), size)


def random_crop(frames, size=CROP_SIZE, *, generator):
    """Cuts one random square, the same for every frame: the training crop of arXiv:1705.07750.

    Args:
        frames: (T, H, W, C), any dtype, H and W at least `size`.
        size: Side of the square in pixels.
        generator: numpy.random.Generator, or an int >= 0 that seeds one.

    Returns:
        A view (T, size, size, C) of `frames`.
    """
    _check_fits(frames, size)
    return crop(frames, *random_offsets(*frames.shape[1:3], size, generator), size)


def flip(frames, stream="rgb"):
    """Mirrors a clip left to right; in a mirror, horizontal flow changes its sign.

    Args:
        frames: (T, H, W, 3) for "rgb", or signed flow (T, H, W, 2) for "flow", in any unit whose
            zero is no motion (not the 8-bit codes).
        stream: "rgb" or "flow".

    Returns:
        A new array of the same shape and dtype.
    """
    _check_stream(frames, stream)
    if stream == "flow":
        _check_flow_dtype(frames)
    mirrored = np.empty(frames.shape, frames.dtype)
    if frames.dtype in (np.uint8, np.float32):
        for target, frame in zip(mirrored, frames, strict=True):
            cv2.flip(frame, 1, dst=target)  # numpy takes 30 times as long for pixels of 3 bytes
    else:
        mirrored[:] = frames[:, :, ::-1]
    if stream == "flow":
        mirrored[..., 0] *= -1
    return mirrored


def preprocess_input(frames, stream="rgb"):
    """Maps a clip to the range the released models expect.

    Args:
        frames: For "rgb" uint8 (T, H, W, 3). For "flow" float (T, H, W, 2), x then y, pixels per
            frame; what exceeds 20 pixels is truncated (arXiv:1705.07750). A leading batch axis is
            allowed.
        stream: "rgb" or "flow".

    Returns:
        float32 of the same shape within [-1, 1]: value / 127.5 - 1 for RGB, flow / 20 for flow.
    """
    _check_stream(frames, stream, ranks=(4, 5))
    if stream == "rgb":
        if frames.dtype != np.uint8:
            raise ValueError(
                f"`frames` must be uint8 for stream 'rgb'; received dtype {frames.dtype}."
            )
        if not frames.size:
            return frames.astype(np.float32)
        rows = np.reshape(frames, (-1, frames.shape[-2] * 3))
        return cv2.LUT(rows, _LEVELS).reshape(frames.shape)
    _check_flow_dtype(frames)
    clipped = np.clip(frames, -FLOW_BOUND, FLOW_BOUND).astype(np.float32, copy=False)
    return clipped / np.float32(FLOW_BOUND)


# What the released preprocessing makes of each level, by the same two operations in float32: one
# look a value instead of two passes over all of them.
_LEVELS = np.arange(256, dtype=np.float32) / np.float32(127.5) - np.float32(1.0)


def _check_stream(frames, stream, ranks=(4,)):
    if stream not in STREAMS:
        raise ValueError(f"`stream` must be one of {STREAMS}; received {stream!r}.")
    shape = np.shape(frames)
    if len(shape) not in ranks or shape[-1] != CHANNELS[stream]:
        raise ValueError(
            f"`frames` must be (T, H, W, {CHANNELS[stream]}) for stream {stream!r}; "
            f"received shape {shape}."
        )


def _check_flow_dtype(frames):
    if not np.issubdtype(frames.dtype, np.floating):
        raise ValueError(
            "`frames` must be float, in pixels per frame, for stream 'flow' (see `dequantize` for "
            f"8-bit codes); received dtype {frames.dtype}."
        )


def _check_rgb(frames):
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4:
        received = f"{getattr(frames, 'dtype', type(frames).__name__)} {np.shape(frames)}"
        raise ValueError(f"`frames` must be a uint8 array (T, H, W, 3); received {received}.")
    if frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(
            f"`frames` must be (T, H, W, 3), no side 0; received shape {frames.shape}."
        )


def _check_size(name, size):
    if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
        raise ValueError(f"`{name}` must be an int >= 1; received {size!r}.")


def _check_fits(frames, size):
    _check_size("size", size)
    shape = np.shape(frames)
    if len(shape) != 4:
        raise ValueError(f"`frames` must be (T, H, W, C); received shape {shape}.")
    if min(shape[1:3]) < size:
        raise ValueError(
            f"`size` must be at most the short side of the frames, {shape[1]} x {shape[2]}; "
            f"received {size!r}."
        )


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
