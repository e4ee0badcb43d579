import dataclasses

import pytest

from i3d_tf.specs.further_networks import FEATURE_NETWORKS
from i3d_tf.specs.recipe import TRAINED_STREAMS, settings_protocol
from i3d_tf.specs.recipes import RECIPES, fit_to_clips, for_model, for_task

KINETICS = RECIPES["kinetics_rgb"]


@pytest.mark.parametrize(
    ("name", "steps", "boundaries", "rates"),
    [
        ("kinetics_rgb", 115_000, (97_000, 108_000), (0.1, 0.01, 0.001)),
        (
            "kinetics_flow",
            155_000,
            (97_000, 104_500, 115_000, 140_000, 150_000),
            (0.1, 0.01, 0.001, 0.1, 0.01, 0.001),
        ),
    ],
)
def test_schedules_are_the_published_ones(name, steps, boundaries, rates):
    recipe = RECIPES[name]
    assert (recipe.steps, recipe.boundaries, recipe.learning_rates) == (steps, boundaries, rates)


def test_clips_of_persons_are_as_long_for_testing_as_for_training():
    recipe = for_task(KINETICS, "persons")
    assert (recipe.train_frames, recipe.test_frames) == (64, 64)
    assert recipe.dataset == "person_boxes"
    assert RECIPES["ava_rgb"].protocol.frames == 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_boxes": 0}, "`max_boxes` must be an integer >= 1"),
        ({"dataset": "intervals"}, "`dataset` must be 'person_boxes' for `task` 'persons'"),
        ({"model": "c3d"}, "`model` must be 'inception_i3d' for `task` 'persons'"),
        ({"network_arguments": {"boxes": 3}}, "`network_arguments` must be other than"),
    ],
)
def test_recipe_of_persons_is_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(for_task(KINETICS, "persons"), **changes)


@pytest.mark.parametrize("name", ["kinetics_rgb", "kinetics_flow", "ucf101", "hmdb51"])
def test_recipes_have_the_published_protocol(name):
    recipe = RECIPES[name]
    assert (recipe.optimizer, recipe.momentum, recipe.weight_decay) == ("sgd", 0.9, 1e-7)
    assert (recipe.batch_size, recipe.dropout_rate, recipe.width_multiplier) == (6, 0.5, 1.0)
    assert (recipe.train_frames, recipe.test_frames, recipe.frame_rate) == (64, 250, 25.0)
    assert (recipe.short_side, recipe.crop_size, recipe.flip) == (256, 224, True)


@pytest.mark.parametrize(
    ("name", "segments", "steps", "boundaries", "clip_norm", "dropout_rate", "frames"),
    [
        ("tsn_rgb", 3, 5_961, (2_235, 4_470), 20, 0.8, 1),
        ("tsn_flow", 3, 25_333, (14_156, 22_352), 20, 0.7, 5),
        ("tsn_rgb_difference", 7, 13_411, (5_961, 11_921), 40, 0.8, 6),
    ],
)
def test_tsn_recipes_are_those_of_tsn_pytorch(
    name, segments, steps, boundaries, clip_norm, dropout_rate, frames
):
    recipe = RECIPES[name]
    assert (recipe.steps, recipe.boundaries, recipe.batch_size) == (steps, boundaries, 128)
    assert (recipe.clip_norm, recipe.dropout_rate) == (clip_norm, dropout_rate)
    assert (recipe.train_protocol.segments, recipe.protocol.segments) == (segments, 25)
    assert recipe.clip_shape(recipe.stream, recipe.train_frames)[0] == frames
    assert recipe.partial_batch_norm
    assert recipe.network_arguments["backbone"] == "bn_inception"


