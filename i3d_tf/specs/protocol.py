"""The sampling of a video's clips at test time: frames, rate, size, crops, windows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from i3d_tf.specs.streams import (
    BOTH,
    CHANNELS,
    CROP_SIZE,
    FLOW_DIRECTIONS,
    FORWARD,
    FRAME_RATE,
    SHORT_SIDE,
    TEST_FRAMES,
)
from i3d_tf.specs.validation import check_choice, check_integer, check_positive

# Larger numbers would need more memory than there is.
MAX_FRAME_RATE = 1000
SPREAD, CORNERS = CROP_SETS = ("spread", "corners")
CORNER_CROPS = (5, 10)  # four corners and the center; and their mirrors
_MAX_VALUES = {
    "frames": 1 << 16,
    "short_side": 4096,
    "crop_size": 4096,
    "windows": 4096,
    "crops": 4096,
    "rgb_step": 1 << 16,
    "segments": 4096,
}


@dataclass(frozen=True)
class Protocol:
    """The clips of a video that a network is given at test time; defaults: arXiv:1705.07750.

    Attributes:
        frames: Frames of a clip; a single clip has the first ones. Shorter videos are looped. With
            several segments, frames of each snippet.
        frame_rate: Frames per second after resampling.
        short_side: Pixels, after resizing.
        crop_size: Pixels, side of the square that the network is given.
        windows: Clips of one video, spread evenly in time.
        crops: Crops of one clip; 1 is the center.
        rgb_step: An RGB network gets one of so many frames of a clip, a flow network all.
        segments: Snippets of a clip, one of each of so many equal parts of the video
            (arXiv:1608.00859); 1 is a clip of consecutive frames.
        crop_set: The places of several crops, one of `CROP_SETS`: "spread" evenly along the longer
            side, or "corners": the 4 corners and the center (5), and their mirror images (10).
        flow_direction: Direction in time of a flow network's fields, one of `FLOW_DIRECTIONS`; see
            `flow_fields`.

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
    segments: int = 1
    crop_set: str = SPREAD
    flow_direction: str = FORWARD

    def __post_init__(self):
        check_choice("crop_set", self.crop_set, CROP_SETS)
        check_choice("flow_direction", self.flow_direction, FLOW_DIRECTIONS)
        for name, maximum in _MAX_VALUES.items():
            check_integer(name, getattr(self, name), 1, maximum)
        check_positive("frame_rate", self.frame_rate, MAX_FRAME_RATE)
        if self.crop_size > self.short_side or self.rgb_step >= 2 * self.frames:
            raise ValueError(
                "`crop_size` must be at most `short_side`, and `rgb_step` less than twice "
                f"`frames`, so that RGB has a frame; received {self}."
            )
        if self.crop_set == CORNERS and self.crops not in CORNER_CROPS:
            raise ValueError(
                f"`crops` must be one of {CORNER_CROPS} for `crop_set` {CORNERS!r}; received "
                f"{self.crops}."
            )
        if self.flow_direction == BOTH and self.frames % 2:
            raise ValueError(
                f"`frames` must be even for `flow_direction` {BOTH!r}, which takes half of them "
                f"forward and half backward; received {self.frames}."
            )
        if self.segments > 1 and self.windows > 1:
            raise ValueError(
                f"`windows` must be 1 with {self.segments} segments, which cover the whole video; "
                f"received {self.windows}."
            )

    @property
    def is_start(self) -> bool:
        """True where the only clip of a video is that of its first frames."""
        return self.windows == self.segments == 1

    @property
    def views(self) -> int:
        """Clips of one video in all."""
        return self.windows * self.crops

    def as_json(self) -> dict[str, Any]:
        """Returns plain values; forward flow is not named, so that former versions read them."""
        fields = asdict(self)
        if self.flow_direction == FORWARD:
            del fields["flow_direction"]
        return fields


class FlowField(NamedTuple):
    """A field of flow that starts at a frame of a window.

    Attributes:
        frame: Index of the frame in the window.
        is_backward: Whether it goes to the frame before, and not to the next.
    """

    frame: int
    is_backward: bool


def flow_fields(frames: int, direction: str = FORWARD, segments: int = 1) -> list[FlowField]:
    """Returns the fields of a window that a flow network is given, in their order.

    Args:
        frames: Number of fields L, and of frames of the window, or of each snippet.
        direction: "forward" for the flow of each frame to the next; or "both" (bi-directional
            optical flow, arXiv:1406.2199, section 3.1) for L / 2 fields from the window's middle,
            frame L / 2, forward to its end and the frame after it, then L / 2 from that middle
            backward to its start: the same frames, and the middle is the RGB network's frame.
        segments: Snippets, one after the other.
    """
    if direction == BOTH:
        middle = frames // 2
        snippet = [FlowField(index, False) for index in range(middle, frames)]
        snippet += [FlowField(index, True) for index in range(middle, 0, -1)]
    else:
        snippet = [FlowField(index, False) for index in range(frames)]
    return [
        FlowField(segment * frames + index, is_backward)
        for segment in range(segments)
        for index, is_backward in snippet
    ]


def frame_indices(
    stream: str, frames: int, rgb_step: int, segments: int = 1, flow_direction: str = FORWARD
) -> Sequence[int]:
    """Returns the indices of a window's frames that a network of one stream is given.

    Args:
        stream: "rgb" for the middle one of every `rgb_step` frames, or "flow" for those at which
            its fields start.
        frames: Number of frames of the window, or of each snippet.
        rgb_step: At least 1.
        segments: Snippets, one after the other.
        flow_direction: See `flow_fields`.
    """
    check_choice("stream", stream, CHANNELS)
    if stream == "flow":
        return [field.frame for field in flow_fields(frames, flow_direction, segments)]
    snippet = range(rgb_step // 2, frames, rgb_step)
    if segments == 1:
        return snippet
    return [segment * frames + index for segment in range(segments) for index in snippet]


def clip_shape(
    stream: str, frames: int, rgb_step: int, size: int, segments: int = 1
) -> tuple[int, int, int, int]:
    """Returns the shape (T, H, W, C) of a window as a network of one stream gets it.

    Args:
        stream: See `frame_indices`.
        frames: See `frame_indices`.
        rgb_step: See `frame_indices`.
        size: Pixels, height and width.
        segments: See `frame_indices`.
    """
    return len(frame_indices(stream, frames, rgb_step, segments)), size, size, CHANNELS[stream]
