"""The test clips of a video: the resized frames of the windows that a network's protocol names."""

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import count_frames, iter_frames, read_watched
from i3d_tf.video.errors import VideoError
from i3d_tf.video.resample import as_fraction, resample
from i3d_tf.video.rgb_frames import FrameBuffer
from i3d_tf.video.sampling import uniform_snippets, uniform_windows
from i3d_tf.video.transforms import resize_short_side

FRAMES_TITLE = "<frames>"  # the name of an array of frames, in place of a video's path
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
        segments: Windows that are the snippets of one clip; 1 where each is a clip.
        video_starts: Index in the video, at the protocol's rate, of the first frame of each window.
    """

    frames: np.ndarray
    starts: tuple[int, ...]
    length: int
    num_frames: int
    segments: int = 1
    video_starts: tuple[int, ...] = (0,)

    @property
    def num_clips(self) -> int:
        """Number of clips."""
        return len(self.starts) // self.segments

    def clips(self) -> Iterator[list[TestWindow]]:
        """Yields the windows of each clip, one clip after the other."""
        for first in range(0, len(self.starts), self.segments):
            yield [self._window(start) for start in self.starts[first : first + self.segments]]

    def _window(self, start):
        end = start + self.length
        next_frame = self.frames[end] if end < len(self.frames) else None
        return TestWindow(self.frames[start:end], next_frame)


@dataclass(frozen=True)
class TimedFrame:
    """A frame of an array, with its time; see `i3d_tf.video.resample.Timed`.

    Attributes:
        index: Its index in the array.
        time: Seconds after the first frame.
        duration: Seconds.
    """

    index: int
    time: Fraction
    duration: Fraction


def read_test_clips(
    path: str | os.PathLike,
    protocol: Protocol,
    start: float | None = None,
    end: float | None = None,
) -> TestClips:
    """Reads the test clips of a video, or of a cut of one.

    A single window is that of the first frames; several are spread evenly over the video, and
    snippets are in the middle of its segments: the frames of `i3d_tf.data.views.evaluation_views`.

    Args:
        path: The video.
        protocol: Number and size of the windows.
        start: Seconds after the first frame at which the cut starts; None for the video's start.
        end: Seconds after the first frame at which the cut ends; None for the video's end.

    Raises:
        VideoError: The video cannot be read, has fewer than 9 frames, or frames too narrow.
    """
    return read_watched(
        path,
        lambda: _test_clips(
            path,
            protocol,
            lambda: iter_frames(path, protocol.frame_rate, start, end),
            lambda: count_frames(path, protocol.frame_rate, start, end),
        ),
    )


def frames_to_test_clips(frames: np.ndarray, frame_rate: float, protocol: Protocol) -> TestClips:
    """Makes the test clips of frames, as `read_test_clips` does of a video that has them.

    Args:
        frames: uint8 (T, H, W, 3), RGB.
        frame_rate: Frames per second of them.
        protocol: See `read_test_clips`.

    Raises:
        VideoError: They are fewer than 9 at the protocol's rate, or too narrow.
        ValueError: `frame_rate` is not allowed.
    """
    duration = 1 / as_fraction("frame_rate", frame_rate, positive=True)
    timed = (TimedFrame(index, index * duration, duration) for index in range(len(frames)))
    wanted_rate = as_fraction("frame_rate", protocol.frame_rate, positive=True)
    chosen = [(frames[frame.index], count) for frame, count in resample(timed, wanted_rate)]
    return _test_clips(
        FRAMES_TITLE, protocol, lambda: chosen, lambda: sum(count for _, count in chosen)
    )


def frames_as_test_clip(frames: np.ndarray, protocol: Protocol) -> TestClips:
    """Makes one test clip of all frames, whatever their number and rate.

    Where the protocol has segments, the clip has a snippet of each. Frames are resized to the
    protocol's short side, unless they are squares of its crop size, which are left as they are.

    Args:
        frames: uint8 (T, H, W, 3), RGB.
        protocol: See above.

    Raises:
        VideoError: The frames are too narrow.
    """
    height, width = frames.shape[1:3]
    if (height, width) != (protocol.crop_size, protocol.crop_size):
        _check_aspect(FRAMES_TITLE, height, width)
        frames = resize_short_side(frames, protocol.short_side)
    if protocol.segments == 1:
        return TestClips(frames, (0,), len(frames), len(frames))
    snippets = uniform_snippets(len(frames), protocol.frames, protocol.segments)
    starts, length = tuple(snippets[:, 0].tolist()), min(len(frames), protocol.frames)
    return TestClips(frames, starts, length, len(np.unique(snippets)), protocol.segments, starts)


def _test_clips(path, protocol, iterate, count) -> TestClips:
    """Makes test clips; the functions give the (frame, count) pairs at its rate, and their sum."""
    if protocol.is_start:
        # One frame more than the network sees, so that its last flow is a real one.
        frames = _resized(path, protocol, iterate(), range(protocol.frames + 1))
        check_num_frames(path, len(frames), protocol)
        length = min(len(frames), protocol.frames)
        return TestClips(frames, (0,), length, length)
    num_frames = count()
    check_num_frames(path, num_frames, protocol)
    if protocol.segments > 1:
        windows = uniform_snippets(num_frames, protocol.frames, protocol.segments)
    else:
        windows = uniform_windows(num_frames, protocol.frames, protocol.windows)
    starts, length = windows[:, 0], min(num_frames, protocol.frames)
    ends = starts + length
    needed = np.union1d(windows, ends[ends < num_frames])
    positions = np.searchsorted(needed, starts).tolist()
    frames = _resized(path, protocol, iterate(), needed.tolist())
    return TestClips(
        frames,
        tuple(positions),
        length,
        num_frames=len(np.unique(windows)),
        segments=protocol.segments,
        video_starts=tuple(starts.tolist()),
    )


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
    chosen = iter_frames(path, protocol.frame_rate)
    frames = read_watched(path, lambda: _resized(path, protocol, chosen, range(max_frames)))
    check_num_frames(path, len(frames), protocol)
    return frames


def _resized(path, protocol, chosen, wanted: Sequence[int]) -> np.ndarray:
    """Resizes some frames, given their numbers in ascending order, as far as the video has them.

    Only these frames are resized and kept, and no more is decoded than the last one needs.
    """
    buffer, start = FrameBuffer(str(path), len(wanted)), 0
    for frame, count in chosen:
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
