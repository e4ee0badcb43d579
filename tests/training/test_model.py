import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.training import model as training_model
from i3d_tf.training.model import (
    batch_norms,
    build_model,
    freeze_batch_norm,
    restore_model,
    seed_dropout,
    set_precision,
)

CLASSES = 4
GENERATOR = np.random.default_rng(0)
CLIPS = GENERATOR.uniform(-1, 1, (4, 3, 32, 32, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3])

pytestmark = pytest.mark.usefixtures("small_network")


def compiled(recipe, accumulate=1, frozen=False, **arguments):
    model = build_model(recipe, CLASSES, **arguments)
    if frozen:
        freeze_batch_norm(model)
    training_model.compile_model(model, recipe, accumulate)
    return model


def values(model):
    return {v.path: v.numpy() for v in model.weights}


def changed(model, before):
    return {path for path, value in values(model).items() if (value != before[path]).any()}


@pytest.fixture
def init(tiny_recipe, random_weights, tmp_path):
    """Function: number of classes -> a file with a network of random weights, and their values."""

    def write(classes):
        model = random_weights(build_model(tiny_recipe, classes))
        model.save(tmp_path / "init.keras")
        return str(tmp_path / "init.keras"), values(model)

    return write


def test_accumulated_batches_equal_one_large_batch(tiny_recipe):
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
    assert changed(pieces, before) == {"Conv/kernel", f"{HEAD}/kernel", f"{HEAD}/bias"}
    found = values(pieces)
    for path, value in values(whole).items():
        # The same sum in another order, in float32, of gradients of about 1.
        np.testing.assert_allclose(found[path], value, atol=1e-6, err_msg=path)


def test_fixed_transfer_trains_the_last_layer_alone(tiny_recipe, init):
    path, source = init(5)
    with pytest.warns(UserWarning, match="all was loaded but Logits, untrained"):
        model = compiled(tiny_recipe, transfer="fixed", init=path)
    before = values(model)
    model.train_on_batch(CLIPS, LABELS)
    head = {path for path in before if path.startswith(f"{HEAD}/")}
    assert len(head) == 2
    assert changed(model, before) == head  # not even batch norm's statistics
    assert all((before[path] == source[path]).all() for path in before.keys() - head)


def test_full_transfer_starts_with_the_weights_and_trains_all_of_them(tiny_recipe, init):
    path, source = init(5)
    with pytest.warns(UserWarning, match="all was loaded but Logits, untrained"):
        model = compiled(tiny_recipe, transfer="full", init=path)
    before = values(model)
    assert all((before[path] == source[path]).all() for path in before if HEAD not in path)
    model.train_on_batch(CLIPS, LABELS)
    assert changed(model, before) == {path for path in before if "seed" not in path}


def test_transfer_of_as_many_classes_keeps_the_head(tiny_recipe, init):
    path, source = init(CLASSES)
    assert changed(build_model(tiny_recipe, CLASSES, "full", path), source) == set()


def test_frozen_batch_norm_stays_while_kernels_train(tiny_recipe):
    model = compiled(tiny_recipe, frozen=True)
    before = values(model)
    model.train_on_batch(CLIPS, LABELS)
    found = changed(model, before)
    assert not any("batch_norm" in path for path in found)
    assert "Conv/kernel" in found


