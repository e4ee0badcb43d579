"""Evaluations whose accuracies are given."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.data.pipeline import Failures
from i3d_tf.training import periodic_evaluation
from i3d_tf.training.periodic_evaluation import PeriodicEvaluation

LABELS = (0, 0, 0, 0)


class Run:
    """A training run that notes the best step in memory."""

    def __init__(self):
        self.rows, self.best = [], []

    def history(self):
        return self.rows

    def add_history(self, row):
        self.rows.append(row)

    def keep_as_best(self):
        self.best.append(len(self.rows))

    def keep_unreadable(self, reasons):
        pass


@pytest.mark.parametrize(("keep_last", "best"), [(False, [0, 1, 4]), (True, [0, 1, 2, 3, 4])])
def test_best_state_is_the_first_of_the_highest_accuracy_or_the_last(
    monkeypatch, tmp_path, keep_last, best
):
    run = Run()
    correct = iter((1, 2, 2, 1, 3))  # of four videos

    def compute_logits(*_):
        count = next(correct)
        logits = np.eye(2)[[0] * count + [1] * (4 - count)]
        return logits.astype(np.float32), Failures()

    monkeypatch.setattr(periodic_evaluation, "compute_logits", compute_logits)
    config = SimpleNamespace(
        examples=[SimpleNamespace(label=label) for label in LABELS], task="clip"
    )
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    writer = tf.summary.create_file_writer(str(tmp_path))
    evaluation = PeriodicEvaluation(model, config, run, writer, Failures(), keep_last=keep_last)
    for step in range(1, 6):
        evaluation.run(step)
    evaluation.run(5)  # was done already
    assert [row["test_accuracy"] for row in run.rows] == [0.25, 0.5, 0.5, 0.25, 0.75]
    assert run.best == best


def test_best_state_of_two_heads_is_that_of_the_highest_mean(monkeypatch, tmp_path):
    run = Run()
    correct = iter((2, 2, 4, 1, 3, 1))  # of four videos: of one head, then of the other

    def compute_logits(*_):
        count = next(correct)
        logits = np.eye(2)[[0] * count + [1] * (4 - count)]
        return logits.astype(np.float32), Failures()

    monkeypatch.setattr(periodic_evaluation, "compute_logits", compute_logits)
    config = SimpleNamespace(
        examples=[SimpleNamespace(label=label) for label in LABELS], task="clip"
    )
    inputs = keras.Input((1,))
    model = keras.Model(inputs, {name: keras.layers.Dense(2)(inputs) for name in ("a", "b")})
    writer = tf.summary.create_file_writer(str(tmp_path))
    evaluation = PeriodicEvaluation(model, {"a": config, "b": config}, run, writer, Failures())
    for step in range(1, 4):
        evaluation.run(step)
    assert [row["test_accuracy"] for row in run.rows] == [0.5, 0.625, 0.5]
    assert run.rows[1]["heads"] == {
        "a": {"test_accuracy": 1.0, "test_videos": 4},
        "b": {"test_accuracy": 0.25, "test_videos": 4},
    }
    assert (run.rows[1]["test_videos"], run.best) == (8, [0, 1])
