import json

import numpy as np
import pytest

from i3d_tf.metrics.frechet import (
    FeatureStatistics,
    frechet_distance,
    frechet_interval,
    is_statistics_file,
    sample_warning,
)


def normal(count, features, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal((count, features))


def with_moments(mean, deviations):
    """Samples whose mean and (diagonal) covariance are exactly these: two for every feature."""
    deviations = np.asarray(deviations, float)
    # 2 D samples, divided by 2 D - 1: each feature has its deviation twice, once of each sign.
    spread = np.diag(deviations) * np.sqrt((2 * len(deviations) - 1) / 2)
    return FeatureStatistics.of(np.concatenate([mean + spread, mean - spread]))


def directly(a, b):
    """The formula as it is written: the eigenvalues of S1 S2, whose matrix is not symmetric."""
    covariances = [np.cov(x, rowvar=False) for x in (a, b)]
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).astype(complex))
    means = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return means + np.trace(covariances[0] + covariances[1]) - 2 * roots.sum().real


def test_statistics_of_three_samples():
    statistics = FeatureStatistics.of([[0.0, 1.0], [3.0, 1.0], [6.0, 4.0]])
    assert statistics.count == 3
    np.testing.assert_array_equal(statistics.mean, [3, 2])
    np.testing.assert_allclose(statistics.covariance, [[9, 4.5], [4.5, 3]], rtol=1e-15)


@pytest.mark.parametrize("cuts", [(), (1,), (50,), (1, 2, 3, 40, 40, 99)])
def test_statistics_of_pieces_equal_those_of_the_whole(cuts):
    # Far from zero, where sums of squares would lose 12 of 16 digits.
    features = 1e6 + normal(100, 7)
    added, merged = FeatureStatistics(), FeatureStatistics()
    for piece in np.split(features, cuts):
        added.add(piece)
        merged.merge(FeatureStatistics.of(piece))
    for statistics in (added, merged):
        assert statistics.count == 100
        np.testing.assert_allclose(statistics.mean, features.mean(0), rtol=1e-14)
        expected = np.cov(features, rowvar=False)
        # A sample of 1e6 has its last digit at 1e-10.
        np.testing.assert_allclose(statistics.covariance, expected, rtol=0, atol=1e-9)


def test_merge_leaves_the_other_unchanged():
    one, other = FeatureStatistics(), FeatureStatistics.of(normal(5, 2))
    one.merge(other)
    one.add(normal(9, 2, seed=1))
    assert other.count == 5
    np.testing.assert_allclose(other.mean, normal(5, 2).mean(0))


@pytest.mark.parametrize("count", [1000, 40, 3])  # two of them fewer than features + 1
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_frechet_distance_of_a_set_with_itself_is_zero(count, scale):
    statistics = FeatureStatistics.of(normal(count, 64, scale=scale))
    assert 0 <= frechet_distance(statistics, statistics) <= 1e-6


def test_frechet_distance_of_two_gaussians_with_uncorrelated_features():
    # (0 - 3)^2 + (0 - 4)^2 for the means, (1 - 2)^2 + (3 - 1)^2 + 0 for the deviations.
    a = with_moments([0, 0, 0], [1, 3, 2])
    b = with_moments([3, 4, 0], [2, 1, 2])
    assert frechet_distance(a, b) == pytest.approx(25 + 1 + 4, rel=1e-12)
    assert frechet_distance(b, a) == pytest.approx(30, rel=1e-12)


def test_frechet_distance_is_unchanged_by_rotating_both_sets():
    turn = np.linalg.qr(normal(3, 3))[0]
    a, b = normal(9, 3, 1), normal(9, 3, 2) * [1, 2, 3]
    straight, turned = (
        frechet_distance(FeatureStatistics.of(a @ t), FeatureStatistics.of(b @ t))
        for t in (np.eye(3), turn)
    )
    assert turned == pytest.approx(straight, rel=1e-12)


