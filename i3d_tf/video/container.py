"""Safe opening and demuxing of video files: every fault of a file is one VideoError."""

import contextlib
import io
import itertools
import math
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import av
from av.stream import Disposition

from i3d_tf.bitstream.order_check import order_check
from i3d_tf.bitstream.packet_check import packet_check
from i3d_tf.system.files import open_regular
from i3d_tf.system.remote import RemoteFileError, is_remote, read_bytes
from i3d_tf.system.remote_stores import RemoteAccessError
from i3d_tf.video.animated_webp import WebPAnimation, read_animation
from i3d_tf.video.container_check import ContainerCheck, has_reached_end, start_check
from i3d_tf.video.cropping import Margins, read_margins
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.limits import (
    MAX_BYTES,
    MAX_DIFFERENCE,
    MAX_FRAME_SECONDS,
    MAX_PIXELS,
    MAX_STRETCH,
)
from i3d_tf.video.mp4_index import find_contradiction
from i3d_tf.video.options import CONCEAL, num_decoder_threads, video_options

# How much earlier than its header says a video may end, in seconds. Headers round, and count the
# last frame's duration differently; a file cut short nearly always misses more, or ends in a half
# packet, which counts whatever its length.
END_TOLERANCE = Fraction(1, 2)

DEFAULT_FRAME_RATE = 25  # of a file that does not say
# Streams without a container: without a clock. Where they say their rate, FFmpeg takes it for the
# frames, and not for the average.
RAW_FORMATS = ("h264", "hevc", "vvc", "mpegvideo", "m4v")

# Delays of 10 ms and less are shown as 100 ms, as browsers do.
APNG_DELAYS = {"max_fps": "99", "default_fps": "10"}

# Pictures beside the video that a file has.
HIDDEN_DISPOSITIONS = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
)
REASONS = (
    "the others have one frame",
    "it is the default",
    "it has the most frames",
    "it is the largest",
    "it is the first",
)
PACKETS_AHEAD = 16  # that are read before they are decoded
PACKETS_TO_JUDGE = 1000  # of a file with several video streams: which of them go on

# A path, an address, whose file is read into memory, or the bytes of a file.
PathOrBytes = str | os.PathLike | bytes


def source_name(source: PathOrBytes) -> str:
    """Returns the name of a video in errors: its path, or "<bytes>".

    Raises:
        ValueError: `source` is of another type.
    """
    if isinstance(source, bytes):
        return "<bytes>"
    path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise ValueError(
            "`source` must be a path (str or os.PathLike) or the bytes of a file; received "
            f"{type(source).__name__}."
        )
    return path


