"""Which part of a video the network sees: decided before anything is decoded.

A view is a window in time, a place for the crop, and whether it is mirrored. A policy turns the
number of frames of a video into views: `random_view` for training, `evaluation_views` for testing.
"""

from dataclasses import dataclass

import numpy as np

from i3d_tf.video.sampling import first_frames, random_window, uniform_windows

JITTERED = ("brightness", "contrast", "saturation")


@dataclass(frozen=True)
class View:
    """One clip of one video.

    Attributes:
        indices: int64 (T,), frames of the video at the protocol's frame rate.
        top: Where the crop is, as a fraction of the rows to spare, in [0, 1].
        left: The same of the columns.
        mirrored: Whether it is mirrored left to right.
        jitter: Factors of brightness, contrast and saturation; 1 changes nothing.
    """

    indices: np.ndarray
    top: float = 0.5
    left: float = 0.5
    mirrored: bool = False
    jitter: tuple[float, float, float] = (1.0, 1.0, 1.0)


def random_view(num_available, num_frames, generator, flip=True, jitter=0.0) -> View:
    """A training view: a random window, a random crop, mirrored every other time.

    Args:
        num_available: Frames the video has.
        num_frames: Frames of the clip.
        generator: numpy.random.Generator; one view always draws as many numbers.
        flip: Whether views may be mirrored.
        jitter: Largest relative change of brightness, contrast and saturation.
    """
    indices = random_window(num_available, num_frames, generator)
    top, left, coin = generator.random(3)
    factors = 1.0 + jitter * generator.uniform(-1.0, 1.0, len(JITTERED))
    mirrored = bool(flip and coin < 0.5)
    return View(indices, float(top), float(left), mirrored, tuple(map(float, factors)))


def evaluation_views(num_available, num_frames, windows=1, crops=1) -> list[View]:
    """The views of a test video, window by window.

    Args:
        num_available: Frames the video has.
        num_frames: Frames of a clip (250 in arXiv:1705.07750).
        windows: 1 takes the first frames, as the paper does; more are spread evenly.
        crops: 1 takes the centre; more are spread evenly along the longer side.
    """
    if windows == 1:
        spans = [first_frames(num_available, num_frames)]
    else:
        spans = uniform_windows(num_available, num_frames, windows)
    places = [0.5] if crops == 1 else [crop / (crops - 1) for crop in range(crops)]
    return [View(indices, place, place) for indices in spans for place in places]
