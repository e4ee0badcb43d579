"""Rounding of the pictures of MPEG-4 part 2, which shows where one is missing.

Pictures of MPEG-4 have no numbers but times. Its encoders round up and down by turns, from one
P-picture to the next, so that errors do not add up (ISO/IEC 14496-2, vop_rounding_type): where two
that follow each other are rounded in the same way, one between them is missing, or three.
"""

import re

from i3d_tf.bitstream.bits import Bits
from i3d_tf.bitstream.picture_numbers import Picture

PICTURE = b"\0\0\1\xb6"
LAYER = re.compile(rb"\x00\x00\x01[\x20-\x2f]")
I_PICTURE, P_PICTURE, SPRITE = 0, 1, 3
EXTENDED_ASPECT = 15
HEADER_BYTES = 64  # of a layer's header
PICTURE_BYTES = 12
# P-pictures by turns that must precede one out of turn.
REGULAR_PICTURES = 8


class MPEG4Numbers:
    """Rounding of pictures in turn."""

    def __init__(self, header: bytes):
        """Starts anywhere.

        Args:
            header: See `picture_numbers`.
        """
        self._time_bits = 0  # of a picture's time; 0 where they are not known
        self._latest: int | None = None  # rounding of the last P-picture since a key frame
        self._num_turns = 0
        self._read_layer(header)

    def read(self, packet: bytes) -> Picture | None:
        """Reads a packet, see `PictureNumbers`; AVI may have several pictures in one."""
        self._read_layer(packet)
        at, is_missing, starts_anew = packet.find(PICTURE), False, False
        while at >= 0:
            kind = packet[at + 4] >> 6 if at + 4 < len(packet) else None
            if kind == I_PICTURE:
                self._latest, starts_anew = None, True
            elif kind in (P_PICTURE, SPRITE) and self._time_bits:
                is_missing |= self._is_out_of_turn(packet[at + 4 : at + 4 + PICTURE_BYTES])
            at = packet.find(PICTURE, at + 4)
        return Picture(None, 1, starts_anew, False, is_missing)

    def _is_out_of_turn(self, content):
        """Returns whether a P-picture is, by the start of its content, and notes its rounding."""
        bits = Bits(content, has_stuffing=False)
        try:
            bits.read(2)
            while bits.read(1):  # whole seconds
                pass
            bits.read(1 + self._time_bits + 1)
            if not bits.read(1):  # nothing has changed, and nothing is rounded
                return False
            rounding = bits.read(1)
        except IndexError:  # it is cut
            self._latest, self._num_turns = None, 0
            return False
        before, self._latest = self._latest, rounding
        if before is None:
            return False
        if rounding != before:
            self._num_turns += 1
            return False
        if self._num_turns >= REGULAR_PICTURES:
            return True
        self._num_turns = 0
        return False

    def _read_layer(self, content):
        """Reads the size of the pictures' times from a layer's header, where there is one."""
        found = LAYER.search(content, 0, 4096)
        if found is None:
            return
        bits = Bits(content[found.end() : found.end() + HEADER_BYTES], has_stuffing=False)
        try:
            self._time_bits = _time_bits(bits)
        except IndexError:
            self._time_bits = 0


def _time_bits(bits):
    """Returns the size of a picture's time within a second; 0 for pictures that have shapes."""
    bits.read(9)
    if bits.read(1):
        bits.read(7)
    if bits.read(4) == EXTENDED_ASPECT:
        bits.read(16)
    if bits.read(1):
        bits.read(3)
        if bits.read(1):
            bits.read(79)
    if bits.read(2):
        return 0
    bits.read(1)
    ticks = bits.read(16)
    return max(1, (ticks - 1).bit_length())
