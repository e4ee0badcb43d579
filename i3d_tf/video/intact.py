"""Decoding a video of any length to see whether it can be decoded, keeping no frame of it."""

from i3d_tf.video.decode import frames_from
from i3d_tf.video.media import VideoError, open_media
from i3d_tf.video.picture import Upright
from i3d_tf.video.timeline import as_fraction, between


def verify_clip(source, start=None, end=None):
    """Does all that `read_clip(source, None, start, end)` does, in the memory of one frame.

    Args:
        source: Path (str or os.PathLike) or the bytes of a video file.
        start: Seconds after the first frame, >= 0; None means 0.
        end: Seconds after the first frame, > start; None means the end of the video.

    Returns:
        How many frames there are, at least 1.

    Raises:
        VideoError: The video cannot be read, is damaged or cut short within the requested part, or
            ends before `start`.
        ValueError: An argument is not as above.
    """
    start = as_fraction("start", 0 if start is None else start)
    end = None if end is None else as_fraction("end", end)
    if end is not None and end <= start:
        raise ValueError(
            f"`end` must be greater than `start`, {float(start):g}; received {float(end):g}."
        )
    num_frames = 0
    with open_media(source) as media:
        first, timed = frames_from(media, start)
        upright = Upright(first.item.frame)
        for shown, _ in between(timed, start, end):
            if shown.item.damaged:
                raise VideoError(media.path, f"it is damaged at {float(shown.time):.2f} s")
            upright.render(shown.item.frame)
            num_frames += 1
    if not num_frames:
        until = "" if end is None else f" and before {float(end):g} s"
        raise VideoError(media.path, f"it has no frame from {float(start):g} s on{until}")
    return num_frames
