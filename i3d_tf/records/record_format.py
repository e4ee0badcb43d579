"""The pictures of records: their format, rate and size. TensorFlow is not needed to name them."""

from dataclasses import dataclass

from i3d_tf.specs.streams import FRAME_RATE, SHORT_SIDE
from i3d_tf.specs.validation import check_choice, check_integer, check_positive

JPEG, PNG = FORMATS = ("jpeg", "png")
MAX_RECORD = 2**30  # bytes; a reader needs several times as much memory


@dataclass(frozen=True)
class RecordFormat:
    """The pictures of records.

    Attributes:
        format: "jpeg" or "png"; the latter loses nothing.
        quality: Of JPEG, 1 to 100.
        frame_rate: Frames per second after resampling.
        short_side: Pixels after resizing.

    Raises:
        ValueError: A value is not allowed.
    """

    format: str = JPEG
    quality: int = 95
    frame_rate: float = FRAME_RATE
    short_side: int = SHORT_SIDE

    def __post_init__(self):
        check_choice("format", self.format, FORMATS)
        check_integer("quality", self.quality, 1, 100)
        check_positive("frame_rate", self.frame_rate)
        check_integer("short_side", self.short_side, 1)
