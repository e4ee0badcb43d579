import io
import re
import struct
import threading
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from i3d_tf.system import watch
from i3d_tf.video import decode, decoded_frames, timeline
from i3d_tf.video.container import Demuxer
from i3d_tf.video.decode import (
    count_frames,
    read_clip,
    read_first_frames,
    read_frames,
    read_watched,
    verify_video,
)
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import VideoInfo, probe
from i3d_tf.video.rgb_frames import RGBConverter
from i3d_tf.video.transforms import resize_short_side, stretch

# Container, codec, options: with and without B-frames, indices and honest key frames.
FORMATS = [
    ("mp4", "libx264", {"g": "10"}),
    ("matroska", "libx264", {"g": "10"}),
    ("mpegts", "libx264", {"g": "10"}),
    ("avi", "mpeg4", {"g": "10"}),
    ("avi", "libx264", {"g": "10"}),
    ("mp4", "libx264", {"g": "10", "x264-params": "open-gop=1"}),
]


REAL_CLIPS = [
    "kinetics_arm_wrestling.mp4",
    "v_GGSY1Qvo990.mp4",
    "part.avi",
    "v_CricketShot_g04_c01_rgb.gif",
]


@pytest.mark.parametrize(("container", "codec", "options"), FORMATS)
def test_read_clip_returns_frames_in_order(
    numbered_frames, read_numbers, make_video, container, codec, options
):
    video = make_video(numbered_frames(40), container, codec, options=options)
    clip = read_clip(video)
    assert clip.dtype == np.uint8
    assert clip.shape == (40, 48, 144, 3)
    assert read_numbers(clip) == list(range(40))
    assert read_numbers(read_clip(video, frame_rate=None)) == list(range(40))


def test_read_clip_resamples_28_frames_per_second_to_25(numbered_frames, read_numbers, make_video):
    numbers = read_numbers(read_clip(make_video(numbered_frames(280), frame_rate=28)))
    assert len(numbers) == 250
    # Output k, at k / 25 s, is nearest to source frame 28 k / 25; no k gives a tie.
    assert numbers == [round(28 * k / 25) for k in range(250)]


@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_read_clip_chooses_uneven_frames_by_time(
    numbered_frames, read_numbers, make_video, container
):
    times = [Fraction(t, 1000) for t in (0, 40, 300, 320, 1000)]
    video = make_video(numbered_frames(5), container, times=times)
    # At 10 per second: 0, .1, ... The midpoints lie at .02, .17, .31 and .66 s.
    expected = [0, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4]
    assert read_numbers(read_clip(video, frame_rate=10, end=1.01)) == expected


def test_read_clip_counts_time_from_first_frame(numbered_frames, read_numbers, make_video):
    times = [Fraction(5) + Fraction(k, 25) for k in range(25)]
    video = make_video(numbered_frames(25), "matroska", times=times)
    assert read_numbers(read_clip(video)) == list(range(25))
    assert read_numbers(read_clip(video, start=0.4, end=0.8)) == list(range(10, 20))


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "flv"])
def test_read_clip_shows_last_frame_for_its_duration(
    numbered_frames, read_numbers, make_video, container
):
    video = make_video(numbered_frames(3), container, frame_rate=Fraction(1, 2))
    # At 1 per second: 0, 1 (a tie), 2, 3 (a tie), 4, 5; the last frame is shown until 6 s.
    assert read_numbers(read_clip(video, frame_rate=1)) == [0, 0, 1, 1, 2, 2]


def test_read_clip_numbers_frames_without_time_stamps(numbered_frames, read_numbers, make_video):
    video = make_video(numbered_frames(20), "h264")
    assert read_numbers(read_clip(video)) == list(range(20))


@pytest.mark.parametrize(("container", "codec", "options"), FORMATS)
@pytest.mark.parametrize(
    ("first", "last"), [(0, 3), (1, 2), (10, 30), (37, 44), (39, 40), (59, 60)]
)
def test_read_clip_part_equals_part_of_whole(
    numbered_frames, read_numbers, make_video, container, codec, options, first, last
):
    video = make_video(numbered_frames(60), container, codec, options=options)
    part = read_clip(video, start=first / 25, end=last / 25)
    assert read_numbers(part) == list(range(first, last))
    np.testing.assert_array_equal(part, read_clip(video)[first:last])


