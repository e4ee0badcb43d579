"""Gradients of scalars of a network."""

from collections.abc import Callable

import tensorflow as tf


def gradient_function(function: Callable[..., tf.Tensor]) -> Callable[..., tuple]:
    """Returns a function that computes scalars and their gradient, traced once.

    Args:
        function: (inputs, *others) to scalars, (N,) or ().

    Returns:
        Function of the same arguments to (scalars, gradient of their sum by `inputs`).
    """

    @tf.function(reduce_retracing=True)
    def values_and_gradient(inputs, *others):
        values = function(inputs, *others)
        (gradient,) = tf.gradients(values, inputs)
        return values, gradient

    return values_and_gradient
