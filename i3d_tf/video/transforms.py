"""Resizing, cropping, mirroring, recolouring and scaling of clips, as the released models saw them.

A clip is an array (T, H, W, C): C = 3 (R, G, B) or C = 2 (x flow, y flow, pixels per frame).
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from i3d_tf.specs.protocol import CORNERS, SPREAD
from i3d_tf.specs.streams import CHANNELS, CROP_SIZE, FLOW_BOUND, SHORT_SIDE, STREAMS
from i3d_tf.specs.validation import check_choice, check_integer
from i3d_tf.video.limits import MAX_BYTES

GREY = np.array([[0.299, 0.587, 0.114]] * 3, np.float32)  # ITU-R BT.601 luma, in every channel
# Each level within [-1, 1], by the same two operations in float32 as in the released preprocessing:
# one look a value instead of two passes over all of them.
_LEVELS = np.arange(256, dtype=np.float32) / np.float32(127.5) - np.float32(1.0)


def resized_shape(height: int, width: int, short_side: int = SHORT_SIDE) -> tuple[int, int]:
    """Returns height and width after the short side is resized, the aspect kept.

    The long side becomes long * short_side / short, rounded to the nearest pixel, halves up, in
    integers.

    Args:
        height: Pixels, at least 1.
        width: Pixels, at least 1.
        short_side: Pixels the shorter side gets, at least 1.
    """
    short = min(height, width)
    scaled = [(2 * side * short_side + short) // (2 * short) for side in (height, width)]
    return scaled[0], scaled[1]


def resize_short_side(frames: np.ndarray, short_side: int = SHORT_SIDE) -> np.ndarray:
    """Resizes frames so that the shorter side is `short_side`, bilinear, the aspect kept.

    Bilinear without antialiasing at half-pixel centers (OpenCV's INTER_LINEAR), as in the released
    preprocessing. A clip that already has that size is returned as it is.

    Args:
        frames: uint8 RGB (T, H, W, 3), T, H and W at least 1.
        short_side: Pixels (256 in arXiv:1705.07750), at least 1.

    Returns:
        uint8 (T, H', W', 3) with min(H', W') == short_side; see `resized_shape` for the rounding.

    Raises:
        ValueError: An argument is invalid, or the result would exceed MAX_BYTES.
    """
    _check_rgb(frames)
    check_integer("short_side", short_side, minimum=1)
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
    if num_frames == 1:  # without a copy
        return _resize_frame(frames[0], new_height, new_width)[np.newaxis]
    resized = np.empty(shape, np.uint8)
    for index, frame in enumerate(frames):
        resized[index] = _resize_frame(frame, new_height, new_width)
    return resized


def resize(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a frame, the aspect not kept.

    Bilinear without antialiasing at half-pixel centers (OpenCV's INTER_LINEAR).

    Args:
        frame: uint8 (H, W, 3).
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        uint8 (height, width, 3); `frame` itself where it has that size.
    """
    is_that_size = frame.shape[:2] == (height, width)
    return frame if is_that_size else _resize_frame(frame, height, width)


def stretch(frame: np.ndarray, size: int = CROP_SIZE) -> np.ndarray:
    """Resizes a frame to a square, the aspect not kept.

    Bilinear without antialiasing at half-pixel centers (OpenCV's INTER_LINEAR).

    Args:
        frame: uint8 (H, W, 3).
        size: Pixels, the side of the square.

    Returns:
        uint8 (size, size, 3).
    """
    return resize(frame, size, size)


def resize_bilinear(frame: np.ndarray, height: int, width: int, half_pixel: bool) -> np.ndarray:
    """Resizes a frame in float32, bilinear without antialiasing, as TensorFlow does.

    Args:
        frame: uint8 or float32 (H, W, C).
        height: Rows of the result.
        width: Columns of the result.
        half_pixel: Whether pixel k has its center at k + 0.5, as in OpenCV, PyTorch
            (`align_corners=False`) and TensorFlow 2; else at k, as in TensorFlow 1's
            `resize_bilinear`, which moves a picture by up to half a pixel.

    Returns:
        float32 (height, width, C), a new array or `frame` itself.
    """
    frame = frame.astype(np.float32, copy=False)
    if frame.shape[:2] == (height, width):
        return frame
    left, right, share = _neighbors(frame.shape[1], width, half_pixel)
    columns = np.take(frame, left, axis=1)
    columns += (np.take(frame, right, axis=1) - columns) * share[:, np.newaxis]
    top, bottom, share = _neighbors(frame.shape[0], height, half_pixel)
    rows = np.take(columns, top, axis=0)
    rows += (np.take(columns, bottom, axis=0) - rows) * share[:, np.newaxis, np.newaxis]
    return rows


def _neighbors(old, new, half_pixel):
    """Returns the two pixels between which each new one lies, and the share of the second."""
    scale = np.float32(old) / np.float32(new)
    if half_pixel:
        place = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    else:
        place = np.arange(new, dtype=np.float32) * scale
    below = np.floor(place)
    first = np.clip(below, 0, old - 1).astype(np.intp)
    second = np.clip(np.ceil(place), 0, old - 1).astype(np.intp)
    return first, second, place - below


def _resize_frame(frame, height, width):
    frame = np.ascontiguousarray(frame)
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)


