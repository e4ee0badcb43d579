"""How a network is shown a video: the paper's protocol, and room for others."""

from dataclasses import dataclass

from i3d_tf.specs.streams import CROP_SIZE, FRAME_RATE, SHORT_SIDE, TEST_FRAMES


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
    """

    frames: int = TEST_FRAMES
    frame_rate: float = FRAME_RATE
    short_side: int = SHORT_SIDE
    crop_size: int = CROP_SIZE
    windows: int = 1
    crops: int = 1
    rgb_step: int = 1