class VideoContainer:
    """An open video file.

    Attributes:
        path: Its name in errors.
        av_container: PyAV's container.
        stream: Its video stream; of several, the one that is flagged as default, has the most
            frames, or the largest ones, in this order; never a cover or a preview.
        reason: Why this stream is read, in words.
        margins: What its container asks to leave out of each frame.
        is_strict: Whether its frames are decoded fast, and the first sign of damage ends decoding.
        conceals: Whether damage is shown, not refused.
        num_lost: Packets that were lost where damage is shown; at least 1 where the end is.
        animation: The frames of an animated WebP, which FFmpeg does not decode; else None.
        is_raw: Whether it is a stream without a container, whose frames have their times by their
            number.
        num_bytes: Size of the file.
        stated_end: End of the video by the file's header, in seconds on its own clock; None where
            it does not say.
        indexed_end: Time stamp of the last packet in the file's index of all packets, in the
            stream's units; None where it has no such index.
        longest_pause: Seconds for which one frame may be shown, see `i3d_tf.video.limits`.
    """

    path: str
    av_container: av.container.InputContainer
    stream: av.VideoStream
    reason: str
    margins: Margins
    is_strict: bool
    conceals: bool
    num_lost: int
    animation: WebPAnimation | None
    is_raw: bool
    num_bytes: int
    stated_end: Fraction | None
    indexed_end: int | None
    longest_pause: float

    def __init__(self, path: str, file: BinaryIO):
        """Opens a file.

        Args:
            path: Its name in errors.
            file: The file, which stays open when the container is closed.

        Raises:
            VideoError: It cannot be opened, holds no video, or its time stamps contradict its
                header.
        """
        self.path = path
        self.is_strict = True
        self.conceals = video_options().damaged == CONCEAL
        self.num_lost = 0
        self._file = file
        self._stream_index: int | None = None  # where there are several
        self.reason = "it is the only one"
        self.num_bytes = file.seek(0, io.SEEK_END)
        self._open()
        self.stated_end = _stated_end(self.av_container, self.stream)
        self.indexed_end = _indexed_end(self.av_container, self.stream)
        number = [stream.index for stream in self.av_container.streams.video].index(
            self.stream.index
        )
        self.margins = read_margins(file, self.av_container.format.name, self.stream, number)
        is_webp = self.av_container.format.name == "webp_pipe"
        self.animation = read_animation(path, file) if is_webp else None
        self.is_raw = self.av_container.format.name in RAW_FORMATS
        self.longest_pause = float(MAX_FRAME_SECONDS)
        if self.av_container.format.name.startswith("mov"):
            self._check_time_stamps()
        elif self.stated_end is not None:
            by_header = MAX_STRETCH * self.stated_end + MAX_DIFFERENCE
            self.longest_pause = min(self.longest_pause, float(by_header))

    def rewind(self) -> None:
        """Opens the file anew, at its start: seeking to the start is not exact in every format."""
        self.close()
        self._open()

    def seek(self, seconds: Fraction) -> bool:
        """Goes to the key frame that the file says is the last before a time, or does not move.

        Args:
            seconds: On the file's own clock.

        Returns:
            Whether FFmpeg could do so.
        """
        self._is_at_start = False
        try:
            target = math.floor(seconds / Fraction(self.stream.time_base or 1))
            self.av_container.seek(target, stream=self.stream)
        except av.error.FFmpegError:
            return False
        return True

    def tolerate_damage(self) -> None:
        """Opens the file anew, at its start: from now on, damage is for the caller to judge."""
        self.is_strict = False
        self.rewind()

    def start_check(self, packet: av.Packet) -> ContainerCheck | None:
        """Starts a check of the file's structure, see `i3d_tf.video.container_check`.

        Args:
            packet: The first that was read since the file was opened, or since the last seek.
        """
        start = 0 if self._is_at_start else packet.pos or 0
        return start_check(self._file, self.av_container.format.name, self.stream.id, start)

    def has_reached_end(self) -> bool:
        """Returns whether the file is as long as its structure says, where that can be known."""
        return has_reached_end(self._file, self.av_container.format.name)

    def _check_time_stamps(self):
        position = self._file.tell()
        contradiction = find_contradiction(self._file, self.stream.id)
        self._file.seek(position)  # where FFmpeg left it
        if contradiction is not None:
            self.close()
            raise VideoError(self.path, contradiction)

    def _open(self):
        self._is_at_start = True
        self._file.seek(0)
        self.av_container = _open_av_container(self.path, self._file)
        try:
            self._find_stream()
            _choose_decoder(self.stream, self.is_strict, self.conceals)
        except BaseException:
            self.close()
            raise

    def _find_stream(self):
        streams = _find_video_streams(self.path, self.av_container)
        if self._stream_index is None and len(streams) > 1:
            self._stream_index, self.reason = _best_stream(self.av_container, streams)
            self.rewind()
            return
        chosen = [stream for stream in streams if stream.index == self._stream_index]
        self.stream = chosen[0] if chosen else streams[0]

    @property
    def frame_rate(self) -> Fraction | None:
        """Returns the average frames per second; None where the file does not say."""
        return self.stream.guessed_rate if self.is_raw else self.stream.average_rate

    @property
    def frame_interval(self) -> Fraction:
        """Returns the average seconds between frames; 1/25 where the file does not say."""
        return 1 / Fraction(self.frame_rate or DEFAULT_FRAME_RATE)

    @property
    def pixel_aspect(self) -> Fraction:
        """Returns the width of a stored pixel by its height; 1 where the file does not say."""
        return Fraction(self.stream.sample_aspect_ratio or 1)

    def close(self) -> None:
        """Closes the container, not the file beneath it."""
        self.av_container.close()


@contextlib.contextmanager
def open_container(source: PathOrBytes) -> Iterator[VideoContainer]:
    """Opens a video for reading.

    Args:
        source: Path (or an address, which is read into memory), or the bytes of a file.

    Yields:
        The container, which is closed when the block ends.

    Raises:
        VideoError: It cannot be opened or holds no video.
        ValueError: `source` is of another type.
    """
    path = source_name(source)
    with _open_file(path, source) as file:
        container = VideoContainer(path, file)
        try:
            yield container
        finally:
            container.close()


def _open_file(path, source):
    if isinstance(source, bytes):
        file = io.BytesIO(source)
    else:
        file = io.BytesIO(_read_remote(path)) if is_remote(path) else _open_local(path)
    if file.seek(0, io.SEEK_END) == 0:
        file.close()
        raise VideoError(path, "it is empty (0 bytes)")
    return file


def _open_local(path):
    try:
        if os.path.isdir(path):
            os.scandir(path).close()  # fails where there are no rights to read it
        return open_regular(path)
    except OSError as error:
        raise VideoError(path, reason_of(error)) from error


