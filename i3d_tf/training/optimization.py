"""Loss, accuracy, optimizer and learning-rate schedule of the recipes."""

import keras

from i3d_tf.specs.recipes import Recipe


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
        """Labels, int (N,), and logits, float (N, classes) or (N, T, classes) -> float (N,)."""
        targets = keras.ops.one_hot(keras.ops.cast(labels, "int32"), logits.shape[-1])
        if len(logits.shape) == 3:  # answers at every step, each as good as the others
            targets = keras.ops.broadcast_to(targets[:, None], keras.ops.shape(logits))
        losses = keras.losses.categorical_crossentropy(
            targets, logits, from_logits=True, label_smoothing=self.label_smoothing
        )
        return keras.ops.mean(losses, axis=1) if len(losses.shape) == 2 else losses

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="i3d_tf")
def right(labels, logits):
    """Whether answers are right, the last ones where a network gives one at every step.

    Args:
        labels: int (N,).
        logits: float (N, classes) or (N, T, classes).

    Returns:
        float32 (N,) of 0 and 1.
    """
    last = logits[:, -1] if len(logits.shape) == 3 else logits
    return keras.metrics.sparse_categorical_accuracy(labels, last)


def make_optimizer(recipe: Recipe, accumulate=1):
    """The optimizer and schedule of a recipe."""
    options = {
        "learning_rate": learning_rate(recipe, accumulate),
        "weight_decay": float(recipe.weight_decay),
        "gradient_accumulation_steps": accumulate if accumulate > 1 else None,
    }
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=recipe.momentum, **options)
    return keras.optimizers.AdamW(**options)


def learning_rate(recipe: Recipe, accumulate=1):
    """The learning rate by update: a step is `1 / accumulate` of an update."""
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
