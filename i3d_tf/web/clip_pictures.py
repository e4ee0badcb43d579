"""Short videos of what a network sees: frames beside the flow of them, as the bytes of an mp4."""

import tempfile
from pathlib import Path

import numpy as np

from i3d_tf.flow.compute import compute_flow
from i3d_tf.flow.engines import ALGORITHMS, choose_engine
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.encode import write_video
from i3d_tf.video.transforms import center_crop
from i3d_tf.viz.flow_wheel import colour_flow, flow_scale, wheel_legend

MAX_FRAMES = 64  # whose flow is computed for a picture
SHOWN_SIZE = 224  # pixels; smaller frames are enlarged
LEGEND_SHARE = 4  # the side of the legend is that of the frames over this


def frames_beside_flow(frames: np.ndarray, protocol: Protocol, flow_engine: str | None) -> bytes:
    """Draws frames of a video, and their flow as colours to the right of them.

    Args:
        frames: uint8 (T, H, W, 3), RGB, at the protocol's rate and short side; of more than
            MAX_FRAMES, the first are shown.
        protocol: See `i3d_tf.specs.protocol`.
        flow_engine: See `i3d_tf.compute_flow`; None for "auto".

    Returns:
        An mp4 of the center crops, at the protocol's frame rate.
    """
    engine = choose_engine(flow_engine or "auto")
    frames = frames[:MAX_FRAMES]
    flow = center_crop(compute_flow(frames, engine), protocol.crop_size)
    factor = enlargement(protocol)
    shown = enlarge(center_crop(frames, protocol.crop_size), factor)
    scale = flow_scale(flow)
    coloured = enlarge(colour_flow(flow, scale), factor)
    legend = wheel_legend(shown.shape[1] // LEGEND_SHARE, scale, ALGORITHMS[engine])
    side = len(legend)
    coloured[:, -side:, -side:] = legend
    return encode(np.concatenate([shown, coloured], axis=2), protocol.frame_rate)


def enlargement(protocol: Protocol) -> int:
    """Returns how often the pixels of a network's frames are repeated in pictures."""
    return max(1, round(SHOWN_SIZE / protocol.crop_size))


def enlarge(frames: np.ndarray, factor: int) -> np.ndarray:
    """Repeats each pixel of (T, H, W, 3) so many times along height and width."""
    return frames.repeat(factor, axis=1).repeat(factor, axis=2)


def encode(frames: np.ndarray, frame_rate: float) -> bytes:
    """Returns frames, uint8 (T, H, W, 3), as the bytes of an mp4."""
    with tempfile.TemporaryDirectory(prefix="i3d_web_") as folder:
        path = Path(folder, "clip.mp4")
        write_video(path, frames, frame_rate)
        return path.read_bytes()
