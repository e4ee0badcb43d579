"""The part of each frame that a container asks to show, which FFmpeg's decoders do not know.

Matroska has pixels to leave out on each side (RFC 9559, 5.1.4.1.28), mp4 and mov a "clean aperture"
(ISO/IEC 14496-12, `clap`).
"""

from fractions import Fraction
from typing import BinaryIO, NamedTuple

import av

from i3d_tf.video.container_check import FileWindow, read_element
from i3d_tf.video.mp4_index import find_box, find_track

TRACKS, TRACK_ENTRY, TRACK_TYPE = b"\x16\x54\xae\x6b", b"\xae", b"\x83"
IS_VIDEO = 1
VIDEO = b"\xe0"
LEFT, TOP, RIGHT, BOTTOM = b"\x54\xcc", b"\x54\xbb", b"\x54\xdd", b"\x54\xaa"

CLUSTER = b"\x1f\x43\xb6\x75"
MAX_CHILDREN = 10_000
SAMPLE_ENTRY_BYTES = 86  # of a picture, before the boxes in it


class Margins(NamedTuple):
    """Pixels to leave out on each side of a stored frame."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def leave_some_of(self, width: int, height: int) -> bool:
        """Returns whether a frame of a size has such margins, and something between them."""
        fits = self.left + self.right < width and self.top + self.bottom < height
        return min(self) >= 0 and fits


NO_MARGINS = Margins()


def read_margins(file: BinaryIO, format_name: str, stream: av.VideoStream, number: int) -> Margins:
    """Reads the margins of a video stream; none where the file has none, or none that make sense.

    Args:
        file: The file, whose position stays as it is.
        format_name: FFmpeg's name of the format.
        stream: The stream.
        number: How many other video streams come before it.
    """
    width, height = stream.codec_context.width, stream.codec_context.height
    position = file.tell()
    margins = NO_MARGINS
    if format_name.startswith("matroska"):
        margins = _of_matroska(FileWindow(file), number)
    elif format_name.startswith("mov"):
        margins = _of_mp4(file, stream.id, width, height)
    file.seek(position)
    return margins if margins.leave_some_of(width, height) else NO_MARGINS


def _of_matroska(window, number):
    head = read_element(window, 0)
    segment = head and head.end < window.num_bytes and read_element(window, head.end)
    if not segment:
        return NO_MARGINS
    for element in _children(window, segment):
        if element.name == TRACKS:
            tracks = [
                {child.name: child for child in _children(window, entry)}
                for entry in _children(window, element)
                if entry.name == TRACK_ENTRY
            ]
            videos = [track for track in tracks if _number(window, track, TRACK_TYPE) == IS_VIDEO]
            if number >= len(videos):
                break
            picture = videos[number].get(VIDEO)
            sides = {child.name: child for child in _children(window, picture)}
            return Margins(*(_number(window, sides, side) for side in (LEFT, TOP, RIGHT, BOTTOM)))
        if element.name == CLUSTER:  # tracks come before
            break
    return NO_MARGINS


def _children(window, parent):
    """Yields the elements within one, up to the first that makes no sense."""
    at = parent.start if parent else 0
    for _ in range(MAX_CHILDREN if parent else 0):
        is_inside = at < min(parent.end, window.num_bytes)
        element = read_element(window, at) if is_inside else None
        if element is None:
            return
        yield element
        at = element.end


def _number(window, elements, name):
    """Returns an unsigned integer; 0 where it is not there."""
    element = elements.get(name)
    if element is None or element.end - element.start > 8:
        return 0
    return int.from_bytes(window.read(element.start, element.end - element.start), "big")


def _of_mp4(file, track_id, width, height):
    box = find_track(file, track_id)
    for name in (b"mdia", b"minf", b"stbl", b"stsd"):
        box = box and find_box(file, *box, name)
    if not box:
        return NO_MARGINS
    aperture = find_box(file, box[0] + 8 + SAMPLE_ENTRY_BYTES, box[1], b"clap")
    if not aperture:
        return NO_MARGINS
    file.seek(aperture[0])
    content = file.read(32)
    numbers = [
        int.from_bytes(content[at : at + 4], "big", signed=True) for at in range(0, len(content), 4)
    ]
    if len(numbers) < 8 or not all(numbers[1::2]):
        return NO_MARGINS
    # Size, then the offset of its centre from the picture's.
    wide, high, right_by, down_by = (
        Fraction(*pair) for pair in zip(numbers[:8:2], numbers[1:8:2], strict=True)
    )
    left, top = (width - wide) / 2 + right_by, (height - high) / 2 + down_by
    sides = left, top, width - wide - left, height - high - top
    return Margins(*map(round, sides)) if min(sides) >= 0 else NO_MARGINS
