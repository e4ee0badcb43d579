import keras
import numpy as np
import tensorflow as tf

from i3d_tf.layers.grouped_conv import GroupedConv2D


def test_grouped_conv_is_keras_own_with_a_gradient():
    images = np.random.default_rng(0).normal(size=(2, 9, 8, 6)).astype(np.float32)
    options = {"filters": 4, "kernel_size": 3, "strides": 2, "groups": 2, "padding": "same"}
    ours, theirs = GroupedConv2D(**options), keras.layers.Conv2D(**options)
    gradients = []
    for layer in (ours, theirs):
        layer.build(images.shape)
        layer.set_weights(ours.get_weights())
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(images) ** 2)
        gradients.append(tape.gradient(loss, layer.trainable_variables[0]).numpy())
    assert ours.kernel.shape == (3, 3, 3, 4)
    # float32 sums in another order
    np.testing.assert_allclose(np.array(ours(images)), np.array(theirs(images)), atol=1e-5)
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-4)
    again = GroupedConv2D.from_config(ours.get_config())
    assert again.compute_output_shape(images.shape) == (2, 5, 4, 4)


def test_groups_do_not_see_each_other():
    images = np.random.default_rng(0).normal(size=(1, 4, 4, 4)).astype(np.float32)
    changed = images.copy()
    changed[..., 2:] *= -1  # the channels of the second group
    layer = GroupedConv2D(6, 3, groups=2)
    before, after = np.array(layer(images)), np.array(layer(changed))
    np.testing.assert_array_equal(before[..., :3], after[..., :3])
    assert np.abs(after - before)[..., 3:].min() > 0
