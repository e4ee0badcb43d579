"""Pictures that are missing from a file, by their numbers and their times.

A stream says of many pictures from which others they are made. Of the others it can be told where
numbers and times agree: both leave out as much. A gap in the times alone is a variable frame rate,
and one in the numbers alone an encoder's own way to count.
"""

import heapq
from collections.abc import Callable
from fractions import Fraction

from i3d_tf.bitstream.av1_numbers import AV1Numbers
from i3d_tf.bitstream.h264_numbers import H264Numbers
from i3d_tf.bitstream.hevc_numbers import HEVCNumbers
from i3d_tf.bitstream.mpeg2_numbers import MPEG2Numbers
from i3d_tf.bitstream.mpeg4_numbers import MPEG4Numbers
from i3d_tf.bitstream.picture_numbers import Picture, PictureNumbers

# Pictures at equal steps of number and time that must precede a gap of several such steps.
REGULAR_PICTURES = 8
# Formats that have no times of display, or such that FFmpeg makes up.
TIMELESS_FORMATS = ("avi", "asf", "h264", "hevc", "mpeg")


def order_check(format_name: str, name: str, header: bytes) -> "OrderCheck | None":
    """Returns the check of a stream's order, or None where its pictures have no numbers.

    Args:
        format_name: FFmpeg's name of the format.
        name: FFmpeg's name of the decoder.
        header: The codec's header, of the container; or empty.
    """
    readers: dict[str, Callable[[bytes], PictureNumbers]] = {
        "av1": AV1Numbers,
        "libdav1d": AV1Numbers,
        "libaom-av1": AV1Numbers,
        "h264": H264Numbers,
        "hevc": HEVCNumbers,
        "mpeg1video": MPEG2Numbers,
        "mpeg2video": MPEG2Numbers,
        "mpeg4": MPEG4Numbers,
    }
    return OrderCheck(readers[name](header), format_name) if name in readers else None


class OrderCheck:
    """Check of packets, in the order in which they are stored."""

    def __init__(self, numbers: PictureNumbers, format_name: str):
        """Starts anywhere in a file.

        Args:
            numbers: Reader of the numbers.
            format_name: FFmpeg's name of the format.
        """
        self._numbers = numbers
        self._display: _DisplayOrder | None = _DisplayOrder()
        if format_name in TIMELESS_FORMATS:
            self._display = None
        # FFmpeg guesses the times of decoding of Matroska from how many pictures are held back.
        self._guesses_delay = format_name.startswith("matroska")

    def misses_picture(self, packet: bytes, pts: int | None, dts: int | None) -> bool:
        """Returns whether a picture before a packet is missing.

        Args:
            packet: The packet.
            pts: Its time of display, in any unit.
            dts: Its time of decoding, in the same.
        """
        picture = self._numbers.read(packet)
        display = self._display
        if picture is None:
            if display is not None and pts is not None:
                display.pass_over(pts)
            return False
        if display is None or picture.number is None or pts is None:
            return picture.misses_reference
        numbers = self._numbers
        if self._guesses_delay and isinstance(numbers, H264Numbers) and not numbers.says_delay:
            return picture.misses_reference
        is_missing = display.misses_picture(picture, picture.number, pts, dts)
        return is_missing or picture.misses_reference


class _DisplayOrder:
    """Gaps in the order of display, in numbers and times alike."""

    def __init__(self):
        self._waiting: list[tuple[int, int]] = []  # (time, number); more may come before them
        self._last: tuple[int, int] | None = None
        self._blind_until: int | None = None
        self._last_dts: int | None = None
        self._has_seen_disposable = False
        # The step that is usual: in numbers, and the number of such steps and how long they took.
        self._step = self._num_steps = self._ticks = 0

    def pass_over(self, pts: int) -> None:
        """Adds a picture whose number is not known; no gap is seen before or behind it."""
        self._blind_until = max([pts, *(time for time, _ in self._waiting)])

    def misses_picture(self, picture: Picture, number: int, pts: int, dts: int | None) -> bool:
        """Adds a picture; returns whether one is missing among those that are complete now."""
        self._has_seen_disposable |= picture.is_disposable
        before, self._last_dts = self._last_dts, dts
        if picture.starts_anew or (dts is not None and before is not None and dts <= before):
            self._waiting, self._last, self._blind_until = [], None, None
        heapq.heappush(self._waiting, (pts, number))
        if dts is None:  # of the first packets of some formats
            return False
        is_missing = False
        # What comes later is decoded later, and shown no earlier than it is decoded.
        while self._waiting and self._waiting[0][0] <= dts:
            shown = heapq.heappop(self._waiting)
            if self._last is not None:
                is_missing |= self._is_gap(*self._last, *shown, picture.modulus)
            is_blind = self._blind_until is not None and shown[0] <= self._blind_until
            self._last = None if is_blind else shown
        return is_missing

    def _is_gap(self, before, number_before, after, number_after, modulus):
        ticks, step = after - before, (number_after - number_before) % modulus
        if self._num_steps and step == self._step and self._is_near(ticks, 1):
            self._num_steps, self._ticks = self._num_steps + 1, self._ticks + ticks
            return False
        if self._num_steps >= REGULAR_PICTURES and step != self._step:
            count = round(Fraction(ticks * self._num_steps, self._ticks))
            if count > 1 and (count * self._step - step) % modulus == 0:
                return self._has_seen_disposable and self._is_near(ticks, count)
        if ticks > 0:
            self._step, self._num_steps, self._ticks = step, 1, ticks
        else:
            self._num_steps = 0
        return False

    def _is_near(self, ticks, count):
        """Returns whether a time is that of so many steps, as rounded as containers round."""
        usual = self._ticks / self._num_steps
        return abs(ticks - count * usual) <= max(1, usual / 8)
