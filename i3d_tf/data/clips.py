"""One view of one video as an array: decode, resize, crop, mirror."""

import math
import threading
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from i3d_tf.data.example import VideoExample
from i3d_tf.data.views import View
from i3d_tf.flow.engines import ALGORITHMS, choose_engine
from i3d_tf.flow.flow_file import flow_path, open_flow_file
from i3d_tf.flow.stream import write_video_flow
from i3d_tf.specs.streams import CROP_SIZE, FRAME_RATE, SHORT_SIDE
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import probe
from i3d_tf.video.transforms import change_colours, crop, flip, resize_short_side

ROUNDING_ERROR = 1e-6  # frames; durations in headers are decimal numbers
# Several clips of one video may be wanted at once; its flow is computed by one of them.
_MAKING = tuple(threading.Lock() for _ in range(64))


@dataclass(frozen=True)
class ClipFormat:
    """What the clips of a network have in common.

    Attributes:
        frame_rate: Frames per second after resampling.
        short_side: Pixels, after resizing.
        crop_size: Pixels, the square the network sees.
        data_dir: What the places of flow files are relative to.
        flow_dir: Where flow files are, or go; None where no flow is needed.
        flow_engine: What computes flow that is not there yet.
    """

    frame_rate: float = FRAME_RATE
    short_side: int = SHORT_SIDE
    crop_size: int = CROP_SIZE
    data_dir: str | None = None
    flow_dir: str | None = None
    flow_engine: str = "auto"


def count_frames(example: VideoExample, frame_rate: float) -> int:
    """Frames of an example at a frame rate, from the header alone where it says enough.

    Raises:
        VideoError: The video cannot be read.
    """
    begin = example.start or 0.0
    finish = math.inf if example.end is None else example.end
    duration = _duration(example.path)
    if duration is None:
        return len(read_clip(example.path, frame_rate, example.start, example.end))
    seconds = min(finish, duration) - begin
    return max(1, math.ceil(seconds * frame_rate - ROUNDING_ERROR))


@lru_cache(maxsize=1 << 17)
def _duration(path):
    return probe(path).duration


def load_rgb(example: VideoExample, view: View, form: ClipFormat):
    """Decodes one view: uint8 (T, crop_size, crop_size, 3), RGB.

    Only the window of the view is decoded, and only frames of it are kept. Where the video turns
    out shorter than its header says, the frames there are get looped.

    Raises:
        VideoError: The video cannot be read.
    """

    def shown(frame):
        return _shown(resize_short_side(frame[np.newaxis], form.short_side), view, form, "rgb")[0]

    first, last, step = int(view.indices.min()), int(view.indices.max()), _step(view.indices)
    begin = example.start or 0.0
    frames = read_clip(
        example.path,
        form.frame_rate / step,
        begin + first / form.frame_rate,
        begin + (last + 1) / form.frame_rate,
        change=shown,  # at once, while a frame is in the processor's cache
    )
    return change_colours(_in_order(frames, (view.indices - first) // step), *view.jitter)


def load_flow(example: VideoExample, view: View, form: ClipFormat):
    """Reads one view of the flow: float32 (T, crop_size, crop_size, 2), pixels per frame.

    Flow that is not there yet is computed for the whole video, and kept.

    Raises:
        VideoError: The video or its flow file cannot be read, or the file was made otherwise.
        ValueError: There is no place for flow.
    """
    flows = open_flow(example, form)
    offset = round((example.start or 0.0) * form.frame_rate)
    first, last = int(view.indices.min()), int(view.indices.max())
    if offset + first >= flows.frames:
        raise VideoError(flows.path, f"it ends before frame {offset + first}")
    window = flows.read(offset + first, min(offset + last + 1, flows.frames))
    return _in_order(_shown(window, view, form, "flow"), view.indices - first)


def open_flow(example: VideoExample, form: ClipFormat):
    """The flow file of an example, made on first use.

    Raises:
        VideoError: The video or its flow file cannot be read, or the file was made at another frame
            rate or size, or by another algorithm than the engine's.
        ValueError: There is no place for flow.
    """
    if form.flow_dir is None:
        raise ValueError("`flow_dir` must be given for flow; received None.")
    target = flow_path(example.path, form.flow_dir, form.data_dir)
    with _MAKING[zlib.crc32(str(target).encode()) % len(_MAKING)]:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_video_flow(
                example.path,
                target,
                engine=form.flow_engine,
                frame_rate=form.frame_rate,
                short_side=form.short_side,
            )
    flows = open_flow_file(target)
    made, wanted = flows.metadata, ALGORITHMS[choose_engine(form.flow_engine)]
    same_rate = math.isclose(made["frame_rate"], form.frame_rate, rel_tol=1e-6)
    if not same_rate or (made["short_side"], made["algorithm"]) != (form.short_side, wanted):
        raise VideoError(
            str(target),
            f"made by {made['algorithm']} at {made['frame_rate']:g} frames per second and short "
            f"side {made['short_side']}, not by {wanted} at {form.frame_rate:g} and "
            f"{form.short_side}; name another folder for the flow",
        )
    return flows


def _shown(frames, view, form, stream):
    """The square of the view, mirrored where it says so: (T, crop_size, crop_size, C)."""
    height, width = frames.shape[1:3]
    size = form.crop_size
    top = round(view.top * (height - size))
    left = round(view.left * (width - size))
    frames = crop(frames, top, left, size)
    return flip(frames, stream) if view.mirrored else frames


def _step(indices):
    """The distance of frames from one to the next, where it is always the same; else 1."""
    steps = set(np.diff(indices).tolist())
    step = steps.pop() if len(steps) == 1 else 1
    return max(1, step)


def _in_order(frames, order):
    """Frames by their numbers; those that are missing at the end begin anew."""
    order = order % len(frames)
    whole = np.array_equal(order, np.arange(len(frames)))
    return np.ascontiguousarray(frames if whole else frames[order])
