"""Numbers of the pictures of HEVC, see `i3d_tf.bitstream.picture_numbers`."""

from typing import NamedTuple

from i3d_tf.bitstream.bits import Bits
from i3d_tf.bitstream.picture_numbers import (
    SLICE_BYTES,
    KnownHeaders,
    Picture,
    header_units,
    iter_units,
)

HEVC_KEY_SLICES, HEVC_IDR_SLICES, HEVC_CRA_SLICE = range(16, 24), (19, 20), 21
HEVC_BROKEN_LINKS = (16, 17, 18)
HEVC_SKIPPED_LEADING = (8, 9)  # made from pictures before a key frame where reading may start
HEVC_LEADING = (6, 7, 8, 9)
HEVC_SPS, HEVC_PPS = 33, 34

# Of each picture that another may be made of: the distance in the order of display, and whether
# this one is.
References = list[tuple[int, int]]


class _HEVCSequence(NamedTuple):
    """Values of a sequence parameter set of HEVC."""

    has_planes: int
    order_bits: int
    top_layer: int
    reference_sets: list[References] | None  # None where they are not known


class HEVCNumbers:
    """Numbers of HEVC (Rec. ITU-T H.265, 8.3.1 and 8.3.2).

    Each picture says how far before and after it those are from which it is made.
    """

    def __init__(self, header: bytes):
        """Reads an hvcC box (ISO/IEC 14496-15, 8.3.3.1), or units between start codes.

        Args:
            header: See `picture_numbers`.
        """
        is_box = len(header) > 22 and header[0] == 1
        self._size_size = (header[21] & 3) + 1 if is_box else 0
        self._sequences: dict[int, _HEVCSequence] = {}
        self._pictures: dict[int, tuple[int, int, int]] = {}
        self._sets: dict[int, bytes] = {}  # the last one of each type
        self._known = KnownHeaders()
        self._order_before = 0  # of the last picture of the lowest layer that others are made of
        self._present: set[int] | None = None  # None before the first key frame
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
        at = 23
        for _ in range(header[22]):
            count = int.from_bytes(header[at + 1 : at + 3], "big")
            units, at = header_units(header, at + 3, count)
            for unit in units:
                self._read_unit(unit)
            if at >= len(header):
                return

    def _read_unit(self, unit):
        """Reads a parameter set; returns the picture of a first slice."""
        if len(unit) < 3 or unit[0] & 1 or unit[1] & 0xF8:  # of another view or quality
            return None
        kind = unit[0] >> 1
        try:
            if kind < 10 or kind in HEVC_KEY_SLICES:
                return self._read_slice(unit, kind) if unit[2] & 0x80 else None
            if kind in (HEVC_SPS, HEVC_PPS) and unit != self._sets.get(kind):
                self._known.clear()
                self._sets[kind] = unit
                self._read_set(Bits(unit[2:]), kind)
        except IndexError:  # it is cut, or names what there is not
            if kind < HEVC_SPS:
                self._present = None
        return None

    def _read_set(self, bits, kind):
        if kind == HEVC_SPS:
            number, sequence = _read_hevc_sequence(bits)
            self._sequences[number] = sequence
        else:
            number, sequence = bits.exp_golomb(), bits.exp_golomb()
            bits.read(1)
            has_flag = bits.read(1)
            self._pictures[number] = sequence, has_flag, bits.read(3)

    def _read_slice(self, unit, kind):
        header = self._known.find(unit) or self._read_slice_header(unit, kind)
        if header is None:
            self._present = None  # what follows may be made from it
            return None
        order, modulus, top_layer, references = header
        is_key = kind in HEVC_KEY_SLICES
        starts_anew = kind in HEVC_IDR_SLICES or kind in HEVC_BROKEN_LINKS
        starts_anew = starts_anew or (is_key and self._present is None)
        if not starts_anew:
            order += self._order_before - self._order_before % modulus
            if order - self._order_before >= modulus // 2:
                order -= modulus
            elif self._order_before - order > modulus // 2:
                order += modulus
        layer = (unit[1] & 7) - 1
        if layer == 0 and not (kind in HEVC_LEADING or (kind < 16 and kind % 2 == 0)):
            self._order_before = order
        if starts_anew:
            self._present = {order}
        is_missing = self._misses_reference(order, references)
        is_missing = is_missing and not is_key and kind not in HEVC_SKIPPED_LEADING
        return Picture(order % modulus, modulus, starts_anew, layer == top_layer, is_missing)

    def _read_slice_header(self, unit, kind):
        """Returns (order, its modulus, highest layer, references) of a slice, and remembers it."""
        bits = Bits(unit[2:SLICE_BYTES])
        bits.read(1 + (kind in HEVC_KEY_SLICES))
        of_picture = self._pictures.get(bits.exp_golomb())
        sequence = None if of_picture is None else self._sequences.get(of_picture[0])
        if sequence is None:
            return None
        if of_picture[2]:
            bits.read(of_picture[2])  # reserved
        bits.exp_golomb()  # type of the slice
        if of_picture[1] or sequence.has_planes:
            bits.read(of_picture[1] + 2 * sequence.has_planes)
        is_idr = kind in HEVC_IDR_SLICES
        order = 0 if is_idr else bits.read(sequence.order_bits)
        references = None if is_idr else _read_hevc_references(bits, sequence.reference_sets)
        header = order, 1 << sequence.order_bits, sequence.top_layer, references
        self._known.add(unit, 16 + bits.num_read, header)
        return header

    def _misses_reference(self, order, references):
        """Returns whether one is missing that a picture is made from, and keeps those that stay."""
        if self._present is None or references is None:
            return False
        is_missing, kept = False, {order}
        for distance, is_used in references:
            if order + distance in self._present:
                kept.add(order + distance)
            elif is_used:
                is_missing = True
        self._present = kept
        return is_missing


