"""Clips of videos, folders of frames and arrays for the Fréchet video distance."""

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np

from i3d_tf.features.fvd_protocol import MAX_ALL_FRAMES, ClipConfig
from i3d_tf.features.npy_clips import (
    DEFAULT_LAYOUT,
    ArrayLayout,
    count_clips,
    is_clip_array,
    iter_array_clips,
)
from i3d_tf.system.worker_pool import processor_count
from i3d_tf.video.decode import count_frames, iter_frames, iter_watched, too_few_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.frame_folder import picture_paths
from i3d_tf.video.limits import MAX_BYTES
from i3d_tf.video.transforms import center_crop, resize_bilinear, stretch

MAX_THREADS = 16
READ_AHEAD_BYTES = 2**29


def frame_function(config: ClipConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function from a frame, uint8 or float32 (H, W, 3) in 0..255, to a clip's frame.

    The clip's frame is (S, S, 3): float32 in [-1, 1], or uint8 where OpenCV resizes.
    """
    if config.resize == "opencv":
        return lambda frame: stretch(_as_uint8(frame), config.size)
    return lambda frame: np.float32(2) * _resize(frame, config) / np.float32(255) - np.float32(1)


def _resize(frame, config):
    size = config.size
    if config.resize != "short_side":
        return resize_bilinear(frame, size, size, config.resize == "half_pixel")
    short = min(frame.shape[:2])
    # Upwards, in floating point as the original does it.
    height, width = (
        size if side == short else math.ceil(side * (size / short)) for side in frame.shape[:2]
    )
    if height * width > MAX_BYTES // 12:
        raise ValueError(f"its frames would be resized to {width} x {height} pixels")
    return center_crop(resize_bilinear(frame, height, width, True)[np.newaxis], size)[0]


def _as_uint8(frame):
    if frame.dtype == np.uint8:
        return frame
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def find_num_frames(
    paths: Iterable[str], config: ClipConfig, layout: ArrayLayout = DEFAULT_LAYOUT
) -> int | None:
    """Returns the frames of the first video that can be read, where a clip takes all of them.

    Args:
        paths: Paths of videos, folders of frames and clip arrays.
        config: ClipConfig without a number of frames.
        layout: Layout of clip arrays.

    Raises:
        ValueError: It has too many frames to be taken whole.
    """
    for path in paths:
        try:
            if is_clip_array(path):
                found = next(iter_array_clips(path, config.min_frames, layout)).num_frames
            else:
                found = _count_frames(path, config)
        except (VideoError, MemoryError, StopIteration):
            continue  # reading says why
        if found > MAX_ALL_FRAMES:
            raise ValueError(
                f"{path}: it has {found} frames, and {config.protocol} takes all of them. Give "
                "--frames=16 to take the first 16 of every video."
            )
        if found >= config.min_frames:
            return found
    return None


def _count_frames(path, config):
    """Returns the frames of a video or of a folder of them."""
    if config.frame_rate is None and os.path.isdir(path):
        return len(picture_paths(path))
    return count_frames(path, config.frame_rate)


class ClipReader:
    """Clips of videos and of clip arrays, in order, some of them read ahead by threads.

    Args:
        paths: Paths of videos, folders of frames and clip arrays.
        config: ClipConfig.
        failures: Dictionary that receives the reasons of paths that cannot be read.
        seed: Seed of random clips; a video's are determined by it and the video's place in `paths`.
        layout: Layout of clip arrays.

    Attributes:
        total: Number of clips, as far as known.
    """

    def __init__(
        self,
        paths: Sequence[str],
        config: ClipConfig,
        failures: dict[str, str],
        seed: int = 0,
        layout: ArrayLayout = DEFAULT_LAYOUT,
    ):
        self.total = len(paths)
        self._layout = layout
        self._paths, self._config, self._failures, self._seed = paths, config, failures, seed
        self._change = frame_function(config)

    def __iter__(self) -> Iterator[np.ndarray]:
        threads = min(MAX_THREADS, processor_count())
        clip_bytes = (self._config.frames or 1) * self._config.size**2 * 12
        ahead = max(1, min(2 * threads, READ_AHEAD_BYTES // clip_bytes))
        waiting: deque[tuple[str, Future[np.ndarray]]] = deque()
        pool = ThreadPoolExecutor(threads)
        try:
            for path, read in self._readers():
                waiting.append((path, pool.submit(read)))
                if len(waiting) > ahead:
                    yield from self._result(*waiting.popleft())
            while waiting:
                yield from self._result(*waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _readers(self):
        """Yields (path, function that returns a clip)."""
        config = self._config
        has_several = config.clips == "sliding" or config.clips_per_video not in (None, 1)
        for place, path in enumerate(self._paths):
            if is_clip_array(path):
                clips = self._array_clips(path, place)
            elif has_several:
                clips = self._count(self._video_clips(path, place))
            else:
                yield path, partial(_only, self._video_clips(path, place))
                continue
            try:
                for clip in clips:
                    yield path, lambda clip=clip: clip
            except (VideoError, MemoryError) as error:
                self._fail(path, error)

    def _video_clips(self, path, place):
        """Yields the clips of a video."""
        config, end = self._config, None
        if (
            config.frame_rate
            and config.clips == "first"
            and config.frames
            and not config.all_frames
        ):
            end = config.span / config.frame_rate
        starts = self._starts(path, (place,), lambda: _count_frames(path, config))
        counted = iter_watched(path, iter_frames(path, config.frame_rate, end=end))
        frames = (frame for frame, count in counted for _ in range(count))
        yield from cut_clips(path, frames, starts, config, self._change)

    def _array_clips(self, path, place):
        """Yields the clips of a file of arrays."""
        config = self._config
        if config.frame_rate is not None:
            raise VideoError(path, "clips in arrays have no frame rate: drop --frame_rate")
        needed = config.span if config.frames else config.min_frames
        self.total += count_clips(path, needed, self._layout) - 1
        for number, clip in enumerate(iter_array_clips(path, needed, self._layout)):
            starts = self._starts(path, (place, number), lambda clip=clip: clip.num_frames)
            yield from self._count(cut_clips(path, clip.frames, starts, config, self._change))

    def _starts(self, path, key, count):
        """Yields the first frame of each clip of a video, ascending."""
        config = self._config
        if config.clips == "first":
            yield 0
        elif config.clips == "sliding":
            yield from itertools.islice(itertools.count(0, config.span), config.clips_per_video)
        else:
            available = count()
            if available < config.span:
                raise VideoError(path, too_few_frames(available, config.span, config.frame_rate))
            generator = np.random.default_rng((self._seed, *key))
            number = config.clips_per_video or 1
            yield from sorted(generator.integers(available - config.span + 1, size=number).tolist())

    def _count(self, clips):
        """Yields the clips of one video, and counts all after the first."""
        for number, clip in enumerate(clips):
            self.total += number > 0
            yield clip

    def _result(self, path, future):
        """Yields the clip of a future, if it could be read."""
        try:
            yield future.result()
        except (VideoError, MemoryError) as error:
            self._fail(path, error)

    def _fail(self, path, error):
        reason = error.reason if isinstance(error, VideoError) else "there is not enough memory"
        self._failures[path] = reason
        self.total -= 1


def _only(clips):
    (clip,) = clips
    return clip


def cut_clips(
    path: str,
    frames: Iterator[np.ndarray],
    starts: Iterator[int],
    config: ClipConfig,
    change: Callable[[np.ndarray], np.ndarray],
) -> Iterator[np.ndarray]:
    """Yields the clips of a video, in the memory of those that overlap.

    Args:
        path: The video, in errors.
        frames: Its frames; no more are taken than the clips need.
        starts: First frame of each clip, ascending.
        config: ClipConfig.
        change: See `frame_function`; called once for a frame that comes several times.

    Yields:
        (T, S, S, 3).

    Raises:
        VideoError: There are fewer frames than one clip needs, or other ones than all videos have,
            or a clip is too large.
    """
    length = config.frames or math.inf
    unfinished: deque[tuple[int, list[np.ndarray]]] = deque()
    start, number, finished = next(starts, None), -1, 0
    frame, changed = None, np.empty(0)
    for number, latest in enumerate(frames):
        while start == number:
            unfinished.append((start, []))
            start = next(starts, None)
        for begin, clip in unfinished:
            if (number - begin) % config.frame_step == 0:
                if latest is not frame:
                    frame, changed = latest, _changed(path, latest, config, change)
                clip.append(changed)
        while unfinished and len(unfinished[0][1]) == length:
            if config.all_frames and next(frames, None) is not None:
                raise VideoError(
                    path,
                    f"it has more than the {length} frames of the first video; give --frames to "
                    "take as many of each",
                )
            finished += 1
            yield np.stack(unfinished.popleft()[1])
        if not unfinished and start is None:
            return
    if not finished:
        needed = config.span if config.frames else config.min_frames
        raise VideoError(path, too_few_frames(number + 1, needed, config.frame_rate))


def _changed(path, frame, config, change):
    try:
        changed = change(frame)
    except ValueError as error:
        raise VideoError(path, str(error)) from error
    if changed.nbytes * (config.frames or 1) > MAX_BYTES:
        raise VideoError(
            path,
            f"a clip of {config.frames} frames of {config.size} x {config.size} exceeds "
            f"{MAX_BYTES / 2**30:g} GiB; give smaller --frames or --size",
        )
    return changed
