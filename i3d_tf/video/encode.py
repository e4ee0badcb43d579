"""Writing of RGB frames as an H.264 mp4 that every player opens."""

import contextlib
import io
import itertools
import os
import tempfile
from collections.abc import Iterable

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.system.files import atomic_write
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.limits import MAX_PIXELS
from i3d_tf.video.resample import as_fraction

X264_OPTIONS = {
    "crf": "18",  # visually close to lossless
    "preset": "fast",
    # For the same bytes from the same frames: the number of threads shapes the output, some of it
    # follows the processor's features, and the macroblock tree now and then chooses differently.
    "threads": "1",
    "x264-params": "cpu-independent=1:mbtree=0",
}


def write_video(
    path: str | os.PathLike,
    frames: np.ndarray | Iterable[np.ndarray],
    frame_rate: float = FRAME_RATE,
    comment: str | None = None,
) -> None:
    """Writes frames atomically as an mp4 (H.264, yuv420p, BT.601).

    The file appears under its name only when it is complete; one that was there before stays until
    then. The same frames give the same bytes. A side of odd length gets one more row or column, a
    repetition of the last, because yuv420p stores colour for squares of 2 x 2 pixels.

    Args:
        path: Where to write, in a folder that exists; the name should end in .mp4.
        frames: uint8 RGB (T, H, W, 3), or an iterable of T frames (H, W, 3), T >= 1.
        frame_rate: Frames per second, > 0.
        comment: Text for the file's metadata, see `i3d_tf.video.probe.read_comment`.

    Raises:
        ValueError: The frames or the rate are not as above.
        VideoError: The file cannot be written.
    """
    path = os.fspath(path)
    rate = as_fraction("frame_rate", frame_rate, positive=True)
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("`frames` must hold at least one frame; received none.")
    _check_frame(first, np.shape(first))
    _check_writable(path)  # before the minutes that encoding may take
    content = _encode(path, itertools.chain([first], frames), first.shape, rate, comment)
    with _write_errors(path), atomic_write(path) as temporary, open(temporary, "xb") as file:
        file.write(content)


def _check_writable(path):
    if os.path.isdir(path):
        raise VideoError(path, "it is a folder, not a file")
    folder = os.path.dirname(os.path.abspath(path))
    with _write_errors(path), tempfile.TemporaryFile(dir=folder):
        pass


@contextlib.contextmanager
def _write_errors(path):
    """Turns errors of the operating system into VideoErrors."""
    try:
        yield
    except OSError as error:
        raise VideoError(path, f"it cannot be written: {reason_of(error)}") from error


def _encode(path, frames, shape, rate, comment):
    # In memory, where compressed video is small: an mp4 is written back and forth, and FFmpeg hides
    # the reason why a file could not be written.
    file = io.BytesIO()
    height, width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
    padding = ((0, height - shape[0]), (0, width - shape[1]), (0, 0))
    try:
        with av.open(
            file, "w", format="mp4", container_options={"fflags": "+bitexact"}
        ) as container:
            if comment is not None:
                container.metadata["comment"] = comment
            stream = _add_stream(container, height, width, rate)
            for index, frame in enumerate(frames):
                _check_frame(frame, shape)
                picture = av.VideoFrame.from_ndarray(np.pad(frame, padding, mode="edge"), "rgb24")
                picture.pts, picture.time_base = index, 1 / rate
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
    except av.error.FFmpegError as error:
        raise VideoError(path, f"it cannot be encoded: {reason_of(error)}") from error
    return file.getbuffer()


def _add_stream(container, height, width, rate):
    stream = container.add_stream("libx264", rate=rate, options=X264_OPTIONS)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    # Named in the file, so that no player has to guess them from the size.
    stream.codec_context.colorspace = Colorspace.ITU601
    stream.codec_context.color_range = ColorRange.MPEG
    return stream


def _check_frame(frame, shape):
    received = f"{getattr(frame, 'dtype', type(frame).__name__)} {np.shape(frame)}"
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3:
        raise ValueError(f"`frames` must be uint8 arrays (H, W, 3); received {received}.")
    if frame.shape[2] != 3 or 0 in frame.shape or frame.shape[0] * frame.shape[1] > MAX_PIXELS:
        raise ValueError(
            f"`frames` must be (H, W, 3) of 1 to {MAX_PIXELS} pixels; received {received}."
        )
    if frame.shape != shape:
        raise ValueError(f"`frames` must all be {shape} like the first; received {frame.shape}.")
