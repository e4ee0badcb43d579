"""Times of decoded frames, also where the clock of a file is set anew or stands still.

Frames are shown in the order in which a decoder gives them, and none is left out.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import av

from i3d_tf.video.container import DEFAULT_FRAME_RATE, VideoContainer
from i3d_tf.video.errors import VideoError
from i3d_tf.video.limits import (
    FRAMES_TO_JUDGE,
    MAX_DECODED_PIXELS,
    MAX_DECODED_PIXELS_PER_BYTE,
    MIN_FRAME_INTERVAL,
)

# A clock that goes back by more than this was set anew, as where two recordings were joined: both
# in seconds and in intervals between frames. What goes back by less was rounded.
MAX_BACK_SECONDS = Fraction(1, 10)
MAX_BACK_INTERVALS = 3
# Formats for broadcasting may set their clock forward, too; in others that much is a pause.
DISCONTINUOUS_FORMATS = ("mpegts", "mpeg")
MAX_FORWARD_SECONDS = 10
# Formats whose packets have times of decoding only.
DECODING_TIMES = ("avi", "asf")
SHORT_GIF_DELAY, SHOWN_GIF_DELAY = 1, 10  # hundredths of a second: what browsers show for these
MAX_TIED = 32  # frames of one time, which wait for the next time to be known


class DecodedFrame(NamedTuple):
    """A decoded frame, and when it is shown.

    Attributes:
        time: Seconds after the first frame of the video.
        duration: Seconds, > 0.
        av_frame: The frame in the format that it is stored in.
        damaged: Whether it, or a frame it is made from, was damaged.
    """

    time: Fraction
    duration: Fraction
    av_frame: av.VideoFrame
    damaged: bool


class Timeline:
    """Times of decoded frames, in seconds on the file's own clock, which never go back.

    A frame whose time stamp is that of the one before, or a little earlier, has the time of the one
    before; see `spread_ties`. Where the clock is set anew, it goes on by one interval.
    """

    def __init__(self, container: VideoContainer):
        """Starts anywhere in a file."""
        self._container = container
        self._last_step: tuple[Fraction, Fraction] | None = None  # the last two times that differ
        self._offset = Fraction(0)
        self._stamp: int | None = None  # of the last frame
        self._highest_stamp: int | None = None  # since the clock was set
        self._is_later = True  # whether the frame that is placed comes after the last one
        self._latest: DecodedFrame | None = None
        self._time_base = container.stream.time_base or Fraction(1)  # of every frame
        self._average_interval = container.frame_interval
        self._duration, self._duration_ticks = self._average_interval, 0
        name = container.av_container.format.name
        self._sets_forward = name in DISCONTINUOUS_FORMATS
        self._is_gif = name == "gif"
        self._has_decoding_times = name in DECODING_TIMES

    def place(self, av_frame: av.VideoFrame, damaged: bool) -> DecodedFrame:
        """Returns the next frame with its time.

        Args:
            av_frame: The frame that the decoder gave next.
            damaged: See `DecodedFrame`.
        """
        container, latest = self._container, self._latest
        self._is_later = True
        time = self._time_of(av_frame)
        if latest is not None:
            if self._is_later:
                self._last_step = latest.time, time
            else:
                time = latest.time
        ticks = shown_ticks(av_frame.duration) if self._is_gif else av_frame.duration
        if ticks and ticks != self._duration_ticks:
            self._duration, self._duration_ticks = _seconds(ticks, self._time_base), ticks
        duration = self._duration if ticks else self._average_interval
        if float(duration) > container.longest_pause:
            # Only the last frame is shown for its own duration, and some files let it last for
            # years.
            duration = Fraction(1, DEFAULT_FRAME_RATE) if latest is None else self._interval()
        self._latest = DecodedFrame(time, duration, av_frame, damaged)
        return self._latest

    def _interval(self):
        """Returns the last time from one frame to the next, or the average where there is none."""
        if self._last_step is None:
            return self._average_interval
        return self._last_step[1] - self._last_step[0]

    def _time_of(self, av_frame):
        """Returns a frame's time by its time stamp; earlier than the last one where they tie."""
        latest = self._latest
        if self._container.is_raw or self._is_gif:  # FFmpeg makes times up, some of them wrong
            return Fraction(0) if latest is None else latest.time + latest.duration
        # What FFmpeg makes up for presentation times is out of order where there are B-frames (most
        # of UCF-101, H.264 in ASF); the time of the packet that released the frame is not.
        stamp = av_frame.dts if self._has_decoding_times else av_frame.pts
        if stamp is None:
            return Fraction(0) if latest is None else latest.time + self._interval()
        before, self._stamp = self._stamp, stamp
        time = _seconds(stamp, self._time_base)
        if before is not None and self._is_set_anew(before, stamp):
            self._offset = self._latest.time + self._interval() - time
            self._highest_stamp = stamp
        elif self._highest_stamp is None or stamp > self._highest_stamp:  # faster than fractions
            self._highest_stamp = stamp
        else:
            self._is_later = False
        return time + self._offset if self._offset else time

    def _is_set_anew(self, before, after):
        if before <= after and not self._sets_forward:
            return False
        step = _seconds(after - before, self._time_base)
        if step < 0:
            return -step > max(MAX_BACK_SECONDS, MAX_BACK_INTERVALS * self._average_interval)
        return step > MAX_FORWARD_SECONDS


