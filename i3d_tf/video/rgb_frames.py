"""Decoded frames as upright RGB arrays, all of one size."""

from enum import IntEnum
from fractions import Fraction
from functools import lru_cache

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from i3d_tf.video.cropping import NO_MARGINS, Margins
from i3d_tf.video.errors import VideoError
from i3d_tf.video.hdr import ToneMap, is_hdr
from i3d_tf.video.limits import MAX_BYTES, MAX_PIXELS
from i3d_tf.video.options import num_decoder_threads

INITIAL_BYTES = 2**28  # room for 10 s of most clips; pages that are never written cost nothing
# Pixels of a frame that one thread converts: more threads take longer to start than to convert it.
MAX_SINGLE_THREADED_PIXELS = 2**19
# Colour matrices that FFmpeg converts, in ITU-T H.273's numbers, and what stands for others.
KNOWN_MATRICES = {0, 1, 2, 4, 5, 6, 7, 9}


class Matrix(IntEnum):
    """Colour matrices that stand for others, in FFmpeg's numbers; PyAV names BT.2020's since 18."""

    ITU709 = 1
    ITU601 = 5
    BT2020 = 9


LIKELY_MATRIX = {9: Matrix.BT2020, 5: Matrix.ITU601, 6: Matrix.ITU601}  # by primaries


class RGBConverter:
    """Conversion of a video's frames to RGB, the way round they are meant to be seen.

    Attributes:
        height: Pixels, as shown.
        width: Pixels, as shown.
        shown_matrix: The colour matrix that is used where FFmpeg does not have the one that the
            video names; None where it has.
    """

    height: int
    width: int
    shown_matrix: Matrix | None

    def __init__(
        self,
        first_frame: av.VideoFrame,
        margins: Margins = NO_MARGINS,
        pixel_aspect: Fraction | None = None,
    ):
        """Takes size and orientation from the first frame of a video.

        Args:
            first_frame: The frame.
            margins: What to leave out of each frame, before it is turned.
            pixel_aspect: Width of a stored pixel by its height, to stretch frames in width; None
                leaves them.
        """
        width, height = self._stored_size = first_frame.width, first_frame.height
        if not margins.leave_some_of(width, height):
            margins = NO_MARGINS
        rows = slice(margins.top, height - margins.bottom)
        self._shown = rows, slice(margins.left, width - margins.right)
        self._transposed, self._flip = orientation(_display_matrix(first_frame))
        self._stretched = None
        sides = height - margins.top - margins.bottom, width - margins.left - margins.right
        if pixel_aspect is not None and pixel_aspect != 1:
            stretched_width = max(1, round(sides[1] * pixel_aspect))
            if stretched_width * sides[0] <= MAX_PIXELS:  # or the file is wrong about it
                sides = sides[0], stretched_width
                self._stretched = stretched_width, sides[0]
        self.height, self.width = reversed(sides) if self._transposed else sides
        self._reformatter = VideoReformatter()
        is_small = width * height <= MAX_SINGLE_THREADED_PIXELS
        self._num_threads = 1 if is_small else num_decoder_threads()
        self._tone_map = ToneMap(first_frame) if is_hdr(first_frame) else None
        self.shown_matrix = _shown_matrix(first_frame)

    @property
    def turned(self) -> str:
        """Returns in words how frames are turned; "no" where they are not."""
        rows, columns = (part.step == -1 for part in self._flip)
        name = {
            (False, False, False): "no",
            (False, True, True): "by 180 degrees",
            (True, False, True): "by 90 degrees clockwise",
            (True, True, False): "by 90 degrees anticlockwise",
            (False, False, True): "mirrored",
            (False, True, False): "upside down, mirrored",
        }
        return name.get((self._transposed, rows, columns), "mirrored, by 90 degrees")

    def convert(self, frame: av.VideoFrame) -> np.ndarray:
        """Converts one frame.

        Args:
            frame: A frame of any pixel format; one of another size is scaled.

        Returns:
            uint8 (height, width, 3), RGB; a view.

        Raises:
            av.error.FFmpegError: FFmpeg cannot convert it.
        """
        if self._tone_map is not None:
            array = self._tone_map.convert(self._reformat(frame, "rgb48le"))
        elif has_transparency(frame.format.name):
            array = on_black(self._reformat(frame, "rgba"))
        else:
            array = self._reformat(frame, "rgb24")
        array = array[self._shown]
        if self._stretched is not None:
            array = cv2.resize(array, self._stretched, interpolation=cv2.INTER_LINEAR)
        return (array.swapaxes(0, 1) if self._transposed else array)[self._flip]

    def _reformat(self, frame, pixel_format):
        width, height = self._stored_size
        return self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=pixel_format,
            src_colorspace=_shown_matrix(frame),
            threads=self._num_threads,
        ).to_ndarray()


