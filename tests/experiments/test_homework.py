"""The homework in miniature, and what is written of it; the quick tests fake training."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from i3d_tf.evaluation.report import write_report
from i3d_tf.experiments import homework as job
from i3d_tf.experiments.homework import HomeworkOptions, do_homework


@pytest.fixture
def calls(six_clips, tmp_path, monkeypatch):
    """The trainings and evaluations, of which A and B are right about other clips of six."""
    calls = []
    best = {"rgb": [0, 0, 1, 0, 1, 1], "features": [0, 1, 1, 1, 2, 2]}

    def train(recipe, options):
        calls.append((recipe.model, recipe.stream, recipe.steps, options.features))

    def evaluate(options):
        (stream,) = options.checkpoints
        logits = {"rgb": 2, "features": 4}[stream] * np.eye(3, dtype=np.float32)[best[stream]]
        calls.append((stream, options.checkpoints[stream], options.protocol))
        write_report(six_clips(logits={stream: logits}), options.report_dir)

    monkeypatch.setattr(job, "make_stick_actions", lambda *arguments: None)
    monkeypatch.setattr(job, "train", train)
    monkeypatch.setattr(job, "evaluate", evaluate)
    monkeypatch.setattr(job, "extract_frame_features", lambda options, videos, folder: videos)
    return calls


def test_homework_trains_evaluates_and_fuses(calls, tmp_path):
    fusion = do_homework(HomeworkOptions(str(tmp_path), frame_steps=8, sequence_steps=6))
    videos = str(tmp_path / "data" / "videos")
    assert calls == [
        ("two_stream", "rgb", 8, None),
        ("feature_lstm", "features", 6, videos),
        ("rgb", str(tmp_path / "frames"), {"windows": 10}),
        ("features", str(tmp_path / "sequence"), {}),
    ]
    assert [result.best.correct for result in fusion.results.values()] == [3, 5, 5]
    text = (tmp_path / "homework.md").read_text("utf-8")
    assert "| A: single frames, log-probabilities added | 50.0% | - |" in text
    assert "| B: LSTM on features | 83.3% | - |" in text
    assert "improves most" in text
    for name in ("a", "b", "fused"):
        assert f"fused/confusion_{name}.svg" in text
        assert (tmp_path / "fused" / f"confusion_{name}.svg").is_file()


def test_homework_replaces_its_own_table_alone(calls, tmp_path):
    options = HomeworkOptions(str(tmp_path))
    do_homework(options)
    do_homework(options)
    (tmp_path / "homework.md").write_text("my own")
    with pytest.raises(FileExistsError, match=r"homework.md: exists already"):
        do_homework(options)


@pytest.mark.slow
def test_homework_in_miniature_goes_on_where_it_stopped(tmp_path, restored_settings, capsys):
    options = HomeworkOptions(
        str(tmp_path),
        frame_steps=2,
        sequence_steps=2,
        train_clips=1,
        test_clips=1,
        width_multiplier=1 / 16,
    )
    fusion = do_homework(options)
    assert len(fusion.results["a"].predictions) == 12
    assert len(list((tmp_path / "features_of_frames").rglob("*.npy"))) == 24
    first = (tmp_path / "homework.md").read_text("utf-8")
    capsys.readouterr()
    again = do_homework(options)
    output = capsys.readouterr().out
    assert "24 already there" in output
    assert "2/2" not in output  # no step was trained again
    assert (tmp_path / "homework.md").read_text("utf-8") == first
    assert dataclasses.asdict(again.results["fused"].best) == dataclasses.asdict(
        fusion.results["fused"].best
    )
    assert Path(tmp_path / "fused" / "classes.csv").is_file()
