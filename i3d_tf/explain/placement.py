"""The way of a map back to the frames of the video: through time, crop and resizing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from i3d_tf.explain.saliency import PIXELS, SaliencyMap

PIXEL_QUANTILE = 0.995  # of the values of a map of pixels, whose few largest say little


@dataclass(frozen=True)
class CropGeometry:
    """The square of a frame that a network sees.

    Attributes:
        resized: (height, width) of the resized frame.
        top: First row of the square in it.
        left: First column.
        size: Side of the square, pixels.
    """

    resized: tuple[int, int]
    top: int
    left: int
    size: int

    def positions(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns where the rows and columns of a frame of some size are in the square.

        They are indices of the square's pixels, which are below -0.5 or above size - 0.5 outside.
        Pixels have their centers at half, as those of `resize_short_side`.
        """
        rows, columns = (
            (np.arange(length) + 0.5) * resized / length - 0.5 - first
            for length, resized, first in zip(
                (height, width), self.resized, (self.top, self.left), strict=True
            )
        )
        return rows, columns

    def sees(self, height: int, width: int) -> np.ndarray:
        """Returns which pixels of a frame are in the square, bool (height, width)."""
        rows, columns = (
            (positions >= -0.5) & (positions < self.size - 0.5)
            for positions in self.positions(height, width)
        )
        return rows[:, np.newaxis] & columns


def interpolation_weights(centers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Returns the weights of linear interpolation between cells, constant beyond the outer ones.

    Args:
        centers: Places of the cells, ascending.
        positions: Places to interpolate at.

    Returns:
        float32 (positions, cells); each row adds up to 1.
    """
    weights = [np.interp(positions, centers, row) for row in np.eye(len(centers))]
    return np.stack(weights, axis=-1).astype(np.float32)


def clip_saliency(saliency: SaliencyMap, clip_shape: Sequence[int]) -> np.ndarray:
    """Returns the value of a map at every pixel of its clip, float32 (T, H, W).

    Args:
        saliency: The map.
        clip_shape: (T, H, W, C).
    """
    values = saliency.values
    for axis, (centers, length) in enumerate(zip(saliency.centers, clip_shape[:3], strict=True)):
        weights = interpolation_weights(centers, np.arange(length))
        values = np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)
    return values


class FrameHeat:
    """The heat of a video's frames by a map of the clip that a network was given of them.

    Args:
        saliency: The map.
        clip_frames: The index in the video of every frame of the clip; a looped video has some of
            them several times, whose heat is averaged.
        crop: The square that the clip shows.

    Attributes:
        first: Index of the clip's first frame in the video.
        last: Index of its last one.
        scale: The value of the map that is drawn as 1.
    """

    def __init__(
        self, saliency: SaliencyMap, clip_frames: Sequence[int] | np.ndarray, crop: CropGeometry
    ):
        self.saliency, self.crop = saliency, crop
        time_weights = interpolation_weights(saliency.centers[0], np.arange(len(clip_frames)))
        self._seen, places = np.unique(clip_frames, return_inverse=True)
        sums = np.zeros((len(self._seen), time_weights.shape[1]), np.float32)
        np.add.at(sums, places, time_weights)
        self._time_weights = sums / np.bincount(places)[:, np.newaxis]
        self.first, self.last = int(self._seen[0]), int(self._seen[-1])
        values = saliency.values
        is_fine = saliency.centers_rule == PIXELS
        self.scale = float(np.quantile(values, PIXEL_QUANTILE) if is_fine else values.max())

    def heat(self, frame_index: int, height: int, width: int) -> np.ndarray:
        """Returns the heat of a frame, float32 (height, width) in [0, 1], 0 outside the square.

        A frame that the network was not given has that of the nearest one.

        Args:
            frame_index: Index of the frame in the video.
            height: Pixels of the frame.
            width: Pixels of the frame.
        """
        cells = self._cells(frame_index)
        rows, columns = (
            interpolation_weights(centers, positions)
            for centers, positions in zip(
                self.saliency.centers[1:], self.crop.positions(height, width), strict=True
            )
        )
        heat = rows @ cells @ columns.T / (self.scale or 1.0)
        return np.clip(heat, 0, 1) * self.crop.sees(height, width)

    def total(self, frame_index: int) -> float:
        """Returns the sum of the map at the time of a frame."""
        return float(self._cells(frame_index).sum())

    def _cells(self, frame_index):
        nearest = np.abs(self._seen - frame_index).argmin()
        return np.tensordot(self._time_weights[nearest], self.saliency.values, 1)
