import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.recipes import RECIPES
from i3d_tf.training import model as training_model
from i3d_tf.training.model import (
    batch_norms,
    build_model,
    compile_model,
    restore_model,
    seed_dropout,
    set_precision,
)
from i3d_tf.training.optimization import SmoothedCrossentropy, learning_rate, make_optimizer

CLASSES = 4
GENERATOR = np.random.default_rng(0)
CLIPS = GENERATOR.uniform(-1, 1, (4, 9, 32, 32, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3])


def compiled(recipe, accumulate=1, frozen=False, **arguments):
    """A compiled model that runs without the seconds it takes to trace it."""
    model = build_model(recipe, CLASSES, **arguments)
    if frozen:
        training_model.freeze_batch_norm(model)
    compile_model(model, recipe, accumulate)
    model.run_eagerly = True
    return model


def values(model):
    return {v.path: v.numpy() for v in model.weights}


def changed(model, before):
    return {path for path, value in values(model).items() if (value != before[path]).any()}


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
def test_the_published_schedules_change_at_their_boundaries(name, rates):
    schedule = learning_rate(RECIPES[name])
    found = {step: float(schedule(step)) for step in rates}
    assert found == pytest.approx(rates, rel=1e-6)  # float32


def test_boundaries_count_batches_where_several_make_an_update(tiny_recipe):
    recipe = dataclasses.replace(
        tiny_recipe, boundaries=(6, 9), learning_rates=(3.0, 2.0, 1.0), steps=20
    )
    schedule = learning_rate(recipe, accumulate=2)
    # Update 3 begins with batch 6, and update 4, of batches 8 and 9, before the second boundary.
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


