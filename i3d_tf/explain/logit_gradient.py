"""Gradients of scalars of a network, correct also where values of a max-pool's window are equal.

TensorFlow's gradient of 3D max-pools on a CPU gives every largest value of a window the whole
gradient (seen in 2.21). Two pools of stride 1 after each other, as in the Inception blocks, have
many windows of equal largest values, copies of one value before the first pool, which gets their
sum: at `Mixed_4f` of a released network the gradient was 2.8 times too long. Here the largest
values of a window share its gradient.
"""

import itertools
from collections.abc import Callable

import tensorflow as tf

POOL_GRADIENT = "I3dTfMaxPool3D"


def gradient_function(function: Callable[..., tf.Tensor]) -> Callable[..., tuple]:
    """Returns a function that computes scalars and their gradient, traced once.

    Args:
        function: (inputs, *others) to scalars, (N,) or ().

    Returns:
        Function of the same arguments to (scalars, gradient of their sum by `inputs`).
    """

    @tf.function(reduce_retracing=True)
    def values_and_gradient(inputs, *others):
        graph = tf.compat.v1.get_default_graph()
        with graph.gradient_override_map({"MaxPool3D": POOL_GRADIENT}):
            values = function(inputs, *others)
        (gradient,) = tf.gradients(values, inputs)
        return values, gradient

    return values_and_gradient


@tf.RegisterGradient(POOL_GRADIENT)
def share_pool_gradient(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """Computes the gradient of a 3D max-pool of (N, T, H, W, C); see the module.

    Args:
        operation: The pool.
        upstream: Gradient by its outputs.
    """
    inputs, outputs = operation.inputs[0], operation.outputs[0]
    kernel, strides = (operation.get_attr(name)[1:4] for name in ("ksize", "strides"))
    ends = (tf.shape(outputs)[1:4] - 1) * strides
    missing = tf.maximum(ends + kernel - tf.shape(inputs)[1:4], 0)  # 0 without padding
    before = missing // 2
    widths = tf.pad(tf.stack([before, missing - before], axis=1), [(1, 1), (0, 0)])
    padded = tf.pad(inputs, widths, constant_values=inputs.dtype.min)
    shape, steps = tf.shape(padded), tf.constant([1, *strides, 1])
    places = [(0, *place, 0) for place in itertools.product(*map(range, kernel))]
    offsets = tf.constant(places)

    def bounds(number):
        start = offsets[number]
        inside = tf.concat([start[1:4] + ends + 1, shape[4:]], axis=0)
        return start, tf.concat([shape[:1], inside], axis=0)

    def is_largest(number):
        start, end = bounds(number)
        window = tf.strided_slice(padded, start, end, steps)
        return tf.cast(tf.equal(window, outputs), upstream.dtype)

    def part_of(number):
        start, end = bounds(number)
        part = is_largest(number) * share
        return tf.raw_ops.StridedSliceGrad(
            shape=shape, begin=start, end=end, strides=steps, dy=part
        )

    # One position of the windows after the other, for the sake of memory.
    share = upstream / _sum(is_largest, len(places), tf.zeros_like(outputs))
    total = _sum(part_of, len(places), tf.zeros_like(padded))
    return tf.slice(total, tf.pad(before, [(1, 1)]), tf.shape(inputs))


def _sum(function, count, zeros):
    """Adds up a function of 0 to count - 1 in a loop of the graph."""

    def body(number, total):
        return number + 1, tf.ensure_shape(total + function(number), zeros.shape)

    start = (tf.constant(0), zeros)
    _, total = tf.while_loop(lambda number, _: number < count, body, start, parallel_iterations=1)
    return total
