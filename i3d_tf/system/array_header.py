"""Headers of NumPy's array files, read without parsing Python, in any thread.

NumPy's own functions parse a header as Python. In Python 3.11 two threads that parse at once can
fail ("AST constructor recursion depth mismatch"), and the main thread does while it traces.
"""

import io
import re
import struct
from typing import IO

import numpy as np

# By version: how the length of the header is written, and NumPy's function for unusual ones.
_VERSIONS = {
    (1, 0): ("<H", np.lib.format.read_array_header_1_0),
    (2, 0): ("<I", np.lib.format.read_array_header_2_0),
}
_MAX_LENGTH = 10_000  # NumPy's limit
_USUAL = re.compile(
    rb"\{'descr': '([<>|=]?[a-zA-Z]\d*)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d+, )*\d+,?|)\),? ?\} *\n"
)


def read_array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Reads what comes before the values of an array.

    Args:
        stream: Open file, at the start of the array.

    Returns:
        Shape, whether it is stored column by column, and the dtype.

    Raises:
        Exception: The header is damaged; it fails anywhere, in any way.
    """
    length_format, read_unusual = _VERSIONS[np.lib.format.read_magic(stream)]
    length = stream.read(struct.calcsize(length_format))
    (size,) = struct.unpack(length_format, length)
    if size > _MAX_LENGTH:
        raise ValueError(f"Headers must have at most {_MAX_LENGTH} bytes; this one has {size}.")
    header = stream.read(size)
    usual = _USUAL.fullmatch(header)
    if usual is None:
        return read_unusual(io.BytesIO(length + header))
    dtype, by_column, shape = usual.groups()
    sides = tuple(int(side) for side in shape.split(b",") if side.strip())
    return sides, by_column == b"True", np.dtype(dtype.decode())