@pytest.mark.parametrize("name", REAL_CLIPS)
@pytest.mark.parametrize("start", [0.04, 1, 2.52, 3.08])
def test_read_clip_part_of_real_clip_equals_part_of_whole(shared_dir, name, start):
    path = shared_dir / "videos" / name
    first = round(start * 25)
    whole = read_clip(path, end=3.16)
    np.testing.assert_array_equal(read_clip(path, start=start, end=3.16), whole[first:])


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("kinetics_arm_wrestling.mp4", (250, 256, 340, 3)),
        ("v_GGSY1Qvo990.mp4", (250, 240, 320, 3)),
        ("part.avi", (164, 240, 320, 3)),
        ("v_CricketShot_g04_c01_rgb.gif", (79, 224, 224, 3)),
    ],
)
def test_read_clip_of_real_clip_has_its_length(shared_dir, name, shape):
    assert read_clip(shared_dir / "videos" / name, end=10).shape == shape


@pytest.mark.parametrize("name", REAL_CLIPS[:3])
def test_read_clip_of_real_clip_equals_opencv(shared_dir, name):
    path = shared_dir / "videos" / name
    clip = read_clip(path, frame_rate=None, end=2)
    capture = cv2.VideoCapture(str(path))
    for frame in clip:
        _, other = capture.read()
        # The same H.264 and MPEG-4 bits must decode alike; the conversion to RGB may round
        # otherwise.
        difference = np.abs(frame.astype(int) - cv2.cvtColor(other, cv2.COLOR_BGR2RGB))
        assert difference.max() <= 3
    capture.release()


def test_read_clip_orders_b_frames_of_real_avi(shared_dir):
    clip = read_clip(shared_dir / "videos" / "part.avi", end=2).astype(np.int16)
    step = np.abs(np.diff(clip, axis=0)).mean()
    swapped = np.concatenate([clip[:2], clip[3:4], clip[2:3], clip[4:]])
    assert step < np.abs(np.diff(swapped, axis=0)).mean()


def test_read_clip_with_end_beyond_video_returns_the_rest(ten_seconds, read_numbers):
    assert read_numbers(read_clip(ten_seconds, start=9.8, end=1000)) == list(range(245, 250))


@pytest.mark.parametrize("start", [10, 10.5, 1e6])
def test_read_clip_with_start_after_video_is_an_error(ten_seconds, start):
    with pytest.raises(VideoError, match=r"<bytes>: it has no frame from .* s on"):
        read_clip(ten_seconds, start=start)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": -1}, "`start` must be a number >= 0; received -1"),
        ({"start": float("nan")}, "`start` must be"),
        ({"end": float("inf")}, "`end` must be"),
        ({"start": 2, "end": 2}, "`end` must be greater than `start`, 2; received 2"),
        ({"end": 0}, "`end` must be greater than `start`, 0; received 0"),
        ({"frame_rate": 0}, "`frame_rate` must be a number > 0; received 0"),
        ({"frame_rate": "25"}, "`frame_rate` must be"),
        ({"source": 3}, "`source` must be a path .* received int"),
        ({"source": None}, "`source` must be a path"),
    ],
)
def test_read_clip_names_wrong_arguments(ten_seconds, arguments, message):
    with pytest.raises(ValueError, match=message):
        read_clip(**{"source": ten_seconds, **arguments})


def test_read_clip_decodes_and_converts_only_its_part(ten_seconds, monkeypatch):
    demuxed, converted = [], []
    all_packets, convert = Demuxer.__iter__, RGBConverter.convert

    def counting_packets(self):
        for packet in all_packets(self):
            demuxed.append(packet)
            yield packet

    def counting_convert(self, frame):
        converted.append(frame)
        return convert(self, frame)

    monkeypatch.setattr(Demuxer, "__iter__", counting_packets)
    monkeypatch.setattr(RGBConverter, "convert", counting_convert)
    read_clip(ten_seconds, start=8.5, end=8.7)
    assert len(converted) == 5
    # The first frame, a key frame at most 10 frames back, 5 frames, and what B-frames and the
    # decoder's threads hold back at both places: far from the 250 there are.
    assert len(demuxed) < 80
    converted.clear()
    read_clip(ten_seconds, frame_rate=5, end=1)
    assert len(converted) == 5


def test_read_clip_seeks_again_after_landing_too_late(ten_seconds, read_numbers, monkeypatch):
    # A margin of -2 seconds seeks to a key frame after `start`.
    monkeypatch.setattr(decoded_frames, "SEEK_MARGINS", (-2, -1))
    assert read_numbers(read_clip(ten_seconds, start=5, end=5.2)) == list(range(125, 130))


def test_read_clip_of_mp4_with_index_first_is_the_same(ten_seconds, index_first):
    np.testing.assert_array_equal(read_clip(index_first(ten_seconds)), read_clip(ten_seconds))


