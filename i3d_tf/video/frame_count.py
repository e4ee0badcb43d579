"""How many frames a video has at a frame rate: counted, for what headers say need not be true."""

from fractions import Fraction

from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.video.decode import frames_from
from i3d_tf.video.flow_metadata import MAXIMUM_FRAMES
from i3d_tf.video.media import VideoError, open_media
from i3d_tf.video.timeline import as_fraction, resample


def count_frames(source, frame_rate=FRAME_RATE) -> int:
    """Counts what `read_frames` yields: all is decoded, and nothing converted to RGB.

    Args:
        source: As for `read_clip`.
        frame_rate: Frames per second after resampling, > 0.

    Returns:
        Frames, at least 1.

    Raises:
        VideoError: The video cannot be read, is damaged or cut short, or has more frames than
            `read_frames` gives.
        ValueError: An argument is not as above.
    """
    rate = as_fraction("frame_rate", frame_rate, positive=True)
    total = 0
    with open_media(source) as media:
        _, timed = frames_from(media, Fraction(0))
        for shown, count in resample(timed, rate):
            if shown.item.damaged:
                raise VideoError(media.path, f"it is damaged at {float(shown.time):.2f} s")
            total += count
            if total > MAXIMUM_FRAMES:
                raise VideoError(media.path, f"it has more than {MAXIMUM_FRAMES} frames")
    return total
