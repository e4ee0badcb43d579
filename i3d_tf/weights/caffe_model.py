"""Files of Caffe's networks (`.caffemodel`), read without Caffe and without protobuf.

Such a file is one message of protobuf's wire format, `NetParameter` of Caffe's `caffe.proto`. Of
it, the names of layers and their blobs are read. C3D's program has a `BlobProto` of its own, with
five axes instead of four, whose numbers are in the next field.
"""

import os
from collections.abc import Iterator
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from i3d_tf.system.files import open_regular
from i3d_tf.weights.assign import WeightsError

# Numbers of fields: of a network its layers, of these the name and the blobs; former forms too.
_LAYERS = {100: (1, 7), 2: (4, 6)}
_TOP_FIELDS = range(1, 9)  # the others that a network has: its name, its inputs, its state
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MAX_AXES = 32  # as in Caffe
_MAX_BYTES = 2 << 30  # of a message of protobuf
_MAX_BLOBS, _MAX_BLOB_FIELDS = 1 << 16, 64  # so that no short file takes much memory
_MAX_VARINT_BYTES = 10
# What the first blobs of a layer are; those of a recurrent layer are counted on.
BLOB_NAMES = ("weight", "bias")


class CaffeBlob(NamedTuple):
    """An array of a Caffe file.

    Attributes:
        shape: Its shape. Former files give all arrays four or five axes; of these, the axes that a
            matrix or a bias has too many are left out.
        dtype: "float32" or "float64".
        content: Its numbers, little-endian.
    """

    shape: tuple[int, ...]
    dtype: str
    content: memoryview

    def read(self) -> np.ndarray:
        """Returns the numbers."""
        return np.frombuffer(self.content, np.dtype(self.dtype).newbyteorder("<")).reshape(
            self.shape
        )


def read_caffe_model(source: os.PathLike | str) -> dict[str, CaffeBlob] | None:
    """Reads the blobs of a Caffe file; None for a file of another form.

    Args:
        source: The file.

    Returns:
        `layer.weight` and `layer.bias` to the first two blobs of a layer, `layer.2` and so on to
        further ones.

    Raises:
        WeightsError: A file called `.caffemodel` is damaged.
    """
    source = Path(source)
    with open_regular(source) as file:
        if not _is_possible(file.read(2)) or os.fstat(file.fileno()).st_size > _MAX_BYTES:
            return None
        file.seek(0)
        content = memoryview(file.read())
    try:
        blobs = _blobs_of_network(content)
    except WeightsError as error:
        if source.suffix != ".caffemodel":
            return None
        raise WeightsError(f"{source}: damaged or cut short: {error}") from error
    return blobs or None


def _is_possible(start):
    """Returns whether a file can be a network: it starts with a field that networks have."""
    return start[:1] in (b"\x0a", b"\x12") or start == b"\xa2\x06"


def _blobs_of_network(content):
    blobs: dict[str, CaffeBlob] = {}
    for field, kind, value in _fields(content):
        if field not in _LAYERS:
            if field not in _TOP_FIELDS:
                raise WeightsError(f"field {field} is unknown.")
            continue
        if kind != _BYTES:
            raise WeightsError("a layer is no message.")
        name, arrays = _layer(value, *_LAYERS[field])
        for number, array in enumerate(arrays):
            part = BLOB_NAMES[number] if number < len(BLOB_NAMES) else str(number)
            if f"{name}.{part}" in blobs:
                raise WeightsError(f"the layer {name!r} is there twice.")
            blobs[f"{name}.{part}"] = array
        if len(blobs) > _MAX_BLOBS:
            raise WeightsError("it has too many arrays.")
    return blobs


def _layer(content, name_field, blobs_field):
    """Returns the name of a layer and its blobs."""
    name, blobs = "", []
    for field, kind, value in _fields(content):
        if field == name_field and kind == _BYTES:
            name = bytes(value).decode("utf-8", "replace")
        elif field == blobs_field and kind == _BYTES and len(blobs) < _MAX_BLOBS:
            blobs.append(_blob(value, is_bias=len(blobs) == 1))
    return name, blobs


def _blob(content, is_bias):
    fields = list(islice(_fields(content), _MAX_BLOB_FIELDS + 1))
    if len(fields) > _MAX_BLOB_FIELDS:
        raise WeightsError("an array is in too many pieces.")
    values = {(field, kind): value for field, kind, value in fields}
    # C3D's fifth field is the last of five lengths, Caffe's are the numbers.
    lengths, numbers = (5, 6) if (5, _VARINT) in values else (4, 5)
    dtype = "float32"
    if lengths == 4 and (8, _BYTES) in values:
        numbers, dtype = 8, "float64"
    parts = [value for field, kind, value in fields if (field, kind) == (numbers, _BYTES)]
    data = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
    if lengths == 4 and (7, _BYTES) in values:
        shape = tuple(islice(_dimensions(values[7, _BYTES]), _MAX_AXES + 1))
    else:
        shape = tuple(values.get((axis, _VARINT), 0) for axis in range(1, lengths + 1))
        if all(length == 1 for length in shape[:-2]):
            shape = shape[-1:] if is_bias else shape[-2:]
    if len(shape) > _MAX_AXES or prod(shape) * np.dtype(dtype).itemsize != len(data):
        raise WeightsError(f"an array of shape {shape[:_MAX_AXES]} has {len(data)} bytes.")
    return CaffeBlob(shape, dtype, data)


def _dimensions(content) -> Iterator[int]:
    """Yields the lengths of a `BlobShape`, packed or one by one."""
    for field, kind, value in _fields(content):
        if field == 1 and kind == _VARINT:
            yield value
        elif field == 1 and kind == _BYTES:
            place = 0
            while place < len(value):
                length, place = _varint(value, place)
                yield length


def _fields(content) -> Iterator[tuple[int, int, Any]]:
    """Yields (number, wire type, value) of the fields of a message: bytes, or a number."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, place = _varint(content, place)
            yield field, kind, value
            continue
        if kind == _BYTES:
            size, place = _varint(content, place)
        elif kind in (_FIXED_32, _FIXED_64):
            size = 4 if kind == _FIXED_32 else 8
        else:
            raise WeightsError(f"a field has the unknown type {kind}.")
        if size > len(content) - place:
            raise WeightsError("a field is longer than the file.")
        yield field, kind, content[place : place + size]
        place += size


def _varint(content, place):
    """Returns an integer of seven bits a byte, the lowest first, and the place behind it."""
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if place + index >= len(content):
            raise WeightsError("a number ends with the file.")
        byte = content[place + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, place + index + 1
    raise WeightsError("a number has too many bytes.")
