import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.recipes import RECIPES
from i3d_tf.training.optimization import (
    NO_LABEL,
    FrameCrossentropy,
    MultilabelCrossentropy,
    SmoothedCrossentropy,
    accuracy,
    learning_rate,
    make_optimizer,
)


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        (
            "kinetics_rgb",
            {0: 0.1, 96_999: 0.1, 97_000: 0.01, 107_999: 0.01, 108_000: 0.001, 114_999: 0.001},
        ),
        (
            "kinetics_flow",
            {
                0: 0.1,
                96_999: 0.1,
                97_000: 0.01,
                104_499: 0.01,
                104_500: 0.001,
                114_999: 0.001,
                115_000: 0.1,
                139_999: 0.1,
                140_000: 0.01,
                149_999: 0.01,
                150_000: 0.001,
                154_999: 0.001,
            },
        ),
    ],
)
def test_published_schedules_change_at_their_boundaries(name, rates):
    schedule = learning_rate(RECIPES[name])
    found = {step: float(schedule(step)) for step in rates}
    assert found == pytest.approx(rates, rel=1e-6)  # float32


def test_boundaries_count_batches_where_several_make_an_update(tiny_recipe):
    recipe = dataclasses.replace(
        tiny_recipe, boundaries=(6, 9), learning_rates=(3.0, 2.0, 1.0), steps=20
    )
    schedule = learning_rate(recipe, accumulate=2)
    # Update 3 starts with batch 6, and update 4, of batches 8 and 9, before the second boundary.
    assert [float(schedule(update)) for update in range(6)] == [3, 3, 3, 2, 2, 1]


def test_one_rate_needs_no_schedule(tiny_recipe):
    assert learning_rate(tiny_recipe) == 0.02


def test_cosine_warms_up_for_a_tenth_and_ends_at_zero(tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, schedule="cosine", learning_rates=(1.0,), steps=200)
    schedule = learning_rate(recipe)
    expected = {0: 0.1, 10: 0.55, 20: 1.0, 110: 0.5, 200: 0.0}
    assert {step: float(schedule(step)) for step in expected} == pytest.approx(expected, abs=1e-6)
    halved = learning_rate(recipe, accumulate=2)
    assert float(halved(10)) == pytest.approx(1.0)
    assert float(halved(100)) == pytest.approx(0.0, abs=1e-6)


