import json
import os
import subprocess
import sys

import pytest

from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.store import (
    MANIFEST,
    find_weights,
    read_manifest,
    save_weights,
    user_checkpoint_dir,
)


class Words:
    """Stands in for a Keras model whose weights file is a few words."""

    variables = ()

    def __init__(self, words):
        self.words = words

    def save_weights(self, path):
        path.write_text(self.words)


class HalfWritten(Words):
    """Fails after some of the file has been written, as on a disk that has become full."""

    def save_weights(self, path):
        path.write_text(self.words)
        raise OSError(28, "No space left on device")


def contents(directory):
    """Name to content of every file, hidden ones too."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def directory(tmp_path):
    """A checkpoint directory that holds `old`."""
    save_weights(Words("old words"), "old", tmp_path, {"classes": 1})
    return tmp_path


def test_save_weights_writes_weights_and_their_row(directory):
    path = save_weights(Words("abc"), "new", directory, {"classes": 2})
    assert path == directory / "new.weights.h5"
    assert path.read_text() == "abc"
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    assert json.loads((directory / MANIFEST).read_text())["weights"]["new"] == {
        "file": "new.weights.h5",
        "sha256": digest,
        "classes": 2,
    }
    assert list(read_manifest(directory)) == ["new", "old"]
    assert set(contents(directory)) == {"new.weights.h5", "old.weights.h5", MANIFEST}


def test_find_weights_returns_file_and_row(directory):
    path, row = find_weights("old", directory)
    assert path.read_text() == "old words"
    assert row["classes"] == 1


def test_save_weights_replaces(directory):
    save_weights(Words("new words"), "old", directory, {"classes": 3})
    path, row = find_weights("old", directory)
    assert (path.read_text(), row["classes"]) == ("new words", 3)


def test_save_weights_makes_the_directory(tmp_path):
    save_weights(Words("abc"), "new", tmp_path / "a/b", {})
    assert list(read_manifest(tmp_path / "a/b")) == ["new"]


def test_read_manifest_without_a_manifest_is_empty(tmp_path):
    assert read_manifest(tmp_path) == {}


def test_changed_file_is_refused(directory):
    (directory / "old.weights.h5").write_text("old Words")
    with pytest.raises(WeightsError, match=r"old\.weights\.h5: not the file of manifest\.json"):
        find_weights("old", directory)


def test_damaged_release_can_be_downloaded_again(directory):
    path = save_weights(Words("abc"), "rgb_scratch", directory, {})
    path.write_text("abd")
    with pytest.raises(WeightsError, match=r"Delete it, and it is downloaded again\.$"):
        find_weights("rgb_scratch", directory)


@pytest.mark.parametrize("name", ["rgb", "../old", "old.weights.h5", "", None])
def test_unknown_name_is_not_found(directory, name):
    assert find_weights(name, directory) is None


def test_row_without_its_file_is_not_found(directory):
    (directory / "old.weights.h5").unlink()
    assert find_weights("old", directory) is None


def test_file_without_its_row_is_not_found(directory):
    (directory / "stray.weights.h5").write_text("abc")
    assert find_weights("stray", directory) is None


def test_save_weights_without_a_directory_writes_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("I3D_TF_HOME", str(tmp_path / "home"))
    path = save_weights(Words("abc"), "new", None, {})
    assert path == tmp_path / "home/checkpoints/new.weights.h5"
    assert find_weights("new", user_checkpoint_dir())[0] == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"rows": {}}',
        '{"weights": []}',
        '{"weights": {"old": 5}}',
        '{"weights": {"../outside": {}}}',
        '{"weights": {"/etc/passwd": {}}}',
        "[" * 100_000,
        "\x00\xff",
    ],
    ids=lambda text: text[:24] or "empty",
)
def test_save_weights_names_and_keeps_a_broken_manifest(directory, text):
    (directory / MANIFEST).write_text(text, "latin-1")
    before = contents(directory)
    for attempt in (
        lambda: find_weights("old", directory),
        lambda: save_weights(Words("abc"), "new", directory, {}),
    ):
        with pytest.raises(WeightsError, match=r"manifest\.json: .*Fix or delete it\."):
            attempt()
    assert contents(directory) == before


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "/x", "x\n"])
def test_name_that_cannot_be_a_file_name(directory, name):
    before = contents(directory)
    with pytest.raises(ValueError, match="`name` must be made of letters"):
        save_weights(Words("abc"), name, directory, {})
    assert contents(directory) == before


@pytest.mark.parametrize("name", ["old", "new"])
def test_full_disk_changes_nothing(directory, name):
    before = contents(directory)
    with pytest.raises(OSError, match="No space left on device"):
        save_weights(HalfWritten("half"), name, directory, {})
    assert contents(directory) == before


@pytest.mark.parametrize("renames", [0, 1])
def test_save_weights_goes_on_where_it_was_killed_between_its_files(
    directory, monkeypatch, renames
):
    replace, done = os.replace, []

    def stop(source, target):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(replace(source, target))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            save_weights(Words("abc"), "new", directory, {})
    assert find_weights("new", directory) is None
    save_weights(Words("abc"), "new", directory, {})
    assert find_weights("new", directory)[0].read_text() == "abc"


def test_row_that_is_not_json_changes_nothing(directory):
    before = contents(directory)
    with pytest.raises(TypeError):
        save_weights(Words("abc"), "old", directory, {"classes": object()})
    assert contents(directory) == before


def test_failed_rename_of_the_weights_keeps_the_manifest(directory):
    (directory / "new.weights.h5").mkdir()
    before = (directory / MANIFEST).read_bytes()
    with pytest.raises(OSError, match=r"new\.weights\.h5"):
        save_weights(Words("abc"), "new", directory, {})
    assert (directory / MANIFEST).read_bytes() == before
    assert sorted(os.listdir(directory)) == [MANIFEST, "new.weights.h5", "old.weights.h5"]


def test_disk_space_is_checked_before_hdf5_is_written(directory):
    resource = pytest.importorskip("resource", reason="limits are set with POSIX's setrlimit")

    class Large(Words):
        class Variable:
            shape = (10**6,)

        variables = (Variable,)

        def save_weights(self, path):
            pytest.fail("HDF5 would have crashed the process")

    before = contents(directory)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * 10**6, hard))
    try:
        with pytest.raises(OSError, match=r"a file of 4\.0 MB cannot be written there"):
            save_weights(Large(""), "large", directory, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(directory) == before


@pytest.mark.parametrize("below", [".", "folder"])
def test_directory_that_cannot_be_made(tmp_path, below):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match=r"file.*: cannot be made \(.*\)\. Name another folder\."):
        save_weights(Words("abc"), "new", tmp_path / "file" / below, {})
    assert (tmp_path / "file").read_text() == "not a folder"


def test_directory_that_cannot_be_written(directory):
    directory.chmod(0o500)
    if os.access(directory, os.W_OK):
        pytest.skip("this user may write anywhere")
    with pytest.raises(OSError, match="cannot be written there"):
        save_weights(Words("abc"), "new", directory, {})
    directory.chmod(0o700)
    assert sorted(os.listdir(directory)) == [MANIFEST, "old.weights.h5"]


FIRST = """
import pathlib, sys, time
from i3d_tf.weights.store import save_weights

