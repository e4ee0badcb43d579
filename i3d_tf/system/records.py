"""Reading of JSON records, whose values may be of other kinds than the program wrote."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise ValueError(f"{path}: not {title} ({reason}). {remedy}") from error


def read_json_object(path: os.PathLike | str) -> dict[str, Any]:
    """Reads a file that holds a JSON object.

    Raises:
        ValueError: It holds something else, or is too large.
        RecursionError: It is nested too deeply.
        OSError: It is not a file, or cannot be read.
    """
    path = Path(path)
    if not path.is_file():  # a pipe would wait for ever
        raise FileNotFoundError(f"{path}: no such file.")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{size:,} bytes are more than {MAX_BYTES:,}")
    return of_kind(json.loads(path.read_text("utf-8")), "the file", dict)


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