def test_partial_batch_norm_trains_the_first_alone():
    norms = [keras.layers.BatchNormalization(name=name) for name in ("first", "second", "third")]
    kernels = [keras.layers.Dense(4, use_bias=False) for _ in norms]
    layers = [layer for pair in zip(kernels, norms, strict=True) for layer in pair]
    model = keras.Sequential([keras.Input((4,)), *layers], name="sequential")
    freeze_batch_norm(model, but_first=True)
    model.compile("sgd", "mse", run_eagerly=True)
    before = values(model)
    model.train_on_batch(GENERATOR.normal(3, 2, (8, 4)), GENERATOR.normal(0, 1, (8, 4)))
    found = changed(model, before)
    first = {
        f"sequential/first/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    assert found == first | {kernel.kernel.path for kernel in kernels}


def test_first_batch_norm_is_that_of_the_first_layer(tiny_network):
    first, second = (layer.moving_mean.path for layer in batch_norms(tiny_network("tsn"))[:2])
    assert first.startswith("Conv2d_1a_7x7/")
    assert second.startswith("Conv2d_2b_1x1/")


@pytest.mark.parametrize(
    ("transfer", "init", "message"),
    [
        ("partial", None, r"`transfer` must be one of \('scratch', 'fixed', 'full'\); received"),
        ("scratch", "rgb_imagenet", "`transfer` 'scratch' takes no `init`; received 'rgb_imag"),
        ("fixed", None, "`transfer` 'fixed' needs an `init`; received None"),
        ("full", None, "`transfer` 'full' needs an `init`; received None"),
    ],
)
def test_build_model_refuses_transfer_and_init_that_do_not_fit(
    tiny_recipe, transfer, init, message
):
    with pytest.raises(ValueError, match=message):
        build_model(tiny_recipe, CLASSES, transfer, init)


def test_set_precision_refuses_unknown_precision():
    with pytest.raises(ValueError, match=r"`precision` must be one of .*; received 'float64'"):
        set_precision("float64")


def test_half_precision_needs_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(ValueError, match=r"`precision` mixed_float16 needs a GPU.*mixed_bfloat16"):
        set_precision("mixed_float16")


@pytest.mark.parametrize(
    ("gpus", "replicas", "is_deterministic", "used"),
    [(0, 1, False, False), (1, 1, False, True), (1, 1, True, False), (2, 2, False, False)],
)
def test_xla_is_used_on_one_gpu_alone_unless_bits_must_repeat(
    monkeypatch, gpus, replicas, is_deterministic, used
):
    if is_deterministic:
        tf.config.experimental.enable_op_determinism()
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"] * gpus)
    assert training_model.uses_xla(replicas) is used


def test_bfloat16_trains_float32_variables(tiny_recipe):
    set_precision("mixed_bfloat16")
    model = compiled(tiny_recipe)
    assert model.get_layer("Conv").compute_dtype == "bfloat16"
    assert {str(v.dtype) for v in model.trainable_variables} == {"float32"}
    before = values(model)
    loss, _ = model.train_on_batch(CLIPS, LABELS)
    assert np.isfinite(loss)
    assert "Conv/kernel" in changed(model, before)
    assert model(CLIPS[:1]).dtype == tf.float32


@pytest.mark.parametrize("frozen", [False, True])
def test_restored_model_trains_on_identically(tiny_recipe, tmp_path, frozen):
    recipe = dataclasses.replace(tiny_recipe, weight_decay=1e-3)
    model = compiled(recipe, accumulate=2, frozen=frozen)
    seed_dropout(model, 7, 0)
    for _ in range(3):
        model.train_on_batch(CLIPS, LABELS)
    model.save(tmp_path / "state.keras")
    restored = restore_model(tmp_path / "state.keras", recipe, CLASSES, "scratch", frozen, 2)
    seed_dropout(restored, 7, 3)
    assert {layer.momentum for layer in batch_norms(restored)} == {0.9}
    for trained in (model, restored):
        trained.train_on_batch(CLIPS, LABELS)
    ours, theirs = ([*m.variables, *m.optimizer.variables] for m in (model, restored))
    for mine, its in zip(ours, theirs, strict=True):
        assert np.array_equal(mine.numpy(), its.numpy()), mine.path


def test_restored_model_follows_the_schedule_of_the_recipe(tiny_recipe, tmp_path):
    recipe = dataclasses.replace(tiny_recipe, schedule="cosine", learning_rates=(1.0,), steps=8)
    model = compiled(recipe)
    for _ in range(4):
        model.train_on_batch(CLIPS, LABELS)
    model.save(tmp_path / "state.keras")
    assert float(model.optimizer.learning_rate) == pytest.approx(0.5)
    longer = dataclasses.replace(recipe, steps=16)
    restored = restore_model(tmp_path / "state.keras", longer, CLASSES)
    # Of 16 steps the first is warm-up: step 4 is 3/15 of the way.
    expected = (1 + np.cos(np.pi * 3 / 15)) / 2
    assert float(restored.optimizer.learning_rate) == pytest.approx(expected)


def test_restore_model_refuses_state_of_another_network(tiny_recipe, tmp_path):
    compiled(tiny_recipe).save(tmp_path / "state.keras")
    with pytest.raises(ValueError, match=r"state\.keras: not the state of this run"):
        restore_model(tmp_path / "state.keras", tiny_recipe, CLASSES + 1)
    other = dataclasses.replace(tiny_recipe, optimizer="adamw")
    with pytest.raises(ValueError, match=r"state\.keras: not the state of this run"):
        restore_model(tmp_path / "state.keras", other, CLASSES)


def test_seed_dropout_sets_seed_and_calls_so_far(tiny_recipe):
    model = build_model(tiny_recipe, CLASSES)
    (state,) = (v for v in model.variables if v.path.endswith("seed_generator_state"))
    seed_dropout(model, 7, 0)
    for step in range(3):
        assert state.numpy().tolist() == [7, step]
        model(CLIPS[:1], training=True)


def test_accuracy_leaves_out_clips_of_weight_0(tiny_recipe):
    model = compiled(tiny_recipe)
    best = int(np.argmax(model(CLIPS[:1], training=False)))
    labels = np.array([best, (best + 1) % CLASSES])
    clips = np.concatenate([CLIPS[:1]] * 2)
    assert model.test_on_batch(clips, labels, np.array([1.0, 0.0]))[1] == 1.0


def test_i3d_has_batch_norm_of_the_recipe_in_every_unit(tiny_recipe, monkeypatch):
    monkeypatch.undo()  # the real network
    model = build_model(tiny_recipe, CLASSES)
    layers = batch_norms(model)
    assert len(layers) == 57  # of all convolutions but the last
    assert {layer.momentum for layer in layers} == {0.9}
    assert model.input_shape == (None, None, 32, 32, 3)
    (state,) = (v for v in model.variables if v.path.endswith("seed_generator_state"))
    assert state.shape == (2,)


def test_logits_at_every_step_are_trained_and_the_last_ones_evaluated(tiny_recipe):
    model = build_model(dataclasses.replace(tiny_recipe, model="convnet_lstm"), CLASSES)
    steps = model(CLIPS[:2], training=False)
    assert steps.shape == (2, 3, CLASSES)
    last = forward_function(model).python_function(CLIPS[:2])
    np.testing.assert_array_equal(last, steps[:, -1])


def test_recipe_gives_its_network_further_arguments(tiny_recipe, toy_backbone):
    def build(model, **arguments):
        given = {"backbone": toy_backbone, **arguments}
        return build_model(
            dataclasses.replace(tiny_recipe, model=model, network_arguments=given), CLASSES
        )

    deep = build("deep_lstm", lstm_layers=2, step_pooling="max")
    assert deep.output_shape == (None, None, CLASSES)
    assert [layer.name for layer in deep.layers if "lstm" in layer.name] == ["lstm", "lstm_2"]
    assert deep.get_layer("step_pool").pooling == "max"
    assert build("pooled_frames", pooling="slow").input_shape == (None, None, 32, 32, 3)
    # Its classifier reads every window.
    assert build("pooled_frames", pooling="local").input_shape == (None, 9, 32, 32, 3)
    with pytest.raises(ValueError, match=r"'pooled_frames' takes the arguments .*\['pool'\]"):
        build("pooled_frames", pool="slow")


def test_loss_gain_of_the_recipe_reaches_the_loss(tiny_recipe):
    recipe = dataclasses.replace(tiny_recipe, model="convnet_lstm", loss_gain="linear")
    assert compiled(recipe).loss.step_gain == "linear"
