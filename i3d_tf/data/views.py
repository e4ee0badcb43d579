"""Views: the parts of a video that a network is given, chosen before anything is decoded.

A view is a window in time, or a snippet of each part of the video, and a place of the crop. A
policy turns the number of frames of a video into views: `random_view` for training,
`evaluation_views` for testing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from i3d_tf.specs.protocol import Protocol, flow_fields, frame_indices
from i3d_tf.video.sampling import (
    centered_window,
    first_frames,
    random_snippets,
    random_window,
    uniform_snippets,
    uniform_windows,
)
from i3d_tf.video.transforms import CENTER, CropPlace, ScaledCropPlace, crop_places

# Tops and lefts of TSN's crops, in quarters of the pixels to spare: corners, center, middles of the
# edges, and the points between the center and the corners.
FIXED_OFFSETS = (
    *((top, left) for top in (0, 4) for left in (0, 4)),
    (2, 2),
    *((0, 2), (2, 0), (2, 4), (4, 2)),
    *((top, left) for top in (1, 3) for left in (1, 3)),
)
JITTERED = ("brightness", "contrast", "saturation")


@dataclass(frozen=True)
class View:
    """One clip of one video.

    Attributes:
        indices: int64 (T,), frames of the video at the protocol's frame rate; those of several
            snippets one after the other.
        place: The crop; None is the whole frame.
        jitter: Factors of brightness, contrast and saturation; 1 changes nothing.
        is_backward: bool (T,): of flow, whether each field goes to the frame before, and not to the
            next; None where none does.
    """

    indices: np.ndarray
    place: CropPlace | ScaledCropPlace | None = CENTER
    jitter: tuple[float, float, float] = (1.0, 1.0, 1.0)
    is_backward: np.ndarray | None = None

    def of_stream(self, stream: str, protocol: Protocol) -> "View":
        """Returns the view with the frames that a network of one stream is given.

        Args:
            stream: "rgb" or "flow".
            protocol: Of `self`, whose indices are all frames of its snippets.
        """
        frames, segments = protocol.frames, protocol.segments
        if stream == "rgb":
            seen = frame_indices(stream, frames, protocol.rgb_step, segments)
            return replace(self, indices=self.indices[list(seen)])
        fields = flow_fields(frames, protocol.flow_direction, segments)
        starts = self.indices[[field.frame for field in fields]]
        is_backward = np.array([field.is_backward for field in fields])
        return replace(self, indices=starts, is_backward=is_backward if is_backward.any() else None)


def random_view(
    num_available: int,
    num_frames: int,
    generator: np.random.Generator,
    flip: bool = True,
    jitter: float = 0.0,
    segments: int = 1,
    crop_scales: Sequence[float] | None = None,
) -> View:
    """Returns a training view: a random window, a random crop, mirrored every other time.

    Args:
        num_available: Frames the video has.
        num_frames: Frames of the clip, or of each of its snippets.
        generator: Source of random numbers; every view draws equally many.
        flip: Whether views may be mirrored.
        jitter: Largest relative change of brightness, contrast and saturation.
        segments: Snippets of the clip; 1 is a window.
        crop_scales: Sizes of crops as shares of the short side, in descending order; height and
            width are drawn from them, at most one step apart, and the crop is at one of 13 fixed
            places (TSN's corner cropping and scale jittering, arXiv:1608.00859, section 4.1). None
            for squares of one size at random places.
    """
    if segments == 1:
        indices = random_window(num_available, num_frames, generator)
    else:
        indices = random_snippets(num_available, num_frames, segments, generator).ravel()
    view = _augmented(indices, generator, flip, jitter)
    if crop_scales is None:
        return view
    return replace(view, place=_scaled(view.place, crop_scales, generator))


def _scaled(place, scales, generator):
    """Returns one of TSN's crops, mirrored as `place` is."""
    pairs = [
        (height, width)
        for row, height in enumerate(scales)
        for column, width in enumerate(scales)
        if abs(row - column) <= 1
    ]
    height, width = pairs[generator.integers(len(pairs))]
    top, left = FIXED_OFFSETS[generator.integers(len(FIXED_OFFSETS))]
    return ScaledCropPlace(top / 4, left / 4, place.mirrored, height, width)


def random_key_view(
    key: int,
    num_available: int,
    num_frames: int,
    generator: np.random.Generator,
    flip: bool = True,
    jitter: float = 0.0,
) -> View:
    """Returns a training view around a frame: a random crop, mirrored every other time.

    Args:
        key: Index of the frame.
        num_available: See `random_view`.
        num_frames: Frames of the clip, see `key_view`.
        generator: See `random_view`.
        flip: See `random_view`.
        jitter: See `random_view`.
    """
    indices = centered_window(key, num_available, num_frames)
    return _augmented(indices, generator, flip, jitter)


def key_view(key: int, num_available: int, num_frames: int) -> View:
    """Returns the test view around a frame, which is frame num_frames // 2 of it: no crop.

    Args:
        key: Index of the frame.
        num_available: Frames the video has.
        num_frames: Frames of the clip.
    """
    return View(centered_window(key, num_available, num_frames), place=None)


def _augmented(indices, generator, flip, jitter):
    top, left, coin = generator.random(3)
    factors = 1.0 + jitter * generator.uniform(-1.0, 1.0, len(JITTERED))
    brightness, contrast, saturation = map(float, factors)
    place = CropPlace(float(top), float(left), mirrored=bool(flip and coin < 0.5))
    return View(indices, place, (brightness, contrast, saturation))


def evaluation_views(num_available: int, protocol: Protocol) -> list[View]:
    """Returns the views of a test video, window by window.

    Args:
        num_available: Frames the video has.
        protocol: Frames, windows or segments, and crops of its clips. One window is the first
            frames, as in arXiv:1705.07750; more are spread evenly.
    """
    frames = protocol.frames
    if protocol.segments > 1:
        spans: Iterable[np.ndarray] = [
            uniform_snippets(num_available, frames, protocol.segments).ravel()
        ]
    elif protocol.windows == 1:
        spans = [first_frames(num_available, frames)]
    else:
        spans = uniform_windows(num_available, frames, protocol.windows)
    places = crop_places(protocol.crops, protocol.crop_set)
    return [View(indices, place) for indices in spans for place in places]
