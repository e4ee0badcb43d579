"""The test clips of a video: the resized frames of the windows that a network's protocol names."""

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import count_frames, iter_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.rgb_frames import FrameBuffer
from i3d_tf.video.sampling import uniform_windows
from i3d_tf.video.transforms import resize_short_side

# Resized to the protocol's short side, frames of any length would not fit into memory.
MAX_ASPECT = 16


class TestWindow(NamedTuple):
    """Consecutive frames of a video.

    Attributes:
        frames: uint8 (T, H, W, 3), RGB; fewer than the protocol's where the video has fewer.
        next_frame: The frame after them, or None where the video ends.
    """

    frames: np.ndarray
    next_frame: np.ndarray | None


class TestClips(NamedTuple):
    """The frames of all windows of a video.

    Attributes:
        frames: uint8 (T, H, W, 3), RGB: those of all windows, and the one after each.
        starts: Index in `frames` of the first frame of each window.
        length: Frames of a window.
        num_frames: Different frames in all windows together.
    """

    frames: np.ndarray
    starts: tuple[int, ...]
    length: int
    num_frames: int

    def windows(self) -> Iterator[TestWindow]:
        """Yields the windows, one after the other."""
        for start in self.starts:
            end = start + self.length
            next_frame = self.frames[end] if end < len(self.frames) else None
            yield TestWindow(self.frames[start:end], next_frame)


def read_test_clips(path: str | os.PathLike, protocol: Protocol) -> TestClips:
    """Reads the test clips of a video.

    A single window is that of the first frames; several are spread evenly over the video.

    Args:
        path: The video.
        protocol: Number and size of the windows.

    Raises:
        VideoError: The video cannot be read, has fewer than 9 frames, or frames too narrow.
    """
    if protocol.windows == 1:
        # One frame more than the network sees, so that its last flow is a real one.
        frames = read_start(path, protocol, protocol.frames + 1)
        length = min(len(frames), protocol.frames)
        return TestClips(frames, (0,), length, length)
    num_frames = count_frames(path, protocol.frame_rate)
    check_num_frames(path, num_frames, protocol)
    windows = uniform_windows(num_frames, protocol.frames, protocol.windows)
    starts, length = windows[:, 0], min(num_frames, protocol.frames)
    ends = starts + length
    needed = np.union1d(windows, ends[ends < num_frames])
    positions = np.searchsorted(needed, starts).tolist()
    frames = _read_resized(path, protocol, needed.tolist())
    return TestClips(frames, tuple(positions), length, len(np.unique(windows)))


def read_start(path: str | os.PathLike, protocol: Protocol, max_frames: int) -> np.ndarray:
    """Reads the first frames of a video at a protocol's size and rate.

    Args:
        path: The video.
        protocol: Its frame rate and short side are used.
        max_frames: Frames to read; fewer are returned where the video has fewer.

    Returns:
        uint8 (T, H, W, 3), RGB.

    Raises:
        VideoError: The video cannot be read, has fewer than 9 frames, or frames too narrow.
    """
    frames = _read_resized(path, protocol, range(max_frames))
    check_num_frames(path, len(frames), protocol)
    return frames


def _read_resized(path, protocol, wanted: Sequence[int]) -> np.ndarray:
    """Reads some frames of a video, given their numbers in ascending order, as far as it has them.

    Only these frames are resized and kept, and no more is decoded than the last one needs.
    """
    buffer, start = FrameBuffer(str(path)), 0
    for frame, count in iter_frames(path, protocol.frame_rate):
        end = start + count
        repeats = bisect_left(wanted, end) - bisect_left(wanted, start)
        if repeats:
            _check_aspect(path, *frame.shape[:2])
            resized = resize_short_side(frame[np.newaxis], protocol.short_side)[0]
            buffer.append(resized, repeats)
        start = end
        if start > wanted[-1]:
            break
    return buffer.frames()


def check_num_frames(
    path: str | os.PathLike, num_frames: int, protocol: Protocol, needed: int = MIN_FRAMES
) -> None:
    """Refuses a video that is too short.

    Args:
        path: The video.
        num_frames: Frames of the video.
        protocol: At whose frame rate they are counted.
        needed: Frames that it must have.

    Raises:
        VideoError: There are fewer.
    """
    if num_frames < needed:
        found = f"{num_frames} frames at {protocol.frame_rate:.4g} per second"
        raise VideoError(str(path), f"it has {found}; at least {needed} are needed")


def _check_aspect(path, height, width):
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise VideoError(
            str(path),
            f"its frames of {width} x {height} pixels are too narrow: one side is more than "
            f"{MAX_ASPECT} times the other",
        )
