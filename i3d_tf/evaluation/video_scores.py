"""The scores of classes along a video, and how well they follow its actions."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from i3d_tf.data.example import IntervalVideo
from i3d_tf.data.intervals import interval_targets
from i3d_tf.metrics.average_precision import average_precision


@dataclass(frozen=True, eq=False)
class VideoScores:
    """The scores of a video at some times.

    Attributes:
        actions: What is true, with the video's duration.
        times: float64 (P,), seconds; (1,) where the whole video is asked about.
        values: Float (P, classes); -inf where there is no score.
    """

    actions: IntervalVideo
    times: np.ndarray
    values: np.ndarray

    @functools.cached_property
    def targets(self) -> np.ndarray:
        """The classes that are true at the times, bool (P, classes)."""
        return interval_targets(self.actions.intervals, self.times, self.values.shape[1])

    @functools.cached_property
    def average_precision(self) -> float:
        """The average precision of all pairs of a time and a class; NaN where none is true."""
        return average_precision(self.values.ravel(), self.targets.ravel())


def best_and_worst(
    videos: Iterable[VideoScores], count: int
) -> tuple[list[VideoScores], list[VideoScores]]:
    """Returns videos by their average precision.

    Args:
        videos: Those without one are left out.
        count: Videos of each list at most; no video is in both.

    Returns:
        (best, worst): the highest first, and the lowest first.
    """
    ranked = sorted(
        (video for video in videos if not np.isnan(video.average_precision)),
        key=lambda video: -video.average_precision,
    )
    best = ranked[: min(count, (len(ranked) + 1) // 2)]
    return best, ranked[len(best) :][::-1][:count]


def shown_classes(video: VideoScores, max_true: int, max_other: int) -> tuple[list[int], list[int]]:
    """Returns the classes that tell most about a video.

    Args:
        video: Its scores.
        max_true: Classes of its actions at most, by their first start.
        max_other: Other classes at most, those with the highest scores.

    Returns:
        (labels of its actions, labels of others).
    """
    intervals = sorted(video.actions.intervals, key=lambda interval: interval.start)
    true = list(dict.fromkeys(interval.label for interval in intervals))
    highest = video.values.max(axis=0)
    others = [k for k in np.argsort(-highest, kind="stable").tolist() if k not in set(true)]
    return true[:max_true], [k for k in others[:max_other] if np.isfinite(highest[k])]


def score_scale(
    videos: Iterable[VideoScores], are_logits: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function of scores to numbers within [0, 1], which keeps their order.

    Args:
        videos: All of the videos.
        are_logits: Whether the sigmoid is taken. Else scores are kept where all are within [0, 1],
            and otherwise counted from the lowest to the highest of them.
    """
    if are_logits:
        return lambda values: 1 / (1 + np.exp(-np.clip(values, -500, 500).astype(np.float64)))
    low, high = np.inf, -np.inf
    for video in videos:
        finite = video.values[np.isfinite(video.values)]
        low, high = finite.min(initial=low), finite.max(initial=high)
    if not low < high or (low >= 0 and high <= 1):
        low, high = 0.0, 1.0
    return lambda values: np.clip((values - low) / (high - low), 0, 1)
