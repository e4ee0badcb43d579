"""Damage in compressed frames that decoders pass over: bytes that no encoder writes.

A block of a file that was lost is mostly left as zeros, which the decoders of arithmetic codes take
for pictures like any others.
"""

import re
from collections.abc import Callable

import av

# Returns whether a packet is damaged, or one before it is missing.
PacketCheck = Callable[[bytes], bool]

# Zeros in a row within a frame of VP8 or VP9, whose arithmetic code gives each 1 chance in 256.
# At the end of a frame they may be padding.
MAX_ZEROS = 128
# Within a unit of H.264 or HEVC, three in a row are written with another byte between them
# (Rec. ITU-T H.264, 7.4.1.1; H.265, 7.4.2.1); after its end there may be some.
FORBIDDEN_ZEROS = bytes(4)
# A control extension and the start of an image, which each frame of a GIF has once: where there are
# two, the sizes of its blocks lead past its end.
GIF_FRAME_START = re.compile(rb"\x21\xf9\x04.{4}\0\x2c", re.DOTALL)


def packet_check(codec_context: av.VideoCodecContext) -> PacketCheck | None:
    """Returns the check of a codec's packets, or None where there is none.

    Args:
        codec_context: The decoder, with the codec's header.
    """
    name, header = codec_context.name, codec_context.extradata or b""
    if name in ("vp8", "vp9", "libvpx", "libvpx-vp9"):
        return _has_zeros
    if name == "gif":
        return lambda packet: len(GIF_FRAME_START.findall(packet)) > 1
    # Units whose sizes precede them, as in mp4, Matroska and FLV.
    if name == "h264" and len(header) > 6 and header[0] == 1:
        size_size = (header[4] & 3) + 1
        in_order = _H264Order()
        in_order.read_header(header)
        return _unit_check(size_size, _is_h264_slice, in_order.misses_frame)
    if name == "h264":
        return _start_code_check(_H264Order().misses_frame, header)
    if name == "hevc" and len(header) > 21 and header[0] == 1:
        return _unit_check((header[21] & 3) + 1, _is_hevc_slice)
    return None


def _has_zeros(packet):
    return _is_within(packet, bytes(MAX_ZEROS), 0, len(packet))


def _is_within(packet, zeros, start, end):
    """Returns whether so many zeros are followed by something else before the end."""
    found = packet.find(zeros, start, end)
    return found >= 0 and packet.count(0, found, end) < end - found


def _unit_check(size_size, is_slice, is_out_of_order=None):
    """Returns a check of packets whose units have their sizes before them.

    Args:
        size_size: Bytes of a size.
        is_slice: Function of the first byte of a unit: whether it is a part of a picture.
        is_out_of_order: Function of the start of a unit, in order; None where there is none.
    """

    def check(packet):
        at, is_gap, packet_size = 0, False, len(packet)
        while at < packet_size:
            size = int.from_bytes(packet[at : at + size_size], "big")
            at += size_size
            if size == 0 or at + size > packet_size:
                return True
            # Units that are no part of a picture hold what a camera's maker likes.
            if is_slice(packet[at]) and _is_within(packet, FORBIDDEN_ZEROS, at, at + size):
                return True
            if is_out_of_order is not None:
                is_gap |= is_out_of_order(packet[at : at + min(size, HEADER_BYTES)])
            at += size
        return is_gap

    return check


def _start_code_check(is_out_of_order, header):
    """Returns a check of packets whose units follow start codes, see `_unit_check`."""

    def check(packet):
        at, is_gap = packet.find(b"\0\0\1"), False
        while at >= 0:
            at += 3
            is_gap |= is_out_of_order(packet[at : at + HEADER_BYTES])
            at = packet.find(b"\0\0\1", at)
        return is_gap

    check(header)
    return check


def _is_h264_slice(first_byte):
    return 1 <= first_byte & 0x1F <= 5


def _is_hevc_slice(first_byte):
    return first_byte >> 1 & 0x3F < 32


H264_IDR_SLICE, H264_SLICES, H264_SPS, H264_PPS = 5, (1, 2, 5), 7, 8  # types of units
# Profiles whose headers tell the chroma format (Rec. ITU-T H.264, 7.3.2.1.1).
H264_CHROMA_PROFILES = (44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244)
SLICE_BYTES = 16  # of a slice, in which all lies that is read
KNOWN_BYTES = 5  # of a slice, in which all lies in most videos
MAX_KNOWN = 2**12
HEADER_BYTES = 48  # of a unit, in which all lies that is read


