"""A few frames of several clips in one picture; PNG files."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from i3d_tf.viz.annotate import annotate_frame


def contact_sheet(
    clips: Sequence[np.ndarray], captions: Sequence[str], columns: int = 6, height: int = 160
) -> np.ndarray:
    """Lays out frames of clips, one clip a row.

    Args:
        clips: N arrays uint8 (T, H, W, 3), RGB.
        captions: N texts, drawn onto the first frame of each row.
        columns: Frames of each clip, spread evenly from the first to the last.
        height: Of a row, in pixels.

    Returns:
        uint8 (N * height, columns * widest row's frame, 3), RGB.
    """
    rows = []
    for clip, caption in zip(clips, captions, strict=True):
        chosen = clip[np.linspace(0, len(clip) - 1, columns).round().astype(int)]
        width = round(height * clip.shape[2] / clip.shape[1])
        frames = [cv2.resize(frame, (width, height)) for frame in chosen]
        frames[0] = annotate_frame(frames[0], [(caption, 0.0)])
        rows.append(np.concatenate(frames, axis=1))
    max_width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, max_width - row.shape[1]), (0, 0))) for row in rows]
    return np.concatenate(padded)


def write_png(path: Path | str, picture: np.ndarray) -> None:
    """Writes uint8 (H, W, 3), RGB, as a PNG file.

    Raises:
        OSError: The file cannot be written.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise OSError(f"{path}: the picture cannot be encoded.")
    with open(path, "wb") as file:
        file.write(data.tobytes())
