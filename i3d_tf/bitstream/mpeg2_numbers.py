"""Numbers of the pictures of MPEG-1 and 2, see `i3d_tf.bitstream.picture_numbers`."""

import re

from i3d_tf.bitstream.picture_numbers import Picture

MPEG2_PICTURE = b"\0\0\1\0"
MPEG2_GROUP = b"\0\0\1\xb8"
MPEG2_EXTENSION = re.compile(rb"\x00\x00\x01\xb5[\x10-\x1f]....(.)", re.DOTALL)  # of a sequence
MPEG2_B_PICTURE = 3
MPEG2_MODULUS = 1024
# Pictures that must have the numbers that they should before one that has not is damage.
MPEG2_SOUND_PICTURES = 8


class MPEG2Numbers:
    """Numbers of MPEG-1 and MPEG-2 (Rec. ITU-T H.262, 6.3.9): in display, from a group's start.

    Where a video was cut, those may be left out that are shown around the start of a group.
    """

    def __init__(self, header: bytes):
        """Starts anywhere.

        Args:
            header: See `picture_numbers`.
        """
        self._has_no_delay = self._has_b_pictures = False
        self._expected: int | None = None  # number of the next picture in display
        self._anchor: int | None = None  # number of the last I- or P-picture
        self._latest: int | None = None
        self._num_sound = 0
        self._read_extension(header)

    def read(self, packet: bytes) -> Picture | None:
        """Reads a packet, see `PictureNumbers`."""
        at = packet.find(MPEG2_PICTURE)
        if at < 0 or at + 6 > len(packet):
            return None
        starts_group = packet.find(MPEG2_GROUP, 0, at) >= 0
        if at:
            self._read_extension(packet[:at])
        number = packet[at + 4] << 2 | packet[at + 5] >> 6
        if number == self._latest and not starts_group:  # the second field of a frame
            return None
        self._latest = number
        is_b_picture = packet[at + 5] >> 3 & 7 == MPEG2_B_PICTURE
        is_gap = self._is_gap(number, is_b_picture, starts_group)
        is_missing = is_gap and self._num_sound >= MPEG2_SOUND_PICTURES
        if not is_missing:
            self._num_sound = 0 if is_gap else self._num_sound + 1
        return Picture(None, MPEG2_MODULUS, starts_group, is_b_picture, is_missing)

    def _read_extension(self, content):
        if found := MPEG2_EXTENSION.search(content):
            self._has_no_delay = bool(found[1][0] & 0x80)

    def _is_gap(self, number, is_b_picture, starts_group):
        """Returns whether a picture is missing before one, which is noted."""
        expected, anchor = self._expected, self._anchor
        if is_b_picture:
            self._has_b_pictures = True
            if expected is None:
                self._expected = (number + 1) % MPEG2_MODULUS
                return False
            self._expected = (number + 1) % MPEG2_MODULUS
            return number != expected
        # All that is shown before the last I- or P-picture should have come.
        is_gap = None not in (expected, anchor) and expected != anchor
        if starts_group:
            self._expected, self._anchor = None, number
            return is_gap and not self._has_b_pictures  # these may have been cut there
        if anchor is not None:
            self._expected = (anchor + 1) % MPEG2_MODULUS
            if self._has_no_delay:
                is_gap |= number != self._expected
                self._expected = number
        self._anchor = number
        return is_gap
