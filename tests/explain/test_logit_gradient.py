import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.explain.logit_gradient import gradient_function

SHAPE = (1, 5, 4, 6, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "strides", "padding"),
    [(3, 1, "SAME"), ((1, 3, 3), (1, 2, 2), "SAME"), (2, 2, "SAME"), ((2, 2, 3), 2, "VALID")],
)
def test_gradient_of_a_pool_goes_to_the_largest_values(kernel, strides, padding):
    generator = np.random.default_rng(0)
    inputs = generator.permutation(np.arange(np.prod(SHAPE), dtype=np.float32)).reshape(SHAPE)
    outputs = tf.nn.max_pool3d(inputs, kernel, strides, padding).numpy()
    upstream = generator.uniform(1, 2, outputs.shape).astype(np.float32)

    def weighted(inputs):
        return tf.reduce_sum(tf.nn.max_pool3d(inputs, kernel, strides, padding) * upstream)

    _, gradient = gradient_function(weighted)(tf.constant(inputs))
    # All values differ: each gets the gradient of the windows in which it is the largest.
    expected = np.zeros_like(inputs)
    for value, share in zip(outputs.ravel(), upstream.ravel(), strict=True):
        expected[inputs == value] += share
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-5)


def test_gradient_of_two_pools_is_the_slope_in_every_direction():
    generator = np.random.default_rng(1)
    inputs = generator.normal(0, 1, SHAPE).astype(np.float32)
    upstream = generator.normal(0, 1, SHAPE).astype(np.float32)

    def weighted(inputs):
        once = tf.nn.max_pool3d(inputs, 3, 1, "SAME")
        return tf.reduce_sum(tf.nn.max_pool3d(once, 3, 1, "SAME") * upstream)

    value, gradient = gradient_function(weighted)(tf.constant(inputs))
    assert float(value) == pytest.approx(float(weighted(inputs)))
    # Two pools of 3 are one pool of 5, whose largest value is one input.
    wide = tf.nn.max_pool3d(inputs, 5, 1, "SAME").numpy()
    expected = np.zeros_like(inputs)
    for channel in range(SHAPE[-1]):
        for largest, share in zip(
            wide[..., channel].ravel(), upstream[..., channel].ravel(), strict=True
        ):
            expected[..., channel][inputs[..., channel] == largest] += share
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-4, atol=1e-5)
