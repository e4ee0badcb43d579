"""Clips around key frames, with the boxes of the persons in them.

A clip has the key frame in its middle; the boxes move with its crop and its mirroring.
"""

import threading
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from i3d_tf.data.example import VideoExample
from i3d_tf.data.pipeline import DTYPES, Failures, PipelineConfig, batched
from i3d_tf.data.threaded_dataset import threaded_dataset
from i3d_tf.data.views import View
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms import CropPlace, ScaledCropPlace, crop_offsets, resized_shape
from i3d_tf.video.transforms_tf import preprocess_batch

CLIP_INPUT, BOXES_INPUT = "clip", "boxes"  # names of the network's inputs
MIN_VISIBLE = 0.5  # share of a box that must be within the crop; others are left out
MAX_ATTEMPTS = 10  # to draw a crop in which somebody is
WHOLE = (0.0, 0.0, 1.0, 1.0)  # a box in a clip where nobody is left
BOXES = 2  # random numbers for the choice of boxes, beside those of `i3d_tf.data.pipeline`


@dataclass
class BoxCounts:
    """The boxes of training clips by what became of them.

    Attributes:
        shown: Boxes that the network was shown.
        cut_off: Boxes of which a crop shows less than `MIN_VISIBLE`.
        surplus: Boxes above the largest number of a clip.
    """

    shown: int = 0
    cut_off: int = 0
    surplus: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, shown: int, cut_off: int, surplus: int):
        """Adds the boxes of a clip; threads may call it."""
        with self._lock:
            self.shown += shown
            self.cut_off += cut_off
            self.surplus += surplus

    def lines(self) -> list[str]:
        """Returns the lines that tell a user of boxes that were left out."""
        lines = []
        if self.cut_off:
            lines.append(
                f"boxes: {self.shown} were shown; {self.cut_off} were left out of clips whose crop "
                f"has less than {MIN_VISIBLE:.0%} of them"
            )
        if self.surplus:
            lines.append(f"boxes: {self.surplus} were above the largest number of a clip")
        return lines


def move_boxes(
    boxes: np.ndarray, height: int, width: int, size: int, place: CropPlace | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns boxes as they are in a crop, and the share of each that the crop has.

    Args:
        boxes: (M, 4), (x1, y1, x2, y2), shares of the frame's width and height.
        height: Pixels of the frame.
        width: Pixels of the frame.
        size: Pixels, side of the crop.
        place: The crop, and whether it is mirrored; None is the whole frame.

    Returns:
        (boxes, shares): float32 (M, 4), shares of the crop's sides, cut at its edges; float64 (M,),
        in [0, 1].
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if place is None:
        return boxes.astype(np.float32), np.ones(len(boxes))
    top, left = crop_offsets(height, width, size, place)
    pixels = boxes * [width, height, width, height] - [left, top, left, top]
    cut = np.clip(pixels, 0, size)
    shown, whole = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (cut, pixels))
    shares = np.divide(shown, whole, out=np.zeros(len(boxes)), where=whole > 0)
    moved = cut / size
    if place.mirrored:
        moved[:, [0, 2]] = 1 - moved[:, [2, 0]]
    return moved.astype(np.float32), shares


