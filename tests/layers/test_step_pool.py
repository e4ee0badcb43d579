import keras
import numpy as np
import pytest

from i3d_tf.layers.step_pool import StepPool, pool_steps, step_gains
from i3d_tf.metrics.ranking import softmax


def logits_of(probabilities):
    """Logits (1, T, classes) with the given probabilities, each step off by a constant."""
    steps = np.log(np.array(probabilities, np.float32))
    return (steps + np.arange(len(steps))[:, None])[None].astype(np.float32)


def geometric_means(*products):
    means = np.cbrt(products)
    return means / means.sum()


THREE_STEPS = logits_of([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.4, 0.5]])


@pytest.mark.parametrize(("steps", "gains"), [(1, [1]), (2, [0, 1]), (5, [0, 0.25, 0.5, 0.75, 1])])
def test_step_gains_rise_from_zero_to_one(steps, gains):
    np.testing.assert_array_equal(np.array(step_gains(steps)), gains)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("last", [0.1, 0.4, 0.5]),
        ("max", np.array([0.6, 0.7, 0.5]) / 1.8),
        ("sum", np.array([0.9, 1.4, 0.7]) / 3),
        ("log_mean", geometric_means(0.6 * 0.2 * 0.1, 0.3 * 0.7 * 0.4, 0.1 * 0.1 * 0.5)),
        ("gain", (np.array([0.2, 0.7, 0.1]) / 2 + np.array([0.1, 0.4, 0.5])) / 1.5),  # 0, 1/2, 1
    ],
)
def test_pool_steps_pools_probabilities(pooling, expected):
    pooled = np.array(pool_steps(THREE_STEPS, pooling))
    np.testing.assert_allclose(softmax(pooled), [expected], rtol=1e-5)
    one_step = np.array(pool_steps(THREE_STEPS[:, :1], pooling))
    np.testing.assert_allclose(softmax(one_step), [[0.6, 0.3, 0.1]], rtol=1e-5)


def test_step_pool_returns_all_steps_or_pooled_ones():
    clip = keras.Input((None, 3))
    for layer, expected in (
        (StepPool("sum"), pool_steps(THREE_STEPS, "sum")),
        (StepPool("sum", all_steps=True), THREE_STEPS),
    ):
        again = StepPool.from_config(layer.get_config())
        model = keras.Model(clip, again(clip))
        assert len(model.output_shape) == np.ndim(expected)
        np.testing.assert_array_equal(np.array(model(THREE_STEPS)), np.array(expected))


def test_step_pool_names_the_choices():
    with pytest.raises(ValueError, match=r"`pooling` must be one of \('last', 'log_mean', 'max'"):
        StepPool("mean")
