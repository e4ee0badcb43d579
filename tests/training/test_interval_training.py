"""Training on actions in time: which there are in a clip, and in which of its frames."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from i3d_tf.data.pipeline import evaluation_clips
from i3d_tf.inference.frame_logits import VideoLogits
from i3d_tf.layers.head import HeadPool, Logits
from i3d_tf.specs.geometry import head_positions
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.specs.recipes import for_task
from i3d_tf.training import model as training_model
from i3d_tf.training import periodic_evaluation
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.video.encode import write_video
from i3d_tf.zoo.checkpoint import open_checkpoint

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture
def tiny_networks(small_network, monkeypatch):
    """A network with as many steps as I3D, without its layers, is trained on frames."""
    build_other = training_model.NETWORKS["inception_i3d"]

    def build(recipe, classes, all_steps=False, **arguments):
        if not all_steps:
            return build_other(recipe, classes, **arguments)
        clip = keras.Input((None, 32, 32, 3))
        steps = HeadPool()(keras.layers.AveragePooling3D((8, 32, 32), padding="same")(clip))
        return keras.Model(clip, Logits(classes, all_steps=True, name="Logits")(steps))

    monkeypatch.setitem(training_model.NETWORKS, "inception_i3d", build)
    monkeypatch.setattr(periodic_evaluation, "FrameLogits", WholeClips)


class WholeClips:
    """The logits of whole videos, as `FrameLogits` computes them of I3D in parts."""

    def __init__(self, model, config, step_rule):
        self.model, self.config, self.rule = model, config, step_rule

    def of_all(self, failures):
        for clips, numbers, _ in evaluation_clips(self.config, failures):
            steps = np.array(self.model(clips))[0]
            positions = np.array(head_positions(I3D, 16, self.rule))
            example = self.config.examples[int(numbers[0])]
            yield example, VideoLogits(steps, positions, 16, 25.0)


@pytest.fixture(scope="module")
def timed_dir(tmp_path_factory):
    """Two training videos and a test video of 16 frames, dark, and bright when it is day."""
    folder = tmp_path_factory.mktemp("timed")
    rows = ["id,start,end,class,split"]
    for number, split in enumerate(("train", "train", "test")):
        levels = np.where(np.arange(16) < 8, 40, 200)[:: (-1) ** number]
        frames = np.broadcast_to(levels[:, None, None, None], (16, 32, 32, 3))
        write_video(folder / f"{number}.mp4", frames.astype(np.uint8))
        start = 0 if number % 2 else 0.32
        rows += [f"{number},{start},{start + 0.31},day,{split}", f"{number},0,9,sky,{split}"]
    rows.append("gone,,,,train")
    (folder / "when.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def options(timed_dir, tmp_path):
    return TrainOptions(
        data_dir=str(timed_dir),
        workdir=str(tmp_path / "run"),
        intervals=str(timed_dir / "when.csv"),
        workers=1,
    )


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    return dataclasses.replace(tiny_recipe, train_frames=16, test_frames=16, steps=1, short_side=32)


@pytest.mark.parametrize(
    ("task", "shape"), [("frames", (None, None, 2)), ("multilabel", (None, 2))]
)
def test_run_is_measured_by_its_mean_average_precision(recipe, options, task, shape, capsys):
    workdir = train(for_task(recipe, task), options)
    (row,) = workdir.history()
    assert 0 < row["test_map"] <= 1
    assert row["test_videos"] == 1
    output = capsys.readouterr().out
    assert "step 1: test mean average precision" in output
    assert "missing: gone" in output
    checkpoint = open_checkpoint(workdir.path)
    assert (checkpoint.class_names, checkpoint.step_rule) == (("day", "sky"), "centers")
    assert checkpoint.model.output_shape == shape
    settings = json.loads((workdir.path / "run.json").read_text())["settings"]
    assert settings["task"] == task


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intervals": None}, "`intervals` must be an annotation file for `task` 'frames'"),
        ({"class_weights": True}, "`class_weights` is not for `task` 'frames'"),
        ({"annotation": "a.csv"}, "`annotation` is not for `task` 'frames'"),
    ],
)
def test_options_that_do_not_go_with_the_task_are_refused(recipe, options, changes, message):
    with pytest.raises(ValueError, match=message):
        train(for_task(recipe, "frames"), dataclasses.replace(options, **changes))


def test_intervals_need_a_task(tiny_recipe, options):
    with pytest.raises(ValueError, match="`intervals` must be None for `task` 'clip'"):
        train(tiny_recipe, options)


def test_videos_for_training_and_for_testing_are_refused(recipe, options, timed_dir, tmp_path):
    path = tmp_path / "all.csv"
    path.write_text((timed_dir / "when.csv").read_text().replace("split", "part"))
    with pytest.raises(ValueError, match="3 of its videos are for training and for testing, such"):
        train(for_task(recipe, "frames"), dataclasses.replace(options, intervals=str(path)))
