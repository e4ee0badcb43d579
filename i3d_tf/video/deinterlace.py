"""Deinterlacing of decoded frames, by FFmpeg's `bwdif`: one frame for each."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av

from i3d_tf.video.errors import VideoError
from i3d_tf.video.timeline import DecodedFrame

# Frames that are not marked as interlaced stay as they are.
FILTER, FILTER_ARGUMENTS = "bwdif", "mode=send_frame:deint=interlaced"


def deinterlaced(frames: Iterable[DecodedFrame]) -> Iterator[DecodedFrame]:
    """Deinterlaces frames.

    Args:
        frames: Frames in the order in which they are shown.

    Yields:
        The same frames; those that were interlaced have both fields from one time. What `frames`
        raises is raised behind all that came before.
    """
    graph = None
    try:
        for number, frame in enumerate(frames):
            if graph is None or not graph.accepts(frame):
                if graph is not None:
                    yield from graph.end()
                graph = _Graph(frame)
            yield from graph.push(number, frame)
    except VideoError:
        if graph is not None:
            yield from graph.end()
        raise
    if graph is not None:
        yield from graph.end()


class _Graph:
    """A filter for frames of one size and format, and the frames that are within it."""

    def __init__(self, frame):
        picture = frame.av_frame
        self._form = _form(picture)
        self._within = deque()
        self._graph = av.filter.Graph()
        self._source = self._graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=picture.format,
            time_base=Fraction(1, 1),
        )
        self._sink = self._graph.add("buffersink")
        middle = self._graph.add(FILTER, FILTER_ARGUMENTS)
        self._source.link_to(middle)
        middle.link_to(self._sink)
        self._graph.configure()

    def accepts(self, frame):
        return _form(frame.av_frame) == self._form

    def push(self, number, frame):
        frame.av_frame.pts, frame.av_frame.time_base = number, Fraction(1, 1)
        self._within.append(frame)
        self._source.push(frame.av_frame)
        yield from self._pull()

    def end(self):
        self._source.push(None)
        yield from self._pull()

    def _pull(self):
        while True:
            try:
                picture = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield self._within.popleft()._replace(av_frame=picture)


def _form(picture):
    return picture.width, picture.height, picture.format.name
