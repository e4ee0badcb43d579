"""Files of clips as NumPy writes them, .npy and .npz, read frame by frame.

A file is read in the memory of one frame, or of one clip where the axes are NCTHW, and the sizes
that its headers promise are compared with its own before anything is allocated. Objects, which
NumPy would unpickle, are refused like everything else that is not uint8 or float of five axes.
"""

import contextlib
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from i3d_tf.specs.validation import check_choice
from i3d_tf.system.array_header import read_array_header
from i3d_tf.system.errors import short_reason
from i3d_tf.system.expansion import check_archive
from i3d_tf.system.files import open_regular
from i3d_tf.video.decode import too_few_frames
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.limits import MAX_BYTES, MAX_PIXELS

ARRAY_SUFFIXES = (".npy", ".npz")
AXES = ("NTHWC", "NCTHW", "NTCHW")
VALUE_RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
_DAMAGE = (OSError, ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True)
class ArrayLayout:
    """Meaning of the arrays in files of clips.

    Attributes:
        axes: One of `AXES`: clips, time, height, width and channels, one (grey) or three.
        value_range: One of `VALUE_RANGES`, for float arrays, which are refused without it; uint8
            is always 0..255.
    """

    axes: str = AXES[0]
    value_range: str | None = None

    def __post_init__(self):
        check_choice("axes", self.axes, AXES)
        if self.value_range is not None:
            check_choice("value_range", self.value_range, VALUE_RANGES)


DEFAULT_LAYOUT = ArrayLayout()


class _Array(NamedTuple):
    """An array in an open file.

    Attributes:
        name: Its name in an .npz, or "".
        dtype: uint8 or float.
        sides: Letter of an axis to its length.
        stream: Stands at its first value.
    """

    name: str
    dtype: np.dtype
    sides: dict[str, int]
    stream: BinaryIO


def is_clip_array(path: str | os.PathLike) -> bool:
    """Returns whether a name is that of a file of clips, by its ending."""
    return Path(path).suffix.lower() in ARRAY_SUFFIXES


def count_clips(
    path: str | os.PathLike, num_frames: int, layout: ArrayLayout = DEFAULT_LAYOUT
) -> int:
    """Counts the clips of a file.

    Args:
        path: The file.
        num_frames: Frames that are needed of each.
        layout: ArrayLayout.

    Raises:
        VideoError: It is not a file of clips, is cut short, or its clips have fewer frames.
    """
    with _errors(path):
        return sum(array.sides["N"] for array in _arrays(path, num_frames, layout))


class ArrayClip(NamedTuple):
    """A clip of a file.

    Attributes:
        num_frames: Its frames.
        frames: The frames, (H, W, 3) in 0..255, uint8 or float32; they need not all be taken.
    """

    num_frames: int
    frames: Iterator[np.ndarray]


def iter_array_clips(
    path: str | os.PathLike, num_frames: int, layout: ArrayLayout = DEFAULT_LAYOUT
) -> Iterator[ArrayClip]:
    """Reads the clips of a file, one after the other.

    Args:
        path: The file.
        num_frames: Frames that each must have, at least 1.
        layout: ArrayLayout.

    Yields:
        ArrayClip, whose frames are read before the next clip is taken.

    Raises:
        VideoError: See `count_clips`; or a value is outside of its range.
    """
    with _errors(path):
        for array in _arrays(path, num_frames, layout):
            for _ in range(array.sides["N"]):
                reader = _FrameReader(path, array, layout)
                yield ArrayClip(array.sides["T"], reader)
                reader.skip()


