"""Examples to batches, in named phases: read, sample, decode, augment, batch.

Everything about a clip follows from its position in the training run, and from the seed: which
example it is, which window, crop and mirror image. So the batches are the same whatever the number
of workers, and a run that was stopped goes on at any position.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import tensorflow as tf

from i3d_tf.data.clips import ClipFormat, count_frames, load_flow, load_rgb
from i3d_tf.data.example import VideoExample
from i3d_tf.data.views import evaluation_views, random_view
from i3d_tf.specs.protocol import clip_shape, frames_seen
from i3d_tf.specs.streams import FLOW_BOUND
from i3d_tf.video.errors import VideoError

LOADERS = {"rgb": load_rgb, "flow": load_flow}
KINDS = {"rgb": tf.uint8, "flow": tf.float32}
ORDER, VIEW = range(2)  # independent random numbers for each purpose


@dataclass
class Failures:
    """What went wrong while batches were made.

    Attributes:
        reasons: Videos that could not be read, path to reason.
        fault: What ended the pipeline, if anything.
    """

    reasons: dict[str, str] = field(default_factory=dict)
    fault: Exception | None = None

    @contextlib.contextmanager
    def raised_as_they_are(self):
        """Raises a fault as itself: TensorFlow passes on its text, in an error of its own."""
        try:
            yield
        except tf.errors.OpError as error:
            if self.fault is None:
                raise
            raise self.fault from error

    @contextlib.contextmanager
    def noted(self):
        """Keeps the error that leaves the block."""
        try:
            yield
        except Exception as error:
            self.fault = error
            raise


@dataclass(frozen=True)
class PipelineConfig:
    """What a pipeline does in each phase.

    Attributes:
        examples: The training set.
        streams: ("rgb",), ("flow",) or both; with both, batches are dictionaries.
        frames: Frames of a clip's window in time.
        form: Frame rate, sizes, and where flow is.
        batch_size: Clips of a batch.
        seed: Of the order and of the views.
        flip: Whether clips may be mirrored.
        jitter: Strength of random colour changes.
        class_weights: Weight of each class's clips, or None for 1.
        freeze_time: Show the middle frame of every clip, repeated (of flow: no motion).
        rgb_step: RGB shows one of so many frames of the window, the middle one of them; flow shows
            all.
    """

    examples: Sequence[VideoExample]
    streams: tuple[str, ...]
    frames: int
    form: ClipFormat
    batch_size: int
    seed: int
    flip: bool = True
    jitter: float = 0.0
    class_weights: tuple[float, ...] | None = None
    freeze_time: bool = False
    rgb_step: int = 1

    def read(self, position: int) -> VideoExample:
        """Phase 1: the example at a position; every epoch has an order of its own."""
        epoch, place = divmod(position, len(self.examples))
        return self.examples[_order(self.seed, epoch, len(self.examples))[place]]

    def sample(self, position: int, example: VideoExample):
        """Phase 2: the view of it, before anything is decoded."""
        generator = np.random.default_rng([self.seed, VIEW, position])
        available = count_frames(example, self.form.frame_rate)
        return random_view(available, self.frames, generator, self.flip, self.jitter)

    def decode(self, example: VideoExample, view):
        """Decodes and augments one view: every stream's clip, cropped and mirrored alike.

        Returns:
            List of clips, one a stream: uint8 RGB, or float32 flow in pixels per frame.
        """
        seen = [list(frames_seen(s, self.frames, self.rgb_step)) for s in self.streams]
        views = [replace(view, indices=view.indices[frames]) for frames in seen]
        clips = [
            LOADERS[stream](example, shown, self.form)
            for stream, shown in zip(self.streams, views, strict=True)
        ]
        return [self._frozen(clip) for clip in clips] if self.freeze_time else clips

    def shape(self, stream: str) -> tuple[int, int, int, int]:
        """(T, S, S, C) of a stream's clips."""
        return clip_shape(stream, self.frames, self.rgb_step, self.form.crop_size)

    def _frozen(self, clip):
        """The middle frame repeated; between equal frames nothing moves."""
        middle = np.repeat(clip[len(clip) // 2 :][:1], len(clip), axis=0)
        return middle if clip.dtype == np.uint8 else np.zeros_like(middle)

    def paths(self, step: int) -> list[str]:
        """The videos of one batch."""
        first = step * self.batch_size
        return [self.read(first + place).path for place in range(self.batch_size)]


@lru_cache(maxsize=4)
def _order(seed, epoch, count):
    return np.random.default_rng([seed, ORDER, epoch]).permutation(count)


def train_batches(phases: PipelineConfig, first_step, last_step, failures: Failures, workers=None):
    """The training batches of some steps.

    Args:
        phases: What to do.
        first_step: First step.
        last_step: One after the last.
        failures: Filled with the videos that could not be read. Such a clip stays in its batch as
            zeros with weight 0: it teaches nothing and shifts no other clip's position; only batch
            norm sees it, as black or as no motion.
        workers: How many clips are made at once; by default, what tf.data finds best.

    Returns:
        tf.data.Dataset of (clips, labels, weights): float32 (N, T, S, S, C) in [-1, 1], or a
        dictionary of them by stream; int32 (N,); float32 (N,).
    """

    def load(position):
        example = phases.read(int(position))
        try:
            view = phases.sample(int(position), example)
            weight = phases.class_weights[example.label] if phases.class_weights else 1
            return (*phases.decode(example, view), np.int32(example.label), np.float32(weight))
        except VideoError as error:
            failures.reasons[error.path] = error.reason
            return (*_nothing(phases), np.int32(example.label), np.float32(0))

    first, last = first_step * phases.batch_size, last_step * phases.batch_size
    dataset = tf.data.Dataset.range(first, last)
    return _batched(dataset, load, phases, failures, workers, drop_remainder=True)


def evaluation_clips(phases: PipelineConfig, windows, crops, failures: Failures, workers=None):
    """The clips of a test set, in order, each with the number of its example.

    Args:
        phases: Examples, streams, frames, format, batch size; seed, flip and jitter have no use.
        windows: Windows in time of each video, see `evaluation_views`.
        crops: Crops of each window.
        failures: Filled with the videos that could not be read; their clips have weight 0.
        workers: As of `train_batches`.

    Returns:
        tf.data.Dataset of (clips, example numbers, weights).
    """
    views_per_video = windows * crops

    def load(position):
        number, view = divmod(int(position), views_per_video)
        example = phases.examples[number]
        try:
            available = count_frames(example, phases.form.frame_rate)
            chosen = evaluation_views(available, phases.frames, windows, crops)[view]
            return (*phases.decode(example, chosen), np.int32(number), np.float32(1))
        except VideoError as error:
            failures.reasons[error.path] = error.reason
            return (*_nothing(phases), np.int32(number), np.float32(0))

    dataset = tf.data.Dataset.range(len(phases.examples) * views_per_video)
    return _batched(dataset, load, phases, failures, workers, drop_remainder=False)


def _nothing(phases):
    """Black, or no motion: clips that could not be read."""
    return [np.zeros(phases.shape(s), KINDS[s].as_numpy_dtype) for s in phases.streams]


def _batched(dataset, load, phases, failures, workers, drop_remainder):
    """Phase 5: clips in parallel, in order, into batches that the network takes."""
    types = [KINDS[stream] for stream in phases.streams] + [tf.int32, tf.float32]

    def noted(position):
        with failures.noted():
            return load(position)

    def as_tensors(position):
        *clips, number, weight = tf.numpy_function(noted, [position], types, stateful=False)
        for clip, stream in zip(clips, phases.streams, strict=True):
            clip.set_shape(phases.shape(stream))
        number.set_shape(())
        weight.set_shape(())
        return (*clips, number, weight)

    def by_stream(*batch):
        *clips, numbers, weights = batch
        ready = list(map(normalize, clips, phases.streams))
        named = dict(zip(phases.streams, ready, strict=True))
        return (named if len(named) > 1 else ready[0]), numbers, weights

    dataset = dataset.map(as_tensors, workers or tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.batch(phases.batch_size, drop_remainder=drop_remainder)
    dataset = dataset.map(by_stream, tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    # Batches are split by the strategy; files are chosen by position: nothing is to be sharded.
    sharding = tf.data.experimental.AutoShardPolicy.OFF
    options.experimental_distribute.auto_shard_policy = sharding
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def normalize(clips, stream):
    """`preprocess_input` as TensorFlow operations, a whole batch at a time."""
    if stream == "rgb":
        # value / 127.5 - 1 in one pass over the memory; cast, divide and subtract are three.
        codes = tf.bitcast(clips, tf.quint8)
        return tf.quantization.dequantize(codes, -1.0, 1.0, mode="MIN_COMBINED")
    return tf.clip_by_value(clips, -FLOW_BOUND, FLOW_BOUND) / FLOW_BOUND
