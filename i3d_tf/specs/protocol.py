"""How a network is shown a video: the paper's protocol, and room for others."""

from dataclasses import dataclass

from i3d_tf.specs.streams import CHANNELS, CROP_SIZE, FRAME_RATE, SHORT_SIDE, TEST_FRAMES


def frames_seen(stream: str, frames: int, rgb_step: int) -> range:
    """Which frames of a window a network of one stream sees.

    Args:
        stream: "rgb", which sees the middle one of every `rgb_step` frames, or "flow", which sees
            all.
        frames: Of the window.
        rgb_step: At least 1.
    """
    if stream not in CHANNELS:
        raise ValueError(f"`stream` must be one of {tuple(CHANNELS)}; received {stream!r}.")
    return range(rgb_step // 2, frames, rgb_step) if stream == "rgb" else range(frames)


def clip_shape(stream: str, frames: int, rgb_step: int, size: int) -> tuple[int, int, int, int]:
    """The shape (T, H, W, C) of what a network of one stream sees of a window.

    Args:
        stream: As all but the last, an argument of `frames_seen`.
        frames: Of the window.
        rgb_step: At least 1.
        size: Pixels, height and width.
    """
    return len(frames_seen(stream, frames, rgb_step)), size, size, CHANNELS[stream]


MAX_FRAME_RATE = 1000
_MOST = {
    "frames": 1 << 16,
    "short_side": 4096,
    "crop_size": 4096,
    "windows": 4096,
    "crops": 4096,
    "rgb_step": 1 << 16,
}


@dataclass(frozen=True)
class Protocol:
    """What clips of a video a network sees at test time; the defaults are arXiv:1705.07750's.

    Attributes:
        frames: Frames of a clip; the first ones of a single clip. Shorter videos are looped.
        frame_rate: Frames per second after resampling.
        short_side: Pixels, after resizing.
        crop_size: Pixels, the square the network sees.
        windows: Clips of one video, spread evenly in time.
        crops: Crops of one clip, spread evenly along the longer side; 1 is the centre.
        rgb_step: RGB shows one of so many frames of a clip, flow all.

    Raises:
        ValueError: A number is not of its kind, or so large that no memory would do.
    """

    frames: int = TEST_FRAMES
    frame_rate: float = FRAME_RATE
    short_side: int = SHORT_SIDE
    crop_size: int = CROP_SIZE
    windows: int = 1
    crops: int = 1
    rgb_step: int = 1

    def __post_init__(self):
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise ValueError(
                    f"`{name}` must be an integer within 1..{most}; received {value!r}."
                )
        rate = self.frame_rate
        if not isinstance(rate, int | float) or not 0 < rate <= MAX_FRAME_RATE:
            raise ValueError(
                f"`frame_rate` must be a number within 0..{MAX_FRAME_RATE}; received {rate!r}."
            )
        if self.crop_size > self.short_side or self.rgb_step > self.frames:
            raise ValueError(
                f"`crop_size` must be at most `short_side`, and `rgb_step` at most `frames`; "
                f"received {self}."
            )
