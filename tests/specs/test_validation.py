from fractions import Fraction

import numpy as np
import pytest

from i3d_tf.specs.validation import (
    check_choice,
    check_fraction,
    check_integer,
    check_number,
    check_positive,
    is_number,
)


@pytest.mark.parametrize("value", [1, 4, np.int64(3)])
def test_check_integer_returns_integers_within_limits(value):
    assert check_integer("steps", value, 1, 4) is value


@pytest.mark.parametrize("value", [0, 5, True, 1.0, "1", None, np.float32(2), np.arange(2)])
def test_check_integer_refuses_others_with_their_value(value):
    with pytest.raises(ValueError, match=r"`steps` must be an integer within 1\.\.4; received"):
        check_integer("steps", value, 1, 4)


@pytest.mark.parametrize(
    ("limits", "words"),
    [({}, ";"), ({"minimum": 2}, " >= 2;"), ({"maximum": 3}, " <= 3;")],
)
def test_check_integer_names_the_limits(limits, words):
    with pytest.raises(ValueError, match=f"must be an integer{words} received 'x'"):
        check_integer("steps", "x", **limits)


@pytest.mark.parametrize("value", [0, 0.5, 1.0, Fraction(1, 3), np.float32(0.25)])
def test_check_number_returns_numbers_within_limits(value):
    assert check_number("rate", value, 0, 1) is value


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), "0.5", True, None])
def test_check_number_refuses_others(value):
    with pytest.raises(ValueError, match=r"`rate` must be a number within 0\.\.1; received"):
        check_number("rate", value, 0, 1)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "1", True])
def test_check_positive_refuses_zero_and_less(value):
    assert check_positive("rate", 0.5) == 0.5
    with pytest.raises(ValueError, match="`rate` must be a number > 0; received"):
        check_positive("rate", value)


@pytest.mark.parametrize("value", ["", "Rgb", "rg", 1, None, ["rgb"]])
def test_check_choice_names_the_choices(value):
    assert check_choice("stream", "rgb", ("rgb", "flow")) == "rgb"
    with pytest.raises(ValueError, match=r"`stream` must be one of \('rgb', 'flow'\); received"):
        check_choice("stream", value, ("rgb", "flow"))


def test_check_positive_names_the_maximum():
    assert check_positive("rate", 25, 25) == 25
    with pytest.raises(ValueError, match="`rate` must be a number > 0 and <= 25; received 26"):
        check_positive("rate", 26, 25)


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.25)])
def test_check_fraction_returns_numbers_below_one(value):
    assert check_fraction("rate", value) is value


@pytest.mark.parametrize("value", [-0.1, 1, 1.0, float("nan"), "0.5", True, None])
def test_check_fraction_refuses_others(value):
    with pytest.raises(ValueError, match=r"`rate` must be a number in \[0, 1\); received"):
        check_fraction("rate", value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, True), (2.5, True), (True, False), (float("inf"), False), (10**400, False), ("1", False)],
)
def test_is_number_takes_what_a_float_can_hold(value, expected):
    assert is_number(value) is expected
