"""A short training on frames finds when actions happen in long videos of the puppeteer."""

import dataclasses
import json

import numpy as np
import pytest

from i3d_tf.data.intervals import interval_targets, read_intervals
from i3d_tf.evaluation.charades import charades_average_precisions, localization_times
from i3d_tf.evaluation.evaluate_intervals import IntervalOptions, evaluate_intervals
from i3d_tf.specs.recipes import RECIPES, for_task
from i3d_tf.synthetic.clip import render_clip
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.video.encode import write_video

ACTIONS = ("climb_up", "open_door", "push_crate")
ROWS = "id,start,end,class,duration,split"


@pytest.fixture(scope="module")
def long_dir(tmp_path_factory):
    """Videos of two actions each, at 25 frames a second, with pauses in which nothing moves."""
    folder, rows = tmp_path_factory.mktemp("long"), [ROWS]
    for split, count in (("train", 12), ("test", 6)):
        for number in range(count):
            generator = np.random.default_rng([number, len(split)])
            frames, intervals = [], []
            for part, action in enumerate(generator.choice(ACTIONS, 2)):
                clip = render_clip(str(action), (number, part, len(split)), 64)
                before, after = generator.integers(30, 60, 2)
                start = len(frames) + int(before)
                frames += [clip[0]] * before + list(clip) + [clip[-1]] * after
                intervals.append((start / 25, (start + len(clip)) / 25, action))
            name = f"{split}_{number}"
            write_video(folder / f"{name}.mp4", np.stack(frames))
            rows += [
                f"{name},{start},{end},{action},{len(frames) / 25},{split}"
                for start, end, action in intervals
            ]
    (folder / "when.csv").write_text("\n".join(rows) + "\n")
    return folder


def mean_average_precision(videos, scores_of):
    """The mAP at the 25 points of scores (25, classes) that a function has for a video."""
    scores = {
        (video.name, str(point)): row
        for video in videos
        for point, row in enumerate(scores_of(video), start=1)
    }
    return charades_average_precisions(videos, len(ACTIONS), scores, "localize").mean


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*all was loaded but Logits, untrained")
@pytest.mark.usefixtures("restored_settings")
def test_trained_network_knows_when_actions_happen(long_dir, tmp_path):
    recipe = dataclasses.replace(
        for_task(RECIPES["stick_actions"], "frames"),
        short_side=64,
        crop_size=64,
        train_frames=24,
        batch_size=4,
        steps=100,
        evaluate_every=100,
        learning_rates=(0.01,),
        dropout_rate=0.0,
    )
    intervals, run = str(long_dir / "when.csv"), str(tmp_path / "run")
    options = TrainOptions(
        data_dir=str(long_dir),
        workdir=run,
        intervals=intervals,
        init="stick_actions_rgb",
        transfer="fixed",
        freeze_batch_norm=True,
        deterministic=True,
    )
    train(recipe, options)
    output_dir = tmp_path / "scores"
    score = evaluate_intervals(
        IntervalOptions(str(long_dir), intervals, str(output_dir), {"rgb": run})
    )
    assert json.loads((output_dir / "score.json").read_text())["mAP"] == score.mean

    videos = [video for video in read_intervals(intervals).videos if video.split == "test"]
    constant = mean_average_precision(videos, lambda video: np.zeros((25, len(ACTIONS))))

    def classes_of_video(video):
        """A perfect answer for the video as a whole, at every point."""
        times = localization_times(video.duration)
        targets = interval_targets(video.intervals, times, len(ACTIONS))
        return np.tile(targets.any(axis=0), (25, 1))

    spread = mean_average_precision(videos, classes_of_video)
    # They were 0.63, 0.25 and 0.16.
    assert score.mean > 1.8 * spread
    assert spread > constant
