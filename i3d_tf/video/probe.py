"""Metadata of a video from its header and its first frame."""

import itertools
import os
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import av

from i3d_tf.video.container import PathOrBytes, open_container
from i3d_tf.video.decode import decode_from
from i3d_tf.video.frame_folder import folder_rate, iter_pictures, picture_paths
from i3d_tf.video.options import video_options
from i3d_tf.video.rgb_frames import RGBConverter

# Formats whose header has the duration of each stream. In others it is that of the longest one.
KNOWN_BY_HEADER = ("mov,mp4,m4a,3gp,3g2,mj2", "avi", "gif")
FIRST_PACKETS = 64  # more than a decoder puts into another order
FAR = 10**6  # seconds, behind the end of any video


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
        first, _ = decode_from(container, Fraction(0))
        aspect = container.pixel_aspect if video_options().pixel_aspect else None
        converter = RGBConverter(first.av_frame, container.margins, aspect)
        container.rewind()
        stream = container.stream
        return VideoInfo(
            duration=_duration(container),
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
    """Returns the seconds of the video stream, not of its sound; None where only decoding tells."""
    stream, name = container.stream, container.av_container.format.name
    if stream.duration is None or name not in KNOWN_BY_HEADER:
        return _scanned_duration(container)
    stated, entries = stream.duration, stream.index_entries
    if name == "avi" and len(entries) > 1:  # its header may promise more
        first, last = entries[0].timestamp, entries[-1].timestamp
        stated = min(stated, round((last - first) * len(entries) / (len(entries) - 1)))
    return float(stated * stream.time_base)


def _scanned_duration(container):
    """Returns the time from the first to the last packet of the video stream, undecoded."""
    if not container.av_container.format.name.startswith("matroska"):
        parts = [_read_stamps(container)]
    else:  # it can go to its last packets
        parts = [_read_stamps(container, FIRST_PACKETS)]
        if not container.seek(Fraction(FAR)):
            container.rewind()
        parts.append(_read_stamps(container))
    stamps = [stamp for part in parts for stamp in part]
    if not stamps or any(stamp.pts is None for stamp in stamps) or any(map(_is_set_back, parts)):
        return None
    last = max(stamps, key=lambda stamp: stamp.pts)
    interval = last.duration or container.frame_interval / container.stream.time_base
    first = min(stamp.pts for stamp in stamps)
    return float((last.pts - first + interval) * container.stream.time_base)


class _Stamp(NamedTuple):
    """The times of a packet, as its file says them."""

    pts: int | None
    dts: int | None
    duration: int | None


def _read_stamps(container, count=None):
    """Reads the times of packets of the video stream, from where the container stands."""
    stamps = []
    try:
        packets = container.av_container.demux(container.stream)
        for packet in itertools.islice((packet for packet in packets if packet.size), count):
            stamps.append(_Stamp(packet.pts, packet.dts, packet.duration))
    except (av.error.FFmpegError, IndexError):  # damaged: that is for the decoder to say
        pass
    return stamps


def _is_set_back(stamps):
    known = [stamp.dts for stamp in stamps if stamp.dts is not None]
    return any(after < before for before, after in itertools.pairwise(known))
