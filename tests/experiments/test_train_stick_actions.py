import json
from pathlib import Path

import keras
import numpy as np
import pytest

from i3d_tf.experiments import train_stick_actions as module
from i3d_tf.experiments.train_stick_actions import publish, train_stick_actions
from i3d_tf.models.inception import inception_i3d
from i3d_tf.zoo.checkpoint import open_checkpoint


@pytest.mark.slow
def test_publish_saves_the_network_of_a_run(tmp_path):
    keras.utils.set_random_seed(0)
    trained = inception_i3d(input_shape=(None, 48, 48, 2), classes=3, width_multiplier=1 / 16)
    run = tmp_path / "run"
    run.mkdir()
    trained.save(run / "best.keras")
    settings = {"test_frames": 12, "frame_rate": 5.0, "short_side": 56, "crop_size": 48}
    settings |= {"test_windows": 1, "rgb_step": 1, "width_multiplier": 1 / 16}
    names = ["a", "b", "c"]
    (run / "run.json").write_text(json.dumps({"settings": settings, "class_names": names}))
    (run / "history.jsonl").write_text('{"step": 1, "test_accuracy": 0.5}\n')
    publish(run, "small", tmp_path / "checkpoints", "the command")
    checkpoint = open_checkpoint("small", tmp_path / "checkpoints")
    assert (checkpoint.stream, checkpoint.class_names) == ("flow", ("a", "b", "c"))
    assert (checkpoint.protocol.frames, checkpoint.protocol.crop_size) == (12, 48)
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 12, 48, 48, 2)).astype("float32")
    np.testing.assert_array_equal(np.array(checkpoint.model(clip)), np.array(trained(clip)))


def test_train_stick_actions_trains_both_streams_and_evaluates_them(tmp_path, monkeypatch):
    calls = []

    def train(recipe, options):
        calls.append((recipe.stream, recipe.steps, recipe.evaluate_every))
        assert (options.seed, Path(options.data_dir)) == (3, tmp_path / "data")

    def evaluate(options):
        calls.append(Path(options.report_dir).name)
        assert (options.split, Path(options.data_dir)) == ("test", tmp_path / "data")
        assert Path(options.rgb_checkpoint) == tmp_path / "rgb_seed3"
        assert options.freeze_time == (options.flow_checkpoint is None)
        return {"top_1": len(calls)}

    monkeypatch.setattr(module, "make_stick_actions", calls.append)
    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "evaluate", evaluate)
    outcome = train_stick_actions(tmp_path, seed=3, steps=7)
    assert calls == [
        tmp_path / "data",
        ("rgb", 7, 3),
        ("flow", 7, 3),
        "report_seed3",
        "report_frozen_seed3",
    ]
    assert outcome.reports == {"test": {"top_1": 4}, "frozen": {"top_1": 5}}
    assert outcome.folder == tmp_path
