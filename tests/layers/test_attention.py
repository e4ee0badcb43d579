import keras
import numpy as np
import pytest

from i3d_tf.layers.attention import NonLocalAttention
from i3d_tf.models.resnet_3d import NON_LOCAL_POOL, resnet_50
from i3d_tf.specs.resnet_3d import Pool
from i3d_tf.weights.assign import assign_weights

NAMES = {"theta": "conv_theta", "phi": "conv_phi", "g": "conv_g", "out": "conv_out"}
NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}


def attend(instantiation, use_scale=True):
    """Two positions look at two; the first key is that of the first query."""
    theta = np.array([[3.0, 0.0], [0.0, 0.0]], "f4").reshape(1, 2, 1, 1, 2)
    phi = np.array([[2.0, 0.0], [0.0, 5.0]], "f4").reshape(1, 2, 1, 1, 2)
    g = np.array([[1.0, 10.0], [0.0, 0.0]], "f4").reshape(1, 2, 1, 1, 2)
    outputs = NonLocalAttention(instantiation, use_scale)([theta, phi, g])
    assert outputs.shape == (1, 2, 1, 1, 2)
    return np.array(outputs).reshape(2, 2)


def test_softmax_attends_to_the_similar_position():
    weight = 1 / (1 + np.exp(-6 / 2**0.5))  # of two, one with an affinity of 6, the other of 0
    np.testing.assert_allclose(attend("softmax"), [[weight, 10 * weight], [0.5, 5]], rtol=1e-6)
    weight = 1 / (1 + np.exp(-6.0))
    np.testing.assert_allclose(attend("softmax", use_scale=False)[0], [weight, 10 * weight], 1e-6)


def test_dot_product_divides_by_the_positions():
    np.testing.assert_allclose(attend("dot_product"), [[3, 30], [0, 0]], rtol=1e-6)


def test_large_affinity_is_finite_in_float16():
    theta = np.full((1, 1, 1, 2, 512), [[16.0], [0.0]], "f2")  # 16 * 16 * 512 is over 65504
    g = np.stack([np.ones((1, 1, 1, 512), "f2"), np.zeros((1, 1, 1, 512), "f2")], axis=3)
    outputs = np.array(NonLocalAttention(dtype="mixed_float16")([theta, theta, g]))
    np.testing.assert_array_equal(outputs[0, 0, 0, :, 0], [1, 0.5])


def test_attention_refuses_unknown_instantiations():
    with pytest.raises(ValueError, match="`instantiation` must be one of"):
        NonLocalAttention("gaussian")


@pytest.mark.slow
@pytest.mark.parametrize("instantiation", ["softmax", "dot_product"])
@pytest.mark.parametrize("pool", [(1, 1, 1), (1, 2, 2)])
def test_non_local_block_gives_the_outputs_of_pytorchvideos(
    instantiation, pool, more_golden, more_recipe, monkeypatch
):
    from i3d_tf.models import resnet_3d

    assert Pool((1, 2, 2), (1, 2, 2)) == NON_LOCAL_POOL
    monkeypatch.setattr(resnet_3d, "NON_LOCAL_POOL", Pool(pool, pool))
    golden = more_golden("nonlocal_block")
    weights = more_recipe.weights(golden)
    # A network so narrow that its third stage has the block's 16 channels.
    network = resnet_50("i3d", width_multiplier=1 / 64, non_local=1, instantiation=instantiation)
    parts = {f"nonlocal4_4_{part}": name for part, name in NAMES.items()}
    before = network.get_layer("res4_4").output
    block = keras.Model(before, network.get_layer("nonlocal4_4").output)
    arrays = {}
    for variable in block.weights:
        layer, *_, kind = variable.path.split("/")
        if kind in ("kernel", "bias"):
            name = f"{parts[layer]}.{'weight' if kind == 'kernel' else 'bias'}"
        else:
            name = f"norm.{NORM.get(kind, 'running_var')}"
        value = weights[name]
        arrays[variable.path] = value.transpose(2, 3, 4, 1, 0) if value.ndim == 5 else value
    assert assign_weights(block, arrays) == len(weights) == 12
    clip = more_recipe.feature_map("nonlocal", (2, 4, 7, 9, 16))
    expected = golden[f"out/{instantiation}_pool{''.join(map(str, pool))}"]
    np.testing.assert_allclose(np.array(block(clip)), expected, atol=1e-5)


def test_non_local_block_starts_as_nothing():
    network = resnet_50("i3d", width_multiplier=1 / 32, non_local=5, classes=2)
    outputs = [network.get_layer(name).output for name in ("res4_5", "nonlocal4_5", "res3_1")]
    outputs.append(network.get_layer("nonlocal3_1").output)
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 2, 32, 32, 3)).astype("f4")
    before, after, *others = keras.Model(network.input, outputs)(clip)
    np.testing.assert_array_equal(np.array(before), np.array(after))
    np.testing.assert_array_equal(*map(np.array, others))
    assert np.ptp(np.array(before)) > 0
