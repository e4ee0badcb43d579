"""Whole runs on clips of a square that moves left, right, up or down."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from i3d_tf.training import train as train_file
from i3d_tf.training.callbacks import Scalars
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.training.workdir import Workdir
from i3d_tf.zoo.checkpoint import open_checkpoint

pytestmark = pytest.mark.usefixtures("eager_training")


@pytest.fixture(scope="module")
def broken_dir(squares_dir, tmp_path_factory):
    """The squares with a video that cannot be read in each split."""
    folder = tmp_path_factory.mktemp("broken") / "squares"
    shutil.copytree(squares_dir, folder)
    for split in ("train", "test"):
        (folder / split / "up" / "broken.mp4").write_bytes(b"not a video")
    return folder


def state(workdir):
    """Every array of the newest state, the optimizer's too, by name."""
    import io
    import zipfile

    import h5py

    found = {}
    content = zipfile.ZipFile(workdir.latest()[1]).read("model.weights.h5")

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(note)
    return found


def interrupt_at(monkeypatch, step):
    """Presses Ctrl-C once, during a step."""
    on_train_batch_end = Scalars.on_train_batch_end

    def press(self, batch, logs=None):
        on_train_batch_end(self, batch, logs)
        if self.first_step + batch + 1 == step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Scalars, "on_train_batch_end", press)


@pytest.mark.slow
def test_a_stopped_run_ends_as_one_that_was_not(
    tiny_recipe, broken_dir, tmp_path, monkeypatch, capsys
):
    recipe = dataclasses.replace(tiny_recipe, steps=4, evaluate_every=2, weight_decay=1e-3)
    common = {"data_dir": str(broken_dir), "deterministic": True, "accumulate": 2, "seed": 3}
    whole = train(recipe, TrainOptions(workdir=str(tmp_path / "whole"), **common))
    assert [row["step"] for row in whole.history()] == [2, 4]
    assert {row["test_videos"] for row in whole.history()} == {4}
    capsys.readouterr()

    options = TrainOptions(workdir=str(tmp_path / "stopped"), **common)
    with monkeypatch.context() as patches:  # Ctrl-C in the middle of an accumulation
        interrupt_at(patches, 1)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, options)
    stopped = Workdir(options.workdir)
    assert stopped.latest()[0] == 1
    assert "Saved step 1 in" in capsys.readouterr().err
    with monkeypatch.context() as patches:  # the end, between a state and the record of it
        patches.setattr(Workdir, "add_history", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            train(recipe, options)
    assert (stopped.latest()[0], stopped.history()) == (2, [])
    assert train(recipe, options).path == stopped.path
    said = capsys.readouterr().out
    assert "going on from step 2 of 4" in said
    assert said.count("step 2: test accuracy") == 2  # once by the one that ended, once recorded
    assert "2 videos could not be read and taught nothing:" in said
    for split in ("train", "test"):
        assert f"{broken_dir}/{split}/up/broken.mp4: it is not a video that FFmpeg" in said

    assert stopped.history() == whole.history()
    expected, found = state(whole), state(stopped)
    assert set(expected) == set(found)
    assert any(name.startswith("optimizer/") for name in expected)
    for name, value in expected.items():
        assert value.tobytes() == found[name].tobytes(), name


def test_a_finished_run_is_left_as_it_is_and_another_is_refused(tiny_recipe, squares_dir, tmp_path):
    recipe = dataclasses.replace(tiny_recipe, steps=1)
    options = TrainOptions(data_dir=str(squares_dir), workdir=str(tmp_path))
    workdir = train(recipe, options)
    assert [row["step"] for row in workdir.history()] == [1]  # the last step is evaluated, too
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    assert {"best.keras", "history.jsonl", "run.json", "step_00000001.keras"} == set(before)
    train(recipe, options)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before
    with pytest.raises(ValueError, match="holds a run with seed=0, not 1"):
        train(recipe, dataclasses.replace(options, seed=1))
    record = json.loads(before["run.json"])
    assert record["class_names"] == ["down", "left", "right", "up"]
    assert record["settings"]["train_videos"] == 12
    assert record["data"]["train"]["found"] == 12
    assert record["versions"]["keras"]
    found = open_checkpoint(tmp_path)
    assert (found.stream, found.precision) == ("rgb", "float32")
    assert (found.protocol.frames, found.protocol.crop_size) == (9, 32)


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_videos(
    tiny_recipe, squares_dir, tmp_path
):
    recipe = dataclasses.replace(tiny_recipe, learning_rates=(1e30,))
    options = TrainOptions(data_dir=str(squares_dir), workdir=str(tmp_path))
    with pytest.raises(FloatingPointError, match=r"the loss is \S+ at step 1; its videos") as said:
        train(recipe, options)
    assert str(said.value).count(".mp4") == 2
    assert Workdir(tmp_path).latest() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transfer": "full"}, "`transfer` 'full' needs an `init`"),
        ({"transfer": "most"}, "`transfer` must be one of"),
        ({"precision": "half"}, "`precision` must be one of"),
        ({"freeze_batch_norm": True}, "`freeze_batch_norm` needs an `init`"),
    ],
)
def test_options_that_cannot_be(tiny_recipe, squares_dir, tmp_path, changes, message):
    options = TrainOptions(data_dir=str(squares_dir), workdir=str(tmp_path), **changes)
    with pytest.raises(ValueError, match=message):
        train(tiny_recipe, options)
    # What was wrong can be put right without another folder.
    assert Workdir(tmp_path).begin({"anything": "else"}, {}) is False


