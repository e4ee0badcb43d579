"""Folders of numbered pictures, .jpg and .png, as videos.

They have no clock: all folders have the rate of the environment variable I3D_TF_FOLDER_RATE, 25
frames per second where it is not set. The size that a picture promises is checked before it is
decoded. A stored orientation is not applied, and transparency is dropped.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.specs.validation import check_positive
from i3d_tf.system.files import open_regular
from i3d_tf.system.jobs import source_metadata
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.limits import MAX_FRAMES, MAX_PIXELS
from i3d_tf.video.options import set_video_options, video_options
from i3d_tf.video.resample import as_fraction

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
FLOW_PREFIXES = ("flow_x", "flow_y")  # pictures of flow, which may lie beside the frames
RATE_VARIABLE = "I3D_TF_FOLDER_RATE"
MAX_RATE = 1000.0
MAX_PICTURE_BYTES = 2**29
MAX_DIGITS = 18
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# SOF0 to SOF15, without DHT, JPG and DAC, which lie among them.
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA


def has_pictures(names: Iterable[str]) -> bool:
    """Returns whether one of some file names is that of a numbered picture, and not of flow."""
    return any(_is_picture(name) and _number(name) is not None for name in names)


def is_frame_folder(path: str | os.PathLike) -> bool:
    """Returns whether a path is a folder on this machine that has numbered pictures."""
    try:
        return os.path.isdir(path) and has_pictures(os.listdir(path))
    except OSError:
        return False


def folder_rate() -> Fraction:
    """Returns the frames per second of all folders.

    Raises:
        ValueError: The environment variable is not a number within (0, 1000].
    """
    text = os.environ.get(RATE_VARIABLE) or str(FRAME_RATE)
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= MAX_RATE:
        raise ValueError(
            f"{RATE_VARIABLE} must be frames per second within (0, {MAX_RATE:g}]; it is {text!r}."
        )
    return as_fraction(RATE_VARIABLE, rate, positive=True)


def set_folder_rate(rate: float | None) -> None:
    """Sets the frames per second of all folders, for this process and those that it starts.

    Args:
        rate: Within (0, 1000]; None leaves it as it is.

    Raises:
        ValueError: The rate is not allowed.
    """
    if rate is not None:
        os.environ[RATE_VARIABLE] = repr(check_positive("folder_rate", rate, MAX_RATE))
    folder_rate()


def set_reading(folder_rate: float | None = None, **options: Any) -> None:
    """Sets how folders and other videos are read, for this process and those that it starts.

    Args:
        folder_rate: See `set_folder_rate`.
        **options: See `i3d_tf.video.options.set_video_options`.

    Raises:
        ValueError: A value is not allowed.
    """
    set_folder_rate(folder_rate)
    set_video_options(**options)


def video_metadata(video: str | os.PathLike) -> dict[str, Any]:
    """Returns what tells a video from others: name, bytes, and how it is read.

    That is the rate of a folder, and the options of other videos that are not the usual ones.
    """
    if is_frame_folder(video):
        return {**source_metadata(video), "folder_rate": float(folder_rate())}
    return {**source_metadata(video), **video_options().unusual()}


def picture_paths(folder: str | os.PathLike) -> list[Path]:
    """Returns the pictures of a folder by their numbers, the last ones in their names.

    Raises:
        VideoError: The folder cannot be read, a name has no number, or two have the same one.
    """
    try:
        names = [name for name in os.listdir(folder) if _is_picture(name)]
    except OSError as error:
        raise VideoError(str(folder), reason_of(error)) from error
    numbered: dict[int, str] = {}
    for name in names:
        number = _number(name)
        if number is None:
            raise VideoError(str(folder), f"its pictures must be numbered, and {name} is not")
        if number in numbered:
            first, second = sorted((numbered[number], name))
            raise VideoError(str(folder), f"{first} and {second} have the same number")
        numbered[number] = name
    if not numbered:
        raise VideoError(str(folder), "it is a folder without pictures")
    if len(numbered) > MAX_FRAMES:
        raise VideoError(str(folder), f"it has more than {MAX_FRAMES} frames")
    return [Path(folder, name) for _, name in sorted(numbered.items())]


def _is_picture(name):
    is_flow = name.startswith(FLOW_PREFIXES)
    return name.lower().endswith(PICTURE_SUFFIXES) and not name.startswith(".") and not is_flow


def _number(name):
    """Returns the last number in a file's name, or None."""
    digits = re.findall(r"[0-9]+", os.path.splitext(name)[0])
    return int(digits[-1]) if digits and len(digits[-1]) <= MAX_DIGITS else None


def iter_pictures(folder: str | os.PathLike, first: int = 0) -> Iterator[np.ndarray]:
    """Reads the pictures of a folder in the order of their numbers, one at a time.

    Args:
        folder: The folder.
        first: How many pictures to leave out.

    Yields:
        uint8 (H, W, 3), RGB, all of one size.

    Raises:
        VideoError: See `picture_paths`; or a picture cannot be read, is damaged, or has another
            size than the first.
    """
    shape = None
    for path in picture_paths(folder)[first:]:
        picture = read_picture(folder, path)
        if shape is None:
            shape = picture.shape
        elif picture.shape != shape:
            raise VideoError(
                str(folder),
                f"{path.name} has {picture.shape[1]} x {picture.shape[0]} pixels, and the first "
                f"picture {shape[1]} x {shape[0]}",
            )
        yield picture


def read_picture(folder: str | os.PathLike, path: Path, is_grey: bool = False) -> np.ndarray:
    """Reads one picture.

    Args:
        folder: The folder, for errors.
        path: The picture.
        is_grey: Whether to read it as levels of grey.

    Returns:
        uint8 (H, W, 3), RGB; or (H, W).

    Raises:
        VideoError: It cannot be read, or is damaged.
    """
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
    flags = cv2.IMREAD_GRAYSCALE if is_grey else cv2.IMREAD_COLOR
    flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None or picture.shape[:2] != (size[1], size[0]):
        raise VideoError(str(folder), f"{path.name} is damaged")
    return picture if is_grey else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


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
