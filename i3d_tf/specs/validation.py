"""Checks of arguments, with one wording: what must hold, and what was received.

Each check returns the value, and raises ValueError where it is not allowed.
"""

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

_VARIANCES = ("moving_variance", "variance")  # last parts of the paths of variances


def is_integer(value: Any) -> bool:
    """Returns whether a value is an integer, NumPy's included; True and False are none."""
    if type(value) is int:  # fast, as some are checked for each frame
        return True
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Returns whether a value is a finite real number that a float can hold; True is none."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        return False


def is_numeric(array: Any) -> bool:
    """Returns whether an array of NumPy holds booleans, integers or real numbers."""
    return array.dtype.kind in "biuf" or array.dtype.name == "bfloat16"


def weights_problem(path: str, array: Any) -> str | None:
    """Returns why an array of NumPy cannot be weights of a network; None where it can.

    Args:
        path: Its name, which ends like the path of a Keras variable.
        array: The values; none may be NaN or infinite, and no variance below zero.
    """
    if not is_numeric(array):
        return f"{path} has values that are not real numbers"
    if array.size == 0 or array.dtype.kind == "b":
        return None
    lowest, highest = float(array.min()), float(array.max())  # NaN if one of them is
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        return f"{path} has values that are not finite numbers"
    if path.rpartition("/")[2] in _VARIANCES and lowest < 0:
        return f"{path} has variances below zero"
    return None


def check_integer(
    name: str, value: Any, minimum: int | None = None, maximum: int | None = None
) -> Any:
    """Checks that an argument is an integer within limits, both allowed; None is no limit."""
    if not is_integer(value) or not _is_within(value, minimum, maximum):
        limits = _limits(minimum, maximum)
        raise ValueError(f"`{name}` must be an integer{limits}; received {value!r}.")
    return value


def check_number(
    name: str, value: Any, minimum: float | None = None, maximum: float | None = None
) -> Any:
    """Checks that an argument is a finite number within limits, both allowed; None is no limit."""
    if not is_number(value) or not _is_within(value, minimum, maximum):
        limits = _limits(minimum, maximum)
        raise ValueError(f"`{name}` must be a number{limits}; received {value!r}.")
    return value


def check_positive(name: str, value: Any, maximum: float | None = None) -> Any:
    """Checks that an argument is a finite number > 0, and at most `maximum` if there is one."""
    if not is_number(value) or value <= 0 or not _is_within(value, None, maximum):
        limit = "" if maximum is None else f" and <= {maximum}"
        raise ValueError(f"`{name}` must be a number > 0{limit}; received {value!r}.")
    return value


def check_fraction(name: str, value: Any) -> Any:
    """Checks that an argument is a number in [0, 1), such as a dropout rate."""
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"`{name}` must be a number in [0, 1); received {value!r}.")
    return value


def check_choice(name: str, value: Any, choices: Collection[str]) -> Any:
    """Checks that an argument is one of some strings."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"`{name}` must be one of {tuple(choices)}; received {value!r}.")
    return value


def _is_within(value, minimum, maximum):
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)


def _limits(minimum, maximum):
    if minimum is None and maximum is None:
        return ""
    if maximum is None:
        return f" >= {minimum}"
    if minimum is None:
        return f" <= {maximum}"
    return f" within {minimum}..{maximum}"
