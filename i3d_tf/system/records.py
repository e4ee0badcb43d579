"""Reading of JSON records, whose values may be of other kinds than the program wrote."""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

from i3d_tf.system.errors import short_reason
from i3d_tf.system.files import open_regular

MAX_BYTES = 2**30  # of a file; the report of a million videos has about half of it


@contextlib.contextmanager
def record_errors(path: os.PathLike | str, title: str, remedy: str) -> Iterator[None]:
    """Turns every error that values of unexpected kinds cause in the block into one line.

    Args:
        path: The file, which the message begins with.
        title: What the file should be, such as "the settings of a training run".
        remedy: A sentence that says what to do.

    Raises:
        ValueError: The block failed because of a value.
    """
    try:
        yield
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise ValueError(f"{path}: not {title} ({short_reason(error)}). {remedy}") from error


def read_json_object(path: os.PathLike | str) -> dict[str, Any]:
    """Reads a file that holds a JSON object.

    Raises:
        ValueError: It holds something else, or is too large.
        RecursionError: It is nested too deeply.
        OSError: It is not a regular file, or cannot be read.
    """
    return of_kind(json.loads(read_text(path)), "the file", dict)


def read_text(path: os.PathLike | str, max_bytes: int = MAX_BYTES) -> str:
    """Reads a text file, UTF-8, whole.

    Raises:
        ValueError: It is not text, or is larger than `max_bytes`.
        OSError: It is not a regular file, or cannot be read.
    """
    with open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > max_bytes:
            raise ValueError(f"{size:,} bytes are more than {max_bytes:,}")
        return file.read(max_bytes).decode("utf-8")


def get_value(record: Any, key: str, kinds: type | tuple[type, ...]) -> Any:
    """Returns a value of a JSON object, if it is of one of some kinds.

    Raises:
        ValueError: The record is no object, or the value is missing or of another kind.
    """
    if not isinstance(record, dict) or key not in record:
        raise ValueError(f"{key!r} is missing")
    return of_kind(record[key], key, kinds)


def get_list(
    record: Any, key: str, kinds: type | tuple[type, ...], length: int | None = None
) -> tuple[Any, ...]:
    """Returns a list of a JSON object, if all its values are of some kinds.

    Raises:
        ValueError: See `get_value`; or the list is of another length, if one is given.
    """
    values = get_value(record, key, list)
    if length is not None and len(values) != length:
        raise ValueError(f"{key!r} has {len(values)} values, not {length}")
    return tuple(of_kind(value, key, kinds) for value in values)


def of_kind(value: Any, name: str, kinds: type | tuple[type, ...]) -> Any:
    """Returns a value, if it is of one of some kinds; True and False are never numbers.

    Raises:
        ValueError: It is of another kind.
    """
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise ValueError(f"{name!r} has a value of another kind, {value!r:.40}")
    return value
