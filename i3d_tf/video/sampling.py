"""Choice of the frames of a video that make a clip: integer code, before anything is decoded.

Every function returns indices as an int64 array. A video shorter than the clip is looped from its
start (index modulo the frames there are), as the released models' evaluation does.
"""

import numpy as np

from i3d_tf.specs.validation import check_integer, is_integer


def first_frames(num_available: int, num_frames: int) -> np.ndarray:
    """Returns indices of the first frames of a video, looped where it is shorter.

    Args:
        num_available: Frames the video has, at least 1.
        num_frames: Frames the clip needs, at least 1 (250 in the paper's test protocol,
            arXiv:1705.07750).

    Returns:
        int64 (num_frames,), each in [0, num_available).
    """
    num_available = _count("num_available", num_available)
    return _window(0, num_available, _count("num_frames", num_frames))


def random_window(
    num_available: int, num_frames: int, generator: np.random.Generator | int
) -> np.ndarray:
    """Returns indices of consecutive frames from a random start, looped in a shorter video.

    Every window that fits is equally likely; a video shorter than the clip starts at frame 0.

    Args:
        num_available: Frames the video has, at least 1.
        num_frames: Frames the clip needs, at least 1 (64 in the paper's training,
            arXiv:1705.07750).
        generator: A generator, or an integer >= 0 that seeds one.

    Returns:
        int64 (num_frames,), each in [0, num_available).
    """
    num_available = _count("num_available", num_available)
    num_frames = _count("num_frames", num_frames)
    num_starts = max(num_available - num_frames + 1, 1)
    start = int(as_generator(generator).integers(num_starts))
    return _window(start, num_available, num_frames)


def uniform_windows(num_available: int, num_frames: int, num_windows: int) -> np.ndarray:
    """Returns windows of consecutive frames, spread evenly from the first to the last that fits.

    A single window is the middle one. Where the video is shorter than a window, every window starts
    at frame 0 and is looped. Starts are rounded down, so equal input gives equal windows on every
    machine.

    Args:
        num_available: Frames the video has, at least 1.
        num_frames: Frames in a window, at least 1.
        num_windows: Windows wanted, at least 1.

    Returns:
        int64 (num_windows, num_frames), each in [0, num_available).
    """
    num_available = _count("num_available", num_available)
    num_frames = _count("num_frames", num_frames)
    num_windows = _count("num_windows", num_windows)
    last_start = max(num_available - num_frames, 0)
    if num_windows == 1:
        starts = [last_start // 2]
    else:
        starts = [last_start * window // (num_windows - 1) for window in range(num_windows)]
    return np.stack([_window(start, num_available, num_frames) for start in starts])


def as_generator(generator: np.random.Generator | int) -> np.random.Generator:
    """Returns a generator unchanged, or one that is seeded by an integer.

    Args:
        generator: A generator, or an integer >= 0; 0 is a seed like any other.
    """
    if isinstance(generator, np.random.Generator):
        return generator
    if not is_integer(generator) or generator < 0:
        raise ValueError(
            "`generator` must be a numpy.random.Generator or an integer seed >= 0; "
            f"received {generator!r}."
        )
    return np.random.default_rng(int(generator))


def _window(start, num_available, num_frames):
    return np.arange(start, start + num_frames, dtype=np.int64) % num_available


def _count(name, value):
    return int(check_integer(name, value, minimum=1))  # NumPy's integers could overflow
