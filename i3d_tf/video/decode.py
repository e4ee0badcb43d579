"""Video files as RGB frames at a fixed frame rate.

Time is counted in seconds from the first video frame of the file, exactly, by the time stamps of
the frames. Only frames that are returned are converted to RGB.
"""

import contextlib
import itertools
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import av
import cv2
import numpy as np

from i3d_tf.specs.streams import FRAME_RATE, SHORT_SIDE
from i3d_tf.system.prefetch import prefetch
from i3d_tf.system.watch import StalledError, run_watched
from i3d_tf.video.container import PathOrBytes, open_container, source_name
from i3d_tf.video.decoded_frames import decode_from
from i3d_tf.video.deinterlace import deinterlaced
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.frame_folder import folder_rate, iter_pictures
from i3d_tf.video.limits import MAX_FRAME_PIXELS, MAX_FRAMES
from i3d_tf.video.options import REFUSE, decoder_threads, video_options
from i3d_tf.video.resample import as_fraction, between, resample
from i3d_tf.video.rgb_frames import FrameBuffer, RGBConverter
from i3d_tf.video.timeline import DecodedFrame
from i3d_tf.video.transforms import resize_short_side, resized_shape

FRAMES_AHEAD = 8  # that are read before they are used

Result = TypeVar("Result")
Frame = TypeVar("Frame")
FrameFunction = Callable[[np.ndarray], np.ndarray]


def read_clip(
    source: PathOrBytes,
    frame_rate: float | None = FRAME_RATE,
    start: float | None = None,
    end: float | None = None,
    change: FrameFunction | None = None,
) -> np.ndarray:
    """Reads a video, or a part of it, as RGB frames at a fixed rate.

    Output frame k is the source frame nearest in time to start + k / frame_rate, the earlier of two
    equally near, for every k whose time lies before `end` and before the end of the last frame.
    Rotation, mirroring and cropping stored with the video are applied; a stored pixel aspect ratio,
    deinterlacing and the showing of damage are options, see `i3d_tf.video.options`. Colour follows
    the matrix and range that the video names (BT.601 where it names none); HDR is shown as SDR, see
    `i3d_tf.video.hdr`, and what is transparent on black. Where the frame size changes, all frames
    are scaled to the first one's. Of several video streams one is read, see
    `i3d_tf.video.container.VideoContainer`.

    Args:
        source: Path (str or os.PathLike; an address is read into memory), the bytes
            of a video file, or the path of a folder of pictures, see `i3d_tf.video.frame_folder`.
        frame_rate: Output frames per second, > 0 (25 in arXiv:1705.07750); None returns the frames
            from `start` to `end` as they are.
        start: Seconds after the first frame, >= 0; None means 0.
        end: Seconds after the first frame, > start; None, or more than there is, means the end.
        change: Function of a frame, uint8 (H, W, 3), to what is kept of it, uint8 (H', W', 3) of
            one size. It is called once for a frame that is returned several times.

    Returns:
        uint8 (T, H, W, 3), RGB, T >= 1.

    Raises:
        VideoError: The video cannot be read, is damaged or cut short within the requested part, or
            ends before `start`.
        ValueError: An argument is invalid.
    """
    clip = FrameBuffer(source_name(source), _most_frames(frame_rate, start, end))
    for frame, count in iter_frames(source, frame_rate, start, end):
        clip.append(change(frame) if change else frame, count)
    return clip.frames()


def _most_frames(frame_rate, start, end):
    """Returns how many frames a part has where the video goes on to its end; None if not known."""
    if frame_rate is None or end is None:
        return None
    seconds = as_fraction("end", end) - as_fraction("start", 0 if start is None else start)
    return math.ceil(seconds * as_fraction("frame_rate", frame_rate, positive=True))


def read_first_frames(
    source: PathOrBytes,
    num_frames: int,
    frame_rate: float | None = None,
    change: FrameFunction | None = None,
) -> np.ndarray:
    """Reads the first frames of a video; no more of it is decoded.

    Args:
        source: See `read_clip`.
        num_frames: Frames, at least 1.
        frame_rate: Frames per second after resampling; None takes the frames as they are.
        change: See `read_clip`.

    Returns:
        uint8 (num_frames, H, W, 3), RGB.

    Raises:
        VideoError: The video cannot be read, is damaged, or has fewer frames.
        ValueError: An argument is invalid.
    """
    end = None
    if frame_rate is not None:
        end = num_frames / as_fraction("frame_rate", frame_rate, positive=True)
    clip = FrameBuffer(source_name(source), num_frames)
    for frame, count in itertools.islice(iter_frames(source, frame_rate, end=end), num_frames):
        clip.append(change(frame) if change else frame, count)
    if clip.num_frames < num_frames:
        reason = too_few_frames(clip.num_frames, num_frames, frame_rate)
        raise VideoError(source_name(source), reason)
    return clip.frames()


