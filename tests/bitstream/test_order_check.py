"""Videos of which packets were left out, and sound ones that look as if."""

import io
from fractions import Fraction

import av
import pytest
from fixtures.videos import remux

from i3d_tf.bitstream.order_check import OrderCheck, order_check
from i3d_tf.bitstream.picture_numbers import Picture
from i3d_tf.video.decode import concealed_frames, count_frames, read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.options import other_options

X265 = "log-level=none:crf=1:keyint=20:scenecut=0"
CODECS = {
    "h264": ("libx264", {"g": "20", "bf": "0", "sc_threshold": "0"}),
    "h264-b": ("libx264", {"g": "20", "bf": "3", "sc_threshold": "0"}),
    "h264-open": ("libx264", {"g": "20", "bf": "2", "x264-params": "open-gop=1:scenecut=0"}),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": X265 + ":bframes=0"}),
    "hevc-b": ("libx265", {"preset": "ultrafast", "x265-params": X265 + ":bframes=3"}),
    "hevc-closed": ("libx265", {"preset": "ultrafast", "x265-params": X265 + ":open-gop=0"}),
    "mpeg2": ("mpeg2video", {"g": "20", "b": "4000000", "sc_threshold": "1000000000"}),
    "mpeg2-b": ("mpeg2video", {"g": "20", "bf": "2", "b": "4000000", "sc_threshold": "1000000000"}),
    "mpeg4": ("mpeg4", {"g": "20", "b": "4000000", "sc_threshold": "1000000000"}),
    "mpeg1-b": ("mpeg1video", {"g": "20", "bf": "2", "b": "4000000", "sc_threshold": "1000000000"}),
}
CONTAINERS = {
    "h264": ("mp4", "matroska", "mpegts", "flv"),
    "hevc": ("mov", "matroska", "mpegts"),
    "mpeg2": ("mov", "matroska", "mpegts", "avi"),
    "mpeg1": ("matroska",),
    "mpeg4": ("mp4", "matroska", "avi"),
}
PAIRS = [(name, container) for name in CODECS for container in CONTAINERS[name.split("-")[0]]]


@pytest.fixture(scope="module")
def make_numbered(numbered_frames, make_video):
    """Function: (name of CODECS, numbers) -> a video of frames at the times of their numbers."""
    made = {}

    def make(name, numbers=tuple(range(60))):
        if (name, numbers) not in made:
            codec, options = CODECS[name]
            container = "matroska" if codec.startswith("mpeg") else "mp4"
            times = [Fraction(number, 25) for number in numbers]
            made[name, numbers] = make_video(
                numbered_frames(max(numbers) + 1)[list(numbers)],
                container,
                codec,
                times=None if numbers == tuple(range(60)) else times,
                options=options,
            )
        return made[name, numbers]

    return make


@pytest.mark.parametrize(("name", "container"), PAIRS)
def test_missing_packet_is_damage(make_numbered, name, container, read_numbers):
    video = make_numbered(name)
    whole = remux(video, container, lambda number, _: True)
    assert read_numbers(read_clip(whole, None)) == list(range(60))
    for left_out in (25, 26, 30, 31, 32, 33):
        cut = remux(video, container, lambda number, _, left_out=left_out: number != left_out)
        with pytest.raises(VideoError, match="damaged"):
            count_frames(cut, None)


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv"])
def test_missing_reference_frame_spoils_up_to_the_next_key_frame(
    make_numbered, container, read_numbers
):
    video = remux(make_numbered("h264"), container, lambda number, _: number != 30)
    with pytest.raises(VideoError, match="damaged"):
        read_clip(video)
    assert read_numbers(read_clip(video, end=1.16)) == list(range(29))
    assert read_numbers(read_clip(video, start=1.6)) == list(range(40, 60))


