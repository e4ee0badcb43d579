"""Damage in compressed frames that decoders pass over: bytes that no encoder writes.

A block of a file that was lost is mostly left as zeros, which the decoders of arithmetic codes take
for pictures like any others.
"""

import re
from collections.abc import Callable

# Returns whether a packet is damaged.
PacketCheck = Callable[[bytes], bool]

# Zeros in a row within a frame of VP8 or VP9, whose arithmetic code gives each 1 chance in 256.
# At the end of a frame they may be padding.
MAX_ZEROS = 128
# Within a unit of H.264 or HEVC, three in a row are written with another byte between them
# (Rec. ITU-T H.264, 7.4.1.1; H.265, 7.4.2.1); after its end there may be some.
FORBIDDEN_ZEROS = bytes(4)
# A control extension and the start of an image, which each frame of a GIF has once: where there are
# two, the sizes of its blocks lead past its end.
GIF_FRAME_START = re.compile(rb"\x21\xf9\x04.{4}\0\x2c", re.DOTALL)


def packet_check(name: str, header: bytes) -> PacketCheck | None:
    """Returns the check of a codec's packets, or None where there is none.

    Args:
        name: FFmpeg's name of the decoder.
        header: The codec's header, of the container; or empty.
    """
    if name in ("vp8", "vp9", "libvpx", "libvpx-vp9"):
        return _has_zeros
    if name == "gif":
        return lambda packet: len(GIF_FRAME_START.findall(packet)) > 1
    # Units whose sizes precede them, as in mp4, Matroska and FLV.
    if name == "h264" and len(header) > 6 and header[0] == 1:
        return _unit_check((header[4] & 3) + 1, _is_h264_slice)
    if name == "hevc" and len(header) > 21 and header[0] == 1:
        return _unit_check((header[21] & 3) + 1, _is_hevc_slice)
    return None


def _has_zeros(packet):
    return _is_within(packet, bytes(MAX_ZEROS), 0, len(packet))


def _is_within(packet, zeros, start, end):
    """Returns whether so many zeros are followed by something else before the end."""
    found = packet.find(zeros, start, end)
    return found >= 0 and packet.count(0, found, end) < end - found


def _unit_check(size_size, is_slice):
    def check(packet):
        at, packet_size = 0, len(packet)
        while at < packet_size:
            size = int.from_bytes(packet[at : at + size_size], "big")
            at += size_size
            if size == 0 or at + size > packet_size:
                return True
            # Units that are no part of a picture hold what a camera's maker likes.
            if is_slice(packet[at]) and _is_within(packet, FORBIDDEN_ZEROS, at, at + size):
                return True
            at += size
        return False

    return check


def _is_h264_slice(first_byte):
    return 1 <= first_byte & 0x1F <= 5


def _is_hevc_slice(first_byte):
    return first_byte >> 1 & 0x3F < 32
