import hashlib
import os
import unicodedata
from functools import partial
from pathlib import Path

import pytest

from i3d_tf.system.errors import UserError
from i3d_tf.system.job_status import FAILURES
from i3d_tf.system.jobs import (
    Task,
    first_difference,
    missing_outputs,
    run_each,
    run_job,
    source_difference,
    source_metadata,
)


def write_length(task, staging):
    """Writes how many letters the source has; what begins with "bad" fails, "dies" ends."""
    if task.source.startswith("bad"):
        raise UserError("it is bad")
    if task.source.startswith("large"):
        raise MemoryError
    if task.source.startswith("dies"):
        os._exit(3)
    staged = staging / task.target.name
    staged.write_text(str(len(task.source)))
    os.replace(staged, task.target)


def tasks_in(folder, *sources):
    return [Task(source, folder / source[0] / f"{source}.txt") for source in sources]


@pytest.mark.parametrize("processes", [1, 2])
def test_run_job_reports_failures_and_does_the_others(tmp_path, capsys, processes):
    tasks = tasks_in(tmp_path, "one", "bad_one", "three", "large")
    failed = run_job(tasks, run_each(write_length, processes), tmp_path, "counting")
    assert sorted(failed) == [
        ("bad_one", "it is bad"),
        ("large", "there is not enough memory for it"),
    ]
    assert (tmp_path / "o/one.txt").read_text() == "3"
    assert (tmp_path / "t/three.txt").read_text() == "5"
    assert sorted(os.listdir(tmp_path)) == [FAILURES, "b", "l", "o", "t"]
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "error: bad_one: it is bad",
        "error: large: there is not enough memory for it",
    ]


LONG = 260 * "é"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (LONG, "its name has 520 bytes, which is too long"),
        (f"{LONG}/a", "its name has 520 bytes, which is too long"),
        ("/".join(30 * ["é" * 100]), "bytes, which is too long"),
        ("a\0b", "no file can have this name"),
    ],
)
def test_run_job_fails_tasks_whose_outputs_cannot_be(tmp_path, capsys, name, problem):
    tasks = [Task("long", tmp_path / name), *tasks_in(tmp_path, "one")]
    ((source, reason),) = run_job(tasks, run_each(write_length), tmp_path, "counting")
    assert source == "long"
    assert reason.startswith("its output cannot be written: ")
    assert reason.endswith(problem)
    assert capsys.readouterr().err == f"error: long: {reason}\n"
    assert (tmp_path / "o/one.txt").read_text() == "3"
    assert sorted(os.listdir(tmp_path)) == [FAILURES, "o"]


def test_run_job_looks_at_all_outputs_of_a_task(tmp_path):
    def outputs(task):
        return [task.target, task.target.with_name(251 * "a" + ".json")]

    ((_, reason),) = run_job(
        tasks_in(tmp_path, "one"), run_each(write_length), tmp_path, "counting", outputs
    )
    assert reason == "its output cannot be written: its name has 256 bytes, which is too long"


def test_run_job_prints_names_without_control_characters(tmp_path, capsys):
    run_job(tasks_in(tmp_path, "bad\x1b[2J\n"), run_each(write_length), tmp_path, "counting")
    assert capsys.readouterr().err == "error: bad\\x1b[2J\\n: it is bad\n"


def test_run_job_names_tasks_that_end_their_process(tmp_path):
    tasks = tasks_in(tmp_path, "dies", "one")
    failed = run_job(tasks, run_each(write_length, 2, "it crashes"), tmp_path, "counting")
    assert failed == (("dies", "it crashes"),)


def test_run_job_ends_with_errors_that_are_not_the_tasks_fault(tmp_path):
    def full(task, staging):
        (staging / "half").touch()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        run_job(tasks_in(tmp_path, "one"), run_each(full), tmp_path, "counting")
    assert os.listdir(tmp_path) == ["o"]


def test_run_job_names_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "o").touch()
    with pytest.raises(OSError, match="o: this folder cannot be made: file exists"):
        run_job(tasks_in(tmp_path, "one"), run_each(write_length), tmp_path, "counting")


def test_missing_outputs_keeps_what_matches(tmp_path):
    done, wrong, new = tasks = [Task(name, tmp_path / name) for name in ("done", "wrong", "new")]
    for task in (done, wrong):
        task.target.touch()
    mismatch = {done: None, wrong: "size 1, not 2"}.get
    assert missing_outputs(tasks, mismatch, overwrite=True) == [wrong, new]
    message = f"{wrong.target}: it exists and was made with other settings: size 1, not 2. Give"
    with pytest.raises(ValueError, match=message):
        missing_outputs(tasks, mismatch, remedy="Give another folder.")


def test_missing_outputs_returns_tasks_whose_inputs_are_bad(tmp_path):
    task = Task("a", tmp_path / "a.txt")
    task.target.touch()

    def mismatch(task):
        raise UserError("its flow file is gone")

    assert missing_outputs([task], mismatch) == [task]


