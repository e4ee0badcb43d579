import keras
import numpy as np
import pytest

from i3d_tf.layers import HeadPool, InceptionBlock, Logits, Unit2D, Unit3D


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
    assert unit.conv_3d.kernel.path == "unit/conv_3d/kernel"


def test_unit_over_images_is_the_unit_over_one_frame():
    generator = np.random.default_rng(0)
    flat, deep = Unit2D(4, (3, 3), (2, 2)), Unit3D(4, (1, 3, 3), (1, 2, 2))
    flat.build((None, 5, 6, 2))
    deep.build((None, 1, 5, 6, 2))
    for ours, theirs in zip(flat.weights, deep.weights, strict=True):
        value = generator.uniform(0.1, 1, ours.shape)
        ours.assign(value)
        theirs.assign(value.reshape(theirs.shape))
    image = generator.normal(size=(1, 5, 6, 2)).astype("float32")
    # The same sums of 18 products, in float32.
    np.testing.assert_allclose(
        np.array(flat(image)), np.array(deep(image[:, None]))[:, 0], rtol=1e-5, atol=1e-6
    )
    assert [variable.path.replace("unit2d", "unit3d") for variable in flat.weights] == [
        variable.path.replace("conv_3d", "conv_2d") for variable in deep.weights
    ]


@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_same_padding_is_tensorflows(size):
    """Ones in, ones as kernel: each output counts the taps inside; SAME puts the odd one last."""
    unit = Unit3D(1, (3, 1, 1), (2, 1, 1), activation=None, use_batch_norm=False)
    unit.build((None, size, 1, 1, 1))
    unit.conv_3d.kernel.assign(np.ones((3, 1, 1, 1, 1)))
    counts = np.array(unit(np.ones((1, size, 1, 1, 1), "float32"))).ravel()
    expected = {4: [3, 2], 5: [2, 3, 2], 6: [3, 3, 2], 7: [2, 3, 3, 2]}
    assert counts.tolist() == expected[size]


def test_block_concatenates_its_branches_in_order():
    block = InceptionBlock(1, (1, 2), (1, 3), 4, name="Mixed_1a")
    outputs = np.array(block(np.ones((1, 3, 4, 4, 5), "float32")))
    assert outputs.shape == (1, 3, 4, 4, 1 + 2 + 3 + 4)
    assert [v.path for v in block.variables if v.path.endswith("kernel")] == [
        "Mixed_1a/Branch_0/Conv3d_0a_1x1/conv_3d/kernel",
        "Mixed_1a/Branch_1/Conv3d_0a_1x1/conv_3d/kernel",
        "Mixed_1a/Branch_1/Conv3d_0b_3x3/conv_3d/kernel",
        "Mixed_1a/Branch_2/Conv3d_0a_1x1/conv_3d/kernel",
        "Mixed_1a/Branch_2/Conv3d_0b_3x3/conv_3d/kernel",
        "Mixed_1a/Branch_3/Conv3d_0b_1x1/conv_3d/kernel",
    ]


def test_block_over_images_has_the_same_variables_without_time():
    block = InceptionBlock(1, (1, 2), (1, 3), 4, rank=2, name="Mixed_1a")
    assert np.array(block(np.ones((2, 4, 4, 5), "float32"))).shape == (2, 4, 4, 1 + 2 + 3 + 4)
    kernels = {v.path: tuple(v.shape) for v in block.variables if v.path.endswith("kernel")}
    assert kernels["Mixed_1a/Branch_1/Conv2d_0b_3x3/conv_2d/kernel"] == (3, 3, 1, 2)
    assert len(kernels) == 6


def test_head_pool_averages_frames_and_neighbouring_steps():
    steps = np.arange(3, dtype="float32").reshape(1, 3, 1, 1, 1)
    space = np.array([[-1.0, 1.0]], "float32").reshape(1, 1, 1, 2, 1)  # averages to nothing
    assert np.array(HeadPool()(steps + space)).ravel().tolist() == [0.5, 1.5]


def test_head_pool_at_224_is_the_released_average_pool():
    frames = np.random.default_rng(0).normal(size=(2, 4, 7, 7, 3)).astype("float32")
    pool = keras.layers.AveragePooling3D((2, 7, 7), 1, padding="valid")
    # float32 sums of 98 values in another order
    np.testing.assert_allclose(np.array(HeadPool()(frames)), np.array(pool(frames)), atol=1e-6)


def test_logits_are_the_mean_over_time():
    layer = Logits(1)
    layer.build((None, 3, 1, 1, 1))
    layer.conv.conv_3d.kernel.assign(np.full((1, 1, 1, 1, 1), 2.0))
    layer.conv.conv_3d.bias.assign([1.0])
    steps = np.array([1.0, 2.0, 6.0], "float32").reshape(1, 3, 1, 1, 1)
    assert np.array(layer(steps)).tolist() == [[2.0 * 3.0 + 1.0]]


def test_logits_of_an_image_are_those_of_its_only_position():
    layer = Logits(1, rank=2, name="Logits")
    layer.build((None, 1, 1, 1))
    layer.conv.conv_2d.kernel.assign(np.full((1, 1, 1, 1), 2.0))
    layer.conv.conv_2d.bias.assign([1.0])
    assert np.array(layer(np.full((1, 1, 1, 1), 3.0, "float32"))).tolist() == [[7.0]]
    assert layer.conv.conv_2d.kernel.path == "Logits/Conv2d_0c_1x1/conv_2d/kernel"


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_logits_stay_float32_under_mixed_precision(policy):
    layer = Logits(2, dtype=keras.dtype_policies.get(policy))
    outputs = layer(np.ones((1, 2, 1, 1, 3), "float32"))
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    assert keras.backend.standardize_dtype(layer.conv.compute_dtype) == policy.split("_")[1]


@pytest.mark.parametrize(
    "layer",
    [
        Unit3D(3, (1, 3, 3), (1, 2, 2), activation=None, use_bias=True, name="u"),
        Unit2D(3, (1, 3), (2, 1), name="u2"),
        InceptionBlock(1, (2, 3), (4, 5), 6, name="b"),
        InceptionBlock(1, (2, 3), (4, 5), 6, rank=2, name="b2"),
        Logits(7, name="l"),
        Logits(7, rank=2, name="l2"),
        HeadPool(name="p"),
    ],
    ids=lambda layer: layer.name,
)
def test_config_round_trips(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