def crop(frames: np.ndarray, top: int, left: int, size: int = CROP_SIZE) -> np.ndarray:
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
    check_integer("top", top, 0, height - size)
    check_integer("left", left, 0, width - size)
    return frames[:, top : top + size, left : left + size]


def center_offsets(height: int, width: int, size: int = CROP_SIZE) -> tuple[int, int]:
    """Returns top and left of the center crop, rounded down where a pixel is left over.

    Args:
        height: Pixels, at least `size`.
        width: Pixels, at least `size`.
        size: Side of the square in pixels.
    """
    return (height - size) // 2, (width - size) // 2


def center_crop(frames: np.ndarray, size: int = CROP_SIZE) -> np.ndarray:
    """Cuts the centre square out of every frame: the test-time crop of arXiv:1705.07750.

    Args:
        frames: (T, H, W, C), any dtype, H and W at least `size`.
        size: Side of the square in pixels.

    Returns:
        A view (T, size, size, C) of `frames`.
    """
    _check_fits(frames, size)
    height, width = frames.shape[1:3]
    return crop(frames, *center_offsets(height, width, size), size)


class CropPlace(NamedTuple):
    """The place of a square in a frame of any size.

    Attributes:
        top: Fraction of the rows to spare that are above it, in [0, 1].
        left: The same of the columns.
        mirrored: Whether the square is mirrored left to right, after it was cut.
    """

    top: float = 0.5
    left: float = 0.5
    mirrored: bool = False


class ScaledCropPlace(NamedTuple):
    """The place of a rectangle in a frame of any size, which is then resized to a square.

    Attributes:
        top: See `CropPlace`.
        left: See `CropPlace`.
        mirrored: See `CropPlace`.
        height: Its rows, as a share of the frame's shorter side, in (0, 1].
        width: Its columns, as a share of the same side, in (0, 1].
    """

    top: float
    left: float
    mirrored: bool
    height: float
    width: float


CENTER = CropPlace()
CORNER_PLACES = tuple(CropPlace(top, left) for top in (0.0, 1.0) for left in (0.0, 1.0))


def crop_places(crops: int = 1, crop_set: str = SPREAD) -> tuple[CropPlace, ...]:
    """Returns the crops of a frame, see `i3d_tf.specs.protocol.Protocol`.

    Args:
        crops: Their number.
        crop_set: "spread", or "corners" for 5 or 10: the four corners and the center, then their
            mirror images.
    """
    if crop_set == CORNERS:
        places = (*CORNER_PLACES, CENTER)
        mirrors = [place._replace(mirrored=True) for place in places]
        return (*places, *mirrors)[:crops]
    if crops == 1:
        return (CENTER,)
    return tuple(CropPlace(crop / (crops - 1), crop / (crops - 1)) for crop in range(crops))


def crop_offsets(height: int, width: int, size: int, place: CropPlace) -> tuple[int, int]:
    """Returns top and left of a crop in pixels, halves rounded down as those of the center are.

    Args:
        height: Pixels, at least `size`.
        width: Pixels, at least `size`.
        size: Side of the square in pixels.
        place: Its place.
    """
    spare = height - size, width - size
    top, left = (
        math.ceil(share * pixels - 0.5)
        for share, pixels in zip((place.top, place.left), spare, strict=True)
    )
    return top, left


