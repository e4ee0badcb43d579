import keras
import numpy as np
import pytest

from i3d_tf.layers.head import HeadPool, Logits


def test_head_pool_averages_frames_and_neighboring_steps():
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


def test_logits_at_all_steps():
    layer = Logits(1, all_steps=True)
    layer.build((None, 3, 1, 1, 1))
    layer.conv.conv_3d.kernel.assign(np.full((1, 1, 1, 1, 1), 2.0))
    steps = np.array([1.0, 2.0, 6.0], "float32").reshape(1, 3, 1, 1, 1)
    assert np.array(layer(steps)).tolist() == [[[2.0], [4.0], [12.0]]]
    assert layer.compute_output_shape((5, None, 1, 1, 8)) == (5, None, 1)
    assert Logits.from_config(layer.get_config()).all_steps
    assert "all_steps" not in Logits(1).get_config()  # as in files of earlier versions


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
    [Logits(7, name="3d"), Logits(7, rank=2, name="2d"), HeadPool(name="pool")],
    ids=lambda layer: layer.name,
)
def test_head_config_round_trips(layer):
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
