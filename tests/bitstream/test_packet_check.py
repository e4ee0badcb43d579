import pytest

from i3d_tf.bitstream.packet_check import packet_check

# Version 1 and, in the lowest bits of a byte, that sizes have 4 bytes: ISO/IEC 14496-15.
HEADERS = {"h264": b"\1\0\0\0\xff\0\0\0", "hevc": b"\1" + bytes(20) + b"\xff\0"}
SLICES = {"h264": b"\x65", "hevc": b"\x26\1"}
MESSAGES = {"h264": b"\x06", "hevc": b"\x4e\1"}  # supplemental: what a camera's maker likes


def check(name):
    return packet_check(name, HEADERS.get(name, b""))


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
