import numpy as np
import pytest

from i3d_tf.video.sampling import (
    as_generator,
    centered_window,
    first_frames,
    random_snippets,
    random_window,
    uniform_snippets,
    uniform_windows,
)


def test_first_frames_of_long_video():
    assert first_frames(1000, 4).tolist() == [0, 1, 2, 3]


def test_first_frames_loops_short_video():
    assert first_frames(3, 8).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert first_frames(1, 3).tolist() == [0, 0, 0]


def test_first_frames_returns_int64_indices():
    video = np.arange(3) * 10
    indices = first_frames(3, 4)
    assert indices.dtype == np.int64
    assert video[indices].tolist() == [0, 10, 20, 0]


@pytest.mark.parametrize(
    ("key", "frames", "expected"),
    [(5, 4, [3, 4, 5, 6]), (5, 3, [4, 5, 6]), (1, 6, [0, 0, 0, 1, 2, 3]), (9, 4, [7, 8, 9, 9])],
)
def test_centered_window_repeats_edge_frames(key, frames, expected):
    assert centered_window(key, 10, frames).tolist() == expected


def test_random_window_is_consecutive():
    for seed in range(20):
        window = random_window(10, 4, seed)
        assert window.tolist() == list(range(window[0], window[0] + 4))


def test_random_window_starts_are_uniform():
    generator = np.random.default_rng(0)
    starts = [int(random_window(10, 4, generator)[0]) for _ in range(1000)]
    assert sorted(set(starts)) == [0, 1, 2, 3, 4, 5, 6]
    # 7 starts, 1000 draws: 143 each, standard deviation 11; five of them.
    assert all(abs(starts.count(start) - 1000 / 7) < 55 for start in range(7))


def test_random_window_as_long_as_video_is_the_video():
    assert random_window(4, 4, 0).tolist() == [0, 1, 2, 3]


def test_random_window_loops_short_video():
    for seed in range(5):
        assert random_window(3, 5, seed).tolist() == [0, 1, 2, 0, 1]


def test_random_window_repeats_with_seed():
    assert random_window(1000, 1, 0) == random_window(1000, 1, 0)
    assert random_window(1000, 1, 0) == random_window(1000, 1, np.random.default_rng(0))
    assert len({int(random_window(10**9, 1, seed)[0]) for seed in range(10)}) == 10


def test_uniform_windows_reach_both_ends():
    assert uniform_windows(10, 4, 3).tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert uniform_windows(250, 1, 2).tolist() == [[0], [249]]


def test_uniform_windows_of_one_is_the_middle_one():
    assert uniform_windows(10, 4, 1).tolist() == [[3, 4, 5, 6]]
    assert uniform_windows(11, 4, 1).tolist() == [[3, 4, 5, 6]]  # 3.5, rounded down


def test_uniform_windows_repeat_where_few_starts_fit():
    assert uniform_windows(3, 2, 4)[:, 0].tolist() == [0, 0, 0, 1]


def test_uniform_windows_loop_short_video():
    assert uniform_windows(2, 3, 2).tolist() == [[0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("available", "frames", "segments", "starts"),
    [
        (30, 1, 3, [5, 15, 25]),
        (29, 5, 3, [4, 12, 20]),  # 25 starts in parts of 8 1/3
        (10, 6, 3, [0, 2, 4]),  # 5 starts in parts of 1 2/3
        (4, 1, 3, [0, 2, 3]),
        (2, 1, 3, [0, 1, 1]),
        (5, 5, 3, [0, 0, 0]),
        (3, 5, 2, [0, 0]),
    ],
)
def test_uniform_snippets_are_in_the_middle_of_equal_parts(available, frames, segments, starts):
    expected = [[(start + index) % available for index in range(frames)] for start in starts]
    assert uniform_snippets(available, frames, segments).tolist() == expected


def test_random_snippets_start_anywhere_within_their_part():
    # 25 starts in three parts of 8: the last start is never taken.
    snippets = np.array([random_snippets(29, 5, 3, seed) for seed in range(200)])
    assert (np.diff(snippets) == 1).all()
    for part, starts in enumerate(snippets[:, :, 0].T):
        assert set(starts) == set(range(8 * part, 8 * part + 8))


def test_random_snippets_of_few_starts_are_sorted():
    # 4 frames, 3 segments, snippets of 3: two starts.
    starts = np.array([random_snippets(4, 3, 3, seed)[:, 0] for seed in range(50)])
    assert set(map(tuple, starts)) == {(0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1)}


@pytest.mark.parametrize(("available", "frames"), [(3, 3), (3, 2), (4, 5)])
def test_random_snippets_of_a_short_video_are_its_first_frames(available, frames):
    expected = [[index % available for index in range(frames)]] * 3
    for seed in range(5):
        assert random_snippets(available, frames, 3, seed).tolist() == expected


def test_counts_below_one_are_refused():
    with pytest.raises(ValueError, match="`num_available` must be an integer >= 1; received 0"):
        first_frames(0, 1)
    with pytest.raises(ValueError, match="`num_frames` must be an integer >= 1; received 0"):
        random_window(1, 0, 0)
    with pytest.raises(ValueError, match="`num_windows` must be an integer >= 1; received 0"):
        uniform_windows(1, 1, 0)


def test_numpy_integers_are_accepted():
    assert first_frames(np.int32(2), np.uint8(3)).tolist() == [0, 1, 0]
    assert as_generator(np.int64(0)).integers(100) == as_generator(0).integers(100)


@pytest.mark.parametrize("bad", [None, -1, 0.5, "0", True])
def test_as_generator_refuses_other_values(bad):
    with pytest.raises(ValueError, match="`generator` must be a numpy"):
        random_window(10, 4, bad)
