import keras
import numpy as np
import pytest

from i3d_tf.layers.unit import DenseUnit, Unit2D, Unit3D


def test_unit_is_convolution_then_norm_then_relu():
    unit = Unit3D(2, (1, 1, 1), name="unit")
    unit.build((None, 1, 1, 2, 2))
    unit.conv_3d.kernel.assign(np.eye(2).reshape(1, 1, 1, 2, 2))
    unit.batch_norm.moving_mean.assign([1.0, 1.0])
    unit.batch_norm.moving_variance.assign([4.0 - 1e-3, 1.0 - 1e-3])
    unit.batch_norm.beta.assign([0.5, 0.5])
    inputs = np.array([[5.0, 3.0], [-5.0, 1.0]], "float32").reshape(1, 1, 1, 2, 2)
    # (5 - 1) / 2 + 0.5, (3 - 1) / 1 + 0.5, negative -> 0, (1 - 1) / 1 + 0.5
    expected = np.array([[2.5, 2.5], [0.0, 0.5]], "float32").reshape(1, 1, 1, 2, 2)
    np.testing.assert_allclose(np.array(unit(inputs)), expected, rtol=1e-6)
    assert [variable.path for variable in unit.variables] == [
        "unit/conv_3d/kernel",
        "unit/batch_norm/beta",
        "unit/batch_norm/moving_mean",
        "unit/batch_norm/moving_variance",
    ]


def test_unit_over_images_is_the_unit_over_one_frame():
    generator = np.random.default_rng(0)
    flat = Unit2D(4, (3, 3), (2, 2), name="unit")
    deep = Unit3D(4, (1, 3, 3), (1, 2, 2), name="unit")
    flat.build((None, 5, 6, 2))
    deep.build((None, 1, 5, 6, 2))
    for flat_weight, deep_weight in zip(flat.weights, deep.weights, strict=True):
        value = generator.uniform(0.1, 1, flat_weight.shape)
        flat_weight.assign(value)
        deep_weight.assign(value.reshape(deep_weight.shape))
    image = generator.normal(size=(1, 5, 6, 2)).astype("float32")
    # The same sums of 18 products, in float32.
    np.testing.assert_allclose(
        np.array(flat(image)), np.array(deep(image[:, None]))[:, 0], rtol=1e-5, atol=1e-6
    )
    assert [variable.path for variable in flat.weights] == [
        variable.path.replace("conv_3d", "conv_2d") for variable in deep.weights
    ]


@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_unit_pads_as_tensorflow_does(size):
    """Ones in, ones as kernel: each output counts the taps inside; SAME puts the odd one last."""
    unit = Unit3D(1, (3, 1, 1), (2, 1, 1), activation=None, use_batch_norm=False)
    unit.build((None, size, 1, 1, 1))
    unit.conv_3d.kernel.assign(np.ones((3, 1, 1, 1, 1)))
    counts = np.array(unit(np.ones((1, size, 1, 1, 1), "float32"))).ravel()
    expected = {4: [3, 2], 5: [2, 3, 2], 6: [3, 3, 2], 7: [2, 3, 3, 2]}
    assert counts.tolist() == expected[size]


def test_dense_unit_is_dense_then_norm_then_relu():
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


def test_dense_unit_normalizes_by_the_batch_in_training():
    unit = DenseUnit(3)
    inputs = np.random.default_rng(0).normal(5, 2, (64, 4)).astype("float32")
    outputs = np.array(unit(inputs, training=True))
    # Half of a normalized batch lies above its mean.
    assert 0.3 < (outputs > 0).mean() < 0.7
    assert unit.compute_output_shape((None, 4)) == (None, 3)


@pytest.mark.parametrize(
    "unit",
    [
        Unit3D(3, (1, 3, 3), (1, 2, 2), activation=None, use_bias=True, name="3d"),
        Unit2D(3, (1, 3), (2, 1), name="2d"),
        DenseUnit(7, name="fc7", dtype=keras.dtype_policies.get("mixed_bfloat16")),
    ],
    ids=lambda unit: unit.name,
)
def test_unit_config_round_trips(unit):
    assert type(unit).from_config(unit.get_config()).get_config() == unit.get_config()
