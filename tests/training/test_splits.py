"""Videos as people have them, a folder for each class, and the runs that train on them."""

import dataclasses
import json
import os
import shutil

import cv2
import numpy as np
import pytest

from i3d_tf.training.settings import SecondDataset, TrainOptions
from i3d_tf.training.splits import read_run_videos


@pytest.fixture
def data_dir(own_dir, tmp_path):
    """A copy of the videos, which a test may change."""
    return shutil.copytree(own_dir, tmp_path / "my videos")


@pytest.fixture
def read(small_release, data_dir):
    """Function: (earlier, options) -> the videos of a run on `data_dir` by the recipe finetune."""

    def read(earlier=None, folder=data_dir, **options):
        options = TrainOptions(data_dir=str(folder), workdir="run", **options)
        return read_run_videos(small_release, options.for_recipe(small_release), 1, earlier)

    return read


def record(videos):
    """The content of run.json, as far as another run needs it."""
    settings = dataclasses.asdict(videos.recipe)
    split = {} if videos.split is None else {"split": videos.split}
    return json.loads(json.dumps({"settings": settings, **split}))


def names(dataset):
    return [example.path.split("my videos/")[1] for example in dataset.examples]


def test_every_class_is_trained_and_tested(read):
    videos = read()
    assert videos.train.class_names == videos.test.class_names == ("left", "right", "up")
    assert [name.split("/")[0] for name in names(videos.test)] == ["left", "right", "up"]
    assert tuple(names(videos.train)) == videos.split["train"]
    assert len(videos.train.examples) == 6
    assert (videos.recipe.steps, videos.recipe.batch_size) == (120, 2)
    assert videos.test.report.notes == ("chosen by seed 0, from every class; run.json lists them",)


def test_class_with_one_video_is_trained_only_and_named(read, data_dir):
    (data_dir / "up" / "0.mp4").unlink()
    videos = read()
    assert "up/1.mp4" in names(videos.train)
    assert videos.test.report.notes[1] == "classes with one video, which is for training: up"


def test_other_folders_are_no_classes(read, data_dir):
    (data_dir / "flow" / "up").mkdir(parents=True)
    (data_dir / "flow" / "up" / "0.flow.zip").touch()
    videos = read()
    assert videos.train.class_names == ("left", "right", "up")
    assert "folders that are not classes: flow" in videos.train.report.notes


def test_unreadable_videos_are_reported_and_left_out(read, data_dir):
    (data_dir / "up" / "bad.mp4").write_text("no video")
    videos = read()
    assert "up/bad.mp4" not in names(videos.train) + names(videos.test)
    ((path, reason),) = videos.train.report.quarantined
    assert path == f"{data_dir}/up/bad.mp4"
    assert reason.startswith("it is not a video that FFmpeg can read")


def test_split_and_derived_fields_stay_when_the_folder_gains_videos(read, data_dir):
    first = read()
    for number in range(5, 45):
        shutil.copy(data_dir / "left" / "0.mp4", data_dir / "left" / f"{number}.mp4")
    (data_dir / first.split["train"][0]).unlink()
    again = read(record(first))
    assert again.split["test"] == first.split["test"]
    assert (len(again.train.examples), len(again.test.examples)) == (45, 3)
    assert again.train.report.missing == first.split["train"][:1]
    fields = ("steps", "batch_size", "evaluate_every", "learning_rates")
    assert [getattr(again.recipe, name) for name in fields] == [
        getattr(first.recipe, name) for name in fields
    ]
    anew = read().recipe
    assert anew.steps * anew.batch_size > 3 * first.recipe.steps * first.recipe.batch_size


def test_folder_of_pictures_is_a_video(read, data_dir):
    (data_dir / "up" / "frames").mkdir()
    for number in range(9):
        picture = np.full((48, 40, 3), 25 * number, np.uint8)
        cv2.imwrite(str(data_dir / "up" / "frames" / f"{number}.png"), picture)
    videos = read()
    assert "up/frames" in names(videos.train) + names(videos.test)


def test_folders_of_splits_are_used(read, squares_dir, tmp_path):
    videos = read(folder=squares_dir)
    assert videos.split is None
    assert (len(videos.train.examples), len(videos.test.examples)) == (12, 4)
    assert (videos.recipe.train_split, videos.recipe.test_split) == ("train", "test")
    folder = shutil.copytree(squares_dir, tmp_path / "squares")
    (folder / "test").rename(folder / "validation")
    videos = read(folder=folder)
    assert (videos.recipe.test_split, len(videos.test.examples)) == ("val", 4)
    shutil.copytree(folder / "validation", folder / "test")
    assert read(record(videos), folder).recipe.test_split == "val"


def test_run_of_another_recipe_gives_no_fields(read, squares_dir):
    other = {"settings": {"name": "ucf101", "steps": 5000, "train_split": "train1"}}
    assert read(other).recipe.steps == 120  # starting refuses it, and says why
    assert read(other, squares_dir).recipe.train_split == "train"


