"""The frames of a video that a network's protocol shows, resized, and the windows among them."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import count_frames, read_clip, read_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.sampling import uniform_windows
from i3d_tf.video.transforms import resize_short_side

# Resized to the protocol's short side, frames of any length would not fit into memory.
MAX_ASPECT = 16


class ShownWindow(NamedTuple):
    """Consecutive frames.

    Attributes:
        frames: uint8 (T, H, W, 3), RGB; fewer than the protocol's where the video has fewer.
        following: The frame after them, or None where the video ends.
    """

    frames: np.ndarray
    following: np.ndarray | None


class TestClips(NamedTuple):
    """What is shown of a video.

    Attributes:
        frames: uint8 (T, H, W, 3): those of all windows, and the one after each.
        starts: Where in them the windows begin.
        length: Frames of a window.
        number: Different frames in all windows together.
    """

    frames: np.ndarray
    starts: tuple[int, ...]
    length: int
    number: int

    def windows(self) -> Iterator[ShownWindow]:
        """The windows, one after the other."""
        for start in self.starts:
            end = start + self.length
            yield ShownWindow(
                self.frames[start:end], self.frames[end] if end < len(self.frames) else None
            )


def read_test_clips(path, protocol: Protocol) -> TestClips:
    """Reads what a network is shown of a video.

    A single window is that of the first frames; several are spread evenly over the video.

    Args:
        path: The video.
        protocol: How many frames and windows of which size.

    Raises:
        VideoError: The video cannot be read, has fewer than 9 frames, or frames too narrow.
    """
    if protocol.windows == 1:
        # One frame more than is shown to the network, so that the last flow is a real one.
        frames = read_start(path, protocol, protocol.frames + 1)
        length = min(len(frames), protocol.frames)
        return TestClips(frames, (0,), length, length)
    number = count_frames(path, protocol.frame_rate)
    check_number(path, number, protocol)
    shown = uniform_windows(number, protocol.frames, protocol.windows)
    starts, length = shown[:, 0], min(number, protocol.frames)
    ends = starts + length
    needed = np.union1d(shown, ends[ends < number])
    frames = read_frames(path, protocol.frame_rate, protocol.short_side)
    wanted = set(needed.tolist())
    kept = [frame for k, frame in enumerate(islice(frames, int(needed[-1]) + 1)) if k in wanted]
    _check_aspect(path, *kept[0].shape[:2])
    positions = np.searchsorted(needed, starts).tolist()
    return TestClips(np.stack(kept), tuple(positions), length, len(np.unique(shown)))


def read_start(path, protocol: Protocol, most) -> np.ndarray:
    """Reads the first frames of a video: uint8 (T, H, W, 3), RGB, at the protocol's size and rate.

    Args:
        path: The video.
        protocol: Its frame rate and short side are used.
        most: Frames; fewer where the video has fewer.

    Raises:
        VideoError: The video cannot be read, has fewer than 9 frames, or frames too narrow.
    """

    def resized(frame):
        _check_aspect(path, *frame.shape[:2])
        return resize_short_side(frame[np.newaxis], protocol.short_side)[0]

    rate = protocol.frame_rate
    frames = read_clip(path, rate, end=most / rate, change=resized)
    check_number(path, len(frames), protocol)
    return frames


def check_number(path, number, protocol: Protocol, needed=MIN_FRAMES):
    """Refuses a video that is too short.

    Args:
        path: The video.
        number: Its frames.
        protocol: At whose frame rate they are counted.
        needed: The least number.

    Raises:
        VideoError: There are fewer.
    """
    if number < needed:
        rate = protocol.frame_rate
        reason = f"it has {number} frames at {rate:.4g} per second; at least {needed} are needed"
        raise VideoError(path, reason)


def _check_aspect(path, height, width):
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise VideoError(
            path,
            f"its frames of {width} x {height} pixels are too narrow: one side is more than "
            f"{MAX_ASPECT} times the other",
        )
