"""Orders of ten frames, which can be read off."""

import numpy as np
import pytest

from i3d_tf.explain.frame_orders import (
    DEFAULT_CONDITIONS,
    frame_order,
    frozen_candidates,
    parse_condition,
    parse_conditions,
)


def order_of(name, num_frames=10, seed=0):
    return frame_order(parse_condition(name), num_frames, np.random.default_rng(seed))


def test_reversed_twice_is_the_identity():
    order = order_of("reversed")
    assert order.tolist() == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    np.testing.assert_array_equal(order[order], order_of("original"))


def test_subsampled_repeats_every_nth_frame():
    assert order_of("subsampled:4").tolist() == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8]


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_is_a_permutation_of_its_seed(seed):
    order = order_of("shuffled", 50, seed)
    assert sorted(order) == list(range(50))
    assert order.tolist() == order_of("shuffled", 50, seed).tolist()
    assert order.tolist() != order_of("shuffled", 50, seed + 1).tolist()


@pytest.mark.parametrize("num_frames", [9, 10, 12, 3])
def test_shuffled_within_blocks_stays_in_them(num_frames):
    order = order_of("shuffled:4", num_frames)
    assert sorted(order) == list(range(num_frames))
    assert (order // 4).tolist() == (np.arange(num_frames) // 4).tolist()
    assert num_frames == 3 or order.tolist() != list(range(num_frames))


def test_frame_order_has_none_of_a_frozen_frame():
    with pytest.raises(ValueError, match="must be no frozen frame; received frozen:best"):
        order_of("frozen:best")


@pytest.mark.parametrize(
    ("num_frames", "count", "middle", "expected"),
    [
        (10, 5, 5, [1, 3, 5, 7, 9]),
        (9, 3, 4, [1, 4, 7]),
        (10, 2, 5, [2, 5, 7]),  # an even number does not include the middle
        (3, 9, 1, [0, 1, 2]),
        (10, 0, 5, [5]),
    ],
)
def test_frozen_candidates_are_spread_and_include_the_middle(num_frames, count, middle, expected):
    assert frozen_candidates(num_frames, count, middle) == expected


def test_conditions_have_the_names_that_they_are_parsed_from():
    found = parse_conditions([*DEFAULT_CONDITIONS, "reversed"])
    assert [each.name for each in found] == ["original", *DEFAULT_CONDITIONS]
    assert len({each.title for each in found}) == len(found)


@pytest.mark.parametrize(
    "name", ["", "frozen", "frozen:first", "shuffled:1", "shuffled:x", "subsampled", "reversed:2"]
)
def test_unknown_conditions_are_refused(name):
    with pytest.raises(ValueError, match="must be"):
        parse_conditions([name])


def test_no_condition_is_refused():
    with pytest.raises(ValueError, match="received none"):
        parse_conditions(["original"])
