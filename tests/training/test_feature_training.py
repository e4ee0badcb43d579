"""Networks on stored features through training and evaluation, as those that see clips."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from i3d_tf.data.feature_file import VideoFeatures, write_features
from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.specs.recipes import RECIPES
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.zoo.checkpoint import find_stream, open_checkpoint

pytestmark = pytest.mark.usefixtures("eager_training")
TINY = {
    "model": "feature_linear",  # the quickest
    "width_multiplier": 1 / 64,
    "batch_size": 4,
    "dropout_rate": 0.5,
    "train_frames": 3,
}


@pytest.fixture(scope="module")
def rising_dir(tmp_path_factory):
    """Two classes of rows: "down" is "up" read backwards, so that their means are the same.

    The videos are no videos, since nothing reads them.
    """
    folder = tmp_path_factory.mktemp("rising")
    for split, count in (("train", 4), ("test", 2)):
        for name, step in (("up", 1), ("down", -1)):
            for number in range(count):
                video = folder / "data" / split / name / f"{number}.mp4"
                rows = np.linspace(-1, 1, 3 + number)[::step, None]
                video.parent.mkdir(parents=True, exist_ok=True)
                video.write_bytes(f"{split} {name} {number}".encode())
                path = folder / "features" / split / name / f"{number}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = np.concatenate([rows, 0 * rows + 0.5], axis=1).astype(np.float32)
                features = VideoFeatures(rows, np.zeros((len(rows), 3)), {"stride": 8})
                write_features(path, features)
    return folder


@pytest.fixture
def options(rising_dir, tmp_path):
    return TrainOptions(
        data_dir=str(rising_dir / "data"),
        workdir=str(tmp_path / "run"),
        features=str(rising_dir / "features"),
        deterministic=True,
    )


def recipe(**changes):
    return dataclasses.replace(RECIPES["features"], **{**TINY, "steps": 2, **changes})


def evaluate_run(options, tmp_path, **changes):
    arguments = {
        "dataset": "class_folders",
        "data_dir": options.data_dir,
        "split": "test",
        "report_dir": str(tmp_path / "report"),
        "features": options.features,
        "features_checkpoint": options.workdir,
    }
    return evaluate(EvaluateOptions(**{**arguments, **changes}))


def test_run_on_features_is_kept_and_evaluated_like_any_other(options, tmp_path):
    workdir = train(recipe(model="feature_lstm", steps=3, evaluate_every=2), options)
    assert {path.name for path in workdir.path.iterdir()} >= {
        "best.keras", "history.jsonl", "run.json", "step_00000003.keras",
    }  # fmt: skip
    assert [row["step"] for row in workdir.history()] == [2, 3]
    settings = json.loads((workdir.path / "run.json").read_text())["settings"]
    assert settings["features"] == {"channels": 2, "stride": 8}
    checkpoint = open_checkpoint(workdir.path, reads_features=True)
    assert (checkpoint.stream, checkpoint.class_names) == ("features", ("down", "up"))
    results = evaluate_run(options, tmp_path)
    assert list(results.by_stream) == ["features"]
    assert results.best.top_1 == max(row["test_accuracy"] for row in workdir.history())
    assert results.protocol["features"] == {"channels": 2, "stride": 8}
    # All rows of each video, and the mean of their log-probabilities.
    rows = np.load(f"{options.features}/test/up/1.npy")
    steps = np.array(checkpoint.model(rows[None]), np.float64)[0]
    assert steps.shape == (4, 2)
    expected = (steps - np.log(np.exp(steps).sum(axis=1, keepdims=True))).mean(axis=0)
    with np.load(tmp_path / "report" / "logits.npz") as arrays:
        place = [str(path) for path in arrays["paths"]].index(f"{options.data_dir}/test/up/1.mp4")
        np.testing.assert_allclose(arrays["features"][place], expected, atol=1e-6)


@pytest.mark.slow
def test_stopped_run_on_features_ends_as_one_that_was_not(options, tmp_path):
    whole = train(recipe(steps=4, evaluate_every=4), options)
    other = dataclasses.replace(options, workdir=str(tmp_path / "other"))
    train(recipe(steps=2, evaluate_every=2), other)
    parts = train(recipe(steps=4, evaluate_every=2), dataclasses.replace(other))
    for name in ("best.keras", "step_00000004.keras"):
        assert (parts.path / name).exists()
    weights = [open_checkpoint(run.latest()[1], reads_features=True).model.get_weights()
               for run in (whole, parts)]  # fmt: skip
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_class_folders_without_splits_are_split_by_the_run(options, tmp_path):
    one_split = dataclasses.replace(
        options, data_dir=f"{options.data_dir}/train", features=f"{options.features}/train"
    )
    workdir = train(recipe(), one_split)
    split = json.loads((workdir.path / "run.json").read_text())["split"]
    assert [len(split["train"]), len(split["test"])] == [6, 2]  # one of four of each class
    results = evaluate_run(one_split, tmp_path)
    assert len(results.predictions) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "expected"), [("feature_lstm", 1), ("feature_gru", 1), ("feature_linear", 0.5)]
)
def test_order_of_the_rows_is_learned_by_recurrent_networks_alone(options, model, expected):
    changes = {"model": model, "steps": 60, "evaluate_every": 60, "learning_rates": (0.5,)}
    changes["dropout_rate"] = 0.0
    workdir = train(recipe(**changes), options)
    assert workdir.history()[-1]["test_accuracy"] == expected


def test_networks_of_features_and_of_clips_are_not_mixed_up(options, tmp_path):
    with pytest.raises(ValueError, match="`features` must be the folder of stored features for fe"):
        train(recipe(), dataclasses.replace(options, features=None))
    clips = dataclasses.replace(RECIPES["stick_actions"], dataset="class_folders")
    with pytest.raises(ValueError, match="`features` must be None for inception_i3d"):
        train(clips, options)
    train(recipe(steps=1), options)
    for call in (find_stream, open_checkpoint):
        with pytest.raises(ValueError, match="it reads stored features, not videos"):
            call(options.workdir)
    clip = keras.Input((None, None, None, 3))
    logits = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling3D()(clip))
    keras.Model(clip, logits).save(f"{options.workdir}/clips.keras")
    with pytest.raises(ValueError, match=r"it sees clips \(rgb\), not features"):
        open_checkpoint(f"{options.workdir}/clips.keras", reads_features=True)
    with pytest.raises(ValueError, match=r"must have frames alone .* Leave out --crops and --wind"):
        evaluate_run(options, tmp_path, protocol={"frames": 2, "windows": 3, "crops": 3})
    results = evaluate_run(options, tmp_path, protocol={"frames": 2})
    assert results.protocol["frames"] == 2
    with pytest.raises(ValueError, match="--features is the folder of what one network reads"):
        evaluate_run(options, tmp_path, features=None)


def test_features_must_be_those_of_the_training(options, rising_dir, tmp_path):
    train(recipe(steps=1), options)
    for path in sorted((rising_dir / "features").rglob("*.npy")):
        rows = np.load(path)
        for folder, values, stride in (("wide", np.hstack([rows] * 2), 8), ("other", rows, 4)):
            target = tmp_path / folder / path.relative_to(rising_dir / "features")
            target.parent.mkdir(parents=True, exist_ok=True)
            features = VideoFeatures(values, np.zeros((len(rows), 3)), {"stride": stride})
            write_features(target, features)
    with pytest.raises(ValueError, match=r"features have 4 channels, and .*run reads 2"):
        evaluate_run(options, tmp_path, features=str(tmp_path / "wide"))
    with pytest.raises(ValueError, match=r"others than .*run was trained on: stride 4, not 8"):
        evaluate_run(options, tmp_path, features=str(tmp_path / "other"))
    with pytest.raises(ValueError, match="holds a run with features="):
        train(recipe(steps=1), dataclasses.replace(options, features=str(tmp_path / "wide")))
