"""Animated WebP pictures (RFC 9649) as frames, which FFmpeg does not read.

OpenCV decodes each picture by itself; here they are laid over each other, on black. Loops are not
repeated. Every size is checked before anything is decoded.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np

from i3d_tf.video.errors import VideoError
from i3d_tf.video.limits import (
    MAX_BYTES,
    MAX_DECODED_PIXELS,
    MAX_DECODED_PIXELS_PER_BYTE,
    MAX_PIXELS,
)

HEAD_BYTES = 30  # the file's header and the chunk that says whether it is animated
ANIMATION = 0x02  # flags of an extended file
OPACITY = 0x10
NO_BLENDING, DISPOSAL = 0x02, 0x01  # flags of a frame
OPACITY_PLANE, PICTURES = b"ALPH", (b"VP8 ", b"VP8L")
FRAME_HEADER = 16  # bytes
# Browsers show a picture that asks for 10 ms or less for 100 ms.
SHORT_DELAY, SHOWN_DELAY = 10, 100


class WebPFrame(NamedTuple):
    """A part of an animation.

    Attributes:
        picture: uint8 (H, W, 3), RGB, the whole canvas; what was there before where it is damaged.
        time: Seconds.
        duration: Seconds, > 0.
        damaged: Whether it cannot be decoded, or a frame before it could not.
    """

    picture: np.ndarray
    time: Fraction
    duration: Fraction
    damaged: bool


class _Part(NamedTuple):
    """A frame in the file, and its place on the canvas."""

    content: bytes
    left: int
    top: int
    width: int
    height: int
    milliseconds: int
    flags: int
    is_whole: bool


def is_animated_webp(start: bytes) -> bool:
    """Returns whether a file is an animated WebP.

    Args:
        start: Its first bytes.
    """
    is_extended = start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X" and len(start) > 20
    return is_extended and bool(start[20] & ANIMATION)


class WebPAnimation:
    """An animated WebP.

    Attributes:
        num_frames: Frames.
        duration: Seconds, once through.
        width: Pixels of the canvas.
        height: Pixels of the canvas.
        ended_early: Whether the file ends before its sizes say.
    """

    def __init__(self, path: str, content: bytes):
        """Reads where the frames are.

        Args:
            path: Its name in errors.
            content: The file.

        Raises:
            VideoError: It has no frame, or is too large.
        """
        self._path = path
        self.width = 1 + int.from_bytes(content[24:27], "little")
        self.height = 1 + int.from_bytes(content[27:30], "little")
        if self.width * self.height > MAX_PIXELS:
            raise VideoError(
                path, f"its frames have {self.width} x {self.height} pixels, more than {MAX_PIXELS}"
            )
        self._parts = list(_parts(content))
        self.num_frames = len(self._parts)
        ends = [8 + int.from_bytes(content[4:8], "little")]
        ends += (end for _, _, end in _chunks(content, 12))
        self.ended_early = max(ends) > len(content)
        self.duration = sum((_seconds(part) for part in self._parts), Fraction(0))
        maximum = max(MAX_DECODED_PIXELS, MAX_DECODED_PIXELS_PER_BYTE * len(content))
        if self.num_frames * self.width * self.height > maximum:
            raise VideoError(path, f"so few bytes decode to more than {maximum} pixels")
        if not self.num_frames:
            raise VideoError(path, "no frame of it can be decoded")

    def frames(self) -> Iterator[WebPFrame]:
        """Yields the frames, in order."""
        canvas = np.zeros((self.height, self.width, 3), np.uint8)
        time, damaged = Fraction(0), False
        for part in self._parts:
            below, right = part.top + part.height, part.left + part.width
            place = canvas[part.top : below, part.left : right]
            fits = below <= self.height and right <= self.width
            layer = _decode(part) if fits and part.is_whole else None
            if layer is None:
                damaged = True
            else:
                if part.flags & NO_BLENDING:
                    place[:] = 0
                    damaged = damaged and place.shape != canvas.shape
                place[:] = _over(layer, place)
            duration = _seconds(part)
            yield WebPFrame(canvas.copy(), time, duration, damaged)
            time += duration
            if part.flags & DISPOSAL:
                place[:] = 0


def read_animation(path: str, file: BinaryIO) -> WebPAnimation | None:
    """Reads a file if it is an animated WebP.

    Args:
        path: Its name in errors.
        file: The file, whose position stays as it is.

    Raises:
        VideoError: See `WebPAnimation`.
    """
    position = file.tell()
    try:
        file.seek(0)
        start = file.read(HEAD_BYTES)
        if not is_animated_webp(start):
            return None
        content = start + file.read(MAX_BYTES)
    finally:
        file.seek(position)
    return WebPAnimation(path, content)


def _parts(content):
    """Yields the frames of a file, up to where it ends."""
    for name, start, end in _chunks(content, 12):
        if name != b"ANMF" or start + FRAME_HEADER > len(content):
            continue
        header = content[start : start + FRAME_HEADER]
        left, top, width, height, milliseconds = (
            int.from_bytes(header[at : at + 3], "little") for at in range(0, 15, 3)
        )
        yield _Part(
            content[start + FRAME_HEADER : end],
            2 * left,
            2 * top,
            width + 1,
            height + 1,
            milliseconds,
            header[15],
            end <= len(content),
        )


def _chunks(content, at):
    """Yields the name, start and end of each chunk; the last one may end behind the file."""
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        yield name, at + 8, at + 8 + size
        at += 8 + size + size % 2


def _seconds(part):
    is_short = part.milliseconds <= SHORT_DELAY
    return Fraction(SHOWN_DELAY if is_short else part.milliseconds, 1000)


def _decode(part):
    """Returns a frame as uint8 (H, W, 4), BGR and opacity; None where it is damaged."""
    chunks = [
        (name, part.content[start:end])
        for name, start, end in _chunks(part.content, 0)
        if name in (OPACITY_PLANE, *PICTURES) and end <= len(part.content)
    ]
    if not any(name in PICTURES for name, _ in chunks):
        return None
    # The decoder refuses a picture whose size is not that of its header.
    has_opacity = any(name != b"VP8 " for name, _ in chunks)
    sizes = (part.width - 1).to_bytes(3, "little") + (part.height - 1).to_bytes(3, "little")
    header = struct.pack("<I", OPACITY if has_opacity else 0) + sizes
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
        for name, data in ((b"VP8X", header), *chunks)
    )
    still = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    try:
        picture = cv2.imdecode(np.frombuffer(still, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return picture if picture is not None and picture.ndim == 3 else None


def _over(layer, below):
    """Returns a frame laid over RGB."""
    colours = layer[..., 2::-1]
    if layer.shape[2] == 3 or layer[..., 3].min() == 255:
        return colours
    opacity = layer[..., 3:].astype(np.uint32)
    mixed = colours * opacity + below * (255 - opacity)
    return ((mixed + 127) // 255).astype(np.uint8)
