"""A video of any length as what the networks of its streams see, frame by frame.

Frames are decoded and resized in a thread, flow is computed of them in another (that of whoever
takes frames ahead, as `Streamer` does), and the network works in a third; none of them is further
ahead than some frames.
"""

import math
from dataclasses import asdict

import numpy as np

from i3d_tf.flow.engines import ALGORITHMS, choose_engine, engine_parameters
from i3d_tf.flow.flow_file import open_flow_file
from i3d_tf.flow.stream import flow_frames
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import STREAMS
from i3d_tf.system.prefetch import prefetch
from i3d_tf.video.decode import count_frames, read_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms import centre_crop

FRAMES_AHEAD = 64  # decoded frames that may wait; as many as flow takes at once
PIECE_BYTES = 2**26  # of a flow file, at once


class VideoSource:
    """A video, and where its flow comes from.

    Args:
        source: As for `read_clip`.
        protocol: Its frame rate, short side and crop size are used.
        engine: Optical flow engine, see `i3d_tf.compute_flow`.
        flow_file: Path of the video's flow file, to be read instead of computing flow; or None.

    Raises:
        VideoError: The flow file cannot be read, or is not of this video and protocol.
    """

    def __init__(self, source, protocol: Protocol, engine="auto", flow_file=None):
        self._source, self._protocol, self._engine = source, protocol, engine
        self._path = "<bytes>" if isinstance(source, bytes) else str(source)
        self._flows = None if flow_file is None else open_flow_file(flow_file)
        self._num_frames = None
        if self._flows is not None:
            _check_flow_file(self._flows, protocol)

    @property
    def num_frames(self) -> int:
        """Frames at the protocol's rate; the first who asks waits until all is decoded once.

        Raises:
            VideoError: The video cannot be read, or has not as many frames as its flow file.
        """
        if self._num_frames is None:
            number = count_frames(self._source, self._protocol.frame_rate)
            if self._flows is not None and self._flows.frames != number:
                raise VideoError(
                    self._flows.path,
                    f"it has {self._flows.frames} frames of flow, and the video {number}: it is "
                    "another's",
                )
            self._num_frames = number
        return self._num_frames

    def frames(self, stream):
        """One stream, from its start: the video is decoded anew.

        Args:
            stream: "rgb" or "flow".

        Yields:
            The centre crop of a resized frame, (crop_size, crop_size, C): uint8 RGB; or float32
            flow to the next frame, x then y, pixels per frame, computed before it is cropped.

        Raises:
            VideoError: The video or its flow file cannot be read, or there are not as many frames
                as another time.
        """
        if stream not in STREAMS:
            raise ValueError(f"`stream` must be one of {STREAMS}; received {stream!r}.")
        number = 0
        for frame in self._whole(stream):
            yield self._cropped(frame)
            number += 1
        if self._num_frames is None:
            self._num_frames = number
        if number != self._num_frames:
            of_flow = self._flows is not None and stream == "flow"
            raise VideoError(
                self._flows.path if of_flow else self._path,
                f"it has {number} frames of {stream}, and not {self._num_frames} as before",
            )

    def _whole(self, stream):
        """The frames before they are cropped."""
        if stream == "flow" and self._flows is not None:
            return _ahead(_stored(self._flows), FRAMES_AHEAD)
        rate, short_side = self._protocol.frame_rate, self._protocol.short_side
        frames = _ahead(read_frames(self._source, rate, short_side), FRAMES_AHEAD)
        return frames if stream == "rgb" else flow_frames(frames, self._engine)

    def _cropped(self, frame):
        """A copy, that the whole frame need not be kept for."""
        return centre_crop(frame[np.newaxis], self._protocol.crop_size)[0].copy()


def flow_origin(engine="auto", flow_file=None) -> dict:
    """How the flow of a video is made, in plain values.

    Args:
        engine: As for `VideoSource`.
        flow_file: As for `VideoSource`.

    Raises:
        VideoError: The flow file cannot be read.
    """
    if flow_file is None:
        engine = choose_engine(engine)
        made = {"algorithm": ALGORITHMS[engine], "engine": engine}
        return {**made, "parameters": asdict(engine_parameters(engine)), "stored": None}
    made = open_flow_file(flow_file).metadata
    kept = {name: made[name] for name in ("algorithm", "engine", "parameters")}
    return {**kept, "stored": f"8 bits, rounding {made['rounding']}"}


def _ahead(frames, most):
    with prefetch(frames, most) as made:
        yield from made


def _stored(flows):
    piece = max(1, PIECE_BYTES // (flows.height * flows.width * 8))
    for start in range(0, flows.frames, piece):
        yield from flows.read(start, min(start + piece, flows.frames))


def _check_flow_file(flows, protocol):
    made = flows.metadata
    same_rate = math.isclose(made["frame_rate"], protocol.frame_rate, rel_tol=1e-6)
    if not same_rate or made["short_side"] != protocol.short_side:
        raise VideoError(
            flows.path,
            f"its flow is of {made['frame_rate']:g} frames per second and short side "
            f"{made['short_side']}, not {protocol.frame_rate:g} and {protocol.short_side}; name "
            "another folder of flow files, or none",
        )
