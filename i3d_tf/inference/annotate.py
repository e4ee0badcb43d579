"""Copies of videos with their top classes drawn, as frames or as flow."""

import os
from itertools import chain, islice, tee
from pathlib import Path

import numpy as np

from i3d_tf.flow.engines import ALGORITHMS, choose_engine
from i3d_tf.flow.stream import flow_frames
from i3d_tf.specs.streams import FRAME_RATE, TEST_FRAMES
from i3d_tf.video.decode import read_frames
from i3d_tf.video.find import VIDEO_SUFFIXES
from i3d_tf.viz.flow_wheel import colour_flow, flow_scale, wheel_legend

EVERY = 5  # frames; the scale of a clip is chosen from one in so many
LEGEND = 4  # the key's side is the short side of the frames over this


def flow_pictures(video, engine="auto", beside=False):
    """Computes the flow of a whole video and paints it, in the memory of the network's clip.

    The length of flow that gets the full colour is chosen from the frames that the network sees.

    Args:
        video: Path of the video.
        engine: As for `compute_flow`.
        beside: Whether the frames themselves are shown, to the left of their flow.

    Yields:
        uint8 RGB, (256, W, 3) or with W and 256 exchanged, or twice as wide: one a frame, at 25
        frames per second.

    Raises:
        VideoError: The video cannot be read.
    """
    engine = choose_engine(engine)
    frames, seen = tee(read_frames(video))
    flow = flow_frames(seen, engine)
    first = list(islice(flow, TEST_FRAMES))
    scale = flow_scale(np.stack(first[::EVERY]))
    legend = wheel_legend(min(first[0].shape[:2]) // LEGEND, scale, ALGORITHMS[engine])
    height, width, _ = legend.shape
    for frame, vectors in zip(frames, chain(first, flow), strict=True):
        picture = colour_flow(vectors, scale)
        picture[-height:, -width:] = legend
        yield np.hstack([frame, picture]) if beside else picture


def annotated_path(output_video, video, number_of_videos) -> Path:
    """Where the copy of a video with its labels goes.

    Args:
        output_video: An .mp4 file where there is one video, else a folder.
        video: The video.
        number_of_videos: How many there are.

    Raises:
        ValueError: It cannot be written there, or something is there already; nothing is replaced.
    """
    target = Path(output_video)
    if target.is_dir() or target.suffix.lower() not in VIDEO_SUFFIXES:
        if target.exists() and not target.is_dir():
            raise ValueError(f"{target}: not a folder; name a folder or a new .mp4 file.")
        target = target / f"{Path(video).stem}_predicted.mp4"
    elif target.suffix.lower() != ".mp4":
        raise ValueError(f"{target}: copies are .mp4 files; name one, or a folder.")
    elif number_of_videos > 1:
        raise ValueError(f"{target}: one file for {number_of_videos} videos; name a folder.")
    if os.path.lexists(target):
        raise ValueError(f"{target}: exists already; name another --output_video or remove it.")
    return target


def write_annotated(answer, target):
    """Writes a copy of an answered video, at 25 frames per second, with its top classes drawn.

    It shows what the networks were shown: frames, flow, or for two streams frames beside flow.
    """
    from i3d_tf.video.decode import read_frames
    from i3d_tf.video.encode import write_video
    from i3d_tf.viz.annotate import annotate_frames

    target.parent.mkdir(parents=True, exist_ok=True)
    lines = [(f"{p.label}  {p.probability:.1%}", p.probability) for p in answer.top]
    if answer.stream == "rgb":
        shown = read_frames(answer.path, short_side=None)  # whole, in the memory of one frame
    else:
        shown = flow_pictures(answer.path, answer.engine, beside=answer.stream == "joint")
    write_video(target, annotate_frames(shown, lines), FRAME_RATE)
