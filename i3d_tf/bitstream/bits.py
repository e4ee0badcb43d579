"""Bits of the headers of H.264, HEVC and AV1."""


class Bits:
    """The bits of a unit, without the bytes that keep start codes out of H.264 and HEVC."""

    def __init__(self, content: bytes, has_stuffing: bool = True):
        """Starts at the first bit.

        Args:
            content: The unit, or its first bytes.
            has_stuffing: Whether there may be such bytes.
        """
        if has_stuffing and b"\0\0\3" in content:
            content = content.replace(b"\0\0\3", b"\0\0")
        self._value, self._left = int.from_bytes(content, "big"), 8 * len(content)
        self._size = self._left

    @property
    def num_read(self) -> int:
        """Returns the number of bits that were read."""
        return self._size - self._left

    def read(self, count: int) -> int:
        """Returns a number of so many bits.

        Raises:
            IndexError: There are fewer.
        """
        self._left = left = self._left - count
        if left < 0:
            raise IndexError
        found = self._value >> left
        self._value ^= found << left
        return found

    def exp_golomb(self) -> int:
        """Returns a number in the code of Rec. ITU-T H.264, 9.1; of signed ones, its code number.

        Raises:
            IndexError: It is cut.
        """
        value = self._value
        size = self._left - value.bit_length() + 1  # zeros, and the one behind them
        self._left = left = self._left - 2 * size + 1
        if left < 0:
            raise IndexError
        found = value >> left
        self._value = value ^ (found << left)
        return found - 1

    def exp_golomb_and_flags(self, count: int) -> list[tuple[int, int]]:
        """Returns so many pairs of a number, see `exp_golomb`, and one bit, in half the time.

        Raises:
            IndexError: They are cut.
        """
        value, left, pairs = self._value, self._left, []
        for _ in range(count):
            end = 2 * value.bit_length() - left - 2  # of the number and the bit
            if end < 0:
                raise IndexError
            found = value >> end
            value, left = value ^ (found << end), end
            pairs.append(((found >> 1) - 1, found & 1))
        self._value, self._left = value, left
        return pairs

    def skip_exp_golomb(self, count: int) -> None:
        """Passes over numbers, see `exp_golomb`."""
        for _ in range(count):
            self.exp_golomb()
