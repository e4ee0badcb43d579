"""The scores of classes along a video, and how well they follow its actions."""

import functools
from collections.abc import Iterable, Sequence
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


def rescaled(videos: Sequence[VideoScores], are_logits: bool) -> list[np.ndarray]:
    """Returns the scores of videos within [0, 1], in which their order stays.

    Args:
        videos: Their scores.
        are_logits: Whether the sigmoid is taken. Else scores within [0, 1] are kept, and others are
            counted from the lowest to the highest of these videos.

    Returns:
        Float (P, classes) of each video.
    """
    values = [np.asarray(video.values, np.float64) for video in videos]
    if are_logits:
        return [1 / (1 + np.exp(-np.clip(part, -500, 500))) for part in values]
    finite = np.concatenate([part[np.isfinite(part)] for part in values] or [np.zeros(0)])
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return [np.clip((part - low) / max(high - low, 1e-12), 0, 1) for part in values]
