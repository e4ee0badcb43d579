"""An unpickler that knows a few names, makes only what stands for them, and runs nothing else.

A pickle is a program: it may name any function of any module and call it. Here, a name that is not
expected is an error before it is looked up.
"""

import pickle
import pickletools
from collections.abc import Callable, Mapping
from io import BytesIO
from math import prod
from typing import Any, BinaryIO, Literal

import numpy as np

from i3d_tf.system.errors import short_reason
from i3d_tf.weights.assign import WeightsError

MAX_BYTES = 2 << 30
# Nested tuples are hashed by recursion, without a limit, where they are keys. Weights have a few
# thousand tuples in all.
MAX_TUPLES = 20_000

_TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
_EXTENSIONS = {"EXT1", "EXT2", "EXT4"}  # numbers that stand for names
_MEMO_WRITES = {"PUT", "BINPUT", "LONG_BINPUT"}
_REFERENCES = {"PERSID", "BINPERSID"}
# NumPy's codes of the types of numbers that weights have.
_NUMBERS = {"f2": "float16", "f4": "float32", "f8": "float64", "i4": "int32", "i8": "int64"}


class UnknownNameError(WeightsError):
    """An error of a pickle that names something which is not expected."""


class InertType(type):
    """The type of classes that a pickle may be given: it cannot set attributes of them."""

    def __setattr__(cls, name: str, value: Any):
        raise WeightsError(f"a pickle sets {name!r} of a class.")


class InertValue:
    """A value that a pickle may be given: it cannot set attributes of it."""

    def __setstate__(self, state: Any):
        raise WeightsError("a pickle sets attributes of a value.")


class _InertFunction:
    """A function that a pickle may call, whose attributes it cannot set."""

    __slots__ = ("_function",)

    def __init__(self, function):
        object.__setattr__(self, "_function", function)

    def __setattr__(self, name, value):
        raise WeightsError(f"a pickle sets {name!r} of a function.")

    def __call__(self, *arguments):
        return self._function(*arguments)


class PickledArray(metaclass=InertType):
    """An array of NumPy in a pickle, whose numbers are read when they are wanted.

    Attributes:
        shape: Its shape.
        dtype: Name of the type of its numbers, such as "float32".
    """

    shape: tuple[int, ...] = ()
    dtype: str = ""
    _content: bytes = b""
    _order: Literal["C", "F"] = "C"

    def __setstate__(self, state: Any):
        _, shape, dtype, is_fortran, content = state
        if not (isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)):
            raise WeightsError("an array has no shape.")
        if isinstance(content, str):  # of Python 2, read as Latin-1
            content = content.encode("latin-1")
        if not isinstance(dtype, _PickledDtype) or not isinstance(content, bytes):
            raise WeightsError("an array does not hold numbers.")
        if len(content) != prod(shape) * np.dtype(dtype.name).itemsize:
            raise WeightsError(f"an array of shape {shape} has {len(content)} bytes.")
        self.shape, self.dtype = shape, dtype.name
        self._content, self._order = content, "F" if is_fortran is True else "C"

    def read(self) -> np.ndarray:
        """Returns a copy of the numbers."""
        numbers = np.frombuffer(self._content, np.dtype(self.dtype).newbyteorder("<"))
        return numbers.reshape(self.shape, order=self._order).astype(self.dtype)


class _PickledDtype(metaclass=InertType):
    """A type of numbers in a pickle, little-endian."""

    name: str

    def __new__(cls, code="", *flags):
        dtype = super().__new__(cls)
        if code not in _NUMBERS:
            raise WeightsError(f"an array of the type {str(code)[:20]!r}, not of numbers.")
        dtype.name = _NUMBERS[code]
        return dtype

    def __setstate__(self, state):
        if state[1] != "<":
            raise WeightsError("an array whose numbers are not little-endian.")


def _start_array(kind, shape, code):
    """Returns an array whose content comes next, as NumPy's `_reconstruct` does."""
    if kind is not PickledArray:
        raise WeightsError("an array of an unknown class.")
    return PickledArray()


# What a pickle of arrays names; NumPy 2 calls the module of the first `numpy._core`.
NUMPY_GLOBALS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _start_array,
    ("numpy._core.multiarray", "_reconstruct"): _start_array,
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): _PickledDtype,
}


def load_pickle(
    data: bytes | BinaryIO,
    allowed: Mapping[tuple[str, str], Any],
    persistent_load: Callable[[Any], Any] | None = None,
    max_bytes: int = MAX_BYTES,
    encoding: str = "ASCII",
) -> Any:
    """Reads one pickle of a source that is not trusted.

    Args:
        data: The pickle, or a seekable stream that stands at its start and then after its end.
        allowed: (module, name) of everything that the pickle may name, to the class, function or
            value that it gets instead. A class should have the type `InertType`.
        persistent_load: Called with every reference to something outside of the pickle; returns
            what stands there. Without it, a reference is an error.
        max_bytes: Largest size of the pickle.
        encoding: Of texts that Python 2 wrote; "latin1" for its arrays.

    Raises:
        UnknownNameError: The pickle names something else.
        WeightsError: The pickle is damaged.
    """
    stream = BytesIO(data) if isinstance(data, bytes) else data
    start = stream.tell()
    try:
        _check_instructions(stream, max_bytes, persistent_load is not None)
        end = stream.tell()
        stream.seek(start)
        value = _Unpickler(stream, allowed, persistent_load, encoding).load()
        stream.seek(end)
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle fails anywhere, in any way
        raise WeightsError(f"a damaged pickle ({short_reason(error)}).") from error
    return value


def _check_instructions(stream, max_bytes, has_references):
    """Reads a pickle without doing what it says, and refuses what would take memory or stack."""
    start, tuples = stream.tell(), 0
    for count, (instruction, argument, position) in enumerate(pickletools.genops(stream)):
        name = instruction.name
        tuples += name in _TUPLES
        if name in _EXTENSIONS:
            raise WeightsError("a pickle that uses extension codes, which weights never do.")
        if name in _REFERENCES and not has_references:
            raise WeightsError("a pickle that refers to something outside of it.")
        if name in _MEMO_WRITES and argument > count:
            raise WeightsError("a damaged pickle (an index is too large).")
        if tuples > MAX_TUPLES or position - start > max_bytes:
            raise WeightsError("a pickle that is too large for weights.")


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream, allowed, persistent_load, encoding):
        super().__init__(stream, encoding=encoding)
        self._allowed = allowed
        self._persistent_load = persistent_load

    def find_class(self, module: str, name: str) -> Any:
        try:
            value = self._allowed[module, name]
        except KeyError:
            raise UnknownNameError(
                f"a pickle that names {module}.{name}, which weights never do. Nothing was run."
            ) from None
        is_function = callable(value) and not isinstance(value, type)
        return _InertFunction(value) if is_function else value

    def persistent_load(self, reference: Any) -> Any:
        return self._persistent_load(reference)