def test_cosine_of_few_steps_has_no_warmup(tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, schedule="cosine", learning_rates=(1.0,), steps=8)
    schedule = learning_rate(recipe)
    assert [float(schedule(step)) for step in (0, 4)] == pytest.approx([1.0, 0.5])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_weight_decay_is_a_share_of_the_learning_rate(tiny_recipe, optimizer, decay):
    recipe = dataclasses.replace(tiny_recipe, optimizer=optimizer, weight_decay=decay)
    variable = keras.Variable(np.ones(3, np.float32))
    made = make_optimizer(recipe)
    made.build([variable])
    made.apply([keras.ops.zeros(3)])
    # The rate is 0.02; without a gradient, nothing else moves.
    assert variable.numpy() == pytest.approx(np.full(3, 1 - 0.02 * decay), rel=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_gradients_are_clipped_by_the_norm_of_all_together(tiny_recipe, optimizer):
    recipe = dataclasses.replace(tiny_recipe, optimizer=optimizer, clip_norm=10.0)
    assert make_optimizer(recipe).global_clipnorm == 10.0
    recipe = dataclasses.replace(recipe, optimizer="sgd", weight_decay=0.0, momentum=0.0)
    variables = [keras.Variable(np.zeros(1, np.float32)) for _ in range(2)]
    made = make_optimizer(recipe)
    made.build(variables)
    made.apply([keras.ops.array([30.0]), keras.ops.array([40.0])])  # of norm 50
    assert [float(v.numpy()[0]) for v in variables] == pytest.approx([-0.02 * 6, -0.02 * 8])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_loss_spreads_a_share_of_the_target_over_all_classes(smoothing):
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
    labels = np.array([0, 2])
    targets = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
    expected = -(targets * np.log(softmax(logits))).sum(axis=1)
    loss = SmoothedCrossentropy(smoothing)
    found = np.array(loss.call(labels, tf.constant(logits, tf.float32)))
    assert found == pytest.approx(expected, rel=1e-6)  # float32
    again = SmoothedCrossentropy.from_config(loss.get_config())
    assert again.label_smoothing == smoothing


def test_loss_of_logits_at_every_step_is_the_mean_of_the_steps():
    loss = SmoothedCrossentropy(0.1)
    logits = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    labels = np.array([1, 3])
    of_steps = [float(loss(labels, logits[:, step])) for step in range(3)]
    assert float(loss(labels, logits)) == pytest.approx(np.mean(of_steps), rel=1e-6)


def test_loss_gain_weighs_steps_from_zero_to_one():
    loss = SmoothedCrossentropy(0.1, "linear")
    logits = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    labels = np.array([1, 3])
    first, second, third = (
        float(SmoothedCrossentropy(0.1)(labels, logits[:, step])) for step in range(3)
    )
    expected = (0 * first + 0.5 * second + 1 * third) / 1.5
    assert float(loss(labels, logits)) == pytest.approx(expected, rel=1e-6)
    assert float(loss(labels, logits[:, :1])) == pytest.approx(first, rel=1e-6)
    assert float(loss(labels, logits[:, 0])) == pytest.approx(first, rel=1e-6)
    again = SmoothedCrossentropy.from_config(loss.get_config())
    assert again.step_gain == "linear"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_clips_of_another_dataset_have_no_loss(smoothing):
    loss = SmoothedCrossentropy(smoothing)
    first = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]], np.float32)
    second = np.array([[1.0, 0.0], [0.5, -2.0]], np.float32)
    # The first clip is of class 1 of the first dataset, the second of class 0 of the second.
    losses = loss(np.array([1, NO_LABEL]), first) + loss(np.array([NO_LABEL, 0]), second)
    alone = loss(np.array([1]), first[:1]), loss(np.array([0]), second[1:])
    assert float(losses) == pytest.approx((float(alone[0]) + float(alone[1])) / 2, rel=1e-6)
    variable = tf.Variable(first)
    with tf.GradientTape() as tape:
        value = loss(np.array([1, NO_LABEL]), variable)
    gradient = np.array(tape.gradient(value, variable))
    assert np.abs(gradient[0]).min() > 0
    assert (gradient[1] == 0).all()


def test_heads_of_two_datasets_train_on_their_own_clips():
    features = keras.Input((4,))
    outputs = {name: keras.layers.Dense(2, name=name)(features) for name in ("first", "second")}
    model = keras.Model(features, outputs)
    before = {name: model.get_layer(name).get_weights() for name in outputs}
    losses = {name: SmoothedCrossentropy() for name in outputs}
    model.compile(keras.optimizers.SGD(0.5), losses, run_eagerly=True)
    labels = {"first": np.array([0, 1]), "second": np.array([NO_LABEL, NO_LABEL])}
    clips = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    expected = float(SmoothedCrossentropy()(labels["first"], model(clips)["first"]))
    history = model.fit(clips, labels, verbose=0).history
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    after = {name: model.get_layer(name).get_weights() for name in outputs}
    assert np.abs(after["first"][0] - before["first"][0]).min() > 0
    np.testing.assert_array_equal(after["second"][0], before["second"][0])


def test_accuracy_of_logits_at_every_step_is_that_of_the_last():
    logits = np.zeros((2, 3, 4), np.float32)
    logits[:, -1, 2] = 1.0
    logits[:, 0, 1] = 9.0
    assert accuracy(np.array([2, 1]), logits).numpy().tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", ["i3d_tf>right", "i3d_tf>accuracy"])
