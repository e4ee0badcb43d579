"""Losses, accuracy, optimizer and learning-rate schedule of the recipes."""

from typing import Any

import keras
import tensorflow as tf

from i3d_tf.data.example import NO_LABEL
from i3d_tf.layers.step_interpolation import interpolate_steps
from i3d_tf.layers.step_pool import step_gains
from i3d_tf.specs.geometry import CENTERS
from i3d_tf.specs.recipe import FRAMES, MULTILABEL, PERSONS, Recipe
from i3d_tf.training.replicas import share_of_weights

PACKAGE = "i3d_tf"


@keras.saving.register_keras_serializable(package=PACKAGE)
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits and class indices, with label smoothing.

    Args:
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        step_gain: Weights of the steps of logits at every step: "linear" rises from 0 to 1 (see
            `i3d_tf.layers.step_pool.step_gains`); None weighs all alike.
        **kwargs: See `keras.losses.Loss`.
    """

    def __init__(self, label_smoothing: float = 0.0, step_gain: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing
        self.step_gain = step_gain

    def call(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each clip; of logits at every step, their weighted mean.

        A clip without a label has no loss: of the heads of several datasets, each counts the clips
        of its own (multi-task learning, arXiv:1406.2199, section 3.3).

        Args:
            labels: Integers (N,); `NO_LABEL` for none.
            logits: float (N, classes) or (N, T, classes).

        Returns:
            float (N,).
        """
        targets = keras.ops.one_hot(keras.ops.cast(labels, "int32"), logits.shape[-1])
        if len(logits.shape) == 3:
            targets = keras.ops.broadcast_to(targets[:, None], keras.ops.shape(logits))
        losses = keras.losses.categorical_crossentropy(
            targets, logits, from_logits=True, label_smoothing=self.label_smoothing
        )
        losses = self._over_steps(losses)
        return keras.ops.where(keras.ops.equal(labels, NO_LABEL), 0.0, losses)

    def _over_steps(self, losses):
        if len(losses.shape) == 1:
            return losses
        if self.step_gain is None:
            return keras.ops.mean(losses, axis=1)
        gains = keras.ops.cast(step_gains(keras.ops.shape(losses)[1]), losses.dtype)
        return keras.ops.sum(losses * gains, axis=1) / keras.ops.sum(gains)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "step_gain": self.step_gain,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class MultilabelCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of logits and the classes of each clip, averaged over the classes."""

    def call(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each clip; of logits at every step, the mean over them.

        Args:
            targets: (N, classes), 0 or 1; a clip may have several classes, or none.
            logits: float (N, classes) or (N, steps, classes).

        Returns:
            float (N,).
        """
        if len(logits.shape) == 3:
            targets = keras.ops.broadcast_to(targets[:, None], keras.ops.shape(logits))
        losses = _binary_crossentropies(targets, logits)
        return keras.ops.mean(losses, axis=tuple(range(1, len(losses.shape))))


@keras.saving.register_keras_serializable(package=PACKAGE)
class FrameCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of a clip's frames and of the clip, half and half.

    This is pytorch-i3d's loss for Charades: I3D's logits at every step are interpolated to all
    frames; one half is the mean over frames and classes, the other compares the highest logit of
    each class in the clip with whether the class is there at any frame.

    Args:
        step_rule: Where the steps are in time, see `i3d_tf.specs.geometry.head_positions`.
        **kwargs: See `keras.losses.Loss`.
    """

    def __init__(self, step_rule: str = CENTERS, **kwargs):
        super().__init__(**kwargs)
        self.step_rule = step_rule

    def call(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each clip.

        Args:
            targets: (N, T, classes), 0 or 1; T is fixed.
            logits: float (N, steps, classes).

        Returns:
            float (N,).
        """
        logits = interpolate_steps(logits, targets.shape[1], self.step_rule)
        of_frames = keras.ops.mean(_binary_crossentropies(targets, logits), axis=(1, 2))
        highest = keras.ops.max(targets, axis=1), keras.ops.max(logits, axis=1)
        of_clip = keras.ops.mean(_binary_crossentropies(*highest), axis=1)
        return (of_frames + of_clip) / 2

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "step_rule": self.step_rule}


@keras.saving.register_keras_serializable(package=PACKAGE)
class PersonCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of the classes of each person, averaged over classes and persons.

    Boxes with a weight of 0, which fill up a batch, do not count, also not in the mean.

    Args:
        **kwargs: See `keras.losses.Loss`.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"reduction": "mean_with_sample_weight", **kwargs})

    def __call__(
        self, targets: tf.Tensor, logits: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the mean loss; on a replica, its part of the mean over all replicas' persons."""
        loss = super().__call__(targets, logits, sample_weight)
        return loss * share_of_weights(sample_weight)

    def call(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each person.

        Args:
            targets: (N, M, classes), 0 or 1.
            logits: float (N, M, classes).

        Returns:
            float (N, M).
        """
        return keras.ops.mean(_binary_crossentropies(targets, logits), axis=-1)


def _binary_crossentropies(targets, logits):
    targets = keras.ops.cast(targets, logits.dtype)
    return keras.ops.binary_crossentropy(targets, logits, from_logits=True)


def accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns whether the best class is the label; of logits at every step, those of the last.

    Args:
        labels: Integers (N,).
        logits: float (N, classes) or (N, T, classes).

    Returns:
        float32 (N,) of 0 and 1.
    """
    last = logits[:, -1] if len(logits.shape) == 3 else logits
    return keras.metrics.sparse_categorical_accuracy(labels, last)


# Former versions saved it as "right"; the name that is registered last is the one that is written.
for _name in ("right", "accuracy"):
    keras.saving.register_keras_serializable(PACKAGE, _name)(accuracy)


def make_loss(recipe: Recipe) -> keras.losses.Loss:
    """Returns the loss of a recipe's task."""
    if recipe.task == MULTILABEL:
        return MultilabelCrossentropy()
    if recipe.task == PERSONS:
        return PersonCrossentropy()
    if recipe.task == FRAMES:
        return FrameCrossentropy(recipe.step_rule)
    return SmoothedCrossentropy(recipe.label_smoothing, recipe.loss_gain)


def make_optimizer(recipe: Recipe, accumulate: int = 1) -> keras.optimizers.Optimizer:
    """Returns the optimizer of a recipe, with its learning-rate schedule.

    Args:
        recipe: The recipe.
        accumulate: Batches whose gradients are averaged before one update.
    """
    options = {
        "learning_rate": learning_rate(recipe, accumulate),
        "weight_decay": float(recipe.weight_decay),
        "gradient_accumulation_steps": accumulate if accumulate > 1 else None,
        "global_clipnorm": recipe.clip_norm,
    }
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=recipe.momentum, **options)
    return keras.optimizers.AdamW(**options)


def learning_rate(
    recipe: Recipe, accumulate: int = 1
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate by update, or the one rate of a recipe without boundaries.

    Args:
        recipe: The recipe, whose boundaries and steps count batches.
        accumulate: Batches of an update.
    """
    rates = list(recipe.learning_rates)
    if recipe.schedule == "cosine":
        updates = max(1, recipe.steps // accumulate)
        warmup = updates // 10
        return keras.optimizers.schedules.CosineDecay(
            rates[0] / 10, updates - warmup, warmup_target=rates[0], warmup_steps=warmup
        )
    if not recipe.boundaries:
        return rates[0]
    # Keras names the last update of each rate; updates are counted from 0.
    last = [-(-boundary // accumulate) - 1 for boundary in recipe.boundaries]
    return keras.optimizers.schedules.PiecewiseConstantDecay(last, rates)
