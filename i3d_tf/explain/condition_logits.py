"""The logits of a video whose frames are shown in other orders, decoded once for all of them.

Flow is computed of the frames in their new order: of a repeated frame it is zero, and that of a
reversed clip is not the negative of that of the clip.
"""

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.explain.frame_orders import (
    FROZEN,
    MIDDLE,
    Condition,
    frame_order,
    frozen_candidates,
)
from i3d_tf.explain.video_logits import VideoLogits
from i3d_tf.flow.compute import compute_fields, compute_flow
from i3d_tf.flow.quantize import through_codes
from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.inference.prediction import check_finite
from i3d_tf.inference.streaming import chunked_forward
from i3d_tf.inference.test_clip import TestClips, TestWindow, read_test_clips
from i3d_tf.specs.protocol import Protocol, flow_fields, frame_indices
from i3d_tf.specs.streams import BOTH, JOINT, STREAMS, streams_of
from i3d_tf.video.sampling import first_frames
from i3d_tf.video.transforms import CropPlace, crop_at, crop_places, preprocess_input

BATCH_PIXELS = 4 * 64 * 224 * 224  # of the clips that go through a network at once


class ConditionLogits:
    """Networks that are shown a video under several conditions.

    Args:
        models: "rgb" and "flow", one of them, or "joint" for one network of both, to its model.
        protocol: How clips of a video are made.
        conditions: See `i3d_tf.explain.frame_orders`.
        frozen_frames: Frames of a clip among which "frozen:best" and "frozen:oracle" choose.
        seed: Of shuffling.
        flow_engine: See `compute_flow`.
        flow_rounding: See `through_codes`; None gives flow as computed.
    """

    def __init__(
        self,
        models: Mapping[str, keras.Model],
        protocol: Protocol,
        conditions: Sequence[Condition],
        frozen_frames: int,
        seed: int = 0,
        flow_engine: str = "auto",
        flow_rounding: str | None = None,
    ):
        pixels = protocol.frames * protocol.segments * protocol.crop_size**2
        self._batch_size = max(1, BATCH_PIXELS // pixels)
        self._forward: dict[str, Callable] = {
            name: (self._batch_size == 1 and chunked_forward(model)) or forward_function(model)
            for name, model in models.items()
        }
        self._protocol = protocol
        self._ordered = [each for each in conditions if each.kind != FROZEN]
        selections = {each.selection for each in conditions if each.kind == FROZEN}
        self._is_frozen = bool(selections)
        self._frozen_frames = frozen_frames if selections - {MIDDLE} else 0
        self._seed = seed
        self._flow_engine = flow_engine
        self._flow_rounding = flow_rounding
        self._still: np.ndarray | None = None  # the flow network's logits of no motion

    def __call__(
        self, path: str, name: str, start: float | None = None, end: float | None = None
    ) -> VideoLogits:
        """Computes the logits of a video.

        Args:
            path: The video.
            name: Its name, which with the seed decides how it is shuffled.
            start: See `read_test_clips`.
            end: See `read_test_clips`.

        Raises:
            VideoError: The video cannot be read; or the logits are not finite.
            MemoryError: There is not enough memory for it.
        """
        clips = read_test_clips(path, self._protocol, start, end)
        try:
            return self._video_logits(clips, path, name)
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError from error

    def _video_logits(self, clips: TestClips, path, name):
        length = clips.length * clips.segments
        seen = _looped("rgb", clips.length, clips.segments, self._protocol)
        generators = {
            condition.name: np.random.default_rng(
                [self._seed, zlib.crc32(f"{name}\n{condition.name}".encode())]
            )
            for condition in self._ordered
        }
        middle_frame = int(seen[len(seen) // 2])
        candidates = frozen_candidates(length, self._frozen_frames, middle_frame)
        num_frozen = len(candidates) if self._is_frozen else 0
        of_clips = [
            self._clip_logits(
                windows,
                [frame_order(c, length, generators[c.name]) for c in self._ordered]
                + [np.full(length, frame) for frame in candidates[:num_frozen]],
            )
            for windows in clips.clips()
        ]
        ordered, frozen = {}, {}
        for network in self._forward:
            mean = np.mean([logits[network] for logits in of_clips], axis=0)
            check_finite(path, mean)
            rows = dict(zip((c.name for c in self._ordered), mean, strict=False))
            ordered[network], frozen[network] = rows, mean[len(rows) :]
        return VideoLogits(ordered, frozen, candidates.index(middle_frame))

    def _clip_logits(self, windows: list[TestWindow], orders) -> dict[str, np.ndarray]:
        """Returns the logits of a clip in each order, (orders, classes), by network."""
        rows: dict[str, list[list]] = {network: [[] for _ in orders] for network in self._forward}
        inputs = self._inputs(windows, orders)
        while batch := list(itertools.islice(inputs, self._batch_size)):
            for network in self._forward:
                numbers = [number for number, _ in batch]
                logits = self._batch_logits(network, orders, batch)
                for number, row in zip(numbers, logits, strict=True):
                    rows[network][number].append(row)
        return {
            network: np.stack([np.mean(crops, axis=0) for crops in of_orders])
            for network, of_orders in rows.items()
        }

    def _inputs(self, windows, orders) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Yields the number of an order, and stream to clip, for each order and each crop."""
        protocol = self._protocol
        streams = {stream for network in self._forward for stream in streams_of(network)}
        for number, order in enumerate(orders):
            frames = {s: self._frames(s, windows, order) for s in STREAMS if s in streams}
            for place in crop_places(protocol.crops, protocol.crop_set):
                yield number, {s: self._input(s, *frames[s], place) for s in frames}

    def _batch_logits(self, network, orders, batch) -> list[np.ndarray]:
        """Returns the logits of some clips; those without motion are computed once for all."""
        streams, forward = streams_of(network), self._forward[network]
        is_still = [network == "flow" and _is_constant(orders[number]) for number, _ in batch]
        moving = [inputs for still, (_, inputs) in zip(is_still, batch, strict=True) if not still]
        found: Iterator = iter(())
        if moving:
            clips = {s: np.stack([inputs[s] for inputs in moving]) for s in streams}
            found = iter(forward(clips if network == JOINT else clips[network]).numpy())
        rows: list = []
        for still, (_, inputs) in zip(is_still, batch, strict=True):
            if still and self._still is None:
                self._still = forward(inputs["flow"][np.newaxis]).numpy()[0]
            rows.append(self._still if still else next(found))
        return rows

    def _frames(self, stream, windows, order) -> tuple[np.ndarray, np.ndarray]:
        """Returns frames of a stream, and the indices of those that a network is given."""
        frames = windows[0].frames
        if len(windows) > 1:
            frames = np.concatenate([window.frames for window in windows])
        length = len(frames) // len(windows)
        given = _looped(stream, length, len(windows), self._protocol)
        if stream == "rgb":
            return frames, order[given]
        is_original = np.array_equal(order, np.arange(len(frames)))
        parts = [
            self._flow(
                frames,
                order[number * length : (number + 1) * length],
                window.next_frame if is_original else None,
            )
            for number, window in enumerate(windows)
        ]
        flow = parts[0] if len(parts) == 1 else np.concatenate(parts)
        # A frozen clip has no flow at all, as in `PipelineConfig.freeze_time`.
        if self._flow_rounding is not None and not _is_constant(order):
            flow = through_codes(flow, self._flow_rounding)
        return flow, given if len(flow) == len(frames) else np.arange(len(flow))

    def _flow(self, frames, order, next_frame):
        """Returns the flow of a window: of each frame, or the fields that the protocol names."""
        protocol = self._protocol
        if protocol.flow_direction != BOTH or _is_constant(order):
            return ordered_flow(frames, order, self._flow_engine, next_frame)
        looped = first_frames(len(order), protocol.frames)
        fields = [
            field._replace(frame=looped[field.frame])
            for field in flow_fields(protocol.frames, protocol.flow_direction)
        ]
        return compute_fields(frames[order], fields, self._flow_engine, None, next_frame)

    def _input(self, stream, frames, given, place: CropPlace) -> np.ndarray:
        """Returns a network's input: float32 (T, crop size, crop size, C) in [-1, 1]."""
        shown, positions = np.unique(given, return_inverse=True)
        cut = crop_at(frames[shown], place, self._protocol.crop_size, stream)
        return preprocess_input(cut, stream)[positions]


def ordered_flow(
    frames: np.ndarray,
    order: np.ndarray,
    engine: str = "auto",
    next_frame: np.ndarray | None = None,
) -> np.ndarray:
    """Computes the flow of frames in an order; between a frame and the same one, it is zero.

    Args:
        frames: uint8 (N, H, W, 3), RGB.
        order: Indices (T,) of the frames that are shown.
        engine: See `compute_flow`.
        next_frame: See `compute_flow`.

    Returns:
        float32 (T, H, W, 2), see `compute_flow`.
    """
    flow = np.zeros((len(order), *frames.shape[1:3], 2), np.float32)
    ends = np.flatnonzero(np.diff(order))  # before a frame that is another
    changing = frames[order[np.append(ends, len(order) - 1)]]
    if next_frame is not None:
        flow[np.append(ends, len(order) - 1)] = compute_flow(changing, engine, None, next_frame)
        return flow
    if len(ends):
        flow[ends] = compute_flow(changing[:-1], engine, None, changing[-1])
        flow[-1] = flow[-2]
    return flow


def _looped(stream, length, num_windows, protocol) -> np.ndarray:
    """Returns the frames of a clip of windows that a network gets; short windows are looped."""
    seen = list(frame_indices(stream, protocol.frames, protocol.rgb_step))
    window = first_frames(length, protocol.frames)[seen]
    return np.concatenate([window + number * length for number in range(num_windows)])


def _is_constant(order) -> bool:
    return bool((order == order[0]).all())
