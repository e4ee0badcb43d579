"""Decoded frames of an open container, from near a time on: seeking, decoding and damage."""

import itertools
import warnings
from collections.abc import Iterator
from fractions import Fraction

import av

from i3d_tf.system.watch import note_progress
from i3d_tf.video.container import Demuxer, VideoContainer
from i3d_tf.video.errors import VideoError
from i3d_tf.video.limits import MAX_PIXELS
from i3d_tf.video.timeline import Bounds, DecodedFrame, Timeline, spread_ties

# Formats with an index, whose time stamps are the same after a seek. Others are decoded from their
# start: they are searched by guessed position, or count time from where reading started.
SEEKABLE_FORMATS = ("mov", "matroska")
# Formats whose frames have their times by their number: after a loss these are wrong.
COUNTED_FORMATS = ("avi", "ogg", "gif")
# Average intervals from one frame to the next that leave room for another between them.
MIN_GAP = Fraction(3, 2)
# How many seconds before `start` to seek: further back where the nearest key frame proves unusable.
SEEK_MARGINS = (0, 1, 5)


def decode_from(
    container: VideoContainer, start: Fraction
) -> tuple[DecodedFrame, Iterator[DecodedFrame]]:
    """Decodes a video, from near a time.

    Args:
        container: An open video, at its start.
        start: Seconds after the first frame.

    Returns:
        The first frame of the file, and an iterator of frames from one at or before `start`.

    Raises:
        VideoError: There is no frame.
    """
    if container.animation is not None:
        frames = _animation_frames(container)
        first = next(frames)
        return first, itertools.chain([first], frames)
    frames = _decode(container)
    first = next(frames, None)
    if first is None:
        has_size = container.stream.codec_context.width > 0
        hint = "" if has_size else f": its frame size is unknown or above {MAX_PIXELS} pixels"
        raise VideoError(container.path, f"no frame of it can be decoded{hint}")
    frames = _seek(container, first.time + start) if start else itertools.chain([first], frames)
    if not first.time:  # as usual: nothing is to be computed
        return first, frames
    return first, (frame._replace(time=frame.time - first.time) for frame in frames)


def _animation_frames(container):
    """Yields the frames of an animated WebP."""
    for frame in container.animation.frames():
        av_frame = av.VideoFrame.from_ndarray(frame.picture, format="rgb24")
        yield DecodedFrame(frame.time, frame.duration, av_frame, frame.damaged)
    if container.animation.ended_early:
        if not container.conceals:
            reason = f"it is damaged or cut short after {float(frame.time):.2f} s"
            raise VideoError(container.path, reason)
        container.num_lost += 1


def _seek(container, wanted):
    """Returns frames from a key frame at or before `wanted`, else from the start of the file.

    All times are seconds on the file's own clock.
    """
    can_seek = container.av_container.format.name.startswith(SEEKABLE_FORMATS)
    for margin in SEEK_MARGINS if can_seek else ():
        if not container.seek(wanted - margin):
            break
        frames = _decode(container, wanted, wanted - margin)
        landed = next(frames, None)
        # A file may be wrong about its key frames; the decoder is not.
        if landed is not None and landed.time <= wanted and landed.av_frame.key_frame:
            return itertools.chain([landed], frames)
    container.rewind()
    return _decode(container, wanted)


def _decode(container, wanted=None, position=None):
    """Yields frames from where the container stands, their times on the file's own clock.

    A frame that is missing raises VideoError once the frames before it have been used up, or marks
    those made from it as damaged where it would be shown before `wanted` (seconds). At the first
    sign of damage, what was decoded fast is decoded again from `position` (seconds; the start of
    the file where None), in the slower way that tells which frames are damaged.
    """
    given = None
    if container.is_strict:
        try:
            for frame in _decode_on(container, wanted):
                yield frame
                given = frame.time
            return
        except _DamageError:
            container.tolerate_damage()
            if position is not None and not container.seek(position):
                container.rewind()
    for frame in _decode_on(container, wanted):
        if given is None or frame.time > given:
            yield frame


class _DamageError(Exception):
    """A decoder that takes no damage has met some."""


def _decode_on(container, wanted):
    """Yields frames as `_decode` does; raises _DamageError where the container is strict."""
    return spread_ties(_decode_in_order(container, wanted), container.frame_interval)


def _decode_in_order(container, wanted):
    """Yields frames as `_decode_on` does, of which several may have one time."""
    packets, timeline, bounds = Demuxer(container), Timeline(container), Bounds(container)
    latest, damaged, is_missing, after_loss, sound_until = None, False, False, False, None
    is_counted = container.av_container.format.name.startswith(COUNTED_FORMATS) or container.is_raw
    refuses = not container.conceals
    for packet in packets:
        note_progress()
        is_lost = packets.is_damaged
        try:
            av_frames = container.stream.decode(packet)
        except av.error.FFmpegError:
            # A recording may start between key frames, before the first decodable frame.
            av_frames, is_lost = [], is_lost or latest is not None
            if container.is_strict:
                raise _DamageError from None
            container.num_lost += is_lost
        if is_lost:
            if container.is_strict:
                raise _DamageError
            container.num_lost += packets.misses_picture
            damaged = after_loss = True
            is_missing = wanted is None or is_counted
            is_missing = is_missing or (latest is not None and latest.time >= wanted)
            is_missing = is_missing and refuses
        for av_frame in av_frames:
            if av_frame.is_corrupt and container.is_strict:
                raise _DamageError
            # Frames that follow a damaged one are made from it, until the next key frame.
            damaged = av_frame.is_corrupt or (damaged and not av_frame.key_frame)
            frame = timeline.place(av_frame, damaged or is_missing)
            if after_loss and wanted is not None:
                # What was lost may have been shown at the time that is wanted, which may be known
                # only some frames later, as those before it may be given first.
                is_gap = refuses and _is_gap_at(wanted, latest, frame, container)
                is_missing = is_missing or is_gap
                frame = frame._replace(damaged=frame.damaged or is_missing)
                # What the lost packet itself released may be from before the loss.
                after_loss = is_lost or frame.time < wanted
            bounds.check(frame)
            if is_missing and latest is not None:  # it stands for all that was lost
                gap_start = latest.time + container.frame_interval
                frame = frame._replace(time=min(frame.time, gap_start))
            yield frame
            latest = frame
            sound_until = sound_until if frame.damaged else frame.time
        if av_frames and is_missing:  # the frame behind the gap shows how long the one before lasts
            packets.stop()
    if latest is not None and not refuses:
        container.num_lost = max(container.num_lost, int(packets.ended_early()))
    elif packets.ended_early() or is_missing:
        where = "at its start" if sound_until is None else f"after {float(sound_until):.2f} s"
        raise VideoError(container.path, f"it is damaged or cut short {where}")
    bounds.check_times()
    _warn_of_header(container, packets, bounds)


def _warn_of_header(container, packets, bounds):
    if missing := packets.missing_seconds():
        warnings.warn(
            f"{container.path}: its header promises {missing:.4g} s more than the "
            f"{bounds.num_frames} frames that it has.",
            stacklevel=2,
        )


def _is_gap_at(wanted, before, after, container):
    """Returns whether there is time for another frame, at a time, between two frames."""
    if after.time <= wanted:
        return False
    return before is None or after.time - before.time > MIN_GAP * container.frame_interval
