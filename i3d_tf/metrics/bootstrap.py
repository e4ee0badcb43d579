"""Paired bootstrap: the interval of a difference between two accuracies on the same videos."""

from typing import NamedTuple

import numpy as np

from i3d_tf.specs.validation import check_integer

SAMPLES = 2000
LEVEL = 0.95  # share of the samples within the interval


class Difference(NamedTuple):
    """A difference of accuracies, with its interval.

    Attributes:
        value: First accuracy minus second, in [-1, 1].
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: float
    low: float
    high: float


def accuracy_difference(
    first: np.ndarray,
    second: np.ndarray,
    generator: np.random.Generator,
    samples: int = SAMPLES,
    level: float = LEVEL,
) -> Difference:
    """Computes the difference of two accuracies, and its percentile interval by resampling videos.

    The two values of a video stay together. A sample of N videos with replacement is drawn by how
    many of them are better in the first, equal, and better in the second: that is all that its
    difference depends on.

    Args:
        first: Whether each video is classified correctly, (N,) of bool.
        second: The same of the other accuracy.
        generator: Source of random numbers.
        samples: Resampled test sets.
        level: Share of them that lies within the interval.

    Raises:
        ValueError: The two are not of the same videos, or there is none.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(
            "`first` and `second` must be (N,), N at least 1, of the same videos; received "
            f"{first.shape} and {second.shape}."
        )
    check_integer("samples", samples, 1)
    count = len(first)
    better, worse = int((first & ~second).sum()), int((second & ~first).sum())
    shares = np.array([better, worse, count - better - worse]) / count
    draws = generator.multinomial(count, shares, size=samples)
    tail = (1 - level) / 2
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / count, [tail, 1 - tail])
    return Difference((better - worse) / count, float(low), float(high))
