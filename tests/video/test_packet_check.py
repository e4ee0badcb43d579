import io
from types import SimpleNamespace

import av
import pytest

from i3d_tf.video.decode import count_frames, read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.packet_check import packet_check

# Version 1 and, in the lowest bits of a byte, that sizes have 4 bytes: ISO/IEC 14496-15.
HEADERS = {"h264": b"\1\0\0\0\xff\0\0\0", "hevc": b"\1" + bytes(20) + b"\xff\0"}
SLICES = {"h264": b"\x65", "hevc": b"\x26\1"}
MESSAGES = {"h264": b"\x06", "hevc": b"\x4e\1"}  # supplemental: what a camera's maker likes


def check(name):
    context = SimpleNamespace(name=name, extradata=HEADERS.get(name))
    return packet_check(context)


def unit(content):
    return len(content).to_bytes(4, "big") + content


@pytest.mark.parametrize("name", HEADERS)
def test_packet_check_of_units(name):
    is_damaged, a_slice = check(name), SLICES[name]
    sound = unit(a_slice + bytes(range(1, 200)))
    assert not is_damaged(sound)
    assert not is_damaged(unit(MESSAGES[name] + bytes(100) + b"\x80") + sound)
    assert not is_damaged(unit(a_slice + b"abc" + bytes(50))), "zeros after its end"
    assert is_damaged(unit(a_slice + b"abc" + bytes(4) + b"def")), "four zeros in a picture"
    assert is_damaged(sound + bytes(4)), "a unit of no size"
    assert is_damaged(bytes(300))
    assert is_damaged(sound[:-1]), "a unit longer than its packet"


@pytest.mark.parametrize("name", ["vp8", "vp9"])
def test_packet_check_of_arithmetic_code(name):
    is_damaged = check(name)
    assert not is_damaged(b"abc" + bytes(127) + b"def")
    assert not is_damaged(b"abc" + bytes(500)), "padding"
    assert is_damaged(b"abc" + bytes(128) + b"def")
    assert is_damaged(bytes(128) + b"def")


def test_packet_check_of_a_gif_frame_that_has_swallowed_another():
    is_damaged, start = check("gif"), b"\x21\xf9\x04\0\4\0\0\0\x2c"
    assert not is_damaged(start + bytes(range(256)) + b"\0")
    assert is_damaged(start + b"abc\0" + start + b"def\0")


@pytest.mark.parametrize("name", ["rawvideo", "mpeg4", "av1", "png"])
def test_packet_check_of_other_codecs(name):
    assert check(name) is None


@pytest.fixture(scope="module")
def without_packet(numbered_frames, make_video):
    """Function: (container, B-frames, packet to leave out) -> a video of 60 frames."""

    def write(container, b_frames, left_out):
        options = {"g": "20", "bf": b_frames, "sc_threshold": "0"}
        video = make_video(numbered_frames(60), "mp4", options=options)
        file = io.BytesIO()
        with av.open(io.BytesIO(video)) as source, av.open(file, "w", container) as target:
            template = source.streams.video[0]
            stream = target.add_stream_from_template(template)
            packets = [packet for packet in source.demux(template) if packet.size]
            for number, packet in enumerate(packets):
                if number != left_out:
                    packet.stream = stream
                    target.mux(packet)
        return file.getvalue()

    return write


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv"])
def test_missing_reference_frame_is_damage(without_packet, container, read_numbers):
    assert read_numbers(read_clip(without_packet(container, "0", None))) == list(range(60))
    video = without_packet(container, "0", 30)
    for read in (read_clip, count_frames):
        with pytest.raises(VideoError, match="damaged"):
            read(video)
    assert read_numbers(read_clip(video, end=1.16)) == list(range(29))
    assert read_numbers(read_clip(video, start=1.6)) == list(range(40, 60))


def test_missing_frame_that_no_other_is_made_of_is_passed_over(without_packet, read_numbers):
    found = []
    for left_out in range(20, 30):
        try:
            found.append(read_numbers(read_clip(without_packet("mp4", "2", left_out), None)))
        except VideoError:
            continue
    assert 0 < len(found) < 10, "some of ten are made of others"
    assert all(numbers == sorted(set(numbers)) and len(numbers) == 59 for numbers in found)


@pytest.mark.parametrize("key_frame", [0, 20, 40])
def test_missing_key_frame_is_damage_or_the_start(without_packet, key_frame, read_numbers):
    video = without_packet("matroska", "0", key_frame)
    if key_frame:
        with pytest.raises(VideoError, match="damaged"):
            read_clip(video)
    else:
        assert set(read_numbers(read_clip(video, None))) <= set(range(20, 60))


def test_header_of_h264_that_makes_no_sense_is_passed_over():
    for header in (b"", b"\0\0\1\x67", b"\0\0\1\x67\x42", b"\1" * 9, b"\1" + bytes(40)):
        is_damaged = packet_check(SimpleNamespace(name="h264", extradata=header))
        assert is_damaged(b"\0\0\1\x65" + b"\xff" * 9) in (False, True)
