import hashlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from i3d_tf.system import files
from i3d_tf.system.files import (
    STAGING_LIFETIME,
    atomic_write,
    check_regular,
    check_target,
    ensure_disk_space,
    git_blob_id,
    is_leftover,
    open_regular,
    sha256,
    staging_dir,
    temporary_name,
)

resource = pytest.importorskip("resource", reason="limits are set with POSIX's setrlimit")

WORK = (
    "import sys, time\n"
    "from i3d_tf.system.files import staging_dir\n"
    "with staging_dir(sys.argv[1]) as folder:\n"
    "    (folder / 'half').write_text('half')\n"
    "    print('working', flush=True)\n"
    "    time.sleep(600)\n"
)


def test_hashes_equal_those_of_other_programs(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    # printf abc | git hash-object --stdin
    assert git_blob_id(path) == "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"
    path.write_bytes(b"")
    assert git_blob_id(path) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_sha256_reads_files_longer_than_a_block(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(b"x" * (2**20 + 1))
    assert sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def special_files(tmp_path):
    """Path to the reason for which it is refused, of everything that is no regular file."""
    reasons = {}
    for name in ("pipe", "socket", "folder", "missing", "zero\0byte"):
        reasons[tmp_path / name] = {
            "folder": "it is a folder, not a file",
            "missing": "no such file or directory",
            "zero\0byte": "its name has a zero byte",
        }.get(name, "it is not a regular file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    reasons[tmp_path / "link"] = reasons["/dev/zero"] = "it is not a regular file"
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(tmp_path)  # the address of a socket must be short
        server.bind("socket")
        os.chdir(here)
        yield reasons


@pytest.mark.parametrize("read", [check_regular, open_regular, sha256, git_blob_id])
def test_only_regular_files_are_opened(special_files, read):
    for path, reason in special_files.items():
        with pytest.raises(OSError, match=reason) as error:
            read(path)
        assert str(error.value) == f"{path}: {reason}."
        assert error.value.strerror == reason


def test_open_regular_follows_links(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"content"


@pytest.mark.parametrize("letter", ["a", "é", "体", "\U0001f600", "\udcff"])
def test_temporary_name_fits_for_long_names(tmp_path, letter):
    longest = letter * (255 // len(os.fsencode(letter)))
    for name in (longest, longest[:-9], "short"):
        for suffix in ("", ".weights.h5"):
            temporary = temporary_name(tmp_path / name, suffix)
            temporary.touch()
            assert is_leftover(temporary)
            assert temporary.name.endswith(f".part{suffix}")
            with atomic_write(tmp_path / name, suffix) as unfinished:
                unfinished.write_text("whole")
            assert (tmp_path / name).read_text() == "whole"
    assert is_leftover(temporary_name("run.json"), r"run\.json")


def test_atomic_write_replaces_the_target_at_the_end(tmp_path):
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
def test_atomic_write_keeps_the_target_on_an_error(tmp_path, error):
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
    """No file may grow over a megabyte, as on a disk with that much space."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("at_most_one_megabyte")
def test_ensure_disk_space_leaves_no_files(tmp_path):
    ensure_disk_space(tmp_path, 900_000)
    with pytest.raises(OSError, match=r"1\.1 MB cannot be written there \(File too large\)"):
        ensure_disk_space(tmp_path, 1_100_000)
    assert os.listdir(tmp_path) == []


def test_ensure_disk_space_in_a_missing_folder(tmp_path):
    with pytest.raises(OSError, match=r"missing: a file of .* cannot be written"):
        ensure_disk_space(tmp_path / "missing", 10)


def test_staging_dir_is_removed_at_the_end(tmp_path):
    with staging_dir(tmp_path) as folder:
        assert folder.parent == tmp_path
        (folder / "half").touch()
    assert os.listdir(tmp_path) == []


def test_staging_dir_removes_only_folders_of_dead_jobs(tmp_path):
    job = subprocess.Popen(
        [sys.executable, "-c", WORK, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert job.stdout.readline() == "working\n"
        (theirs,) = os.listdir(tmp_path)
        with staging_dir(tmp_path) as ours:
            assert sorted(os.listdir(tmp_path)) == sorted([theirs, ours.name])
            job.send_signal(signal.SIGKILL)
            job.wait(60)
        assert os.listdir(tmp_path) == [theirs]
        with staging_dir(tmp_path):
            assert not (tmp_path / theirs).exists()
    finally:
        job.kill()
        job.communicate()
    assert os.listdir(tmp_path) == []


def test_staging_dir_removes_folders_without_a_lock(tmp_path):
    (tmp_path / ".unfinished-x").mkdir()
    with staging_dir(tmp_path):
        assert not (tmp_path / ".unfinished-x").exists()


def test_staging_dir_removes_old_folders_where_locks_are_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "HAS_LOCKS", False)
    for name, age in (("old", STAGING_LIFETIME + 60), ("new", STAGING_LIFETIME - 60)):
        (tmp_path / f".unfinished-{name}").mkdir()
        os.utime(tmp_path / f".unfinished-{name}", (time.time() - age,) * 2)
    with staging_dir(tmp_path):
        assert not (tmp_path / ".unfinished-old").exists()
    assert os.listdir(tmp_path) == [".unfinished-new"]


def test_staging_dir_names_a_folder_that_is_not_writable(tmp_path):
    (tmp_path / "file").touch()
    message = "file: nothing can be written there: not a directory"
    with pytest.raises(OSError, match=message), staging_dir(tmp_path / "file"):
        pass


def test_check_target_accepts_new_names_and_own_files(tmp_path):
    (tmp_path / "own").write_text("mine")
    check_target(tmp_path / "new", lambda path: False)
    check_target(
        tmp_path / "own", lambda path: path.read_text() == "mine", [tmp_path / "other", ""]
    )


def test_check_target_refuses_what_others_wrote(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("yours")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "broken"):
        with pytest.raises(FileExistsError, match=f"{name}: exists already and was not written by"):
            check_target(tmp_path / name, lambda path: True)
    with pytest.raises(FileExistsError, match="file: exists already and was not written by"):
        check_target(tmp_path / "file", lambda path: path.read_text() == "mine")


@pytest.mark.parametrize("spelling", ["file", "folder/../file", "symbolic", "hard"])
def test_check_target_refuses_an_input_however_it_is_spelled(tmp_path, spelling):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "symbolic").symlink_to(tmp_path / "file")
    (tmp_path / "hard").hardlink_to(tmp_path / "file")
    with pytest.raises(FileExistsError, match=": this command reads it"):
        check_target(tmp_path / spelling, lambda path: True, ["http://a\0b", tmp_path / "file"])
