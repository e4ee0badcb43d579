"""The large matrix product that networks are measured against, and the work of both."""


def product_function(size, dtype):
    """A function that multiplies two square matrices, and waits for the end.

    Args:
        size: Rows and columns.
        dtype: Name, "float32" or "bfloat16".
    """
    import tensorflow as tf

    matrix = tf.cast(tf.random.uniform([size] * 2, seed=0), dtype)
    product = tf.function(lambda: tf.reduce_max(tf.matmul(matrix, matrix)))
    return lambda: product().numpy()


def product_operations(size) -> int:
    """Operations of such a product; a multiply-add is two."""
    return 2 * size**3


def network_operations(frames, size, classes, width_multiplier=1.0) -> int:
    """Operations of RGB I3D's answer to one clip; a multiply-add is two.

    Args:
        frames: Of the clip.
        size: Pixels, its height and width.
        classes: Number of logits.
        width_multiplier: Scales the network's filters.
    """
    from i3d_tf.specs.complexity import inception_complexity
    from i3d_tf.specs.inception_v1 import I3D, widen

    rows = [widen(row, width_multiplier) for row in I3D]
    return 2 * inception_complexity(rows, (frames, size, size, 3), classes).multiply_adds
