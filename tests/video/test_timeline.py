from fractions import Fraction
from types import SimpleNamespace

import pytest

from i3d_tf.video.timeline import Timeline, spread_ties

INTERVAL = Fraction(1, 25)


def placed(stamps, format_name="matroska,webm"):
    """The frames of a file by their time stamps, which count intervals of 1/25 s."""
    container = SimpleNamespace(
        av_container=SimpleNamespace(format=SimpleNamespace(name=format_name)),
        stream=SimpleNamespace(time_base=INTERVAL),
        frame_interval=INTERVAL,
        longest_pause=600.0,
        is_raw=False,
    )
    timeline = Timeline(container)
    return [
        timeline.place(SimpleNamespace(pts=stamp, dts=stamp, duration=1, time_base=INTERVAL), False)
        for stamp in stamps
    ]


def in_intervals(frames):
    return [float(frame.time / INTERVAL) for frame in frames]


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([0, 1, 2, 4, 3, 5], [0, 1, 2, 4, 4, 5]),  # rounded: it has the time of the one before
        ([0, 1, 2, 4, 2, 3, 5], [0, 1, 2, 4, 4, 4, 5]),
        ([10, 11, 0, 1, 2], [10, 11, 12, 13, 14]),  # set anew
        ([0, 2, None, 6], [0, 2, 4, 6]),
    ],
)
def test_times_never_go_back(stamps, times):
    assert in_intervals(placed(stamps)) == times


def test_only_broadcasts_set_their_clock_forward():
    stamps = [0, 1, 1001, 1002]
    assert in_intervals(placed(stamps)) == stamps
    assert in_intervals(placed(stamps, "mpegts")) == [0, 1, 2, 3]


def test_frames_of_one_time_are_spread_to_the_next():
    frames = spread_ties(placed([0, 0, 2, 2, 2, 5, 5]), INTERVAL)
    assert in_intervals(frames) == [0, 1, 2, 3, 4, 5, 6]