class _FrameReader:
    """Frames of one clip, read as they are asked for."""

    def __init__(self, path, array, layout):
        self._path, self._array, self._layout = path, array, layout
        # What is read at once: a frame, or, where time is not the first axis, the clip.
        self._axes = layout.axes[layout.axes.startswith("NT") + 1 :]
        self._shape = [array.sides[axis] for axis in self._axes]
        self._size = math.prod(self._shape) * array.dtype.itemsize
        self._pieces = array.sides["T"] if "T" not in self._axes else 1
        self._frames = iter(())

    def __iter__(self):
        return self

    def __next__(self):
        frame = next(self._frames, None)
        if frame is None and not self._pieces:
            raise StopIteration
        with _errors(self._path):
            if frame is None:
                self._pieces -= 1
                piece = np.frombuffer(_read(self._array.stream, self._size), self._array.dtype)
                self._frames = iter(self._split(piece.reshape(self._shape)))
                frame = next(self._frames)
            return self._convert(frame)

    def skip(self):
        """Goes to the end of the clip."""
        self._array.stream.seek(self._pieces * self._size, 1)

    def _split(self, piece):
        """Returns the frames of what was read, (T, H, W, C)."""
        order = [self._axes.index(axis) for axis in "THWC" if axis in self._axes]
        frames = piece.transpose(order)
        return frames if "T" in self._axes else frames[np.newaxis]

    def _convert(self, frame):
        """Returns a frame, (H, W, C), as RGB in 0..255."""
        if frame.dtype != np.uint8:
            low, high = VALUE_RANGES[self._layout.value_range]
            frame = frame.astype(np.float32)
            slack = (high - low) / 255
            # Negated, so that NaN is refused, too.
            if not (frame.min() >= low - slack and frame.max() <= high + slack):
                raise ValueError(
                    f"{self._array.name or 'it'} has values within {frame.min():g}.."
                    f"{frame.max():g}, not {self._layout.value_range}"
                )
            if (low, high) != VALUE_RANGES["0..255"]:
                frame = (frame - np.float32(low)) * np.float32(255 / (high - low))
        if frame.shape[-1] == 1:
            frame = np.repeat(frame, 3, axis=-1)
        return np.ascontiguousarray(frame)


@contextlib.contextmanager
def _errors(path):
    """Turns every error of reading a file into one VideoError."""
    try:
        yield
    except _DAMAGE as error:
        reason = reason_of(error) if isinstance(error, OSError) else short_reason(error)
        raise VideoError(str(path), reason) from error


def _arrays(path, num_frames, layout):
    """Yields the arrays of a file, one open at a time."""
    found = False
    for name, stream, size in _streams(path):
        dtype, sides = _read_header(stream, name, layout)
        _check_sides(sides, name, num_frames)
        if stream.tell() + math.prod(sides.values()) * dtype.itemsize > size:
            shape = tuple(sides.values())
            raise ValueError(f"it is cut short: {name or 'it'} promises clips of {shape}")
        clip_bytes = math.prod(sides.values()) // max(1, sides["N"]) * dtype.itemsize
        if not layout.axes.startswith("NT") and clip_bytes > MAX_BYTES:
            raise ValueError(f"a clip of {name or 'it'} exceeds {MAX_BYTES / 2**30:g} GiB")
        found = True
        yield _Array(name, dtype, sides, stream)
    if not found:
        raise ValueError("it has no arrays")


def _streams(path):
    """Yields (name, open file, bytes) of each array."""
    with contextlib.ExitStack() as files:
        file = files.enter_context(open_regular(path))
        if Path(path).suffix.lower() == ".npy":
            size = file.seek(0, 2)
            file.seek(0)
            yield "", file, size
            return
        archive = files.enter_context(zipfile.ZipFile(file))
        check_archive(archive)
        for member in archive.infolist():
            with archive.open(member) as file:
                yield f"array {member.filename.removesuffix('.npy')!r}", file, member.file_size


def _read_header(stream, name, layout):
    """Returns the dtype, and the lengths of the axes by their letters."""
    try:
        shape, fortran_order, dtype = read_array_header(stream)
    except Exception as error:  # a damaged header fails anywhere, in any way
        raise ValueError(
            f"{name or 'it'} is not an array as NumPy writes them, or damaged"
        ) from error
    is_float = dtype.kind == "f" and dtype.itemsize <= 8
    sides = dict(zip(layout.axes, shape, strict=False))
    if not (dtype == np.uint8 or is_float) or len(shape) != 5 or sides["C"] not in (1, 3):
        raise ValueError(
            f"{name or 'it'} must be uint8 or float ({', '.join(layout.axes)}), C 1 or 3; it is "
            f"{dtype} {shape}. Other orders of the axes have a name in --axes"
        )
    if is_float and layout.value_range is None:
        raise ValueError(
            f"{name or 'it'} is {dtype}; give the range of its values as --value_range"
        )
    if fortran_order:
        raise ValueError(
            f"{name or 'it'} is stored column by column; save numpy.ascontiguousarray of it"
        )
    return dtype, sides


def _check_sides(sides, name, num_frames):
    height, width = sides["H"], sides["W"]
    if min(sides.values()) < 0:
        raise ValueError(f"{name or 'it'} cannot have a negative side: {tuple(sides.values())}")
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"{name or 'it'} has frames of {width} x {height} pixels")
    if sides["T"] < num_frames:
        raise ValueError(f"{name or 'a clip'}: {too_few_frames(sides['T'], num_frames)}")


def _read(stream, size):
    content = stream.read(size)
    if len(content) < size:
        raise EOFError("it is cut short")
    return content
