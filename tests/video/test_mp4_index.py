import io
import struct
from fractions import Fraction

import av
import pytest

from i3d_tf.video import mp4_index
from i3d_tf.video.mp4_index import find_contradiction

INTERVAL = 512  # of 25 frames per second, in FFmpeg's units: 12,800 in a second


@pytest.fixture(scope="module")
def video(numbered_frames, make_video):
    """40 numbered frames in 1.6 s."""
    return make_video(numbered_frames(40), options={"bf": "0"})


def contradiction(video):
    return find_contradiction(io.BytesIO(video), 1)


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        (0, "0"),
        (1, "0.003125"),
        (100, "0.3125"),
        (1024, "3.12"),
        (512 << 14, "25559"),  # one bit of it: a frame is shown 16,384 times
        (0x7FFFFFFF, "6.54311e+06"),
    ],
)
def test_find_contradiction_of_times_and_header(video, with_intervals, interval, seconds):
    assert contradiction(with_intervals(video, [(40, interval)])) == (
        f"its time stamps contradict its header: 40 frames in {seconds} s by the time stamps, "
        "1.6 s by the header"
    )


@pytest.mark.parametrize(
    "entries",
    [
        [(40, INTERVAL)],
        [(39, INTERVAL), (1, 0x7FFFFFFF)],  # a last frame of two days
        [(39, INTERVAL), (1, 0)],
        [(39, 500), (1, 512)],
        [(20, INTERVAL), (1, 12800), (19, INTERVAL)],  # a second more than the header says
    ],
)
def test_find_contradiction_allows_what_programs_write(video, with_intervals, entries):
    assert contradiction(with_intervals(video, entries)) is None


@pytest.mark.parametrize("units", [0, 0xFFFF0000])
def test_find_contradiction_of_a_time_scale_that_cannot_be(video, units):
    at = video.index(b"mdhd") + 16  # after name, version, flags and two dates
    changed = video[:at] + units.to_bytes(4, "big") + video[at + 4 :]
    assert contradiction(changed) == f"its header says that a second has {units} units of time"


@pytest.mark.parametrize("duration", [0, 2**32 - 1])
def test_find_contradiction_of_unknown_duration(video, duration):
    at = video.index(b"mdhd") + 20
    assert contradiction(video[:at] + struct.pack(">I", duration) + video[at + 4 :]) is None


@pytest.mark.parametrize("bf", ["0", "2"])
@pytest.mark.parametrize("container", ["mp4", "mov", "3gp"])
@pytest.mark.parametrize("times", [[0], [0, 300], [0, 1, 11, 12, 70], [0, 70, 71, 72, 73]])
def test_find_contradiction_allows_slides(numbered_frames, make_video, container, times, bf):
    frames = numbered_frames(len(times))
    times = [Fraction(time) for time in times]
    assert contradiction(make_video(frames, container, times=times, options={"bf": bf})) is None


@pytest.mark.parametrize("flags", ["frag_keyframe", "frag_keyframe+empty_moov"])
def test_find_contradiction_of_fragmented_file(video, flags):
    output = io.BytesIO()
    with (
        av.open(io.BytesIO(video)) as source,
        av.open(output, "w", format="mp4", options={"movflags": flags}) as copy,
    ):
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    assert contradiction(output.getvalue()) is None


def test_find_contradiction_of_index_before_the_frames(video, index_first, with_intervals):
    assert contradiction(index_first(video)) is None
    assert contradiction(index_first(with_intervals(video, [(40, 0)]))) is not None


def test_find_contradiction_of_another_track(video, with_intervals):
    assert find_contradiction(io.BytesIO(with_intervals(video, [(40, 0)])), 2) is None


def test_find_contradiction_survives_damage(video, mutations):
    for damaged in mutations(video[video.index(b"moov") - 4 :], 300, 0):
        contradiction(damaged)


def test_find_contradiction_reads_no_more_than_there_is(video, monkeypatch):
    at = video.index(b"stts") + 8
    assert contradiction(video[:at] + b"\xff\xff\xff\xff" + video[at + 4 :]) is None
    monkeypatch.setattr(mp4_index, "MAX_BOXES", 1)  # the index is not the first box
    assert contradiction(video[:at] + bytes(4) + video[at + 4 :]) is None


def test_find_contradiction_of_a_track_whose_own_duration_is_unknown(video):
    at = video.index(b"mdhd") + 16  # after name, version, flags and two dates
    unknown = video[: at + 4] + bytes(4) + video[at + 8 :]
    assert contradiction(unknown) is None
    # Two units a second, of 512 a frame: 40 frames for hours, and the track's header says 1.6 s.
    changed = video[:at] + (2).to_bytes(4, "big") + bytes(4) + video[at + 8 :]
    assert contradiction(changed) == (
        "its time stamps contradict its header: 40 frames in 9984 s by the time stamps, 1.6 s by "
        "the header"
    )
