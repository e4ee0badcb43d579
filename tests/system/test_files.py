import errno
import hashlib
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from i3d_tf.system import files
from i3d_tf.system.files import (
    STAGING_LIFETIME,
    atomic_folder,
    atomic_write,
    check_regular,
    check_target,
    ensure_disk_space,
    folder_lock,
    git_blob_id,
    machine_id,
    open_regular,
    remove_abandoned,
    sha256,
    staging_dir,
)

resource = pytest.importorskip("resource", reason="limits are set with POSIX's setrlimit")

WORK = """
import sys, time
from pathlib import Path
from i3d_tf.system.files import atomic_folder, atomic_write, folder_lock, staging_dir

def half_folder(path):
    with atomic_folder(path) as folder:
        (folder / "half").write_text("half")
        yield

def half_file(path):
    with atomic_write(path) as file:
        file.write_text("half")
        yield

def half_job(path):
    with staging_dir(path.parent) as folder:
        (folder / "half").write_text("half")
        yield

def locked(path):
    with folder_lock(path.parent):
        yield

for _ in globals()[sys.argv[1]](Path(sys.argv[2])):
    print("working", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def start_work():
    """Function: (name in `WORK`, path) -> a process that is in the middle of it."""
    jobs = []

    def start(name, path):
        command = [sys.executable, "-c", WORK, name, str(path)]
        jobs.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert jobs[-1].stdout.readline() == "working\n"
        return jobs[-1]

    yield start
    for job in jobs:
        job.kill()
        job.communicate()


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
    for name in ("pipe", "socket", "folder", "missing", "zero\0byte", "\ud800"):
        reasons[tmp_path / name] = {
            "folder": "it is a folder, not a file",
            "missing": "no such file or directory",
            "zero\0byte": "no file can have this name",
            "\ud800": "no file can have this name",
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
        with pytest.raises(OSError, match=reason.removesuffix(" or directory")) as error:
            read(path)
        assert str(error.value) == f"{path}: {reason.removesuffix(' or directory')}."
        assert error.value.strerror == reason


def test_open_regular_follows_links(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"content"


@pytest.mark.parametrize("letter", ["a", "é", "体", "\U0001f600", "\udcff"])
def test_atomic_write_fits_for_long_names(tmp_path, letter):
    target = tmp_path / (letter * (255 // len(os.fsencode(letter))))
    for suffix in ("", ".weights.h5"):
        with atomic_write(target, suffix) as unfinished:
            unfinished.write_text("whole")
        assert target.read_text() == "whole"


def test_atomic_write_replaces_the_target_at_the_end(tmp_path):
    target = tmp_path / "file.weights.h5"
    target.write_text("before")
    with atomic_write(target, ".weights.h5") as temporary:
        assert temporary.parent.parent == tmp_path  # on the same disk
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


@pytest.mark.parametrize("work", ["half_job", "half_file", "half_folder"])
def test_staging_dir_removes_only_folders_of_dead_jobs(start_work, tmp_path, work):
    job = start_work(work, tmp_path / "target")
    (theirs,) = os.listdir(tmp_path)
    with staging_dir(tmp_path) as ours:
        assert sorted(os.listdir(tmp_path)) == sorted([theirs, ours.name])
        job.kill()
        job.wait(60)
    assert os.listdir(tmp_path) == [theirs]
    with atomic_write(tmp_path / "other") as temporary:
        assert not (tmp_path / theirs).exists()
        temporary.touch()
    assert os.listdir(tmp_path) == ["other"]


def test_folder_lock_goes_with_its_process(start_work, tmp_path):
    job = start_work("locked", tmp_path / "any")
    message = f"{tmp_path.name}: another process is writing into this folder. Wait until it has"
    with pytest.raises(BlockingIOError, match=message), folder_lock(tmp_path, wait=False):
        pass
    job.kill()
    job.wait(60)
    with folder_lock(tmp_path, wait=False) as has_locks:
        assert has_locks


def test_folder_lock_is_no_obstacle_where_locks_are_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "HAS_LOCKS", False)
    with folder_lock(tmp_path, wait=False) as has_locks:
        assert not has_locks


def test_staging_dir_removes_a_folder_whose_job_died_before_it_had_a_lock(tmp_path):
    (tmp_path / ".unfinished-0a1b2c3d").mkdir()
    with staging_dir(tmp_path):
        assert not (tmp_path / ".unfinished-0a1b2c3d").exists()


def test_staging_dir_keeps_what_only_looks_like_its_own(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "lock").touch()
    (tmp_path / ".unfinished-thesis").mkdir()
    (tmp_path / ".unfinished-thesis" / "lock").touch()
    (tmp_path / ".unfinished-chapter1").mkdir()
    (tmp_path / ".unfinished-chapter1" / "text").touch()
    (tmp_path / ".unfinished-chapter2").mkdir()
    (tmp_path / ".unfinished-chapter2" / "lock").mkdir()
    (tmp_path / ".unfinished-chapter3").touch()
    (tmp_path / ".unfinished-chapter4").symlink_to(tmp_path / "mine")
    before = sorted(tmp_path.rglob("*"))
    with staging_dir(tmp_path):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_staging_dir_finishes_the_removal_that_a_killed_job_began(tmp_path):
    (tmp_path / ".unfinished-0a1b2c3d").mkdir()
    (tmp_path / ".unfinished-0a1b2c3d" / "lock").touch()
    (tmp_path / ".unfinished-0a1b2c3d" / "folder").mkdir()
    (tmp_path / ".unfinished-0a1b2c3d" / "folder" / "half").touch()
    with staging_dir(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_staging_dir_removes_old_folders_where_locks_are_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "HAS_LOCKS", False)
    for name, age in (("old", STAGING_LIFETIME + 60), ("new", STAGING_LIFETIME - 60)):
        folder = tmp_path / f".unfinished-00000{name}"
        folder.mkdir()
        (folder / "lock").touch()
        (folder / "half").touch()
        os.utime(folder, (time.time() - age,) * 2)
    with staging_dir(tmp_path):
        assert not (tmp_path / ".unfinished-00000old").exists()
    assert os.listdir(tmp_path) == [".unfinished-00000new"]


def test_staging_dir_removes_by_age_where_the_file_system_has_no_locks(tmp_path, monkeypatch):
    def refuse(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    (tmp_path / ".unfinished-00000new").mkdir()
    (tmp_path / ".unfinished-00000new" / "lock").touch()
    with staging_dir(tmp_path) as folder:
        assert sorted(os.listdir(tmp_path)) == sorted([".unfinished-00000new", folder.name])
    assert os.listdir(tmp_path) == [".unfinished-00000new"]


def test_staging_dir_keeps_folders_of_other_machines_for_a_week(tmp_path):
    ages = {"old": STAGING_LIFETIME + 60, "new": STAGING_LIFETIME - 60, "own": 0}
    for name, age in ages.items():
        folder = tmp_path / f".unfinished-00000{name}"
        folder.mkdir()
        (folder / "lock").write_bytes(machine_id() if name == "own" else b"another machine")
        (folder / "half").touch()
        os.utime(folder, (time.time() - age,) * 2)
    with staging_dir(tmp_path) as folder:
        assert (folder / "lock").read_bytes() == machine_id()
    assert os.listdir(tmp_path) == [".unfinished-00000new"]


def test_remove_abandoned_passes_over_a_missing_folder(tmp_path):
    remove_abandoned(tmp_path / "missing")
    assert os.listdir(tmp_path) == []


def test_staging_dirs_of_many_threads_never_remove_each_other(tmp_path):
    def work(number):
        with staging_dir(tmp_path) as folder:
            (folder / "file").write_text(str(number))
            os.replace(folder / "file", tmp_path / str(number))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(400)))
    assert sorted(map(int, os.listdir(tmp_path))) == list(range(400))


def test_staging_dir_names_a_folder_that_is_not_writable(tmp_path):
    (tmp_path / "file").touch()
    message = "file: nothing can be written there: not a directory"
    with pytest.raises(OSError, match=message), staging_dir(tmp_path / "file"):
        pass


def test_atomic_write_names_its_target_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "new"
    with pytest.raises(NotADirectoryError) as caught, atomic_write(target):
        pass
    assert caught.value.filename == str(target)


def test_atomic_write_leaves_nothing_where_its_lock_cannot_be_made(tmp_path, monkeypatch):
    def full(path, mode):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "open", full, raising=False)
    with (
        pytest.raises(OSError, match=r"No space left on device.*new"),
        atomic_write(tmp_path / "new"),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_atomic_folder_appears_at_the_end(tmp_path):
    with atomic_folder(tmp_path / "new") as temporary:
        (temporary / "file").touch()
        assert not (tmp_path / "new").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "file"]
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


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