def test_a_cosine_of_few_steps_has_no_warmup(tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, schedule="cosine", learning_rates=(1.0,), steps=8)
    schedule = learning_rate(recipe)
    assert [float(schedule(step)) for step in (0, 4)] == pytest.approx([1.0, 0.5])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_optimizers_with_and_without_weight_decay(tiny_recipe, optimizer):
    for decay in (0.0, 0.1):
        recipe = dataclasses.replace(tiny_recipe, optimizer=optimizer, weight_decay=decay)
        variable = keras.Variable(np.ones(3, np.float32))
        made = make_optimizer(recipe)
        made.build([variable])
        made.apply([keras.ops.zeros(3)])
        # Decay is a share of the learning rate, 0.02; without a gradient, nothing else moves.
        assert variable.numpy() == pytest.approx(np.full(3, 1 - 0.02 * decay), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_label_smoothing(smoothing):
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
    labels = np.array([0, 2])
    targets = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
    expected = -(targets * np.log(softmax(logits))).sum(axis=1)
    loss = SmoothedCrossentropy(smoothing)
    found = np.array(loss.call(labels, tf.constant(logits, tf.float32)))
    assert found == pytest.approx(expected, rel=1e-6)  # float32
    again = SmoothedCrossentropy.from_config(loss.get_config())
    assert again.label_smoothing == smoothing


def test_batches_that_are_accumulated_equal_one_large_batch(tiny_recipe):
    recipe = dataclasses.replace(
        tiny_recipe, momentum=0.0, weight_decay=0.0, dropout_rate=0.0, learning_rates=(0.1,)
    )
    whole, pieces = compiled(recipe, frozen=True), compiled(recipe, accumulate=2, frozen=True)
    pieces.set_weights(whole.get_weights())
    before = values(whole)
    weights = np.array([1.0, 0.5, 2.0, 0.0], np.float32)
    whole.train_on_batch(CLIPS, LABELS, weights)
    pieces.train_on_batch(CLIPS[:2], LABELS[:2], weights[:2])
    assert changed(pieces, before) == set()
    pieces.train_on_batch(CLIPS[2:], LABELS[2:], weights[2:])
    assert len(changed(pieces, before)) > 50
    found = values(pieces)
    for path, value in values(whole).items():
        # The same sum in another order, in float32, of gradients of about 1.
        np.testing.assert_allclose(found[path], value, atol=1e-6, err_msg=path)


def test_fixed_trains_the_last_layer_alone(tiny_recipe, tiny_dir):
    with pytest.warns(UserWarning, match="all was loaded but Logits, untrained"):
        model = compiled(tiny_recipe, transfer="fixed", init="tiny_rgb", checkpoint_dir=tiny_dir)
    before = values(model)
    model.train_on_batch(CLIPS, LABELS)
    head = {path for path in before if path.startswith("Logits/")}
    assert len(head) == 2
    assert changed(model, before) == head  # not even batch norm's statistics


def test_full_begins_with_the_weights_and_trains_all_of_them(tiny_recipe, tiny_dir):
    from i3d_tf import zoo

    with pytest.warns(UserWarning, match="all was loaded but Logits, untrained"):
        model = compiled(tiny_recipe, transfer="full", init="tiny_rgb", checkpoint_dir=tiny_dir)
    source = values(zoo.load("tiny_rgb", tiny_dir))
    before = values(model)
    for path in source:
        if not path.startswith("Logits/"):
            assert (before[path] == source[path]).all(), path
    model.train_on_batch(CLIPS, LABELS)
    assert changed(model, before) >= {path for path in before if path.endswith("moving_mean")}


def test_the_number_of_classes_of_the_weights_keeps_the_head(tiny_recipe, tiny_dir):
    from i3d_tf import zoo

    model = build_model(tiny_recipe, 5, "full", "tiny_rgb", tiny_dir)
    source = values(zoo.load("tiny_rgb", tiny_dir))
    assert changed(model, source) == set()


def test_frozen_batch_norm_stays_while_kernels_train(tiny_recipe):
    model = compiled(tiny_recipe, frozen=True)
    before = values(model)
    model.train_on_batch(CLIPS, LABELS)
    found = changed(model, before)
    assert not any("batch_norm" in path for path in found)
    assert "Conv3d_1a_7x7/conv_3d/kernel" in found


@pytest.mark.parametrize(
    ("transfer", "init", "message"),
    [
        ("partial", None, r"`transfer` must be one of \('scratch', 'fixed', 'full'\); received"),
        ("scratch", "rgb_imagenet", "`transfer` 'scratch' takes no `init`; received 'rgb_imag"),
        ("fixed", None, "`transfer` 'fixed' needs an `init`; received None"),
        ("full", None, "`transfer` 'full' needs an `init`; received None"),
    ],
)
def test_transfers_and_weights_that_do_not_go_together(tiny_recipe, transfer, init, message):
    with pytest.raises(ValueError, match=message):
        build_model(tiny_recipe, CLASSES, transfer, init)


def test_weights_of_the_other_stream_are_refused(tiny_recipe, tiny_dir):
    with pytest.raises(ValueError, match="Conv3d_1a_7x7"):
        build_model(tiny_recipe, 5, "full", "tiny_flow", tiny_dir)


def test_an_unknown_precision():
    with pytest.raises(ValueError, match=r"`precision` must be one of .*; received 'float64'"):
        set_precision("float64")


def test_half_precision_needs_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(ValueError, match=r"`precision` mixed_float16 needs a GPU.*mixed_bfloat16"):
        set_precision("mixed_float16")


def test_bfloat16_trains(tiny_recipe, restored_settings):
    set_precision("mixed_bfloat16")
    model = compiled(tiny_recipe)
    assert model.get_layer("Mixed_4f").compute_dtype == "bfloat16"
    assert {str(v.dtype) for v in model.trainable_variables} == {"float32"}
    before = values(model)
    loss, _ = model.train_on_batch(CLIPS, LABELS)
    assert np.isfinite(loss)
    assert "Conv3d_1a_7x7/conv_3d/kernel" in changed(model, before)
    assert model(CLIPS[:1]).dtype == tf.float32


@pytest.mark.parametrize("frozen", [False, True])
def test_a_saved_state_goes_on_as_it_was(tiny_recipe, tmp_path, frozen):
    recipe = dataclasses.replace(tiny_recipe, weight_decay=1e-3)
    model = compiled(recipe, accumulate=2, frozen=frozen)
    seed_dropout(model, 7, 0)
    for _ in range(3):
        model.train_on_batch(CLIPS, LABELS)
    model.save(tmp_path / "state.keras")
    again = restore_model(tmp_path / "state.keras", recipe, CLASSES, "scratch", frozen, 2)
    again.run_eagerly = True
    seed_dropout(again, 7, 3)
    assert {layer.momentum for layer in batch_norms(again)} == {0.9}
    for trained in (model, again):
        trained.train_on_batch(CLIPS, LABELS)
    ours, theirs = ([*m.variables, *m.optimizer.variables] for m in (model, again))
    for mine, its in zip(ours, theirs, strict=True):
        assert np.array_equal(mine.numpy(), its.numpy()), mine.path


def test_dropout_follows_from_the_seed_and_the_step(tiny_recipe):
    model = build_model(tiny_recipe, CLASSES)
    (state,) = (v for v in model.variables if v.path.endswith("seed_generator_state"))
    seed_dropout(model, 7, 0)
    for step in range(3):
        assert state.numpy().tolist() == [7, step]
        model(CLIPS[:1], training=True)


def test_the_state_of_another_network_is_refused(tiny_recipe, tmp_path):
    model = compiled(tiny_recipe)
    model.save(tmp_path / "state.keras")
    with pytest.raises(ValueError, match=r"state\.keras: it is not the state of this run"):
        restore_model(tmp_path / "state.keras", tiny_recipe, CLASSES + 1)
    other = dataclasses.replace(tiny_recipe, optimizer="adamw")
    with pytest.raises(ValueError, match=r"state\.keras: it is not the state of this run"):
        restore_model(tmp_path / "state.keras", other, CLASSES)


def test_weighted_accuracy_leaves_out_what_could_not_be_read(tiny_recipe):
    model = compiled(tiny_recipe)
    best = int(np.argmax(model(CLIPS[:1], training=False)))
    right = np.full(2, best)
    wrong = (right + 1) % CLASSES
    labels, weights = np.concatenate([right[:1], wrong[:1]]), np.array([1.0, 0.0])
    clips = np.concatenate([CLIPS[:1]] * 2)
    assert model.test_on_batch(clips, labels, weights)[1] == 1.0
