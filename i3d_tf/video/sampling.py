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


def centered_window(key: int, num_available: int, num_frames: int) -> np.ndarray:
    """Returns indices of consecutive frames around one; at the borders, edge frames repeat.

    Args:
        key: The frame, in [0, num_available); it is at num_frames // 2.
        num_available: Frames the video has, at least 1.
        num_frames: Frames in the window, at least 1.

    Returns:
        int64 (num_frames,), each in [0, num_available).
    """
    num_available = _count("num_available", num_available)
    num_frames = _count("num_frames", num_frames)
    check_integer("key", key, 0, num_available - 1)
    start = key - num_frames // 2
    return np.clip(np.arange(start, start + num_frames, dtype=np.int64), 0, num_available - 1)


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
    return _snippets(starts, num_available, num_frames)


def random_snippets(
    num_available: int, num_frames: int, segments: int, generator: np.random.Generator | int
) -> np.ndarray:
    """Returns a snippet at a random place of each of the equal parts of a video.

    Starts are those of the public program of Temporal Segment Networks (arXiv:1608.00859): with F
    frames, snippets of L and K segments, d = (F - L + 1) // K, snippet k starts at a random one of
    the d frames from k * d on. A video too short for that has sorted random starts where it has
    more than K frames, else all snippets are its first frames, looped.

    Args:
        num_available: Frames the video has, at least 1.
        num_frames: Frames of a snippet, at least 1.
        segments: Snippets, at least 1.
        generator: A generator, or an integer >= 0 that seeds one.

    Returns:
        int64 (segments, num_frames), each in [0, num_available).
    """
    num_available, num_frames, segments = _counts(num_available, num_frames, segments)
    num_starts = num_available - num_frames + 1
    length = num_starts // segments
    choices = max(length if length > 0 else num_starts, 1)
    draws = as_generator(generator).integers(choices, size=segments)  # always as many
    if length > 0:
        starts = np.arange(segments) * length + draws
    elif num_available > segments and num_starts > 0:
        starts = np.sort(draws)
    else:
        starts = np.zeros(segments, np.int64)
    return _snippets(starts, num_available, num_frames)


def uniform_snippets(num_available: int, num_frames: int, segments: int) -> np.ndarray:
    """Returns the snippet in the middle of each of the equal parts of a video.

    With F frames, snippets of L, K segments and a part of t = (F - L + 1) / K frames, snippet k
    starts at int(t / 2 + t * k) (see `random_snippets`); of a video shorter than L, at frame 0.

    Args:
        num_available: Frames the video has, at least 1.
        num_frames: Frames of a snippet, at least 1.
        segments: Snippets, at least 1.

    Returns:
        int64 (segments, num_frames), each in [0, num_available).
    """
    num_available, num_frames, segments = _counts(num_available, num_frames, segments)
    part = max(num_available - num_frames + 1, 0) / segments
    starts = np.array([int(part / 2 + part * segment) for segment in range(segments)])
    return _snippets(starts, num_available, num_frames)


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


def _snippets(starts, num_available, num_frames):
    return np.stack([_window(start, num_available, num_frames) for start in starts])


def _counts(num_available, num_frames, segments):
    named = {"num_available": num_available, "num_frames": num_frames, "segments": segments}
    return tuple(_count(name, value) for name, value in named.items())


def _count(name, value):
    return int(check_integer(name, value, minimum=1))  # NumPy's integers could overflow
