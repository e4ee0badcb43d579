"""Video file -> RGB frames at the protocol's frame rate.

Time is counted in seconds from the first video frame of the file, exactly, by the time stamps of
the frames. Only frames that are returned are converted to RGB.
"""

import itertools
import math
from fractions import Fraction
from itertools import islice, repeat
from typing import NamedTuple

import av
import numpy as np

from i3d_tf.specs.streams import FRAME_RATE, SHORT_SIDE
from i3d_tf.video.container import MAX_FRAMES, MAX_PIXELS, Demuxer, open_container
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.resample import Timed, as_fraction, between, resample
from i3d_tf.video.rgb_frames import Clip, RGBConverter
from i3d_tf.video.transforms import resize_short_side, resized_shape

# Formats with an index, whose time stamps are the same after a seek. Others are decoded from their
# start: they are searched by guessed position, or count time from wherever reading began.
SEEKABLE_FORMATS = ("mov", "matroska")
# How many seconds before `start` to seek: further back where the nearest key frame proves unusable.
SEEK_MARGINS = (0, 1, 5)


class Decoded(NamedTuple):
    """A decoded frame.

    Attributes:
        frame: av.VideoFrame.
        damaged: Whether it, or a frame it is made from, was damaged.
    """

    frame: av.VideoFrame
    damaged: bool


def read_clip(source, frame_rate=FRAME_RATE, start=None, end=None, change=None):
    """Reads a video, or a part of it, as RGB frames at a fixed rate.

    Output frame k is the source frame nearest in time to start + k / frame_rate, the earlier of two
    equally near, for every k whose time lies before `end` and before the end of the last frame.
    Rotation and mirroring stored with the video are applied; a stored pixel aspect ratio,
    interlacing and transparency are not. Colour follows the matrix and range that the video names
    (BT.601 where it names none). Where the frame size changes, all frames are scaled to the first
    one's.

    Args:
        source: Path (str or os.PathLike; a name with "://" is read through tf.io.gfile), or the
            bytes of a video file.
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
        ValueError: An argument is not as above.
    """
    rate = None if frame_rate is None else as_fraction("frame_rate", frame_rate, positive=True)
    start = as_fraction("start", 0 if start is None else start)
    end = None if end is None else as_fraction("end", end)
    if end is not None and end <= start:
        raise ValueError(
            f"`end` must be greater than `start`, {float(start):g}; received {float(end):g}."
        )
    with open_container(source) as media:
        first, timed = frames_from(media, start)
        clip = Clip(media.path, RGBConverter(first.item.frame), change)
        chosen = resample(timed, rate, start, end) if rate else between(timed, start, end)
        for shown, count in chosen:
            if shown.item.damaged:
                raise VideoError(media.path, f"it is damaged at {float(shown.time):.2f} s")
            clip.append(shown.item.frame, count)
    if not clip.num_frames:
        until = "" if end is None else f" and before {float(end):g} s"
        raise VideoError(media.path, f"it has no frame from {float(start):g} s on{until}")
    return clip.frames()


def frames_from(media, start):
    """Decodes a video, from near a time.

    Args:
        media: What `open_container` gives.
        start: Fraction, seconds after the first frame.

    Returns:
        The first frame of the file, and an iterator of frames from one at or before `start`: Timed,
        in seconds after the first frame.

    Raises:
        VideoError: There is no frame.
    """
    decoded = _decode(media)
    first = next(decoded, None)
    if first is None:
        sized = media.stream.codec_context.width > 0
        hint = "" if sized else f": its frame size is unknown or above {MAX_PIXELS} pixels"
        raise VideoError(media.path, f"no frame of it can be decoded{hint}")
    decoded = _seek(media, first.time + start) if start else itertools.chain([first], decoded)
    return first, (shown._replace(time=shown.time - first.time) for shown in decoded)


