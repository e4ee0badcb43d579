"""Remote files in memory, `ram://`, whose errors are made; S3 is in tests/tools/test_s3.py."""

import os
import pickle
import tempfile

import pytest
import tensorflow as tf

from i3d_tf.system import remote, remote_stores
from i3d_tf.system.errors import UserError
from i3d_tf.system.job_status import job_status
from i3d_tf.system.jobs import Task, missing_outputs, run_each, run_job
from i3d_tf.system.remote import (
    ATTEMPTS,
    RemoteFileError,
    as_path,
    check_local,
    copies_folder,
    download,
    entries,
    file_info,
    file_name,
    files_below,
    is_folder,
    is_remote,
    local_copy,
    read_bytes,
    remove,
    upload,
    write_bytes,
)
from i3d_tf.system.remote_stores import RemoteAccessError


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0)


@pytest.fixture
def place(tmp_path):
    """The address of a folder with a.txt and below/b.txt."""
    address = f"ram://{tmp_path.name}"
    write_bytes(f"{address}/a.txt", b"one")
    write_bytes(f"{address}/below/b.txt", b"three")
    return address


@pytest.fixture
def fail(monkeypatch):
    """Function: (error, times) -> makes copying fail so often; returns the attempts so far."""
    copy = tf.io.gfile.copy

    def start(error, times):
        attempts = []

        def broken(source, target, overwrite=False):
            attempts.append(source)
            if len(attempts) <= times:
                raise error
            copy(source, target, overwrite)

        monkeypatch.setattr(tf.io.gfile, "copy", broken)
        return attempts

    return start


CUT = tf.errors.UnavailableError(None, None, "connection reset")
DENIED = tf.errors.PermissionDeniedError(None, None, "not yours")


def test_remote_paths_are_those_with_a_scheme(tmp_path):
    assert is_remote("s3://bucket/a")
    assert not is_remote("a/b")
    assert not is_remote(tmp_path)
    assert not is_remote(b"bytes")
    with pytest.raises(
        ValueError, match="`flow_dir` must be on this machine; received s3://bucket"
    ):
        check_local("flow_dir", "s3://bucket/a")
    check_local("flow_dir", tmp_path)
    check_local("flow_dir", None)
    assert as_path("s3://bucket/a") == "s3://bucket/a"
    assert as_path(str(tmp_path)) == tmp_path


def test_file_name_leaves_out_the_query_of_web_addresses():
    assert file_name("https://host/run/a.mp4?token=b/c#d") == "a.mp4"
    assert file_name("s3://bucket/run/a?.mp4") == "a?.mp4"
    assert file_name("run/a?.mp4") == "a?.mp4"


def test_remote_files_are_listed(place):
    assert file_info(f"{place}/a.txt")[0] == 3
    assert file_info(f"{place}/none") is None
    assert file_info(place) is None
    assert is_folder(place)
    assert not is_folder(f"{place}/none")
    assert entries(place) == (["below"], ["a.txt"])
    assert entries(f"{place}/none") is None
    assert sorted(files_below(place)) == ["a.txt", "below/b.txt"]
    assert files_below(f"{place}/none") == []


