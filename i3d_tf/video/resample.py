"""Which source frame is shown at which time: exact rational arithmetic, no pixels."""

import math
import numbers
from fractions import Fraction
from typing import Any, NamedTuple


class Timed(NamedTuple):
    """Something shown from a time on.

    Attributes:
        time: Fraction, seconds after the first frame of the video.
        duration: Fraction, seconds, > 0.
        item: What is shown.
    """

    time: Fraction
    duration: Fraction
    item: Any


def as_fraction(name, value, positive=False):
    """An argument in seconds or frames per second, as an exact number.

    A float stands for the simplest fraction near it (denominator up to a million), so that 0.4 is
    2/5 and 23.976023976 is 24000/1001, which binary floats are not.

    Args:
        name: The argument's name, for the error.
        value: A finite real number, >= 0.
        positive: Whether 0 is refused.

    Returns:
        Fraction.
    """
    allowed = f"a finite number {'>' if positive else '>='} 0"
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"`{name}` must be {allowed}; received {value!r}.")
    exact = isinstance(value, numbers.Rational)
    fraction = Fraction(value) if exact else Fraction(float(value)).limit_denominator(10**6)
    if fraction < 0 or (positive and not fraction):
        raise ValueError(f"`{name}` must be {allowed}; received {value!r}.")
    return fraction


def resample(timed, frame_rate, start=Fraction(0), end=None):
    """Chooses for each output frame the source frame nearest in time.

    Output frame k belongs to time start + k / frame_rate, for every k whose time lies before `end`
    and before the end of the last source frame. Of two equally near frames the earlier is taken. No
    more of `timed` is consumed than the decision needs.

    Args:
        timed: Iterable of Timed, times strictly increasing.
        frame_rate: Fraction, output frames per second, > 0.
        start: Fraction, seconds, >= 0.
        end: Fraction, seconds, > start; None means the end of the video.

    Yields:
        (shown, count): the next `count` >= 1 output frames are this Timed.
    """
    wanted = math.inf if end is None else math.ceil((end - start) * frame_rate)
    chosen = 0  # output frames decided so far
    shown = None
    for following in timed:
        if shown is not None:
            # The last output frame not past the midpoint, which itself still belongs to `shown`.
            midpoint = (shown.time + following.time) / 2
            count = min(math.floor((midpoint - start) * frame_rate) + 1, wanted) - chosen
            if count > 0:
                yield shown, count
                chosen += count
            if chosen == wanted:
                return
        shown = following
    if shown is not None:
        video_end = shown.time + shown.duration
        count = min(math.ceil((video_end - start) * frame_rate), wanted) - chosen
        if count > 0:
            yield shown, count


def between(timed, start=Fraction(0), end=None):
    """Chooses the source frames whose time lies within [start, end), each once.

    Args:
        timed: Iterable of Timed, times strictly increasing.
        start: Fraction, seconds.
        end: Fraction, seconds, > start; None means the end of the video.

    Yields:
        (shown, 1).
    """
    for shown in timed:
        if end is not None and shown.time >= end:
            return
        if shown.time >= start:
            yield shown, 1
