"""Videos of any length as the inputs of the networks of their streams, frame by frame.

Frames are decoded and resized in a thread, flow is computed of them in another (the one that reads
frames ahead, as `Streamer` does), and the network works in a third; none of them is further ahead
than some frames.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import asdict
from itertools import repeat, tee
from typing import Protocol as Interface

import numpy as np

from i3d_tf.flow.engines import ALGORITHMS, choose_engine, engine_parameters
from i3d_tf.flow.flow_folder import FlowFolder, check_source, open_flow
from i3d_tf.flow.quantize import VIDEO_FEATURES, through_codes
from i3d_tf.flow.stream import flow_frames
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import STREAMS
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.jobs import SOURCE, source_metadata
from i3d_tf.video.decode import count_frames, iter_frames, iter_watched, read_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.limits import MAX_FRAME_PIXELS
from i3d_tf.video.probe import probe
from i3d_tf.video.transforms import center_crop

FRAMES_AHEAD = 64  # decoded frames that may wait; as many as flow takes at once
READ_BYTES = 2**26  # of a flow file, at once


class FrameRules(Interface):
    """Rate and size of frames where they are not those of a protocol.

    Attributes:
        frame_rate: Frames per second; None takes the frames as they are.
    """

    frame_rate: float | None

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of a frame after resizing."""
        ...

    def resize(self, frame: np.ndarray) -> np.ndarray:
        """Resizes a frame, uint8 RGB (H, W, 3)."""
        ...