class BegunError(Exception):
    """Training begins; its phases are the argument."""


def begin(phases, *_):
    raise BegunError(phases)


def test_small_batches_are_warned_of(
    tiny_recipe, squares_dir, tiny_dir, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(train_file, "train_batches", begin)
    for frozen in (False, True):
        options = TrainOptions(
            data_dir=str(squares_dir),
            workdir=str(tmp_path / str(frozen)),
            transfer="full",
            init="tiny_rgb",
            checkpoint_dir=str(tiny_dir),
            freeze_batch_norm=frozen,
        )
        with pytest.warns(UserWarning, match="but Logits, untrained"), pytest.raises(BegunError):
            train(tiny_recipe, options)
        warned = "Consider --freeze_batch_norm" in capsys.readouterr().err
        assert warned is not frozen


def test_class_weights_are_inverse_to_the_number_of_clips(
    tiny_recipe, squares_dir, tmp_path, monkeypatch
):
    folder = tmp_path / "squares"
    shutil.copytree(squares_dir, folder)
    for number in (0, 1):
        (folder / "train" / "left" / f"{number}.mp4").unlink()
    monkeypatch.setattr(train_file, "train_batches", begin)
    options = TrainOptions(data_dir=str(folder), workdir=str(tmp_path / "run"), class_weights=True)
    with pytest.raises(BegunError) as begun:
        train(tiny_recipe, options)
    (phases,) = begun.value.args
    counts = np.array([3, 1, 3, 3])
    weights = np.array(phases.class_weights)
    assert weights * counts == pytest.approx(np.full(4, 2.5))  # every class weighs the same
    assert phases.batch_size == 2


def test_flow_that_cannot_be_kept_is_one_clear_error(tiny_recipe, squares_dir, tmp_path):
    (tmp_path / "flow").write_text("a file where the folder should be")
    recipe = dataclasses.replace(tiny_recipe, stream="flow")
    options = TrainOptions(
        data_dir=str(squares_dir),
        workdir=str(tmp_path / "run"),
        flow_dir=str(tmp_path / "flow"),
    )
    with pytest.raises(OSError, match="flow"):
        train(recipe, options)


@pytest.mark.slow
def test_eight_clips_are_learned_by_heart(tiny_recipe, squares_dir, tmp_path, monkeypatch):
    monkeypatch.undo()  # in a graph, as people train
    folder = tmp_path / "squares"
    shutil.copytree(squares_dir, folder)
    for path in folder.glob("train/*/2.mp4"):
        path.unlink()
    recipe = dataclasses.replace(
        tiny_recipe,
        test_split="train",
        short_side=32,
        width_multiplier=1 / 8,
        dropout_rate=0.0,
        flip=False,  # what moves to the left would move to the right
        batch_size=8,
        steps=60,
        optimizer="adamw",
        schedule="cosine",
        learning_rates=(0.01,),
        evaluate_every=60,
    )
    workdir = train(recipe, TrainOptions(data_dir=str(folder), workdir=str(tmp_path / "run")))
    assert workdir.history() == [{"step": 60, "test_accuracy": 1.0, "test_videos": 8}]


MIRRORED = """
import dataclasses, sys
import tensorflow as tf
from i3d_tf.training import train as file, training_model
from i3d_tf.specs.recipes import Recipe

(cpu,) = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
file.choose_strategy = lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
batches = file.train_batches

def spied(phases, *arguments):
    print("clips of a batch:", phases.batch_size)
    return batches(phases, *arguments)

compile_model = training_model.compile_model

def eager(model, *arguments):
    compile_model(model, *arguments)
    model.run_eagerly = True

file.train_batches, training_model.compile_model = spied, eager
recipe = Recipe(**eval(sys.argv[1]))
options = file.TrainOptions(data_dir=sys.argv[2], workdir=sys.argv[3])
for _ in range(2):  # the second goes on
    workdir = file.train(recipe, options)
print("evaluated:", [row["step"] for row in workdir.history()])
try:
    other = dataclasses.replace(options, workdir=sys.argv[3] + "/other", accumulate=2)
    file.train(recipe, other)
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_two_replicas_share_a_batch_of_twice_the_size(tiny_recipe, squares_dir, tmp_path):
    recipe = dataclasses.replace(tiny_recipe, steps=2)
    arguments = [repr(dataclasses.asdict(recipe)), str(squares_dir), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "clips of a batch: 4" in done.stdout
    assert "going on from step 2 of 2" in done.stdout
    assert "evaluated: [2]" in done.stdout
    assert "`accumulate` must be 1 on 2 replicas; received 2." in done.stdout
    run = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert run["settings"]["replicas"] == 2
