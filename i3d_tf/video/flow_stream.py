"""Videos of any length -> flow, in the memory of a few frames.

What comes out is what `compute_flow` gives for the whole clip, bit by bit: every pair of frames is
computed on its own, so that it does not matter in which pieces it is done.
"""

from fractions import Fraction
from itertools import islice, repeat

import av
import cv2
import numpy as np

from i3d_tf.specs.streams import FRAME_RATE, SHORT_SIDE
from i3d_tf.video.decode import frames_from
from i3d_tf.video.engines import choose_engine, engine_parameters, load_engine
from i3d_tf.video.flow import to_grey
from i3d_tf.video.flow_file import write_flow_file
from i3d_tf.video.flow_metadata import MAXIMUM_FRAMES, flow_metadata
from i3d_tf.video.media import VideoError, open_media, reason_of
from i3d_tf.video.picture import Upright
from i3d_tf.video.timeline import as_fraction, resample
from i3d_tf.video.transform import resize_short_side, resized_shape

# Pairs of frames that are computed at once: enough for the cores of a large machine, or as many as
# stay within the memory, at 8 bytes a pixel for the flow and 90 for what TV-L1 works with.
MOST_PAIRS = 64
PAIR_BYTES = 2**30
PIXEL_BYTES = 98
LARGEST_FRAME = 2**23  # pixels after resizing: 4096 x 2048


def read_frames(source, frame_rate=FRAME_RATE, short_side=SHORT_SIDE):
    """Reads a whole video as `read_clip` and `resize_short_side` do, one frame at a time.

    Args:
        source: As for `read_clip`.
        frame_rate: Output frames per second, > 0.
        short_side: Pixels, >= 1; None leaves the frames as they are.

    Yields:
        uint8 (H, W, 3), RGB.

    Raises:
        VideoError: The video cannot be read, is damaged or cut short, or its frames are too large.
        ValueError: An argument is not as above.
    """
    rate = as_fraction("frame_rate", frame_rate, positive=True)
    with open_media(source) as media:
        first, timed = frames_from(media, Fraction(0))
        upright = Upright(first.item.frame)
        _check_size(media.path, upright.height, upright.width, short_side)
        total = 0
        for shown, count in resample(timed, rate):
            if shown.item.damaged:
                raise VideoError(media.path, f"it is damaged at {float(shown.time):.2f} s")
            total += count
            if total > MAXIMUM_FRAMES:  # a forged time stamp can make a video last for years
                raise VideoError(media.path, f"it has more than {MAXIMUM_FRAMES} frames")
            frame = _render(media.path, upright, shown.item.frame)
            if short_side is not None:
                frame = resize_short_side(frame[np.newaxis], short_side)[0]
            yield from repeat(frame, count)


def _render(path, upright, frame):
    try:
        return upright.render(frame)
    except av.error.FFmpegError as error:
        reason = f"its frames cannot be converted to RGB ({reason_of(error)})"
        raise VideoError(path, reason) from error


def _check_size(path, height, width, short_side):
    if short_side is not None:
        height, width = resized_shape(height, width, short_side)
    if height * width > LARGEST_FRAME:
        raise VideoError(
            path, f"its frames would have {width} x {height} pixels, more than {LARGEST_FRAME}"
        )


def flow_frames(frames, engine="auto", parameters=None):
    """Computes the flow of a stream of frames, in pieces.

    Args:
        frames: Iterable of uint8 RGB (H, W, 3), at least one, all of one size.
        engine: As for `compute_flow`.
        parameters: As for `compute_flow`.

    Yields:
        float32 (H, W, 2): what `compute_flow` returns for all frames together, frame by frame.
    """
    flow_between = load_engine(engine)
    parameters = engine_parameters(engine, parameters)
    grey = (to_grey(frame[np.newaxis])[0] for frame in frames)
    piece = list(islice(grey, 1))
    if not piece:
        raise ValueError("`frames` must have at least one frame; received none.")
    latest = np.zeros((*piece[0].shape, 2), np.float32)
    pairs = min(MOST_PAIRS, max(1, PAIR_BYTES // (PIXEL_BYTES * piece[0].size)))
    while following := list(islice(grey, pairs)):
        clip = np.stack(piece + following)
        flow = flow_between(clip[:-1], clip[1:], parameters)
        yield from flow
        latest, piece = flow[-1], following[-1:]
    yield latest  # nothing follows the last frame


def write_video_flow(
    source,
    path,
    engine="auto",
    parameters=None,
    frame_rate=FRAME_RATE,
    short_side=SHORT_SIDE,
):
    """Computes the flow of a whole video into a flow file, or writes nothing if that fails.

    Args:
        source: Path of the video.
        path: Where to write, in a folder that exists; see `flow_path`.
        engine: As for `compute_flow`.
        parameters: As for `compute_flow`.
        frame_rate: Frames per second after resampling.
        short_side: Pixels after resizing, at least 16; None leaves the frames as they are.

    Returns:
        The metadata of the file, see `write_flow_file`.

    Raises:
        VideoError: The video cannot be read.
        ValueError: An argument is not as above.
        OSError: The file cannot be written.
    """
    engine = choose_engine(engine)
    metadata = flow_metadata(source, engine, parameters, frame_rate, short_side)
    frames = read_frames(source, frame_rate, short_side)
    return write_flow_file(path, flow_frames(frames, engine, parameters), metadata)


def use_one_core():
    """Keeps OpenCV to one thread, in a process that is one of as many as there are cores."""
    cv2.setNumThreads(1)
