"""Fréchet distance of two sets of features: that of the Gaussians fitted to them.

d^2 = |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), with means m and covariances S: the
Fréchet inception distance of Heusel et al. 2017 (arXiv:1706.08500, equation 6), which is the
Fréchet video distance, FVD, where the features are I3D's (Unterthiner et al. 2018,
arXiv:1812.01717).

The matrix square root is never taken. With any factors S = F F^T, its trace is the sum of the
singular values of F1^T F2, which are accurate to about 1e-16 of the largest. A square root of the
product S1 S2, which is not symmetric, has no such bound: where a covariance is singular (fewer
samples than features) it becomes complex or needs a term added to the diagonal. The eigenvalues of
S1^(1/2) S2 S1^(1/2) are the squares of those singular values: errors of 1e-16 in them are errors of
1e-8 after the root, one for each of hundreds of features.
"""

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple

import numpy as np

from i3d_tf.specs.validation import check_integer
from i3d_tf.system.errors import short_reason
from i3d_tf.system.expansion import check_archive
from i3d_tf.system.files import open_regular

# The number of videos for which FVD is commonly reported (fvd2048_16f of arXiv:2112.14683). The
# bias of fewer samples is as large as the difference between models may be.
ENOUGH_SAMPLES = 2048
MIN_REPEATS = 10
MIN_SAMPLES_OF_HALVES = 4
MAX_FILE = 2**32  # bytes of statistics: 23,000 features
# By how much a covariance in a file may be asymmetric, or have eigenvalues below zero, of its
# largest value or eigenvalue: float32 has a precision of 1e-7.
COVARIANCE_TOLERANCE = 1e-6
_MEMBERS = {"mean.npy", "covariance.npy", "count.npy", "about.npy"}