def test_missing_outputs_sees_a_broken_link(tmp_path):
    task = Task("a", tmp_path / "link")
    task.target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="unreadable"):
        missing_outputs([task], partial(lambda _: "unreadable"))


def test_task_details_are_optional():
    assert Task("a", Path("b")).details is None


def test_first_difference_names_the_value_in_nested_metadata():
    wanted = {"stride": 8, "weights": {"rgb": {"name": "a"}}}
    more = {**wanted, "frames": 9}
    assert first_difference(more, wanted) == "frames 9, not None"
    assert first_difference(more, wanted, names=wanted) is None
    assert first_difference({**wanted, "stride": 4}, wanted) == "stride 4, not 8"
    other = {"stride": 8, "weights": {"rgb": {"name": "b"}}}
    assert first_difference(other, wanted) == "weights: rgb: name b, not a"
    assert first_difference({"stride": 8}, wanted) == "weights None, not {'rgb': {'name': 'a'}}"
    added = {"stride": 8, "weights": {"rgb": {"name": "a", "zoom": 2}}}
    assert first_difference(added, wanted, names=wanted) == "weights: rgb: zoom 2, not None"


def test_source_metadata_tells_files_and_folders_from_others(tmp_path):
    path = tmp_path / "a.mp4"
    found = []
    for content in (b"", b"a", b"b", b"a" * 200_000, b"a" * 199_999 + b"b", b"b" + b"a" * 199_999):
        path.write_bytes(content)
        os.utime(path, ns=(0, len(found)))
        found.append(source_metadata(path))
        assert (found[-1]["name"], found[-1]["bytes"]) == ("a.mp4", len(content))
    assert found[1]["digest"] == hashlib.sha256(b"a").hexdigest()
    assert len({source["digest"] for source in found}) == len(found)
    folder = tmp_path / "b"
    folder.mkdir()
    for name, size in (("1.jpg", 2), ("2.jpg", 3)):
        (folder / name).write_bytes(bytes(size))
    known = source_metadata(folder)
    assert (known["name"], known["bytes"]) == ("b", 5)
    for name, size in (("1.jpg", 3), ("2.jpg", 2)):
        (folder / name).write_bytes(bytes(size))
    os.utime(folder, ns=(0, 1))
    assert source_metadata(folder)["digest"] != known["digest"]
    for nothing in (tmp_path / "c.mp4", "gs://bucket/c.mp4", "/dev/c.mp4"):
        assert source_metadata(nothing) == {"name": "c.mp4", "bytes": None}


def test_source_difference_compares_what_both_know():
    name, bytes_, digest = {"name": "a.mp4"}, {"bytes": 3}, {"digest": "x"}
    full = {**name, **bytes_, **digest}
    same = [full, {**name, **bytes_}, {**name, "bytes": None}, {**full, "name": "a.avi"}]
    assert [source_difference(each, full) for each in same] == [None] * 4
    assert source_difference({**full, "digest": "y"}, full) == "its first or last bytes are others"
    assert source_difference({"name": "a.avi", **bytes_}, full) == "name a.avi, not a.mp4"
    assert source_difference({**full, "bytes": 4}, full) == "bytes 4, not 3"
    assert source_difference({**full, "folder_rate": 25.0}, full) == "folder_rate 25.0, not None"
    nfc, nfd = ({"name": unicodedata.normalize(form, "é.mp4")} for form in ("NFC", "NFD"))
    assert source_difference(nfd, nfc) is None
    more = {"stride": 8, "source": full}
    assert first_difference({**more, "source": {**name, **bytes_}}, more) is None
    assert first_difference({**more, "source": {**name, "bytes": 4}}, more) == (
        "source: bytes 4, not 3"
    )


def test_missing_outputs_makes_outdated_ones_anew_with_a_line(tmp_path, capsys):
    (tmp_path / "out").write_text("old")
    task = Task("in", tmp_path / "out")

    def find(outdated, **arguments):
        return missing_outputs([task], lambda _: None, outdated=outdated, **arguments)

    assert find(lambda _: None) == []
    assert find(lambda _: "it is old") == [task]
    assert capsys.readouterr().out == f"{tmp_path}/out: it is old; it is made anew.\n"
    with pytest.raises(FileExistsError, match="was not written by"):
        find(lambda _: "it is old", is_own=lambda _: False)


def test_missing_outputs_replaces_own_files_only(tmp_path):
    (tmp_path / "out").write_text("another's")
    task = Task("in", tmp_path / "out")

    def find(**arguments):
        return missing_outputs([task], lambda task: "size 1, not 2", overwrite=True, **arguments)

    assert find() == [task]
    with pytest.raises(FileExistsError, match="out: exists already and was not written by"):
        find(is_own=lambda path: path.read_text() == "ours")
    with pytest.raises(FileExistsError, match="out: this command reads it"):
        missing_outputs([Task(str(tmp_path / "out"), tmp_path / "out")], lambda task: "x", True)
