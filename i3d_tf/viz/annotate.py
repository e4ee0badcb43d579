"""The top classes drawn onto frames."""

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_DUPLEX
LINE_HEIGHT = 1 / 18  # of the frame's shorter side
MIN_LINE = 14  # pixels
SMALL = 10  # pixels; a space in smaller text is a single pixel wide
BOX_COLOURS = ((36, 110, 185), (185, 90, 36), (40, 130, 60), (140, 60, 150), (150, 120, 20))
BAR, TEXT = (36, 110, 185), (255, 255, 255)


def annotate_frames(
    frames: Iterable[np.ndarray], lines: Sequence[tuple[str, float]]
) -> Iterator[np.ndarray]:
    """Yields frames with text in the upper left corner, one frame after the other.

    Args:
        frames: uint8 (T, H, W, 3), RGB.
        lines: (text, fraction) pairs; the bar behind a text is that fraction, in [0, 1], of the
            width.
    """
    for frame in frames:
        yield annotate_frame(frame, lines)


def annotate_frame(
    frame: np.ndarray, lines: Sequence[tuple[str, float]], colour: tuple[int, int, int] = BAR
) -> np.ndarray:
    """Returns a copy of a frame, uint8 (H, W, 3), with text; see `annotate_frames`.

    Args:
        frame: The frame.
        lines: See `annotate_frames`.
        colour: Of the bars, RGB.
    """
    height, width, _ = frame.shape
    line = max(MIN_LINE, round(min(height, width) * LINE_HEIGHT))
    strip = min(height, line * len(lines) + line // 2)
    picture = frame.copy()
    picture[:strip] = (picture[:strip].astype(np.uint16) * 2 // 5).astype(np.uint8)
    for row, (text, fraction) in enumerate(lines):
        top = line // 4 + row * line
        right = round(np.clip(fraction, 0, 1) * (width - 1))
        cv2.rectangle(picture, (0, top + 1), (right, top + line - 2), colour, cv2.FILLED)
        size = max(6, round(line * 0.5))
        spaced = text.replace(" ", "  ") if size < SMALL else text
        scale = cv2.getFontScaleFromHeight(FONT, size)
        baseline = (line // 3, top + round(line * 0.75))
        cv2.putText(picture, spaced, baseline, FONT, scale, TEXT, 1, cv2.LINE_AA)
    return picture


def annotate_boxes(
    frame: np.ndarray,
    persons: Sequence[tuple[Sequence[float], Sequence[tuple[str, float]]]],
) -> np.ndarray:
    """Returns a copy of a frame with boxes, and text within each.

    Args:
        frame: uint8 (H, W, 3), RGB.
        persons: (box, lines): corners x1, y1, x2, y2 as shares of the frame's width and height, and
            see `annotate_frames`; bars are fractions of the box's width.
    """
    height, width, _ = frame.shape
    picture = frame.copy()
    line = max(MIN_LINE, round(min(height, width) * LINE_HEIGHT))
    thickness = max(1, line // 8)
    for number, ((x1, y1, x2, y2), lines) in enumerate(persons):
        left, right = (round(side * (width - 1)) for side in (x1, x2))
        top, bottom = (round(side * (height - 1)) for side in (y1, y2))
        colour = BOX_COLOURS[number % len(BOX_COLOURS)]
        part = picture[top : bottom + 1, left : right + 1]
        if part.size:
            part[:] = annotate_frame(part, lines, colour)
        cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness)
    return picture