def read_frames(
    source: PathOrBytes, frame_rate: float | None = FRAME_RATE, short_side: int | None = SHORT_SIDE
) -> Iterator[np.ndarray]:
    """Reads a whole video as `read_clip` and `resize_short_side` do, one frame at a time.

    Args:
        source: See `read_clip`.
        frame_rate: See `read_clip`.
        short_side: Pixels, >= 1; None leaves the frames as they are.

    Yields:
        uint8 (H, W, 3), RGB.

    Raises:
        VideoError: The video cannot be read, is damaged or cut short, has more than MAX_FRAMES
            frames, or its frames are too large.
        ValueError: An argument is invalid.
    """
    for frame, count in iter_frames(source, frame_rate):
        _check_frame_size(source, frame, short_side)
        resized = frame if short_side is None else _resize(frame, short_side)
        yield from itertools.repeat(resized, count)


def count_frames(
    source: PathOrBytes,
    frame_rate: float | None = FRAME_RATE,
    start: float | None = None,
    end: float | None = None,
) -> int:
    """Counts the frames that `read_clip` returns: all is decoded, and nothing converted to RGB.

    Args:
        source: See `read_clip`.
        frame_rate: See `read_clip`.
        start: See `read_clip`.
        end: See `read_clip`.

    Returns:
        Frames, at least 1.

    Raises:
        VideoError: See `read_clip`; or there are more than MAX_FRAMES frames.
        ValueError: An argument is invalid.
    """
    chosen = _choose_frames(source, frame_rate, start, end)
    return sum(count for *_, count in chosen)


def verify_video(source: PathOrBytes, start: float | None = None, end: float | None = None) -> int:
    """Checks as much as `read_clip(source, None, start, end)`, in the memory of one frame.

    Args:
        source: See `read_clip`.
        start: See `read_clip`.
        end: See `read_clip`.

    Returns:
        Frames of the part, at least 1.

    Raises:
        VideoError: See `read_clip`.
        ValueError: An argument is invalid.
    """
    return sum(count for _, count in iter_frames(source, None, start, end))


def read_watched(path: str | os.PathLike, read: Callable[[], Result]) -> Result:
    """Reads a video by a function, and gives up where its decoder never returns.

    Args:
        path: The video, for the error.
        read: Function that uses a reader of this module.

    Returns:
        What the function returns.

    Raises:
        VideoError: No packet was decoded for a long time; or what the function raises.
    """
    try:
        return run_watched(read)
    except StalledError as error:
        raise VideoError(source_name(path), f"its decoder makes {error}; it is given up") from error


def read_single_threaded(read: Callable[[], Result]) -> Result:
    """Calls a function that reads videos in a process beside which others do the same.

    Args:
        read: The function; FFmpeg and OpenCV start no threads for it.

    Returns:
        What the function returns.
    """
    cv2.setNumThreads(1)
    with decoder_threads(1):
        return read()


def iter_watched(
    path: str | os.PathLike, frames: Iterable[Frame], frames_ahead: int = FRAMES_AHEAD
) -> Iterator[Frame]:
    """Reads frames ahead in a thread, and gives up where the decoder never returns.

    Args:
        path: The video, for the error.
        frames: What a reader of this module, or of flow files, yields.
        frames_ahead: How many may wait to be used.

    Yields:
        The same.

    Raises:
        VideoError: No frame came for a long time; or what `frames` raises.
    """
    try:
        with prefetch(frames, frames_ahead, is_watched=True) as ahead:
            yield from ahead
    except StalledError as error:
        raise VideoError(source_name(path), f"its decoder makes {error}; it is given up") from error


def iter_frames(
    source: PathOrBytes,
    frame_rate: float | None = None,
    start: float | Fraction | None = None,
    end: float | Fraction | None = None,
) -> Iterator[tuple[np.ndarray, int]]:
    """Decodes a video, or a part of it: opens, decodes, resamples, refuses damage, converts.

    Args:
        source: See `read_clip`.
        frame_rate: See `read_clip`.
        start: See `read_clip`.
        end: See `read_clip`.

    Yields:
        (frame, count): the next `count` >= 1 output frames are this one, uint8 (H, W, 3), RGB. At
        least one frame comes.

    Raises:
        VideoError: See `read_clip`; or there are more than MAX_FRAMES frames.
        ValueError: An argument is not allowed, see `read_clip`.
    """
    for converter, frame, count in _choose_frames(source, frame_rate, start, end):
        yield _to_rgb(source, converter, frame), count


