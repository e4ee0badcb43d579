import json
import os

from i3d_tf.system.errors import UserError
from i3d_tf.system.job_status import FAILURES, Failures, job_status
from i3d_tf.system.jobs import Task, run_each, run_job


def write_or_fail(task, staging):
    if task.details:
        raise UserError(task.details)
    (staging / "new").touch()
    os.replace(staging / "new", task.target)


def status(tasks, folder):
    return job_status(folder, ((task.source, [task.target]) for task in tasks))


def test_job_status_counts_what_is_done_missing_and_failed(tmp_path):
    good = [Task(f"good {n}", tmp_path / "run" / f"{n}.txt") for n in range(3)]
    bad = Task("bad", tmp_path / "bad.txt", "it is bad")
    tasks = [*good, bad]
    found = status(tasks, tmp_path)
    assert (found.done, found.failed) == (0, ())
    assert found.missing == ("good 0", "good 1", "good 2", "bad")
    run_job([good[0], bad], run_each(write_or_fail), tmp_path, "working")
    run_job([good[1]], run_each(write_or_fail), tmp_path, "working")
    found = status(tasks, tmp_path)
    assert (found.done, found.missing, found.failed) == (2, ("good 2",), (("bad", "it is bad"),))
    assert not found.is_done
    assert found.lines() == [
        "failed: bad: it is bad",
        f"{tmp_path}: 2 of 4 done, 1 missing, 1 failed",
    ]
    assert json.loads("".join(found.lines(as_json=True))) == {
        "folder": str(tmp_path),
        "done": 2,
        "missing": ["good 2"],
        "failed": [{"path": "bad", "reason": "it is bad"}],
    }


def test_failure_goes_when_its_output_is_made(tmp_path):
    for details in ("it is bad", "it is worse", None):
        task = Task("a", tmp_path / "a.txt", details)
        run_job([task], run_each(write_or_fail), tmp_path, "working")
        assert Failures(tmp_path).reason(task.target) == details
    assert os.listdir(tmp_path) == ["a.txt"]
    assert status([task], tmp_path).is_done


def test_failure_of_an_output_that_is_there_does_not_count(tmp_path):
    task = Task("a", tmp_path / "a.txt", "it is bad")
    run_job([task], run_each(write_or_fail), tmp_path, "working")
    task.target.touch()  # by another process on the same shard
    assert status([task], tmp_path).is_done


def test_failures_of_several_processes_do_not_replace_each_other(tmp_path):
    for n in range(20):  # each as a process of its own sees the folder
        Failures(tmp_path).add(tmp_path / "run" / f"{n}.txt", f"{n}", f"reason {n}", tmp_path)
    found = Failures(tmp_path)
    assert [found.reason(tmp_path / "run" / f"{n}.txt") for n in range(20)] == [
        f"reason {n}" for n in range(20)
    ]
    assert found.reason(tmp_path / "run" / "20.txt") is None


def test_failure_that_is_damaged_still_counts(tmp_path):
    Failures(tmp_path).add(tmp_path / "a.txt", "a", "it is bad", tmp_path)
    (path,) = (tmp_path / FAILURES).iterdir()
    for content in ("", "[]", "{", '{"reason": 3}', "[" * 10**5):
        path.write_text(content)
        reason = Failures(tmp_path).reason(tmp_path / "a.txt")
        assert reason == f"it failed, but {path} does not say why"


def test_failures_write_again_where_their_folder_goes(tmp_path, monkeypatch):
    found, removed = Failures(tmp_path), []
    replace = os.replace

    def remove_once(source, target):
        if not removed:
            removed.append(target)
            (tmp_path / FAILURES).rmdir()
        replace(source, target)

    monkeypatch.setattr(os, "replace", remove_once)
    found.add(tmp_path / "a.txt", "a", "it is bad", tmp_path)
    assert removed
    assert Failures(tmp_path).reason(tmp_path / "a.txt") == "it is bad"


def test_failure_of_a_name_that_is_too_long_is_kept(tmp_path):
    task = Task("long", tmp_path / (300 * "a"))
    run_job([task], run_each(write_or_fail), tmp_path, "working")
    assert status([task], tmp_path).failed == (
        ("long", "its output cannot be written: its name has 300 bytes, which is too long"),
    )
