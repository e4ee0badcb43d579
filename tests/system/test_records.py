import os

import pytest

from i3d_tf.system.records import (
    get_list,
    get_value,
    of_kind,
    read_json_object,
    read_text,
    record_errors,
)

NOT_OBJECTS = ["", "{", "[]", "5", "null", '"text"', "[" * 100_000, "\udcff"]


@pytest.mark.parametrize("text", NOT_OBJECTS, ids=lambda text: text[:9])
def test_other_files_than_json_objects_are_one_line(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with (
        pytest.raises(ValueError, match=r"a\.json: not a list \(.+\)\. Delete it\.$") as error,
        record_errors(path, "a list", "Delete it."),
    ):
        read_json_object(path)
    assert "\n" not in str(error.value)


def test_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(OSError, match=r"a\.json: it is not a regular file"):
        read_json_object(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError, match=r"missing\.json: no such file"):
        read_json_object(tmp_path / "missing.json")


def test_read_text_refuses_large_files(tmp_path):
    (tmp_path / "a.json").write_text("four")
    assert read_text(tmp_path / "a.json", 4) == "four"
    with pytest.raises(ValueError, match="4 bytes are more than 3"):
        read_text(tmp_path / "a.json", 3)


def test_get_value_checks_the_kind():
    assert get_value({"a": 5}, "a", int) == 5
    assert get_list({"a": [5, 6]}, "a", int) == (5, 6)
    for record, message in (
        ({"a": "5"}, "'a' has a value of another kind, '5'"),
        ({"a": True}, "'a' has a value of another kind, True"),
        ({}, "'a' is missing"),
        ([], "'a' is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            get_value(record, "a", int)


@pytest.mark.parametrize("value", [5, "ab", {"a": 1}, [1, "b"], [[]]])
def test_get_list_checks_every_value(value):
    with pytest.raises(ValueError, match="'a' has a value of another kind"):
        get_list({"a": value}, "a", str)


def test_get_list_checks_the_length():
    with pytest.raises(ValueError, match="'a' has 1 values, not 2"):
        get_list({"a": [1]}, "a", int, 2)


ERRORS = [KeyError("a"), IndexError(), TypeError("b\nc"), AttributeError("d")]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_record_errors_turns_errors_of_values_into_one_line(error):
    with (
        pytest.raises(ValueError, match=r"^a\.json: not a list \(.+\)\. Delete it\.$"),
        record_errors("a.json", "a list", "Delete it."),
    ):
        raise error


def test_of_kind_shortens_long_values():
    with pytest.raises(ValueError, match=r"^'name' has a value of another kind, 'a{39}$"):
        of_kind("a" * 999, "name", int)