def test_frechet_distance_equals_a_direct_computation():
    mix = normal(12, 12, seed=3)
    a, b = normal(200, 12, 1) @ mix, 2 + normal(300, 12, 2)
    distance = frechet_distance(FeatureStatistics.of(a), FeatureStatistics.of(b))
    # Eigenvalues of a matrix that is not symmetric are good for about 10 digits here.
    assert distance == pytest.approx(directly(a, b), rel=1e-8)


def test_frechet_distance_of_singular_covariances():
    # In four features: deviation 1 along the first alone, against 2 along the first or the last.
    first, last = np.eye(4)[[0, 3]]
    both_ways = np.array([[1], [-1]]) * np.sqrt(0.5)
    a = FeatureStatistics.of(both_ways * first)
    along = FeatureStatistics.of(2 * both_ways * first)
    across = FeatureStatistics.of(2 * both_ways * last)
    assert frechet_distance(a, along) == pytest.approx(1, rel=1e-12)  # (1 - 2)^2
    assert frechet_distance(a, across) == pytest.approx(1 + 4, rel=1e-12)  # nothing in common
    still = FeatureStatistics.of([first, first])
    assert frechet_distance(still, a) == pytest.approx(1 + 1, rel=1e-12)


def test_frechet_distance_ignores_directions_without_variance():
    # Ten samples span nine directions; the other 111 have no variance.
    a, b = normal(10, 9, 1), normal(10, 9, 2) + 1
    place = np.linalg.qr(normal(120, 9, 3))[0].T
    small = frechet_distance(FeatureStatistics.of(a), FeatureStatistics.of(b))
    large = frechet_distance(FeatureStatistics.of(a @ place), FeatureStatistics.of(b @ place))
    # Rounding of a 0 in eigh would be 1e-8 after the root, 111 times.
    assert large == pytest.approx(small, rel=1e-9)


def test_frechet_distance_of_a_singular_and_a_regular_covariance():
    # With S2 = 1, tr((S1 S2)^(1/2)) is the sum of the deviations of S1 along its own axes.
    samples = normal(10, 9)
    deviations = np.linalg.svd(samples - samples.mean(0), compute_uv=False) / 3
    place = np.linalg.qr(normal(120, 9, 3))[0].T
    round_one = with_moments(samples.mean(0) @ place, np.ones(120))
    distance = frechet_distance(FeatureStatistics.of(samples @ place), round_one)
    # The 111 directions that only `round_one` has must not find anything in the other.
    expected = np.sum(deviations**2) + 120 - 2 * np.sum(deviations)
    assert distance == pytest.approx(expected, abs=1e-9)


def test_frechet_distance_is_the_square_of_a_shift_of_the_mean():
    samples = normal(50, 5)
    statistics = FeatureStatistics.of(samples)
    distances = [
        frechet_distance(statistics, FeatureStatistics.of(samples + shift * np.eye(5)[1]))
        for shift in range(4)
    ]
    np.testing.assert_allclose(distances, [0, 1, 4, 9], atol=1e-12)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros(3), r"\(N, D\)"),
        (np.zeros((3, 0)), r"\(N, D\)"),
        ([[0.0, np.nan]], "finite"),
        (np.zeros((1, 5)), r"must be \(N, 2\) as before; received \(N, 5\)"),
    ],
)
def test_add_refuses_other_features(features, message):
    statistics = FeatureStatistics.of(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=message):
        statistics.add(features)
    assert statistics.count == 2


def test_frechet_distance_refuses_sets_that_do_not_match():
    two = FeatureStatistics.of(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="received 2 and 1"):
        frechet_distance(two, FeatureStatistics.of(np.zeros((1, 2))))
    with pytest.raises(ValueError, match="as many features; received 2 and 3"):
        frechet_distance(two, FeatureStatistics.of(np.zeros((2, 3))))
    with pytest.raises(ValueError, match="at least 2 samples; received 0"):
        _ = FeatureStatistics().covariance


