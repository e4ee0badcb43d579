"""Optical flow of a clip: one contract, several engines."""

from collections.abc import Sequence

import cv2
import numpy as np

from i3d_tf.flow.engines import FlowParameters, engine_parameters, load_engine
from i3d_tf.flow.tvl1 import MIN_SIDE, check_levels
from i3d_tf.specs.protocol import FlowField, flow_fields
from i3d_tf.specs.streams import BOTH
from i3d_tf.specs.validation import check_integer


def compute_flow(
    frames: np.ndarray,
    engine: str = "auto",
    parameters: FlowParameters | str | None = None,
    next_frame: np.ndarray | None = None,
) -> np.ndarray:
    """Computes the optical flow from every frame of a clip to the next.

    For the released weights: TV-L1 with OpenCV's defaults on frames resized to short side 256
    (arXiv:1705.07750), then `preprocess_input(flow, "flow")`.

    Args:
        frames: uint8 RGB (T, H, W, 3), or grey (T, H, W) of uint8 or of float, levels from 0 to
            255; T at least 1, H and W at least 16.
        engine: "auto" or a name in `i3d_tf.flow.engines.ENGINES`.
        parameters: TVL1Parameters, or DISParameters for "dis", or the name of a preset; None means
            OpenCV's defaults.
        next_frame: The frame after the clip, in the form of one of `frames`; None if there is none.

    Returns:
        float32 (T, H, W, 2), x then y, pixels per frame, not truncated: flow t goes from frame t to
        frame t + 1. Without `next_frame` the last flow is that of the frame before it, repeated; a
        single frame then gets zero flow.

    Raises:
        ValueError: An argument is invalid.
    """
    flow_between, parameters = load_engine(engine), engine_parameters(engine, parameters)
    grey = to_grey(frames)
    if next_frame is not None:
        grey = np.concatenate([grey, _next_grey(next_frame, np.asarray(frames))])
    if len(grey) == 1:
        return np.zeros((*grey.shape, 2), np.float32)
    flow = flow_between(grey[:-1], grey[1:], parameters)
    return flow if next_frame is not None else np.concatenate([flow, flow[-1:]])


def compute_fields(
    frames: np.ndarray,
    fields: Sequence[FlowField],
    engine: str = "auto",
    parameters: FlowParameters | str | None = None,
    next_frame: np.ndarray | None = None,
) -> np.ndarray:
    """Computes some fields of a clip's flow, forward and backward in time.

    Args:
        frames: See `compute_flow`.
        fields: Of frames of the clip.
        engine: See `compute_flow`.
        parameters: See `compute_flow`.
        next_frame: See `compute_flow`.

    Returns:
        float32 (F, H, W, 2), in the order of the fields: those of `compute_flow`; and backward
        those of the clip in reverse, so that the first frame has the backward flow of the second.

    Raises:
        ValueError: An argument is invalid.
    """
    frames, last = np.asarray(frames), len(frames) - 1
    flows = np.empty((len(fields), *frames.shape[1:3], 2), np.float32)
    for is_backward in (False, True):
        chosen = [k for k, field in enumerate(fields) if field.is_backward == is_backward]
        if not chosen:
            continue
        ordered = frames[::-1] if is_backward else frames
        starts = np.array([fields[k].frame for k in chosen])
        starts = last - starts if is_backward else starts
        first, end = int(starts.min()), int(starts.max()) + 1
        after = ordered[end] if end <= last else None if is_backward else next_frame
        if after is None:  # the flow of the last frame is that of the frame before it
            first = max(0, min(first, last - 1))
        flow = compute_flow(ordered[first:end], engine, parameters, after)
        flows[chosen] = flow[starts - first]
    return flows


def bidirectional_flow(
    frames: np.ndarray,
    index: int,
    fields: int = 10,
    engine: str = "auto",
    parameters: FlowParameters | str | None = None,
) -> np.ndarray:
    """Computes the flow from one frame forward and backward in time (arXiv:1406.2199, section 3.1).

    Args:
        frames: See `compute_flow`; `fields` / 2 frames before and after the one are needed.
        index: Index of the frame.
        fields: Number of fields, even.
        engine: See `compute_flow`.
        parameters: See `compute_flow`.

    Returns:
        float32 (`fields`, H, W, 2): `fields` / 2 from the frame to the next, from that to the one
        after it and so on; then as many from the frame to the one before it and so on.

    Raises:
        ValueError: An argument is invalid, or there are too few frames around the one.
    """
    if check_integer("fields", fields, 2) % 2:
        raise ValueError(f"`fields` must be even; received {fields}.")
    half = fields // 2
    check_integer("index", index, half, len(frames) - 1 - half)
    window, after = frames[index - half : index + half], frames[index + half]
    return compute_fields(window, flow_fields(fields, BOTH), engine, parameters, after)


def to_grey(frames: np.ndarray) -> np.ndarray:
    """Converts frames to grey, as the engines take them.

    Args:
        frames: uint8 RGB (T, H, W, 3), or grey (T, H, W) of uint8 or of float within [0, 255]; T at
            least 1, H and W at least 16.

    Returns:
        (T, H, W): uint8 (RGB becomes .299 R + .587 G + .114 B, by OpenCV's COLOR_RGB2GRAY), or
        float32 where `frames` are float.

    Raises:
        ValueError: `frames` are not as above.
    """
    frames = np.asarray(frames)
    is_float = np.issubdtype(frames.dtype, np.floating)
    is_rgb = frames.ndim == 4 and frames.shape[-1] == 3 and frames.dtype == np.uint8
    is_grey = frames.ndim == 3 and (frames.dtype == np.uint8 or is_float)
    if not is_rgb and not is_grey:
        raise ValueError(
            "`frames` must be uint8 RGB (T, H, W, 3), or grey (T, H, W) of uint8 or float; "
            f"received {frames.dtype} {frames.shape}."
        )
    if len(frames) < 1 or min(frames.shape[1:3]) < MIN_SIDE:
        raise ValueError(
            f"`frames` must be one or more of at least {MIN_SIDE} x {MIN_SIDE} pixels; "
            f"resize them first (see `resize_short_side`); received shape {frames.shape}."
        )
    if is_rgb:
        return np.stack([cv2.cvtColor(np.ascontiguousarray(f), cv2.COLOR_RGB2GRAY) for f in frames])
    if is_float:
        check_levels("frames", frames)
        if 0 < frames.max() <= 1:
            raise ValueError(
                "`frames` of float must have levels from 0 to 255; received values within "
                f"[0, {frames.max():g}]. Multiply them by 255."
            )
        return frames.astype(np.float32, copy=False)
    return frames


def _next_grey(next_frame, frames):
    next_frame = np.asarray(next_frame)
    if next_frame.shape != frames.shape[1:] or next_frame.dtype != frames.dtype:
        raise ValueError(
            f"`next_frame` must be like one of `frames`, {frames.dtype} {frames.shape[1:]}; "
            f"received {next_frame.dtype} {next_frame.shape}."
        )
    if np.issubdtype(next_frame.dtype, np.floating):  # one frame alone may be black
        check_levels("next_frame", next_frame)
        return next_frame[np.newaxis].astype(np.float32, copy=False)
    return to_grey(next_frame[np.newaxis])
