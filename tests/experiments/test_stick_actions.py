import json

import keras
import numpy as np

import i3d_tf
from i3d_tf.experiments.stick_actions import publish
from i3d_tf.models.inception import inception_i3d
from i3d_tf.zoo.checkpoint import open_checkpoint


def test_a_published_network_answers_like_the_run_it_comes_from(tmp_path):
    keras.utils.set_random_seed(0)
    trained = inception_i3d(input_shape=(None, 48, 48, 2), classes=3, width_multiplier=0.25)
    run = tmp_path / "run"
    run.mkdir()
    trained.save(run / "best.keras")
    settings = {"test_frames": 12, "frame_rate": 5.0, "short_side": 56, "crop_size": 48}
    settings |= {"test_windows": 1, "rgb_step": 1}
    names = ["a", "b", "c"]
    (run / "run.json").write_text(json.dumps({"settings": settings, "class_names": names}))
    (run / "history.jsonl").write_text('{"step": 1, "test_accuracy": 0.5}\n')
    publish(run, "small", tmp_path / "checkpoints", "the command")
    checkpoint = open_checkpoint("small", tmp_path / "checkpoints")
    assert (checkpoint.stream, checkpoint.class_names) == ("flow", ("a", "b", "c"))
    assert (checkpoint.protocol.frames, checkpoint.protocol.crop_size) == (12, 48)
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 12, 48, 48, 2)).astype("float32")
    expected = np.array(trained(clip))
    np.testing.assert_array_equal(np.array(checkpoint.model(clip)), expected)
    loaded = i3d_tf.load("small", tmp_path / "checkpoints")
    np.testing.assert_array_equal(np.array(loaded(clip)), expected)
