"""One view of one video as an array: decode, resize, crop, mirror."""

import math
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from i3d_tf.data.example import VideoExample
from i3d_tf.data.views import View
from i3d_tf.specs.streams import CROP_SIZE, FRAME_RATE, SHORT_SIDE
from i3d_tf.video.colour import change_colours
from i3d_tf.video.decode import probe, read_clip
from i3d_tf.video.flow import compute_flow
from i3d_tf.video.media import VideoError
from i3d_tf.video.transform import crop, flip, resize_short_side

FLOW_SUFFIX = ".flow.zip"
ROUNDING_ERROR = 1e-6  # frames; durations in headers are decimal numbers


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

    Only the window of the view is decoded. Where the video turns out shorter than its header says,
    the frames there are get looped.

    Raises:
        VideoError: The video cannot be read.
    """
    first, last = int(view.indices.min()), int(view.indices.max())
    begin = example.start or 0.0
    frames = read_clip(
        example.path,
        form.frame_rate,
        begin + first / form.frame_rate,
        begin + (last + 1) / form.frame_rate,
    )
    frames = _cut(resize_short_side(frames, form.short_side), view, form.crop_size)
    frames = change_colours(np.ascontiguousarray(frames), *view.jitter)
    return _arrange(frames, view, first, "rgb")


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
    window = flows.read(offset + first, min(offset + last + 1, flows.frames))
    return _arrange(_cut(window, view, form.crop_size), view, first, "flow")


def flow_path(path, form: ClipFormat) -> Path:
    """Where the flow of a video is, or goes."""
    if form.flow_dir is None:
        raise ValueError("`flow_dir` must be given for flow; received None.")
    relative = Path(os.path.relpath(path, form.data_dir)) if form.data_dir else Path(path).name
    return (Path(form.flow_dir) / relative).with_suffix(FLOW_SUFFIX)


def open_flow(example: VideoExample, form: ClipFormat):
    """The flow file of an example, made on first use."""
    from i3d_tf.video.flow_file import open_flow_file, write_flow_file

    target = flow_path(example.path, form)
    if not target.exists():
        frames = resize_short_side(read_clip(example.path, form.frame_rate), form.short_side)
        flow = compute_flow(frames, engine=form.flow_engine)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_flow_file(target, flow, _flow_facts(example, form))
    flows = open_flow_file(target)
    made = (flows.metadata["frame_rate"], flows.metadata["short_side"])
    if not np.allclose(made, (form.frame_rate, form.short_side)):
        raise VideoError(
            str(target),
            f"made at {made[0]:g} frames/s and short side {made[1]}; needed: {form.frame_rate:g} "
            f"and {form.short_side}. Name another flow folder",
        )
    return flows


def _flow_facts(example, form):
    return {
        "engine": form.flow_engine,
        "frame_rate": form.frame_rate,
        "short_side": form.short_side,
        "source": Path(example.path).name,
    }


def _cut(frames, view, size):
    """The square of the view, (T, size, size, C)."""
    height, width = frames.shape[1:3]
    top = round(view.top * (height - size))
    left = round(view.left * (width - size))
    return crop(frames, top, left, size)


def _arrange(frames, view, first, stream):
    """The frames in the view's order, mirrored where it says so."""
    clip = frames[(view.indices - first) % len(frames)]
    return flip(clip, stream) if view.mirrored else np.ascontiguousarray(clip)