def test_run_that_had_folders_of_splits_goes_on_with_them_alone(read, squares_dir):
    earlier = record(read(folder=squares_dir))
    with pytest.raises(FileNotFoundError, match="has no folder 'train'"):
        read(earlier)


@pytest.mark.parametrize("value", [5, []])
def test_damaged_split_of_a_run_is_one_line(read, squares_dir, value):
    earlier = record(read(folder=squares_dir))
    earlier["settings"]["test_split"] = value
    with pytest.raises(
        ValueError, match=r"run/run\.json: not the settings .*'test_split' has a val"
    ):
        read(earlier, squares_dir)


def test_file_name_that_is_not_utf_8_is_split_like_others(read, data_dir):
    (data_dir / "up" / "0.mp4").rename(os.fsdecode(os.fsencode(data_dir / "up") + b"/\xff.mp4"))
    videos = read()
    assert "up/\udcff.mp4" in videos.split["train"] + videos.split["test"]


@pytest.mark.parametrize("value", [5, ["high"], "0.1", None])
def test_damaged_settings_of_a_run_are_one_line(read, value):
    earlier = record(read())
    earlier["settings"]["learning_rates"] = value
    with pytest.raises(ValueError, match=r"run/run\.json: not the settings of a training run \("):
        read(earlier)


def test_given_splits_are_folders(small_release, squares_dir):
    recipe = dataclasses.replace(
        small_release, test_split="train", derived=("train_split", "steps", "batch_size")
    )
    options = TrainOptions(data_dir=str(squares_dir), workdir="run").for_recipe(recipe)
    videos = read_run_videos(recipe, options)
    assert (len(videos.test.examples), videos.recipe.evaluate_every) == (12, 1000)


def test_one_class_is_refused(read, data_dir):
    for name in ("left", "right"):
        shutil.rmtree(data_dir / name)
    with pytest.raises(
        ValueError, match=r"my videos: has one class, 'up'\. Make a folder for each"
    ):
        read()


def test_class_without_a_readable_video_is_refused(read, data_dir):
    for number in range(2):
        (data_dir / "up" / f"{number}.mp4").write_text("no video")
    with pytest.raises(
        ValueError, match=r"no video of the class 'up' can be read, such as .*0\.mp4: it is not a"
    ):
        read()


def test_single_videos_are_refused(read, data_dir):
    for path in data_dir.glob("*/[1-9].mp4"):
        path.unlink()
    with pytest.raises(
        ValueError, match="no class has two videos, so that none is left to test on"
    ):
        read()


def test_folder_of_other_videos_is_refused(read, data_dir):
    earlier = record(read())
    for folder in data_dir.iterdir():
        for path in folder.iterdir():
            path.rename(path.with_name(f"other {path.name}"))
    with pytest.raises(ValueError, match=r"none of the videos of the run in run, .* --workdir"):
        read(earlier)


def test_second_dataset_has_its_own_videos_classes_and_split(read, data_dir, squares_dir):
    def read_both(earlier=None):
        second = SecondDataset(str(data_dir))
        return read(earlier, folder=squares_dir, second=second, heads=("four", "three"))

    videos = read_both()
    assert videos.classes == {"four": 4, "three": 3}
    assert (videos.split, list(videos.second.split)) == (None, ["train", "test"])
    heads = [example.head for example in videos.train_examples]
    assert heads == ["four"] * 12 + ["three"] * 6
    # The length of the run follows from all clips: 20 times 18.
    assert videos.recipe.steps * videos.recipe.batch_size == 360
    earlier = record(videos)
    earlier["settings"]["second"] = videos.second_settings
    earlier["heads"] = {"three": {"class_names": [], "split": videos.second.split}}
    for number in range(5, 45):
        shutil.copy(data_dir / "left" / "0.mp4", data_dir / "left" / f"{number}.mp4")
    again = read_both(json.loads(json.dumps(earlier)))
    assert again.second.split["test"] == videos.second.split["test"]
    assert len(again.second.train.examples) == 46


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "`heads` must be two different names .*; received squares, squares. Give --heads"),
        ({"heads": ("a",)}, "received a. Give --heads"),
        ({"heads": ("a", "b/c")}, "received a, b/c. Give --heads"),
    ],
)
def test_heads_need_two_names(read, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        read(
            folder=tmp_path / "squares",
            second=SecondDataset(str(tmp_path / "other" / "squares")),
            **options,
        )


def test_heads_are_named_like_readers_where_these_differ(read, tmp_path):
    other = SecondDataset(str(tmp_path / "squares"), dataset="hmdb51")
    with pytest.raises(OSError, match="squares"):  # the names were fine
        read(folder=tmp_path / "squares", second=other)