def _read_remote(path):
    try:
        return read_bytes(path, MAX_BYTES)
    except RemoteFileError as error:
        raise VideoError(path, error.reason) from error
    except RemoteAccessError as error:
        raise VideoError(path, str(error).removeprefix(f"{path}: ").removesuffix(".")) from error


class _NamelessFile:
    """A file whose name FFmpeg does not see.

    By its name alone FFmpeg would render a .txt file as video, and look for a playlist's
    neighbors.
    """

    def __init__(self, file):
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _open_av_container(path, file):
    # No protocol is allowed, so a playlist cannot make FFmpeg open other files or addresses.
    options = {"protocol_whitelist": "none", "max_pixels": str(MAX_PIXELS), **APNG_DELAYS}
    try:
        return av.open(_NamelessFile(file), options=options, metadata_errors="replace")
    except (OSError, ValueError, av.error.FFmpegError) as error:
        file.seek(4)
        if file.read(4) == b"ftyp":  # every mp4 and mov starts so
            reason = "it is cut short or damaged: an mp4 file without a readable index (moov)"
        elif isinstance(error, EOFError):
            reason = "it ends before its first frame"
        else:
            reason = f"it is not a video that FFmpeg can read ({reason_of(error)})"
        raise VideoError(path, reason) from error


def _find_video_streams(path, av_container):
    """Returns the video streams that are no cover and no preview, by their flags."""
    streams = [
        stream
        for stream in av_container.streams.video
        if not stream.disposition & HIDDEN_DISPOSITIONS
    ]
    if not streams:
        kind = "audio only" if av_container.streams.audio else "nothing that plays"
        raise VideoError(path, f"it has no video stream ({kind})")
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if not decodable:
        raise VideoError(path, "FFmpeg has no decoder for its video stream")
    return decodable


def _best_stream(av_container, streams):
    """Returns the index of the stream to read, and why: the default one, the longest, the largest.

    A stream of one frame is a cover or a preview, whatever its flags say. Packets are read.
    """
    counts = [stream.frames for stream in streams]
    if not all(counts):
        counts = _count_first_packets(av_container, streams)
        # Streams side by side differ a little in what has come of them.
        counts = [max(counts) if 2 * count > max(counts) else count for count in counts]

    def rank(place):
        stream, count = streams[place], counts[place]
        size = stream.codec_context.width * stream.codec_context.height
        is_default = bool(stream.disposition & Disposition.default)
        return count > 1, is_default, count, size, -place

    best, second = sorted(range(len(streams)), key=rank)[:-3:-1]
    differs = [one != other for one, other in zip(rank(best), rank(second), strict=True)]
    return streams[best].index, REASONS[differs.index(True)]


def _count_first_packets(av_container, streams):
    """Returns how many of the first packets of a file each stream has."""
    counts = dict.fromkeys((stream.index for stream in streams), 0)
    with contextlib.suppress(av.error.FFmpegError, IndexError):  # damaged: seen when it is read
        for packet in itertools.islice(av_container.demux(), PACKETS_TO_JUDGE):
            if packet.size and packet.stream_index in counts:
                counts[packet.stream_index] += 1
    return list(counts.values())


def _stated_end(av_container, stream):
    start = (stream.start_time or 0) * Fraction(stream.time_base or 1)
    name = av_container.format.name
    if name.startswith("mov") and stream.duration:
        return start + stream.duration * stream.time_base
    # An AVI without its index has lost the duration, but not the number of frames.
    if name == "avi" and stream.frames and stream.average_rate:
        return start + stream.frames / stream.average_rate
    if name.startswith(("matroska", "flv")) and av_container.duration:
        # Writers disagree whether it counts from 0 or from the first frame; 0 promises less.
        return Fraction(av_container.duration, av.time_base)
    return None  # other formats have no header that knows


def _indexed_end(av_container, stream):
    # Taken when the file is opened: FFmpeg makes an index of its own while it reads.
    if av_container.format.name.startswith(("mov", "avi")) and len(stream.index_entries):
        return stream.index_entries[-1].timestamp
    return None


def _choose_decoder(stream, is_strict, conceals):
    options = {"max_pixels": str(MAX_PIXELS)}
    if is_strict:
        options["err_detect"] = "explode"
    elif conceals and stream.codec_context.name == "hevc":
        options["flags"] = "+output_corrupt"  # or frames made from a lost one are left out
    stream.codec_context.options = options
    # With a thread for each frame, FFmpeg may give a damaged frame before its error is known, but
    # for errors that end decoding. With one for each slice, it does not look for what is missing.
    stream.thread_type = "AUTO" if is_strict else "NONE"
    stream.codec_context.thread_count = num_decoder_threads()


