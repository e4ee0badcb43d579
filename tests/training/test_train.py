"""Whole runs on clips of a square that moves left, right, up or down."""

import dataclasses
import io
import json
import shutil
import signal
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from i3d_tf.data.example import VideoExample
from i3d_tf.system.console import Terminated
from i3d_tf.system.files import folder_lock
from i3d_tf.training import model as training_model
from i3d_tf.training import run as run_file
from i3d_tf.training.callbacks import Scalars
from i3d_tf.training.run import class_weights
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.training.workdir import Start, Workdir
from i3d_tf.zoo.checkpoint import open_checkpoint

pytestmark = pytest.mark.usefixtures("small_network")


@pytest.fixture(scope="module")
def broken_dir(squares_dir, tmp_path_factory):
    """The squares with a video that cannot be read in each split."""
    folder = tmp_path_factory.mktemp("broken") / "squares"
    shutil.copytree(squares_dir, folder)
    for split in ("train", "test"):
        (folder / split / "up" / "broken.mp4").write_bytes(b"not a video")
    return folder


def state(workdir):
    """Bytes of every array of the newest state, the optimizer's too, by name."""
    found = {}
    content = zipfile.ZipFile(workdir.latest()[1]).read("model.weights.h5")

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(note)
    return found


@pytest.fixture
def train_until(monkeypatch):
    """Function: (step, recipe, options, signal) -> trains, and sends the signal during a step."""

    def run(step, recipe, options, number=signal.SIGINT):
        on_train_batch_end = Scalars.on_train_batch_end

        def send(self, batch, logs=None):
            on_train_batch_end(self, batch, logs)
            if self.first_step + batch + 1 == step:
                signal.raise_signal(number)

        error = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        with monkeypatch.context() as patches:
            patches.setattr(Scalars, "on_train_batch_end", send)
            with pytest.raises(error):
                train(recipe, options)
        assert Workdir(options.workdir).latest()[0] == step

    return run


