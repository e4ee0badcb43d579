import numpy as np
import tensorflow as tf

from i3d_tf.explain.logit_gradient import gradient_function


def test_gradient_is_that_of_the_sum_of_the_scalars():
    function = gradient_function(lambda inputs, factor: factor * tf.reduce_sum(inputs**2, axis=1))
    values, gradient = function(tf.constant([[1.0, 2.0], [3.0, 0.0]]), tf.constant(2.0))
    np.testing.assert_array_equal(values, [10, 18])
    np.testing.assert_array_equal(gradient, [[4, 8], [12, 0]])
