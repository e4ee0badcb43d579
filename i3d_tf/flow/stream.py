"""Flow of videos of any length, in the memory of a few frames.

It is the flow that `compute_flow` returns for the whole clip, bit by bit: every pair of frames is
computed on its own, so that it does not matter in which pieces it is done.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import cv2
import numpy as np

from i3d_tf.flow.compute import to_grey
from i3d_tf.flow.engines import FlowParameters, choose_engine, engine_parameters, load_engine
from i3d_tf.flow.flow_file import write_flow_file
from i3d_tf.flow.metadata import flow_metadata
from i3d_tf.specs.streams import BOTH, FLOW_DIRECTIONS, FORWARD, FRAME_RATE, SHORT_SIDE
from i3d_tf.specs.validation import check_choice
from i3d_tf.video.decode import iter_watched, read_frames

# Pairs of frames that are computed at once: enough for the cores of a large machine, or as many as
# stay within the memory, at 8 bytes a pixel for the flow and 90 for what TV-L1 works with.
MAX_PAIRS = 64
MAX_PAIR_BYTES = 2**30
BYTES_PER_PIXEL = 98


def flow_frames(
    frames: Iterable[np.ndarray],
    engine: str = "auto",
    parameters: FlowParameters | str | None = None,
    direction: str = FORWARD,
) -> Iterator[np.ndarray]:
    """Computes the flow of a stream of frames, in pieces.

    Args:
        frames: uint8 RGB (H, W, 3) each, at least one, all of one size.
        engine: See `compute_flow`.
        parameters: See `compute_flow`.
        direction: "forward", or "both" for the flow to the frame before, too; that of the first
            frame is then that of the second.

    Yields:
        float32 (H, W, 2): the result of `compute_flow` for all frames together, frame by frame; of
        both directions (2, H, W, 2), forward then backward.

    Raises:
        ValueError: There are no frames, or an argument is invalid.
    """
    check_choice("direction", direction, FLOW_DIRECTIONS)
    flow_between = load_engine(engine)
    parameters = engine_parameters(engine, parameters)
    grey = (to_grey(frame[np.newaxis])[0] for frame in frames)
    piece = list(islice(grey, 1))
    if not piece:
        raise ValueError("`frames` must have at least one frame; received none.")
    latest = np.zeros((*piece[0].shape, 2), np.float32)
    backward = None  # of the first frame of the piece
    pairs = min(MAX_PAIRS, max(1, MAX_PAIR_BYTES // (BYTES_PER_PIXEL * piece[0].size)))
    while following := list(islice(grey, pairs)):
        clip = np.stack(piece + following)
        flow = flow_between(clip[:-1], clip[1:], parameters)
        if direction == FORWARD:
            yield from flow
        else:
            to_former = flow_between(clip[1:], clip[:-1], parameters)
            first = to_former[:1] if backward is None else backward[np.newaxis]
            yield from np.stack([flow, np.concatenate([first, to_former[:-1]])], axis=1)
            backward = to_former[-1]
        latest, piece = flow[-1], following[-1:]
    if direction == BOTH:  # nothing follows the last frame
        latest = np.stack([latest, latest if backward is None else backward])
    yield latest


def write_video_flow(
    source: str | os.PathLike,
    path: str | os.PathLike,
    engine: str = "auto",
    parameters: FlowParameters | str | None = None,
    frame_rate: float = FRAME_RATE,
    short_side: int | None = SHORT_SIDE,
    rounding: str = "nearest",
    direction: str = FORWARD,
) -> dict[str, Any]:
    """Computes the flow of a whole video and writes it atomically to a flow file.

    Args:
        source: Path of the video.
        path: Where to write, in a folder that exists; see `flow_path`.
        engine: See `compute_flow`.
        parameters: See `compute_flow`.
        frame_rate: Frames per second after resampling.
        short_side: Pixels after resizing, at least 16; None leaves the frames as they are.
        rounding: Of the 8-bit codes, see `i3d_tf.flow.quantize`.
        direction: See `flow_frames`.

    Returns:
        The metadata of the file, see `write_flow_file`.

    Raises:
        VideoError: The video cannot be read.
        ValueError: An argument is invalid.
        OSError: The file cannot be written.
    """
    engine = choose_engine(engine)
    metadata = flow_metadata(
        source, engine, parameters, frame_rate, short_side, rounding, direction
    )
    frames = iter_watched(source, read_frames(source, frame_rate, short_side))
    return write_flow_file(path, flow_frames(frames, engine, parameters, direction), metadata)


def use_one_opencv_thread() -> None:
    """Keeps OpenCV to one thread, in a process that is one of as many as there are cores."""
    cv2.setNumThreads(1)
