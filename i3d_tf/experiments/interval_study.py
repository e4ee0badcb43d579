"""A small network learns when actions happen in long videos; clips are what it is compared with."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from i3d_tf.data.intervals import read_intervals
from i3d_tf.evaluation.evaluate_intervals import IntervalOptions, evaluate_intervals
from i3d_tf.evaluation.video_scores import VideoScores, score_scale
from i3d_tf.experiments.make_stick_intervals import INTERVALS_FILE, make_stick_intervals
from i3d_tf.metrics.average_precision import class_average_precisions
from i3d_tf.specs.recipe import FRAMES, FULL, Recipe
from i3d_tf.specs.recipes import RECIPES, STICK_ACTIONS, for_task
from i3d_tf.specs.stick_actions import STICK_NETWORKS
from i3d_tf.system.console import quiet_tensorflow
from i3d_tf.system.files import atomic_write
from i3d_tf.system.worker_pool import run_in_process
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.viz.interval_timeline import (
    WIDTH,
    TimelineRow,
    interval_timeline_svg,
    timeline_height,
)
from i3d_tf.viz.svg import captioned_svg

INIT = STICK_NETWORKS["rgb"]  # knows the actions, of clips with one each
STEPS = 600
GRACE = 60.0  # seconds that a training has to save its state when it is stopped
PICTURE = "intervals.svg"
FINDING = (
    "the probability of each action at every frame, blue where it happens and orange elsewhere; "
    "black bars are the true actions."
)

Row = tuple[str, float]  # (predictions, their mean average precision)


def interval_recipe(steps: int = STEPS) -> Recipe:
    """Returns the recipe: all layers, on 2.6 s of 12.5 frames a second.

    At that rate the network's steps are 0.64 s apart, and an action takes 1.2 to 2.2 s.

    Args:
        steps: Updates.
    """
    return dataclasses.replace(
        for_task(RECIPES[STICK_ACTIONS], FRAMES),
        frame_rate=12.5,
        train_frames=32,
        test_frames=32,
        steps=steps,
        evaluate_every=max(1, steps // 2),
        learning_rates=(1e-3,),
        dropout_rate=0.2,
        transfer=FULL,
        init=INIT,
    )


def study_intervals(folder: Path, steps: int = STEPS, seed: int = 0) -> list[Row]:
    """Renders long videos, trains a network on their frames, and evaluates it.

    Writes the score and the page of the network to `report/` and of the network of clips to
    `clip_report/`, and a picture of a test video, `intervals.svg`.

    Args:
        folder: For data, run and reports; what is there already is not made again.
        steps: Updates.
        seed: Of the training.

    Returns:
        The mean average precision over the frames of the test videos, of several predictions.
    """
    data_dir, run = folder / "data", folder / "run"
    make_stick_intervals(data_dir)
    intervals = str(data_dir / INTERVALS_FILE)
    recipe = interval_recipe(steps)
    options = TrainOptions(
        data_dir=str(data_dir),
        workdir=str(run),
        intervals=intervals,
        transfer=recipe.transfer,
        init=recipe.init,
        seed=seed,
    )
    # In a process of its own, because TensorFlow keeps the memory of every network.
    run_in_process(train_quietly, recipe, options, grace=GRACE)
    scores = {}
    for name, checkpoint in {"report": str(run), "clip_report": INIT}.items():
        scores[name] = evaluate_intervals(
            IntervalOptions(
                str(data_dir), intervals, str(folder / name), {"rgb": checkpoint}, FRAMES
            )
        )
    names = read_intervals(intervals).class_names
    trained, clips = scores["report"].videos, scores["clip_report"].videos
    _write_picture(folder / PICTURE, trained, names)
    return [
        ("trained on frames, at every frame", scores["report"].mean),
        ("the network of clips it started from, at every frame", scores["clip_report"].mean),
        ("the network of clips, its mean over the video at every frame", spread(clips, np.mean)),
        ("the true actions of the video at every frame", _true_spread(trained)),
    ]


def train_quietly(recipe: Recipe, options: TrainOptions):
    """Trains a network, without TensorFlow's messages."""
    quiet_tensorflow()
    train(recipe, options)


def spread(videos: Sequence[VideoScores], summary) -> float:
    """Returns the mean average precision of one answer a video, given at all its frames.

    Args:
        videos: Scores at every frame.
        summary: Function of scores (T, classes) and axis to those of the video, such as np.mean.
    """
    return _mean_ap(
        videos, [np.tile(summary(video.values, axis=0), (len(video.times), 1)) for video in videos]
    )


def _true_spread(videos):
    return _mean_ap(
        videos, [np.tile(video.targets.any(axis=0), (len(video.times), 1)) for video in videos]
    )


def _mean_ap(videos, values):
    targets = np.concatenate([video.targets for video in videos])
    return class_average_precisions(np.concatenate(values).astype(np.float32), targets).mean


def _write_picture(path, videos, names):
    """Draws the test video of the median average precision: its actions and their scores."""
    ranked = sorted(videos, key=lambda video: video.average_precision)
    video = ranked[len(ranked) // 2]
    values = score_scale([video], are_logits=True)(video.values)
    labels = dict.fromkeys(interval.label for interval in video.actions.intervals)
    rows = [
        TimelineRow(
            names[label],
            values[:, label],
            tuple((start, end) for k, start, end in video.actions.intervals if k == label),
        )
        for label in labels
    ]
    title = f"{video.actions.name}, a test video"
    picture = interval_timeline_svg(video.times, rows, video.actions.duration, title)
    text = captioned_svg(picture, WIDTH, timeline_height(len(rows)), f"{title}: {FINDING}")
    with atomic_write(path) as temporary:
        temporary.write_text(f"{text}\n", "utf-8")
