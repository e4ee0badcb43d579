"""Views: the parts of a video that a network is given, chosen before anything is decoded.

A view is a window in time, a position of the crop, and whether it is mirrored. A policy turns the
number of frames of a video into views: `random_view` for training, `evaluation_views` for testing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from i3d_tf.video.sampling import first_frames, random_window, uniform_windows

JITTERED = ("brightness", "contrast", "saturation")


@dataclass(frozen=True)
class View:
    """One clip of one video.

    Attributes:
        indices: int64 (T,), frames of the video at the protocol's frame rate.
        top: Position of the crop, as a fraction of the rows to spare, in [0, 1].
        left: The same of the columns.
        mirrored: Whether it is mirrored left to right.
        jitter: Factors of brightness, contrast and saturation; 1 changes nothing.
    """

    indices: np.ndarray
    top: float = 0.5
    left: float = 0.5
    mirrored: bool = False
    jitter: tuple[float, float, float] = (1.0, 1.0, 1.0)


def random_view(
    num_available: int,
    num_frames: int,
    generator: np.random.Generator,
    flip: bool = True,
    jitter: float = 0.0,
) -> View:
    """Returns a training view: a random window, a random crop, mirrored every other time.

    Args:
        num_available: Frames the video has.
        num_frames: Frames of the clip.
        generator: Source of random numbers; every view draws equally many.
        flip: Whether views may be mirrored.
        jitter: Largest relative change of brightness, contrast and saturation.
    """
    indices = random_window(num_available, num_frames, generator)
    top, left, coin = generator.random(3)
    factors = 1.0 + jitter * generator.uniform(-1.0, 1.0, len(JITTERED))
    brightness, contrast, saturation = map(float, factors)
    mirrored = bool(flip and coin < 0.5)
    return View(indices, float(top), float(left), mirrored, (brightness, contrast, saturation))


def evaluation_views(
    num_available: int, num_frames: int, windows: int = 1, crops: int = 1
) -> list[View]:
    """Returns the views of a test video, window by window.

    Args:
        num_available: Frames the video has.
        num_frames: Frames of a clip (250 in arXiv:1705.07750).
        windows: 1 takes the first frames, as the paper does; more are spread evenly.
        crops: 1 takes the center; more are spread evenly along the longer side.
    """
    if windows == 1:
        spans: Iterable[np.ndarray] = [first_frames(num_available, num_frames)]
    else:
        spans = uniform_windows(num_available, num_frames, windows)
    positions = [0.5] if crops == 1 else [crop / (crops - 1) for crop in range(crops)]
    return [View(indices, position, position) for indices in spans for position in positions]
