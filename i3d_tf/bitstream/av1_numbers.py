"""Numbers of the pictures of AV1, see `i3d_tf.bitstream.picture_numbers`.

Sections are those of the AV1 Bitstream & Decoding Process Specification.
"""

from collections.abc import Iterator
from typing import NamedTuple

from i3d_tf.bitstream.bits import Bits
from i3d_tf.bitstream.picture_numbers import HEADER_BYTES, Picture

SEQUENCE_HEADER, FRAME_HEADERS = 1, (3, 6)  # types of units (6.2.2)
KEY_FRAME, INTRA_ONLY_FRAME, SWITCH_FRAME = 0, 2, 3
SELECTED = 2  # each frame says it
HEADER_SIZE = 4  # of an av1C box, before its units
NUM_SLOTS = 8


class _Sequence(NamedTuple):
    """Values of a sequence header (5.5)."""

    order_bits: int
    id_bits: int
    time_bits: int  # of a frame's own time; 0 where frames have none
    has_decoder_model: bool
    screen_tools: int
    integer_motion: int


class AV1Numbers:
    """Numbers of AV1 in the order of display (5.9.2, order_hint).

    A packet has one picture that is shown, which may be one that was decoded before: never one from
    before the last, unless the one that was meant is missing.
    """

    def __init__(self, header: bytes):
        """Reads an av1C box.

        Args:
            header: The codec's header, of the container; or empty.
        """
        self._sequence: _Sequence | None = None
        self._unit = b""  # of the sequence header
        self._slots: list[int | None] = [None] * NUM_SLOTS
        self._latest: int | None = None  # number of the last picture that was shown
        for kind, _, unit in _iter_units(header[HEADER_SIZE:]):
            self._read_unit(kind, unit)

    def read(self, packet: bytes) -> Picture | None:
        """Reads a packet, see `PictureNumbers`."""
        shown, has_layers, is_key, is_decoded = None, False, False, True
        for kind, is_of_layer, unit in _iter_units(packet):
            has_layers |= is_of_layer
            found = self._read_unit(kind, unit)
            if found is not None:
                shown, is_key, is_decoded = found
        before, self._latest = self._latest, shown
        if shown is None or self._sequence is None:
            return None
        modulus = 1 << self._sequence.order_bits
        is_stale = not (is_decoded or has_layers or before is None)
        is_stale = is_stale and (shown - before) % modulus > modulus // 2
        return Picture(shown, modulus, is_key, not has_layers, is_stale)

    def _read_unit(self, kind, unit):
        """Reads a header; returns (number, is it a key, is it new) of a frame that is shown."""
        try:
            if kind == SEQUENCE_HEADER and unit != self._unit:
                self._unit, self._sequence = unit, _read_sequence(Bits(unit, has_stuffing=False))
            elif kind in FRAME_HEADERS and self._sequence is not None:
                return self._read_frame(Bits(unit[:16], has_stuffing=False), self._sequence)
        except IndexError:  # it is cut
            self._slots = [None] * NUM_SLOTS
        return None

    def _read_frame(self, bits, sequence):
        if bits.read(1):
            number = self._slots[bits.read(3)]
            return None if number is None else (number, False, False)
        kind, is_shown = bits.read(2), bits.read(1)
        if is_shown:
            bits.read(sequence.time_bits)
        else:
            bits.read(1)
        is_shown_key = kind == KEY_FRAME and is_shown
        is_resilient = kind == SWITCH_FRAME or is_shown_key or bits.read(1)
        bits.read(1)
        screen_tools = sequence.screen_tools
        if screen_tools == SELECTED:
            screen_tools = bits.read(1)
        if screen_tools and sequence.integer_motion == SELECTED:
            bits.read(1)
        bits.read(sequence.id_bits)
        if kind != SWITCH_FRAME:
            bits.read(1)
        number = bits.read(sequence.order_bits)
        if kind not in (KEY_FRAME, INTRA_ONLY_FRAME) and not is_resilient:
            bits.read(3)
        if sequence.has_decoder_model and bits.read(1):  # times, of a size that is not read
            replaced = 0
            self._slots = [None] * NUM_SLOTS
        elif kind == SWITCH_FRAME or is_shown_key:
            replaced = 0xFF
        else:
            replaced = bits.read(NUM_SLOTS)
        self._slots = [
            number if replaced >> slot & 1 else old for slot, old in enumerate(self._slots)
        ]
        return (number, is_shown_key, True) if is_shown else None


def _iter_units(content) -> Iterator[tuple[int, bool, bytes]]:
    """Yields (type, whether it is of a layer, start of the content) of units (5.3)."""
    at = 0
    while at < len(content):
        first = content[at]
        has_layer, has_size = bool(first & 4), first & 2
        at += 2 if has_layer else 1
        size, end = len(content) - at, len(content)
        if has_size:
            size, shift = 0, 0
            while at < end:
                size |= (content[at] & 0x7F) << shift
                shift, at = shift + 7, at + 1
                if content[at - 1] < 0x80:
                    break
        yield first >> 3 & 0xF, has_layer, content[at : at + min(size, HEADER_BYTES)]
        at += size


def _read_sequence(bits):
    """Returns the values of a sequence header; None for a still picture, or without numbers."""
    bits.read(3)
    bits.read(1)
    if bits.read(1):
        return None
    has_decoder_model, has_equal_times, delay_bits, time_bits = False, True, 0, 0
    if bits.read(1):
        bits.read(64)
        has_equal_times = bool(bits.read(1))
        if has_equal_times:
            zeros = 0
            while not bits.read(1):
                zeros += 1
            bits.read(zeros)
        if bits.read(1):
            has_decoder_model = True
            delay_bits = bits.read(5) + 1
            bits.read(37)
            time_bits = bits.read(5) + 1
    has_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if has_decoder_model and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_delay and bits.read(1):
            bits.read(4)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    bits.read(width_bits + height_bits)
    id_bits = 0
    if bits.read(1):
        id_bits = bits.read(4) + 2
        id_bits += bits.read(3) + 1
    bits.read(7)
    if not bits.read(1):
        return None
    bits.read(2)
    screen_tools = SELECTED if bits.read(1) else bits.read(1)
    integer_motion = SELECTED
    if screen_tools and not bits.read(1):
        integer_motion = bits.read(1)
    order_bits = bits.read(3) + 1
    own_time_bits = 0 if has_equal_times else time_bits
    return _Sequence(
        order_bits, id_bits, own_time_bits, has_decoder_model, screen_tools, integer_motion
    )
