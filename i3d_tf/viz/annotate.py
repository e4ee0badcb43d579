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


def annotate_frame(frame: np.ndarray, lines: Sequence[tuple[str, float]]) -> np.ndarray:
    """Returns a copy of a frame, uint8 (H, W, 3), with text; see `annotate_frames`."""
    picture = frame.copy()
    _write_lines(picture, lines, _line_height(frame), BAR)
    return picture


def annotate_boxes(
    frame: np.ndarray,
    persons: Sequence[tuple[Sequence[float], Sequence[tuple[str, float]]]],
) -> np.ndarray:
    """Returns a copy of a frame with boxes, and text above each, or below where that is not free.

    Args:
        frame: uint8 (H, W, 3), RGB.
        persons: (box, lines): corners x1, y1, x2, y2 as shares of the frame's width and height, and
            see `annotate_frames`; bars are fractions of the text's width.
    """
    height, width, _ = frame.shape
    picture, line = frame.copy(), _line_height(frame)
    used: list[tuple[int, int, int, int]] = []  # rectangles of the texts so far
    for number, ((x1, y1, x2, y2), lines) in enumerate(persons):
        left, right = (round(side * (width - 1)) for side in (x1, x2))
        top, bottom = (round(side * (height - 1)) for side in (y1, y2))
        colour = BOX_COLOURS[number % len(BOX_COLOURS)]
        cv2.rectangle(picture, (left, top), (right, bottom), colour, max(1, line // 8))
        if not lines:
            continue
        text_height = min(height, line * len(lines) + line // 2)
        text_width = min(width, max(_text_width(text, line) for text, _ in lines))
        x = min(left, width - text_width)
        y = _free_row(x, (top - text_height, bottom + 1), (text_height, text_width), height, used)
        used.append((x, y, x + text_width, y + text_height))
        _write_lines(picture[y : y + text_height, x : x + text_width], lines, line, colour)
    return picture


def _free_row(x, rows, size, frame_height, used):
    """Returns the first of some rows where a text is within the frame and on no other."""
    height, width = size
    for y in rows:
        is_free = all(
            x >= right or left >= x + width or y >= bottom or top >= y + height
            for left, top, right, bottom in used
        )
        if is_free and 0 <= y <= frame_height - height:
            return y
    return max(0, min(rows[0], frame_height - height))


def _line_height(frame):
    return max(MIN_LINE, round(min(frame.shape[:2]) * LINE_HEIGHT))


def _text_width(text, line):
    shown, scale = _font(text, line)
    (width, _), _ = cv2.getTextSize(shown, FONT, scale, 1)
    return width + 2 * (line // 3)


def _font(text, line):
    """Returns a text as it is written on a line of a height, and its scale."""
    size = max(6, round(line * 0.5))
    return text.replace(" ", "  ") if size < SMALL else text, cv2.getFontScaleFromHeight(FONT, size)


def _write_lines(picture, lines, line, colour):
    """Writes lines of a height into the upper left corner of a picture, on a dark strip."""
    height, width, _ = picture.shape
    strip = min(height, line * len(lines) + line // 2)
    picture[:strip] = (picture[:strip].astype(np.uint16) * 2 // 5).astype(np.uint8)
    canvas = np.ascontiguousarray(picture)
    for row, (text, fraction) in enumerate(lines):
        top = line // 4 + row * line
        right = round(np.clip(fraction, 0, 1) * (width - 1))
        cv2.rectangle(canvas, (0, top + 1), (right, top + line - 2), colour, cv2.FILLED)
        shown, scale = _font(text, line)
        baseline = (line // 3, top + round(line * 0.75))
        cv2.putText(canvas, shown, baseline, FONT, scale, TEXT, 1, cv2.LINE_AA)
    picture[:] = canvas
