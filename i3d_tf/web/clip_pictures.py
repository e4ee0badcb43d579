"""Pictures of what a network sees of a video: frames beside their flow, and where it moves."""

import tempfile
from pathlib import Path

import numpy as np

from i3d_tf.flow.compute import compute_flow
from i3d_tf.flow.engines import ALGORITHMS, choose_engine
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.encode import write_video
from i3d_tf.video.transforms import center_crop
from i3d_tf.viz.flow_wheel import colour_flow, flow_scale, wheel_legend
from i3d_tf.viz.heat import overlay_heat
from i3d_tf.viz.thumbnails import jpeg

MAX_FRAMES = 64  # whose flow is computed for a picture
SHOWN_SIZE = 224  # pixels; smaller frames are enlarged
LEGEND_SHARE = 4  # the side of the legend is that of the frames over this


class ClipMotion:
    """The center crops of frames, and their flow.

    Args:
        frames: uint8 (T, H, W, 3), RGB, at the protocol's rate and short side; of more than
            MAX_FRAMES, the first are taken.
        protocol: Its crop size and frame rate are used.
        flow_engine: See `i3d_tf.compute_flow`; None for "auto".
    """

    def __init__(self, frames: np.ndarray, protocol: Protocol, flow_engine: str | None):
        self._engine = choose_engine(flow_engine or "auto")
        self._protocol = protocol
        frames = frames[:MAX_FRAMES]
        self._frames = center_crop(frames, protocol.crop_size)
        self._flow = center_crop(compute_flow(frames, self._engine), protocol.crop_size)

    def frames_beside_flow(self) -> bytes:
        """Returns an mp4 of the frames, and of their flow as colours to the right of them."""
        factor = enlargement(self._protocol)
        shown = enlarge(self._frames, factor)
        scale = flow_scale(self._flow)
        coloured = enlarge(colour_flow(self._flow, scale), factor)
        side = shown.shape[1] // LEGEND_SHARE
        coloured[:, -side:, -side:] = wheel_legend(side, scale, ALGORITHMS[self._engine])
        return encode(np.concatenate([shown, coloured], axis=2), self._protocol.frame_rate)

    def where_it_moves(self) -> bytes:
        """Returns a JPEG of the middle frame, brighter where the mean length of the flow is larger.

        The longest is drawn as 1.
        """
        lengths = np.hypot(self._flow[..., 0], self._flow[..., 1]).mean(axis=0)
        heat = lengths / max(float(lengths.max()), np.finfo(np.float32).tiny)
        picture = overlay_heat(self._frames[len(self._frames) // 2], heat)
        return jpeg(enlarge(picture[np.newaxis], enlargement(self._protocol))[0])


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