def view_boxes(
    example: VideoExample, view: View, config: PipelineConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the boxes of an example's key frame as they are in a view; see `move_boxes`.

    Raises:
        VideoError: The video cannot be read.
    """
    (key_frame,) = example.key_frames
    boxes = np.array([person.box for person in key_frame.persons]).reshape(-1, 4)
    protocol = config.protocol
    if view.place is None:
        return move_boxes(boxes, 0, 0, 0, None)
    if isinstance(view.place, ScaledCropPlace):
        raise ValueError("`crop_scales` must be empty for persons in boxes.")
    height, width = resized_shape(*config.frame_size(example), protocol.short_side)
    return move_boxes(boxes, height, width, protocol.crop_size, view.place)


def sample_view(
    config: PipelineConfig, position: int, example: VideoExample
) -> tuple[View, np.ndarray, np.ndarray]:
    """Returns a training view, with its boxes; one without anybody is drawn again.

    Args:
        config: Settings.
        position: Position in the training run.
        example: The example there.

    Returns:
        (view, boxes, shares), see `view_boxes`. After `MAX_ATTEMPTS` views, there may be nobody.

    Raises:
        VideoError: The video cannot be read.
    """
    for attempt in range(MAX_ATTEMPTS):
        view = config.sample(position, example, attempt)
        boxes, shares = view_boxes(example, view, config)
        if (shares >= MIN_VISIBLE).any():
            break
    return view, boxes, shares


def pad_boxes(
    boxes: np.ndarray, targets: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns boxes, targets and weights of a fixed number of boxes.

    The rest are copies of the boxes there are, or the whole frame, so that batch norm sees nothing
    strange; their weights are 0, and they have no part in the loss.

    Args:
        boxes: float32 (M, 4).
        targets: float32 (M, classes).
        number: At least M.

    Returns:
        (boxes, targets, weights): float32 (number, 4), (number, classes), (number,).
    """
    found = len(boxes)
    weights = (np.arange(number) < found).astype(np.float32)
    order = np.arange(number) % max(found, 1)
    source = boxes if found else np.array([WHOLE], np.float32)
    padded = np.zeros((number, targets.shape[1]), np.float32)
    padded[:found] = targets
    return source[order], padded, weights


def multi_hot(example: VideoExample, classes: int) -> np.ndarray:
    """Returns the classes of the persons in an example's key frame, float32 (M, classes)."""
    (key_frame,) = example.key_frames
    targets = np.zeros((len(key_frame.persons), classes), np.float32)
    for row, person in zip(targets, key_frame.persons, strict=True):
        row[list(person.labels)] = 1
    return targets


def person_batches(
    config: PipelineConfig,
    max_boxes: int,
    first_step: int,
    last_step: int,
    failures: Failures,
    counts: BoxCounts,
    workers: int | None = None,
    iterations: int = 1,
) -> tf.data.Dataset:
    """Makes the training batches of some steps; see `i3d_tf.data.pipeline.train_batches`.

    Args:
        config: Settings, of one stream.
        max_boxes: M, boxes of a clip; of more, random ones are shown.
        first_step: First step.
        last_step: One after the last.
        failures: Filled with the videos that could not be read; their clips have weights of 0.
        counts: Counts the boxes.
        workers: Clips made at once.
        iterations: How often the dataset is iterated.

    Returns:
        tf.data.Dataset of (inputs, targets, weights): {"clip": float32 (N, T, S, S, C) in [-1, 1],
        "boxes": float32 (N, M, 4)}, float32 (N, M, classes), float32 (N, M).
    """

    def load(position):
        example = config.read(position)
        try:
            view, boxes, shares = sample_view(config, position, example)
            (clip,) = config.decode(example, view)
        except VideoError as error:
            failures.reasons[error.path] = error.reason
            (clip,) = config.empty_clips()
            nothing = np.zeros((0, 4), np.float32), np.zeros((0, config.classes), np.float32)
            return (clip, *pad_boxes(*nothing, max_boxes))
        visible = np.flatnonzero(shares >= MIN_VISIBLE)
        chosen = visible
        if len(visible) > max_boxes:
            generator = np.random.default_rng([config.seed, BOXES, position])
            chosen = np.sort(generator.choice(visible, max_boxes, replace=False))
        counts.add(len(chosen), len(shares) - len(visible), len(visible) - len(chosen))
        targets = multi_hot(example, config.classes)
        return (clip, *pad_boxes(boxes[chosen], targets[chosen], max_boxes))

    (stream,) = config.streams
    positions = config.positions(first_step, last_step)
    signature = [
        tf.TensorSpec(config.shape(stream), DTYPES[stream]),
        tf.TensorSpec((max_boxes, 4), tf.float32),
        tf.TensorSpec((max_boxes, config.classes), tf.float32),
        tf.TensorSpec((max_boxes,), tf.float32),
    ]

    def by_name(clips, boxes, targets, weights):
        inputs = {CLIP_INPUT: preprocess_batch(clips, stream), BOXES_INPUT: boxes}
        return inputs, targets, weights

    at_once = config.clips_at_once(workers)
    elements = threaded_dataset(
        load, positions, signature, failures.keep_error, at_once, iterations
    )
    return batched(elements, by_name, config.batch_size // config.share[1], drop_remainder=True)


def key_frame_clips(
    config: PipelineConfig, failures: Failures, workers: int | None = None
) -> tf.data.Dataset:
    """Makes the test clips of key frames in order, whole frames, with all boxes.

    Args:
        config: Settings, of one stream; batch size, crop size, flip and jitter have no effect.
        failures: Filled with the videos that could not be read; their clips have no boxes.
        workers: Clips made at once.

    Returns:
        tf.data.Dataset of (inputs, number of the example), one clip at a time, see
        `person_batches`. Key frames with nobody have none.
    """
    numbers = [n for n, example in enumerate(config.examples) if example.key_frames[0].persons]
    (stream,) = config.streams
    channels = CHANNELS[stream]

    def load(index):
        example = config.examples[numbers[index]]
        try:
            view = config.key_view(example)
            boxes, _ = view_boxes(example, view, config)
            (clip,) = config.decode(example, view)
        except VideoError as error:
            failures.reasons[error.path] = error.reason
            clip = np.zeros((1, 1, 1, channels), DTYPES[stream].as_numpy_dtype)
            boxes = np.zeros((0, 4), np.float32)
        return clip, boxes, np.int32(numbers[index])

    signature = [
        tf.TensorSpec((None, None, None, channels), DTYPES[stream]),
        tf.TensorSpec((None, 4), tf.float32),
        tf.TensorSpec((), tf.int32),
    ]

    def by_name(clips, boxes, number):
        return {CLIP_INPUT: preprocess_batch(clips, stream), BOXES_INPUT: boxes}, number[0]

    at_once = config.clips_at_once(workers)
    elements = threaded_dataset(load, range(len(numbers)), signature, failures.keep_error, at_once)
    return batched(elements, by_name, 1, drop_remainder=False)
