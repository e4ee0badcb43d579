"""The training step on several replicas: that of one device with the whole batch.

Keras shares a step under `tf.distribute.MirroredStrategy`, but each replica clips the norm of its
own gradient, the first one alone looks whether a scaled loss overflowed, and gradients cannot be
accumulated. Here gradients are summed over the replicas first; all that is done to them follows.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf


def share_steps(model: keras.Model):
    """Makes the training step of a compiled model one for several replicas.

    Args:
        model: The network, made and compiled in the scope of a MirroredStrategy. Its optimizer is
            built.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    # Keras has no public way to say that the gradients are summed already.
    optimizer._all_reduce_sum_gradients = lambda pairs: pairs
    if optimizer.gradient_accumulation_steps:
        optimizer._backend_apply_gradients = functools.partial(_accumulate, optimizer)
    model.train_step = functools.partial(_train_step, model)


def _train_step(model, data):
    """Trains on a replica's part of a batch, as `keras.Model.train_step` does."""
    gradients, logs = compute_gradients(model, data)
    model.optimizer.apply(gradients, model.trainable_variables)
    return logs


def compute_gradients(
    model: keras.Model, data: tuple
) -> tuple[Sequence[tf.Tensor], Mapping[str, tf.Tensor]]:
    """Computes the gradients of the loss of a whole batch, on every replica.

    Args:
        model: The network, compiled.
        data: Inputs, targets and weights of this replica's part of the batch.

    Returns:
        (gradients, logs): gradients of the scaled loss, summed over the replicas; loss and metrics
        of this replica so far.
    """
    inputs, targets, weights = data
    strategy = tf.distribute.get_strategy()
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        # Divided by the number of replicas, so that the sum over them is the mean of the batch.
        loss = model.compute_loss(inputs, targets, outputs, weights, training=True)
        scaled = model.optimizer.scale_loss(loss)
    size = tf.shape(keras.tree.flatten(inputs)[0])[0]
    whole = loss * tf.cast(strategy.num_replicas_in_sync, loss.dtype)
    model._loss_tracker.update_state(whole, sample_weight=size)  # as Keras's own step does
    gradients = _sum_over_replicas(tape.gradient(scaled, model.trainable_variables))
    return gradients, model.compute_metrics(inputs, targets, outputs, weights)


def synchronize(layers: Sequence[keras.layers.BatchNormalization]):
    """Makes batch norm see the clips of all replicas, not those of its own.

    Keras's own way, `synchronized=True`, takes minutes to make the graph of a network of many
    layers, and is saved with the network, which no other backend could then load.

    Args:
        layers: The layers. Outside of replicas, they are as before.
    """
    for layer in layers:
        layer._moments = functools.partial(_common_moments, layer)


def _common_moments(layer, inputs, mask=None):
    """Computes mean and variance over the clips of all replicas, which are as many on each."""
    own = type(layer)._moments(layer, inputs, mask)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1:
        return own
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    row = tf.one_hot(number, replicas, dtype=own[0].dtype)
    # All replicas' moments, (replicas, 2, channels): a difference of squares would be inexact.
    means, variances = tf.unstack(_total(row[:, None, None] * tf.stack(own)), axis=1)
    mean = tf.reduce_mean(means, axis=0)
    return mean, tf.reduce_mean(variances + tf.square(means - mean), axis=0)


@tf.custom_gradient
def _total(values):
    return all_reduce("SUM", values), functools.partial(all_reduce, "SUM")


def all_reduce(operation: str, values: Any) -> Any:
    """Reduces values over the replicas; no gradient goes back through it.

    So TensorFlow does not look for variables that the values of other replicas depend on, in the
    whole graph, at each of many calls.

    Args:
        operation: "SUM" or "MEAN".
        values: A tensor, or a structure of them.
    """
    values = tf.nest.map_structure(tf.stop_gradient, values)
    return tf.distribute.get_replica_context().all_reduce(operation, values)


def _sum_over_replicas(gradients):
    """Sums gradients over the replicas; variables without one, None, stay so."""
    found = [gradient for gradient in gradients if gradient is not None]
    summed = iter(all_reduce("SUM", found))
    return [None if gradient is None else next(summed) for gradient in gradients]


def _accumulate(optimizer, gradients, variables):
    """Adds gradients up, and updates the variables at the last batch of an update.

    As Keras does, but which of both is chosen by all replicas together: a branch of a replica of
    its own cannot update variables of all.
    """
    steps = optimizer.gradient_accumulation_steps
    is_last = tf.equal((optimizer._iterations + 1) % steps, 0)
    indices = map(optimizer._get_variable_index, variables)
    accumulators = [optimizer._accumulated_gradients[index] for index in indices]

    def update(gradients):
        pairs = zip(gradients, accumulators, strict=True)
        means = optimizer._clip_gradients([(gradient + sum_) / steps for gradient, sum_ in pairs])
        optimizer._apply_weight_decay(variables)
        optimizer._backend_update_step(means, variables, optimizer.learning_rate)
        optimizer._backend_reset_gradient_accumulators()

    def add(gradients):
        optimizer._backend_increment_gradient_accumulators(gradients, accumulators)

    def choose(strategy, gradients):
        each = functools.partial(strategy.extended.call_for_each_replica, args=(gradients,))
        tf.cond(is_last, lambda: each(update), lambda: each(add))

    tf.distribute.get_replica_context().merge_call(choose, args=(list(gradients),))


def share_of_weights(weights: tf.Tensor | None) -> tf.Tensor | float:
    """Returns what makes a mean by this replica's weights a part of the mean by all weights.

    The mean over the replicas of their means is the mean over all elements where each replica has
    the same sum of weights, and not otherwise.

    Args:
        weights: The weights of this replica's part of the batch; None means 1 for all.

    Returns:
        This replica's sum of weights divided by the mean sum of the replicas; 1 on one replica.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1 or weights is None:
        return 1.0
    own = tf.reduce_sum(weights)
    return tf.math.divide_no_nan(own, all_reduce("MEAN", own))
