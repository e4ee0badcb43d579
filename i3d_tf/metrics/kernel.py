"""Kernel distance of two sets of features: KID, and KVD where the features are I3D's.

The squared maximum mean discrepancy of the cubic kernel k(x, y) = (x . y / D + 1)^3, by its
unbiased estimate (Bińkowski et al. 2018, arXiv:1801.01401, section 4; for videos Unterthiner et al.
2018, arXiv:1812.01717).
"""

import numpy as np

ROWS = 1024  # of a kernel matrix that are in memory at once
MIN_SAMPLES = 2


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the unbiased estimate of the squared kernel distance; it may be below zero.

    Args:
        a: Features, float (N, D), N >= 2, finite.
        b: The other set, float (M, D), M >= 2, finite.

    Raises:
        ValueError: There are too few samples, or the numbers of features differ.
    """
    a, b = (np.asarray(features, np.float64) for features in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not a.shape[1]:
        raise ValueError(
            f"Both sets must be (N, D), of as many features; received {a.shape} and {b.shape}."
        )
    if min(len(a), len(b)) < MIN_SAMPLES:
        raise ValueError(
            f"A kernel distance needs at least {MIN_SAMPLES} samples of each set; received "
            f"{len(a)} and {len(b)}."
        )
    within = sum(
        (_kernel_sum(x, x) - np.sum(_cubic(np.sum(x * x, axis=1) / x.shape[1])))
        / (len(x) * (len(x) - 1))
        for x in (a, b)
    )
    return float(within - 2 * _kernel_sum(a, b) / (len(a) * len(b)))


def _kernel_sum(a, b):
    """Returns the sum of the kernel over all pairs."""
    return sum(
        _cubic(a[start : start + ROWS] @ b.T / a.shape[1]).sum() for start in range(0, len(a), ROWS)
    )


def _cubic(product):
    return (product + 1) ** 3
