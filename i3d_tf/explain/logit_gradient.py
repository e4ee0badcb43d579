"""Gradients of scalars of a network, correct also where values of a max-pool's window are equal.

TensorFlow's gradient of 3D max-pools on a CPU gives every largest value of a window the whole
gradient (seen in 2.21). Two pools of stride 1 after each other, as in the Inception blocks, have
many windows of equal largest values, copies of one value before the first pool, which gets their
sum: at `Mixed_4f` of a released network the gradient was 2.8 times too long. Here the largest
values of a window share its gradient.
"""

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

    The pool is one along time, then one along each row and each column: each shares by itself.

    Args:
        operation: The pool.
        upstream: Gradient by its outputs.
    """
    padding = operation.get_attr("padding").decode()
    maps, pools = [operation.inputs[0]], []
    for axis in (1, 2, 3):
        size, stride = (operation.get_attr(name)[axis] for name in ("ksize", "strides"))
        if (size, stride) != (1, 1):
            window, step = (
                [number if a == axis else 1 for a in range(5)] for number in (size, stride)
            )
            maps.append(tf.nn.max_pool3d(maps[-1], window, step, padding))
            pools.append((axis, size, stride))
    for pool, inputs, outputs in zip(pools[::-1], maps[-2::-1], maps[:0:-1], strict=True):
        upstream = _share_along_axis(inputs, outputs, upstream, *pool)
    return upstream


def _share_along_axis(inputs, outputs, upstream, axis, size, stride):
    """Computes the gradient of a pool along one axis."""
    span = (tf.shape(outputs)[axis] - 1) * stride + 1  # from the first window's start to the last's
    missing = tf.maximum(span - 1 + size - tf.shape(inputs)[axis], 0)  # 0 without padding
    before = missing // 2
    widths = [[before, missing - before] if a == axis else [0, 0] for a in range(5)]
    padded = tf.pad(inputs, widths, constant_values=inputs.dtype.min)
    shape = tf.shape(padded)
    steps = [stride if a == axis else 1 for a in range(5)]
    bounds = [
        (
            tf.stack([offset if a == axis else 0 for a in range(5)]),
            tf.stack([offset + span if a == axis else shape[a] for a in range(5)]),
        )
        for offset in range(size)
    ]
    is_largest = [
        tf.cast(tf.equal(tf.strided_slice(padded, start, end, steps), outputs), upstream.dtype)
        for start, end in bounds
    ]
    share = upstream / tf.add_n(is_largest)
    total = tf.add_n(
        [
            tf.raw_ops.StridedSliceGrad(
                shape=shape, begin=start, end=end, strides=steps, dy=part * share
            )
            for part, (start, end) in zip(is_largest, bounds, strict=True)
        ]
    )
    first = tf.stack([before if a == axis else 0 for a in range(5)])
    return tf.slice(total, first, tf.shape(inputs))
