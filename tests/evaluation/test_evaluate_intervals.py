"""Scores of networks whose logits along a video are given."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from i3d_tf.data.pipeline import Failures
from i3d_tf.evaluation import evaluate_intervals as evaluation
from i3d_tf.evaluation.charades import read_charades_submission
from i3d_tf.evaluation.evaluate_intervals import IntervalOptions, evaluate_intervals
from i3d_tf.evaluation.score import score_submission
from i3d_tf.inference.frame_logits import VideoLogits
from i3d_tf.specs.geometry import head_positions
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.specs.protocol import Protocol
from i3d_tf.zoo.checkpoint import Checkpoints

FRAMES, RATE = 64, 10.0
# Of video a, class "x" is in the first half and "y" in the second; of b, nothing is there.
INTERVALS = (
    "id,start,end,class,duration,split\na,0,3,x,6.4,test\na,3.2,6.4,y,6.4,test\nb,,,,6.4,test\n"
)


@pytest.fixture
def options(make_tree):
    folder = make_tree(["a.mp4", "b.mp4"], {"when.csv": INTERVALS})
    return IntervalOptions(
        str(folder), str(folder / "when.csv"), str(folder / "scores"), {"rgb": "run"}
    )


@pytest.fixture
def given_logits(monkeypatch):
    """Function: (stream to video to its (7, 2) logits, whether of frames) -> networks with these.

    A video that has none cannot be read.
    """

    def give(by_stream, of_frames=True):
        networks = {
            stream: SimpleNamespace(
                model=logits, stream=stream, step_rule="centers", name="run", sha256="0" * 64
            )
            for stream, logits in by_stream.items()
        }
        opened = Checkpoints(networks, ("x", "y"), Protocol(frame_rate=RATE))
        monkeypatch.setattr(evaluation, "open_checkpoints", lambda *_: opened)
        monkeypatch.setattr(evaluation, "gives_frame_logits", lambda _: of_frames)
        monkeypatch.setattr(evaluation, "FrameLogits", GivenLogits)
        monkeypatch.setattr(evaluation, "forward_function", lambda model: model)
        monkeypatch.setattr(evaluation, "compute_logits", clip_logits)

    return give


def of_video(logits, example):
    return logits.get(example.path.rpartition("/")[2])


def clip_logits(logits, config, *_):
    rows = [of_video(logits, example) for example in config.examples]
    means = [np.full(2, np.nan) if row is None else np.mean(row, axis=0) for row in rows]
    return np.array(means, np.float32), Failures()


class GivenLogits:
    def __init__(self, logits, config, step_rule):
        self.logits, self.config = logits, config
        self.positions = np.array(head_positions(I3D, FRAMES, step_rule))

    def of_all(self, failures, title):
        for example in self.config.examples:
            steps = of_video(self.logits, example)
            if steps is None:
                failures.reasons[example.path] = "it is broken"
                yield example, None
            else:
                steps = np.array(steps, np.float32)
                yield example, VideoLogits(steps, self.positions, FRAMES, RATE)


RISING = np.arange(7) - 3.0
# "x" falls and "y" rises along a, and both are low in b.
KNOWING = {
    "a.mp4": np.stack([-RISING, RISING], axis=1),
    "b.mp4": np.full((7, 2), -9.0),
}


@pytest.mark.parametrize("task", ["localize", "frames", "classify"])
def test_logits_that_follow_the_actions_have_the_best_score(options, given_logits, task):
    given_logits({"rgb": KNOWING})
    score = evaluate_intervals(dataclasses.replace(options, task=task))
    assert score.mean == 1
    record = json.loads(Path(options.output_dir, "score.json").read_text())
    assert record["mAP"] == 1
    assert record["values"][0]["by_class"] == {"x": 1, "y": 1}
    assert record["checkpoints"] == {"rgb": {"name": "run", "sha256": "0" * 64}}


def test_submission_has_the_scores_at_the_official_points(options, given_logits):
    given_logits({"rgb": KNOWING})
    score = evaluate_intervals(options)
    path = f"{options.output_dir}/submission.txt"
    rows, _ = read_charades_submission(path, 2, "localize")
    assert len(rows) == 50
    # Point 11 of 25 is at 10 / 25 * 6.4 s, frame 25.6: steps 2 and 3 are at frames 25 and 33.
    expected = np.interp(25.6, [25, 33], [-1, 0])
    np.testing.assert_allclose(rows["a", "11"], [-expected, expected], atol=1e-6)
    found = score_submission("charades_localize", options.intervals, path)
    assert found.mean == score.mean == 1


def test_video_has_the_highest_logits_of_its_frames_or_the_mean_of_its_clips(options, given_logits):
    classify = dataclasses.replace(options, task="classify")
    path = f"{options.output_dir}/submission.txt"
    for of_frames, expected in ((True, [3, 3]), (False, [0, 0])):
        given_logits({"rgb": KNOWING}, of_frames)
        evaluate_intervals(classify)
        rows, _ = read_charades_submission(path, 2, "classify")
        np.testing.assert_allclose(rows["a",], expected, atol=1e-6)


def test_logits_of_two_networks_are_added_and_unreadable_videos_left_out(
    options, given_logits, monkeypatch
):
    monkeypatch.setattr(
        evaluation, "FlowStore", lambda *_: SimpleNamespace(compute_missing=lambda paths: None)
    )
    doubled = {"a.mp4": 2 * KNOWING["a.mp4"]}  # b cannot be read
    given_logits({"rgb": KNOWING, "flow": doubled})
    both = {"rgb": "run", "flow": "run"}
    score = evaluate_intervals(dataclasses.replace(options, checkpoints=both))
    rows, _ = read_charades_submission(f"{options.output_dir}/submission.txt", 2, "localize")
    assert {name for name, _ in rows} == {"a"}
    np.testing.assert_allclose(rows["a", "1"], [9, -9], atol=1e-6)
    assert "1 videos are missing or cannot be read, and left out, such as" in score.notes[-1]
    assert [names[0].endswith("b.mp4: it is broken") for names in score.left_out.values()] == [True]
    page = Path(options.output_dir, "report.html").read_text()
    assert "Videos that cannot be read (1)" in page
    given_logits({"rgb": {}})
    with pytest.raises(ValueError, match="no video of test could be read"):
        evaluate_intervals(options)
