"""First-layer filters as pictures: a mosaic of all of them for every time step.

Drawn like figure 4 of arXiv:1705.07750. Zero is grey (RGB) or white (flow), and the strongest tap
of a filter, over all its time steps, has the full colour: each filter has its own scale, so colours
compare taps of one filter, not two filters.
"""

import io
import math
from collections.abc import Sequence

import cv2
import numpy as np

from i3d_tf.specs.validation import check_integer
from i3d_tf.viz.flow_wheel import colour_flow

FONT = cv2.FONT_HERSHEY_DUPLEX
BETWEEN_FILTERS = 2  # pixels
BETWEEN_STEPS = 14  # pixels
MARGIN = 10  # pixels around the picture
CAPTION = 26  # pixels, the strip above a row
PAPER = 255
INK = (40, 40, 40)
CHANNELS = (1, 2, 3)  # grey, flow, RGB


def paint_filters(kernel: np.ndarray, scale: int = 4) -> np.ndarray:
    """Paints a convolution's filters, laid out in a square as far as their number allows.

    Three input channels are shown as the colour to which a tap responds most, two (flow) as the
    direction of motion to which it responds most, in the colours of `i3d_tf.viz.flow_wheel`, and
    one in grey.

    Args:
        kernel: Float (t, h, w, channels, filters), or (h, w, channels, filters) of a 2D network,
            which is one time step.
        scale: Pixels per tap.

    Returns:
        uint8 RGB (t, H, W, 3): one mosaic a time step.

    Raises:
        ValueError: The kernel has another shape, or the scale is not positive.
    """
    kernel = np.asarray(kernel, np.float32)
    if kernel.ndim not in (4, 5) or kernel.shape[-2] not in CHANNELS or 0 in kernel.shape:
        raise ValueError(
            "`kernel` must be (t, h, w, channels, filters) or (h, w, channels, filters), with "
            f"channels one of {CHANNELS}; received {kernel.shape}."
        )
    check_integer("scale", scale, 1)
    kernel = kernel[np.newaxis] if kernel.ndim == 4 else kernel
    colours = _colours(np.moveaxis(kernel, -1, 1))  # (t, filters, h, w, 3)
    return _mosaics(np.repeat(np.repeat(colours, scale, axis=2), scale, axis=3))


def filter_sheet(rows: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Lays out networks below each other, and their time steps from left to right.

    Args:
        rows: (caption, mosaics) of each network; see `paint_filters`.

    Returns:
        uint8 RGB (H, W, 3).
    """
    strips = []
    for caption, mosaics in rows:
        space = np.full((mosaics.shape[1], BETWEEN_STEPS, 3), PAPER, np.uint8)
        steps = [part for mosaic in mosaics for part in (mosaic, space)][:-1]
        strips.append(_captioned(np.concatenate(steps, axis=1), caption))
    return _stacked(strips, axis=0)


def filter_frames(rows: Sequence[tuple[str, np.ndarray]]) -> list[np.ndarray]:
    """Lays out networks side by side, one picture a time step.

    A network with fewer time steps than the others, such as a 2D one, stays on its last.

    Args:
        rows: (caption, mosaics) of each network; see `paint_filters`.

    Returns:
        uint8 RGB (H, W, 3), one for each step of the network with the most time steps.
    """
    count = max(len(mosaics) for _, mosaics in rows)
    frames = []
    for time in range(count):
        strips = [
            _captioned(mosaics[min(time, len(mosaics) - 1)], f"{caption}  {time + 1}/{count}")
            for caption, mosaics in rows
        ]
        frames.append(_stacked(strips, axis=1))
    return frames


def encode_animation(frames: Sequence[np.ndarray], milliseconds: int = 250) -> bytes:
    """Encodes pictures as an animated PNG, without loss, that plays for ever.

    Args:
        frames: uint8 RGB (H, W, 3), all of one shape.
        milliseconds: Duration of each.

    Returns:
        The file's bytes.
    """
    from PIL import Image

    first, *others = (Image.fromarray(frame) for frame in frames)
    data = io.BytesIO()
    # 0: for ever
    first.save(data, "PNG", save_all=True, append_images=others, duration=milliseconds, loop=0)
    return data.getvalue()


def _colours(taps):
    """Maps (t, filters, h, w, channels) to colours, uint8 (t, filters, h, w, 3)."""
    if taps.shape[-1] == 2:
        strongest = np.hypot(taps[..., 0], taps[..., 1]).max(axis=(0, 2, 3), keepdims=True)
        vectors = taps / np.maximum(strongest, np.finfo(np.float32).tiny)[..., np.newaxis]
        shape = vectors.shape[:-1]
        return colour_flow(vectors.reshape(-1, *shape[-2:], 2), 1.0).reshape(*shape, 3)
    strongest = np.abs(taps).max(axis=(0, 2, 3, 4), keepdims=True)
    values = taps / np.maximum(strongest, np.finfo(np.float32).tiny)
    grey = np.rint(127.5 + 127.5 * values).astype(np.uint8)
    return np.broadcast_to(grey, (*grey.shape[:-1], 3))


def _mosaics(pictures):
    """Lays out (t, filters, h, w, 3) in rows and columns: (t, H, W, 3)."""
    steps, filters, height, width, _ = pictures.shape
    columns = math.ceil(math.sqrt(filters))
    rows = math.ceil(filters / columns)
    gap = BETWEEN_FILTERS
    shape = (steps, rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    mosaics = np.full(shape, PAPER, np.uint8)
    for index in range(filters):
        top, left = (height + gap) * (index // columns), (width + gap) * (index % columns)
        mosaics[:, top : top + height, left : left + width] = pictures[:, index]
    return mosaics


def _captioned(picture, caption):
    """Adds a caption above a picture, and makes the picture wide enough for it."""
    font_scale = cv2.getFontScaleFromHeight(FONT, CAPTION // 2)
    (text_width, _), _ = cv2.getTextSize(caption, FONT, font_scale, 1)
    missing = max(0, text_width - picture.shape[1])
    padded = np.pad(picture, ((CAPTION, 0), (0, missing), (0, 0)), constant_values=PAPER)
    baseline = (0, CAPTION * 2 // 3)
    return cv2.putText(padded, caption, baseline, FONT, font_scale, INK, 1, cv2.LINE_AA)


def _stacked(pictures, axis):
    """Puts pictures below (axis 0) or beside (axis 1) each other, with a margin around them."""
    longest = max(picture.shape[1 - axis] for picture in pictures)
    padded = []
    for picture in pictures:
        before = 0 if picture is pictures[0] else BETWEEN_STEPS
        padding = [(0, 0), (0, 0), (0, 0)]
        padding[axis] = (before, 0)
        padding[1 - axis] = (0, longest - picture.shape[1 - axis])
        padded.append(np.pad(picture, padding, constant_values=PAPER))
    sheet = np.concatenate(padded, axis=axis)
    return np.pad(sheet, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=PAPER)
