import h5py
import numpy as np
import pytest

from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.h5_check import check_dataset, check_h5


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def check(path):
    check_h5(path, path.stat().st_size)


def test_check_h5_allows_compressed_arrays(path):
    with h5py.File(path, "w") as file:
        file["whole"] = np.zeros(99)
        file.create_dataset("packed", data=np.zeros(2**16), chunks=(2**10,), compression="gzip")
        file["again"] = h5py.SoftLink("/packed")
    check(path)


@pytest.mark.parametrize("written", [0, 1])
def test_check_h5_refuses_arrays_that_unpack_to_gigabytes(path, written):
    with h5py.File(path, "w") as file:
        array = file.create_dataset("a", (2**29,), "f", chunks=(2**18,), compression="gzip")
        array[: 2**18 * written] = 0  # pieces that were never written take no room at all
    assert path.stat().st_size < 2**16
    with pytest.raises(WeightsError, match=r"unpack to 2,147,483,648, which is not plausible\.$"):
        check(path)


def test_check_h5_refuses_pieces_larger_than_their_array(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (4,), "f", maxshape=(None,), chunks=(2**28,), compression="gzip")
        with pytest.raises(WeightsError, match="/a is stored in pieces larger than itself"):
            check_dataset(file["a"])
    with pytest.raises(WeightsError, match="/a is stored in pieces larger than itself"):
        check(path)


def test_check_h5_refuses_references_to_other_files(path, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = np.zeros(4)
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "a", (4,))

    def link(file):
        file["group/a"] = h5py.ExternalLink("other.h5", "/a")

    def external(file):
        file.create_dataset("a", (4,), "f8", external=[("other.bin", 0, 32)])

    for refer in (link, external, lambda file: file.create_virtual_dataset("a", layout)):
        with h5py.File(path, "w") as file:
            refer(file)
        with pytest.raises(WeightsError, match="a refers to another file"):
            check(path)


def test_check_h5_refuses_complex_numbers(path):
    with h5py.File(path, "w") as file:
        file["a"] = np.ones(3, np.complex64)
    with pytest.raises(WeightsError, match="/a has values that are not real numbers"):
        check(path)