class FeatureStatistics:
    """Count, mean and covariance of features, in float64, accumulated in pieces of any size.

    Pieces are merged by the formula of Chan, Golub and LeVeque (1979), which keeps the digits that
    the difference of sums of squares would lose. Memory: one matrix of features x features.

    Args:
        metadata: Description of the features (names to plain values), which is saved with them.

    Attributes:
        count: Samples so far.
        mean: float64 (D,), or None without samples.
        metadata: Dictionary.
    """

    def __init__(self, metadata: Mapping[str, Any] | None = None):
        self.count: int = 0
        self.mean: np.ndarray | None = None
        self.metadata: dict[str, Any] = dict(metadata or {})
        # Sum of the outer products of the deviations from the mean.
        self._scatter: np.ndarray | None = None

    @classmethod
    def of(
        cls, features: np.ndarray, metadata: Mapping[str, Any] | None = None
    ) -> "FeatureStatistics":
        """Returns the statistics of one array, float (N, D)."""
        statistics = cls(metadata)
        statistics.add(features)
        return statistics

    @property
    def covariance(self) -> np.ndarray:
        """Covariance, float64 (D, D), divided by count - 1; at least 2 samples are needed."""
        return self._gaussian()[1]

    def add(self, features: np.ndarray) -> None:
        """Adds samples.

        Args:
            features: float (N, D), finite; N may be 0, D is the same every time.
        """
        features = np.asarray(features, np.float64)
        if features.ndim != 2 or not features.shape[1]:
            raise ValueError(f"`features` must be (N, D), D >= 1; received {features.shape}.")
        if not np.isfinite(features).all():
            raise ValueError("`features` must be finite; received NaN or infinite values.")
        if len(features):
            mean = features.mean(axis=0)
            centered = features - mean
            self._merge(len(features), mean, centered.T @ centered)

    def merge(self, other: "FeatureStatistics") -> None:
        """Adds the samples of other statistics."""
        if other.count:
            self._merge(other.count, other.mean, other._scatter)

    def _gaussian(self, biased: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and covariance."""
        if self.mean is None or self._scatter is None or self.count < 2:
            raise ValueError(f"A covariance needs at least 2 samples; received {self.count}.")
        return self.mean, self._scatter / (self.count if biased else self.count - 1)

    def _merge(self, count, mean, scatter):
        if self.count == 0:
            self.count, self.mean, self._scatter = count, mean.copy(), scatter.copy()
            return
        if mean.shape != self.mean.shape:
            raise ValueError(
                f"`features` must be (N, {len(self.mean)}) as before; received (N, {len(mean)})."
            )
        total = self.count + count
        shift = mean - self.mean
        self._scatter = (
            self._scatter + scatter + np.outer(shift, shift) * (self.count * count / total)
        )
        self.mean = self.mean + shift * (count / total)
        self.count = total

    def save(self, file: os.PathLike | str | IO[bytes]) -> None:
        """Writes an .npz with `mean`, `covariance`, `count` and, as JSON, `about`: the metadata.

        Args:
            file: A path that ends in .npz, or a file that is open for writing.
        """
        mean, covariance = self._gaussian()
        np.savez(
            file,
            mean=mean,
            covariance=covariance,
            count=np.int64(self.count),
            about=np.array(json.dumps(self.metadata, ensure_ascii=True)),
        )

    @classmethod
    def load(cls, path: os.PathLike | str) -> "FeatureStatistics":
        """Reads a file that `save` has written.

        Raises:
            ValueError: It is not such a file, or is damaged.
            OSError: It cannot be opened.
        """
        with open_regular(path) as file:
            try:
                with zipfile.ZipFile(file) as archive:
                    check_archive(archive)
                    size = sum(member.file_size for member in archive.infolist())
                if size > MAX_FILE:
                    raise ValueError(f"{size} bytes, more than {MAX_FILE}")
                file.seek(0)
                with np.load(file, allow_pickle=False) as arrays:
                    mean, covariance, count = (
                        arrays[name] for name in ("mean", "covariance", "count")
                    )
                    metadata = json.loads(str(arrays["about"]))
                count = _checked_count(count)
                _check_loaded(mean, covariance, metadata)
            except Exception as error:  # a damaged file fails anywhere, in any way
                raise ValueError(
                    f"{path}: the file does not hold feature statistics, or is damaged "
                    f"({short_reason(error)}). Compute them again."
                ) from error
        statistics = cls(metadata)
        statistics._merge(count, mean, covariance * (count - 1))
        return statistics


def _checked_count(count):
    if count.dtype.kind not in "iu" or count.shape or not 2 <= count < 2**62:
        raise ValueError(f"`count` must be an integer >= 2; it is {count!r:.80}")
    return int(count)


def _check_loaded(mean, covariance, metadata):
    if not (mean.dtype == covariance.dtype == np.float64 and mean.ndim == 1 and mean.size):
        raise ValueError("`mean` and `covariance` must be float64")
    if covariance.shape != (len(mean), len(mean)) or not isinstance(metadata, dict):
        raise ValueError(f"mean {mean.shape}, covariance {covariance.shape}")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError("values that are not finite")
    asymmetry = np.abs(covariance - covariance.T).max()
    if asymmetry > COVARIANCE_TOLERANCE * np.abs(covariance).max():
        raise ValueError("`covariance` is not symmetric")
    eigenvalues = np.linalg.eigvalsh(covariance)
    if eigenvalues[0] < -COVARIANCE_TOLERANCE * max(eigenvalues[-1], 0.0):
        raise ValueError("`covariance` has variances below zero")


def is_statistics_file(path: os.PathLike | str) -> bool:
    """Returns whether a file is an .npz with the names of FeatureStatistics' arrays."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return set(archive.namelist()) >= _MEMBERS
    except (OSError, zipfile.BadZipFile):
        return False


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics, biased: bool = False) -> float:
    """Returns the squared Fréchet distance of two Gaussians, as FID and FVD report it.

    Args:
        a: Statistics of at least 2 samples.
        b: Statistics of at least 2 samples, of as many features.
        biased: Whether covariances are sums divided by the number of samples N, instead of N - 1.

    Returns:
        A float >= 0; for a set with itself, 0 to about 1e-13 of the sum of its variances.

    Raises:
        ValueError: There are too few samples, or the numbers of features differ.
    """
    for statistics in (a, b):
        if statistics.count < 2:
            raise ValueError(
                f"A Fréchet distance needs at least 2 samples of each set; received "
                f"{a.count} and {b.count}."
            )
    (mean_a, covariance_a), (mean_b, covariance_b) = a._gaussian(biased), b._gaussian(biased)
    if mean_a.shape != mean_b.shape:
        raise ValueError(
            f"Both sets must have as many features; received {len(mean_a)} and {len(mean_b)}."
        )
    common = np.linalg.svd(_factor(covariance_a).T @ _factor(covariance_b), compute_uv=False).sum()
    variances = np.trace(covariance_a) + np.trace(covariance_b)
    return max(0.0, float(np.sum((mean_a - mean_b) ** 2) + variances - 2 * common))