def test_remote_files_are_read_written_and_removed(place, tmp_path):
    assert read_bytes(f"{place}/a.txt", 3) == b"one"
    with pytest.raises(RemoteFileError, match=r"a\.txt: it has 3 bytes; at most 2 are read"):
        read_bytes(f"{place}/a.txt", 2)
    download(f"{place}/below/b.txt", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"three"
    upload(tmp_path / "copy", f"{place}/new/c.txt")
    assert read_bytes(f"{place}/new/c.txt", 9) == b"three"
    remove(f"{place}/new/c.txt")
    remove(f"{place}/new/c.txt")
    assert sorted(files_below(place)) == ["a.txt", "below/b.txt"]


def test_missing_remote_file_is_not_tried_again(place, tmp_path, fail):
    attempts = fail(CUT, 0)
    with pytest.raises(RemoteFileError, match=r"/none: there is no such file$"):
        download(f"{place}/none", tmp_path / "copy")
    assert attempts == []


def test_cut_connection_is_tried_again(place, tmp_path, fail):
    attempts = fail(CUT, ATTEMPTS - 1)
    download(f"{place}/a.txt", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"one"
    assert len(attempts) == ATTEMPTS


def test_connection_that_stays_cut_is_an_error_of_the_file(place, tmp_path, fail):
    attempts = fail(CUT, 99)
    message = f"{place}/a.txt: the connection failed {ATTEMPTS} times: connection reset"
    with pytest.raises(RemoteFileError) as caught:
        download(f"{place}/a.txt", tmp_path / "copy")
    assert str(caught.value) == message
    assert len(attempts) == ATTEMPTS
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.reason_for(f"{place}/a.txt")) == (message, caught.value.reason)
    assert isinstance(again, UserError)


def test_file_that_comes_short_is_fetched_again(place, tmp_path, monkeypatch):
    contents = [b"o", b"on", b"one"]

    def copy(source, target, overwrite):
        with open(target, "wb") as file:
            file.write(contents.pop(0))

    monkeypatch.setattr(tf.io.gfile, "copy", copy)
    download(f"{place}/a.txt", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"one"


def test_refusal_is_of_the_storage_until_something_could_be_read(place, tmp_path, fail):
    fail(DENIED, 99)
    unknown = f"ram://other-{tmp_path.name}/a.txt"
    (tmp_path / "file").touch()
    with pytest.raises(RemoteAccessError, match=r"/a\.txt: access denied: not yours. Check the cr"):
        upload(tmp_path / "file", unknown)
    with pytest.raises(RemoteFileError, match=r"/a\.txt: access denied: not yours"):
        download(f"{place}/a.txt", tmp_path / "copy")


def test_local_copy_is_there_for_the_block(place, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with copies_folder(["a.mp4"]) as folder, local_copy("a.mp4", folder) as path:
        assert (folder, path) == (None, "a.mp4")
    with pytest.raises(KeyboardInterrupt), copies_folder([place]) as folder:  # noqa: PT012
        with local_copy(f"{place}/below/b.txt", folder) as path:
            assert os.path.basename(path) == "b.txt"
            with open(path, "rb") as file:
                assert file.read() == b"three"
        assert not os.path.exists(path)
        with local_copy(f"{place}/a.txt", folder):
            raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_download_looks_at_the_space_first(place, tmp_path, monkeypatch, fail):
    attempts = fail(CUT, 99)

    def full(folder, size):
        raise OSError("no space")

    monkeypatch.setattr(remote, "ensure_disk_space", full)
    with pytest.raises(RemoteFileError, match=r"a\.txt: there is no space for its 0\.0 MB in"):
        download(f"{place}/a.txt", tmp_path / "copy")
    with pytest.raises(RemoteFileError, match="it has 3 bytes; at most 2 are read"):
        download(f"{place}/a.txt", tmp_path / "copy", max_bytes=2)
    assert attempts == []


def write_length(task, staging):
    """Writes the length of a file, and the same beside it; an empty one is an error."""
    with open(task.source, "rb") as file:
        content = file.read()
    if not content:
        raise UserError("it is empty")
    for path in (task.target.with_name(task.target.name + ".json"), task.target):
        path.write_text(str(len(content)))


def outputs(task):
    return [task.target, f"{task.target}.json"]


def mismatch(task):
    side = task.target.with_name(task.target.name + ".json").read_text()
    return None if task.target.read_text() == side else "another length"


def test_jobs_read_and_write_addresses(place, tmp_path, capsys):
    write_bytes(f"{place}/empty.txt", b"")
    sources = ("a.txt", "below/b.txt", "empty.txt", "none.txt")
    out = f"ram://out-{tmp_path.name}"
    tasks = [Task(f"{place}/{name}", f"{out}/{name}") for name in sources]

    def missing(**arguments):
        return missing_outputs(
            tasks, mismatch, outputs=outputs, output_dir=out, is_own=os.path.isfile, **arguments
        )

    assert missing() == tasks
    failed = run_job(tasks, run_each(write_length), out, "counting", outputs)
    assert dict(failed) == {
        f"{place}/empty.txt": "it is empty",
        f"{place}/none.txt": "there is no such file",
    }
    assert capsys.readouterr().err.splitlines() == [
        f"error: {place}/empty.txt: it is empty",
        f"error: {place}/none.txt: there is no such file",
    ]
    assert sorted(name for name in files_below(out) if not name.startswith(".")) == [
        "a.txt",
        "a.txt.json",
        "below/b.txt",
        "below/b.txt.json",
    ]
    assert missing() == tasks[2:]
    status = job_status(out, ((task.source, outputs(task)) for task in tasks))
    assert (status.done, status.missing) == (2, ())
    assert dict(status.failed) == dict(failed)
    write_bytes(f"{place}/empty.txt", b"four")
    assert run_job(tasks[2:3], run_each(write_length), out, "counting", outputs) == ()
    assert job_status(out, [(tasks[2].source, outputs(tasks[2]))]).is_done
    remove(f"{out}/a.txt.json")
    assert missing() == [tasks[0], tasks[3]]


def test_jobs_compare_one_remote_output_and_with_overwrite_all(place, tmp_path):
    out = f"ram://out-{tmp_path.name}"
    tasks = [Task(f"{place}/a.txt", f"{out}/{name}") for name in ("1", "2", "3")]
    run_job(tasks, run_each(write_length), out, "counting", outputs)
    write_bytes(f"{out}/2", b"4")

    def missing(**arguments):
        return missing_outputs(tasks, mismatch, outputs=outputs, output_dir=out, **arguments)

    assert missing() == []
    assert missing(overwrite=True) == [tasks[1]]
    write_bytes(f"{out}/1", b"4")
    with pytest.raises(ValueError, match=f"{out}/1: it exists and was made with other settings: a"):
        missing()


def test_job_ends_where_its_outputs_cannot_be_written(place, tmp_path, fail):
    out = f"ram://out-{tmp_path.name}"
    tasks = [Task(str(tmp_path / name), f"{out}/{name}") for name in ("1", "2")]
    for task in tasks:
        (tmp_path / task.source).write_text("abc")
    attempts = fail(DENIED, 99)
    with pytest.raises(OSError, match=r"/1\.json: it cannot be written: access denied: not yours"):
        run_job(tasks, run_each(write_length), out, "counting", outputs)
    assert len(attempts) == 1


def test_remote_names_that_are_no_names_here_fail_alone(place, tmp_path):
    long = 300 * "a"
    write_bytes(f"{place}/{long}", b"x")
    out = f"ram://out-{tmp_path.name}"
    tasks = [
        Task(f"{place}/{long}", str(tmp_path / "1")),
        Task(f"{place}/a.txt", f"{out}/{long}"),
        Task(f"{place}/a.txt", f"{out}/2"),
    ]
    (_, first), (_, second) = run_job(tasks, run_each(write_length), out, "counting", outputs)
    reason = "its name has 300 bytes, which is too long"
    assert first == f"it cannot be copied to this machine: {reason}"
    assert second == f"{out}/{long}: it cannot be made on this machine: {reason}"
    assert "2" in files_below(out)


@pytest.mark.parametrize("path", ["a//b", "a/../b", "a/./b", "/a", "a/"])
def test_jobs_refuse_addresses_that_are_no_paths(path, tmp_path):
    task = Task(str(tmp_path / "1"), f"ram://{path}")
    with pytest.raises(ValueError, match=f"ram://{path}: an address to write to must have no"):
        run_job([task], run_each(write_length), "ram://a", "counting", outputs)


def test_output_is_copied_after_what_lies_beside_it(place, tmp_path, fail):
    out = f"ram://out-{tmp_path.name}"
    attempts = fail(CUT, 0)
    (tmp_path / "1").write_text("abc")
    run_job([Task(str(tmp_path / "1"), f"{out}/1")], run_each(write_length), out, "x", outputs)
    assert [os.path.basename(path) for path in attempts] == ["1.json", "1"]


@pytest.fixture
def no_fsspec(monkeypatch):
    monkeypatch.setattr(remote_stores, "_fsspec", lambda: None)
    return monkeypatch


def test_scheme_without_a_library_is_one_line(no_fsspec):
    no_fsspec.setattr(remote_stores, "_plugin_schemes", lambda: {"gs", "ram"})
    message = (
        r"s3://bucket/a: s3:// needs fsspec\. Run pip install 'i3d_tf\[remote\]' \(beside "
        r"TensorFlow 2\.16 alone, tensorflow-io does as well: pip install 'i3d_tf\[io\]'\)\."
    )
    with pytest.raises(RemoteAccessError, match=message):
        file_info("s3://bucket/a")


class PluginFiles:
    """tf.io.gfile of a plugin that calls everything missing, and says why when it is read."""

    def __init__(self, error):
        self.error = error

    def exists(self, address):
        return False

    isdir = exists

    def GFile(self, address, mode):
        raise self.error

    def listdir(self, address):
        raise tf.errors.NotFoundError(None, None, "no folder")


@pytest.mark.parametrize("ask", [file_info, is_folder, entries, files_below])
def test_plugin_s_missing_files_may_be_refused_ones(no_fsspec, ask):
    no_fsspec.setattr(remote_stores, "_plugin_schemes", lambda: {"s3"})
    no_fsspec.setattr(remote, "_reached", set())
    no_fsspec.setattr(tf.io, "gfile", PluginFiles(DENIED))
    with pytest.raises(RemoteAccessError, match=r"access denied: not yours\. Check .*AWS_ACCESS"):
        ask("s3://bucket/a")
    tf.io.gfile.error = tf.errors.NotFoundError(None, None, "no key")
    assert not ask("s3://bucket/a")
    tf.io.gfile.error = CUT
    with pytest.raises(RemoteFileError, match="the connection failed 4 times: connection reset"):
        ask("s3://bucket/a")
