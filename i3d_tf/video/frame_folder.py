"""Folders of numbered pictures, .jpg and .png, as videos.

The size that a picture promises is checked before it is decoded. A stored orientation is not
applied, and transparency is dropped.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from i3d_tf.system.files import open_regular
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.limits import MAX_FRAMES, MAX_PIXELS

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
MAX_PICTURE_BYTES = 2**29
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# SOF0 to SOF15, without DHT, JPG and DAC, which lie among them.
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA


def has_pictures(names: Iterable[str]) -> bool:
    """Returns whether one of some file names is that of a picture, by its ending."""
    return any(name.lower().endswith(PICTURE_SUFFIXES) for name in names)


def picture_paths(folder: str | os.PathLike) -> list[Path]:
    """Returns the pictures of a folder by their numbers, the last ones in their names.

    Raises:
        VideoError: The folder cannot be read, a name has no number, or two have the same one.
    """
    try:
        names = [name for name in os.listdir(folder) if has_pictures([name])]
    except OSError as error:
        raise VideoError(str(folder), reason_of(error)) from error
    numbered: dict[int, str] = {}
    for name in names:
        if name.startswith("."):
            continue
        digits = re.findall(r"[0-9]+", os.path.splitext(name)[0])
        if not digits or len(digits[-1]) > 18:
            raise VideoError(str(folder), f"its pictures must be numbered, and {name} is not")
        number = int(digits[-1])
        if number in numbered:
            first, second = sorted((numbered[number], name))
            raise VideoError(str(folder), f"{first} and {second} have the same number")
        numbered[number] = name
    if not numbered:
        raise VideoError(str(folder), "it has no pictures")
    if len(numbered) > MAX_FRAMES:
        raise VideoError(str(folder), f"it has more than {MAX_FRAMES} frames")
    return [Path(folder, name) for _, name in sorted(numbered.items())]


def iter_pictures(folder: str | os.PathLike) -> Iterator[np.ndarray]:
    """Reads the pictures of a folder in the order of their numbers, one at a time.

    Yields:
        uint8 (H, W, 3), RGB, all of one size.

    Raises:
        VideoError: See `picture_paths`; or a picture cannot be read, is damaged, or has another
            size than the first.
    """
    first = None
    for path in picture_paths(folder):
        picture = _read_picture(folder, path)
        if first is None:
            first = picture.shape
        elif picture.shape != first:
            raise VideoError(
                str(folder),
                f"{path.name} has {picture.shape[1]} x {picture.shape[0]} pixels, and the first "
                f"picture {first[1]} x {first[0]}",
            )
        yield picture


def _read_picture(folder, path):
    try:
        with open_regular(path) as file:
            content = file.read(MAX_PICTURE_BYTES + 1)
    except OSError as error:
        raise VideoError(str(folder), f"{path.name}: {reason_of(error)}") from error
    size = picture_size(content)
    if size is None or len(content) > MAX_PICTURE_BYTES:
        raise VideoError(str(folder), f"{path.name} is no whole JPEG or PNG picture")
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise VideoError(str(folder), f"{path.name} has {size[0]} x {size[1]} pixels")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None or picture.shape != (size[1], size[0], 3):
        raise VideoError(str(folder), f"{path.name} is damaged")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def picture_size(content: bytes) -> tuple[int, int] | None:
    """Returns width and height as a JPEG or PNG says them; None where it is neither or cut short.

    Args:
        content: The file.
    """
    if content.startswith(_PNG_START):
        if _PNG_END not in content:
            return None
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if not content.startswith(_JPEG_START):
        return None
    at, size = 2, None
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # a filler
            at += 1
            continue
        if marker in _JPEG_FRAMES and at + 9 <= len(content):
            height, width = content[at + 5 : at + 7], content[at + 7 : at + 9]
            size = int.from_bytes(width, "big"), int.from_bytes(height, "big")
        if marker == _JPEG_SCAN:
            return size if content.find(_JPEG_END, at) >= 0 else None
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None