def _read_hevc_references(bits, reference_sets):
    """Reads the references of a picture from its slice's header; None where they are not known."""
    if reference_sets is None:
        return None
    count = len(reference_sets)
    if not bits.read(1):
        return _read_reference_set(bits, count, reference_sets, is_in_slice=True)
    return reference_sets[bits.read((count - 1).bit_length()) if count > 1 else 0]


def _read_hevc_sequence(bits):
    """Returns (number, _HEVCSequence) of a sequence parameter set (7.3.2.2.1)."""
    bits.read(4)
    top_layer = bits.read(3)
    bits.read(1)
    bits.read(96)
    if top_layer:
        sizes = [bits.read(1) * 88 + bits.read(1) * 8 for _ in range(top_layer)]
        bits.read(2 * (8 - top_layer))
        bits.read(sum(sizes))
    number = bits.exp_golomb()
    has_planes = bits.read(1) if bits.exp_golomb() == 3 else 0
    bits.skip_exp_golomb(2)
    if bits.read(1):
        bits.skip_exp_golomb(4)
    bits.skip_exp_golomb(2)
    order_bits = min(bits.exp_golomb() + 4, 16)
    try:
        reference_sets = _read_reference_sets(bits, top_layer)
    except IndexError:
        reference_sets = None
    return number, _HEVCSequence(has_planes, order_bits, top_layer, reference_sets)


def _read_reference_sets(bits, top_layer):
    of_each = bits.read(1)
    bits.skip_exp_golomb(3 * (top_layer + 1 if of_each else 1) + 6)
    if bits.read(1) and bits.read(1):  # scaling lists, which hardly anybody uses: not read
        return None
    bits.read(2)
    if bits.read(1):
        bits.read(8)
        bits.skip_exp_golomb(2)
        bits.read(1)
    reference_sets: list[References] = []
    for index in range(min(bits.exp_golomb(), 64)):
        reference_sets.append(_read_reference_set(bits, index, reference_sets))
    return reference_sets


def _read_reference_set(bits, index, before, is_in_slice=False) -> References:
    """Reads a set of references (7.3.7 and 7.4.8), those before in display first, nearest first."""
    if index and bits.read(1):  # in the place of another
        base = before[index - 1 - (bits.exp_golomb() if is_in_slice else 0)]
        sign = bits.read(1)
        shift = (bits.exp_golomb() + 1) * (-1 if sign else 1)
        found = []
        for distance, _ in [*base, (0, 0)]:
            is_used = bits.read(1)
            if is_used or bits.read(1):
                found.append((distance + shift, is_used))
        earlier = sorted(((d, used) for d, used in found if d < 0), reverse=True)
        return earlier + sorted((d, used) for d, used in found if d > 0)
    counts = bits.exp_golomb(), bits.exp_golomb()
    references = []
    for count, sign in zip(counts, (-1, 1), strict=True):
        distance = 0
        for step, is_used in bits.exp_golomb_and_flags(min(count, 16)):
            distance += sign * (step + 1)
            references.append((distance, is_used))
    return references