def test_load_gives_the_saved_statistics(tmp_path):
    metadata = {"weights": "rgb_imagenet", "frames": 16, "frame_rate": None}
    statistics = FeatureStatistics.of(normal(30, 40, 1), metadata)
    statistics.save(tmp_path / "a.npz")
    loaded = FeatureStatistics.load(tmp_path / "a.npz")
    assert (loaded.count, loaded.metadata) == (30, metadata)
    np.testing.assert_array_equal(loaded.mean, statistics.mean)
    assert frechet_distance(loaded, statistics) <= 1e-10
    loaded.add(normal(5, 40, 2))
    statistics.add(normal(5, 40, 2))
    np.testing.assert_allclose(loaded.covariance, statistics.covariance, rtol=1e-12, atol=1e-14)
    assert is_statistics_file(tmp_path / "a.npz")


def parts(**changes):
    whole = {"mean": np.zeros(2), "covariance": np.eye(2), "count": 9, "about": "{}"}
    return {**whole, **changes}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an archive",
        parts(mean=np.zeros(3)),
        parts(mean=np.zeros(2, np.float32)),
        parts(covariance=np.full((2, 2), np.inf)),
        parts(count=1),
        parts(about="[1"),
        parts(about="[1]"),
        parts(mean=np.array([{}, {}])),  # objects, which would have to be unpickled
        {"clips": np.zeros(3)},
    ],
)
def test_load_refuses_other_files(tmp_path, content):
    path = tmp_path / "a.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(ValueError, match=r"a\.npz: the file does not hold feature statistics, or"):
        FeatureStatistics.load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 2.7}, "`count` must be an integer >= 2"),
        ({"count": 1}, "`count` must be an integer >= 2"),
        ({"count": [9]}, "`count` must be an integer >= 2"),
        ({"count": True}, "`count` must be an integer >= 2"),
        ({"mean": np.array([np.nan, 0])}, "values that are not finite"),
        ({"covariance": np.array([[1, 0.1], [0.2, 1]])}, "`covariance` is not symmetric"),
        ({"covariance": np.array([[1.0, 2], [2, 1]])}, "`covariance` has variances below zero"),
        ({"covariance": -np.eye(2)}, "`covariance` has variances below zero"),
    ],
)
def test_load_refuses_what_is_no_covariance(tmp_path, changes, message):
    np.savez(tmp_path / "a.npz", **parts(**changes))
    with pytest.raises(ValueError, match=rf"a\.npz: .*{message}.* Compute them again\.$"):
        FeatureStatistics.load(tmp_path / "a.npz")


def test_load_takes_covariances_with_errors_of_float32(tmp_path):
    samples = normal(9, 40)  # of rank 8: most eigenvalues are 0
    covariance = np.cov(samples.T).astype(np.float32).astype(float)
    covariance[0, 1] *= 1 + 1e-7
    np.savez(tmp_path / "a.npz", **parts(mean=np.zeros(40), covariance=covariance))
    assert np.linalg.eigvalsh(covariance)[0] < 0
    assert FeatureStatistics.load(tmp_path / "a.npz").count == 9


def test_load_refuses_what_unpacks_to_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr("i3d_tf.system.expansion.ALWAYS_ALLOWED", 2**16)
    np.savez_compressed(tmp_path / "a.npz", **parts(mean=np.zeros(999), covariance=np.eye(999)))
    with pytest.raises(ValueError, match=r"bytes unpack to 7,992,528, which is not plausible"):
        FeatureStatistics.load(tmp_path / "a.npz")