def test_stopped_run_ends_as_one_that_was_not(
    tiny_recipe, broken_dir, tmp_path, train_until, monkeypatch, capsys
):
    recipe = dataclasses.replace(tiny_recipe, steps=4, evaluate_every=2, weight_decay=1e-3)
    common = {"data_dir": str(broken_dir), "deterministic": True, "accumulate": 2, "seed": 3}
    whole = train(recipe, TrainOptions(workdir=str(tmp_path / "whole"), **common))
    assert [row["step"] for row in whole.history()] == [2, 4]
    assert {row["test_videos"] for row in whole.history()} == {4}
    capsys.readouterr()

    options = TrainOptions(workdir=str(tmp_path / "stopped"), **common)
    train_until(1, recipe, options, signal.SIGTERM)  # in the middle of an accumulation
    assert "Saved step 1 in" in capsys.readouterr().err
    stopped = Workdir(options.workdir)
    with monkeypatch.context() as patches:  # killed between a state and its line in the history
        patches.setattr(Workdir, "add_history", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            train(recipe, options)
    assert (stopped.latest()[0], stopped.history()) == (2, [])
    train_until(3, recipe, options)
    assert train(recipe, options).path == stopped.path
    output = capsys.readouterr().out
    assert "going on from step 2 of 4" in output
    assert output.count("step 2: test accuracy") == 2  # by the killed run, and again
    assert "unreadable videos, excluded: 2" in output
    for split in ("train", "test"):
        assert f"{broken_dir}/{split}/up/broken.mp4: it is not a video that FFmpeg" in output

    assert stopped.history() == whole.history()
    expected, found = state(whole), state(stopped)
    assert any(name.startswith("optimizer/") for name in expected)
    assert found == expected


def test_train_refuses_a_folder_that_another_process_trains_in(tiny_recipe, squares_dir, tmp_path):
    recipe = dataclasses.replace(tiny_recipe, steps=1)
    options = TrainOptions(workdir=str(tmp_path / "run"), data_dir=str(squares_dir))
    (tmp_path / "run").mkdir()
    with folder_lock(tmp_path / "run"):
        message = "run: another process is writing into this folder. Wait until it has ended"
        with pytest.raises(BlockingIOError, match=message):
            train(recipe, options)
        assert list((tmp_path / "run").iterdir()) == []
    assert train(recipe, options).latest()[0] == 1


@pytest.mark.slow
def test_run_goes_on_with_other_videos_and_more_steps(
    tiny_recipe, squares_dir, tmp_path, train_until, monkeypatch, capsys
):
    data_dir = tmp_path / "squares"
    shutil.copytree(squares_dir, data_dir)
    recipe = dataclasses.replace(tiny_recipe, steps=4, evaluate_every=4, schedule="cosine")
    common = {"data_dir": str(data_dir), "deterministic": True}
    options = [TrainOptions(workdir=str(tmp_path / name), **common) for name in ("a", "b")]
    train_until(3, recipe, options[0])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (data_dir / "train" / "left" / "0.mp4").unlink()
    longer = dataclasses.replace(recipe, steps=8)
    capsys.readouterr()
    first = train(longer, options[0])
    line = (
        f"{first.path}: goes on with 11 training videos instead of 12 and 8 steps instead of 4. "
        "From step 3 on, the learning rate is that of a cosine schedule of 8 steps."
    )
    assert line in capsys.readouterr().out.splitlines()
    assert [row["step"] for row in first.history()] == [4, 8]
    run = json.loads((first.path / "run.json").read_text("utf-8"))
    assert (run["settings"]["train_videos"], run["settings"]["steps"]) == (11, 8)
    assert (run["epoch_start_step"], run["data"]["train"]["found"]) == (3, 11)
    assert run["earlier"][0]["settings"]["train_videos"] == 12

    # Stopped once more, it ends the same.
    train_until(6, longer, options[1])
    shown = []
    monkeypatch.setattr(run_file, "train_batches", spy_on_epochs(shown))
    second = train(longer, options[1])
    assert "goes on with" not in capsys.readouterr().out.splitlines()[-1]
    assert set(shown) == {3 * recipe.batch_size}
    assert state(first) == state(second)
    assert first.history() == second.history()


def spy_on_epochs(shown):
    """Notes the position at which epochs start."""
    make_batches = run_file.train_batches

    def spied(config, *arguments, **keywords):
        shown.append(config.epoch_start)
        return make_batches(config, *arguments, **keywords)

    return spied


def test_signal_after_the_last_step_before_an_evaluation_saves_and_stops(
    tiny_recipe, squares_dir, tmp_path, monkeypatch
):
    recipe = dataclasses.replace(tiny_recipe, steps=4, evaluate_every=2)
    options = TrainOptions(data_dir=str(squares_dir), workdir=str(tmp_path))
    monkeypatch.setattr(
        Scalars, "on_train_end", lambda *_: signal.raise_signal(signal.SIGINT), raising=False
    )
    with pytest.raises(KeyboardInterrupt):
        train(recipe, options)
    assert Workdir(tmp_path).latest()[0] == 2
    assert Workdir(tmp_path).history() == []


def test_fewer_steps_than_are_done_are_refused(tiny_recipe, squares_dir, tmp_path, train_until):
    options = TrainOptions(data_dir=str(squares_dir), workdir=str(tmp_path))
    train_until(2, tiny_recipe, options)
    with pytest.raises(ValueError, match="2 steps are done already, more than 1"):
        train(dataclasses.replace(tiny_recipe, steps=1), options)
    workdir = train(dataclasses.replace(tiny_recipe, steps=2), options)  # what is done is enough
    assert [row["step"] for row in workdir.history()] == [2]


def test_train_does_not_change_a_finished_run(tiny_recipe, squares_dir, tmp_path):
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
    run = json.loads(before["run.json"])
    assert list(run) == ["settings", "versions", "class_names", "data"]
    assert run["class_names"] == ["down", "left", "right", "up"]
    assert run["settings"]["train_videos"] == 12
    assert run["data"]["train"]["found"] == 12
    assert run["versions"]["keras"]
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.stream, checkpoint.precision) == ("rgb", "float32")
    assert checkpoint.protocol == recipe.protocol


def test_flow_is_computed_before_training(
    tiny_recipe, squares_dir, squares_flow_dir, tmp_path, capsys
):
    flow_dir = tmp_path / "flow"
    shutil.copytree(squares_flow_dir, flow_dir)
    missing = flow_dir / "test" / "up" / "0.flow.zip"
    expected = missing.read_bytes()
    missing.unlink()
    recipe = dataclasses.replace(tiny_recipe, stream="flow", steps=1)
    options = TrainOptions(
        data_dir=str(squares_dir),
        workdir=str(tmp_path / "run"),
        flow_dir=str(flow_dir),
        flow_engine="dis",
    )
    (row,) = train(recipe, options).history()
    assert row["test_videos"] == 4
    line = f"{flow_dir}: computing flow by dis for 1 videos, 15 already there"
    assert line in capsys.readouterr().out.splitlines()
    assert missing.read_bytes() == expected


def test_flow_folder_that_cannot_be_made(tiny_recipe, squares_dir, tmp_path):
    (tmp_path / "flow").write_text("a file where the folder should be")
    recipe = dataclasses.replace(tiny_recipe, stream="flow")
    options = TrainOptions(
        data_dir=str(squares_dir),
        workdir=str(tmp_path / "run"),
        flow_dir=str(tmp_path / "flow"),
    )
    with pytest.raises(OSError, match="flow"):
        train(recipe, options)