class _H264Order:
    """Numbers of reference frames, which show where one is missing (Rec. ITU-T H.264, 7.4.3).

    Frames that no other is made of have no numbers of their own: where one of these is missing, the
    others are right.
    """

    def __init__(self):
        self._bits, self._of_picture = {}, {}  # by the numbers of their headers
        self._latest = None  # number of the last reference frame
        self._known = {}  # what was read, by the first bytes of a slice: several times as fast

    def read_header(self, header):
        """Reads the parameter sets of an avcC box (ISO/IEC 14496-15, 5.3.3.1)."""
        at = 6
        for count_mask in (0x1F, 0xFF):
            count = header[at - 1] & count_mask
            for _ in range(count):
                size = int.from_bytes(header[at : at + 2], "big")
                self._read_unit(header[at + 2 : at + 2 + min(size, HEADER_BYTES)])
                at += 2 + size
            at += 1
            if at > len(header):
                return

    def misses_frame(self, unit):
        """Returns whether a reference frame before a unit is missing, by the unit's start."""
        number = self._known.get(unit[:KNOWN_BYTES])
        if number is None:
            number = self._read_unit(unit)
            if number is None:
                return False
        return self._is_gap(number, unit[0])

    def _is_gap(self, number, first_byte):
        number, count, has_gaps, is_intra = number
        before, is_reference = self._latest, first_byte & 0x60 > 0
        if is_reference:
            self._latest = number
        if before is None or is_intra or has_gaps:
            return False
        # A frame between key frames could set the numbers back, but hardly any encoder does.
        return number not in (before, (before + 1) % count)

    def _read_unit(self, unit):
        """Reads a parameter set; returns the number of a slice's frame, and what it depends on."""
        if not unit:
            return None
        kind = unit[0] & 0x1F
        bits = _Bits(unit[1:SLICE_BYTES] if kind in H264_SLICES else unit[1:])
        try:
            if kind == H264_SPS:
                self._known.clear()
                self._read_sequence(bits)
            elif kind == H264_PPS:
                self._known.clear()
                picture = bits.exp_golomb()
                self._of_picture[picture] = bits.exp_golomb()
            elif kind in H264_SLICES:
                bits.exp_golomb()  # the first macroblock
                is_intra = bits.exp_golomb() % 5 in (2, 4)
                sequence = self._bits.get(self._of_picture.get(bits.exp_golomb()))
                if sequence is None:
                    return None
                num_bits, has_planes, has_gaps = sequence
                bits.read(2 * has_planes)
                number = bits.read(num_bits)
                is_intra = is_intra or kind == H264_IDR_SLICE
                found = number, 1 << num_bits, has_gaps, is_intra
                self._remember(unit[:KNOWN_BYTES], bits.num_read, found)
                return found
        except IndexError:  # it is cut
            pass
        return None

    def _remember(self, start, num_bits, found):
        if num_bits <= 8 * (KNOWN_BYTES - 1) and b"\0\0" not in start:
            if len(self._known) == MAX_KNOWN:
                self._known.clear()
            self._known[start] = found

    def _read_sequence(self, bits):
        profile = bits.read(24) >> 16
        sequence, has_planes = bits.exp_golomb(), 0
        if profile in H264_CHROMA_PROFILES:
            if bits.exp_golomb() == 3:
                has_planes = bits.read(1)
            bits.exp_golomb()
            bits.exp_golomb()
            bits.read(1)
            if bits.read(1):  # scaling lists, which hardly anybody uses: not read
                return
        num_bits = bits.exp_golomb() + 4
        order = bits.exp_golomb()
        if order == 0:
            bits.exp_golomb()
        elif order == 1:
            bits.read(1)
            for _ in range(2):
                bits.exp_golomb()
            for _ in range(min(bits.exp_golomb(), 255)):
                bits.exp_golomb()
        bits.exp_golomb()
        self._bits[sequence] = min(num_bits, 16), has_planes, bits.read(1)


class _Bits:
    """The bits of a unit of H.264, without the bytes that keep start codes out of it."""

    def __init__(self, content):
        if b"\0\0\3" in content:
            content = content.replace(b"\0\0\3", b"\0\0")
        self._value, self._left = int.from_bytes(content, "big"), 8 * len(content)
        self._size = self._left

    @property
    def num_read(self):
        """Returns how many bits were read."""
        return self._size - self._left

    def read(self, count):
        """Returns a number of so many bits; IndexError behind the end."""
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._value >> self._left & ((1 << count) - 1)

    def exp_golomb(self):
        """Returns a number in the code of 9.1 (of signed ones, what stands for them)."""
        rest = self._value & ((1 << self._left) - 1)
        size = self._left - rest.bit_length() + 1  # zeros, and the one behind them
        self._left -= 2 * size - 1
        if self._left < 0:
            raise IndexError
        return (rest >> self._left) - 1