def test_recipes_are_described():
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert len(recipe.description) > 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stream": "both"}, r"`stream` must be one of \('rgb', 'flow'\) for inception_i3d; rec"),
        ({"optimizer": "adam"}, r"`optimizer` must be one of \('sgd', 'adamw'\); received 'adam'"),
        ({"schedule": "linear"}, r"`schedule` must be one of .*; received 'linear'"),
        ({"steps": 0}, "`steps` must be an integer >= 1; received 0"),
        ({"evaluate_every": 0}, "`evaluate_every` must be an integer >= 1; received 0"),
        ({"batch_size": 0}, "`batch_size` must be an integer >= 1; received 0"),
        ({"train_frames": 8}, "`train_frames` must be an integer >= 9; received 8"),
        ({"crop_size": 31}, "`crop_size` must be an integer >= 32; received 31"),
        ({"short_side": 223}, "`short_side` must be at least `crop_size`, 224; received 223"),
        ({"frame_rate": 0.0}, "`frame_rate` must be a number > 0; received 0.0"),
        ({"dropout_rate": 1.0}, r"`dropout_rate` must be a number in \[0, 1\); received 1.0"),
        ({"weight_decay": -1.0}, "`weight_decay` must be a number >= 0; received -1.0"),
        ({"boundaries": (5, 3)}, r"`boundaries` must be positive and ascending; received \(5, 3\)"),
        (
            {"boundaries": (5,)},
            "`learning_rates` must be 2 positive rates, one more than `boundaries`; received",
        ),
        ({"schedule": "cosine"}, "`boundaries` must be empty for `schedule` 'cosine'"),
        (
            {"crop_scales": (0.75, 1.0)},
            r"`crop_scales` must be within \(0, 1\], in descending order",
        ),
        ({"crop_scales": (1.5,)}, r"`crop_scales` must be within \(0, 1\]"),
        ({"flow_direction": "both"}, "`flow_direction` must be 'forward' for inception_i3d of rgb"),
    ],
)
def test_recipe_refuses_fields_that_are_not_allowed(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(KINETICS, **changes)


@pytest.mark.parametrize(
    ("model", "stream", "frames", "test_clips"),
    [
        ("convnet_lstm", "rgb", {"rgb": 25}, (50, 1)),
        ("c3d", "rgb", {"rgb": 16}, (16, 15)),
        ("two_stream", "rgb", {"rgb": 1, "flow": 10}, (1, 25)),
        ("fused_3d", "joint", {"rgb": 5, "flow": 50}, (5, 5)),
        ("inception_i3d", "rgb", {"rgb": 64, "flow": 64}, (250, 1)),
    ],
)
def test_for_model_takes_the_sampling_of_the_paper(model, stream, frames, test_clips):
    recipe = for_model(KINETICS, model)
    assert (recipe.model, recipe.stream) == (model, stream)
    for name, count in frames.items():
        assert recipe.clip_shape(name, recipe.train_frames)[0] == count
    frames, *_ = recipe.clip_shape("rgb", recipe.test_frames)
    assert (frames, recipe.test_windows) == test_clips
    assert (recipe.steps, recipe.learning_rates) == (KINETICS.steps, KINETICS.learning_rates)


def test_for_model_takes_segments_and_gives_them_back():
    recipe = for_model(KINETICS, "tsn")
    assert recipe.clip_shape("rgb", recipe.train_frames)[0] == 1
    assert recipe.clip_shape("flow", recipe.train_frames)[0] == 5
    assert (recipe.train_protocol.segments, recipe.protocol.segments) == (3, 25)
    back = for_model(recipe, "inception_i3d")
    assert (back.segments, back.test_segments, back.rgb_step) == (1, None, 1)


def test_recipe_of_both_directions_says_so_to_its_protocol():
    recipe = for_model(RECIPES["kinetics_flow"], "two_stream_2014")
    both = dataclasses.replace(recipe, flow_direction="both")
    assert both.protocol == dataclasses.replace(recipe.protocol, flow_direction="both")
    assert for_model(both, "tsn").flow_direction == "forward"
    for changes, message in (
        ({"train_frames": 9}, "`train_frames` must be even for `flow_direction` 'both'"),
        ({"stream": "rgb"}, "'forward' for two_stream_2014 of rgb; two_stream_2014 of flow takes"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(both, **changes)
    settings = {**vars(recipe)}
    del settings["flow_direction"]  # of a former version
    assert settings_protocol(settings) == recipe.protocol


def test_settings_of_former_versions_have_one_segment():
    settings = {**vars(KINETICS)}
    del settings["segments"], settings["test_segments"]
    assert settings_protocol(settings) == KINETICS.protocol
    assert settings_protocol({**settings, "segments": 7}).segments == 7


def test_for_model_keeps_the_stream_if_the_network_has_it():
    assert for_model(RECIPES["kinetics_flow"], "two_stream").stream == "flow"
    assert for_model(RECIPES["kinetics_flow"], "c3d").stream == "rgb"


def test_stick_action_clips_span_two_seconds_for_every_network():
    for model in TRAINED_STREAMS.keys() - FEATURE_NETWORKS.keys():
        recipe = for_model(RECIPES["stick_actions"], model)
        if recipe.segments > 1:  # from all over the clip
            continue
        seconds = recipe.test_frames * recipe.test_windows / recipe.frame_rate
        assert 1.9 <= seconds <= 2.0


@pytest.mark.parametrize(("model", "least"), [("c3d", 16), ("fused_3d", 10), ("convnet_lstm", 5)])
def test_recipe_needs_windows_as_long_as_the_network_does(model, least):
    recipe = for_model(KINETICS, model)
    assert dataclasses.replace(recipe, train_frames=least).train_frames == least
    with pytest.raises(ValueError, match=f"`train_frames` must be an integer >= {least}; received"):
        dataclasses.replace(recipe, train_frames=least - 1)


def test_for_model_names_the_choices():
    with pytest.raises(ValueError, match=r"`model` must be one of \('inception_i3d', .*'r3d'"):
        for_model(KINETICS, "r3d")


def test_streams_of_a_joint_recipe_are_both():
    assert for_model(KINETICS, "fused_3d").streams == ("rgb", "flow")
    assert KINETICS.streams == ("rgb",)


FINETUNE = RECIPES["finetune"]


@pytest.mark.parametrize(
    ("clips", "transfer", "expected"),
    [
        # clips: batch, steps, steps between evaluations, learning rate
        (2, "fixed", (2, 120, 30, 0.01)),  # at least 240 clips are shown
        (12, "fixed", (3, 80, 20, 0.01)),
        (12, "full", (3, 80, 20, 0.001)),
        (60, "fixed", (8, 150, 38, 0.01)),  # 20 epochs
        (60, "full", (4, 300, 75, 0.001)),
        (350, "fixed", (8, 300, 100, 0.01)),  # at most 2,400 clips, and fewer evaluations
        (1000, "fixed", (8, 300, 150, 0.01)),
        (10_000, "fixed", (8, 2500, 1250, 0.01)),  # but 2 epochs
    ],
)
def test_fit_to_clips_sets_batch_length_and_rate(clips, transfer, expected):
    recipe = fit_to_clips(FINETUNE, transfer, clips)
    (rate,) = recipe.learning_rates
    assert (recipe.batch_size, recipe.steps, recipe.evaluate_every, rate) == expected


def test_fit_to_clips_shares_the_clips_among_replicas():
    assert fit_to_clips(FINETUNE, "fixed", 60, replicas=4).steps == 38


def test_fit_to_clips_keeps_fields_that_are_not_derived():
    assert fit_to_clips(KINETICS, "full", 60) == KINETICS
    recipe = dataclasses.replace(FINETUNE, steps=7, derived=("evaluate_every",))
    fitted = fit_to_clips(recipe, "fixed", 60)
    assert (fitted.steps, fitted.evaluate_every) == (7, 4)
    assert (fitted.batch_size, fitted.learning_rates) == (recipe.batch_size, (0.1,))


def test_recipe_of_the_deep_lstm_weighs_later_steps_more():
    assert for_model(KINETICS, "deep_lstm").loss_gain == "linear"
    assert for_model(for_model(KINETICS, "deep_lstm"), "convnet_lstm").loss_gain is None
    with pytest.raises(ValueError, match=r"`loss_gain` must be one of \('linear',\); .*'rising'"):
        dataclasses.replace(KINETICS, loss_gain="rising")


def test_recipe_refuses_arguments_that_other_fields_give():
    assert dataclasses.replace(KINETICS, network_arguments={"lstm_layers": 2}).network_arguments
    with pytest.raises(ValueError, match=r"`network_arguments` must be other than .*'classes'"):
        dataclasses.replace(KINETICS, network_arguments={"classes": 3})


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_charades_recipes_are_the_published_run(stream):
    recipe = RECIPES[f"charades_{stream}"]
    assert (recipe.task, recipe.stream, recipe.init) == ("frames", stream, f"{stream}_imagenet")
    assert (recipe.transfer, recipe.dropout_rate, recipe.weight_decay) == ("full", 0.5, 1e-6)
    assert (recipe.steps, recipe.boundaries, recipe.learning_rates) == (
        65_000, (45_000,), (0.1, 0.01)
    )  # fmt: skip
    assert (recipe.train_frames, recipe.frame_rate, recipe.batch_size) == (64, 24.0, 6)
    assert (recipe.short_side, recipe.crop_size, recipe.flip) == (226, 224, True)


def test_for_task_takes_the_dataset_and_the_loss_that_the_task_needs():
    recipe = for_task(RECIPES["stick_actions"], "frames")
    assert (recipe.dataset, recipe.task, recipe.label_smoothing) == ("intervals", "frames", 0)
    assert (recipe.train_split, recipe.test_split) == ("train", "test")
    own = for_task(RECIPES["finetune"], "multilabel")
    assert "train_split" not in own.derived
    assert "steps" in own.derived
    charades = RECIPES["charades_rgb"]
    assert for_task(charades, "frames") == charades
    multilabel = for_model(for_task(charades, "multilabel"), "deep_lstm")
    assert (multilabel.task, multilabel.loss_gain) == ("multilabel", None)


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("clip", {"dataset": "intervals"}, "`dataset` must be one with a class for each video"),
        ("clip", {"step_rule": "align_corners"}, "`step_rule` must be 'centers' for `task` 'clip'"),
        ("clip", {"task": "frame"}, "`task` must be one of"),
        ("frames", {"dataset": "kinetics400"}, "`dataset` must be 'intervals' for `task` 'frames'"),
        ("frames", {"model": "c3d"}, "`model` must be 'inception_i3d' for `task` 'frames'"),
        ("frames", {"segments": 2}, "`segments` must be 1 for `task` 'frames'"),
        ("frames", {"rgb_step": 2}, "`rgb_step` must be 1 for `task` 'frames'"),
        ("multilabel", {"label_smoothing": 0.1}, "`label_smoothing` must be 0.0 for `task`"),
        ("multilabel", {"loss_gain": "linear"}, "`loss_gain` must be None for `task`"),
    ],
)
def test_recipe_refuses_fields_that_do_not_go_with_the_task(task, changes, message):
    recipe = for_task(KINETICS, task)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(recipe, **changes)
