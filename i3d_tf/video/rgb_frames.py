"""Decoded frames -> upright RGB arrays, all of one size."""

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from i3d_tf.video.container import MAX_BYTES
from i3d_tf.video.errors import VideoError, reason_of

INITIAL_BYTES = 2**28  # room for 10 s of most clips; pages that are never written cost nothing


class RGBConverter:
    """Turns decoded frames into RGB arrays the way round they are meant to be seen.

    Attributes:
        height: Pixels, as shown.
        width: Pixels, as shown.
    """

    def __init__(self, frame):
        """Takes size and orientation from the first frame of a video.

        Args:
            frame: av.VideoFrame.
        """
        self._stored_size = frame.width, frame.height
        self._turned, self._flip = orientation(_display_matrix(frame))
        sides = frame.height, frame.width
        self.height, self.width = reversed(sides) if self._turned else sides
        self._reformatter = VideoReformatter()

    def render(self, frame):
        """Converts one frame.

        Args:
            frame: av.VideoFrame of any pixel format; one of another size is scaled.

        Returns:
            uint8 (height, width, 3), RGB; a view.
        """
        width, height = self._stored_size
        converted = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
        array = converted.to_ndarray()
        return (array.swapaxes(0, 1) if self._turned else array)[self._flip]


class Clip:
    """A growing array of frames, so that a clip is in memory only once.

    Attributes:
        num_frames: Frames so far.
    """

    def __init__(self, path, upright, change=None):
        """Begins without frames.

        Args:
            path: The file as it is called in errors.
            upright: RGBConverter, which renders the frames.
            change: What is done to each frame before it is kept, or None.
        """
        self.num_frames = 0
        self._path = path
        self._upright = upright
        self._change = change
        self._array = None

    def append(self, frame, count):
        """Adds a frame.

        Args:
            frame: av.VideoFrame.
            count: How many times to add it, at least 1.
        """
        try:
            picture = self._upright.render(frame)
        except av.error.FFmpegError as error:
            reason = f"its frames cannot be converted to RGB ({reason_of(error)})"
            raise VideoError(self._path, reason) from error
        picture = self._change(picture) if self._change else picture
        if self._array is None:
            room = max(1, INITIAL_BYTES // picture.nbytes)
            self._array = np.empty((room, *picture.shape), np.uint8)
        needed = self.num_frames + count
        if needed > len(self._array):
            self._grow(needed)
        self._array[self.num_frames : needed] = picture
        self.num_frames = needed

    def frames(self):
        """Gives the array away; there must be frames, and none can be added afterwards.

        Returns:
            uint8 (num_frames, height, width, 3).
        """
        array, self._array = self._array, None
        # In place, so that the memory that was not used is given back without a copy.
        array.resize((self.num_frames, *array.shape[1:]), refcheck=False)
        return array

    def _grow(self, needed):
        height, width = self._array.shape[1:3]
        most = MAX_BYTES // self._array[0].nbytes
        if needed > most:
            raise VideoError(
                self._path,
                f"a clip of {needed} or more frames of {height} x {width} exceeds "
                f"{MAX_BYTES / 2**30:g} GiB; "
                "shorten it with `start` and `end`",
            )
        room = min(max(needed, 2 * len(self._array)), most)
        larger = np.empty((room, height, width, 3), np.uint8)
        larger[: self.num_frames] = self._array[: self.num_frames]
        self._array = larger


def orientation(matrix):
    """What a display matrix does to a picture, to the nearest quarter turn.

    Args:
        matrix: 9 ints (a, b, u, c, d, v, x, y, w) of ISO/IEC 14496-12: a stored pixel (p, q), q
            down, is shown at (a p + c q, b p + d q).

    Returns:
        (turned, flip): whether rows become columns, and the index that then reverses rows and
        columns.
    """
    a, b, _, c, d = matrix[:5]
    turned = abs(b) > abs(a)
    across, down = (c, b) if turned else (a, d)
    flip = slice(None, None, -1 if down < 0 else 1), slice(None, None, -1 if across < 0 else 1)
    return turned, flip


def _display_matrix(frame):
    for side_data in frame.side_data:
        if side_data.type.name == "DISPLAYMATRIX":
            return np.frombuffer(bytes(side_data), np.int32).tolist()
    return [1, 0, 0, 0, 1, 0, 0, 0, 1]
