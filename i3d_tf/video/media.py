"""Opening media files safely: whatever is wrong with a file ends as one VideoError."""

import contextlib
import io
import os
import stat
from fractions import Fraction

import av
from av.stream import Disposition

# What one frame may declare: 16K video (15360 x 8640) fits, a forged header does not. FFmpeg checks
# it before it allocates, and then treats the size as unknown.
MAXIMUM_PIXELS = 2**27
# What one clip, or one remote file, may take in memory.
MAXIMUM_BYTES = 2**34


class VideoError(Exception):
    """A video that cannot be read or written.

    Attributes:
        path: The file as it was named; "<bytes>" for one given as bytes.
        reason: What is wrong with it, in words.
    """

    def __init__(self, path, reason):
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self):
        return f"{self.path}: {self.reason}"


class Media:
    """An open media file and its video stream.

    Attributes:
        path: How the file is called in errors.
        container: av.container.InputContainer.
        stream: av.VideoStream, the first one that is not a cover picture.
    """

    def __init__(self, path, handle):
        self.path = path
        self._handle = handle
        self.container = None
        self.rewind()

    def rewind(self):
        """Opens the file anew, at its start: seeking to the start is not exact in every format."""
        self.close()
        self._handle.seek(0)
        self.container = _open_container(self.path, self._handle)
        try:
            self.stream = _video_stream(self.path, self.container)
        except BaseException:
            self.close()
            raise

    @property
    def frame_interval(self):
        """Fraction, the average seconds from frame to frame; 1/25 where the file does not say."""
        return 1 / Fraction(self.stream.average_rate or 25)

    def close(self):
        """Closes the container, not the file beneath it."""
        if self.container is not None:
            self.container.close()
            self.container = None


@contextlib.contextmanager
def open_media(source):
    """Opens a video for reading.

    Args:
        source: str or os.PathLike, where a name with "://" is read through tf.io.gfile, or the
            bytes of a file.

    Yields:
        Media.

    Raises:
        VideoError: It cannot be opened or holds no video.
        ValueError: `source` is of another type.
    """
    path, handle = _open_source(source)
    with handle:
        media = Media(path, handle)
        try:
            yield media
        finally:
            media.close()


def reason_of(error):
    """What an exception of the operating system or of FFmpeg says, without numbers and paths.

    Args:
        error: OSError or av.error.FFmpegError.

    Returns:
        str.
    """
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _open_source(source):
    if isinstance(source, bytes):
        path, content = "<bytes>", source
    else:
        path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        if not isinstance(path, str):
            raise ValueError(
                "`source` must be a path (str or os.PathLike) or the bytes of a file; received "
                f"{type(source).__name__}."
            )
        content = _read_remote(path) if "://" in path else None
    handle = _open_local(path) if content is None else io.BytesIO(content)
    if handle.seek(0, io.SEEK_END) == 0:
        handle.close()
        raise VideoError(path, "it is empty (0 bytes)")
    return path, handle


def _open_local(path):
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise VideoError(path, "it is a folder, not a file")
        if not stat.S_ISREG(mode):  # a pipe would wait for ever, a device has no end
            raise VideoError(path, "it is not a regular file")
        return open(path, "rb")
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise VideoError(path, reason_of(error)) from error


def _read_remote(path):
    import tensorflow as tf  # slow to import, and local files do not need it

    try:
        size = tf.io.gfile.stat(path).length
        if size > MAXIMUM_BYTES:
            raise VideoError(
                path, f"it has {size} bytes; at most {MAXIMUM_BYTES} are read remotely"
            )
        with tf.io.gfile.GFile(path, "rb") as file:
            return file.read()
    except tf.errors.OpError as error:
        # Some file systems leave the message empty.
        reason = error.message or f"it cannot be read ({type(error).__name__})"
        raise VideoError(path, reason) from error


class _NamelessFile:
    """A file whose name FFmpeg does not see.

    By its name alone FFmpeg would render a .txt file as video, and look for a playlist's
    neighbours.
    """

    def __init__(self, handle):
        self.read, self.seek, self.tell = handle.read, handle.seek, handle.tell


def _open_container(path, handle):
    # No protocol is allowed, so a playlist cannot make FFmpeg open other files or addresses.
    options = {"protocol_whitelist": "none", "max_pixels": str(MAXIMUM_PIXELS)}
    try:
        return av.open(_NamelessFile(handle), options=options, metadata_errors="replace")
    except (OSError, ValueError, av.error.FFmpegError) as error:
        handle.seek(4)
        if handle.read(4) == b"ftyp":  # every mp4 and mov starts so
            reason = "it is cut short or damaged: an mp4 file without a readable index (moov)"
        elif isinstance(error, EOFError):
            reason = "it ends before its first frame"
        else:
            reason = f"it is not a video that FFmpeg can read ({reason_of(error)})"
        raise VideoError(path, reason) from error


def _video_stream(path, container):
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        kind = "audio only" if container.streams.audio else "nothing that plays"
        raise VideoError(path, f"it has no video stream ({kind})")
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoError(path, "FFmpeg has no decoder for its video stream")
    stream.codec_context.options = {"max_pixels": str(MAXIMUM_PIXELS)}
    stream.thread_type = "AUTO"
    return stream
