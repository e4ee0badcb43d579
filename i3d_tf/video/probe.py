"""Metadata of a video from its header and its first frame."""

import os
from dataclasses import dataclass
from fractions import Fraction

import av

from i3d_tf.video.container import PathOrBytes, open_container
from i3d_tf.video.decode import decode_from
from i3d_tf.video.frame_folder import folder_rate, iter_pictures, picture_paths
from i3d_tf.video.rgb_frames import RGBConverter


@dataclass(frozen=True)
class VideoInfo:
    """Metadata of a video, as its file states it.

    Attributes:
        duration: Seconds, or None where the file does not state it.
        frame_rate: Average frames per second, or None where the file does not state it.
        num_frames: Number of frames that the file states, or None.
        height: Pixels, as shown (after rotation).
        width: Pixels, as shown (after rotation).
    """

    duration: float | None
    frame_rate: float | None
    num_frames: int | None
    height: int
    width: int


def probe(source: PathOrBytes) -> VideoInfo:
    """Reads the header and the first frame of a video.

    Args:
        source: Path or bytes, see `i3d_tf.read_clip`.

    Raises:
        VideoError: The video cannot be read.
    """
    if not isinstance(source, bytes) and os.path.isdir(source):
        return _probe_folder(source)
    with open_container(source) as container:
        stream = container.stream
        duration = _duration(container)
        first, _ = decode_from(container, Fraction(0))
        converter = RGBConverter(first.av_frame)
        return VideoInfo(
            duration=duration,
            frame_rate=float(stream.average_rate) if stream.average_rate else None,
            num_frames=stream.frames or None,
            height=converter.height,
            width=converter.width,
        )


def _probe_folder(folder):
    num_frames, rate = len(picture_paths(folder)), folder_rate()
    height, width = next(iter_pictures(folder)).shape[:2]
    return VideoInfo(float(num_frames / rate), float(rate), num_frames, height, width)


def read_comment(source: PathOrBytes) -> str | None:
    """Reads the comment in the metadata of a video; None if it has none.

    Args:
        source: Path or bytes, see `i3d_tf.read_clip`.

    Raises:
        VideoError: The video cannot be read.
    """
    if not isinstance(source, bytes) and os.path.isdir(source):
        return None
    with open_container(source) as container:
        return container.av_container.metadata.get("comment")


def _duration(container):
    stream, av_container = container.stream, container.av_container
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if av_container.duration is not None:
        return av_container.duration / av.time_base
    return None