class Slow:
    variables = ()
    def save_weights(self, path):
        path.write_text("first")
        pathlib.Path(sys.argv[1], "inside").touch()
        time.sleep(0.5)  # long enough for the second to overtake, were it not made to wait

save_weights(Slow(), "first", sys.argv[1], {})
"""
SECOND = """
import pathlib, sys, time
from i3d_tf.weights.store import save_weights

class Quick:
    variables = ()
    def save_weights(self, path):
        path.write_text("second")

while not pathlib.Path(sys.argv[1], "inside").exists():
    time.sleep(0.01)
save_weights(Quick(), "second", sys.argv[1], {})
"""


def test_save_weights_in_two_processes_loses_no_row(directory, repository_root):
    pytest.importorskip("fcntl", reason="without POSIX locks the last writer wins")
    writers = [
        subprocess.Popen([sys.executable, "-c", code, directory], cwd=repository_root)
        for code in (FIRST, SECOND)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert list(read_manifest(directory)) == ["first", "old", "second"]
    for name in ("first", "second"):
        assert find_weights(name, directory)[0].read_text() == name


def test_save_weights_keeps_a_file_without_a_row(directory):
    (directory / "stray.weights.h5").write_text("abc")
    before = contents(directory)
    with pytest.raises(FileExistsError, match=r"stray\.weights\.h5: exists already and was not"):
        save_weights(Words("new"), "stray", directory, {})
    assert contents(directory) == before


@pytest.mark.parametrize(
    "row",
    [
        {"labels": 5},
        {"labels": "kinetics"},
        {"labels": [{}] * 12},
        {"architecture": [1]},
        {"width_multiplier": "1"},
        {"width_multiplier": float("inf")},
        {"width_multiplier": 0},
        {"protocol": []},
    ],
)
def test_find_weights_checks_the_kinds_of_values_in_a_row(directory, row):
    (directory / MANIFEST).write_text(json.dumps({"weights": {"old": row, "new": {}}}))
    message = r"manifest\.json: not a manifest: its row of 'old' is damaged \(.+\)\. Fix or d"
    with pytest.raises(WeightsError, match=message):
        find_weights("old", directory)
    assert find_weights("new", directory) is None  # other rows are not concerned
