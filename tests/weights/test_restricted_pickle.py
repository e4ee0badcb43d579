import os
import pickle
import subprocess
from collections import OrderedDict
from io import BytesIO

import numpy as np
import pytest

from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.restricted_pickle import (
    NUMPY_GLOBALS,
    InertType,
    InertValue,
    PickledArray,
    load_pickle,
)

PLAIN = {"a": [1, 2.5, None, True], "b": ("text", b"bytes", 1 << 70)}


class Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Box(metaclass=InertType):
    """A class that a pickle may be given."""


class Value(InertValue):
    """A value that a pickle may refer to."""


def values(pickled):
    """The arrays of nested dictionaries as NumPy's."""
    if isinstance(pickled, PickledArray):
        return pickled.read()
    return {name: values(value) for name, value in pickled.items()}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_load_pickle_reads_plain_values(protocol):
    if protocol >= 3:
        assert load_pickle(pickle.dumps(PLAIN, protocol), {}) == PLAIN
    assert load_pickle(pickle.dumps(PLAIN["a"], protocol), {}) == PLAIN["a"]


def test_load_pickle_stops_after_one_pickle():
    stream = BytesIO(pickle.dumps([1]) + pickle.dumps([2]) + b"rest")
    assert load_pickle(stream, {}) == [1]
    assert load_pickle(stream, {}) == [2]
    assert stream.read() == b"rest"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Calls(os.system, "touch ran"), r"posix\.system|nt\.system"),
        (Calls(subprocess.run, ["touch", "ran"]), r"(subprocess|commands)\.run"),
        (Calls(eval, "open('ran', 'w')"), r"(__builtin__|builtins)\.eval"),
        (OrderedDict(a=1), r"collections\.OrderedDict"),
    ],
)
def test_load_pickle_runs_nothing_that_it_does_not_know(
    call, name, protocol, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=f"names ({name}), which weights never do"):
        load_pickle(pickle.dumps({"weights": call}, protocol), NUMPY_GLOBALS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [np.arange(6.0, dtype="f4").reshape(2, 3), np.ones((), "i8")])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL))
def test_load_pickle_reads_arrays(value, protocol):
    tree = {"a": {"b": value}, "c": value.copy("F")}
    found = values(load_pickle(pickle.dumps(tree, protocol), _globals(protocol)))
    for array in (found["a"]["b"], found["c"]):
        np.testing.assert_array_equal(array, value, strict=True)
    assert found["c"].flags.writeable


def _globals(protocol):
    """The names of arrays; before protocol 3, bytes are text that is encoded again."""
    latin = {("_codecs", "encode"): lambda text, encoding: text.encode(encoding)}
    return {**NUMPY_GLOBALS, **(latin if protocol < 3 else {})}


@pytest.mark.parametrize(
    "array",
    [np.array([os.system], object), np.array(["text"]), np.ones(2, ">f4"), np.ones(2, "c8")],
)
def test_load_pickle_refuses_arrays_of_anything_but_numbers(array):
    with pytest.raises(WeightsError):
        load_pickle(pickle.dumps(array, 4), NUMPY_GLOBALS)


def test_load_pickle_refuses_arrays_larger_than_their_bytes():
    content = pickle.dumps(np.ones((3, 4), "f4"), 4)
    assert content.count(b"K\x03K\x04\x86") == 1
    larger = content.replace(b"K\x03K\x04\x86", b"K\x03K\xff\x86")
    with pytest.raises(WeightsError, match=r"an array of shape \(3, 255\) has 48 bytes"):
        load_pickle(larger, NUMPY_GLOBALS)


def test_load_pickle_follows_references_only_where_it_is_told_to():
    content = b"\x80\x02X\x03\x00\x00\x00oneQ."
    assert load_pickle(content, {}, {"one": 1}.get) == 1
    with pytest.raises(WeightsError, match="refers to something outside"):
        load_pickle(content, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a damaged pickle"),
        (b"\x80\x02", "a damaged pickle"),
        (b"\x80\x02K\x01", "a damaged pickle"),
        (b"\x80\x02\x82\x01.", "extension codes"),
        (b"\x80\x02K\x01r\xff\xff\xff\x7f.", "an index is too large"),
        (b"\x80\x05\x96" + b"\xff" * 7 + b"\x00.", "a damaged pickle"),
        (b"\x80\x02)" + b"\x85" * 30_000 + b".", "too large for weights"),
        (b"\x80\x02cthis\nBox\n}(X\x01\x00\x00\x00aK\x01ub.", "a damaged pickle"),
        (b"\x80\x02cthis\nBox\nN}(X\x01\x00\x00\x00aK\x01u\x86b.", "sets 'a' of a class"),
        (b"\x80\x02cthis\nfunction\nN}(X\x01\x00\x00\x00aK\x01u\x86b.", "sets 'a' of a function"),
        (b"\x80\x02cthis\nfunction\n}(X\x01\x00\x00\x00aK\x01ub.", "a damaged pickle"),
        (b"\x80\x02K\x01Q}(X\x01\x00\x00\x00aK\x01ub.", "sets attributes of a value"),
        (b"\x80\x02cthis\nnumber\n)R.", "a damaged pickle"),
    ],
)
def test_load_pickle_refuses_what_no_weights_say(content, message):
    value = Value()
    allowed = {
        ("this", "Box"): Box,
        ("this", "function"): test_load_pickle_stops_after_one_pickle,
        ("this", "number"): 1,
    }
    with pytest.raises(WeightsError, match=message):
        load_pickle(content, allowed, lambda reference: value)
    assert not hasattr(Box, "a")
    assert not hasattr(value, "a")


def test_load_pickle_refuses_more_bytes_than_allowed():
    content = pickle.dumps([b"a" * 100, 1], 4)
    assert load_pickle(content, {}, max_bytes=len(content))
    with pytest.raises(WeightsError, match="too large for weights"):
        load_pickle(content, {}, max_bytes=50)


def test_arrays_of_python_2_are_read_as_latin_1():
    pickled = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x08" + np.array([1.5, -2.5], "<f4").tobytes() + b"tb."
    )
    array = load_pickle(pickled, NUMPY_GLOBALS, encoding="latin1")
    assert array.read().tolist() == [1.5, -2.5]
    with pytest.raises(WeightsError, match="damaged pickle"):
        load_pickle(pickled, NUMPY_GLOBALS)
