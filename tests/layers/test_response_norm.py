import numpy as np
import pytest

from i3d_tf.layers.response_norm import LocalResponseNorm

# torch 2.13: LocalResponseNorm(5, alpha=0.5, beta=0.75, k=2.0) of 1, -2, 3, -4, 5, -6, 7.
TORCH_VALUES = [
    0.399384138,
    -0.598139512,
    0.661950184,
    -0.662240104,
    0.640060801,
    -0.803316354,
    1.022446343,
]


def normalized(values, size, alpha, beta, k):
    """By the formula, one channel at a time; alpha weighs the sum."""
    outputs = np.empty_like(values)
    channels = values.shape[-1]
    for c in range(channels):
        around = values[..., max(0, c - size // 2) : min(channels, c + size // 2 + 1)]
        outputs[..., c] = values[..., c] / (k + alpha * (around**2).sum(-1)) ** beta
    return outputs


def test_mean_convention_gives_the_values_of_torch():
    values = np.array([[1, -2, 3, -4, 5, -6, 7]], "f4")
    layer = LocalResponseNorm(5, alpha=0.5, beta=0.75, k=2.0)
    np.testing.assert_allclose(np.array(layer(values))[0], TORCH_VALUES, rtol=2e-6)


@pytest.mark.parametrize(("size", "shape"), [(5, (2, 3, 4, 6)), (3, (1, 2, 2, 2, 5)), (7, (2, 4))])
def test_conventions_differ_by_the_size(size, shape):
    values = np.random.default_rng(0).normal(size=shape).astype("f4") * 9
    expected = normalized(values.astype("f8"), size, 0.3, 0.5, 2.0)
    by_sum = LocalResponseNorm(size, 0.3, 0.5, 2.0, convention="sum")
    by_mean = LocalResponseNorm(size, 0.3 * size, 0.5, 2.0)
    for layer in (by_sum, by_mean):
        np.testing.assert_allclose(np.array(layer(values)), expected, rtol=1e-5)
        assert layer.compute_output_shape(shape) == shape


def test_bfloat16_is_normalized_in_float32():
    values = np.random.default_rng(0).normal(size=(3, 8)).astype("f4") * 9
    found = LocalResponseNorm(alpha=1.0, dtype="bfloat16")(values)
    expected = LocalResponseNorm(alpha=1.0)(values)
    np.testing.assert_allclose(np.array(found, "f4"), np.array(expected), rtol=2**-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"size": 4}, "`size` must be odd; received 4"), ({"convention": "max"}, "must be one of")],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocalResponseNorm(**arguments)