def _factor(covariance):
    """Returns F (D, rank) with F F^T = covariance; eigenvalues within rounding of 0 are dropped."""
    values, vectors = np.linalg.eigh(covariance)
    # An exact 0 becomes up to D x epsilon of the largest, whose root would be 1e-7 of it.
    real = values > max(values[-1], 0.0) * len(values) * np.finfo(np.float64).eps
    return vectors[:, real] * np.sqrt(values[real])


class Interval(NamedTuple):
    """A confidence interval.

    Attributes:
        low: Its lower end, >= 0.
        high: Its upper end.
        confidence: Share of such intervals that contain the true value, in (0, 1).
        repeats: Number of subsamples from which it was computed.
    """

    low: float
    high: float
    confidence: float
    repeats: int


def frechet_interval(
    a: np.ndarray | FeatureStatistics,
    b: np.ndarray | FeatureStatistics,
    confidence: float = 0.95,
    repeats: int = 100,
    seed: int = 0,
    progress: Callable[[], Any] | None = None,
    biased: bool = False,
) -> Interval:
    """Returns a confidence interval of the Fréchet distance, from random halves of the samples.

    Each repeat takes one half of each set, without replacement, and computes their distance. Halves
    spread around their mean as the whole sets do around theirs: drawing m of N changes a variance
    of v / N to v (1 / m - 1 / N), which for m = N / 2 is the same (the delete-half jackknife, Shao
    and Wu 1989; subsampling, Politis and Romano 1994). The spread is put around the distance of
    the whole sets, reflected, as in a basic bootstrap interval.

    The interval shows how much the distance would change with other samples, as many as these. It
    does not include the bias of few samples; see `sample_warning`.

    Args:
        a: Features, float (N, D), N >= 4, all in memory (1.6 KB a video for 400 features in
            float32); or FeatureStatistics, which are taken as exact.
        b: The other set, features or FeatureStatistics.
        confidence: Within (0, 1).
        repeats: Number of subsamples, at least 10.
        seed: Integer >= 0; the same seed gives the same interval.
        progress: Called without arguments after each repeat, or None.
        biased: See `frechet_distance`.

    Raises:
        ValueError: A number is out of its range, or there are too few samples.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be within (0, 1); received {confidence!r}.")
    check_integer("repeats", repeats, MIN_REPEATS)
    sets = [_checked_set(a), _checked_set(b)]
    generator = np.random.default_rng(seed)
    halves = []
    for _ in range(repeats):
        first, second = (_half(samples, generator) for samples in sets)
        halves.append(frechet_distance(first, second, biased))
        if progress:
            progress()
    whole = frechet_distance(_whole(sets[0]), _whole(sets[1]), biased)
    outside = (1 - confidence) / 2
    below, above = np.quantile(np.subtract(halves, np.mean(halves)), [outside, 1 - outside])
    return Interval(max(0.0, float(whole - above)), float(whole - below), confidence, repeats)


def _checked_set(samples):
    if isinstance(samples, FeatureStatistics):
        return samples
    samples = np.asarray(samples)
    if samples.ndim != 2 or len(samples) < MIN_SAMPLES_OF_HALVES:
        raise ValueError(
            f"An interval needs features (N, D), N >= {MIN_SAMPLES_OF_HALVES}; received "
            f"{samples.shape}. Give more videos, or ask for no interval."
        )
    return samples


def _whole(samples):
    return samples if isinstance(samples, FeatureStatistics) else FeatureStatistics.of(samples)


def _half(samples, generator):
    if isinstance(samples, FeatureStatistics):
        return samples
    chosen = generator.permutation(len(samples))[: len(samples) // 2]
    return FeatureStatistics.of(samples[chosen])


def sample_warning(count: int, features: int) -> str | None:
    """Warns that a Fréchet distance is biased upwards for few samples.

    Args:
        count: Samples of the smaller set.
        features: Number of features, D.

    Returns:
        A sentence, or None where there are enough samples.
    """
    if count < features + 1:
        return (
            f"{count} samples of {features} features: below {features + 1} the covariance is "
            "singular, and the distance is mostly bias. Compare it only with distances of as many "
            "samples."
        )
    if count < ENOUGH_SAMPLES:
        return (
            f"{count} samples, fewer than {ENOUGH_SAMPLES}: the distance is biased upwards. "
            "Compare it only with distances of as many samples."
        )
    return None
