"""Protocols of the Fréchet video distance: clips, features and covariances, as papers use them.

`original` is the code of Unterthiner et al. 2018 (arXiv:1812.01717), `styleganv` that of
Skorokhodov et al. 2022 (arXiv:2112.14683), `videogpt` that of Yan et al. 2021 (arXiv:2104.10157) as
MCVD and others took it over, and `version_0_1` what version 0.1 of this package computed.
`docs/fvd.md` compares them.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.streams import CROP_SIZE
from i3d_tf.specs.validation import check_choice, check_integer, check_positive

FEATURES = ("logits", "pooled")
CLIPS = ("first", "random", "sliding")
COVARIANCES = ("unbiased", "biased")  # sums divided by N - 1, or by N
# Name to the words of the metadata, behind the size.
RESIZES = {
    "tensorflow1": "bilinear, in float, TensorFlow 1's pixel centers, aspect not kept",
    "half_pixel": "bilinear, in float, aspect not kept",
    "short_side": "bilinear, in float, aspect kept, center crop",
    "opencv": "bilinear, aspect not kept",  # the words of version 0.1
}
MIN_SIZE, MAX_SIZE = 32, 1024  # pixels
MAX_ALL_FRAMES = 512  # of videos that are taken whole
MAX_CLIPS_PER_VIDEO = 10_000
FORMER_PROTOCOL = "version_0_1"


@dataclass(frozen=True)
class ClipConfig:
    """Protocol, or one that differs from it in some parts.

    Attributes:
        frames: Frames of a clip; None takes all frames of every video, as many in each.
        frame_rate: Frames per second after resampling; None takes a video's frames as they are.
        size: Side of the square frames, in pixels.
        features: "logits", or "pooled": the mean over time and space of the head's input.
        resize: One of `RESIZES`. "tensorflow1" is `tf.compat.v1.image.resize_bilinear`,
            "half_pixel" has the pixel centers of today's programs, "short_side" keeps the
            aspect and cuts out the center, and "opencv" is "half_pixel" rounded to uint8.
        clips: "first" frames of a video, "random" windows, or "sliding" ones: one after the other.
        frame_step: Frames of the video from one frame of the clip to the next.
        clips_per_video: Clips of each video; None is 1, and for "sliding" as many as there are.
        covariance: "unbiased" or "biased". It belongs to the distance, not to the features.
        protocol: Name in `PROTOCOLS` of the protocol with which the other parts are compared.
        all_frames: Whether `frames` was None, and is now the number that all videos have.
    """

    frames: int | None = None
    frame_rate: float | None = None
    size: int = CROP_SIZE
    features: str = "logits"
    resize: str = "tensorflow1"
    clips: str = "first"
    frame_step: int = 1
    clips_per_video: int | None = None
    covariance: str = "unbiased"
    protocol: str = "original"
    all_frames: bool = False

    def __post_init__(self):
        check_choice("features", self.features, FEATURES)
        check_choice("resize", self.resize, RESIZES)
        check_choice("clips", self.clips, CLIPS)
        check_choice("covariance", self.covariance, COVARIANCES)
        if self.frames is not None:
            check_integer("frames", self.frames, self.min_frames)
        check_integer("size", self.size, MIN_SIZE, MAX_SIZE)
        check_integer("frame_step", self.frame_step, 1)
        if self.frame_rate is not None:
            check_positive("frame_rate", self.frame_rate)
        if self.clips_per_video is not None:
            check_integer("clips_per_video", self.clips_per_video, 1, MAX_CLIPS_PER_VIDEO)
        if self.clips == "first" and self.clips_per_video not in (None, 1):
            raise ValueError(
                "`clips_per_video` must be 1 for the first frames of a video; received "
                f"{self.clips_per_video}. Take clips random or sliding."
            )
        if self.frames is None and (self.clips, self.frame_step) != ("first", 1):
            raise ValueError(
                "`frames` must be a number where a clip is a part of its video. Give --frames."
            )

    @property
    def min_frames(self) -> int:
        """Frames that a clip needs."""
        return 10 if self.protocol == "videogpt" else MIN_FRAMES

    @property
    def span(self) -> int:
        """Frames of a video from the first to the last of a clip, both included."""
        return ((self.frames or 1) - 1) * self.frame_step + 1

    @property
    def overrides(self) -> dict[str, Any]:
        """Parts that differ from the protocol, by name."""
        if self.protocol not in PROTOCOLS:
            return {}
        usual = PROTOCOLS[self.protocol]
        mine = replace(self, frames=None) if self.all_frames else self
        names = [field.name for field in fields(self) if field.name != "all_frames"]
        return {
            name: getattr(self, name)
            for name in names
            if getattr(mine, name) != getattr(usual, name)
        }

    @property
    def title(self) -> str:
        """Name of the protocol with the parts that differ: "original, but frames 10"."""
        parts = [f"{name} {value}" for name, value in self.overrides.items()]
        return f"{self.protocol}, but {', '.join(parts)}" if parts else self.protocol

    def with_all_frames(self, frames: int) -> "ClipConfig":
        """Returns the configuration for videos that all have so many frames."""
        return replace(self, frames=frames, all_frames=True)

    def metadata(self) -> dict[str, Any]:
        """Returns the parts that determine the features, plain values by name."""
        return {
            "features": self.features,
            "frames": self.frames,
            "frame_rate": self.frame_rate,
            "resize": f"{self.size} x {self.size}, {RESIZES[self.resize]}",
            "protocol": self.protocol,
            "clips": self.clips,
            "frame_step": self.frame_step,
            "clips_per_video": self.clips_per_video,
        }


PROTOCOLS = {
    "original": ClipConfig(),
    "styleganv": ClipConfig(
        frames=16,
        resize="half_pixel",
        clips="random",
        covariance="biased",
        protocol="styleganv",
    ),
    "videogpt": ClipConfig(resize="short_side", protocol="videogpt"),
    FORMER_PROTOCOL: ClipConfig(frames=16, resize="opencv", protocol=FORMER_PROTOCOL),
}
# The parts that version 0.1 did not write into its statistics.
FORMER_METADATA = {
    name: value
    for name, value in PROTOCOLS[FORMER_PROTOCOL].metadata().items()
    if name in ("protocol", "clips", "frame_step", "clips_per_video")
}


def clip_config(protocol: str = "original", **overrides: Any) -> ClipConfig:
    """Returns a protocol in which some parts are replaced.

    Args:
        protocol: Name in `PROTOCOLS`.
        **overrides: Attributes of ClipConfig; None keeps what the protocol has.

    Raises:
        ValueError: A name or a value is not allowed.
    """
    check_choice("protocol", protocol, PROTOCOLS)
    given = {name: value for name, value in overrides.items() if value is not None}
    return replace(PROTOCOLS[protocol], **given)