def test_read_clip_of_mp4_without_index_says_so(ten_seconds):
    with pytest.raises(
        VideoError, match="cut short or damaged: an mp4 file without a readable index"
    ):
        read_clip(ten_seconds[: len(ten_seconds) // 2])


def cut_in_half(video):
    return video[: len(video) // 2]


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "flv"])
@pytest.mark.parametrize("sound_seconds", [0, 10])
def test_read_clip_of_cut_video_fails_only_where_it_is_missing(
    numbered_frames, read_numbers, make_video, index_first, container, sound_seconds
):
    if container == "flv" and sound_seconds:
        sound_seconds = 0  # FLV holds no MPEG layer 2 sound
    video = make_video(
        numbered_frames(250), container, options={"g": "10"}, sound_seconds=sound_seconds
    )
    video = index_first(video) if container == "mp4" else video
    # With sound, the video's packets are written first; a third is surely within them.
    cut = video[: len(video) // 3] if sound_seconds else cut_in_half(video)
    with pytest.raises(VideoError, match=r"<bytes>: it.* damaged"):
        read_clip(cut)
    assert read_numbers(read_clip(cut, start=1, end=1.2)) == list(range(25, 30))


def test_read_clip_accepts_sound_longer_than_video(numbered_frames, read_numbers, make_video):
    for container in ("mp4", "matroska", "avi"):
        video = make_video(numbered_frames(10), container, sound_seconds=5)
        assert read_numbers(read_clip(video)) == list(range(10))


def test_read_clip_of_damaged_video_fails_only_where_it_is_damaged(ten_seconds, read_numbers):
    start, end = ten_seconds.index(b"mdat"), ten_seconds.index(b"moov")
    damaged = bytearray(ten_seconds)
    middle = (start + end) // 2
    for at in range(middle, middle + 2000, 5):
        damaged[at] ^= 0xFF
    damaged = bytes(damaged)
    with pytest.raises(VideoError, match="damaged"):
        read_clip(damaged)
    assert read_numbers(read_clip(damaged, end=2)) == list(range(50))
    assert read_numbers(read_clip(damaged, start=9)) == list(range(225, 250))


def test_read_clip_refuses_frames_made_from_damaged_ones(
    numbered_frames, read_numbers, make_video, monkeypatch
):
    video = make_video(numbered_frames(60), options={"g": "40", "bf": "0"})
    with av.open(io.BytesIO(video)) as container:
        packet = [packet for packet in container.demux() if packet.size][20]
        middle = packet.pos + packet.size // 2
    damaged = video[:middle] + bytes(8) + video[middle + 8 :]
    with pytest.raises(VideoError, match=r"<bytes>: it is damaged or cut short after 0\.76 s"):
        read_clip(damaged)
    with pytest.raises(VideoError, match=r"<bytes>: it is damaged at 1\.20 s"):
        read_clip(damaged, start=1.2)
    assert read_numbers(read_clip(damaged, end=0.8)) == list(range(20))
    assert read_numbers(read_clip(damaged, start=1.6)) == list(range(40, 60))
    monkeypatch.setattr(decoded_frames, "SEEKABLE_FORMATS", ())
    assert read_numbers(read_clip(damaged, start=1.6)) == list(range(40, 60))


def without_packets(video, first, last, with_headers=False):
    """A video of 25 frames per second in which the bytes of frames `first` to `last` are zeros."""
    with av.open(io.BytesIO(video)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    for packet in packets:
        if first <= round(float(packet.pts * packet.time_base) * 25) <= last:
            at = video.index(bytes(packet), packet.pos)
            start, end = packet.pos if with_headers else at, at + packet.size
            video = video[:start] + bytes(end - start) + video[end:]
    return video


@pytest.mark.parametrize("frames_between", ["0", "2"])
def test_read_clip_misses_the_last_frame_before_a_key_frame(
    numbered_frames, read_numbers, make_video, frames_between
):
    options = {"g": "25", "keyint_min": "25", "sc_threshold": "0", "bf": frames_between}
    video = make_video(numbered_frames(100), "matroska", options=options)
    lost = without_packets(video, 49, 49, with_headers=True)
    for start in (1.92, 1.96):
        with pytest.raises(VideoError, match="damaged"):
            read_clip(lost, start=start, end=2.4)


def test_read_clip_does_not_show_a_frame_in_the_place_of_lost_ones(
    numbered_frames, read_numbers, make_video
):
    video = make_video(numbered_frames(75), "webm", codec="libvpx", options={"g": "25"})
    lost = without_packets(video, 30, 49)
    assert read_numbers(read_clip(lost, start=0.2, end=1.2)) == list(range(5, 30))
    with pytest.raises(VideoError, match=r"damaged or cut short after 1\.16 s"):
        read_clip(lost, start=0.2, end=1.24)


def test_read_clip_passes_over_damage_before_start(numbered_frames, read_numbers, make_video):
    # Of a format that is decoded from its start: the damage is met on the way.
    video = make_video(numbered_frames(60), "mpegts", options={"g": "20"})
    with av.open(io.BytesIO(video)) as container:
        positions = [packet.pos for packet in container.demux() if packet.size]
    lost = video[: positions[5]] + video[positions[8] :]
    assert read_numbers(read_clip(lost, start=1.6)) == list(range(40, 60))


def test_read_clip_passes_over_unreadable_packet_before_start(
    numbered_frames, read_numbers, make_video
):
    video = make_video(numbered_frames(60), "flv", options={"g": "20", "bf": "0"})
    with av.open(io.BytesIO(video)) as container:
        packet = [packet for packet in container.demux() if packet.size][5]
    at = video.index(bytes(packet))
    blank = video[:at] + bytes(packet.size) + video[at + packet.size :]
    assert read_numbers(read_clip(blank, start=1.6)) == list(range(40, 60))
    assert read_numbers(read_clip(blank, end=0.2)) == list(range(5))
    for start in (None, 0.4):
        with pytest.raises(VideoError, match="damaged"):
            read_clip(blank, start=start)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_read_clip_does_not_trust_key_frame_flags(numbered_frames, make_video, codec):
    video = make_video(numbered_frames(60), codec=codec, options={"g": "50"})
    # Without its list of key frames, an mp4 says that every frame is one.
    claims_all = video.replace(b"stss", b"free")
    assert claims_all != video
    np.testing.assert_array_equal(read_clip(claims_all, start=1.2), read_clip(video)[30:])


def test_read_clip_prints_nothing(ten_seconds, capfd):
    for video in (b"not a video at all", cut_in_half(ten_seconds), ten_seconds):
        try:
            read_clip(video, end=1)
        except VideoError:
            continue
    assert capfd.readouterr() == ("", "")


def test_read_clip_of_bytes_path_and_remote_name_is_the_same(ten_seconds, tmp_path):
    import tensorflow as tf

    path = tmp_path / "clip.mp4"
    path.write_bytes(ten_seconds)
    with tf.io.gfile.GFile("ram://clip.mp4", "wb") as file:
        file.write(ten_seconds)
    expected = read_clip(ten_seconds, end=1)
    for source in (path, str(path), "ram://clip.mp4"):
        np.testing.assert_array_equal(read_clip(source, end=1), expected)


@pytest.fixture(scope="module")
def ramp(write_grey_video, tmp_path_factory):
    """Twenty frames at 25 per second, each 10 brighter than the one before it."""
    return write_grey_video(tmp_path_factory.mktemp("ramp") / "ramp.mp4", range(0, 200, 10))


def levels(frames):
    return np.rint(frames.mean((1, 2, 3)) / 10).astype(int).tolist()


def test_read_first_frames_equals_read_clip(ramp):
    frames = read_first_frames(ramp, 16)
    np.testing.assert_array_equal(frames, read_clip(ramp)[:16])
    assert levels(frames) == list(range(16))


@pytest.mark.parametrize(("rate", "step"), [(12.5, 2), (5, 5)])
def test_read_first_frames_resamples(ramp, rate, step):
    assert levels(read_first_frames(ramp, 4, rate)) == [0, step, 2 * step, 3 * step]


def test_read_first_frames_repeats_frames(ramp):
    # Of two equally near frames the earlier: times 0, .5, 1, 1.5, ... of a frame.
    assert levels(read_first_frames(ramp, 7, 50)) == [0, 0, 1, 1, 2, 2, 3]


def test_read_first_frames_changes_frames_and_no_more_than_needed(ramp):
    changed = []

    def change(frame):
        changed.append(frame)
        return stretch(frame, 32)

    frames = read_first_frames(ramp, 9, change=change)
    assert frames.shape == (9, 32, 32, 3)
    assert levels(frames) == list(range(9))
    assert len(changed) == 9


@pytest.mark.parametrize(
    ("rate", "reason"),
    [(None, "it has 20 frames; 21 are needed"), (5, "it has 4 frames at 5 per second; 21 are")],
)
def test_read_first_frames_of_short_video_is_an_error(ramp, rate, reason):
    with pytest.raises(VideoError, match=reason):
        read_first_frames(ramp, 21, rate)


@pytest.fixture(scope="module")
def at_30(numbered_frames, make_video):
    """Twelve numbered frames at 30 per second."""
    return make_video(numbered_frames(12), frame_rate=30)


@pytest.mark.parametrize(("frame_rate", "count"), [(25, 10), (30, 12), (60, 24), (1, 1)])
def test_read_frames_and_count_frames_equal_read_clip(at_30, frame_rate, count):
    expected = read_clip(at_30, frame_rate)
    frames = np.stack(list(read_frames(at_30, frame_rate, short_side=None)))
    assert len(frames) == count_frames(at_30, frame_rate) == count
    np.testing.assert_array_equal(frames, expected)
    resized = np.stack(list(read_frames(at_30, frame_rate, short_side=32)))
    np.testing.assert_array_equal(resized, resize_short_side(expected, 32))


def test_count_frames_of_uneven_times(make_video, numbered_frames):
    # Shown for 0.1, 0.5 and 0.2 seconds, and the last for as long as the header's rate says.
    times = [Fraction(0), Fraction("0.1"), Fraction("0.6"), Fraction("0.8")]
    video = make_video(numbered_frames(4), container="matroska", times=times)
    assert count_frames(video) == len(list(read_frames(video, short_side=None)))


@pytest.mark.parametrize("name", ["part.avi", "v_CricketShot_g04_c01_rgb.gif"])
def test_count_frames_of_real_video(shared_dir, name):
    video = shared_dir / "videos" / name
    assert count_frames(video) == sum(1 for _ in read_frames(video, short_side=16))


def test_read_frames_refuses_large_frames(at_30, monkeypatch):
    monkeypatch.setattr(decode, "MAX_FRAME_PIXELS", 48 * 144)
    assert len(list(read_frames(at_30, short_side=48))) == 10
    with pytest.raises(VideoError, match="would have 192 x 64 pixels, more than 6912"):
        next(read_frames(at_30, short_side=64))


def test_readers_refuse_too_many_frames(at_30, monkeypatch):
    monkeypatch.setattr(decode, "MAX_FRAMES", 9)
    for read in (read_clip, count_frames, verify_video, lambda video: list(read_frames(video))):
        with pytest.raises(VideoError, match="<bytes>: it has more than 9 frames"):
            read(at_30)


READERS = {
    "read_clip": lambda video: read_clip(video, None),
    "read_first_frames": lambda video: read_first_frames(video, 50),
    "read_frames": lambda video: list(read_frames(video, None, None)),
    "count_frames": lambda video: count_frames(video, None),
    "verify_video": verify_video,
}


def result_of(read, *arguments):
    """The number of frames, or what is wrong."""
    try:
        found = read(*arguments)
    except (VideoError, ValueError) as error:
        return str(error)
    return found if isinstance(found, int) else len(found)


@pytest.fixture(scope="module")
def two_seconds(make_video, numbered_frames):
    return make_video(numbered_frames(50), options={"g": "10"})


def with_changed_byte(video, seed):
    """The video with one byte of its frames changed."""
    start = video.index(b"mdat") + 4
    (size,) = struct.unpack(">I", video[start - 8 : start - 4])
    at = start + seed * 7919 % (size - 8)
    return video[:at] + bytes([video[at] ^ 0xFF]) + video[at + 1 :]


def test_damage_is_found_every_time(two_seconds):
    damaged = [with_changed_byte(two_seconds, seed) for seed in (7, 9, 23, 29)]
    for video in damaged:
        assert len({result_of(count_frames, video, None) for _ in range(50)}) == 1


def test_all_readers_find_the_same_damage(two_seconds):
    results = []
    for seed in range(40):
        video = with_changed_byte(two_seconds, seed)
        # Not the first frames: they may come before the damage.
        readers = (READERS[name] for name in READERS if name != "read_first_frames")
        found = {result_of(read, video) for read in readers}
        assert len(found) == 1
        results += found
    assert set(map(type, results)) == {int, str}, "no byte mattered, or all"


@pytest.mark.parametrize("name", READERS)
def test_frames_that_cannot_be_converted_are_an_error(two_seconds, monkeypatch, name):
    def fail(self, frame):
        raise av.error.ExternalError(0, "no such conversion")

    monkeypatch.setattr(RGBConverter, "convert", fail)
    expected = "<bytes>: its frames cannot be converted to RGB (no such conversion)"
    # Counting converts nothing.
    assert result_of(READERS[name], two_seconds) == (50 if name == "count_frames" else expected)


def test_verify_video_counts_frames(two_seconds):
    assert verify_video(two_seconds) == 50
    assert verify_video(two_seconds, 0.4) == 40
    assert verify_video(two_seconds, 0.4, 1.2) == 20
    assert verify_video(two_seconds, end=100) == 50


@pytest.mark.parametrize("part", [(0.4, 1.2), (5, None), (0, 0), (-1, None)])
def test_verify_video_of_a_part_fails_as_read_clip(two_seconds, part):
    for video in (two_seconds, two_seconds[:-500], b""):
        assert result_of(verify_video, video, *part) == result_of(read_clip, video, None, *part)


@pytest.mark.parametrize("name", [*READERS, "probe"])
@pytest.mark.parametrize("interval", [0, 512 << 14])
def test_time_stamps_that_contradict_the_header_are_refused(
    two_seconds, with_intervals, name, interval
):
    contradicts = with_intervals(two_seconds, [(50, interval)])
    message = result_of({**READERS, "probe": probe}[name], contradicts)
    assert message.startswith("<bytes>: its time stamps contradict its header: 50 frames in ")


def test_last_frame_of_years_is_shown_for_one_interval(
    numbered_frames, make_video, with_intervals, read_numbers
):
    video = make_video(numbered_frames(50), options={"bf": "0"})
    video = with_intervals(video, [(49, 512), (1, 0x7FFFFFFF)])
    assert read_numbers(read_clip(video)) == list(range(50))
    assert read_numbers(read_clip(video, end=10)) == list(range(50))
    assert count_frames(video) == 50


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_pause_of_slides_is_shown(numbered_frames, read_numbers, make_video, container):
    times = [Fraction(time) for time in (0, 1, 11, 12, 70)]
    video = make_video(numbered_frames(5), container, times=times)
    expected = [0] + [1] * 6 + [2] * 5 + [3] * 30 + [4] * 28
    assert read_numbers(read_clip(video, frame_rate=1, end=70)) == expected


@pytest.mark.parametrize("container", ["mp4", "matroska", "flv"])
def test_pause_of_hours_is_refused(numbered_frames, make_video, container):
    times = [Fraction(k, 25) + (9000 if k > 9 else 0) for k in range(20)]
    video = make_video(numbered_frames(20), container, times=times, options={"bf": "0"})
    reason = r"they show the frame at 0\.36 s for 9000.* s, and the longest pause .* is 600 s"
    for read in (read_clip, count_frames):
        with pytest.raises(VideoError, match=reason):
            read(video)
    assert len(read_clip(video, end=0.2)) == 5


def test_pause_longer_than_the_video_is_refused(numbered_frames, make_video):
    video = make_video(numbered_frames(150), "matroska", options={"bf": "0", "g": "25"})
    at = video.rindex(b"\xe7\x82\x13\x88") + 2  # the time of the second cluster, 5000 ms
    leaps = video[:at] + b"\x4e\x20" + video[at + 2 :]
    with pytest.raises(VideoError, match=r"at 4\.96 s for 15\.04 s, and the longest .* is 10 s"):
        read_clip(leaps)


@pytest.mark.parametrize("num_frames", [40, 150])
def test_frames_that_stand_still_are_refused(numbered_frames, make_video, num_frames):
    video = make_video(numbered_frames(num_frames), "matroska", options={"bf": "0"})
    at = video.index(b"\x2a\xd7\xb1\x83") + 4  # how many ns a unit of time has: 1,000,000
    still = video[:at] + b"\0\0\1" + video[at + 3 :]
    judged = min(num_frames, 100)
    reason = f"{judged - 1} of {judged} frames come next to no time after the frame before"
    for read in (read_clip, count_frames):
        with pytest.raises(VideoError, match=reason):
            read(still)


@pytest.mark.parametrize("frame_rate", [25, None])
def test_clock_that_is_set_back_goes_on(numbered_frames, read_numbers, make_video, frame_rate):
    video = make_video(numbered_frames(30), "mpegts")
    joined = video + video + video
    assert read_numbers(read_clip(joined, frame_rate)) == [*range(30)] * 3
    assert read_numbers(read_clip(joined, frame_rate, 0.8, 1.6)) == [*range(20, 30), *range(10)]
    assert count_frames(joined, frame_rate) == 90


def test_clock_that_is_set_forward_in_a_broadcast_goes_on(
    numbered_frames, read_numbers, make_video
):
    times = [Fraction(k, 25) + (9000 if k > 9 else 0) for k in range(20)]
    video = make_video(numbered_frames(20), "mpegts", times=times, options={"bf": "0"})
    assert read_numbers(read_clip(video)) == list(range(20))


@pytest.mark.parametrize("every", [2, 3, 10, 40])
def test_time_stamps_that_repeat_lose_no_frame(
    numbered_frames, read_numbers, make_video, with_packet_times, every
):
    video = make_video(numbered_frames(40), "matroska", options={"bf": "0"})
    # In groups of one time; of ten, the last has the time of the one before.
    tied = with_packet_times(video, lambda k: k - (k % 10 == 9 if every == 10 else k % every))
    assert read_numbers(read_clip(tied, None)) == list(range(40))
    assert read_numbers(read_clip(tied)) == list(range(40))
    assert count_frames(tied, None) == 40


def test_time_stamps_that_repeat_in_a_broadcast_lose_no_frame(
    numbered_frames, read_numbers, make_video
):
    video = make_video(numbered_frames(50), "mpegts", "mpeg2video", options={"bf": "0"})
    with av.open(io.BytesIO(video)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    tied = with_time_stamp(video, 20, times[19])
    assert read_numbers(read_clip(tied, None)) == list(range(50))
    assert read_numbers(read_clip(tied)) == list(range(50))


def test_more_pixels_than_a_small_file_may_have_are_refused(two_seconds, monkeypatch):
    monkeypatch.setattr(timeline, "MAX_DECODED_PIXELS", 48 * 144 * 20)
    assert count_frames(two_seconds) == 50, "more than that for each byte of it"
    monkeypatch.setattr(timeline, "MAX_DECODED_PIXELS_PER_BYTE", 1)
    for read in (read_clip, count_frames, verify_video):
        with pytest.raises(VideoError, match="so few bytes decode to more than 138240 pixels"):
            read(two_seconds)
    assert len(read_clip(two_seconds, end=0.2)) == 5


@pytest.fixture
def frame_folder(tmp_path):
    """A folder of ten pictures, the k-th of level 20 k."""
    folder = tmp_path / "clip.v1"
    folder.mkdir()
    for number in range(10):
        picture = np.full((32, 48, 3), 20 * number, np.uint8)
        cv2.imwrite(str(folder / f"img_{number + 1:05}.png"), picture)
        cv2.imwrite(str(folder / f"flow_x_{number + 1:05}.jpg"), picture)
    return folder


def folder_levels(*arguments, **keywords):
    return (read_clip(*arguments, **keywords)[:, 0, 0, 0] // 20).tolist()


def test_read_clip_of_a_folder_of_pictures(frame_folder, monkeypatch):
    assert folder_levels(frame_folder) == list(range(10))
    assert read_clip(frame_folder).shape == (10, 32, 48, 3)
    assert folder_levels(frame_folder, None, 0.08, 0.2) == [2, 3, 4]
    assert folder_levels(frame_folder, 12.5, start=0.1) == [2, 4, 6, 8]  # 2.5: the earlier
    assert count_frames(frame_folder, 50) == 20
    monkeypatch.setenv("I3D_TF_FOLDER_RATE", "50")
    assert folder_levels(frame_folder) == [0, 2, 4, 6, 8]
    assert probe(frame_folder) == VideoInfo(0.2, 50.0, 10, 32, 48)


def test_read_clip_names_the_faults_of_a_folder(frame_folder, monkeypatch):
    with pytest.raises(VideoError, match=r"it has no frame from 0\.4 s on"):
        read_clip(frame_folder, start=0.4)
    (frame_folder / "img_00005.png").write_bytes(b"no picture")
    assert folder_levels(frame_folder, end=0.12) == [0, 1, 2]
    with pytest.raises(VideoError, match=r"img_00005\.png is no whole JPEG or PNG picture"):
        read_clip(frame_folder)
    monkeypatch.setenv("I3D_TF_FOLDER_RATE", "fast")
    with pytest.raises(ValueError, match=r"I3D_TF_FOLDER_RATE must be .* it is 'fast'"):
        read_clip(frame_folder)


def with_time_stamp(video, number, ticks):
    """Returns an MPEG-TS with another time of a frame, in 90,000 ticks a second."""
    changed, at = bytearray(video), -1
    for _ in range(number + 1):
        at = changed.index(b"\0\0\1\xe0", at + 1)
    for place in range(at + 9, at + 9 + 5 * (2 if changed[at + 7] & 0x40 else 1), 5):
        first = (changed[place] & 0xF0) | (ticks >> 30 & 7) << 1 | 1
        parts = (first, ticks >> 22 & 255, (ticks >> 15 & 127) << 1 | 1, ticks >> 7 & 255)
        changed[place : place + 5] = bytes([*parts, (ticks & 127) << 1 | 1])
    return bytes(changed)


def test_one_time_stamp_that_leaps_hides_no_frame(numbered_frames, read_numbers, make_video):
    video = make_video(numbered_frames(50), "mpegts", "mpeg2video", options={"bf": "0"})
    assert len(read_clip(video)) == 50
    leaps = with_time_stamp(video, 3, 40 * 90_000)
    assert read_numbers(read_clip(leaps)) == list(range(50))
    assert count_frames(leaps) == 50


def promising_more(video, container):
    """Returns a Matroska or AVI whose header promises a tenth more than its 8 s."""
    changed = bytearray(video)
    if container == "avi":
        at = video.index(b"strh") + 8 + 32
        changed[at : at + 4] = (220).to_bytes(4, "little")
    else:
        at = video.index(b"\x44\x89\x88") + 3
        changed[at : at + 8] = struct.pack(">d", 8800.0)
    return bytes(changed)


@pytest.mark.parametrize("container", ["avi", "matroska"])
def test_header_that_promises_more_is_a_warning(
    numbered_frames, read_numbers, make_video, container
):
    video = make_video(numbered_frames(200), container, "mpeg4")
    promises = promising_more(video, container)
    with pytest.warns(UserWarning, match=r"its header promises 0\.8 s more than the 200 frames"):
        assert read_numbers(read_clip(promises)) == list(range(200))
    for kept in (len(video) - 5000, len(video) // 2):
        with pytest.raises(VideoError, match="cut short"):
            read_clip(promises[:kept])


@pytest.mark.parametrize("container", ["avi", "asf"])
def test_copied_h264_keeps_its_pace_where_only_decoding_times_are_stored(
    numbered_frames, read_numbers, make_video, container
):
    video = make_video(numbered_frames(50))
    file = io.BytesIO()
    with av.open(io.BytesIO(video)) as source, av.open(file, "w", container) as target:
        template = source.streams.video[0]
        stream = target.add_stream_from_template(template)
        stream.time_base = Fraction(1, 50)
        to_units = av.BitStreamFilterContext("h264_mp4toannexb", template, stream)
        for packet in source.demux(template):
            for unit in to_units.filter(packet if packet.size else None):
                unit.stream = stream
                target.mux(unit)
    assert read_numbers(read_clip(file.getvalue())) == list(range(50))
    assert probe(file.getvalue()).duration == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("h264", "libx264", {}),
        ("hevc", "libx265", {"preset": "ultrafast", "x265-params": "log-level=none"}),
        ("m4v", "mpeg4", {"bf": "2", "b": "4000000"}),
        ("mpeg1video", "mpeg1video", {"bf": "2", "g": "5", "b": "4000000"}),
        ("mpeg2video", "mpeg2video", {"bf": "2", "g": "5", "b": "4000000"}),
    ],
)
def test_read_clip_takes_the_rate_of_a_stream_without_a_container(
    numbered_frames, read_numbers, make_video, container, codec, options
):
    video = make_video(numbered_frames(30), container, codec, frame_rate=50, options=options)
    assert probe(video).frame_rate == 50
    assert read_numbers(read_clip(video)) == list(range(0, 30, 2))
    assert read_numbers(read_clip(video, 50)) == list(range(30))


def test_last_frame_of_a_slow_flv_is_no_missing_end(numbered_frames, read_numbers, make_video):
    video = make_video(numbered_frames(5), "flv", "flv", frame_rate=1)
    assert read_numbers(read_clip(video, None)) == list(range(5))
    assert len(read_clip(video)) == 125
    with pytest.raises(VideoError, match="cut short"):
        read_clip(video[: len(video) // 2])


def test_decoder_that_never_returns_is_given_up(two_seconds, monkeypatch, tmp_path):
    path = tmp_path / "hangs.mp4"
    path.write_bytes(two_seconds)
    monkeypatch.setattr(watch, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.02)
    go_on = threading.Event()
    all_packets = Demuxer.__iter__

    def hang(demuxer):
        for number, packet in enumerate(all_packets(demuxer)):
            if number == 20:
                go_on.wait()
            yield packet

    monkeypatch.setattr(Demuxer, "__iter__", hang)
    with pytest.raises(VideoError, match=r"hangs\.mp4: its decoder makes no progress for 0\.3 s"):
        read_watched(path, lambda: read_clip(path))
    assert len(read_watched(path, lambda: read_clip(path, end=0.4))) == 10
    go_on.set()


def test_key_frame_behind_a_lost_cluster_stands_for_nothing(
    numbered_frames, read_numbers, make_video
):
    # Of one cluster the end is lost, and of the next the start, so that FFmpeg passes it over.
    video = make_video(numbered_frames(400), "webm", "libvpx", options={"g": "25"})
    second, third = (at.start() for at in list(re.finditer(rb"\x1f\x43\xb6\x75", video))[1:3])
    lost = video[: third - 20] + bytes(40) + video[third + 20 :]
    assert second < third - 20
    for start in (10.04, 10.08, 10.6):
        with pytest.raises(VideoError, match="damaged"):
            read_clip(lost, start=start, end=start + 1)


def test_time_stamps_that_hide_most_frames_are_refused(numbered_frames, make_video):
    video = bytearray(make_video(numbered_frames(150), options={"bf": "2"}))
    struct.pack_into(">Q", video, video.index(b"ctts") + 25, 0xFFFF)  # within the second entry
    with pytest.raises(VideoError, match="cut short"):
        read_clip(bytes(video))
