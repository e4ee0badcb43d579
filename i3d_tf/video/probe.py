"""Facts about a video from its header and its first frame."""

from dataclasses import dataclass
from fractions import Fraction

import av

from i3d_tf.video.container import open_container
from i3d_tf.video.decode import frames_from
from i3d_tf.video.rgb_frames import RGBConverter


@dataclass(frozen=True)
class VideoInfo:
    """What a video says about itself.

    Attributes:
        duration: Seconds, or None where the file does not say.
        frame_rate: Average frames per second, or None where the file does not say.
        num_frames: Frames the file says it holds, or None.
        height: Pixels, as shown (after rotation).
        width: Pixels, as shown (after rotation).
    """

    duration: float | None
    frame_rate: float | None
    num_frames: int | None
    height: int
    width: int


def probe(source):
    """Reads what a video says about itself: its header and its first frame, nothing more.

    Args:
        source: Path or bytes, as for `read_clip`.

    Returns:
        VideoInfo.

    Raises:
        VideoError: The video cannot be read.
    """
    with open_container(source) as media:
        stream, container = media.stream, media.container
        if stream.duration is not None:
            duration = float(stream.duration * stream.time_base)
        else:
            duration = None if container.duration is None else container.duration / av.time_base
        first, _ = frames_from(media, Fraction(0))
        upright = RGBConverter(first.item.frame)
        return VideoInfo(
            duration=duration,
            frame_rate=float(stream.average_rate) if stream.average_rate else None,
            num_frames=stream.frames or None,
            height=upright.height,
            width=upright.width,
        )
