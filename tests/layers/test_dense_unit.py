import keras
import numpy as np

from i3d_tf.layers.unit import DenseUnit


def test_unit_is_dense_then_norm_then_relu():
    unit = DenseUnit(2, name="fc6")
    unit.build((None, 2))
    unit.dense.kernel.assign(np.eye(2))
    unit.batch_norm.moving_mean.assign([1.0, 1.0])
    unit.batch_norm.moving_variance.assign([4.0 - 1e-3, 1.0 - 1e-3])
    unit.batch_norm.beta.assign([0.5, 0.5])
    outputs = np.array(unit(np.array([[5.0, 3.0], [-5.0, 1.0]], "float32")))
    # (5 - 1) / 2 + 0.5, (3 - 1) / 1 + 0.5; negative -> 0, (1 - 1) / 1 + 0.5
    np.testing.assert_allclose(outputs, [[2.5, 2.5], [0.0, 0.5]], rtol=1e-6)
    assert [variable.path for variable in unit.variables] == [
        "fc6/dense/kernel",
        "fc6/batch_norm/beta",
        "fc6/batch_norm/moving_mean",
        "fc6/batch_norm/moving_variance",
    ]


def test_training_uses_the_batch():
    unit = DenseUnit(3)
    inputs = np.random.default_rng(0).normal(5, 2, (64, 4)).astype("float32")
    outputs = np.array(unit(inputs, training=True))
    # Half of a normalised batch lies above its mean.
    assert 0.3 < (outputs > 0).mean() < 0.7
    assert unit.compute_output_shape((None, 4)) == (None, 3)


def test_config_round_trips():
    unit = DenseUnit(7, name="fc7", dtype=keras.dtype_policies.get("mixed_bfloat16"))
    assert DenseUnit.from_config(unit.get_config()).get_config() == unit.get_config()
