"""Windows of frames, means of time steps, and batches, which short videos share."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np

from i3d_tf.features.options import FILLS, FeatureConfig
from i3d_tf.system.prefetch import prefetch

Item = TypeVar("Item")
Video = TypeVar("Video")

SHARED_BATCHES = 4  # a video that fills so many batches does not share its last ones


class Window(NamedTuple):
    """Consecutive frames of a video.

    Attributes:
        frames: (window, ...).
        num_valid: Frames that are the video's; the network gets zeros for those that follow.
    """

    frames: np.ndarray
    num_valid: int


def sliding_windows(frames: Iterable[np.ndarray], config: FeatureConfig) -> Iterator[Window]:
    """Yields the windows of a video, as many as `num_windows` counts.

    Args:
        frames: Arrays of one shape and dtype; all of them are read, each once.
        config: FeatureConfig with a window.
    """
    window, stride = config.window or 0, config.stride or 0
    kept: list[np.ndarray] = []
    start = num_frames = end = 0
    for frame in frames:
        num_frames += 1
        if num_frames <= start:
            continue
        kept.append(frame)
        if len(kept) == config.min_frames:
            yield Window(np.stack(kept[:window]), window)
            end = start + window
            start += stride
            kept = kept[stride:]
    if not end:
        if config.short in FILLS and kept:
            yield _filled(kept[:window], window, config.short)
    elif config.tail != "drop" and kept and num_frames > end:
        yield _filled(kept, window, config.tail)


def _filled(frames, window, fill):
    """Returns a window of fewer frames: looped, or the last one repeated, which may be hidden."""
    count = len(frames)
    indices = [k % count if fill == "loop" else min(k, count - 1) for k in range(window)]
    return Window(np.stack([frames[k] for k in indices]), count if fill == "pad" else window)


def extended(frames: Iterable[np.ndarray], count: int, fill: str) -> Iterator[np.ndarray]:
    """Yields all frames, and as many more as are missing of a number.

    Args:
        frames: At least one.
        count: Frames that there must be.
        fill: "loop" starts anew, "repeat" repeats the last one.
    """
    kept: list[np.ndarray] = []
    number = 0
    for frame in frames:
        number += 1
        if number < count:
            kept.append(frame)
        else:
            kept.clear()
        yield frame
    for missing in range(count - number):
        yield kept[missing % number] if fill == "loop" else kept[-1]


def average_steps(steps: Iterable, count: int | None) -> Iterator[np.ndarray]:
    """Yields the means of `count` consecutive steps each; the last mean may be of fewer.

    Args:
        steps: float32 arrays of one shape.
        count: At least 1; None averages all steps.
    """
    total, number = np.float32(0), 0
    for step in steps:
        total, number = total + step, number + 1
        if number == count:
            yield total / np.float32(number)
            total, number = np.float32(0), 0
    if number:
        yield total / np.float32(number)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yields lists of `size` consecutive items each; the last may be shorter."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def compute_in_batches(
    videos: Iterable[Video],
    windows_of: Callable[[Video], Iterable[tuple[str, Any]]],
    compute: Callable[[str, list[tuple[Video, Any]]], None],
    batch_size: int,
) -> Generator[Video, None, None]:
    """Computes the windows of videos in batches, and yields each video after its last window.

    Consecutive short videos share batches, each stream its own, so that their networks work as well
    as on long ones. Videos come in order; when a batch is computed, the next one is being read.

    Args:
        videos: Any objects; they are taken in the thread that reads.
        windows_of: Function of a video that yields (stream, window), in the thread that reads.
        compute: Function (stream, list of (video, window)), called once for each batch.
        batch_size: Windows of a batch; the last batches have fewer.
    """
    unfinished: deque[_Progress] = deque()
    with prefetch(_batches(videos, windows_of, batch_size, unfinished), 1) as batches:
        for stream, batch in batches:
            compute(stream, [(progress.video, window) for progress, window in batch])
            for progress, _ in batch:
                progress.num_computed += 1
            while unfinished and unfinished[0].is_finished:
                yield unfinished.popleft().video
    for progress in unfinished:  # the last videos, if they have no windows
        yield progress.video


@dataclass
class _Progress:
    """Progress of one video.

    Attributes:
        video: The video.
        num_windows: Its windows; None while there may be more.
        num_computed: Windows that are computed.
    """

    video: Any
    num_windows: int | None = None
    num_computed: int = 0

    @property
    def is_finished(self):
        return self.num_computed == self.num_windows


def _batches(videos, windows_of, batch_size, unfinished):
    """Yields (stream, list of (progress, window)); appends the progress of videos to a deque."""
    waiting = {}
    for video in videos:
        progress = _Progress(video)
        unfinished.append(progress)
        num_windows = 0
        for stream, window in windows_of(video):
            num_windows += 1
            waiting.setdefault(stream, []).append((progress, window))
            if len(waiting[stream]) == batch_size:
                yield stream, waiting.pop(stream)
        progress.num_windows = num_windows
        if num_windows >= SHARED_BATCHES * batch_size:
            # Else a long video would wait until all of one stream of the next was computed.
            yield from waiting.items()
            waiting = {}
    yield from waiting.items()
