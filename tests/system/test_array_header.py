import ast
import io

import numpy as np
import pytest

from i3d_tf.system.array_header import read_array_header


def header_of(array, version=(1, 0)):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    file.seek(0)
    return file


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 1024), "<f4"),
        np.zeros((2, 3), ">f8", order="F"),
        np.zeros((), "<i8"),
        np.zeros(7, np.uint8),
        np.zeros((0, 5), bool),
        np.zeros((2, 1, 1), "<U5"),
    ],
)
def test_header_is_read_without_parsing_python(array, version, monkeypatch):
    file = header_of(array, version)
    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", None)
        patch.setattr(ast, "literal_eval", None)
        shape, by_column, dtype = read_array_header(file)
    assert (shape, by_column, dtype) == (array.shape, np.isfortran(array), array.dtype)
    assert file.read() == array.tobytes("A")


def test_unusual_header_is_read_by_numpy():
    dtype = np.dtype([("time", "<f8"), ("row", "<f4", (3,))])
    file = header_of(np.zeros(4, dtype))
    assert read_array_header(file) == ((4,), False, dtype)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:9],
        lambda content: content.replace(b"(3,)", b"(-3)"),
        lambda content: content.replace(b"'<f4'", b"'<q9'"),
        lambda content: content[:8] + b"\xff\xff" + content[10:],
        lambda content: b"\x92" + content[1:],
    ],
)
def test_damaged_header_is_an_error(damage):
    content = header_of(np.zeros(3, "f4")).getvalue()
    with pytest.raises(Exception):  # noqa: B017, PT011 - in any way
        read_array_header(io.BytesIO(damage(content)))