def test_state_that_names_the_accuracy_in_either_way_is_read(tmp_path, name):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    metric = keras.metrics.MeanMetricWrapper(accuracy, name="accuracy")
    model.compile("sgd", SmoothedCrossentropy(0.1), weighted_metrics=[metric], run_eagerly=True)
    inputs, labels = np.eye(3, dtype=np.float32), np.array([0, 1, 0])
    model.train_on_batch(inputs, labels)
    model.save(tmp_path / "new.keras")
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(tmp_path / "state.keras", "w") as state,
    ):
        for entry in new.namelist():
            content = new.read(entry)
            if entry == "config.json":
                assert b'"i3d_tf>accuracy"' in content
                content = content.replace(b'"i3d_tf>accuracy"', json.dumps(name).encode())
            state.writestr(entry, content)
    loaded = keras.models.load_model(tmp_path / "state.keras")
    for each in (model, loaded):
        each.run_eagerly = True
        each.reset_metrics()  # which Keras 3.7 does not do before a test
    results = [
        each.test_on_batch(inputs, labels, np.array([1.0, 0.5, 0.0]), return_dict=True)
        for each in (model, loaded)
    ]
    assert results[0].keys() == {"loss", "accuracy"}
    assert results[0] == results[1]


def binary(logit, target):
    """Cross-entropy by its definition, in float64."""
    share = 1 / (1 + np.exp(-logit))
    return -np.log(share if target else 1 - share)


def test_multilabel_loss_is_the_mean_over_classes():
    loss = MultilabelCrossentropy(reduction=None)
    logits = np.array([[0.0, 2.0, -1.0], [0.0, 0.0, 0.0]], "float32")
    targets = np.array([[1, 1, 0], [0, 0, 0]], "float32")
    expected = np.array([(binary(0, 1) + binary(2, 1) + binary(-1, 0)) / 3, np.log(2)])
    np.testing.assert_allclose(loss(targets, logits), expected, rtol=1e-6)
    steps = np.stack([logits, 0 * logits], axis=1)  # each step counts as much
    expected = (expected + np.log(2)) / 2
    np.testing.assert_allclose(loss(targets, steps), expected, rtol=1e-6)


def test_frame_loss_by_hand():
    # Of 24 frames the head has two steps, at frames 9 and 17: frames to 9 have the first's logit,
    # frames from 17 on the second's, and those between 1/8, 2/8, ... of the way.
    logits = np.array([[[-1.0], [3.0]]], "float32")
    targets = np.zeros((1, 24, 1), "float32")
    targets[0, 16:] = 1
    frames = [-1.0] * 9 + [-1 + 4 * k / 8 for k in range(8)] + [3.0] * 7
    of_frames = np.mean([binary(z, t) for z, t in zip(frames, targets[0, :, 0], strict=True)])
    loss = FrameCrossentropy(reduction=None)
    expected = (of_frames + binary(3.0, 1)) / 2
    np.testing.assert_allclose(loss(targets, logits), [expected], rtol=1e-6)
    # A clip without the class: its highest logit, too, is to be low.
    nothing = (np.mean([binary(z, 0) for z in frames]) + binary(3.0, 0)) / 2
    np.testing.assert_allclose(loss(0 * targets, logits), [nothing], rtol=1e-6)


def test_frame_loss_takes_steps_to_be_where_its_rule_says():
    logits = np.array([[[-1.0], [3.0]]], "float32")
    targets = np.zeros((1, 24, 1), "float32")
    frames = np.linspace(-1, 3, 24)  # from corner to corner
    expected = (np.mean([binary(z, 0) for z in frames]) + binary(3.0, 0)) / 2
    loss = FrameCrossentropy("align_corners", reduction=None)
    np.testing.assert_allclose(loss(targets, logits), [expected], rtol=1e-6)
    assert FrameCrossentropy.from_config(loss.get_config()).step_rule == "align_corners"