def _seek(media, wanted):
    """Frames from a key frame at or before `wanted` (file's own clock), else from the start."""
    can_seek = media.container.format.name.startswith(SEEKABLE_FORMATS)
    for margin in SEEK_MARGINS if can_seek else ():
        target = math.floor((wanted - margin) / media.stream.time_base)
        try:
            media.container.seek(target, stream=media.stream)
        except av.error.FFmpegError:
            break
        decoded = _decode(media, wanted)
        landed = next(decoded, None)
        # A file may be wrong about its key frames; the decoder is not.
        if landed is not None and landed.time <= wanted and landed.item.frame.key_frame:
            return itertools.chain([landed], decoded)
    media.rewind()
    return _decode(media, wanted)


def _decode(media, wanted=None):
    """Yields Timed frames from where the container stands, on the file's own clock.

    A frame that is missing raises VideoError once the frames before it have been used up, or marks
    those made from it as damaged where it would be shown before `wanted` (seconds).
    """
    packets = Demuxer(media)
    latest, damaged = None, False
    for packet in packets:
        try:
            frames = media.stream.decode(packet)
        except av.error.FFmpegError:
            # A recording may begin between key frames, with nothing to show yet.
            damaged = latest is not None
            if damaged and (wanted is None or latest.time >= wanted):
                packets.stop()
            continue
        for frame in frames:
            # Frames that follow a damaged one are made from it, until the next key frame.
            damaged = frame.is_corrupt or (damaged and not frame.key_frame)
            shown = _timed(Decoded(frame, damaged), latest, media)
            # A frame that goes back in time is near to nothing that is still to come.
            if latest is None or shown.time > latest.time:
                yield shown
                latest = shown
    if packets.ended_early():
        raise _cut_short(media, latest)


def _timed(decoded, previous, media):
    frame = decoded.frame
    time_base = frame.time_base or media.stream.time_base
    # An AVI stores no presentation times. What FFmpeg makes up for them is out of order where there
    # are B-frames (most of UCF-101); the time of the packet that released the frame is not.
    stamp = frame.dts if media.container.format.name == "avi" else frame.pts
    if stamp is not None:
        time = stamp * time_base
    else:
        time = Fraction(0) if previous is None else previous.time + previous.duration
    duration = frame.duration * time_base if frame.duration else media.frame_interval
    return Timed(time, duration, decoded)


def _cut_short(media, latest):
    where = "at its start" if latest is None else f"after {float(latest.time):.2f} s"
    return VideoError(media.path, f"it is damaged or cut short {where}")


def count_frames(source, frame_rate=FRAME_RATE) -> int:
    """Counts what `read_frames` yields: all is decoded, and nothing converted to RGB.

    Args:
        source: As for `read_clip`.
        frame_rate: Frames per second after resampling, > 0.

    Returns:
        Frames, at least 1.

    Raises:
        VideoError: The video cannot be read, is damaged or cut short, or has more frames than
            `read_frames` gives.
        ValueError: An argument is not as above.
    """
    rate = as_fraction("frame_rate", frame_rate, positive=True)
    total = 0
    with open_container(source) as media:
        _, timed = frames_from(media, Fraction(0))
        for shown, count in resample(timed, rate):
            if shown.item.damaged:
                raise VideoError(media.path, f"it is damaged at {float(shown.time):.2f} s")
            total += count
            if total > MAX_FRAMES:
                raise VideoError(media.path, f"it has more than {MAX_FRAMES} frames")
    return total


def verify_video(source, start=None, end=None):
    """Does all that `read_clip(source, None, start, end)` does, in the memory of one frame.

    Args:
        source: Path (str or os.PathLike) or the bytes of a video file.
        start: Seconds after the first frame, >= 0; None means 0.
        end: Seconds after the first frame, > start; None means the end of the video.

    Returns:
        How many frames there are, at least 1.

    Raises:
        VideoError: The video cannot be read, is damaged or cut short within the requested part, or
            ends before `start`.
        ValueError: An argument is not as above.
    """
    start = as_fraction("start", 0 if start is None else start)
    end = None if end is None else as_fraction("end", end)
    if end is not None and end <= start:
        raise ValueError(
            f"`end` must be greater than `start`, {float(start):g}; received {float(end):g}."
        )
    num_frames = 0
    with open_container(source) as media:
        first, timed = frames_from(media, start)
        upright = RGBConverter(first.item.frame)
        for shown, _ in between(timed, start, end):
            if shown.item.damaged:
                raise VideoError(media.path, f"it is damaged at {float(shown.time):.2f} s")
            upright.render(shown.item.frame)
            num_frames += 1
    if not num_frames:
        until = "" if end is None else f" and before {float(end):g} s"
        raise VideoError(media.path, f"it has no frame from {float(start):g} s on{until}")
    return num_frames


