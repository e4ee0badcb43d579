"""The network of a training run: weights to begin with, what is frozen, how it is optimised."""

import warnings
from functools import partial

import keras
import tensorflow as tf

from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.specs.recipes import Recipe
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.training.optimization import SmoothedCrossentropy, make_optimizer, right
from i3d_tf.zoo.initialize import write_initial_weights
from i3d_tf.zoo.pretrained import build

TRANSFERS = ("scratch", "fixed", "full")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SMALL_BATCH = 8  # clips per replica under which batch-norm statistics are mostly noise


def set_precision(precision: str):
    """Sets Keras's dtype policy, or says why this machine cannot.

    Raises:
        ValueError: The precision is unknown, or has no kernels here.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be one of {PRECISIONS}; received {precision!r}.")
    if precision == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        raise ValueError(
            "`precision` mixed_float16 needs a GPU: TensorFlow's CPU has no float16 max-pool. Use "
            "mixed_bfloat16 or float32."
        )
    keras.config.set_dtype_policy(precision)


def build_model(recipe: Recipe, classes: int, transfer="scratch", init=None, checkpoint_dir=None):
    """The network a recipe trains, not compiled.

    Args:
        recipe: The recipe.
        classes: Number of classes.
        transfer: "scratch" trains everything from random weights, "full" everything from `init`,
            and "fixed" only the last layer on top of `init`, with batch norm as it was.
        init: Weights to begin with, see `write_initial_weights`.
        checkpoint_dir: Where names are looked up.

    Raises:
        ValueError: The transfer is unknown, or does not go with `init`.
    """
    if transfer not in TRANSFERS:
        raise ValueError(f"`transfer` must be one of {TRANSFERS}; received {transfer!r}.")
    if (transfer == "scratch") != (init is None):
        need = "takes no" if transfer == "scratch" else "needs an"
        raise ValueError(f"`transfer` {transfer!r} {need} `init`; received {init!r}.")
    return _network(recipe, classes, transfer, init, checkpoint_dir)


def restore_model(path, recipe: Recipe, classes, transfer="scratch", frozen=False, accumulate=1):
    """A network as it was when it was saved: weights and optimizer; compiled.

    What is frozen, and batch norm's decay, are not in the file: they are made anew. Nor are random
    generators, see `seed_dropout`.

    Args:
        path: The `.keras` file.
        recipe: The recipe it is trained with.
        classes: Number of classes.
        transfer: As of `build_model`; needs no `init` any more.
        frozen: Whether `freeze_batch_norm` was called.
        accumulate: As of `compile_model`.

    Raises:
        ValueError: The file holds the state of another network.
    """
    model = _network(recipe, classes, transfer)
    if frozen:
        freeze_batch_norm(model)
    compile_model(model, recipe, accumulate)
    with warnings.catch_warnings():
        # Keras only warns of an optimizer whose variables do not fit.
        warnings.simplefilter("error", UserWarning)
        try:
            model.load_weights(path)
        except (ValueError, UserWarning, OSError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{path}: it is not the state of this run ({reason}). Name another --workdir."
            ) from error
    return model


def _network(recipe, classes, transfer, init=None, checkpoint_dir=None):
    """The network with its decays, and frozen where `transfer` says so."""
    model = NETWORKS[recipe.model](
        recipe,
        classes=classes,
        dropout_rate=recipe.dropout_rate,
        width_multiplier=recipe.width_multiplier,
        name=f"{recipe.stream}_{recipe.model}",
    )
    if init is not None:
        write_initial_weights(model, init, checkpoint_dir, recipe.width_multiplier)
    for layer in batch_norms(model):
        layer.momentum = recipe.batch_norm_momentum
    if transfer == "fixed":
        for layer in model.layers:
            layer.trainable = layer.name == HEAD
    return model


def _any_length(recipe, **arguments):
    """A network of one stream that takes any number of frames."""
    shape = (None, recipe.crop_size, recipe.crop_size, CHANNELS[recipe.stream])
    return build(recipe.model, input_shape=shape, **arguments)


def _fixed_length(recipe, **arguments):
    """The same of a network whose number of frames is part of it."""
    shape = recipe.clip_shape(recipe.stream, recipe.train_frames)
    return build(recipe.model, input_shape=shape, **arguments)


def _both_streams(recipe, **arguments):
    shapes = {s: recipe.clip_shape(s, recipe.train_frames) for s in recipe.streams}
    return build(recipe.model, input_shape=shapes, **arguments)


# How a recipe's network is built; see `i3d_tf.specs.recipes.TRAINED_STREAMS`.
NETWORKS = {
    "inception_i3d": _any_length,
    "convnet_lstm": partial(_any_length, all_steps=True),
    "c3d": _fixed_length,
    "two_stream": lambda recipe, **arguments: _fixed_length(
        recipe, stream=recipe.stream, **arguments
    ),
    "fused_3d": _both_streams,
}


def batch_norms(model):
    """Every batch-norm layer of a model, however deep."""
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def freeze_batch_norm(model):
    """Keeps batch norm's statistics and offsets as they are, also in training."""
    for layer in batch_norms(model):
        layer.trainable = False


def seed_dropout(model, seed: int, step: int):
    """Makes dropout follow from the seed and the step, because Keras does not save its generators.

    A generator's state is (seed, calls so far), and every step calls it once: training that begins
    here goes on as if it had never stopped.
    """
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for index, state in enumerate(states):
        state.assign([(seed + index) % 2**32, step])


def compile_model(model, recipe: Recipe, accumulate=1):
    """Gives a model its optimizer, with all its variables, and its loss and metrics.

    Args:
        model: The network.
        recipe: The recipe.
        accumulate: Batches whose gradients are averaged before one update.

    Raises:
        ValueError: Gradients would be accumulated on several replicas, which Keras cannot.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if accumulate > 1 and replicas > 1:
        raise ValueError(
            f"`accumulate` must be 1 on {replicas} replicas; received {accumulate}. Show one GPU "
            "alone (CUDA_VISIBLE_DEVICES=0), or choose another `batch_size`."
        )
    model.compile(
        optimizer=make_optimizer(recipe, accumulate),
        loss=SmoothedCrossentropy(recipe.label_smoothing),
        # Weighted, so that clips that could not be read (weight 0) do not count.
        weighted_metrics=[keras.metrics.MeanMetricWrapper(right, name="accuracy")],
        jit_compile=bool(tf.config.list_physical_devices("GPU")),
    )
    model.optimizer.build(model.trainable_variables)
