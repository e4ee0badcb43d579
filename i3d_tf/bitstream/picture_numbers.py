"""Numbers of the pictures in a stream, which show where one is missing.

Only the first bytes of a picture are looked at: parameter sets, and the header of its first slice.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

START_CODE = b"\0\0\1"
SLICE_BYTES, HEADER_BYTES = 32, 1024  # of a unit, in which all lies that is read
MAX_KNOWN = 2**12  # headers


class Picture(NamedTuple):
    """Relation of a compressed picture to those around it.

    Attributes:
        number: Its place in the order of display, modulo `modulus`; None where it does not say.
        modulus: See `number`.
        starts_anew: Whether numbers start anew with it.
        is_disposable: Whether no other picture, or none of a lower layer, is made from it.
        misses_reference: Whether a picture that it is made from, or one before it, is missing.
    """

    number: int | None
    modulus: int
    starts_anew: bool
    is_disposable: bool
    misses_reference: bool


class PictureNumbers(Protocol):
    """Reader of the numbers of a stream, packet by packet, in the order of decoding."""

    def read(self, packet: bytes) -> Picture | None:
        """Returns the picture of a packet; None where there is nothing to know."""


class KnownHeaders:
    """Headers of slices that were read before, by their bytes: several times as fast."""

    def __init__(self):
        """Starts without any."""
        self._known: dict[bytes, Any] = {}
        self._sizes: list[int] = []

    def find(self, unit: bytes) -> Any:
        """Returns the values of a unit that starts with a known header, or None.

        Args:
            unit: The unit, or its first bytes.
        """
        for size in self._sizes:
            if (found := self._known.get(unit[:size])) is not None:
                return found
        return None

    def add(self, unit: bytes, num_bits: int, values: Any) -> None:
        """Adds a header.

        Args:
            unit: The unit, or its first bytes.
            num_bits: Size of the header, of which all values follow.
            values: Its values.
        """
        size = (num_bits + 7) // 8
        if b"\0\0" in unit[:size]:  # a byte may have been put in
            return
        if len(self._known) == MAX_KNOWN:
            self.clear()
        self._known[unit[:size]] = values
        if size not in self._sizes:
            self._sizes.append(size)

    def clear(self) -> None:
        """Forgets all headers, for a parameter set that may give them other values."""
        self._known.clear()
        self._sizes.clear()


def iter_units(content: bytes, size_size: int) -> Iterator[bytes]:
    """Yields the starts of units.

    Args:
        content: A packet.
        size_size: Bytes of the size that precedes a unit; 0 where start codes part them.
    """
    if size_size == 0:
        at = content.find(START_CODE)
        while at >= 0:
            yield content[at + 3 : at + 3 + HEADER_BYTES]
            at = content.find(START_CODE, at + 3)
        return
    at = 0
    while at + size_size < len(content):
        size = int.from_bytes(content[at : at + size_size], "big")
        at += size_size
        yield content[at : at + min(size, HEADER_BYTES)]
        at += size


def header_units(header: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    """Returns the starts of units in a codec's header, and where the last one ends.

    Args:
        header: The header.
        at: Where the first starts; each has two bytes of size before it.
        count: Units.
    """
    units = []
    for _ in range(count):
        size = int.from_bytes(header[at : at + 2], "big")
        units.append(header[at + 2 : at + 2 + min(size, HEADER_BYTES)])
        at += 2 + size
    return units, at