def test_load_refuses_a_damaged_file(tmp_path):
    path = tmp_path / "a.npz"
    FeatureStatistics.of(normal(9, 20)).save(path)
    whole = bytearray(path.read_bytes())
    whole[600] ^= 255
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="damaged"):
        FeatureStatistics.load(path)
    path.write_bytes(whole[: len(whole) // 2])
    assert not is_statistics_file(path)
    with pytest.raises(ValueError, match="damaged"):
        FeatureStatistics.load(path)


def test_load_names_a_damaged_file_in_one_short_line(tmp_path):
    path = tmp_path / "a.npz"
    FeatureStatistics.of(normal(9, 9)).save(path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 41):
        path.write_bytes(whole[:at] + whole[at + 20 :])
        with pytest.raises(ValueError, match=r"^[^\n]*a\.npz: [^\n]{,300}$"):
            FeatureStatistics.load(path)


def test_load_of_a_missing_file(tmp_path):
    assert not is_statistics_file(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        FeatureStatistics.load(tmp_path / "a.npz")


def test_save_writes_plain_arrays(tmp_path):
    FeatureStatistics.of(normal(9, 2), {"name": "é"}).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["about", "count", "covariance", "mean"]
        assert json.loads(str(arrays["about"])) == {"name": "é"}


def test_frechet_interval_follows_the_seed_and_contains_the_distance():
    a, b = normal(60, 4, 1), normal(80, 4, 2) + 1
    interval = frechet_interval(a, b, repeats=50, seed=3)
    assert interval == frechet_interval(a, b, repeats=50, seed=3)
    assert interval != frechet_interval(a, b, repeats=50, seed=4)
    distance = frechet_distance(FeatureStatistics.of(a), FeatureStatistics.of(b))
    assert interval.low < distance < interval.high
    assert (interval.confidence, interval.repeats) == (0.95, 50)
    wider = frechet_interval(a, b, confidence=0.99, repeats=50, seed=3)
    assert wider.low < interval.low < interval.high < wider.high


def test_frechet_interval_is_as_wide_as_distances_spread():
    # One feature, means 0 and 2, deviation 1, 100 samples of each.
    distances, widths, held = [], [], 0
    for seed in range(100):
        a, b = normal(100, 1, (seed, 0)), normal(100, 1, (seed, 1)) + 2
        interval = frechet_interval(a, b, confidence=0.9, repeats=40, seed=seed)
        distances.append(frechet_distance(FeatureStatistics.of(a), FeatureStatistics.of(b)))
        widths.append(interval.high - interval.low)
        held += interval.low <= 4.03 <= interval.high  # 4, and 3/100 for the size of the samples
    # 90 percent of a normal distribution is 3.29 deviations wide; of 100 numbers, the deviation is
    # known to 7 percent. Quarters of the samples would be 1.7 times as wide.
    assert np.mean(widths) == pytest.approx(3.29 * np.std(distances), rel=0.2)
    assert 80 <= held <= 98


def test_frechet_interval_reflects_the_spread():
    # A mean of 0 whose halves have means of either sign: their squares are far above their mean
    # more often than below it, so the whole set may be above the truth more than below.
    b = np.repeat([[-4.0, 5.0], [4.0, 5.0]], 20, axis=0)  # the second feature adds 25 to all
    exact = with_moments([0.0, 0.0], [1.0, 1.0])
    interval = frechet_interval(exact, b, repeats=400)
    distance = frechet_distance(exact, FeatureStatistics.of(b))
    assert interval.low > 0
    assert distance - interval.low > 2 * (interval.high - distance)


def test_frechet_interval_takes_statistics_as_exact():
    a, b = normal(60, 4, 1), normal(60, 4, 2) + 1
    both = frechet_interval(a, b)
    one = frechet_interval(FeatureStatistics.of(a), b)
    assert one.high - one.low < both.high - both.low
    none = frechet_interval(FeatureStatistics.of(a), FeatureStatistics.of(b))
    assert none.low == pytest.approx(none.high)


def test_frechet_interval_reports_progress_after_every_repeat():
    told = []
    frechet_interval(normal(8, 2), normal(8, 2, 1), repeats=12, progress=lambda: told.append(1))
    assert len(told) == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confidence": 1}, r"`confidence` must be within \(0, 1\); received 1"),
        ({"repeats": 2}, "`repeats` must be an integer >= 10; received 2"),
        ({"a": np.zeros((3, 2))}, r"N >= 4; received \(3, 2\)"),
    ],
)
def test_frechet_interval_refuses_wrong_arguments(changes, message):
    arguments = {"a": normal(9, 2), "b": normal(9, 2, 1), **changes}
    with pytest.raises(ValueError, match=message):
        frechet_interval(**arguments)


@pytest.mark.parametrize(
    ("count", "says"),
    [(400, "below 401"), (401, "fewer than 2048"), (2047, "fewer than 2048"), (2048, None)],
)
def test_sample_warning_of_few_samples(count, says):
    warning = sample_warning(count, 400)
    assert (warning is None) if says is None else (says in warning and str(count) in warning)
