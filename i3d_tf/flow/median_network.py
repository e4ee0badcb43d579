"""The 5x5 median as minima and maxima, written once for scalars, rows and tensors.

Minima and maxima have no branches, so a compiler turns the network into vector instructions. The
columns are sorted first; then, rank by rank, the rows. Of the 25 values, now in order along rows
and columns, an element with more than 12 others certainly above it or below it cannot be the
median. That leaves the three diagonals around the centre, and of the outer two only the largest
and the smallest: the median of the 25 is the median of three numbers.
"""

from collections.abc import Callable
from typing import NamedTuple


class MedianNetwork(NamedTuple):
    """The two halves of the median; neighboring windows share the first.

    Attributes:
        sort_five: Five values -> the same five in ascending order.
        median_of_columns: Five columns, each as returned by `sort_five` -> the median of the 25.
    """

    sort_five: Callable
    median_of_columns: Callable


def build_median_network(
    minimum: Callable, maximum: Callable, compiled: Callable = lambda function: function
) -> MedianNetwork:
    """Returns the 5x5 median in terms of the given minimum and maximum of two values.

    Args:
        minimum: Function of two values, for instance `min`, `np.minimum` or `tf.minimum`.
        maximum: Function of two values, its counterpart.
        compiled: Decorator for every function of the network, for instance a compiler's.

    Returns:
        The network. Results that the median does not need are computed and dropped: the compilers
        behind both TV-L1 engines remove them.
    """

    @compiled
    def exchange(a, b):
        return minimum(a, b), maximum(a, b)

    @compiled
    def sort_five(a, b, c, d, e):
        a, d = exchange(a, d)
        b, e = exchange(b, e)
        a, c = exchange(a, c)
        b, d = exchange(b, d)
        a, b = exchange(a, b)
        c, e = exchange(c, e)
        b, c = exchange(b, c)
        d, e = exchange(d, e)
        c, d = exchange(c, d)
        return a, b, c, d, e

    @compiled
    def median_of_columns(v, w, x, y, z):
        _, _, _, low0, middle0 = sort_five(v[0], w[0], x[0], y[0], z[0])
        _, _, low1, middle1, high1 = sort_five(v[1], w[1], x[1], y[1], z[1])
        _, low2, middle2, high2, _ = sort_five(v[2], w[2], x[2], y[2], z[2])
        low3, middle3, high3, _, _ = sort_five(v[3], w[3], x[3], y[3], z[3])
        middle4, high4, _, _, _ = sort_five(v[4], w[4], x[4], y[4], z[4])
        low = maximum(maximum(low0, low1), maximum(low2, low3))
        high = minimum(minimum(high1, high2), minimum(high3, high4))
        _, _, middle, _, _ = sort_five(middle0, middle1, middle2, middle3, middle4)
        low, middle = exchange(low, middle)
        return maximum(low, minimum(middle, high))

    return MedianNetwork(sort_five, median_of_columns)
