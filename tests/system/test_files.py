import hashlib
import os

import pytest

from i3d_tf.system.files import atomic_write, ensure_disk_space, git_blob_id, sha256

resource = pytest.importorskip("resource", reason="limits are set with POSIX's setrlimit")


def test_hashes_are_the_ones_that_other_programs_give(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    # printf abc | git hash-object --stdin
    assert git_blob_id(path) == "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"
    path.write_bytes(b"")
    assert git_blob_id(path) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_hash_of_a_file_longer_than_one_block_is_that_of_all_of_it(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(b"x" * (2**20 + 1))
    assert sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_replaces_when_whole(tmp_path):
    target = tmp_path / "file.weights.h5"
    target.write_text("before")
    with atomic_write(target, ".weights.h5") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".weights.h5")
        temporary.write_text("after")
        assert target.read_text() == "before"
    assert target.read_text() == "after"
    assert os.listdir(tmp_path) == [target.name]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_keeps_what_was_there_when_the_writer_fails(tmp_path, error):
    target = tmp_path / "file"
    target.write_text("before")

    def fail():
        with atomic_write(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def at_most_one_megabyte():
    """No file may grow over a megabyte, as on a disk with that much room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("at_most_one_megabyte")
def test_room_is_checked_without_leaving_anything(tmp_path):
    ensure_disk_space(tmp_path, 900_000)
    with pytest.raises(OSError, match=r"1\.1 MB cannot be written there \(File too large\)"):
        ensure_disk_space(tmp_path, 1_100_000)
    assert os.listdir(tmp_path) == []


def test_room_in_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match=r"missing: a file of .* cannot be written"):
        ensure_disk_space(tmp_path / "missing", 10)
