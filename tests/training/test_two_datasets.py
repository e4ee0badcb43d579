"""Runs on two datasets with a head for each."""

import dataclasses
import shutil

import numpy as np
import pytest

from i3d_tf.data.example import NO_LABEL
from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.inference.predictor import Predictor
from i3d_tf.specs.recipes import for_model
from i3d_tf.training import run as run_file
from i3d_tf.training.settings import SecondDataset, TrainOptions
from i3d_tf.training.splits import RunVideos
from i3d_tf.training.train import train
from i3d_tf.zoo.checkpoint import open_checkpoint
from i3d_tf.zoo.network_file import load_keras

TRUNK = ("conv1", "conv5", "fc7")


@pytest.fixture(scope="module")
def second_dir(squares_dir, tmp_path_factory):
    """Two of the four classes, as a dataset of its own."""
    folder = tmp_path_factory.mktemp("second") / "sideways"
    for split in ("train", "test"):
        for name in ("left", "right"):
            shutil.copytree(squares_dir / split / name, folder / split / name)
    return folder


@pytest.fixture
def recipe(tiny_recipe):
    """Single frames of the two-stream network of 2014, for one step."""
    return dataclasses.replace(
        for_model(tiny_recipe, "two_stream_2014"),
        stream="rgb",
        train_frames=9,
        test_frames=9,
        test_windows=1,
        rgb_step=9,
        short_side=40,
        crop_size=32,
        batch_size=8,
        steps=1,
        evaluate_every=1,
        weight_decay=0.0,
        dropout_rate=0.0,
    )


@pytest.fixture
def options(squares_dir, second_dir, tmp_path):
    return TrainOptions(
        data_dir=str(squares_dir),
        workdir=str(tmp_path / "both"),
        second=SecondDataset(str(second_dir)),
        heads=("four", "two"),
    )


def weights(workdir):
    """Layer to its weights, of the newest state."""
    model = load_keras(workdir.latest()[1])
    return {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}


@pytest.mark.slow
@pytest.mark.usefixtures("eager_training")
def test_without_clips_of_the_second_dataset_training_is_that_of_the_first_alone(
    recipe, options, tmp_path, monkeypatch
):
    recipe = dataclasses.replace(recipe, steps=3, evaluate_every=3)
    alone = dataclasses.replace(options, workdir=str(tmp_path / "alone"), second=None, heads=None)
    expected = weights(train(recipe, alone))
    of_both = RunVideos.train_examples.fget
    monkeypatch.setattr(
        RunVideos,
        "train_examples",
        property(lambda self: tuple(each for each in of_both(self) if each.head == "four")),
    )
    workdir = train(recipe, options)
    found = weights(workdir)
    for name in TRUNK:
        for a, b in zip(found[name], expected[name], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found["Logits_four"][0], expected["Logits"][0], rtol=1e-5, atol=1e-7)
    assert (found["Logits_two"][1] == 0).all()  # the bias that it started with


@pytest.mark.slow
@pytest.mark.usefixtures("eager_training")
def test_labels_of_one_dataset_leave_the_head_of_the_other_as_it_is(
    recipe, options, tmp_path, monkeypatch
):
    before = weights(train(recipe, options))

    def train_batches(config, *arguments, **named):
        other = tuple(
            dataclasses.replace(each, label=(each.label + 1) % 4) if each.head == "four" else each
            for each in config.examples
        )
        return original(dataclasses.replace(config, examples=other), *arguments, **named)

    original = run_file.train_batches
    monkeypatch.setattr(run_file, "train_batches", train_batches)
    after = weights(train(recipe, dataclasses.replace(options, workdir=str(tmp_path / "other"))))
    assert not np.allclose(after["Logits_four"][1], before["Logits_four"][1])
    for a, b in zip(after["Logits_two"], before["Logits_two"], strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(before["Logits_two"][1]).max() > 0


@pytest.mark.slow
@pytest.mark.usefixtures("eager_training")
def test_run_on_two_datasets_goes_on_and_is_used_by_either_head(
    recipe, options, squares_dir, second_dir, tmp_path, monkeypatch
):
    seen, scales = [], set()
    original = run_file.train_batches

    def train_batches(config, *arguments, **named):
        batches = original(config, *arguments, **named)
        scales.add(config.crop_scales)
        seen.extend(labels for _, labels, _ in batches)
        return original(config, *arguments, **named)

    monkeypatch.setattr(run_file, "train_batches", train_batches)
    recipe = dataclasses.replace(recipe, crop_scales=(1.0, 0.8))
    train(recipe, options)
    assert scales == {(1.0, 0.8)}
    four, two = (np.array(seen[0][name]) for name in ("four", "two"))
    assert ((four == NO_LABEL) != (two == NO_LABEL)).all()
    assert 0 < (four == NO_LABEL).sum() < 8  # both are in one batch
    workdir = train(dataclasses.replace(recipe, steps=2), options)
    (_, row) = workdir.history()
    assert (row["step"], row["test_videos"]) == (2, 6)
    accuracies = [row["heads"][name]["test_accuracy"] for name in ("four", "two")]
    assert row["test_accuracy"] == pytest.approx(np.mean(accuracies))

    for head, data_dir, accuracy in zip(
        ("four", "two"), (squares_dir, second_dir), accuracies, strict=True
    ):
        results = evaluate(
            EvaluateOptions(
                dataset="class_folders",
                data_dir=str(data_dir),
                split="test",
                report_dir=str(tmp_path / f"report_{head}"),
                rgb_checkpoint=options.workdir,
                head=head,
            )
        )
        last = results.history["rgb"][-1]
        assert last["test_accuracy"] == pytest.approx(accuracy)
        assert results.protocol["head"] == head

    checkpoint = open_checkpoint(options.workdir, head="two")
    assert checkpoint.class_names == ("left", "right")
    video = str(second_dir / "test" / "left" / "0.mp4")
    prediction = Predictor("rgb", options.workdir, head="two").predict(video)
    assert {each.label for each in prediction.top} == {"left", "right"}
    with pytest.raises(ValueError, match=r"the heads four and two. Choose one, .*--head=four"):
        Predictor("rgb", options.workdir)


def test_second_dataset_needs_a_network_of_several_heads(tiny_recipe, recipe, options):
    for each, changes, message in (
        (tiny_recipe, {}, r"None for inception_i3d of rgb .*--model, one of two_stream_2014"),
        (recipe, {"class_weights": True}, "`class_weights` must be False with a second dataset"),
        (recipe, {"second": None}, "`heads` must be None with one dataset; received four, two"),
        (recipe, {"heads": ("a/b", "two")}, "two different names .*; received a/b, two"),
        (recipe, {"heads": ("two", "two")}, "two different names .*; received two, two"),
    ):
        with pytest.raises(ValueError, match=message):
            train(each, dataclasses.replace(options, **changes))
