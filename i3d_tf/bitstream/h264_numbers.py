"""Numbers of the pictures of H.264, see `i3d_tf.bitstream.picture_numbers`."""

from typing import NamedTuple

from i3d_tf.bitstream.bits import Bits
from i3d_tf.bitstream.picture_numbers import (
    SLICE_BYTES,
    KnownHeaders,
    Picture,
    header_units,
    iter_units,
)

H264_IDR_SLICE, H264_SLICES, H264_SPS, H264_PPS = 5, (1, 2, 5), 7, 8  # types of units
# Profiles whose headers tell the chroma format (Rec. ITU-T H.264, 7.3.2.1.1).
H264_CHROMA_PROFILES = (44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244)


class _H264Sequence(NamedTuple):
    """Values of a sequence parameter set of H.264."""

    number_bits: int
    has_planes: bool
    allows_gaps: bool
    has_fields: bool
    order_bits: int  # 0 where pictures have no number in the order of display
    says_delay: bool  # how many pictures a decoder holds back


class H264Numbers:
    """Numbers of H.264 (Rec. ITU-T H.264, 7.4.3).

    Those that others are made of are numbered in the order of decoding, and all in that of display.

    Attributes:
        says_delay: Whether the last parameter set says how many pictures a decoder holds back.
    """

    says_delay: bool

    def __init__(self, header: bytes):
        """Reads an avcC box (ISO/IEC 14496-15, 5.3.3.1), or units between start codes.

        Args:
            header: See `picture_numbers`.
        """
        self.says_delay = False
        is_box = len(header) > 6 and header[0] == 1
        self._size_size = (header[4] & 3) + 1 if is_box else 0
        self._sequences: dict[int, _H264Sequence | None] = {}
        self._of_picture: dict[int, int] = {}  # number of the sequence's set, by that of its own
        self._sets: dict[int, bytes] = {}  # the last one of each type
        self._known = KnownHeaders()
        self._latest: int | None = None  # number of the last picture that others are made of
        if is_box:
            self._read_box(header)
        else:
            for unit in iter_units(header, 0):
                self._read_unit(unit)

    def read(self, packet: bytes) -> Picture | None:
        """Reads a packet, see `PictureNumbers`."""
        for unit in iter_units(packet, self._size_size):
            if picture := self._read_unit(unit):
                return picture
        return None

    def _read_box(self, header):
        at = 6
        for mask in (0x1F, 0xFF):
            units, at = header_units(header, at, header[at - 1] & mask)
            for unit in units:
                self._read_unit(unit)
            at += 1
            if at > len(header):
                return

    def _read_unit(self, unit):
        """Reads a parameter set; returns the picture of a slice."""
        if not unit:
            return None
        kind = unit[0] & 0x1F
        try:
            if kind in H264_SLICES:
                return self._read_slice(unit, kind)
            if kind in (H264_SPS, H264_PPS) and unit != self._sets.get(kind):
                self._known.clear()
                self._sets[kind] = unit
                self._read_set(Bits(unit[1:]), kind)
        except IndexError:  # it is cut
            if kind in H264_SLICES:
                self._latest = None
        return None

    def _read_set(self, bits, kind):
        if kind == H264_SPS:
            number, sequence = _read_h264_sequence(bits)
            self._sequences[number] = sequence
            self.says_delay = sequence is not None and sequence.says_delay
        else:
            number = bits.exp_golomb()
            self._of_picture[number] = bits.exp_golomb()

    def _read_slice(self, unit, kind):
        header = self._known.find(unit) or self._read_slice_header(unit, kind)
        if header is None:
            self._latest = None  # what follows may be numbered in another way
            return None
        number, order, order_modulus, number_modulus, may_follow_gap = header
        is_disposable = not unit[0] & 0x60
        is_gap = not may_follow_gap and self._is_gap(number, number_modulus)
        if not is_disposable:
            self._latest = number
        return Picture(order, order_modulus, kind == H264_IDR_SLICE, is_disposable, is_gap)

    def _read_slice_header(self, unit, kind):
        bits = Bits(unit[1:SLICE_BYTES])
        bits.exp_golomb()  # the first macroblock
        is_intra = bits.exp_golomb() % 5 in (2, 4) or kind == H264_IDR_SLICE
        sequence = self._sequences.get(self._of_picture.get(bits.exp_golomb(), -1))
        if sequence is None:
            return None
        bits.read(2 * sequence.has_planes)
        number = bits.read(sequence.number_bits)
        if sequence.has_fields and bits.read(1):
            bits.read(1)
        if kind == H264_IDR_SLICE:
            bits.exp_golomb()
        order = bits.read(sequence.order_bits) if sequence.order_bits else None
        moduli = 1 << sequence.order_bits, 1 << sequence.number_bits
        header = number, order, *moduli, is_intra or sequence.allows_gaps
        self._known.add(unit, 8 + bits.num_read, header)
        return header

    def _is_gap(self, number, count):
        # A frame between key frames could set the numbers back, but hardly any encoder does.
        return self._latest is not None and (number - self._latest) % count > 1


def _read_h264_sequence(bits):
    """Returns (number, _H264Sequence) of a sequence parameter set (7.3.2.1.1)."""
    profile = bits.read(24) >> 16
    sequence, has_planes = bits.exp_golomb(), 0
    if profile in H264_CHROMA_PROFILES:
        if bits.exp_golomb() == 3:
            has_planes = bits.read(1)
        bits.skip_exp_golomb(2)
        bits.read(1)
        if bits.read(1):  # scaling lists, which hardly anybody uses: not read
            return sequence, None
    number_bits = min(bits.exp_golomb() + 4, 16)
    order, order_bits = bits.exp_golomb(), 0
    if order == 0:
        order_bits = min(bits.exp_golomb() + 4, 16)
    elif order == 1:
        bits.read(1)
        bits.skip_exp_golomb(2)
        bits.skip_exp_golomb(min(bits.exp_golomb(), 255))
    bits.exp_golomb()
    allows_gaps = bits.read(1)
    bits.skip_exp_golomb(2)
    has_fields = not bits.read(1)
    try:
        says_delay = _says_h264_delay(bits, has_fields)
    except IndexError:
        says_delay = False
    return sequence, _H264Sequence(
        number_bits, bool(has_planes), bool(allows_gaps), has_fields, order_bits, says_delay
    )


def _says_h264_delay(bits, has_fields):
    """Reads on to the restrictions of the usability information (E.1.1)."""
    bits.read(has_fields)
    bits.read(1)
    if bits.read(1):
        bits.skip_exp_golomb(4)
    if not bits.read(1):  # no usability information
        return False
    if bits.read(1) and bits.read(8) == 255:
        bits.read(32)
    if bits.read(1):
        bits.read(1)
    if bits.read(1):
        bits.read(4)
        bits.read(24 * bits.read(1))
    if bits.read(1):
        bits.skip_exp_golomb(2)
    bits.read(65 * bits.read(1))
    has_buffers = False
    for _ in range(2):
        if bits.read(1):
            has_buffers = True
            count = bits.exp_golomb() + 1
            bits.read(8)
            for _ in range(min(count, 32)):
                bits.skip_exp_golomb(2)
                bits.read(1)
            bits.read(20)
    bits.read(has_buffers)
    bits.read(1)
    return bool(bits.read(1))
