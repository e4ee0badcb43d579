"""The large matrix product that networks are measured against."""


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