class Demuxer:
    """The packets of a video stream, and whether the file ended before its time.

    Iterating gives the packets, then None, which makes a decoder give the frames that it holds.

    Attributes:
        is_damaged: Whether the last packet, or the file between it and the one before, is damaged,
            by checks of what FFmpeg passes over.
        misses_picture: Whether a whole packet before the last one is missing; then it is damaged.
    """

    is_damaged: bool
    misses_picture: bool

    def __init__(self, container: VideoContainer):
        """Starts where the container stands."""
        self.is_damaged = self.misses_picture = False
        self._container = container
        self._stream_index = container.stream.index
        # Of a packet that does not say how long it is shown, in its ticks.
        self._interval = int(container.frame_interval / (container.stream.time_base or 1))
        self._broken = self._ends_broken = False
        self._latest_stamp: int | None = None  # of decoding, of the video
        self._hides_frames = False  # by an edit list, or by time stamps that contradict one
        # Of each stream, in its own ticks, which are faster than fractions.
        self._ends: dict[int, int] = {}

    def __iter__(self) -> Iterator[av.Packet | None]:
        codec_context = self._container.stream.codec_context
        name, header = codec_context.name, codec_context.extradata or b""
        is_damaged = packet_check(name, header)
        order = order_check(self._container.av_container.format.name, name, header)
        # Checks that follow each other at once take a quarter of the time.
        num_ahead = 1 if is_damaged is None and order is None else PACKETS_AHEAD
        packets, ends_corrupt = self._demux(), False
        while ahead := list(itertools.islice(packets, num_ahead)):
            found = []
            for packet, is_displaced in ahead:
                content = bytes(packet) if num_ahead > 1 else b""
                is_wrong = is_displaced or (is_damaged is not None and is_damaged(content))
                is_after_loss = order is not None and order.misses_picture(
                    content, packet.pts, packet.dts
                )
                found.append((packet, is_wrong or is_after_loss, is_after_loss))
            for packet, self.is_damaged, self.misses_picture in found:
                yield packet
                if self._broken:
                    break
                ends_corrupt = packet.is_corrupt
            if self._broken:
                break
        self._broken = self._broken or self._ends_broken or ends_corrupt
        self.is_damaged = self.misses_picture = False
        yield None

    def _demux(self):
        """Yields (packet, whether it is damaged by the file's structure) of the video."""
        check = None
        try:
            # All streams are read: whether a longer sound track goes on tells a short video from a
            # cut.
            for number, packet in enumerate(self._container.av_container.demux()):
                if number == 0:
                    check = self._container.start_check(packet)
                self._note_end(packet)
                if packet.stream_index != self._stream_index or not packet.size:
                    continue  # an empty packet would tell the decoder that the video is over
                if packet.dts is not None:
                    self._latest_stamp = packet.dts
                self._hides_frames |= packet.is_discard
                is_damaged = False
                if check is not None and packet.pos is not None:
                    is_damaged = check.is_damaged(packet.pos, packet.pos + packet.size)
                yield packet, is_damaged
            self._ends_broken = check is not None and check.is_damaged_to_end()
        except av.error.FFmpegError:
            self._ends_broken = True
        except IndexError:
            # PyAV, which at the very end asks for streams that a damaged file added on the way.
            pass

    def stop(self) -> None:
        """Ends the video here, because what follows cannot be used: only the last None remains."""
        self._broken = True

    def ended_early(self) -> bool:
        """Returns whether the file ended early; valid after the last packet."""
        return self._broken or (self._misses_time() and not self._is_whole())

    def missing_seconds(self) -> float:
        """Returns by how much the header promises more than came, though nothing of it is missing.

        Valid after the last packet; 0 where the header is right.
        """
        if self._broken or not self._misses_time() or not self._is_whole():
            return 0.0
        return float(self._container.stated_end - self._seconds_seen())

    def _misses_time(self):
        seen, stated = self._seconds_seen(), self._container.stated_end
        return stated is not None and seen is not None and seen < stated - END_TOLERANCE

    def _is_whole(self):
        """Returns whether every packet that the file has came, whatever its header says."""
        container = self._container
        if self._hides_frames:
            return False
        if container.indexed_end is not None:
            return self._latest_stamp is not None and self._latest_stamp >= container.indexed_end
        return container.has_reached_end()

    def _note_end(self, packet):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return
        stream = packet.stream_index
        duration = packet.duration or (self._interval if stream == self._stream_index else 0)
        end = stamp + duration
        if end > self._ends.get(stream, -math.inf):
            self._ends[stream] = end

    def _seconds_seen(self):
        """Returns where the packets end, on the file's own clock; None if none has a time stamp."""
        container = self._container
        ends = {
            stream.index: self._ends[stream.index] * stream.time_base
            for stream in container.av_container.streams
            if stream.index in self._ends and stream.time_base
        }
        # In these formats the header's end is that of the longest stream.
        if container.av_container.format.name.startswith(("matroska", "flv")):
            return max(ends.values(), default=None)
        return ends.get(container.stream.index)
