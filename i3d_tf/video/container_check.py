"""Damage in the structure of video files, which FFmpeg passes over by showing a frozen picture.

Matroska and WebM (RFC 9559), Ogg (RFC 3533), GIF89a, APNG, FLV, AVI and MPEG transport streams
(ISO/IEC 13818-1) are walked element by element: sizes must lead from each to the next, checksums
and counters must be correct, and the end must be there. Frames are not looked into. What a sound
file may have is never damage: unknown sizes, files joined end to end, bytes after the end of a GIF
or of a segment.
"""

import math
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

WINDOW = 2**16  # bytes that are read at a time

# Where the walk is, in bytes from the start of the file, and whether what it passed was damaged; at
# inf, all that follows is.
Steps = Iterator[tuple[float, bool]]


class ContainerCheck:
    """A walk through a file, which keeps pace with the packets that are read of it.

    Attributes:
        damaged_until: Where the damage that was met last ends; 0 before any was.
    """

    damaged_until: float

    def __init__(self, steps: Steps, num_bytes: int):
        """Starts at the start of a file.

        Args:
            steps: The walk.
            num_bytes: Size of the file.
        """
        self.damaged_until = 0
        self._steps = steps
        self._num_bytes = num_bytes
        self._at = 0.0

    def is_damaged(self, start: int, end: int) -> bool:
        """Returns whether a packet is damaged, or the file between it and the one before.

        Args:
            start: First byte of the packet, or of a page with it.
            end: Byte after its last; the walk goes on to it.
        """
        return self._meets_damage(end) or start < self.damaged_until

    def is_damaged_to_end(self) -> bool:
        """Walks on to the end of the file; returns whether there is damage, or no proper end."""
        return self._meets_damage(self._num_bytes + 1) or self.damaged_until == math.inf

    def _meets_damage(self, position):
        damaged = False
        while self._at < position:
            step = next(self._steps, None)
            if step is None:
                break
            self._at, is_damaged = step
            if is_damaged:
                damaged, self.damaged_until = True, self._at
        return damaged


def start_check(
    file: BinaryIO, format_name: str, stream_id: int, start: int = 0
) -> ContainerCheck | None:
    """Starts a check of a file; None for formats that FFmpeg or the codecs check.

    Args:
        file: The file, whose position stays as it is.
        format_name: FFmpeg's name of the format.
        stream_id: FFmpeg's number of the video stream.
        start: Damage before this byte is of no interest.
    """
    window = FileWindow(file)
    if format_name.startswith("matroska"):
        steps = _walk_matroska(window, start)
    elif format_name == "ogg":
        steps = _walk_ogg(window)
    elif format_name == "gif":
        steps = _walk_gif(window)
    elif format_name in ("apng", "png_pipe"):
        steps = _walk_png(window)
    elif format_name == "flv":
        steps = _walk_flv(window)
    elif format_name == "avi":
        steps = _walk_avi(window)
    elif format_name == "mpegts":
        steps = _walk_transport_stream(window, stream_id, start)
    else:
        return None
    return ContainerCheck(steps, window.num_bytes)


class FileWindow:
    """A file that is read in small pieces, nearly in order, while something else reads it too."""

    def __init__(self, file: BinaryIO):
        """Starts anywhere; the file's position stays as it is."""
        self._file = file
        self.num_bytes = self._keep_position(lambda: file.seek(0, 2))
        self._start, self._content = 0, b""

    def read(self, at: int, size: int) -> bytes:
        """Returns bytes, fewer at the end of the file."""
        offset = at - self._start
        if offset < 0 or offset + size > len(self._content):
            self._start, offset = at, 0
            self._content = self._keep_position(lambda: self._read_at(at, max(size, WINDOW)))
        return self._content[offset : offset + size]

    def read_some(self, at: int) -> bytes:
        """Returns bytes, however many are at hand; none at the end of the file."""
        return self.read(at, 1) and self._content[at - self._start :]

    def find(self, pattern: bytes, at: int) -> int:
        """Returns where a pattern comes next, or the size of the file."""
        while at < self.num_bytes:
            content = self.read(at, WINDOW)
            found = content.find(pattern)
            if found >= 0:
                return at + found
            at += max(1, len(content) - len(pattern) + 1)
        return self.num_bytes

    def _read_at(self, at, size):
        self._file.seek(at)
        return self._file.read(size)

    def _keep_position(self, read):
        position = self._file.tell()
        try:
            return read()
        finally:
            self._file.seek(position)


