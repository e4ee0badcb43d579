"""The network of a training run: initial weights, frozen layers, optimizer and loss."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from i3d_tf.specs.baselines import LOCAL
from i3d_tf.specs.further_networks import FEATURE_NETWORKS, FURTHER_NETWORKS
from i3d_tf.specs.recipe import CLIP, FRAMES, PERSONS, TRANSFERS, Recipe
from i3d_tf.specs.streams import BOTH, CHANNELS
from i3d_tf.specs.validation import check_choice
from i3d_tf.training.optimization import accuracy, make_loss, make_optimizer
from i3d_tf.training.replicas import share_steps
from i3d_tf.zoo.heads import head_names, is_head
from i3d_tf.zoo.initialize import write_initial_weights
from i3d_tf.zoo.network_file import restore_state
from i3d_tf.zoo.networks import build, build_person_network

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
MIN_BATCH = 8  # clips that batch norm sees at once; statistics of fewer are mostly noise
REPLICA_SEEDS = 2**16  # between the seeds of two replicas' dropout


def set_precision(precision: str):
    """Sets Keras's dtype policy.

    Raises:
        ValueError: The precision is unknown, or this machine has no kernels for it.
    """
    check_choice("precision", precision, PRECISIONS)
    if precision == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        raise ValueError(
            "`precision` mixed_float16 needs a GPU: TensorFlow's CPU has no float16 max-pool. Use "
            "mixed_bfloat16 or float32."
        )
    keras.config.set_dtype_policy(precision)


def build_model(
    recipe: Recipe,
    classes: int | Mapping[str, int],
    transfer: str = "scratch",
    init: os.PathLike | str | None = None,
    checkpoint_dir: os.PathLike | str | None = None,
    channels: int | None = None,
) -> keras.Model:
    """Builds the network of a recipe, not compiled.

    Args:
        recipe: The recipe.
        classes: Number of classes, or of those of each head of a network with several.
        transfer: "scratch" trains everything from random weights, "full" everything from `init`,
            and "fixed" only the last layer on top of `init`, with batch norm as it was.
        init: Initial weights, see `write_initial_weights`.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        channels: Numbers of a row of stored features, for a network that reads these.

    Raises:
        ValueError: The transfer is unknown, or does not go with `init`.
    """
    check_choice("transfer", transfer, TRANSFERS)
    if (transfer == "scratch") != (init is None):
        need = "takes no" if transfer == "scratch" else "needs an"
        raise ValueError(f"`transfer` {transfer!r} {need} `init`; received {init!r}.")
    model = _network(recipe, classes, transfer, channels)
    if init is not None:
        write_initial_weights(model, init, checkpoint_dir, recipe.width_multiplier)
    return model


def restore_model(
    path: os.PathLike | str,
    recipe: Recipe,
    classes: int | Mapping[str, int],
    transfer: str = "scratch",
    frozen: bool = False,
    accumulate: int = 1,
    partial: bool = False,
    channels: int | None = None,
) -> keras.Model:
    """Builds a network as it was when it was saved, weights and optimizer, compiled.

    Frozen layers, batch norm's decay and the learning-rate schedule are not in the file: they are
    made again from the recipe. Nor are random generators, see `seed_dropout`.

    Args:
        path: The `.keras` file.
        recipe: The recipe it is trained with.
        classes: Number of classes, or of those of each head of a network with several.
        transfer: See `build_model`; no `init` is needed any more.
        frozen: Whether `freeze_batch_norm` was called.
        accumulate: See `compile_model`.
        partial: Whether `freeze_batch_norm` was called for all but the first layer.
        channels: See `build_model`.

    Raises:
        ValueError: The file holds the state of another network, or is damaged.
    """
    model = _network(recipe, classes, transfer, channels)
    if frozen or partial:
        freeze_batch_norm(model, but_first=partial)
    compile_model(model, recipe, accumulate)
    try:
        restore_state(model, Path(path))
    except ValueError as error:
        raise ValueError(f"{error} Name another --workdir.") from error
    return model


def _network(recipe, classes, transfer, channels):
    """Builds the network with its batch norm's decay, and layers frozen as `transfer` says."""
    of_features = {} if channels is None else {"channels": channels}
    of_frames = {"all_steps": True} if recipe.task == FRAMES else {}
    of_classes = {"heads": classes} if isinstance(classes, Mapping) else {"classes": classes}
    build_network = _of_persons if recipe.task == PERSONS else NETWORKS[recipe.model]
    model = build_network(
        recipe,
        **of_features,
        **of_frames,
        **of_classes,
        dropout_rate=recipe.dropout_rate,
        width_multiplier=recipe.width_multiplier,
        **(recipe.network_arguments or {}),
        name=f"{recipe.stream}_{recipe.model}",
    )
    for layer in batch_norms(model):
        layer.momentum = recipe.batch_norm_momentum
    if transfer == "fixed":
        for layer in model.layers:
            layer.trainable = is_head(layer.name)
    return model


def _of_persons(recipe, **arguments):
    """Builds I3D with a head for each person, for clips and frames of any size."""
    shape = (None, None, None, CHANNELS[recipe.stream])
    return build_person_network(input_shape=shape, **arguments)