def test_loss_that_is_not_finite_stops_with_step_and_videos(tiny_recipe, squares_dir, tmp_path):
    recipe = dataclasses.replace(tiny_recipe, learning_rates=(1e38,))
    options = TrainOptions(data_dir=str(squares_dir), workdir=str(tmp_path))
    with pytest.raises(
        FloatingPointError, match=r"the loss is \S+ at step \d; its videos"
    ) as error:
        train(recipe, options)
    assert str(error.value).count(".mp4") == 2
    assert Workdir(tmp_path).latest() is None


def test_logits_that_are_not_finite_stop_training(tiny_recipe, squares_dir, tmp_path):
    recipe = dataclasses.replace(tiny_recipe, learning_rates=(1e38,), steps=1)
    options = TrainOptions(data_dir=str(squares_dir), workdir=str(tmp_path))
    with pytest.raises(
        FloatingPointError, match=r"step 1: .*logits are not finite, .*\.mp4\. Start"
    ):
        train(recipe, options)


def test_test_split_without_a_readable_video(tiny_recipe, squares_dir, tmp_path):
    data_dir = tmp_path / "squares"
    shutil.copytree(squares_dir, data_dir)
    for path in data_dir.glob("test/*/*.mp4"):
        path.write_bytes(b"not a video")
    options = TrainOptions(data_dir=str(data_dir), workdir=str(tmp_path / "run"))
    with pytest.raises(ValueError, match="the test split: no video could be read"):
        train(dataclasses.replace(tiny_recipe, steps=1), options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transfer": "full"}, "`transfer` 'full' needs an `init`"),
        ({"precision": "half"}, "`precision` must be one of"),
        ({"freeze_batch_norm": True}, "`freeze_batch_norm` needs an `init`"),
    ],
)
def test_refused_options_leave_the_folder_free(
    tiny_recipe, squares_dir, tmp_path, changes, message
):
    options = TrainOptions(data_dir=str(squares_dir), workdir=str(tmp_path), **changes)
    with pytest.raises(ValueError, match=message):
        train(tiny_recipe, options)
    assert Workdir(tmp_path).start({"anything": "else"}, {}) == Start()


class StartedError(Exception):
    """Training starts; the settings of its pipeline are the argument."""


@pytest.fixture
def no_steps(monkeypatch):
    """Training ends where it would start."""

    def start(config, *_, **__):
        raise StartedError(config)

    monkeypatch.setattr(run_file, "train_batches", start)


@pytest.mark.parametrize("frozen", [False, True])
def test_small_batches_are_warned_of(tiny_recipe, squares_dir, tmp_path, no_steps, capsys, frozen):
    init = training_model.build_model(tiny_recipe, 4)
    init.save(tmp_path / "init.keras")
    options = TrainOptions(
        data_dir=str(squares_dir),
        workdir=str(tmp_path / "run"),
        transfer="full",
        init=str(tmp_path / "init.keras"),
        freeze_batch_norm=frozen,
    )
    with pytest.raises(StartedError):
        train(tiny_recipe, options)
    assert ("Consider --freeze_batch_norm" in capsys.readouterr().err) is not frozen


def test_class_weights_make_every_class_weigh_the_same(
    tiny_recipe, squares_dir, tmp_path, no_steps
):
    labels = [0] * 3 + [1] + [2] * 3 + [3] * 3
    weights = class_weights([VideoExample("", label, "") for label in labels], 5)
    assert np.array(weights[:4]) * [3, 1, 3, 3] == pytest.approx(np.full(4, 2.5))
    options = TrainOptions(data_dir=str(squares_dir), workdir=str(tmp_path), class_weights=True)
    with pytest.raises(StartedError) as started:
        train(tiny_recipe, options)
    (config,) = started.value.args
    assert config.class_weights == (1.0, 1.0, 1.0, 1.0)
    assert config.batch_size == 2


@pytest.mark.slow
def test_i3d_overfits_eight_clips(tiny_recipe, squares_dir, tmp_path, monkeypatch):
    monkeypatch.undo()  # the real network, in a graph, as people train
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
import sys
import tensorflow as tf
from i3d_tf.training import run as run_file, train as file
from i3d_tf.specs.recipe import Recipe

(cpu,) = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
file.choose_strategy = lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
batches = run_file.train_batches

def spied(config, *arguments, **keywords):
    print("clips of a batch:", config.batch_size)
    return batches(config, *arguments, **keywords)

run_file.train_batches = spied
recipe = Recipe(**eval(sys.argv[1]))
options = file.TrainOptions(data_dir=sys.argv[2], workdir=sys.argv[3], sync_batch_norm=True)
for _ in range(2):  # the second goes on
    workdir = file.train(recipe, options)
print("evaluated:", [row["step"] for row in workdir.history()])
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
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "clips of a batch: 4" in done.stdout
    assert "going on from step 2 of 2" in done.stdout
    assert "evaluated: [2]" in done.stdout
    run = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert run["settings"]["replicas"] == 2