def crop_at(
    frames: np.ndarray,
    place: CropPlace | ScaledCropPlace,
    size: int = CROP_SIZE,
    stream: str = "rgb",
) -> np.ndarray:
    """Cuts a square, or a rectangle that becomes one, out of every frame, and may mirror it.

    Args:
        frames: (T, H, W, C), H and W at least `size`.
        place: Its place.
        size: Side of the square in pixels.
        stream: "rgb" or "flow", whose x changes its sign in a mirror.

    Returns:
        (T, size, size, C): a view, or a new array where it is mirrored or resized. Resized flow
        keeps its values, as TSN's public programs have it.
    """
    if isinstance(place, ScaledCropPlace):
        cut = _resized_part(frames, place, size)
    else:
        _check_fits(frames, size)
        height, width = frames.shape[1:3]
        cut = crop(frames, *crop_offsets(height, width, size, place), size)
    return flip(cut, stream) if place.mirrored else cut


def _resized_part(frames, place, size):
    """Cuts a rectangle out of every frame, and resizes it to a square."""
    sides = frames.shape[1:3]
    lengths = [max(1, int(min(sides) * share)) for share in (place.height, place.width)]
    # Sizes within 3 pixels of the square's are the square's: nothing is resized by a pixel or two.
    rows, columns = (size if abs(n - size) < 3 and size <= min(sides) else n for n in lengths)
    top, left = (
        math.ceil(share * (side - length) - 0.5)
        for share, side, length in zip((place.top, place.left), sides, (rows, columns), strict=True)
    )
    part = frames[:, top : top + rows, left : left + columns]
    if (rows, columns) == (size, size):
        return part
    return np.stack([_resize_frame(frame, size, size) for frame in part])


def flip(frames: np.ndarray, stream: str = "rgb") -> np.ndarray:
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


def change_colours(
    frames: np.ndarray, brightness: float = 1.0, contrast: float = 1.0, saturation: float = 1.0
) -> np.ndarray:
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
    affine = colour_matrix(brightness, contrast, saturation)
    return np.stack([cv2.transform(frame, affine) for frame in frames])


def colour_matrix(brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """Returns the affine map of (R, G, B) that does what `change_colours` does, all at once.

    Args:
        brightness: See `change_colours`.
        contrast: See `change_colours`.
        saturation: See `change_colours`.

    Returns:
        float32 (3, 4): a row of factors and an offset for each of R, G and B.
    """
    matrix = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * GREY
    offset = np.full((3, 1), 127.5 * (1 - contrast), np.float32)
    return np.concatenate([brightness * contrast * matrix, offset], axis=1)


def preprocess_input(frames: np.ndarray, stream: str = "rgb") -> np.ndarray:
    """Maps a clip to the range the released models expect.

    Args:
        frames: For "rgb" uint8 (T, H, W, 3). For "flow" float (T, H, W, 2), x then y, pixels per
            frame; what exceeds 20 pixels is truncated (arXiv:1705.07750). A leading batch axis is
            allowed.
        stream: "rgb" or "flow".

    Returns:
        float32 of the same shape within [-1, 1]: value / 127.5 - 1 for RGB, flow / 20 for flow.

    Raises:
        ValueError: The frames are not as above, or flow is NaN or infinite.
    """
    frames = np.asarray(frames)
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
    if not np.isfinite(frames).all():
        raise ValueError("`frames` must be finite for stream 'flow'; received infinity or NaN.")
    clipped = np.clip(frames, -FLOW_BOUND, FLOW_BOUND).astype(np.float32, copy=False)
    return clipped / np.float32(FLOW_BOUND)


def _check_stream(frames, stream, ranks=(4,)):
    check_choice("stream", stream, STREAMS)
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


def _check_fits(frames, size):
    check_integer("size", size, minimum=1)
    shape = np.shape(frames)
    if len(shape) != 4:
        raise ValueError(f"`frames` must be (T, H, W, C); received shape {shape}.")
    if min(shape[1:3]) < size:
        raise ValueError(
            f"`size` must be at most the short side of the frames, {shape[1]} x {shape[2]}; "
            f"received {size!r}."
        )
