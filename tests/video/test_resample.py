from fractions import Fraction
from itertools import count, islice, pairwise
from typing import NamedTuple

import pytest

from i3d_tf.video.resample import as_fraction, between, resample


class Timed(NamedTuple):
    time: Fraction
    duration: Fraction
    number: int


def timeline(times, last_duration=Fraction(1, 25)):
    """Timed frames numbered from 0 at the given times."""
    times = [Fraction(time) for time in times]
    durations = [after - before for before, after in pairwise(times)] + [last_duration]
    return [Timed(*frame) for frame in zip(times, durations, range(len(times)), strict=True)]


def expand(chosen):
    return [shown.number for shown, repeats in chosen for _ in range(repeats)]


def nearest(frames, frame_rate, start, end):
    """The definition, by brute force: every output time against every frame."""
    video_end = frames[-1].time + frames[-1].duration
    end = video_end if end is None else min(end, video_end)
    chosen = []
    time = start
    while time < end:
        chosen.append(min(frames, key=lambda frame: (abs(frame.time - time), frame.time)).number)
        time = start + len(chosen) / Fraction(frame_rate)
    return chosen


def test_resample_at_same_rate_returns_every_frame_once():
    frames = timeline(Fraction(k, 25) for k in range(10))
    assert expand(resample(frames, Fraction(25))) == list(range(10))


def test_resample_at_half_the_rate_returns_every_other_frame():
    frames = timeline((Fraction(k, 50) for k in range(10)), Fraction(1, 50))
    assert expand(resample(frames, Fraction(25))) == [0, 2, 4, 6, 8]


def test_resample_takes_earlier_of_equally_near_frames():
    frames = timeline((Fraction(k, 10) for k in range(3)), Fraction(1, 10))
    # Output times 0 .05 .10 .15 .20 .25: every other one is a tie.
    assert expand(resample(frames, Fraction(20))) == [0, 0, 1, 1, 2, 2]


def test_resample_turns_280_frames_at_28_per_second_into_250():
    frames = timeline((Fraction(k, 28) for k in range(280)), Fraction(1, 28))
    assert len(expand(resample(frames, Fraction(25)))) == 250


@pytest.mark.parametrize("frame_rate", [1, 7, 25, Fraction(30000, 1001), 100])
@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (0, 1), (Fraction(1, 3), 2), (Fraction(6, 5), 100), (2, None)]
)
def test_resample_of_uneven_frames_follows_definition(frame_rate, start, end):
    # Milliseconds of a video with bursts, a pause of a second and a repeated interval.
    times = [
        Fraction(t, 1000) for t in (0, 33, 40, 41, 100, 180, 260, 1260, 1293, 1900, 2000, 2040)
    ]
    frames = timeline(times, Fraction(3, 10))
    chosen = expand(resample(frames, Fraction(frame_rate), Fraction(start), end))
    assert chosen == nearest(frames, frame_rate, Fraction(start), end)


def test_resample_consumes_no_more_frames_than_needed():
    frames = (Timed(Fraction(k, 25), Fraction(1, 25), k) for k in count())
    assert expand(resample(frames, Fraction(25), end=Fraction(1))) == list(range(25))
    assert next(frames).number == 26  # 25 was needed to know that 24 is nearest to 0.96 s


def test_resample_with_end_between_output_times_includes_earlier():
    frames = timeline(Fraction(k, 25) for k in range(10))
    assert expand(resample(frames, Fraction(25), end=Fraction("0.05"))) == [0, 1]


def test_resample_with_start_after_video_gives_nothing():
    frames = timeline([0, 1], Fraction(1))
    assert expand(resample(frames, Fraction(25), start=Fraction(2))) == []


def test_between_is_half_open():
    frames = timeline(range(5))
    assert expand(between(frames, Fraction(1), Fraction(3))) == [1, 2]
    assert expand(between(frames)) == [0, 1, 2, 3, 4]
    endless = (Timed(Fraction(k), Fraction(1), k) for k in count())
    assert expand(islice(between(endless, Fraction(2), Fraction(4)), 10)) == [2, 3]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.4, Fraction(2, 5)),
        (0.1 + 0.2, Fraction(3, 10)),
        (24000 / 1001, Fraction(24000, 1001)),
        (19.62, Fraction(981, 50)),
        (25, Fraction(25)),
        (Fraction(1, 10**7), Fraction(1, 10**7)),
    ],
)
def test_as_fraction_finds_fraction_that_was_meant(value, expected):
    assert as_fraction("start", value) == expected


@pytest.mark.parametrize("value", [-1, float("nan"), "1"])
def test_as_fraction_refuses_other_values(value):
    with pytest.raises(ValueError, match="`start` must be a number >= 0; received"):
        as_fraction("start", value)


def test_as_fraction_refuses_zero_where_positive():
    with pytest.raises(ValueError, match="`frame_rate` must be a number > 0; received 0"):
        as_fraction("frame_rate", 0, positive=True)
    with pytest.raises(ValueError, match="`frame_rate` must be a number > 0"):
        as_fraction("frame_rate", 1e-9, positive=True)  # as a fraction it is 0
