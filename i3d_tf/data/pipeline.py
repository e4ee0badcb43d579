"""Examples to batches, in named phases: read, sample, decode, augment, batch.

Everything about a clip follows from its position in the training run, and from the seed: its
example, window, crop and mirroring. So the batches are the same whatever the number of workers, and
a run that was stopped goes on at any position.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

import numpy as np
import tensorflow as tf

from i3d_tf.data.clips import DIED, count_frames, frame_size, load_clips
from i3d_tf.data.example import NO_LABEL, VideoExample
from i3d_tf.data.feature_store import FeatureStore
from i3d_tf.data.flow_store import ComputedFlowStore, FlowStore, JoinedFlowStore
from i3d_tf.data.intervals import interval_targets
from i3d_tf.data.threaded_dataset import threaded_dataset
from i3d_tf.data.views import View, evaluation_views, key_view, random_key_view, random_view
from i3d_tf.specs.protocol import Protocol, clip_shape
from i3d_tf.specs.recipe import CLIP, FRAMES, PERSONS
from i3d_tf.specs.streams import FEATURES
from i3d_tf.system.array_processes import ArrayProcesses
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms_tf import preprocess_batch

DTYPES = {"rgb": tf.uint8, "flow": tf.float32, FEATURES: tf.float32}
ORDER, VIEW = range(2)  # independent random numbers for each purpose


@dataclass
class Failures:
    """Errors while batches were made.

    Attributes:
        reasons: Videos that could not be read, path to reason.
        error: The error that ended the pipeline, if any.
    """

    reasons: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None

    @contextlib.contextmanager
    def reraised(self) -> Iterator[None]:
        """Raises the error of the pipeline itself: TensorFlow wraps its text in another."""
        try:
            yield
        except tf.errors.OpError as error:
            if self.error is None:
                raise
            raise self.error from error

    def keep_error(self, error: Exception):
        """Keeps the error that ends the pipeline."""
        self.error = error


@dataclass(frozen=True)
class PipelineConfig:
    """Settings of a pipeline.

    Attributes:
        examples: The videos.
        streams: ("rgb",), ("flow",) or both; with both, batches are dictionaries. Or ("features",):
            a frame is then a row of stored features, and `evaluation_clips` has all rows of a video
            up to the protocol's frames, so that its batches must be of one clip.
        protocol: How clips are made; its windows and crops matter to `evaluation_clips` alone.
        batch_size: Clips of a batch.
        share: Number of this process, and of all that share the training batches: each makes its
            part of their positions.
        seed: Of the order and of the views.
        flow_store: The flow files; None where no flow is needed.
        flip: Whether clips may be mirrored.
        jitter: Strength of random colour changes.
        crop_scales: Sizes of training crops, see `i3d_tf.data.views.random_view`.
        class_weights: Weight of each class's clips, or None for 1.
        freeze_time: Show the middle frame of every clip, repeated (of flow: no motion).
        epoch_start: Position at which the first epoch starts; earlier ones are not asked for.
        feature_store: The stored features; None where no network reads them.
        task: What training batches say of a clip: its class ("clip"), which classes are in it
            ("multilabel"), or which are in each of its frames ("frames"). The latter two are of
            examples with intervals. For "persons", views are around an example's key frame, and
            `i3d_tf.inference.person_clips` makes the batches.
        classes: Number of classes; only needed where a clip may have several.
        heads: Names of the classifiers of a network with several. Training batches then have
            dictionaries of labels and weights by these; a clip counts for that of its example.
        clip_processes: Processes that decode the clips, see `i3d_tf.data.clips.clip_processes`;
            None decodes them in the threads of this one.

    Raises:
        ValueError: Flow is needed, and there is no `flow_store`; or features, and no
            `feature_store`.
    """

    examples: Sequence[VideoExample]
    streams: tuple[str, ...]
    protocol: Protocol
    batch_size: int
    seed: int
    flow_store: FlowStore | JoinedFlowStore | ComputedFlowStore | None = None
    flip: bool = True
    jitter: float = 0.0
    crop_scales: tuple[float, ...] | None = None
    class_weights: tuple[float, ...] | None = None
    freeze_time: bool = False
    epoch_start: int = 0
    feature_store: FeatureStore | None = None
    task: str = CLIP
    classes: int = 0
    heads: tuple[str, ...] = ()
    share: tuple[int, int] = (0, 1)
    clip_processes: ArrayProcesses | None = None

    def __post_init__(self):
        if FEATURES in self.streams and self.feature_store is None:
            raise ValueError("`feature_store` must be given for features; received None.")
        if "flow" in self.streams and self.flow_store is None:
            raise ValueError("`flow_store` must be given for flow; received None.")

    def read(self, position: int) -> VideoExample:
        """Returns the example at a position (phase 1); every epoch has an order of its own."""
        count = len(self.examples)
        epoch, index = divmod(position - self.epoch_start, count)
        return self.examples[_epoch_order(self.seed, self.epoch_start, epoch, count)[index]]

    def sample(self, position: int, example: VideoExample, attempt: int = 0) -> View:
        """Returns a view of the example (phase 2), before anything is decoded.

        Args:
            position: Position in the training run.
            example: The example there.
            attempt: Number of views of this position that were drawn before.
        """
        key = [self.seed, VIEW, position, attempt] if attempt else [self.seed, VIEW, position]
        generator = np.random.default_rng(key)
        frames, segments = self.protocol.frames, self.protocol.segments
        available, changes = self.count(example), (generator, self.flip, self.jitter)
        if self.task == PERSONS:
            return random_key_view(self._key(example, available), available, frames, *changes)
        return random_view(available, frames, *changes, segments, self.crop_scales)

    def key_view(self, example: VideoExample) -> View:
        """Returns the test view around the example's key frame."""
        available = self.count(example)
        return key_view(self._key(example, available), available, self.protocol.frames)

    def _key(self, example, available):
        (key_frame,) = example.key_frames
        return key_frame.frame_index(self.protocol.frame_rate, available)

    def count(self, example: VideoExample) -> int:
        """Returns the number of frames of an example, or of its rows of stored features."""
        if self.feature_store is not None:
            return self.feature_store.count_rows(example.path)
        return count_frames(example, self.protocol.frame_rate)

    def frame_size(self, example: VideoExample) -> tuple[int, int]:
        """Returns height and width of an example's frames, before they are resized."""
        return frame_size(example.path)

    def decode(self, example: VideoExample, view: View) -> list[np.ndarray]:
        """Decodes and augments one view (phases 3 and 4), every stream's clip alike.

        Returns:
            A clip for each stream: uint8 RGB, or float32 flow in pixels per frame.
        """
        arguments = example, view, self.streams, self.protocol, self.freeze_time
        if self.clip_processes is None:
            return load_clips(*arguments, self.flow_store, self.feature_store)
        clips = self.clip_processes(*arguments)
        if clips is None:
            raise VideoError(example.path, DIED)
        return clips

    def clips_at_once(self, workers: int | None) -> int | None:
        """Returns how many threads make clips, where so many were asked for.

        With processes there are half as many more threads, some of which wait for their turn.
        """
        if workers is None and self.clip_processes is not None:
            return -(-3 * self.clip_processes.processes // 2)
        return workers

    def shape(self, stream: str) -> tuple[int, ...]:
        """Returns (T, S, S, C) of a stream's clips, (T, C) of stored features."""
        protocol = self.protocol
        if self.feature_store is not None:
            return protocol.frames, self.feature_store.channels
        return clip_shape(
            stream, protocol.frames, protocol.rgb_step, protocol.crop_size, protocol.segments
        )

    def empty_clips(self) -> list[np.ndarray]:
        """Returns clips in the place of unreadable ones: black, or no motion."""
        return [np.zeros(self.shape(s), DTYPES[s].as_numpy_dtype) for s in self.streams]

    def target(self, example: VideoExample, view: View) -> np.ndarray:
        """Returns what is to be learned of a view.

        Returns:
            int32, the class; or float32 of 0 and 1, (classes,) or (T, classes), by the task. With
            several heads int32 (heads,), `NO_LABEL` for those of other datasets.
        """
        if self.task == CLIP:
            return self._label(example)
        times = (example.start or 0.0) + view.indices / self.protocol.frame_rate
        targets = interval_targets(example.intervals, times, self.classes).astype(np.float32)
        return targets if self.task == FRAMES else targets.max(axis=0)

    def empty_target(self, example: VideoExample) -> np.ndarray:
        """Returns a target in the place of that of an unreadable clip: no class, but for a clip."""
        spec = self.target_spec
        if self.task == CLIP:
            return self._label(example)
        return np.zeros(spec.shape, spec.dtype.as_numpy_dtype)

    def _label(self, example):
        if not self.heads:
            return np.array(example.label, np.int32)
        labels = [example.label if head == example.head else NO_LABEL for head in self.heads]
        return np.array(labels, np.int32)

    @property
    def target_spec(self) -> tf.TensorSpec:
        """The type and shape of a target."""
        if self.task == CLIP:
            return tf.TensorSpec((len(self.heads),) if self.heads else (), tf.int32)
        frames = (self.protocol.frames,) if self.task == FRAMES else ()
        return tf.TensorSpec((*frames, self.classes), tf.float32)

    def positions(self, first_step: int, last_step: int) -> Sequence[int]:
        """Returns the positions of the clips of some steps that this process makes."""
        index, count = self.share
        if count == 1:
            return range(first_step * self.batch_size, last_step * self.batch_size)
        clips = self.batch_size // count
        starts = (step * self.batch_size + index * clips for step in range(first_step, last_step))
        return [start + place for start in starts for place in range(clips)]

    def paths(self, step: int) -> list[str]:
        """Returns the videos of one batch."""
        first = step * self.batch_size
        return [self.read(first + index).path for index in range(self.batch_size)]


@lru_cache(maxsize=4)
def _epoch_order(seed, epoch_start, epoch, count):
    key = [seed, ORDER, epoch] + ([epoch_start] if epoch_start else [])
    return np.random.default_rng(key).permutation(count)


def train_batches(
    config: PipelineConfig,
    first_step: int,
    last_step: int,
    failures: Failures,
    workers: int | None = None,
    iterations: int = 1,
) -> tf.data.Dataset:
    """Makes the training batches of some steps.

    Args:
        config: Settings.
        first_step: First step.
        last_step: One after the last.
        failures: Filled with the videos that could not be read. Such a clip stays in its batch as
            zeros with weight 0: it does not contribute to the loss and shifts no other clip's
            position; only batch norm sees it, as black or as no motion.
        workers: Clips made at once; None means one per processor.
        iterations: How often the dataset is iterated; Keras does so twice on several replicas.

    Returns:
        tf.data.Dataset of (clips, targets, weights): float32 (N, T, S, S, C) in [-1, 1], or a
        dictionary of them by stream; labels, int32 (N,), or see `PipelineConfig.target`; float32
        (N,). With several heads labels and weights are dictionaries by their names.
    """

    def load(position):
        example = config.read(position)
        try:
            view = config.sample(position, example)
            weight = config.class_weights[example.label] if config.class_weights else 1
            target = config.target(example, view)
            return (*config.decode(example, view), target, np.float32(weight))
        except VideoError as error:
            failures.reasons[error.path] = error.reason
            return (*config.empty_clips(), config.empty_target(example), np.float32(0))

    positions = config.positions(first_step, last_step)
    batches = _batched(
        positions, load, config.target_spec, config, failures, workers, iterations, True
    )
    return batches.map(partial(_by_head, config.heads)) if config.heads else batches


def _by_head(heads, clips, labels, weights):
    """Returns labels and weights of each head; the clips of others weigh nothing."""
    by_head = {head: labels[:, index] for index, head in enumerate(heads)}
    own = {head: tf.where(of_head == NO_LABEL, 0.0, weights) for head, of_head in by_head.items()}
    return clips, by_head, own


def evaluation_clips(
    config: PipelineConfig, failures: Failures, workers: int | None = None
) -> tf.data.Dataset:
    """Makes the clips of a test set, in order, each with the number of its example.

    Args:
        config: Settings; seed, flip and jitter have no effect.
        failures: Filled with the videos that could not be read; their clips have weight 0.
        workers: See `train_batches`.

    Returns:
        tf.data.Dataset of (clips, example numbers, weights), see `train_batches`: all windows of a
        video one after the other, and all crops of a window.
    """
    protocol = config.protocol
    empty = config
    if config.feature_store is not None:  # a video of any length: one row stands for it
        empty = replace(config, protocol=replace(protocol, frames=1))

    def load(position):
        number, index = divmod(position, protocol.views)
        example = config.examples[number]
        try:
            available, sampling = config.count(example), protocol
            if config.feature_store is not None:
                sampling = replace(protocol, frames=min(available, protocol.frames))
            view = evaluation_views(available, sampling)[index]
            return (*config.decode(example, view), np.int32(number), np.float32(1))
        except VideoError as error:
            failures.reasons[error.path] = error.reason
            return (*empty.empty_clips(), np.int32(number), np.float32(0))

    positions = range(len(config.examples) * protocol.views)
    spec = tf.TensorSpec((), tf.int32)
    return _batched(positions, load, spec, config, failures, workers, 1, False)


def _batched(positions, load, spec, config, failures, workers, iterations, drop_remainder):
    """Makes batches of clips by stream, see `batched`."""
    streams = config.streams
    shapes = [(None, *config.shape(s)[1:]) if s == FEATURES else config.shape(s) for s in streams]
    signature = [
        tf.TensorSpec(*pair) for pair in zip(shapes, map(DTYPES.get, streams), strict=True)
    ]
    signature += [spec, tf.TensorSpec((), tf.float32)]

    def by_stream(*batch):
        *clips, targets, weights = batch
        inputs = list(map(_to_inputs, clips, streams))
        named = dict(zip(streams, inputs, strict=True))
        return (named if len(named) > 1 else inputs[0]), targets, weights

    at_once = config.clips_at_once(workers)
    elements = threaded_dataset(
        load, positions, signature, failures.keep_error, at_once, iterations
    )
    return batched(elements, by_stream, config.batch_size // config.share[1], drop_remainder)


def batched(
    elements: tf.data.Dataset, to_inputs: Callable, batch_size: int, drop_remainder: bool
) -> tf.data.Dataset:
    """Makes batches of elements, in order (phase 5).

    Args:
        elements: The elements, tuples of tensors.
        to_inputs: Function from their batched components to what the network gets.
        batch_size: Elements of a batch.
        drop_remainder: Whether an incomplete last batch is left out.
    """
    dataset = elements.batch(batch_size, drop_remainder=drop_remainder)
    dataset = dataset.map(to_inputs, tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    # Batches are split by the strategy; files are chosen by position: nothing is to be sharded.
    sharding = tf.data.experimental.AutoShardPolicy.OFF
    options.experimental_distribute.auto_shard_policy = sharding
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def _to_inputs(clips, stream):
    return clips if stream == FEATURES else preprocess_batch(clips, stream)