def _choose_frames(
    source: PathOrBytes,
    frame_rate: float | None,
    start: float | Fraction | None = None,
    end: float | Fraction | None = None,
) -> Iterator[tuple[RGBConverter, DecodedFrame, int]]:
    """Yields (RGBConverter, DecodedFrame, count); see `iter_frames`."""
    rate = None if frame_rate is None else as_fraction("frame_rate", frame_rate, positive=True)
    start = as_fraction("start", 0 if start is None else start)
    end = None if end is None else as_fraction("end", end)
    if end is not None and end <= start:
        raise ValueError(
            f"`end` must be greater than `start`, {float(start):g}; received {float(end):g}."
        )
    options, total = video_options(), 0
    with _open_frames(source, start) as opened:
        path, frames = opened.path, opened.frames
        if options.deinterlace:
            frames = deinterlaced(frames)
        chosen = resample(frames, rate, start, end) if rate else between(frames, start, end)
        for frame, count in chosen:
            if frame.damaged and options.damaged == REFUSE:
                raise VideoError(path, f"it is damaged at {float(frame.time):.2f} s")
            opened.num_damaged += count if frame.damaged else 0
            total += count
            if total > MAX_FRAMES:
                raise VideoError(path, f"it has more than {MAX_FRAMES} frames")
            yield opened.converter, frame, count
        if not total:
            until = "" if end is None else f" and before {float(end):g} s"
            reason = f"it has no frame from {float(start):g} s on{until}"
            raise VideoError(path, reason)


@dataclass
class _Opened:
    """An open video, or folder of pictures."""

    path: str
    converter: RGBConverter
    frames: Iterator[DecodedFrame]  # from a time on
    num_damaged: int = 0  # frames that were shown


@contextlib.contextmanager
def _open_frames(source, start):
    path = source_name(source)
    if not isinstance(source, bytes) and os.path.isdir(path):
        frames = _folder_frames(path, start)
        first = next(frames, None)
        if first is None:  # it ends before
            first = next(_folder_frames(path, Fraction(0)))
        else:
            frames = itertools.chain([first], frames)
        yield _Opened(path, RGBConverter(first.av_frame), frames)
        return
    with open_container(source) as container:
        first, frames = decode_from(container, start)
        opened = _Opened(path, _converter(container, first), frames)
        try:
            yield opened
        finally:
            shows_damage = container.conceals
            _note_concealed(path, opened.num_damaged + container.num_lost if shows_damage else 0)


def _converter(container, first):
    aspect = container.pixel_aspect if video_options().pixel_aspect else None
    converter = RGBConverter(first.av_frame, container.margins, aspect)
    if converter.shown_matrix is not None:
        warnings.warn(
            f"{container.path}: FFmpeg does not know its colour matrix "
            f"({int(first.av_frame.colorspace)} in ITU-T H.273); its colours are shown as those of "
            f"{converter.shown_matrix.name}.",
            stacklevel=2,
        )
    return converter


_CONCEALED: dict[str, int] = {}  # of the videos of this process in which damage was concealed


def concealed_frames(path: str | os.PathLike) -> int:
    """Returns how many frames of a video were damaged or lost when it was last read.

    Args:
        path: The video, as it was named. What was read with damage refused has none.
    """
    return _CONCEALED.get(source_name(path), 0)


def _note_concealed(path, count):
    if not count:
        _CONCEALED.pop(path, None)
        return
    if path not in _CONCEALED:
        warnings.warn(f"{path}: it is damaged; {count} frames are concealed or lost.", stacklevel=2)
    _CONCEALED[path] = count


def _folder_frames(folder, start):
    """Yields the frames of a folder of pictures, from the one that is shown at a time."""
    rate = folder_rate()
    skipped = math.floor(start * rate)
    for number, picture in enumerate(iter_pictures(folder, skipped), skipped):
        av_frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        yield DecodedFrame(number / rate, 1 / rate, av_frame, damaged=False)


def too_few_frames(found: int, needed: int, frame_rate: float | None = None) -> str:
    """Returns the reason why a clip cannot be made of so few frames.

    Args:
        found: Frames of the video.
        needed: Frames of the clip.
        frame_rate: Frames per second at which they are counted; None as they are.
    """
    at_rate = "" if frame_rate is None else f" at {frame_rate:.4g} per second"
    return f"it has {found} frames{at_rate}; {needed} are needed"


def _check_frame_size(source, frame, short_side):
    height, width = frame.shape[:2]
    if short_side is not None:
        height, width = resized_shape(height, width, short_side)
    if height * width > MAX_FRAME_PIXELS:
        raise VideoError(
            source_name(source),
            f"its frames would have {width} x {height} pixels, more than {MAX_FRAME_PIXELS}",
        )


def _resize(frame, short_side):
    return resize_short_side(frame[np.newaxis], short_side)[0]


def _to_rgb(source, converter, frame):
    try:
        return converter.convert(frame.av_frame)
    except av.error.FFmpegError as error:
        reason = f"its frames cannot be converted to RGB ({reason_of(error)})"
        raise VideoError(source_name(source), reason) from error
