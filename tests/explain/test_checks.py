import keras
import numpy as np
import pytest

from i3d_tf.explain.checks import deletion_curve, random_head_correlations, rank_correlation


def test_deletion_curve_falls_by_what_the_salient_blocks_hold():
    clip = np.zeros((4, 6, 6, 1), np.float32)
    clip[:2, :3, :3] = 8  # one of the 8 blocks; the mean of the clip is 1
    saliency = clip[..., 0]

    def logit_of(clip):
        return float(clip[:2, :3, :3].mean())

    found = deletion_curve(logit_of, clip, saliency, (2, 3, 3), fractions=(0.125, 1.0), draws=4)
    assert (found["logit"], found["block"]) == (8, [2, 3, 3])
    one, everything = found["masked"]
    assert (one["fraction"], one["most_salient"]) == (0.125, 1)
    assert one["random_lowest"] <= one["random_mean"]
    assert one["random_mean"] > 1
    assert everything["most_salient"] == everything["random_mean"] == 1


def test_deletion_curve_takes_blocks_that_do_not_divide_the_clip():
    clip = np.zeros((3, 5, 5, 2), np.float32)
    clip[2, 4, 4] = 75
    found = deletion_curve(
        lambda clip: float(clip[2, 4, 4, 0]), clip, clip[..., 0], (2, 3, 3), fractions=(0.1,)
    )
    assert found["masked"][0]["most_salient"] == 1  # the mean


def test_rank_correlation_by_hand():
    assert rank_correlation(np.array([1, 2, 30]), np.array([[0.1, 0.2, 0.3]])) == pytest.approx(1)
    assert rank_correlation(np.array([1, 2, 3]), np.array([3, 2, 1])) == pytest.approx(-1)
    # Ranks 1.5, 1.5, 3 and 1, 2, 3.
    assert rank_correlation(np.array([0, 0, 5]), np.array([1, 2, 3])) == pytest.approx(0.75**0.5)
    assert rank_correlation(np.array([1, 1]), np.array([1, 2])) == 0


def test_random_heads_change_the_map_and_leave_the_weights():
    inputs = keras.Input((5,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    layer = model.layers[-1]
    before = layer.get_weights()
    seen = []

    def values_of():
        seen.append(layer.get_weights()[0][:, 0])
        return seen[-1]

    correlations = random_head_correlations(model, values_of, draws=2)
    assert len(correlations) == 2
    assert max(correlations) < 1
    assert len({values.tobytes() for values in seen}) == 3
    for weight, expected in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert random_head_correlations(model, lambda: np.arange(4.0), draws=1) == [pytest.approx(1)]