def shown_ticks(gif_delay: int | None) -> int:
    """Returns for how many hundredths of a second browsers show a picture of a GIF.

    Args:
        gif_delay: What the file says.
    """
    delay = gif_delay or 0
    return SHOWN_GIF_DELAY if delay <= SHORT_GIF_DELAY else delay


def _seconds(ticks, time_base):
    """Returns ticks * time_base, in half the time."""
    return Fraction(ticks * time_base.numerator, time_base.denominator)


def spread_ties(frames: Iterable[DecodedFrame], interval: Fraction) -> Iterator[DecodedFrame]:
    """Spreads frames of one time evenly over the time to the next one.

    Args:
        frames: Frames whose times do not go back.
        interval: Seconds from one frame to the next, for frames of one time at the end.

    Yields:
        The same frames, their times strictly increasing. What `frames` raises is raised behind all
        that came before.
    """
    latest: DecodedFrame | None = None
    tied: list[DecodedFrame] = []
    try:
        for frame in frames:
            if latest is None or frame.time > latest.time:
                if latest is not None and tied:
                    yield from _spread(tied, latest, (frame.time - latest.time) / (len(tied) + 1))
                    tied = []
                yield frame
                latest = frame
                continue
            tied.append(frame)
            if len(tied) == MAX_TIED:
                latest = yield from _spread(tied, latest, interval)
                tied = []
    except VideoError:
        if tied:
            yield from _spread(tied, latest, interval)
        raise
    if tied:
        yield from _spread(tied, latest, interval)


def _spread(tied, latest, step):
    """Yields frames a step after each other; returns the last."""
    for tied_frame in tied:
        latest = tied_frame._replace(time=latest.time + step)
        yield latest
    return latest


class Bounds:
    """Bounds of the time stamps and of the pixels of decoded frames, see `i3d_tf.video.limits`.

    A pause is too long even for slides, or longer than the header lets the whole video be. Frames
    stand still where next to no time passes between them; those of one time do not count, since
    they are spread.

    Attributes:
        num_frames: Frames so far.
    """

    num_frames: int

    def __init__(self, container: VideoContainer):
        """Starts before the first frame."""
        self._path, self._longest_pause = container.path, float(container.longest_pause)
        self._previous_time: float | None = None  # seconds; floats, which are fast
        self.num_frames = self._num_still = self._num_pixels = 0
        by_size = MAX_DECODED_PIXELS_PER_BYTE * container.num_bytes
        self._max_pixels = max(MAX_DECODED_PIXELS, by_size)

    def check(self, frame: DecodedFrame) -> None:
        """Refuses a frame that breaks a bound.

        Raises:
            VideoError: It does.
        """
        time, previous = float(frame.time), self._previous_time
        if previous is not None:
            pause = time - previous
            if pause > self._longest_pause:
                self._refuse(
                    f"its time stamps contradict it: they show the frame at {previous:.2f} s for "
                    f"{pause:.6g} s, and the longest pause of such a file is "
                    f"{self._longest_pause:.4g} s"
                )
            self._num_still += 0 < pause < MIN_FRAME_INTERVAL
        self._previous_time = time
        self.num_frames += 1
        if self.num_frames % FRAMES_TO_JUDGE == 0:
            self.check_times()
        self._num_pixels += frame.av_frame.width * frame.av_frame.height
        if self._num_pixels > self._max_pixels:
            self._refuse(f"so few bytes decode to more than {self._max_pixels} pixels")

    def check_times(self) -> None:
        """Refuses a video most of whose frames stand still.

        Raises:
            VideoError: They do.
        """
        if 2 * self._num_still > self.num_frames:
            self._refuse(
                f"its time stamps contradict it: {self._num_still} of {self.num_frames} frames "
                "come next to no time after the frame before them"
            )

    def _refuse(self, reason):
        raise VideoError(self._path, reason)