def has_reached_end(file: BinaryIO, format_name: str) -> bool:
    """Returns whether a file says how long it is, and is as long.

    Args:
        file: The file, whose position stays as it is.
        format_name: FFmpeg's name of the format; of most formats it cannot be known.
    """
    if not format_name.startswith("matroska"):
        return False
    window = FileWindow(file)
    head = read_element(window, 0)
    segment = None if head is None or head.end == math.inf else read_element(window, head.end)
    return segment is not None and segment.end <= window.num_bytes


EBML_HEADER, SEGMENT, CLUSTER = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
CRC_32, VOID, BLOCK_GROUP, SIMPLE_BLOCK = b"\xbf", b"\xec", b"\xa0", b"\xa3"
SEGMENT_CHILDREN = {  # index, metadata, tracks, clusters, cues, attachments, chapters, tags
    *(b"\x11\x4d\x9b\x74", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b", CLUSTER),
    *(b"\x1c\x53\xbb\x6b", b"\x19\x41\xa4\x69", b"\x10\x43\xa7\x70", b"\x12\x54\xc3\x67"),
    *(VOID, CRC_32),
}
BEHIND_A_CLUSTER = {EBML_HEADER, *SEGMENT_CHILDREN} - {VOID, CRC_32}  # VOID may be within it
CLUSTER_CHILDREN = {  # time, silent tracks, position, size before, encrypted blocks
    *(b"\xe7", b"\x58\x54", b"\xa7", b"\xab", b"\xaf"),
    *(SIMPLE_BLOCK, BLOCK_GROUP, VOID, CRC_32),
}


class Element(NamedTuple):
    """An EBML element: its name, and where its content starts and ends (inf where unknown)."""

    name: bytes
    start: int
    end: Any  # int, or math.inf, which is behind every file


def read_element(window: FileWindow, at: int) -> Element | None:
    """Returns the EBML element at a place, or None where none can be."""
    header = window.read(at, 12)
    if not header or not header[0]:
        return None
    name_size = 9 - header[0].bit_length()
    if name_size > 4 or len(header) <= name_size or not header[name_size]:
        return None
    size_size = 9 - header[name_size].bit_length()
    start = name_size + size_size
    if len(header) < start:
        return None
    unknown = (1 << 7 * size_size) - 1
    size = int.from_bytes(header[name_size:start], "big") & unknown
    end = math.inf if size == unknown else at + start + size
    return Element(header[:name_size], at + start, end)


def _walk_matroska(window, start) -> Steps:
    head = read_element(window, 0)
    if head is None or head.name != EBML_HEADER or head.end >= window.num_bytes:
        return
    segment = read_element(window, head.end)
    if segment is None or segment.name != SEGMENT:
        return
    at: Any = segment.start
    while at < min(segment.end, window.num_bytes):
        element = read_element(window, at)
        if element is None or element.name not in SEGMENT_CHILDREN:
            if element is not None and element.name in (EBML_HEADER, SEGMENT):
                return  # another file that was appended
            at = window.find(CLUSTER, at + 1)
            yield at, at > start
        elif element.name != CLUSTER or element.end <= start:
            if element.end == math.inf:
                return
            at = element.end
            yield min(at, window.num_bytes), at > window.num_bytes
        else:
            for at, damaged in _walk_cluster(window, element, start):
                yield at, damaged and at > start
    yield window.num_bytes, math.inf > segment.end > window.num_bytes
    yield window.num_bytes + 1, False


def _walk_cluster(window, cluster, start) -> Steps:
    at = cluster.start
    checksum, checked_from = b"", 0
    if cluster.end > window.num_bytes and cluster.end != math.inf:
        cluster = cluster._replace(end=window.num_bytes + 1)  # cut: its last bytes are missing
    while at < min(cluster.end, window.num_bytes):
        element = read_element(window, at)
        if element is not None and cluster.end == math.inf and element.name in BEHIND_A_CLUSTER:
            return
        if element is None or not _belongs(window, element, cluster):
            # What a cluster has lost cannot be found; the next cluster can.
            to = window.find(CLUSTER, at + 1) if cluster.end == math.inf else cluster.end
            yield min(to, window.num_bytes), True
            return
        if element.name == CRC_32 and at == cluster.start:
            checksum, checked_from = window.read(element.start, 4), element.end
        at = element.end
        yield min(at, window.num_bytes), False
    is_wrong = at > window.num_bytes or (at == window.num_bytes and cluster.end == at + 1)
    if checksum and start <= cluster.start < cluster.end < math.inf and not is_wrong:
        # It says that there is damage, but not where.
        is_wrong = checksum != _crc_32(window, checked_from, cluster.end).to_bytes(4, "little")
    yield min(at, window.num_bytes), is_wrong


def _belongs(window, element, cluster):
    """Returns whether a child of a cluster can be one."""
    if element.name not in CLUSTER_CHILDREN or element.end > cluster.end:
        return False
    if element.name == SIMPLE_BLOCK:  # starts with the number of its track, never 0
        return window.read(element.start, 1) != b"\0"
    if element.name != BLOCK_GROUP:
        return True
    at = element.start
    while at < min(element.end, window.num_bytes):
        child = read_element(window, at)
        if child is None or child.end > element.end:
            return False
        at = child.end
    return True


def _crc_32(window, start, end):
    crc = 0
    for at in range(start, end, WINDOW):
        crc = zlib.crc32(window.read(at, min(WINDOW, end - at)), crc)
    return crc


OGG_PAGE = b"OggS"
OGG_VIDEO = (b"\x80theora", b"OVP80", b"BBCD\0", b"\x80daala")  # first bytes of the streams
FIRST_PAGE, LAST_PAGE = 2, 4  # flags
# Ogg's CRC takes the bits of a byte in the other order than zlib's.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _walk_ogg(window) -> Steps:
    """Walks the pages of the video streams; those of other streams are passed over."""
    at, is_open = 0, False
    expected: dict[bytes, int] = {}  # number of the next page, by stream
    while at < window.num_bytes:
        header = window.read(at, 27 + 255)
        size = 27 + header[26] if len(header) > 26 else 27
        size += sum(header[27:size])
        page = window.read(at, size)
        if header[:4] != OGG_PAGE or len(page) < size:
            at = window.find(OGG_PAGE, at + 1)
            yield at, is_open or at < window.num_bytes  # else: bytes after the end
            continue
        stream, number = page[14:18], int.from_bytes(page[18:22], "little")
        is_video = stream in expected
        if page[5] & FIRST_PAGE:
            is_video = page[27 + page[26] :].startswith(OGG_VIDEO)
            expected.pop(stream, None)
        is_correct = _ogg_checksum(page) == page[22:26]
        if is_video:
            is_correct = is_correct and number == expected.get(stream, number)
            expected[stream] = (number + 1) % 2**32
            is_open = not page[5] & LAST_PAGE
        at += size
        # A page that is not what it was may have been one of any stream.
        yield at, not is_correct
    yield window.num_bytes + 1, is_open


def _ogg_checksum(page):
    content = page[:22] + bytes(4) + page[26:]
    reflected = zlib.crc32(content.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return reflected.to_bytes(4, "big").translate(_REVERSED)


GIF_EXTENSION, GIF_IMAGE, GIF_END = b"\x21", b"\x2c", b"\x3b"
MAX_GIF_PADDING = 8  # zeros that some programs write between blocks


def _walk_gif(window) -> Steps:
    at = 13 + _gif_colours(window.read(10, 1))
    while True:
        for _ in range(MAX_GIF_PADDING):
            at += window.read(at, 1) == b"\0"
        kind = window.read(at, 1)
        if kind == GIF_END:
            return
        if kind == GIF_EXTENSION:
            at += 2
        elif kind == GIF_IMAGE:
            at += 10 + _gif_colours(window.read(at + 9, 1)) + 1
        else:
            break
        at = _skip_gif_blocks(window, at)
        yield min(at, window.num_bytes), False
    yield math.inf, True  # where the next block starts is not known any more


def _skip_gif_blocks(window, at):
    """Returns where a chain of blocks ends: each has its size before it, and the last has none."""
    while content := window.read_some(at):
        offset = 0
        while offset < len(content):
            size = content[offset]
            offset += 1 + size
            if not size:
                return at + offset
        at += offset
    return at


def _gif_colours(flags):
    """Returns the size of a table of colours, from the flags before it."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


PNG_HEAD, PNG_END = 8, b"IEND"


def _walk_png(window) -> Steps:
    """Walks the chunks, each of which has a checksum."""
    at, name = PNG_HEAD, b""
    while name != PNG_END:
        header = window.read(at, 8)
        size, name = int.from_bytes(header[:4], "big"), header[4:]
        end = at + 8 + size + 4
        if len(header) < 8 or end > window.num_bytes:
            break
        checksum = int.from_bytes(window.read(end - 4, 4), "big")
        yield end, _crc_32(window, at + 4, end - 4) != checksum
        at = end
    else:
        return
    yield math.inf, True  # cut short, or where the next chunk starts is not known any more


FLV_TAGS = (8, 9, 18)  # sound, video, metadata


def _walk_flv(window) -> Steps:
    """Walks the tags; the sizes that follow them are not used: some programs write others."""
    at = int.from_bytes(window.read(5, 4), "big") + 4
    while at + 11 <= window.num_bytes:
        tag = window.read(at, 4)
        if tag[0] & 0x1F not in FLV_TAGS:
            yield math.inf, True  # where the next tag starts is not known any more
            return
        at += 11 + int.from_bytes(tag[1:], "big") + 4
        yield min(at, window.num_bytes), at > window.num_bytes + 4


AVI_NAME = re.compile(rb"[0-9A-Za-z _]{4}")
AVI_INDEX, AVI_LIST, AVI_PART = b"idx1", b"LIST", b"RIFF"
AVI_ENTERED = (b"movi", b"rec ")  # lists of frames, whose own sizes are not used


def _walk_avi(window) -> Steps:
    """Walks the chunks, up to the index; a recording that was broken off has none."""
    at = 0
    while at + 8 <= window.num_bytes:
        header = window.read(at, 12)
        name, size = header[:4], int.from_bytes(header[4:8], "little")
        if name == AVI_INDEX:
            return
        if not AVI_NAME.fullmatch(name):
            yield math.inf, True  # where the next chunk starts is not known any more
            return
        is_entered = name == AVI_PART or (name == AVI_LIST and header[8:] in AVI_ENTERED)
        at += 12 if is_entered else 8 + size + size % 2
        yield min(at, window.num_bytes), at > window.num_bytes + 1


SYNC = 0x47
# Size of a transport stream's packets and of what precedes each: plain, Blu-ray, with parity.
TRANSPORT_LAYOUTS = ((188, 0), (192, 4), (204, 0))
MAX_BEFORE = 4
MIN_PACKETS = 5  # in a row, to tell them from other bytes
PACKETS_AT_ONCE = 512


def _walk_transport_stream(window, stream_id, start) -> Steps:
    at, size, before = _find_packets(window, 0, TRANSPORT_LAYOUTS)
    if size == 0:
        return
    at += max(0, start - at) // size * size
    counter = None
    while at + size <= window.num_bytes:
        content = window.read(at, size * PACKETS_AT_ONCE)
        content = np.frombuffer(content[: len(content) // size * size], np.uint8)
        packets = content.reshape(-1, size)[:, before:]
        out_of_step = np.flatnonzero(packets[:, 0] != SYNC)
        packets = packets[: out_of_step[0]] if out_of_step.size else packets
        faults, counter = _transport_faults(packets, stream_id, counter)
        for fault in faults.tolist():
            yield at + fault * size, False
            yield at + (fault + 1) * size, True
        at += len(packets) * size
        yield at, False
        if out_of_step.size:
            at, counter = _find_packets(window, at + 1, [(size, before)])[0], None
            yield at, True
    yield window.num_bytes + 1, at < window.num_bytes  # a part of a packet


def _find_packets(window, at, layouts):
    """Returns (place, size, bytes before) of the next packets; (size of the file, 0, 0) if none."""
    while at < window.num_bytes:
        content = window.read(at, WINDOW)
        sync = content.find(SYNC)
        while 0 <= sync < WINDOW // 2 + MAX_BEFORE:
            for size, before in layouts:
                there = min(MIN_PACKETS, (window.num_bytes - at - sync + before) // size)
                syncs = content[sync : sync - before + size * there : size]
                if sync >= before and syncs and syncs == bytes([SYNC]) * there:
                    return at + sync - before, size, before
            sync = content.find(SYNC, sync + 1)
        at += WINDOW // 2
    return window.num_bytes, 0, 0


def _transport_faults(packets, stream_id, counter):
    """Returns which packets of a stream follow a gap or are marked as wrong, and its last counter.

    Args:
        packets: uint8 (N, size).
        stream_id: Number of the stream.
        counter: Of its packet before these, or None.
    """
    of_stream = (packets[:, 1] & 0x1F) == stream_id >> 8
    of_stream &= packets[:, 2] == stream_id & 0xFF
    of_stream &= packets[:, 3] & 0x10 > 0  # only those with content are counted
    indices = np.flatnonzero(of_stream)
    if not len(indices):
        return indices, counter
    packets = packets[indices]
    counters = packets[:, 3] & 0x0F
    previous = np.concatenate([counters[:1] if counter is None else [counter], counters[:-1]])
    is_repeated_or_next = (counters - previous) & 0x0F <= 1
    # Where a packet starts a picture, or says that its counter starts anew, files may be joined.
    starts = packets[:, 1] & 0x40 > 0
    starts |= (packets[:, 3] & 0x20 > 0) & (packets[:, 4] > 0) & (packets[:, 5] & 0x80 > 0)
    is_wrong = packets[:, 1] & 0x80 > 0
    return indices[is_wrong | ~(is_repeated_or_next | starts)], int(counters[-1])