def _any_length(recipe, **arguments):
    """Builds a network of one stream that takes any number of frames."""
    shape = (None, recipe.crop_size, recipe.crop_size, CHANNELS[recipe.stream])
    return build(recipe.model, input_shape=shape, **arguments)


def _fixed_length(recipe, **arguments):
    """Builds a network of one stream whose weights depend on the number of frames."""
    shape = recipe.clip_shape(recipe.stream, recipe.train_frames)
    return build(recipe.model, input_shape=shape, **arguments)


def _one_of_two_streams(recipe, **arguments):
    return _fixed_length(recipe, stream=recipe.stream, **arguments)


def _two_stream_2014(recipe, **arguments):
    is_bidirectional = recipe.flow_direction == BOTH
    return _one_of_two_streams(recipe, is_bidirectional=is_bidirectional, **arguments)


def _both_streams(recipe, **arguments):
    shapes = {s: recipe.clip_shape(s, recipe.train_frames) for s in recipe.streams}
    return build(recipe.model, input_shape=shapes, **arguments)


def _pooled_frames(recipe, **arguments):
    is_local = arguments.get("pooling") == LOCAL  # its classifier reads every window
    return (_fixed_length if is_local else _any_length)(recipe, **arguments)


def _of_features(recipe, channels, all_steps=None, **arguments):
    """Builds a network that reads rows of stored features."""
    steps = {} if all_steps is None else {"all_steps": all_steps}
    return build(recipe.model, input_shape=(None, channels), **steps, **arguments)


# How the network of a recipe is built; see `i3d_tf.specs.recipe.TRAINED_STREAMS`.
NETWORKS = {
    "inception_i3d": _any_length,
    "convnet_lstm": partial(_any_length, all_steps=True),
    "c3d": _fixed_length,
    "two_stream": _one_of_two_streams,
    "fused_3d": _both_streams,
    **{
        name: _fixed_length if network.has_fixed_size else _any_length
        for name, network in FURTHER_NETWORKS.items()
    },
    "pooled_frames": _pooled_frames,
    **dict.fromkeys(("deep_lstm", "lrcn"), partial(_any_length, all_steps=True)),
    "two_stream_2014": _two_stream_2014,
    **dict.fromkeys(FEATURE_NETWORKS, partial(_of_features, all_steps=True)),
    "feature_linear": _of_features,
}


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Returns every batch-norm layer of a model, also those within other layers."""
    # Keras has no public way to the layers within a layer that is not a model.
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def freeze_batch_norm(model: keras.Model, but_first: bool = False):
    """Keeps batch norm's statistics, scales and offsets as they are, also in training.

    Args:
        model: The network.
        but_first: Whether the first layer's are trained: the partial batch norm of
            arXiv:1608.00859, section 3.2, with which a first layer gets used to other inputs.
    """
    for layer in batch_norms(model)[1 if but_first else 0 :]:
        layer.trainable = False


def seed_dropout(model: keras.Model, seed: int, step: int, first_replica: int = 0):
    """Makes dropout depend on seed, step and replica alone; Keras does not save its generators.

    A generator's state is (seed, calls so far), and every step calls it once: training that starts
    here goes on as if it had never stopped.

    Args:
        model: The network.
        seed: Seed of the run.
        step: Steps done.
        first_replica: Number of the first replica of this process.
    """
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for index, state in enumerate(states):
        of_replicas = model.distribute_strategy.experimental_local_results(state.value)
        for replica, of_replica in enumerate(of_replicas, first_replica):
            of_replica.assign([(seed + index + replica * REPLICA_SEEDS) % 2**32, step])


def compile_model(model: keras.Model, recipe: Recipe, accumulate: int = 1):
    """Gives a model its optimizer, with all its variables, and its loss and metrics.

    Args:
        model: The network.
        recipe: The recipe.
        accumulate: Batches whose gradients are averaged before one update.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    # Weighted, so that clips that could not be read (weight 0) do not count.
    loss, metrics = make_loss(recipe), _accuracies() if recipe.task == CLIP else None
    if heads := head_names(model):  # the sum of their losses
        loss = {head: make_loss(recipe) for head in heads}
        metrics = {head: _accuracies() for head in heads}
    model.compile(
        optimizer=make_optimizer(recipe, accumulate),
        loss=loss,
        weighted_metrics=metrics,
        jit_compile=uses_xla(replicas),
    )
    model.optimizer.build(model.trainable_variables)
    if replicas > 1:
        share_steps(model)


def _accuracies():
    return [keras.metrics.MeanMetricWrapper(accuracy, name="accuracy")]


def uses_xla(replicas: int) -> bool:
    """Returns whether XLA compiles the training step: on one GPU, but not on several.

    A function that it compiles sees the variables of one device only, and would fail on replicas.
    Nor does it where the same bits are wanted every time: XLA has no kernels of that kind for some
    operations, and TensorFlow's own kernels are those that promise it.
    """
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    return has_gpu and replicas == 1 and not is_op_determinism_enabled()
