"""Files of clips as NumPy writes them, .npy and .npz, read frame by frame.

A file is read in the memory of one clip, and the sizes that its headers promise are compared with
its own before anything is allocated. Objects, which NumPy would unpickle, are refused like
everything else that is not uint8 (N, T, H, W, 3).
"""

import contextlib
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from i3d_tf.system.expansion import check_archive
from i3d_tf.system.files import open_regular
from i3d_tf.video.decode import too_few_frames
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.limits import MAX_PIXELS

ARRAY_SUFFIXES = (".npy", ".npz")
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_DAMAGE = (OSError, ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile)


class _Array(NamedTuple):
    """An array in an open file.

    Attributes:
        name: Its name in an .npz, or "".
        shape: (N, T, H, W, 3).
        stream: Stands at its first value.
    """

    name: str
    shape: tuple[int, ...]
    stream: BinaryIO


def is_clip_array(path: str | os.PathLike) -> bool:
    """Returns whether a name is that of a file of clips, by its ending."""
    return Path(path).suffix.lower() in ARRAY_SUFFIXES


def count_clips(path: str | os.PathLike, num_frames: int) -> int:
    """Counts the clips of a file.

    Args:
        path: The file.
        num_frames: Frames that are needed of each.

    Raises:
        VideoError: It is not a file of clips, is cut short, or its clips have fewer frames.
    """
    with _errors(path):
        return sum(array.shape[0] for array in _arrays(path, num_frames))


class ArrayClip(NamedTuple):
    """A clip of a file.

    Attributes:
        num_frames: Its frames.
        frames: The frames, uint8 (H, W, 3); they need not all be taken.
    """

    num_frames: int
    frames: Iterator[np.ndarray]


def iter_array_clips(path: str | os.PathLike, num_frames: int) -> Iterator[ArrayClip]:
    """Reads the clips of a file, one after the other.

    Args:
        path: The file.
        num_frames: Frames that each must have, at least 1.

    Yields:
        ArrayClip, whose frames are read before the next clip is taken.

    Raises:
        VideoError: See `count_clips`.
    """
    with _errors(path):
        for _, (clips, frames, *frame_shape), stream in _arrays(path, num_frames):
            size = math.prod(frame_shape)
            for _ in range(clips):
                reader = _FrameReader(path, stream, size, frame_shape, frames)
                yield ArrayClip(frames, reader)
                stream.seek((frames - reader.num_read) * size, 1)


class _FrameReader:
    """Frames of one clip, read as they are asked for."""

    def __init__(self, path, stream, size, shape, frames):
        self.num_read = 0
        self._path, self._stream, self._size = path, stream, size
        self._shape, self._frames = shape, frames

    def __iter__(self):
        return self

    def __next__(self):
        if self.num_read == self._frames:
            raise StopIteration
        with _errors(self._path):
            content = _read(self._stream, self._size)
        self.num_read += 1
        return np.frombuffer(content, np.uint8).reshape(self._shape)


@contextlib.contextmanager
def _errors(path):
    """Turns every error of reading a file into one VideoError."""
    try:
        yield
    except _DAMAGE as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise VideoError(str(path), f"{reason or 'it is damaged'}") from error


def _arrays(path, num_frames):
    """Yields the arrays of a file, one open at a time."""
    found = False
    for name, stream, size in _streams(path):
        shape = _read_header(stream, name)
        _check_shape(shape, name, num_frames)
        if stream.tell() + math.prod(shape) > size:
            raise ValueError(f"it is cut short: {name or 'it'} promises clips of {shape}")
        found = True
        yield _Array(name, shape, stream)
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


def _read_header(stream, name):
    try:
        read = _HEADERS[np.lib.format.read_magic(stream)]
        shape, fortran_order, dtype = read(stream)
    except Exception as error:  # a damaged header fails anywhere, in any way
        raise ValueError(
            f"{name or 'it'} is not an array as NumPy writes them, or damaged"
        ) from error
    if dtype != np.uint8 or len(shape) != 5 or shape[-1] != 3:
        raise ValueError(
            f"{name or 'it'} must be uint8 (N, T, H, W, 3), RGB within 0..255; it is {dtype} "
            f"{shape}"
        )
    if fortran_order:
        raise ValueError(
            f"{name or 'it'} is stored column by column; save numpy.ascontiguousarray of it"
        )
    return shape


def _check_shape(shape, name, num_frames):
    _, frames, height, width, _ = shape
    if min(shape) < 0:
        raise ValueError(f"{name or 'it'} cannot have a negative side: {shape}")
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"{name or 'it'} has frames of {width} x {height} pixels")
    if frames < num_frames:
        raise ValueError(f"{name or 'a clip'}: {too_few_frames(frames, num_frames)}")


def _read(stream, size):
    content = stream.read(size)
    if len(content) < size:
        raise EOFError("it is cut short")
    return content
