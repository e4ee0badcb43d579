import dataclasses
import json

import pytest

from i3d_tf.specs.recipes import RECIPES
from i3d_tf.training.settings import (
    TrainOptions,
    changed_settings,
    describe_changes,
    run_settings,
)

BEFORE = {"steps": 1500, "train_videos": 360, "boundaries": [3, 6], "class_names": ["run", "jump"]}


def test_run_settings_are_recipe_and_options_that_decide_the_result(tiny_recipe):
    options = TrainOptions(data_dir="d", workdir="w", seed=3).for_recipe(tiny_recipe)
    settings = json.loads(json.dumps(run_settings(tiny_recipe, options, ("a", "b"), 12, 2)))
    assert {
        "name": "tiny",
        "steps": 12,
        "learning_rates": [0.02],
        "seed": 3,
        "transfer": "scratch",
        "replicas": 2,
        "class_names": ["a", "b"],
        "train_videos": 12,
    }.items() <= settings.items()
    assert settings.keys().isdisjoint(
        {"description", "derived", "keep_last", "data_dir", "workdir", "workers"}
    )


def test_settings_have_the_rate_of_folders_where_it_is_unusual(monkeypatch, tiny_recipe):
    options = TrainOptions(data_dir="data", workdir="run")
    assert run_settings(tiny_recipe, options, ["a"], 1, 1)["folder_rate"] is None
    monkeypatch.setenv("I3D_TF_FOLDER_RATE", "30")
    settings = run_settings(tiny_recipe, options, ["a"], 1, 1)
    assert settings["folder_rate"] == 30
    with pytest.raises(ValueError, match=r"folder_rate=None, not 30\.0\. Name another"):
        changed_settings("run", {**settings, "folder_rate": None}, settings, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"boundaries": []},
            r"runs/x: holds a run with boundaries=\[3, 6\], not \[\]. Name another --workdir, or",
        ),
        ({"class_names": ["jump", "run"]}, r"class_names=\['run', 'jump'\], not \['jump', 'run'\]"),
        ({"seed": 0}, "holds a run with seed=None, not 0"),
        ({"steps": 899}, "runs/x: 900 steps are done already, more than 899. Give --steps of at l"),
    ],
)
def test_changed_settings_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        changed_settings("runs/x", BEFORE, BEFORE | changes, 900)


def test_changed_settings_allows_videos_and_steps():
    assert changed_settings("x", BEFORE, dict(BEFORE), 900) == {}
    assert changed_settings("x", BEFORE, BEFORE | {"steps": 900}, 900) == {"steps": (1500, 900)}
    now = BEFORE | {"train_videos": 361, "steps": 2000}
    assert changed_settings("x", BEFORE, now, 900) == {
        "train_videos": (360, 361),
        "steps": (1500, 2000),
    }


def test_changed_settings_of_a_former_version_are_the_defaults():
    now = BEFORE | {"segments": 1, "test_segments": None, "clip_norm": None, "backbone": None}
    now |= {"partial_batch_norm": False}
    assert changed_settings("x", BEFORE, now, 900) == {}
    with pytest.raises(ValueError, match="holds a run with segments=1, not 3"):
        changed_settings("x", BEFORE, now | {"segments": 3}, 900)


def test_describe_changes_names_both_numbers():
    changed = {"train_videos": (360, 361), "steps": (1500, 2000)}
    assert describe_changes("runs/x", changed, "piecewise", 900) == (
        "runs/x: goes on with 361 training videos instead of 360 and 2000 steps instead of 1500."
    )


def test_describe_changes_names_the_cosine_schedule():
    assert describe_changes("runs/x", {"steps": (1500, 2000)}, "cosine", 900) == (
        "runs/x: goes on with 2000 steps instead of 1500. From step 900 on, the learning rate is "
        "that of a cosine schedule of 2000 steps."
    )
    line = describe_changes("runs/x", {"train_videos": (360, 361)}, "cosine", 900)
    assert line == "runs/x: goes on with 361 training videos instead of 360."


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("fixed", "rgb_scratch", True)),
        ({"transfer": "full", "init": "mine"}, ("full", "mine", True)),
        ({"freeze_batch_norm": False}, ("fixed", "rgb_scratch", False)),
        ({"transfer": "scratch"}, ("scratch", None, False)),
    ],
)
def test_for_recipe_fills_in_what_was_not_given(given, expected):
    options = TrainOptions(data_dir="d", workdir="w", **given).for_recipe(RECIPES["finetune"])
    assert (options.transfer, options.init, options.freeze_batch_norm) == expected


def test_for_recipe_needs_weights_of_the_stream():
    recipe = dataclasses.replace(RECIPES["finetune"], stream="flow")
    options = TrainOptions(data_dir="d", workdir="w")
    with pytest.raises(ValueError, match="`init` must name weights for the stream flow; finetune"):
        options.for_recipe(recipe)
    assert dataclasses.replace(options, init="flow_scratch").for_recipe(recipe).transfer == "fixed"


def test_for_recipe_trains_published_recipes_from_scratch():
    options = TrainOptions(data_dir="d", workdir="w").for_recipe(RECIPES["ucf101"])
    assert (options.transfer, options.init, options.freeze_batch_norm) == ("scratch", None, False)


def test_for_recipe_takes_one_kind_of_frozen_batch_norm():
    options = TrainOptions(data_dir="d", workdir="w", partial_batch_norm=True)
    options = options.for_recipe(RECIPES["finetune"])
    assert (options.freeze_batch_norm, options.partial_batch_norm) == (False, True)
    with pytest.raises(ValueError, match="exclude each other; received both"):
        dataclasses.replace(options, freeze_batch_norm=True).for_recipe(RECIPES["finetune"])
