import numpy as np
import pytest

from i3d_tf.metrics import kernel
from i3d_tf.metrics.kernel import kernel_distance


def directly(a, b):
    """Every pair by itself, those of a sample with itself left out."""

    def k(x, y):
        return (x @ y / len(x) + 1) ** 3

    within = [
        np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])
        for x in (a, b)
    ]
    return sum(within) - 2 * np.mean([k(x, y) for x in a for y in b])


@pytest.mark.parametrize("rows", [2, 1024])
def test_kernel_distance_equals_a_computation_pair_by_pair(monkeypatch, rows):
    monkeypatch.setattr(kernel, "ROWS", rows)
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((7, 5)), 1 + generator.standard_normal((9, 5))
    assert kernel_distance(a, b) == pytest.approx(directly(a, b), rel=1e-12)
    assert kernel_distance(b, a) == pytest.approx(kernel_distance(a, b), rel=1e-12)


def test_kernel_distance_of_two_points():
    # k is 1 at 0 and (1 + 1)^3 = 8 within the other set: 1 + 8 - 2.
    assert kernel_distance(np.zeros((2, 3)), np.ones((2, 3))) == pytest.approx(7)


def test_kernel_distance_is_unbiased():
    sets = np.random.default_rng(0).standard_normal((400, 2, 10, 4))
    distances = [kernel_distance(a, b) for a, b in sets]
    assert abs(np.mean(distances)) < 4 * np.std(distances) / 20  # 20 is the root of 400
    assert min(distances) < 0


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 2), (3, 4)), r"as many features; received \(3, 2\) and \(3, 4\)"),
        (((3,), (3, 1)), r"must be \(N, D\)"),
        (((1, 2), (3, 2)), "at least 2 samples of each set; received 1 and 3"),
    ],
)
def test_kernel_distance_refuses_sets_that_do_not_match(shapes, message):
    with pytest.raises(ValueError, match=message):
        kernel_distance(*map(np.zeros, shapes))
