"""Training on persons in boxes."""

import dataclasses

import numpy as np
import pytest

from i3d_tf.inference.person_clips import pad_boxes
from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.recipes import for_task
from i3d_tf.training.optimization import PersonCrossentropy
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.video.encode import write_video
from i3d_tf.zoo.checkpoint import open_checkpoint


def test_loss_is_that_of_the_persons_without_padding():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(1, 5, 3)).astype("float32")
    targets = generator.integers(0, 2, (2, 3)).astype("float32")
    _, padded, weights = pad_boxes(np.zeros((2, 4), "float32"), targets, 5)
    loss = PersonCrossentropy()
    alone = loss(targets[np.newaxis], logits[:, :2])
    found = loss(padded[np.newaxis], logits, weights[np.newaxis])
    logits, targets = logits[0, :2].astype("float64"), targets.astype("float64")
    expected = np.mean(np.log1p(np.exp(-logits)) + (1 - targets) * logits)
    np.testing.assert_allclose([alone, found], expected, rtol=1e-6)


def test_loss_of_nobody_is_0():
    ones = np.ones((1, 2, 3))
    assert float(PersonCrossentropy()(ones, ones, np.zeros((1, 2)))) == 0


@pytest.fixture(scope="module")
def persons_dir(tmp_path_factory):
    """Three videos: a bright person at the left and a dark one at the right, then swapped."""
    folder = tmp_path_factory.mktemp("persons")
    rows = {"train": [], "test": []}
    for number, split in enumerate(("train", "train", "test")):
        frames = np.full((16, 32, 32, 3), 30, np.uint8)
        first = 16 * (number % 2)
        frames[:, :, first : first + 16] = 220
        write_video(folder / f"{number}.mp4", frames)
        for side, action in enumerate((1, 2) if number % 2 == 0 else (2, 1)):
            rows[split].append(f"{number},0.3,{side / 2},0,{(side + 1) / 2},1,{action},{side}")
    rows["train"] += ["1,0.5", "gone,0.5", "1,5,0,0,1,1,1,0"]
    for split, lines in rows.items():
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    items = (f'item {{\n name: "{name}"\n id: {n}\n}}' for n, name in ((1, "shine"), (2, "hide")))
    (folder / "map.pbtxt").write_text("\n".join(items))
    return folder


@pytest.fixture
def options(persons_dir, tmp_path):
    return TrainOptions(
        data_dir=str(persons_dir),
        workdir=str(tmp_path / "run"),
        boxes=str(persons_dir / "train.csv"),
        test_boxes=str(persons_dir / "test.csv"),
        label_map=str(persons_dir / "map.pbtxt"),
        workers=1,
    )


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    changes = {"steps": 2, "evaluate_every": 1, "short_side": 32, "learning_rates": (1e-5,)}
    return for_task(dataclasses.replace(tiny_recipe, **changes), "persons")


@pytest.mark.slow
def test_run_starts_from_i3d_and_goes_on(
    recipe, options, tmp_path, capsys, random_weights, eager_training
):
    source = random_weights(inception_i3d(classes=5, width_multiplier=1 / 16))
    source.save(tmp_path / "i3d.keras")
    options = dataclasses.replace(
        options, init=str(tmp_path / "i3d.keras"), transfer="full", freeze_batch_norm=True
    )
    one = dataclasses.replace(recipe, steps=1)
    workdir = train(one, options)
    output = capsys.readouterr().out
    for text in ("missing: gone", "1 at 5 s is at 5 s of", "3 key frames with 4 persons"):
        assert text in output
    workdir = train(recipe, options)
    assert "going on from step 1 of 2" in capsys.readouterr().out
    rows = workdir.history()
    assert [row["step"] for row in rows] == [1, 2]
    assert all(0 < row["test_map"] <= 1 for row in rows)
    checkpoint = open_checkpoint(workdir.path, sees_persons=True)
    assert (checkpoint.stream, checkpoint.class_names) == ("rgb", ("shine", "hide"))
    with pytest.raises(ValueError, match="it looks at persons in boxes, and not at whole clips"):
        open_checkpoint(workdir.path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": None}, "`boxes` must be a file of persons for `task` 'persons'"),
        ({"test_boxes": None}, "`test_boxes` must be a file of persons in other videos"),
        ({"label_map": None}, "`label_map` must be a file of actions for `task` 'persons'"),
        ({"intervals": "a.csv"}, "`intervals` must be None for `task` 'persons'"),
        ({"class_weights": True}, "`class_weights` is not for `task` 'persons'"),
    ],
)
def test_options_that_do_not_go_with_persons_are_refused(recipe, options, changes, message):
    with pytest.raises(ValueError, match=message):
        train(recipe, dataclasses.replace(options, **changes))


def test_persons_need_their_task(tiny_recipe, options):
    with pytest.raises(ValueError, match=r"`boxes` must be None for `task` 'clip'.*--task=persons"):
        train(tiny_recipe, options)


def test_videos_for_training_and_for_testing_are_refused(recipe, options):
    with pytest.raises(ValueError, match=r"2 of its videos are for training .* Give --test_boxes"):
        train(recipe, dataclasses.replace(options, test_boxes=options.boxes))