def read_first_frames(source, num_frames, frame_rate=None, change=None):
    """Reads the first frames of a video; no more of it is decoded.

    Args:
        source: As for `read_clip`.
        num_frames: Frames, at least 1.
        frame_rate: Frames per second after resampling, as of `read_clip`; None takes the frames as
            they are.
        change: As for `read_clip`.

    Returns:
        uint8 (num_frames, H, W, 3), RGB.

    Raises:
        VideoError: The video cannot be read, is damaged, or has fewer frames.
    """
    rate = None if frame_rate is None else as_fraction("frame_rate", frame_rate, positive=True)
    with open_container(source) as media:
        first, timed = frames_from(media, Fraction(0))
        clip = Clip(media.path, RGBConverter(first.item.frame), change)
        if rate is None:
            chosen = islice(between(timed), num_frames)
        else:
            chosen = resample(timed, rate, end=num_frames / rate)
        for shown, count in chosen:
            if shown.item.damaged:
                raise VideoError(media.path, f"it is damaged at {float(shown.time):.2f} s")
            clip.append(shown.item.frame, count)
    if clip.num_frames < num_frames:
        raise VideoError(media.path, too_short(clip.num_frames, num_frames, frame_rate))
    return clip.frames()


def too_short(found, needed, frame_rate=None) -> str:
    """Why a clip cannot be made of so few frames."""
    at_rate = "" if frame_rate is None else f" at {frame_rate:.4g} per second"
    return f"it has {found} frames{at_rate}; {needed} are needed"


MAX_FRAME = 2**23  # pixels after resizing: 4096 x 2048


def read_frames(source, frame_rate=FRAME_RATE, short_side=SHORT_SIDE):
    """Reads a whole video as `read_clip` and `resize_short_side` do, one frame at a time.

    Args:
        source: As for `read_clip`.
        frame_rate: Output frames per second, > 0.
        short_side: Pixels, >= 1; None leaves the frames as they are.

    Yields:
        uint8 (H, W, 3), RGB.

    Raises:
        VideoError: The video cannot be read, is damaged or cut short, or its frames are too large.
        ValueError: An argument is not as above.
    """
    rate = as_fraction("frame_rate", frame_rate, positive=True)
    with open_container(source) as media:
        first, timed = frames_from(media, Fraction(0))
        upright = RGBConverter(first.item.frame)
        _check_size(media.path, upright.height, upright.width, short_side)
        total = 0
        for shown, count in resample(timed, rate):
            if shown.item.damaged:
                raise VideoError(media.path, f"it is damaged at {float(shown.time):.2f} s")
            total += count
            if total > MAX_FRAMES:  # a forged time stamp can make a video last for years
                raise VideoError(media.path, f"it has more than {MAX_FRAMES} frames")
            frame = _render(media.path, upright, shown.item.frame)
            if short_side is not None:
                frame = resize_short_side(frame[np.newaxis], short_side)[0]
            yield from repeat(frame, count)


def _render(path, upright, frame):
    try:
        return upright.render(frame)
    except av.error.FFmpegError as error:
        reason = f"its frames cannot be converted to RGB ({reason_of(error)})"
        raise VideoError(path, reason) from error


def _check_size(path, height, width, short_side):
    if short_side is not None:
        height, width = resized_shape(height, width, short_side)
    if height * width > MAX_FRAME:
        raise VideoError(
            path, f"its frames would have {width} x {height} pixels, more than {MAX_FRAME}"
        )