@pytest.mark.parametrize("name", ["h264", "hevc", "hevc-b"])
@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_missing_reference_frame_is_damage_at_an_uneven_rate(
    make_numbered, name, container, read_numbers
):
    numbers = tuple(3 * number + number % 3 for number in range(60))
    video = make_numbered(name, numbers)
    whole = remux(video, container, lambda number, _: True)
    assert read_numbers(read_clip(whole, None)) == list(numbers)
    with av.open(io.BytesIO(video)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
    # Shown after those around it: others are made of it.
    left_out = max(range(24, 36), key=lambda number: packets[number].pts - packets[number].dts)
    with pytest.raises(VideoError, match="damaged"):
        count_frames(remux(video, container, lambda number, _: number != left_out), None)


def test_missing_frame_is_counted_where_damage_is_concealed(make_numbered, tmp_path):
    path = tmp_path / "video.mkv"
    path.write_bytes(remux(make_numbered("hevc"), "matroska", lambda number, _: number != 30))
    with other_options(damaged="conceal"), pytest.warns(UserWarning, match="concealed or lost"):
        assert len(read_clip(path, None)) == 59
    assert 2 <= concealed_frames(path) <= 11, "at most up to the next key frame"


@pytest.mark.parametrize("key_frame", [0, 20, 40])
def test_missing_key_frame_is_damage_or_the_start(make_numbered, key_frame, read_numbers):
    video = remux(make_numbered("h264"), "matroska", lambda number, _: number != key_frame)
    if key_frame:
        with pytest.raises(VideoError, match="damaged"):
            read_clip(video)
    else:
        assert set(read_numbers(read_clip(video, None))) <= set(range(20, 60))


@pytest.mark.parametrize("name", [name for name in CODECS if not name.startswith("mpeg")])
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_frames_that_were_never_written_are_no_damage(make_numbered, name, container, read_numbers):
    numbers = tuple(number for number in range(60) if number not in (13, 30, 31, 50))
    video = remux(make_numbered(name, numbers), container, lambda number, _: True)
    assert read_numbers(read_clip(video, None)) == list(numbers)


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_frames_that_mpeg4_was_never_given_are_no_damage(make_numbered, container, read_numbers):
    numbers = tuple(number for number in range(60) if number not in (13, 30, 31, 50))
    video = remux(make_numbered("mpeg4", numbers), container, lambda number, _: True)
    assert read_numbers(read_clip(video, None)) == list(numbers)


@pytest.mark.parametrize("name", ["h264-b", "hevc-closed"])
def test_frames_before_a_cut_need_not_all_be_there(make_numbered, name, read_numbers):
    """A copy that ends between packets lacks some of those that are shown before its last."""
    video = make_numbered(name)
    with av.open(io.BytesIO(video)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
    key = next(number for number, packet in enumerate(packets) if number and packet.is_keyframe)
    for left_out in (1, 2, 3):
        left = range(key - left_out, key)
        joined = remux(video, "matroska", lambda number, _, left=left: number not in left)
        shown = read_numbers(read_clip(joined, None))
        assert shown == sorted(shown)
        assert len(shown) == 60 - left_out


def test_first_pictures_of_a_group_may_have_been_cut(make_numbered, read_numbers):
    video = make_numbered("mpeg2-b")
    with av.open(io.BytesIO(video)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
    key = next(number for number, packet in enumerate(packets) if number and packet.is_keyframe)
    assert packets[key + 1].pts < packets[key].pts, "an open group"
    joined = remux(video, "mpegts", lambda number, _: number not in (key + 1, key + 2))
    assert len(read_numbers(read_clip(joined, None))) == 58


def test_layer_that_was_left_out_is_no_damage(numbered_frames, make_video, read_numbers):
    parameters = X265 + ":bframes=3:b-adapt=0:temporal-layers=2"
    options = {"preset": "ultrafast", "x265-params": parameters}
    video = make_video(numbered_frames(60), "mp4", "libx265", options=options)

    def is_of_lowest_layer(number, packet):
        return is_lowest(bytes(packet))

    def is_lowest(packet):
        at = 0
        while packet[at + 4] >> 1 >= 32:  # no slice
            at += 4 + int.from_bytes(packet[at : at + 4], "big")
        return packet[at + 5] & 7 == 1

    thinned = remux(video, "mp4", is_of_lowest_layer)
    shown = read_numbers(read_clip(thinned, None))
    assert shown == sorted(shown)
    assert 10 < len(shown) < 40


@pytest.mark.parametrize("name", ["av1", "h264", "hevc", "mpeg2video", "mpeg4"])
def test_header_that_makes_no_sense_is_passed_over(name):
    start = b"\0\0\1"
    headers = [b"", start + b"\x67", start + b"\x67\x42", start + b"\x42\1", b"\1" * 9]
    for header in (*headers, b"\1" * 30, b"\1" + bytes(40)):
        check = order_check("mov", name, header)
        for content in (b"\x65" + b"\xff" * 9, b"\x26\1" + b"\xff" * 9, b"\0", b""):
            assert not check.misses_picture(start + content, 0, 0)


def test_codecs_without_numbers_have_no_check():
    assert order_check("mov", "vp9", b"") is None


@pytest.mark.parametrize("name", ["h264", "hevc-b"])
def test_picture_that_cannot_be_read_is_not_missed(make_numbered, name):
    with av.open(io.BytesIO(make_numbered(name))) as source:
        context = source.streams.video[0].codec_context
        packets = [packet for packet in source.demux(video=0) if packet.size]
    check = order_check("mov", context.name, context.extradata)
    for number, packet in enumerate(packets):
        content = bytes(packet)
        if number == 30:
            content = content[:7]
        assert not check.misses_picture(content, packet.pts, packet.dts)


def test_missing_packet_of_av1_is_damage(numbered_frames, read_numbers, monkeypatch):
    monkeypatch.setenv("SVT_LOG", "1")  # errors only
    whole = encode_av1(numbered_frames(50))
    assert read_numbers(read_clip(whole, None)) == list(range(50))
    for left_out in range(20, 30):
        with pytest.raises(VideoError, match="damaged"):
            count_frames(encode_av1(numbered_frames(50), left_out), None)


def test_frames_that_av1_was_never_given_are_no_damage(numbered_frames, read_numbers, monkeypatch):
    monkeypatch.setenv("SVT_LOG", "1")
    numbers = [number for number in range(50) if number not in (20, 30, 31)]
    video = encode_av1(numbered_frames(50)[numbers], times=numbers)
    assert read_numbers(read_clip(video, None)) == numbers


def encode_av1(frames, left_out=None, times=None):
    """Returns an mp4 of AV1, a packet of which is left out."""
    file = io.BytesIO()
    with av.open(file, "w", "mp4") as target:
        options = {"preset": "10", "crf": "5", "svtav1-params": "lp=1"}
        stream = target.add_stream("libsvtav1", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        packets = []
        for time, picture in zip(times or range(len(frames)), frames, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        target.mux(packet for number, packet in enumerate(packets) if number != left_out)
    return file.getvalue()


class GivenPictures:
    """Pictures of numbers that are given."""

    def __init__(self, numbers, has_disposable):
        self._pictures = [Picture(k, 256, False, has_disposable, False) for k in numbers]

    def read(self, packet):
        return self._pictures.pop(0)


@pytest.mark.parametrize(
    ("numbers", "times", "has_disposable", "expected"),
    [
        ((20, 24), (200, 240), True, True),
        ((20, 24), (200, 240), False, False),  # one from which such pictures were left out
        ((20, 24), (200, 220), True, False),  # an encoder's own way to count
        ((20, 22), (200, 240), True, False),  # a variable frame rate
        ((20, 23), (200, 240), True, False),
        ((20, 22), (200, 220), True, False),
    ],
)
def test_gap_is_one_in_numbers_and_times_of_a_stream_of_disposable_pictures(
    numbers, times, has_disposable, expected
):
    numbers, times = (*range(0, 20, 2), *numbers), (*range(0, 200, 20), *times)
    check = OrderCheck(GivenPictures(numbers, has_disposable), "mov")
    found = [check.misses_picture(b"", time, time) for time in times]
    assert found == [False] * 11 + [expected]
