import errno
import json
import os

import keras
import pytest

from i3d_tf.training.workdir import Start, Workdir, read_earlier, versions

SETTINGS = {"steps": 12, "train_videos": 7, "boundaries": (3, 6)}


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def workdir(tmp_path):
    workdir = Workdir(tmp_path / "räns" / "one")
    assert workdir.start(SETTINGS, {"data": {}}) == Start()
    return workdir


def names(workdir):
    return sorted(path.name for path in workdir.path.iterdir())


def test_save_replaces_older_states(workdir, model):
    assert workdir.latest() is None
    for step in (5, 10):
        workdir.save(model, step)
        assert workdir.latest() == (step, workdir.path / f"step_{step:08d}.keras")
    assert names(workdir) == ["run.json", "step_00000010.keras"]


def test_keep_as_best_copies_newest_state(workdir, model):
    workdir.save(model, 5)
    workdir.keep_as_best()
    _, newest = workdir.latest()
    assert workdir.best.read_bytes() == newest.read_bytes()


def run_json(workdir):
    return json.loads((workdir.path / "run.json").read_text("utf-8"))


def test_start_goes_on_with_the_same_settings(workdir, model):
    assert workdir.start(SETTINGS, {}) == Start()  # there is nothing yet to go on from
    workdir.save(model, 5)
    before = run_json(workdir)
    start = Workdir(workdir.path).start(SETTINGS, {"data": "new"})
    assert start == Start(5, workdir.path / "step_00000005.keras")
    assert run_json(workdir) == before


def test_start_refuses_other_settings(workdir, model):
    workdir.save(model, 5)
    before = (workdir.path / "run.json").read_bytes()
    with pytest.raises(ValueError, match=r"one: holds a run with boundaries=\[3, 6\], not \[\]"):
        workdir.start(SETTINGS | {"boundaries": ()}, {})
    assert (workdir.path / "run.json").read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 3}'])
def test_start_names_damaged_settings(workdir, model, text):
    workdir.save(model, 5)
    (workdir.path / "run.json").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"run\.json: not the settings of a training run"):
        workdir.start(SETTINGS, {})


def test_settings_may_change_before_the_first_state(workdir):
    assert workdir.start(SETTINGS | {"boundaries": ()}, {}) == Start()
    assert run_json(workdir)["settings"]["boundaries"] == []


def test_start_with_other_videos_and_steps_keeps_the_earlier_record(workdir, model):
    first = run_json(workdir)
    workdir.save(model, 5)
    start = workdir.start(SETTINGS | {"train_videos": 8}, {"data": {"found": 8}})
    assert (start.changed, start.epoch_start_step) == ({"train_videos": (7, 8)}, 5)
    second = run_json(workdir)
    assert (second["settings"]["train_videos"], second["data"]) == (8, {"found": 8})
    assert second["earlier"] == [{"until_step": 5, **first}]
    workdir.save(model, 9)
    longer = SETTINGS | {"train_videos": 8, "steps": 20}
    start = workdir.start(longer, {})
    assert (start.step, start.changed, start.epoch_start_step) == (9, {"steps": (12, 20)}, 5)
    third = run_json(workdir)
    assert [entry["until_step"] for entry in third["earlier"]] == [5, 9]
    assert [entry["settings"]["steps"] for entry in third["earlier"]] == [12, 12]
    assert "earlier" not in third["earlier"][1]
    assert workdir.start(longer, {}).epoch_start_step == 5
    assert run_json(workdir) == third


def test_start_removes_what_a_killed_run_left_half_written(workdir, model):
    workdir.save(model, 5)
    (workdir.path / ".unfinished-0a1b2c3d").mkdir()
    (workdir.path / ".unfinished-0a1b2c3d/lock").touch()
    (workdir.path / ".unfinished-0a1b2c3d/half.keras").touch()
    (workdir.path / ".notes.part").touch()
    workdir.start(SETTINGS, {})  # which itself writes nothing
    assert names(workdir) == [".notes.part", "run.json", "step_00000005.keras"]


