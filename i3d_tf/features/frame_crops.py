"""Frames of a video resized and cropped as the makers of public feature files do it."""

import numpy as np

from i3d_tf.features.frame_options import FrameOptions, FrameSize
from i3d_tf.flow.quantize import CODES_PER_PIXEL
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import FLOW_BOUND
from i3d_tf.video.transforms import CENTER, CORNER_PLACES, flip, resize, resized_shape
from i3d_tf.video.transforms import crop_offsets as offsets_of

CODED_ROUNDINGS = ("nearest", "deepmind")  # of flow whose codes are whole numbers of 8 bits


class FrameCropper:
    """Resizing and cropping of the frames of a video.

    Args:
        options: FrameOptions.
        protocol: Of the networks.
        flow_rounding: See `FeatureOptions`.

    Attributes:
        frame_rate: Frames per second; None takes the frames as they are.
    """

    def __init__(self, options: FrameOptions, protocol: Protocol, flow_rounding: str | None = None):
        own = options.with_defaults(protocol)
        self._size = own.size or FrameSize(short_side=protocol.short_side)
        self._options, self._flow_rounding = own, flow_rounding
        self._crop_size = protocol.crop_size
        self.frame_rate = own.frame_rate if isinstance(own.frame_rate, float) else None

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of a frame after resizing.

        Args:
            height: Pixels, before.
            width: Pixels, before.
        """
        size, short = self._size, min(height, width)
        if size.short_side is None:
            return size.height or 0, size.width or 0
        if size.is_minimum and short >= size.short_side:
            return height, width
        if self._options.interpolation == "bilinear":
            return resized_shape(height, width, size.short_side)
        return height * size.short_side // short, width * size.short_side // short

    def resize(self, frame: np.ndarray) -> np.ndarray:
        """Resizes a frame, uint8 RGB (H, W, 3)."""
        height, width = self.size_of(*frame.shape[:2])
        if frame.shape[:2] == (height, width):
            return frame
        if self._options.interpolation == "bilinear":
            return resize(frame, height, width)
        return pillow_resize(frame, height, width, self._options.interpolation)

    def crops(self, frame: np.ndarray, stream: str) -> np.ndarray:
        """Cuts a resized frame, or squeezes it.

        Args:
            frame: (H, W, C): uint8 RGB, or flow in pixels per frame.
            stream: "rgb" or "flow".

        Returns:
            (crops, S, S, C), a copy.
        """
        size = self._crop_size
        if self._options.geometry == "resize":
            return self._squeeze(frame, stream)[np.newaxis]
        sides = [frame]
        if self._options.crops == 10:
            sides.append(self._mirror(frame, stream))
        (height, width), options = frame.shape[:2], self._options
        places = crop_offsets(height, width, size, options.crops, options.crop_order)
        return np.stack(
            [side[top : top + size, left : left + size] for side in sides for top, left in places]
        )

    def _mirror(self, frame, stream):
        if stream == "flow" and self._options.mirror_flow == "keep":
            return frame[:, ::-1]
        return flip(frame[np.newaxis], stream)[0]

    def _squeeze(self, frame, stream):
        size = self._crop_size
        if stream == "rgb":
            return pillow_resize(frame, size, size, "pillow_lanczos")
        if self._flow_rounding in CODED_ROUNDINGS:  # as the pictures of flow that others squeeze
            codes = np.rint((frame + FLOW_BOUND) * CODES_PER_PIXEL).astype(np.uint8)
            squeezed = pillow_resize(codes, size, size, "pillow_lanczos")
            return squeezed.astype(np.float32) / np.float32(CODES_PER_PIXEL) - np.float32(
                FLOW_BOUND
            )
        return pillow_resize(frame.astype(np.float32), size, size, "pillow_lanczos")


def crop_offsets(
    height: int, width: int, size: int, crops: int, order: str = "corners_first"
) -> list[tuple[int, int]]:
    """Returns top and left of the crops of a frame; of 10, those of the frame and of its mirror.

    Args:
        height: Pixels, at least `size`.
        width: Pixels, at least `size`.
        size: Side of the crops.
        crops: 1, 5 or 10.
        order: See `FeatureSettings`.
    """
    places = [CENTER] if crops == 1 else list(CORNER_PLACES)
    if crops > 1:
        places.insert(0 if order == "center_first" else len(places) // 2, CENTER)
    return [offsets_of(height, width, size, place) for place in places]


def pillow_resize(frame: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """Resizes a frame as Pillow does, with antialiasing.

    Args:
        frame: uint8 or float32 (H, W, C).
        height: Rows of the result.
        width: Columns of the result.
        interpolation: "pillow_bilinear" or "pillow_lanczos".

    Returns:
        (height, width, C), of the dtype of `frame`.
    """
    from PIL import Image

    filters = {
        "pillow_bilinear": Image.Resampling.BILINEAR,
        "pillow_lanczos": Image.Resampling.LANCZOS,
    }
    size, method = (width, height), filters[interpolation]
    if frame.dtype == np.uint8 and frame.shape[-1] == 3:
        return np.asarray(Image.fromarray(np.ascontiguousarray(frame)).resize(size, method))
    channels = [Image.fromarray(np.ascontiguousarray(c)) for c in np.moveaxis(frame, -1, 0)]
    return np.stack([np.asarray(c.resize(size, method)) for c in channels], axis=-1)
