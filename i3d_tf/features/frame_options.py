"""Options of the frames that the networks are given: rate, size, crops, range of values."""

import re
from dataclasses import dataclass
from typing import Any

from i3d_tf.specs.feature_profiles import (
    CROP_ORDERS,
    CROPS,
    GEOMETRIES,
    INTERPOLATIONS,
    MIRRORED_FLOWS,
    NATIVE,
    VALUE_RANGES,
)
from i3d_tf.specs.protocol import MAX_FRAME_RATE, Protocol
from i3d_tf.specs.validation import check_choice, check_integer, check_positive

MAX_SIDE = 4096  # pixels
MIN_SIDE = 16
_SIZE = re.compile(r"(\d{1,5})(?:x(\d{1,5})|(\+))?")


@dataclass(frozen=True)
class FrameSize:
    """Size of frames, after resizing.

    Attributes:
        width: Pixels; None where the aspect is kept.
        height: Likewise.
        short_side: Pixels of the shorter side; None where width and height are given.
        is_minimum: Whether frames that are larger stay as they are.
    """

    width: int | None = None
    height: int | None = None
    short_side: int | None = None
    is_minimum: bool = False

    @property
    def shortest(self) -> int:
        """Pixels that both sides have at least."""
        return self.short_side or min(self.width or 0, self.height or 0)

    def __str__(self) -> str:
        """Returns the size as `parse_size` reads it."""
        if self.short_side is None:
            return f"{self.width}x{self.height}"
        return f"{self.short_side}{'+' * self.is_minimum}"


def parse_size(text: str | None) -> FrameSize | None:
    """Reads a size, see `FeatureSettings`.

    Raises:
        ValueError: It is no size, or a side is not within 16..4096.
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise ValueError(
            f"`size` must be such as 340x256 (width x height), 256 (short side) or 226+ (short "
            f"side at least); received {text!r}."
        )
    first, second, plus = match.groups()
    for side in filter(None, (first, second)):
        check_integer("size", int(side), MIN_SIDE, MAX_SIDE)
    if second is None:
        return FrameSize(short_side=int(first), is_minimum=plus is not None)
    return FrameSize(int(first), int(second))


def parse_frame_rate(text: str | None) -> float | str | None:
    """Reads a frame rate: "native", frames per second, or None.

    Raises:
        ValueError: It is neither.
    """
    if text is None or text == NATIVE:
        return text
    try:
        rate = float(text)
    except ValueError:
        raise ValueError(
            f"`frame_rate` must be {NATIVE!r} or frames per second; received {text!r}."
        ) from None
    return check_positive("frame_rate", rate, MAX_FRAME_RATE)


@dataclass(frozen=True)
class FrameOptions:
    """Frames of a video as the networks get them; the defaults are the networks' own.

    Attributes:
        frame_rate: Frames per second, "native", or None for the networks' own.
        size: FrameSize, or None for the networks' own short side.
        interpolation: See `FeatureSettings`.
        geometry: See `FeatureSettings`.
        crops: See `FeatureSettings`.
        crop_order: See `FeatureSettings`.
        mirror_flow: See `FeatureSettings`.
        value_range: See `FeatureSettings`.
    """

    frame_rate: float | str | None = None
    size: FrameSize | None = None
    interpolation: str = "bilinear"
    geometry: str = "center"
    crops: int = 1
    crop_order: str = "corners_first"
    mirror_flow: str = "negate"
    value_range: float = 1.0

    def __post_init__(self):
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        check_choice("geometry", self.geometry, GEOMETRIES)
        check_choice("crop_order", self.crop_order, CROP_ORDERS)
        check_choice("mirror_flow", self.mirror_flow, MIRRORED_FLOWS)
        for name, value, choices in (
            ("crops", self.crops, CROPS),
            ("value_range", self.value_range, VALUE_RANGES),
        ):
            if value not in choices:
                raise ValueError(f"`{name}` must be one of {choices}; received {value!r}.")
        if self.geometry == "resize" and self.crops != 1:
            raise ValueError(
                f"`crops` must be 1 where `geometry` is 'resize'; received {self.crops}."
            )

    @property
    def are_own(self) -> bool:
        """Returns whether rate, size and resizing are those of all other tools."""
        own = (self.frame_rate, self.size, self.interpolation)
        return own == (None, None, "bilinear")

    def with_defaults(self, protocol: Protocol) -> "FrameOptions":
        """Returns the options with the rate and size of a protocol where they have none.

        Raises:
            ValueError: The frames are smaller than the crops of the protocol.
        """
        size = self.size or FrameSize(short_side=protocol.short_side)
        if self.geometry == "center" and size.shortest < protocol.crop_size:
            raise ValueError(
                f"`size` must be at least the network's {protocol.crop_size} on both sides; "
                f"received {size}."
            )
        values: dict[str, Any] = {**vars(self), "size": size}
        if self.frame_rate is None:
            values["frame_rate"] = float(protocol.frame_rate)
        return FrameOptions(**values)

    def metadata(self, protocol: Protocol) -> dict[str, Any]:
        """Returns plain values; those that earlier versions did not have only where not usual.

        Args:
            protocol: Of the networks.
        """
        own = self.with_defaults(protocol)
        size, crop = own.size or FrameSize(), protocol.crop_size
        aspect = "aspect kept" if size.short_side else "aspect not kept"
        values: dict[str, Any] = {"frame_rate": own.frame_rate}
        if size.is_minimum:
            values["size"] = str(size)
        elif size.short_side is not None:
            values["short_side"] = size.short_side
        else:
            values["size"] = [size.width, size.height]
        values["resize"] = f"{self.interpolation.replace('_', ', ')}, {aspect}"
        if self.geometry == "resize":
            values["crop"] = f"none, squeezed to {crop} x {crop}"
        elif self.crops == 1:
            values["crop"] = f"centre, {crop} x {crop}"
        else:
            values["crop"] = f"{self.crops}, {self.crop_order}, {crop} x {crop}"
        if self.crops == 10:
            values["mirror_flow"] = self.mirror_flow
        return values


OWN_FRAMES = FrameOptions()
