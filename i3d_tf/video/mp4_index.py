"""Time stamps in the index of an mp4 or mov file (ISO/IEC 14496-12), against its header."""

from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from i3d_tf.video.limits import MAX_DIFFERENCE, MAX_STRETCH

MAX_TIME_SCALE = 2**31
UNKNOWN = (0, 2**32 - 1, 2**64 - 1)  # durations
MAX_BOXES = 10_000  # on one level; a file has far fewer
MAX_TABLE_BYTES = 2**27  # of a list of times: those of 16 million frames that all differ


def find_contradiction(file: BinaryIO, track_id: int) -> str | None:
    """Returns how a track's time stamps contradict its header, or None.

    FFmpeg does not tell: it shows those frames that fall within the header's duration.

    Args:
        file: The file; its position is changed.
        track_id: Number of the track in the file.
    """
    size = file.seek(0, 2)
    for name, start, end in iter_boxes(file, 0, size):
        if name == b"moov":
            return _check_movie(file, start, end, track_id)
    return None


def find_track(file: BinaryIO, track_id: int) -> list[int] | None:
    """Returns where the content of a track's `trak` box starts and ends, or None.

    Args:
        file: The file; its position is changed.
        track_id: Number of the track in the file.
    """
    movie = find_box(file, 0, file.seek(0, 2), b"moov")
    boxes = movie and iter_boxes(file, *movie)
    for name, *place in boxes or ():
        if name == b"trak" and _track_id(file, *place) == track_id:
            return place
    return None


def _check_movie(file, start, end, track_id):
    boxes = list(iter_boxes(file, start, end))
    if any(name == b"mvex" for name, *_ in boxes):
        return None  # the frames of a fragmented file have their times beside them
    for name, *place in boxes:
        if name == b"trak" and _track_id(file, *place) == track_id:
            return _check_track(file, *place, _movie_time_scale(file, boxes))
    return None


def _movie_time_scale(file, boxes):
    """Returns in how many units a second has the durations outside of `mdia`; 0 if unknown."""
    header = next((place for name, *place in boxes if name == b"mvhd"), None)
    return _number(file, header, (12, 4), (20, 4)) if header else 0


def _track_id(file, start, end):
    header = find_box(file, start, end, b"tkhd")
    return header and _number(file, header, (12, 4), (20, 4))


def _check_track(file, start, end, movie_time_scale):
    media = find_box(file, start, end, b"mdia")
    header = media and find_box(file, *media, b"mdhd")
    tables = media
    for name in (b"minf", b"stbl"):
        tables = tables and find_box(file, *tables, name)
    times = tables and find_box(file, *tables, b"stts")
    if not header or not times:
        return None
    time_scale = _number(file, header, (12, 4), (20, 4))
    duration = _number(file, header, (16, 4), (24, 8))
    counts, intervals = _read_table(file, *times)
    if not counts.any():
        return None
    if not 0 < time_scale < MAX_TIME_SCALE:  # FFmpeg would take 1
        return f"its header says that a second has {time_scale} units of time"
    stated = Fraction(duration, time_scale)
    if duration in UNKNOWN:  # when the header was written
        track_header = find_box(file, start, end, b"tkhd")
        duration = _number(file, track_header, (20, 4), (28, 8)) if track_header else 0
        if duration in UNKNOWN or not movie_time_scale:
            return None
        stated = Fraction(duration, movie_time_scale)
    to_end = Fraction(int(counts @ intervals), time_scale)
    last = np.flatnonzero(counts)[-1]
    to_last = to_end - Fraction(int(intervals[last]), time_scale)
    # Times are those of decoding; a frame may be shown later, and headers count from either.
    delays = find_box(file, *tables, b"ctts")
    delay = Fraction(int(_read_table(file, *delays)[1].max(initial=0)), time_scale) if delays else 0
    if to_last - delay > max(MAX_STRETCH * stated, stated + MAX_DIFFERENCE):
        by_times = to_last
    elif stated > max(MAX_STRETCH * (to_end + delay), to_end + delay + MAX_DIFFERENCE):
        by_times = to_end
    else:
        return None
    return (
        f"its time stamps contradict its header: {int(counts.sum())} frames in "
        f"{float(by_times):.6g} s by the time stamps, {float(stated):.6g} s by the header"
    )


def _read_table(file, start, end):
    """Returns counts of frames, and the time that each of so many has, as floats."""
    file.seek(start + 4)
    count = int.from_bytes(file.read(4), "big")
    content = file.read(max(0, min(8 * count, end - start - 8, MAX_TABLE_BYTES)))
    pairs = np.frombuffer(content[: len(content) // 8 * 8], ">u4").reshape(-1, 2)
    # A negative interval is what some programs write for frames that follow at once.
    times = np.where(pairs[:, 1] < 2**31, pairs[:, 1], 0)
    return pairs[:, 0].astype(float), times.astype(float)


def _number(file, box, short, long):
    """Returns a number of a box, whose (offset, size) depends on the version of the box."""
    start, end = box
    file.seek(start)
    content = file.read(min(end - start, 36))
    offset, size = long if content[:1] == b"\1" else short
    return int.from_bytes(content[offset : offset + size], "big")


def find_box(file: BinaryIO, start: int, end: int, wanted: bytes) -> list[int] | None:
    """Returns (start, end) of the content of the first box of a name, or None."""
    for name, *place in iter_boxes(file, start, end):
        if name == wanted:
            return place
    return None


def iter_boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields (name, start, end of the content) of boxes, up to the first that makes no sense."""
    for _ in range(MAX_BOXES):
        file.seek(start)
        header = file.read(16)
        size, name, head = int.from_bytes(header[:4], "big"), header[4:8], 8
        if size == 1:
            size, head = int.from_bytes(header[8:], "big"), 16
        elif size == 0:  # to the end
            size = end - start
        if len(header) < head or size < head or start + size > end:
            return
        yield name, start + head, start + size
        start += size
