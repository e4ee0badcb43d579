"""Choice of the source frame for each output frame: exact rational arithmetic, no pixels."""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from numbers import Rational
from typing import Protocol, TypeVar

from i3d_tf.specs.validation import check_number, check_positive


class Timed(Protocol):
    """Something that is shown for some time, such as a decoded frame.

    Attributes:
        time: Seconds after the first frame of the video.
        duration: Seconds, > 0.
    """

    @property
    def time(self) -> Fraction: ...  # noqa: D102

    @property
    def duration(self) -> Fraction: ...  # noqa: D102


Frame = TypeVar("Frame", bound=Timed)


def as_fraction(name: str, value: float | Fraction, positive: bool = False) -> Fraction:
    """Returns an argument in seconds or frames per second as an exact number.

    A float stands for the simplest fraction near it (denominator up to a million), so that 0.4 is
    2/5 and 23.976023976 is 24000/1001, which binary floats are not.

    Args:
        name: The argument's name, for the error.
        value: A finite number, >= 0.
        positive: Whether 0 is refused.

    Raises:
        ValueError: The value is invalid.
    """
    check = check_positive if positive else partial(check_number, minimum=0)
    check(name, value)
    if isinstance(value, Rational):
        return Fraction(value)
    fraction = Fraction(float(value)).limit_denominator(10**6)
    check(name, fraction)  # the nearest fraction of a very small number is 0
    return fraction


def resample(
    frames: Iterable[Frame],
    frame_rate: Fraction,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
) -> Iterator[tuple[Frame, int]]:
    """Chooses for each output frame the source frame nearest in time.

    Output frame k belongs to time start + k / frame_rate, for every k whose time lies before `end`
    and before the end of the last source frame. Of two equally near frames the earlier is taken. No
    more of `frames` is consumed than the decision needs.

    Args:
        frames: Source frames, their times strictly increasing.
        frame_rate: Output frames per second, > 0.
        start: Seconds, >= 0.
        end: Seconds, > start; None means the end of the video.

    Yields:
        (frame, count): the next `count` >= 1 output frames are this source frame.
    """
    wanted = None if end is None else math.ceil((end - start) * frame_rate)
    chosen = 0  # output frames decided so far
    current = None
    output_frame_at = _index_function(frame_rate, start)
    for following in frames:
        if current is not None:
            # The last output frame not past the midpoint, which itself still belongs to `current`.
            last = output_frame_at(current.time, following.time)
            count = _at_most(last + 1, wanted) - chosen
            if count > 0:
                yield current, count
                chosen += count
            if chosen == wanted:
                return
        current = following
    if current is not None:
        video_end = current.time + current.duration
        count = _at_most(math.ceil((video_end - start) * frame_rate), wanted) - chosen
        if count > 0:
            yield current, count


def _index_function(frame_rate, start):
    """Returns a function of two times: the last output frame not past the middle between them.

    In integers, which are several times as fast as fractions.
    """
    rate, per = frame_rate.as_integer_ratio()
    start_ticks, start_per = start.as_integer_ratio()

    def output_frame_at(one, other):
        (one, one_per), (other, other_per) = one.as_integer_ratio(), other.as_integer_ratio()
        denominator = 2 * one_per * other_per
        middle = one * other_per + other * one_per
        after_start = middle * start_per - denominator * start_ticks
        return after_start * rate // (denominator * start_per * per)

    return output_frame_at


def _at_most(count, maximum):
    return count if maximum is None else min(count, maximum)


def between(
    frames: Iterable[Frame], start: Fraction = Fraction(0), end: Fraction | None = None
) -> Iterator[tuple[Frame, int]]:
    """Chooses the source frames whose time lies within [start, end), each once.

    Args:
        frames: Source frames, their times strictly increasing.
        start: Seconds.
        end: Seconds, > start; None means the end of the video.

    Yields:
        (frame, 1).
    """
    for frame in frames:
        if end is not None and frame.time >= end:
            return
        if frame.time >= start:
            yield frame, 1
