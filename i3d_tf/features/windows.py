"""Frames to windows and batches, steps to means."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np


def means_of(steps: Iterable, count: int | None) -> Iterator[np.ndarray]:
    """The means of so many consecutive steps each, and of what is left at the end.

    Args:
        steps: float32 arrays of one shape.
        count: At least 1; None takes all together.
    """
    total, number = 0.0, 0
    for step in steps:
        total, number = total + step, number + 1
        if number == count:
            yield total / np.float32(number)
            total, number = 0.0, 0
    if number:
        yield total / np.float32(number)


def batched(items, size) -> Iterator[list]:
    """Lists of so many consecutive items each, and of what is left at the end."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def windows_of(frames: Iterable, window: int, stride: int) -> Iterator[np.ndarray]:
    """All windows that lie whole within a video: (window, H, W, C) each; all frames are taken.

    Args:
        frames: Arrays of one shape and dtype.
        window: Frames.
        stride: Frames from the beginning of one window to that of the next.
    """
    kept, begin = [], 0
    for number, frame in enumerate(frames):
        if number < begin:
            continue
        kept.append(frame)
        if len(kept) == window:
            yield np.stack(kept)
            begin += stride
            kept = kept[stride:]
