"""The matrix product that is the reference for networks, and the operations of both."""

from collections.abc import Callable


def product_function(size: int, dtype: str) -> Callable[[], float]:
    """Returns a function that multiplies two square matrices and waits for the result.

    Args:
        size: Rows and columns.
        dtype: Name, "float32" or "bfloat16".
    """
    import tensorflow as tf

    matrix = tf.cast(tf.random.uniform([size] * 2, seed=0), dtype)
    product = tf.function(lambda: tf.reduce_max(tf.matmul(matrix, matrix)))
    return lambda: product().numpy()


def product_operations(size: int) -> int:
    """Returns the operations of such a product; a multiply-add is two."""
    return 2 * size**3


def network_operations(frames: int, size: int, classes: int, width_multiplier: float = 1.0) -> int:
    """Returns the operations of RGB I3D's forward pass of one clip; a multiply-add is two.

    Args:
        frames: Frames of the clip.
        size: Pixels, height and width.
        classes: Number of logits.
        width_multiplier: Scales the network's filters.
    """
    from i3d_tf.specs.complexity import inception_complexity
    from i3d_tf.specs.inception_v1 import I3D, widen

    rows = [widen(row, width_multiplier) for row in I3D]
    return 2 * inception_complexity(rows, (frames, size, size, 3), classes).multiply_adds