class VideoSource:
    """The frames and the flow of a video, computed or from a flow file.

    Args:
        source: See `read_clip`.
        protocol: Its frame rate, short side and crop size are used.
        flow_engine: Optical flow engine, see `i3d_tf.compute_flow`.
        flow_file: Path of the video's flow file, to be read instead of computing flow; or None.
        flow_rounding: How flow goes through 8-bit codes, see `i3d_tf.flow.quantize`; None means
            that computed flow does not, and that files are unpacked as they were rounded.
        rules: Rate and size of the frames instead of the protocol's.

    Raises:
        VideoError: The flow file cannot be read, or its frame rate, size or rounding is another, or
            it is the flow of another video.
    """

    def __init__(
        self,
        source: str | os.PathLike | bytes,
        protocol: Protocol,
        flow_engine: str = "auto",
        flow_file: str | os.PathLike | None = None,
        flow_rounding: str | None = None,
        rules: FrameRules | None = None,
    ):
        self._source, self._protocol, self._flow_engine = source, protocol, flow_engine
        self._path = "<bytes>" if isinstance(source, bytes) else str(source)
        self._flow_rounding, self._rules = flow_rounding, rules
        self._rate = protocol.frame_rate if rules is None else rules.frame_rate
        self._native_rate: float | None = None
        self._stored_flow = None
        if flow_file is not None:
            self._stored_flow = open_flow(flow_file, stored_rounding(flow_rounding))
        self._num_frames: int | None = None
        if self._stored_flow is not None:
            if rules is None:
                _check_flow_file(self._stored_flow, protocol)
            else:
                self._check_flow_of_rules(self._stored_flow, rules)
            if not isinstance(source, bytes):
                check_source(self._stored_flow, source)

    @property
    def frame_rate(self) -> float:
        """Frames per second of `frames`: where they are taken as they are, the file's average.

        Raises:
            VideoError: The video cannot be read, or does not say its rate.
        """
        if self._rate is not None:
            return self._rate
        if self._native_rate is None:
            self._native_rate = probe(self._source).frame_rate
        if self._native_rate is None:
            raise VideoError(self._path, "it does not say its frame rate; give --frame_rate=N")
        return self._native_rate

    def _check_flow_of_rules(self, stored, rules):
        """Checks stored flow against the frames that rules give; a folder's rate is not known."""
        info = probe(self._source)
        wanted = rules.size_of(info.height, info.width)
        if (stored.height, stored.width) != wanted:
            raise VideoError(
                stored.path,
                f"its flow is of {stored.width} x {stored.height} pixels, not {wanted[1]} x "
                f"{wanted[0]}; name another folder of flow, or none",
            )
        is_folder_of_native = isinstance(stored, FlowFolder) and self._rate is None
        rate = stored.metadata["frame_rate"]
        if not is_folder_of_native and not math.isclose(rate, self.frame_rate, rel_tol=1e-3):
            raise VideoError(
                stored.path,
                f"its flow is of {rate:g} frames per second, not {self.frame_rate:g}; name another "
                "folder of flow, or none",
            )

    @property
    def num_frames(self) -> int:
        """Frames at the protocol's rate; unless they have been read, all are decoded to count them.

        Raises:
            VideoError: The video cannot be read, or has not as many frames as its flow file.
        """
        if self._num_frames is None:
            number = count_frames(self._source, self._rate)
            self._check_flow_length(number)
            self._num_frames = number
        return self._num_frames

    def _check_flow_length(self, number):
        flow = self._stored_flow
        if flow is None or flow.frames == number:
            return
        # Some programs write as many pictures of flow as there are frames.
        if not isinstance(flow, FlowFolder) or flow.frames != number + 1:
            raise VideoError(
                flow.path,
                f"it has {flow.frames} frames of flow, and the video {number}: it is another's",
            )

    def frames(self, stream: str) -> Iterator[np.ndarray]:
        """Reads one stream from its start; the video is decoded anew.

        Args:
            stream: "rgb" or "flow".

        Yields:
            The center crop of a resized frame, (crop_size, crop_size, C): uint8 RGB; or float32
            flow to the next frame, x then y, pixels per frame, computed before it is cropped.

        Raises:
            VideoError: The video or its flow file cannot be read, or the number of frames is not
                the one before.
        """
        for frame in self.whole_frames(stream):
            # A copy, so that the whole frame need not be kept.
            yield center_crop(frame[np.newaxis], self._protocol.crop_size)[0].copy()

    def whole_frames(self, stream: str) -> Iterator[np.ndarray]:
        """Reads one stream from its start as `frames` does, before frames are cropped.

        Args:
            stream: "rgb" or "flow".

        Yields:
            (H, W, C), see `frames`.

        Raises:
            VideoError: See `frames`.
        """
        check_choice("stream", stream, STREAMS)
        return self._counted(self._resized_frames(stream), stream)

    def whole_frame_pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Reads both streams at once, so that a video whose flow is computed is decoded once.

        Yields:
            (RGB, flow), as `whole_frames` yields each.

        Raises:
            VideoError: See `frames`.
        """
        if self._stored_flow is not None:
            flow, num_frames = iter(self._resized_frames("flow")), 0
            for frame in self.whole_frames("rgb"):
                num_frames += 1
                if (vectors := next(flow, None)) is not None:
                    yield frame, vectors
            self._check_flow_length(num_frames)
            return
        frames, copies = tee(iter_watched(self._path, self._read_rgb(), FRAMES_AHEAD))
        pairs = zip(frames, self._computed_flow(copies), strict=True)
        yield from self._counted(pairs, "rgb")

    def _counted(self, frames, stream):
        """Yields frames, and checks that they are as many as before."""
        number = 0
        for frame in frames:
            yield frame
            number += 1
        if self._num_frames is None:
            self._num_frames = number
        if number != self._num_frames:
            stored = self._stored_flow if stream == "flow" else None
            raise VideoError(
                self._path if stored is None else stored.path,
                f"it has {number} frames of {stream}, and not {self._num_frames} as before",
            )

    def _resized_frames(self, stream):
        """Returns an iterator of the frames before they are cropped."""
        rounding = self._flow_rounding
        if stream == "flow" and self._stored_flow is not None:
            is_folder = isinstance(self._stored_flow, FlowFolder)
            end = self.num_frames if is_folder else self._stored_flow.frames
            flow = iter_watched(
                self._stored_flow.path, _read_flow(self._stored_flow, end), FRAMES_AHEAD
            )
            if stored_rounding(rounding) == rounding:
                return flow
            return (through_codes(frame, rounding) for frame in flow)
        frames = iter_watched(self._path, self._read_rgb(), FRAMES_AHEAD)
        if stream == "rgb":
            return frames
        return self._computed_flow(frames)

    def _computed_flow(self, frames):
        flow, rounding = flow_frames(frames, self._flow_engine), self._flow_rounding
        return flow if rounding is None else (through_codes(frame, rounding) for frame in flow)

    def _read_rgb(self):
        if self._rules is None:
            yield from read_frames(self._source, self._rate, self._protocol.short_side)
            return
        for frame, count in iter_frames(self._source, self._rate):
            height, width = self._rules.size_of(*frame.shape[:2])
            if height * width > MAX_FRAME_PIXELS:
                raise VideoError(
                    self._path,
                    f"its frames would have {width} x {height} pixels, more than "
                    f"{MAX_FRAME_PIXELS}; give a --size",
                )
            yield from repeat(self._rules.resize(frame), count)


def stored_rounding(flow_rounding: str | None) -> str | None:
    """Returns the rounding that flow files must have; None where it may be any."""
    return None if flow_rounding == VIDEO_FEATURES else flow_rounding


def flow_origin(
    flow_engine: str = "auto",
    flow_file: str | os.PathLike | None = None,
    flow_rounding: str | None = None,
) -> dict:
    """Returns how the flow of a video is made, in plain values; of stored flow, also its file.

    Args:
        flow_engine: See `VideoSource`.
        flow_file: See `VideoSource`.
        flow_rounding: See `VideoSource`.

    Raises:
        VideoError: The flow file cannot be read, or its rounding is another.
    """
    if flow_file is None:
        engine = choose_engine(flow_engine)
        computed = {"algorithm": ALGORITHMS[engine], "engine": engine}
        stored = None if flow_rounding is None else f"8 bits, rounding {flow_rounding}"
        return {**computed, "parameters": asdict(engine_parameters(engine)), "stored": stored}
    flow = open_flow(flow_file, stored_rounding(flow_rounding))
    kept = {name: flow.metadata[name] for name in ("algorithm", "engine", "parameters")}
    stored = f"8 bits, rounding {flow.rounding}"
    if stored_rounding(flow_rounding) != flow_rounding:
        stored += f", then {flow_rounding}"
    return {**kept, "stored": stored, SOURCE: source_metadata(flow_file)}


def _read_flow(stored, end):
    """Yields stored flow, some of it in memory at a time."""
    at_once = max(1, READ_BYTES // (stored.height * stored.width * 8))
    for start in range(0, end, at_once):
        yield from stored.read(start, min(start + at_once, end))


def _check_flow_file(stored, protocol):
    rate, short_side = stored.metadata["frame_rate"], stored.metadata["short_side"]
    if not math.isclose(rate, protocol.frame_rate, rel_tol=1e-6) or (
        short_side != protocol.short_side
    ):
        raise VideoError(
            stored.path,
            f"its flow is of {rate:g} frames per second and short side {short_side}, not "
            f"{protocol.frame_rate:g} and {protocol.short_side}; name another folder of flow "
            "files, or none",
        )
