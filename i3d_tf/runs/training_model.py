"""The network of a training run: weights to begin with, what is frozen, how it is optimised."""

import keras
import tensorflow as tf

from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.specs.recipes import OPTIMIZERS, SCHEDULES, Recipe
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.zoo import InceptionI3D

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
        init: A release, another name in the checkpoint directory, or a weights file.
        checkpoint_dir: Where names are looked up.

    Raises:
        ValueError: The transfer is unknown, or does not go with `init`.
    """
    if transfer not in TRANSFERS:
        raise ValueError(f"`transfer` must be one of {TRANSFERS}; received {transfer!r}.")
    if (transfer == "scratch") != (init is None):
        need = "takes no" if transfer == "scratch" else "needs an"
        raise ValueError(f"`transfer` {transfer!r} {need} `init`; received {init!r}.")
    model = InceptionI3D(
        weights=init,
        checkpoint_dir=checkpoint_dir,
        input_shape=(None, recipe.crop_size, recipe.crop_size, CHANNELS[recipe.stream]),
        classes=classes,
        dropout_rate=recipe.dropout_rate,
        width_multiplier=recipe.width_multiplier,
        name=f"{recipe.stream}_i3d",
    )
    for layer in batch_norms(model):
        layer.momentum = recipe.batch_norm_momentum
    if transfer == "fixed":
        for layer in model.layers:
            layer.trainable = layer.name == HEAD
    return model


def batch_norms(model):
    """Every batch-norm layer of a model, however deep."""
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def freeze_batch_norm(model):
    """Keeps batch norm's statistics and offsets as they are, also in training."""
    for layer in batch_norms(model):
        layer.trainable = False


def compile_model(model, recipe: Recipe, accumulate=1):
    """Gives a model its optimizer, loss and metrics.

    Args:
        model: The network.
        recipe: The recipe.
        accumulate: Batches whose gradients are averaged before one update.
    """
    model.compile(
        optimizer=make_optimizer(recipe, accumulate),
        loss=SmoothedCrossentropy(recipe.label_smoothing),
        # Weighted, so that clips that could not be read (weight 0) do not count.
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=bool(tf.config.list_physical_devices("GPU")),
    )


@keras.saving.register_keras_serializable(package="i3d_tf")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits and class numbers, with label smoothing.

    Args:
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        **kwargs: As of `keras.losses.Loss`.
    """

    def __init__(self, label_smoothing=0.0, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing

    def call(self, labels, logits):
        """Labels, int (N,), and logits, float (N, classes) -> float (N,)."""
        targets = keras.ops.one_hot(keras.ops.cast(labels, "int32"), logits.shape[-1])
        return keras.losses.categorical_crossentropy(
            targets, logits, from_logits=True, label_smoothing=self.label_smoothing
        )

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def make_optimizer(recipe: Recipe, accumulate=1):
    """The optimizer and schedule of a recipe."""
    if recipe.optimizer not in OPTIMIZERS:
        raise ValueError(f"`optimizer` must be one of {OPTIMIZERS}; received {recipe.optimizer!r}.")
    options = {
        "learning_rate": learning_rate(recipe, accumulate),
        "weight_decay": recipe.weight_decay or None,
        "gradient_accumulation_steps": accumulate if accumulate > 1 else None,
    }
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=recipe.momentum, **options)
    return keras.optimizers.AdamW(**options)


def learning_rate(recipe: Recipe, accumulate=1):
    """The learning rate by update: a step is `1 / accumulate` of an update."""
    rates = list(recipe.learning_rates)
    if recipe.schedule not in SCHEDULES:
        raise ValueError(f"`schedule` must be one of {SCHEDULES}; received {recipe.schedule!r}.")
    if recipe.schedule == "cosine":
        updates = max(1, recipe.steps // accumulate)
        warmup = updates // 10
        return keras.optimizers.schedules.CosineDecay(
            rates[0] / 10, updates - warmup, warmup_target=rates[0], warmup_steps=warmup
        )
    if len(rates) != len(recipe.boundaries) + 1:
        raise ValueError(
            f"`learning_rates` must be one more than `boundaries`; received "
            f"{recipe.learning_rates} and {recipe.boundaries}."
        )
    if not recipe.boundaries:
        return rates[0]
    boundaries = [boundary // accumulate for boundary in recipe.boundaries]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