def _shown_matrix(frame):
    """Returns the colour matrix to use where FFmpeg has not the one that a frame names; or None."""
    matrix = int(frame.colorspace)
    if matrix in KNOWN_MATRICES:
        return None
    return LIKELY_MATRIX.get(int(frame.color_primaries), Matrix.ITU709)


@lru_cache
def has_transparency(format_name: str) -> bool:
    """Returns whether pictures of a format can be transparent; a palette may have such colours.

    Args:
        format_name: FFmpeg's name of the pixel format.
    """
    pixel_format = av.VideoFormat(format_name)
    return pixel_format.has_palette or any(part.is_alpha for part in pixel_format.components)


def on_black(picture: np.ndarray) -> np.ndarray:
    """Shows a transparent picture on black.

    Args:
        picture: uint8 (H, W, 4), RGB and opacity.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    colours, opacity = picture[..., :3], picture[..., 3:]
    if opacity.min() == 255:
        return colours
    shown = np.empty_like(colours)
    for row, (of_row, visible) in enumerate(zip(colours, opacity, strict=True)):
        shown[row] = (of_row.astype(np.uint16) * visible + 127) // 255
    return shown


def orientation(matrix: list[int]) -> tuple[bool, tuple[slice, slice]]:
    """Returns what a display matrix does to a picture, to the nearest quarter turn.

    Args:
        matrix: 9 ints (a, b, u, c, d, v, x, y, w) of ISO/IEC 14496-12: a stored pixel (p, q), q
            down, is shown at (a p + c q, b p + d q).

    Returns:
        (transposed, flip): whether rows become columns, and the index that then reverses rows and
        columns.
    """
    a, b, _, c, d = matrix[:5]
    transposed = abs(b) > abs(a)
    across, down = (c, b) if transposed else (a, d)
    flip = slice(None, None, -1 if down < 0 else 1), slice(None, None, -1 if across < 0 else 1)
    return transposed, flip


def _display_matrix(frame):
    for side_data in frame.side_data:
        if side_data.type.name == "DISPLAYMATRIX":
            return np.frombuffer(bytes(side_data), np.int32).tolist()
    return [1, 0, 0, 0, 1, 0, 0, 0, 1]


class FrameBuffer:
    """A growing array of frames, so that a clip is in memory only once.

    Attributes:
        num_frames: Frames so far.
    """

    num_frames: int

    def __init__(self, path: str, num_expected: int | None = None):
        """Starts without frames.

        Args:
            path: Name of the video in errors.
            num_expected: How many frames there will be, if that is known: memory of that size is
                used again for the next clip, without a cost.
        """
        self.num_frames = 0
        self._path = path
        self._num_expected = num_expected
        self._array = _no_frames()

    def append(self, frame: np.ndarray, count: int = 1) -> None:
        """Adds a frame.

        Args:
            frame: uint8 (H, W, 3), of the same size each time.
            count: How many times to add it, at least 1.

        Raises:
            VideoError: The frames would take more than MAX_BYTES.
        """
        if not self.num_frames:
            room = max(1, INITIAL_BYTES // frame.nbytes)
            if self._num_expected is not None:
                room = min(room, max(1, self._num_expected))
            self._array = np.empty((room, *frame.shape), np.uint8)
        needed = self.num_frames + count
        if needed > len(self._array):
            self._grow(needed)
        self._array[self.num_frames : needed] = frame
        self.num_frames = needed

    def frames(self) -> np.ndarray:
        """Gives the array away; there must be frames, and none can be added afterwards.

        Returns:
            uint8 (num_frames, H, W, 3).
        """
        array, self._array = self._array, _no_frames()
        # In place, so that the memory that was not used is given back without a copy.
        array.resize((self.num_frames, *array.shape[1:]), refcheck=False)
        return array

    def _grow(self, needed):
        height, width = self._array.shape[1:3]
        maximum = MAX_BYTES // self._array[0].nbytes
        if needed > maximum:
            raise VideoError(
                self._path,
                f"a clip of {needed} or more frames of {height} x {width} exceeds "
                f"{MAX_BYTES / 2**30:g} GiB; shorten it with `start` and `end`",
            )
        room = min(max(needed, 2 * len(self._array)), maximum)
        larger = np.empty((room, height, width, 3), np.uint8)
        larger[: self.num_frames] = self._array[: self.num_frames]
        self._array = larger


def _no_frames():
    return np.empty((0, 0, 0, 3), np.uint8)
