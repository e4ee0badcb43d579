"""Which frames of a video make a clip: pure integer code, before anything is decoded.

Every function returns indices as an int64 array. A video shorter than the clip is looped from its
start (index modulo the frames there are), as the released models' evaluation does.
"""

import operator

import numpy as np


def first_frames(num_available, num_frames):
    """Indices of the first frames of a video, looped where it is shorter.

    Args:
        num_available: Frames the video has, at least 1.
        num_frames: Frames the clip needs, at least 1 (250 in the paper's test protocol,
            arXiv:1705.07750).

    Returns:
        int64 (num_frames,), each in [0, num_available).
    """
    return _window(
        0, _positive("num_available", num_available), _positive("num_frames", num_frames)
    )


def random_window(num_available, num_frames, generator):
    """Indices of consecutive frames from a random start, looped where the video is shorter.

    Every window that fits is equally likely; a video shorter than the clip starts at frame 0.

    Args:
        num_available: Frames the video has, at least 1.
        num_frames: Frames the clip needs, at least 1 (64 in the paper's training,
            arXiv:1705.07750).
        generator: numpy.random.Generator, or an int >= 0 that seeds one.

    Returns:
        int64 (num_frames,), each in [0, num_available).
    """
    num_available = _positive("num_available", num_available)
    num_frames = _positive("num_frames", num_frames)
    num_starts = max(num_available - num_frames + 1, 1)
    start = int(as_generator(generator).integers(num_starts))
    return _window(start, num_available, num_frames)


def uniform_windows(num_available, num_frames, num_windows):
    """Windows of consecutive frames, spread evenly from the first that fits to the last that fits.

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
    num_available = _positive("num_available", num_available)
    num_frames = _positive("num_frames", num_frames)
    num_windows = _positive("num_windows", num_windows)
    last_start = max(num_available - num_frames, 0)
    if num_windows == 1:
        starts = [last_start // 2]
    else:
        starts = [last_start * window // (num_windows - 1) for window in range(num_windows)]
    return np.stack([_window(start, num_available, num_frames) for start in starts])


def as_generator(generator):
    """Turns an int seed into a numpy Generator; a Generator passes unchanged.

    Args:
        generator: numpy.random.Generator, or an int >= 0; 0 is a seed like any other.

    Returns:
        numpy.random.Generator.
    """
    if isinstance(generator, np.random.Generator):
        return generator
    try:
        seed = operator.index(generator)
    except TypeError:
        seed = -1
    if seed < 0 or isinstance(generator, bool):
        raise ValueError(
            "`generator` must be a numpy.random.Generator or an int seed >= 0; "
            f"received {generator!r}."
        )
    return np.random.default_rng(seed)


def _window(start, num_available, num_frames):
    return np.arange(start, start + num_frames, dtype=np.int64) % num_available


def _positive(name, value):
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"`{name}` must be an int >= 1; received {value!r}.")
    return number
