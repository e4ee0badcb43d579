"""Compressed packets of a video, and whether the file held all that its header promised."""

from fractions import Fraction

import av

# How much earlier than its header says a video may end, in seconds. Headers round, and count the
# last frame's duration differently; a file cut short nearly always misses more, or ends in a half
# packet, which counts whatever its length.
TOLERANCE = Fraction(1, 2)


class Packets:
    """Gives the packets of a video stream, then None, which makes a decoder give what it holds."""

    def __init__(self, media):
        """Starts where the container stands.

        Args:
            media: Media.
        """
        self._media = media
        self._broken = False
        self._video_end = self._end = None  # seconds, on the file's own clock

    def __iter__(self):
        ends_corrupt = False
        try:
            # All streams are read: whether a longer sound track goes on tells a short video from a
            # cut.
            for packet in self._media.container.demux():
                self._note(packet)
                if packet.stream_index != self._media.stream.index or not packet.size:
                    continue  # an empty packet would tell the decoder that the video is over
                yield packet
                if self._broken:
                    break
                ends_corrupt = packet.is_corrupt
            self._broken = self._broken or ends_corrupt
        except av.error.FFmpegError:
            self._broken = True
        except IndexError:
            # PyAV, which at the very end asks for streams that a damaged file added on the way.
            pass
        yield None

    def stop(self):
        """Ends the video here, because what follows cannot be used: only the last None remains."""
        self._broken = True

    def ended_early(self):
        """Says whether the file ended before its time; to be asked after the last packet.

        Returns:
            bool.
        """
        promised, seen = self._promised()
        return self._broken or (
            promised is not None and seen is not None and seen < promised - TOLERANCE
        )

    def _note(self, packet):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or packet.time_base is None:
            return
        end = (stamp + (packet.duration or 0)) * packet.time_base
        if packet.stream_index == self._media.stream.index:
            self._video_end = end if self._video_end is None else max(self._video_end, end)
        self._end = end if self._end is None else max(self._end, end)

    def _promised(self):
        """The end that the header promises, and the end that was seen, both in seconds or None."""
        container, stream = self._media.container, self._media.stream
        start = (stream.start_time or 0) * stream.time_base
        name = container.format.name
        if name.startswith("mov") and stream.duration:
            return start + stream.duration * stream.time_base, self._video_end
        # An AVI without its index has lost the duration, but not the number of frames.
        if name == "avi" and stream.frames and stream.average_rate:
            return start + stream.frames / stream.average_rate, self._video_end
        if name.startswith(("matroska", "flv")) and container.duration:
            # Writers disagree whether it counts from 0 or from the first frame; 0 promises less.
            return Fraction(container.duration, av.time_base), self._end
        return None, None  # other formats have no header that knows
