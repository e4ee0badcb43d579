"""One view of one video as an array: decode, resize, crop, mirror."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial

import numpy as np

from i3d_tf.data.example import VideoExample
from i3d_tf.data.feature_store import FeatureStore
from i3d_tf.data.flow_store import ComputedFlowStore, FlowStore, JoinedFlowStore
from i3d_tf.data.views import View
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import CHANNELS, FRAME_RATE
from i3d_tf.system.array_processes import ArrayProcesses
from i3d_tf.system.console import progress_bar
from i3d_tf.system.worker_pool import share_processors
from i3d_tf.video import decode
from i3d_tf.video.decode import iter_frames, read_clip, read_single_threaded, read_watched
from i3d_tf.video.errors import VideoError
from i3d_tf.video.frame_folder import folder_rate
from i3d_tf.video.limits import MAX_FRAMES
from i3d_tf.video.options import video_options
from i3d_tf.video.probe import probe
from i3d_tf.video.rgb_frames import FrameBuffer
from i3d_tf.video.transforms import change_colours, crop_at, resize_short_side

ROUNDING_ERROR = 1e-6  # frames; durations in headers are decimal numbers
DIED = "decoding it ends its process: a crash, or more memory than there is"


def count_frames(example: VideoExample, frame_rate: float) -> int:
    """Returns the number of frames of an example, from the header alone where it says enough.

    Args:
        example: The video, or the cut of one.
        frame_rate: Frames per second after resampling.

    Raises:
        VideoError: The video cannot be read.
    """
    start = example.start or 0.0
    end = math.inf if example.end is None else example.end
    duration = _duration(example.path)
    if duration is None:
        return _decoded_frames(example.path, frame_rate, example.start, example.end)
    num_frames = max(1, math.ceil((min(end, duration) - start) * frame_rate - ROUNDING_ERROR))
    if num_frames > MAX_FRAMES:
        raise VideoError(str(example.path), f"it has more than {MAX_FRAMES} frames by its header")
    return num_frames


def find_unreadable(examples: Sequence[VideoExample], frame_rate: float) -> dict[str, str]:
    """Reads the header and the first frame of each video, and shows a progress bar.

    Args:
        examples: The videos.
        frame_rate: Frames per second after resampling.

    Returns:
        Path to reason of those that cannot be read.
    """
    reasons = {}
    with progress_bar() as bar:
        task = bar.add_task("looking at the videos", total=len(examples))
        for example in examples:
            try:
                count_frames(example, frame_rate)
            except VideoError as error:
                reasons[example.path] = error.reason
            bar.advance(task)
    return reasons


_decoded_frames = lru_cache(maxsize=1 << 17)(decode.count_frames)


@lru_cache(maxsize=1 << 17)
def _duration(path):
    return probe(path).duration


@lru_cache(maxsize=1 << 12)
def frame_size(path: str) -> tuple[int, int]:
    """Returns height and width of a video's frames, from the header.

    Raises:
        VideoError: The video cannot be read.
    """
    info = probe(path)
    return info.height, info.width


def unusual_folder_rate() -> float | None:
    """Returns the frame rate of folders of pictures; None where it is the usual 25."""
    rate = float(folder_rate())
    return None if rate == FRAME_RATE else rate


def unusual_options() -> str | None:
    """Returns the options of reading videos that are not the usual ones, as text, or None."""
    unusual = video_options().unusual()
    words = (name if value is True else f"{name} {value}" for name, value in unusual.items())
    return ", ".join(words) or None


def load_clips(
    example: VideoExample,
    view: View,
    streams: Sequence[str],
    protocol: Protocol,
    freeze_time: bool = False,
    flow_store: FlowStore | JoinedFlowStore | ComputedFlowStore | None = None,
    feature_store: FeatureStore | None = None,
) -> list[np.ndarray]:
    """Decodes and augments one view, every stream's clip alike.

    Args:
        example: The video, or the cut of one.
        view: The frames, the crop and the mirroring.
        streams: See `i3d_tf.data.pipeline.PipelineConfig`.
        protocol: How clips are made.
        freeze_time: Show the middle frame, repeated (of flow: no motion).
        flow_store: The flow files; None where no flow is needed.
        feature_store: The stored features; None where no network reads them.

    Returns:
        A clip for each stream: uint8 RGB, float32 flow in pixels per frame, or rows of features.

    Raises:
        VideoError: The video, or its flow, cannot be read.
    """

    def load(stream):
        if feature_store is not None:
            return feature_store.read(example.path)[view.indices]
        of_stream = view.of_stream(stream, protocol)
        if stream == "rgb":
            return load_rgb(example, of_stream, protocol)
        return load_flow(example, of_stream, protocol, flow_store)

    clips = [load(stream) for stream in streams]
    return list(map(_freeze, clips, streams)) if freeze_time else clips


def _freeze(clip, stream):
    """Returns the middle frame repeated; between equal frames nothing moves."""
    middle = np.repeat(clip[len(clip) // 2 :][:1], len(clip), axis=0)
    return np.zeros_like(middle) if stream == "flow" else middle


@contextlib.contextmanager
def clip_processes(
    processes: int | None,
    flow_store: FlowStore | JoinedFlowStore | ComputedFlowStore | None = None,
    feature_store: FeatureStore | None = None,
) -> Iterator[ArrayProcesses | None]:
    """Starts processes that call `load_clips`, without TensorFlow and with one thread each.

    Args:
        processes: How many; None for none.
        flow_store: See `load_clips`.
        feature_store: See `load_clips`.

    Yields:
        A function of the other arguments of `load_clips`; None without processes. They end with the
        block.
    """
    if processes is None:
        yield None
        return
    load = partial(_load_alone, flow_store=flow_store, feature_store=feature_store)
    pool = ArrayProcesses(load, processes)
    try:
        yield pool
    finally:
        pool.close()


def _load_alone(*arguments, **stores):
    share_processors(1)
    return read_single_threaded(partial(load_clips, *arguments, **stores))


def load_rgb(example: VideoExample, view: View, protocol: Protocol) -> np.ndarray:
    """Decodes one view.

    Only the window of the view is decoded, and only frames of it are kept. Where the video turns
    out shorter than its header says, the frames there are get looped.

    Args:
        example: The video, or the cut of one.
        view: The frames, the crop and the mirroring.
        protocol: Frame rate, short side and crop size.

    Returns:
        uint8 (T, crop_size, crop_size, 3), RGB; of a whole frame (T, H, W, 3).

    Raises:
        VideoError: The video cannot be read.
    """

    def crop_view(frame):
        # Cropped at once, while a frame is in the processor's cache.
        resized = resize_short_side(frame[np.newaxis], protocol.short_side)
        return _cut(resized, view.place, protocol.crop_size)[0]

    rate = protocol.frame_rate
    first, last, step = int(view.indices.min()), int(view.indices.max()), _step(view.indices)
    start = example.start or 0.0
    part = start + first / rate, start + (last + 1) / rate
    if step == 1 and len(np.unique(view.indices)) <= last - first:
        return _load_scattered(example.path, rate, part, view, crop_view)
    frames = read_watched(
        example.path, lambda: read_clip(example.path, rate / step, *part, change=crop_view)
    )
    return change_colours(_select(frames, (view.indices - first) // step), *view.jitter)


def _load_scattered(path, rate, part, view, crop_view):
    """Loads a view of snippets: only its frames are kept, of those between them none."""
    positions = view.indices - view.indices.min()

    def read():
        wanted = np.unique(positions)
        buffer, end = FrameBuffer(str(path), len(wanted)), 0
        for frame, count in iter_frames(path, rate, *part):
            start, end = end, end + count
            repeats = int(np.searchsorted(wanted, end) - np.searchsorted(wanted, start))
            if repeats:
                buffer.append(crop_view(frame), repeats)
        return buffer, end

    buffer, num_frames = read_watched(path, read)
    if num_frames <= positions.max():  # shorter than its header says
        positions %= num_frames
        buffer, _ = read_watched(path, read)
    _, order = np.unique(positions, return_inverse=True)
    return change_colours(buffer.frames()[order], *view.jitter)


def load_flow(
    example: VideoExample,
    view: View,
    protocol: Protocol,
    flow_store: FlowStore | JoinedFlowStore | ComputedFlowStore,
) -> np.ndarray:
    """Reads one view of the flow.

    Args:
        example: The video, or the cut of one.
        view: The frames, the crop and the mirroring.
        protocol: Frame rate and crop size.
        flow_store: The flow files.

    Returns:
        float32 (T, crop_size, crop_size, 2), x then y, pixels per frame; of a whole frame
        (T, H, W, 2).

    Raises:
        VideoError: The flow file is missing, cannot be read, was made with other settings, or has
            no backward flow, which the view needs.
    """
    flow = flow_store.open(example.path)
    offset = round((example.start or 0.0) * protocol.frame_rate)
    first, last = int(view.indices.min()), int(view.indices.max())
    start, end = offset + first, min(offset + last + 1, flow.frames)
    if start >= flow.frames:
        raise VideoError(flow.path, f"it ends before frame {start}")
    # Those past the end start over.
    positions = start + (view.indices - first) % (end - start)
    if view.is_backward is None:
        return _read_fields(flow, positions, view, protocol)
    size = protocol.crop_size
    fields = np.empty((len(positions), size, size, CHANNELS["flow"]), np.float32)
    for is_backward in (False, True):
        chosen = view.is_backward == is_backward
        if chosen.any():
            fields[chosen] = _read_fields(flow, positions[chosen], view, protocol, is_backward)
    return fields


def _read_fields(flow, positions, view, protocol, is_backward=False):
    """Reads and crops the fields of one direction that start at some frames."""
    wanted, order = np.unique(positions, return_inverse=True)
    runs = np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1)  # of consecutive frames
    windows = [
        _cut(
            flow.read(int(run[0]), int(run[-1]) + 1, is_backward),
            view.place,
            protocol.crop_size,
            "flow",
        )
        for run in runs
    ]
    frames = windows[0] if len(windows) == 1 else np.concatenate(windows)
    return _select(frames, order)


def _cut(frames, place, size, stream="rgb"):
    return frames if place is None else crop_at(frames, place, size, stream)


def _step(indices):
    """Returns the distance between consecutive indices; 1 where it varies."""
    steps = set(np.diff(indices).tolist())
    step = steps.pop() if len(steps) == 1 else 1
    return max(1, step)


def _select(frames, indices):
    """Returns frames by their indices; those past the end start over."""
    indices = indices % len(frames)
    unchanged = np.array_equal(indices, np.arange(len(frames)))
    return np.ascontiguousarray(frames if unchanged else frames[indices])