def test_history_keeps_each_evaluation_once(workdir):
    assert workdir.history() == []
    for step, accuracy in ((5, 0.2), (10, 0.4), (10, 0.5)):
        workdir.add_history({"step": step, "test_accuracy": accuracy})
    assert workdir.history() == [
        {"step": 5, "test_accuracy": 0.2},
        {"step": 10, "test_accuracy": 0.5},
    ]


def test_failed_save_changes_nothing(workdir, model, monkeypatch):
    workdir.save(model, 5)
    before = workdir.latest()[1].read_bytes()

    def half(path):
        path.write_bytes(b"half")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(model, "save", half)
    with pytest.raises(OSError, match="Input/output error"):
        workdir.save(model, 10)
    assert names(workdir) == ["run.json", "step_00000005.keras"]
    assert workdir.latest()[1].read_bytes() == before


def test_full_disk_is_one_clear_line(workdir, model, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    message = r"one: a file of 1\.0 MB cannot be written there \(No space left on device\)"
    with pytest.raises(OSError, match=message):
        workdir.save(model, 5)
    assert names(workdir) == ["run.json"]


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"`workdir` .*file/run cannot be made \(Not a directory\)"):
        Workdir(tmp_path / "file" / "run")


def test_versions_of_libraries_and_commit():
    assert {"python", "tensorflow", "keras", "av", "git_commit"} <= set(versions())


def test_unreadable_videos_are_kept(workdir):
    workdir.keep_unreadable({})
    assert (names(workdir), workdir.unreadable()) == (["run.json"], {})
    workdir.keep_unreadable({"ü.mp4": "it is empty (0 bytes)"})
    assert Workdir(workdir.path).unreadable() == {"ü.mp4": "it is empty (0 bytes)"}


@pytest.mark.parametrize("name", ["best.keras", "history.jsonl", "unreadable.json"])
def test_start_keeps_files_that_are_not_of_a_run(tmp_path, name):
    workdir = Workdir(tmp_path)
    (workdir.path / name).write_text("mine")
    with pytest.raises(FileExistsError, match=f"{name}: exists already and was not written by"):
        workdir.start({"steps": 1}, {})


def test_start_keeps_settings_of_another_program(tmp_path):
    workdir = Workdir(tmp_path)
    (workdir.path / "run.json").write_text("[]")
    with pytest.raises(ValueError, match=r"run\.json: not the settings of a training run"):
        workdir.start({"steps": 1}, {})
    assert (workdir.path / "run.json").read_text() == "[]"


@pytest.mark.parametrize("text", ["[]", "{", '{"a.mp4": 5}'])
def test_damaged_list_of_unreadable_videos_is_named(workdir, text):
    (workdir.path / "unreadable.json").write_text(text)
    with pytest.raises(ValueError, match=r"unreadable\.json: not a list of unreadable videos"):
        workdir.unreadable()


def test_start_records_a_split_that_changed(workdir, model):
    split = {"train": ("a/1.mp4",), "test": ("a/2.mp4",)}
    workdir.start(SETTINGS, {"split": split})
    workdir.save(model, 5)
    before = run_json(workdir)
    workdir.start(SETTINGS, {"split": split})
    assert run_json(workdir) == before
    start = workdir.start(SETTINGS, {"split": {**split, "train": ("a/3.mp4",)}})
    assert (start.step, start.changed, start.epoch_start_step) == (5, {}, 0)
    record = run_json(workdir)
    assert record["split"]["train"] == ["a/3.mp4"]
    assert record["earlier"][0]["split"]["train"] == ["a/1.mp4"]


def test_names_of_files_that_are_not_utf_8_are_recorded(workdir):
    names = ["a/\udcff.mp4", "ä/🙂.mp4"]
    workdir.start(SETTINGS, {"split": {"train": names, "test": []}})
    assert run_json(workdir)["split"]["train"] == names
    workdir.keep_unreadable(dict.fromkeys(names, "it is empty"))
    assert list(workdir.unreadable()) == names


def test_read_earlier_needs_a_saved_state(workdir, model, tmp_path):
    assert read_earlier(tmp_path / "none") is None
    assert read_earlier(workdir.path) is None
    workdir.save(model, 5)
    assert read_earlier(workdir.path) == run_json(workdir)
