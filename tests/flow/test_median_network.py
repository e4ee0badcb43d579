import itertools

import numpy as np

from i3d_tf.flow.median_network import build_median_network

# A network of minima and maxima is right for all numbers if it is right for zeros and ones (Knuth,
# The Art of Computer Programming 5.3.4, zero-one principle): so these tests are exhaustive.
NETWORK = build_median_network(np.minimum, np.maximum)


def test_sort_five_sorts_all_zeros_and_ones():
    values = np.array(list(itertools.product([0, 1], repeat=5))).T
    np.testing.assert_array_equal(NETWORK.sort_five(*values), np.sort(values, axis=0))


def test_median_of_all_zeros_and_ones():
    ones = np.array(list(itertools.product(range(6), repeat=5)))  # in each of the sorted columns
    columns = [[(ones[:, x] >= 5 - rank).astype(int) for rank in range(5)] for x in range(5)]
    np.testing.assert_array_equal(NETWORK.median_of_columns(*columns), ones.sum(axis=1) >= 13)


def test_median_of_1_to_25_in_any_order():
    values = np.random.default_rng(0).permuted(np.tile(np.arange(1, 26), (1000, 1)), axis=1).T
    columns = [NETWORK.sort_five(*values[5 * x : 5 * x + 5]) for x in range(5)]
    assert (NETWORK.median_of_columns(*columns) == 13).all()


def test_decorator_is_applied_to_every_function():
    names = []

    def note(function):
        names.append(function.__name__)
        return function

    build_median_network(min, max, note)
    assert names == ["exchange", "sort_five", "median_of_columns"]
