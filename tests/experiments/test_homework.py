"""The homework in miniature, and what is written of it; the quick tests fake training."""

import dataclasses

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
    monkeypatch.setattr(job, "extract_frame_features", lambda *arguments: None)
    return calls


def test_homework_trains_evaluates_and_fuses(calls, tmp_path):
    homework = do_homework(HomeworkOptions(str(tmp_path), frame_steps=8, sequence_steps=6))
    folder = tmp_path / "of_frames"
    assert calls == [
        ("two_stream", "rgb", 8, None),
        ("feature_lstm", "features", 6, str(folder / "features")),
        ("rgb", str(tmp_path / "frames"), {"windows": 10}),
        ("features", str(folder / "lstm"), {}),
    ]
    assert [result.best.correct for result in homework.fusion.results.values()] == [3, 5, 5]
    assert homework.path == folder / "homework.md"
    text = homework.path.read_text("utf-8")
    assert "| A: single frames, log-probabilities added | 50.0% | - |" in text
    assert "| B: LSTM on features | 83.3% | - |" in text
    assert "improves most" in text
    for name in ("a", "b", "fused"):
        assert f"fused/confusion_{name}.svg" in text
        assert (folder / "fused" / f"confusion_{name}.svg").is_file()


def test_homework_replaces_its_own_table_alone(calls, tmp_path):
    options = HomeworkOptions(str(tmp_path))
    path = do_homework(options).path
    assert do_homework(options).path == path
    path.write_text("my own")
    with pytest.raises(FileExistsError, match=r"homework.md: exists already"):
        do_homework(options)


def test_homework_with_another_network_shares_the_frames(calls, tmp_path):
    do_homework(HomeworkOptions(str(tmp_path)))
    homework = do_homework(HomeworkOptions(str(tmp_path), network="stick_actions_rgb"))
    assert homework.path.parent == tmp_path / "of_stick_actions_rgb"
    assert calls[2] == calls[6] == ("rgb", str(tmp_path / "frames"), {"windows": 10})
    with pytest.raises(ValueError, match="`network` must be a name, not a path; received 'a/b'"):
        HomeworkOptions(str(tmp_path), network="a/b")


@pytest.mark.slow
def test_homework_in_miniature_goes_on_where_it_stopped(tmp_path, eager_training, capsys):
    options = HomeworkOptions(
        str(tmp_path),
        frame_steps=2,
        sequence_steps=2,
        train_clips=1,
        test_clips=1,
        width_multiplier=1 / 16,
    )
    homework = do_homework(options)
    fusion, folder = homework.fusion, homework.path.parent
    assert len(fusion.results["a"].predictions) == 12
    assert len(list((folder / "features").rglob("*.npy"))) == 24
    first = homework.path.read_text("utf-8")
    capsys.readouterr()
    again = do_homework(options).fusion
    output = capsys.readouterr().out
    assert "24 already there" in output
    assert "2/2" not in output  # no step was trained again
    assert homework.path.read_text("utf-8") == first
    assert dataclasses.asdict(again.results["fused"].best) == dataclasses.asdict(
        fusion.results["fused"].best
    )
    assert (folder / "fused" / "classes.csv").is_file()
