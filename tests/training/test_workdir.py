import errno
import os

import keras
import pytest

from i3d_tf.training.workdir import Workdir, versions

SETTINGS = {"steps": 12, "boundaries": (3, 6), "class_names": ("run", "jump")}


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def workdir(tmp_path):
    workdir = Workdir(tmp_path / "räns" / "one")
    assert workdir.begin(SETTINGS, {"data": {}}) is False
    return workdir


def names(workdir):
    return sorted(path.name for path in workdir.path.iterdir())


def test_the_newest_state_takes_the_place_of_older_ones(workdir, model):
    assert workdir.latest() is None
    for step in (5, 10):
        workdir.save(model, step)
        assert workdir.latest() == (step, workdir.path / f"step_{step:08d}.keras")
    assert names(workdir) == ["run.json", "step_00000010.keras"]


def test_the_best_state_is_a_copy_of_the_newest(workdir, model):
    workdir.save(model, 5)
    workdir.keep_as_best()
    _, newest = workdir.latest()
    assert workdir.best.read_bytes() == newest.read_bytes()


def test_the_same_settings_go_on(workdir, model):
    assert workdir.begin(SETTINGS, {}) is False  # there is nothing yet to go on from
    workdir.save(model, 5)
    assert Workdir(workdir.path).begin(SETTINGS, {}) is True


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 13}, "holds a run with steps=12, not 13. Name another --workdir, or use the"),
        ({"boundaries": ()}, r"boundaries=\[3, 6\], not \[\]"),
        ({"class_names": ("jump", "run")}, r"class_names=\['run', 'jump'\], not \['jump', 'run'\]"),
        ({"seed": 0}, "holds a run with seed=None, not 0"),
    ],
)
def test_other_settings_are_refused_by_name(workdir, model, changes, message):
    workdir.save(model, 5)
    before = (workdir.path / "run.json").read_bytes()
    with pytest.raises(ValueError, match=message):
        workdir.begin(SETTINGS | changes, {})
    assert (workdir.path / "run.json").read_bytes() == before


def test_settings_may_change_before_the_first_state(workdir):
    assert workdir.begin(SETTINGS | {"steps": 13}, {}) is False
    assert '"steps": 13' in (workdir.path / "run.json").read_text("utf-8")


def test_what_a_killed_process_left_goes_and_nothing_else(workdir):
    leftovers = (".step_00000005.keras.0a1b2c3d.part.keras", ".history.jsonl.0a1b2c3d.part")
    for name in (*leftovers, ".best.keras.0a1b2c3d.part", ".notes.part", "notes.txt"):
        (workdir.path / name).touch()
    workdir.begin(SETTINGS, {})
    assert names(workdir) == [".notes.part", "notes.txt", "run.json"]


def test_history_keeps_each_evaluation_once(workdir):
    assert workdir.history() == []
    for step, accuracy in ((5, 0.2), (10, 0.4), (10, 0.5)):
        workdir.add_history({"step": step, "test_accuracy": accuracy})
    assert workdir.history() == [
        {"step": 5, "test_accuracy": 0.2},
        {"step": 10, "test_accuracy": 0.5},
    ]


def test_a_save_that_fails_changes_nothing(workdir, model, monkeypatch):
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


def test_a_full_disk_is_one_clear_line(workdir, model, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    message = r"one: a file of 1\.0 MB cannot be written there \(No space left on device\)"
    with pytest.raises(OSError, match=message):
        workdir.save(model, 5)
    assert names(workdir) == ["run.json"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"`workdir` .*file/run cannot be made \(Not a directory\)"):
        Workdir(tmp_path / "file" / "run")


def test_versions_name_what_a_run_depends_on():
    assert {"python", "tensorflow", "keras", "av", "git_commit"} <= set(versions())


def test_videos_that_could_not_be_read_are_remembered(workdir):
    workdir.keep_unreadable({})
    assert (names(workdir), workdir.unreadable()) == (["run.json"], {})
    workdir.keep_unreadable({"ü.mp4": "it is empty (0 bytes)"})
    assert Workdir(workdir.path).unreadable() == {"ü.mp4": "it is empty (0 bytes)"}
