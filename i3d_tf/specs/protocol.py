"""The sampling of a video's clips at test time: frames, rate, size, crops, windows."""

from dataclasses import dataclass

from i3d_tf.specs.streams import CHANNELS, CROP_SIZE, FRAME_RATE, SHORT_SIDE, TEST_FRAMES
from i3d_tf.specs.validation import check_choice, check_integer, check_positive

# Larger numbers would need more memory than there is.
MAX_FRAME_RATE = 1000
_MAX_VALUES = {
    "frames": 1 << 16,
    "short_side": 4096,
    "crop_size": 4096,
    "windows": 4096,
    "crops": 4096,
    "rgb_step": 1 << 16,
}


@dataclass(frozen=True)
class Protocol:
    """The clips of a video that a network is given at test time; defaults: arXiv:1705.07750.

    Attributes:
        frames: Frames of a clip; a single clip has the first ones. Shorter videos are looped.
        frame_rate: Frames per second after resampling.
        short_side: Pixels, after resizing.
        crop_size: Pixels, side of the square that the network is given.
        windows: Clips of one video, spread evenly in time.
        crops: Crops of one clip, spread evenly along the longer side; 1 is the center.
        rgb_step: An RGB network gets one of so many frames of a clip, a flow network all.

    Raises:
        ValueError: A number is not allowed.
    """

    frames: int = TEST_FRAMES
    frame_rate: float = FRAME_RATE
    short_side: int = SHORT_SIDE
    crop_size: int = CROP_SIZE
    windows: int = 1
    crops: int = 1
    rgb_step: int = 1

    def __post_init__(self):
        for name, maximum in _MAX_VALUES.items():
            check_integer(name, getattr(self, name), 1, maximum)
        check_positive("frame_rate", self.frame_rate, MAX_FRAME_RATE)
        if self.crop_size > self.short_side or self.rgb_step >= 2 * self.frames:
            raise ValueError(
                "`crop_size` must be at most `short_side`, and `rgb_step` less than twice "
                f"`frames`, so that RGB has a frame; received {self}."
            )


def frame_indices(stream: str, frames: int, rgb_step: int) -> range:
    """Returns the indices of a window's frames that a network of one stream is given.

    Args:
        stream: "rgb" for the middle one of every `rgb_step` frames, or "flow" for all.
        frames: Number of frames of the window.
        rgb_step: At least 1.
    """
    check_choice("stream", stream, CHANNELS)
    return range(rgb_step // 2, frames, rgb_step) if stream == "rgb" else range(frames)


def clip_shape(stream: str, frames: int, rgb_step: int, size: int) -> tuple[int, int, int, int]:
    """Returns the shape (T, H, W, C) of a window as a network of one stream gets it.

    Args:
        stream: See `frame_indices`.
        frames: See `frame_indices`.
        rgb_step: See `frame_indices`.
        size: Pixels, height and width.
    """
    return len(frame_indices(stream, frames, rgb_step)), size, size, CHANNELS[stream]
