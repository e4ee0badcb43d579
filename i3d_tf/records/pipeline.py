"""Records to batches by TensorFlow operations alone: plan, read, decode, augment, batch.

`PipelineConfig` draws what follows from the seed and the position: the example, window, crop,
mirroring and colours of each clip. These are a plan, rows of numbers that are known before anything
is read. A function of TensorFlow operations makes the clip of a row, so that the whole can also run
in other processes and on other machines (tf.data service). From lossless records come the batches
that the videos give, bit for bit.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from i3d_tf.data.example import VideoExample
from i3d_tf.data.pipeline import DTYPES, Failures, PipelineConfig
from i3d_tf.data.views import View
from i3d_tf.flow.metadata import FORMULAS
from i3d_tf.flow.quantize import dequantize
from i3d_tf.records.index import Record, RecordError
from i3d_tf.records.pictures import decode_picture, decode_pictures, read_pictures
from i3d_tf.records.record_set import Place
from i3d_tf.specs.recipe import FRAMES, MULTILABEL
from i3d_tf.specs.streams import BOTH, CHANNELS, FLOW_ROUNDINGS
from i3d_tf.system.errors import short_reason
from i3d_tf.video.errors import VideoError
from i3d_tf.video.resample import as_fraction
from i3d_tf.video.transforms import CENTER, ScaledCropPlace, colour_matrix
from i3d_tf.video.transforms_tf import (
    change_colours,
    preprocess_batch,
    resize,
    resize_short_side,
)

PAST_THE_END = 2**62  # bytes, of every shard
# Errors of TensorFlow that are the fault of one record.
RECORD_ERRORS = (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError)
OF_ACTIONS = (MULTILABEL, FRAMES)  # tasks whose targets follow from actions in time
Row = dict[str, tf.Tensor]


@dataclass(frozen=True)
class RecordConfig(PipelineConfig):
    """Settings of a pipeline from records.

    Attributes:
        places: Path of an example to its record.
        flow_rounding: How codes of flow are unpacked; None means as each record says.

    Raises:
        ValueError: Records do not have what the settings need.
    """

    places: dict[str, Place] = field(default_factory=dict)
    flow_rounding: str | None = None

    def __post_init__(self):
        if self.heads or self.feature_store is not None:
            raise ValueError(
                "`records` are for one dataset of videos; received two, or stored features. Give "
                "--data_dir, the videos, without --records."
            )
        if self.crop_scales is not None and "flow" in self.streams:
            raise ValueError(
                "`crop_scales` must be None for flow of records, which is not resized; received "
                f"{self.crop_scales}. Give --data_dir, the videos, without --records."
            )
        if "flow" not in self.streams:
            return
        if self.protocol.flow_direction == BOTH:
            raise ValueError(
                "`flow_direction` must be forward for records, which hold no other flow; received "
                f"{BOTH!r}. Give --data_dir, the videos, without --records."
            )
        for example in self.examples:
            self._check_flow(example)

    def _check_flow(self, example):
        place = self.places[example.path]
        record, side = place.record, self.protocol.short_side
        where = f"{place.shard}: record {place.number}"
        if not record.flow_frames:
            raise ValueError(f"{where} has no flow. Make records with --flow_dir.")
        rounding = self.flow_rounding or record.flow_rounding
        if FORMULAS[rounding] != FORMULAS[record.flow_rounding]:
            raise ValueError(
                f"{where} has flow whose codes were rounded as {record.flow_rounding!r}, not "
                f"{rounding!r}. Give --flow_rounding={record.flow_rounding}, or make records anew."
            )
        found = min(record.flow_height, record.flow_width)
        if found and found != side:
            raise ValueError(
                f"{where} has flow of short side {found}, not {side}. Give --short_side={found}."
            )
        if self.ratio(record) != (1, 1):
            raise ValueError(
                f"{where} has flow at {record.frame_rate:g} frames per second, not "
                f"{self.protocol.frame_rate:g}. Give --frame_rate={record.frame_rate:g}."
            )

    def ratio(self, record: Record) -> tuple[int, int]:
        """Returns the rate of a record's frames by the protocol's, as a fraction."""
        if record.frame_rate is None:
            return 1, 1
        rate = as_fraction("frame_rate", self.protocol.frame_rate)
        return (as_fraction("frame_rate", record.frame_rate) / rate).as_integer_ratio()

    def count(self, example: VideoExample) -> int:
        """Returns the number of frames of an example at the protocol's rate."""
        record = self.places[example.path].record
        if record.frame_count and self.ratio(record) == (1, 1):
            return record.frame_count
        return _at_rate(record.frames, self.ratio(record))

    def frame_size(self, example: VideoExample) -> tuple[int, int]:
        """Returns height and width of an example's frames as they are stored."""
        place = self.places[example.path]
        record = place.record
        if record.height and record.width:
            return record.height, record.width
        return _stored_size(example.path, place)

    def decode(self, example: VideoExample, view: View) -> list[np.ndarray]:
        """Makes the clips of one view at once: for tests of a network, and of persons in boxes.

        Raises:
            VideoError: The record cannot be read; the reason names shard and record.
        """
        place, row = self.places[example.path], self.row(example, view)
        make = _clip_function(self.settings(is_whole=view.place is None))
        used = row.keys() - {"shard", "times"}
        try:
            tensors = {name: tf.convert_to_tensor(row[name]) for name in used}
            return [clip.numpy() for clip in make(tf.constant(place.shard), tensors)]
        except tf.errors.OpError as error:
            raise _unreadable(example.path, place, error) from error

    def settings(self, is_whole: bool = False) -> "ClipSettings":
        """Returns what the function from pictures to a clip follows from.

        Args:
            is_whole: Whether clips have whole frames, and not crops.
        """
        return ClipSettings(
            self.streams,
            self.protocol.short_side,
            None if is_whole else self.protocol.crop_size,
            bool(self.jitter),
            self.crop_scales is not None,
            tuple(self.shape(s)[0] for s in self.streams) if self.freeze_time else None,
        )

    def row(self, example: VideoExample, view: View) -> dict[str, np.ndarray]:
        """Returns what `ClipMaker` needs to know of a clip.

        Raises:
            VideoError: The record has none of the frames.
        """
        place = self.places[example.path]
        record, at = place.record, view.place or CENTER
        row = {
            "shard": np.int32(self._shard_numbers[place.shard]),
            "offset": np.int64(record.offset),
            "top": np.float64(at.top),
            "left": np.float64(at.left),
            "mirrored": np.bool_(at.mirrored),
        }
        if self.crop_scales is not None:
            scales = (at.height, at.width) if isinstance(at, ScaledCropPlace) else (0.0, 0.0)
            row["scales"] = np.array(scales, np.float64)
        for stream in self.streams:
            seen = view.of_stream(stream, self.protocol)
            try:
                row[stream] = self._frames(stream, record, seen.indices)
            except ValueError as error:
                raise VideoError(example.path, f"{_where(place)}: {error}") from error
            if stream == "rgb" and self.jitter:
                row["colours"] = colour_matrix(*view.jitter)
            if stream == "flow":
                rounding = self.flow_rounding or record.flow_rounding
                row["rounding"] = np.int32(FLOW_ROUNDINGS.index(rounding))
        if self.task in OF_ACTIONS:
            row["times"] = view.indices / self.protocol.frame_rate
        return row

    def empty_row(self) -> dict[str, np.ndarray]:
        """Returns a row in the place of that of a record without the frames; it reads nothing."""
        row = {
            "shard": np.int32(0),
            "offset": np.int64(PAST_THE_END),
            "top": np.float64(0),
            "left": np.float64(0),
            "mirrored": np.bool_(False),
        }
        if self.crop_scales is not None:
            row["scales"] = np.zeros(2, np.float64)
        for stream in self.streams:
            row[stream] = np.zeros(1 if self.freeze_time else self.shape(stream)[0], np.int32)
            if stream == "rgb" and self.jitter:
                row["colours"] = np.zeros((3, 4), np.float32)
            if stream == "flow":
                row["rounding"] = np.int32(0)
        if self.task in OF_ACTIONS:
            row["times"] = np.zeros(self.protocol.frames * self.protocol.segments, np.float64)
        return row

    def _frames(self, stream, record, indices):
        """Returns the stored pictures of a clip; of a frozen one, the middle one's."""
        if stream == "rgb":
            frames = stored_frames(indices, record.frames, self.ratio(record))
        else:
            frames = stored_fields(indices, record.flow_frames)
        if self.freeze_time:
            frames = frames[len(frames) // 2 :][:1]
        return frames.astype(np.int32)

    @cached_property
    def shards(self) -> tuple[str, ...]:
        """The shards of all examples, sorted."""
        return tuple(sorted({self.places[example.path].shard for example in self.examples}))

    @cached_property
    def _shard_numbers(self):
        return {shard: number for number, shard in enumerate(self.shards)}


class ClipSettings(NamedTuple):
    """Settings of the function from the pictures of a record to a clip.

    Attributes:
        streams: See `PipelineConfig`.
        short_side: Pixels, to which frames of RGB are resized.
        crop_size: Pixels; None keeps whole frames.
        has_jitter: Whether rows have a matrix of colours.
        has_scales: Whether rows have sizes of crops, which are then resized; of RGB alone.
        frozen: Frames of the clip of each stream, all equal; None where they are as they come.
    """

    streams: tuple[str, ...]
    short_side: int
    crop_size: int | None
    has_jitter: bool
    has_scales: bool
    frozen: tuple[int, ...] | None


@lru_cache(maxsize=1 << 12)
def _stored_size(path, place):
    height, width, _ = read_record_frames(path, place, [0])[0].shape
    return height, width


def _unreadable(path, place, error):
    """Returns the error of a record that TensorFlow cannot read or decode."""
    # Without the names of operations that TensorFlow puts before and after it.
    reason = short_reason(re.sub(r"^\{\{.*?\}\} | \[Op:.*", "", error.message, flags=re.DOTALL))
    return VideoError(path, f"{_where(place)}: {reason}")


def _where(place):
    return f"{place.shard}, record {place.number} at byte {place.record.offset}"


def _at_rate(frames, ratio):
    """Returns how many frames there are at another rate, ratio = rate / other rate."""
    rate, other = ratio
    return -(-frames * other // rate)


def _step(indices):
    """Returns the distance between consecutive indices; 1 where it varies."""
    steps = set(np.diff(indices).tolist())
    return max(1, steps.pop()) if len(steps) == 1 else 1


def stored_frames(indices: np.ndarray, frames: int, ratio: tuple[int, int]) -> np.ndarray:
    """Returns the stored frames of a view; those past the end start the view over.

    Args:
        indices: int64 (T,), frames of the view at the protocol's rate.
        frames: Frames that are stored.
        ratio: The rate at which they are by the protocol's, as a fraction.

    Returns:
        int64 (T,): for each the stored frame nearest in time, the earlier of equally near ones.

    Raises:
        ValueError: The frames end before the view.
    """
    rate, other = ratio
    first, step = int(indices.min()), _step(indices)
    available = -(-max(0, _at_rate(frames, ratio) - first) // step)
    if not available:
        raise ValueError(f"it ends before frame {first}")
    wanted = first + (indices - first) // step % available * step
    return np.minimum((2 * wanted * rate + other - 1) // (2 * other), frames - 1)


def stored_fields(indices: np.ndarray, frames: int) -> np.ndarray:
    """Returns the stored fields of flow of a view; those past the end start the view over.

    Args:
        indices: int64 (T,), frames of the view.
        frames: Fields that are stored.

    Raises:
        ValueError: The flow ends before the view.
    """
    first, end = int(indices.min()), min(int(indices.max()) + 1, frames)
    if first >= end:
        raise ValueError(f"its flow ends before frame {first}")
    return first + (indices - first) % (end - first)


class ClipMaker:
    """The function from a row of the plan to a clip, TensorFlow operations alone.

    Args:
        config: Settings of the rows.
    """

    def __init__(self, config: RecordConfig):
        self._config = config
        self._settings = config.settings()

    def clips(self, row: Row) -> tuple[tf.Tensor, ...]:
        """Reads, decodes and augments the clip of a row (phases 3 and 4).

        Args:
            row: See `RecordConfig.row`.

        Returns:
            A clip for each stream: uint8 RGB, or float32 flow in pixels per frame.

        Raises:
            tf.errors.OpError: The record or a picture of it cannot be read, when this runs.
        """
        shard = tf.gather(tf.constant(self._config.shards), row["shard"])
        pictures = read_pictures(shard, row["offset"], self._config.streams)
        clips = _make_clips(pictures, row, self._settings)
        shapes = map(self._config.shape, self._config.streams)
        return tuple(map(tf.ensure_shape, clips, shapes))

    def target(self, row: Row) -> tf.Tensor:
        """Returns what is to be learned of a row, see `PipelineConfig.target`."""
        if self._config.task not in OF_ACTIONS:
            return row["label"]
        *actions, offsets = map(tf.constant, self._intervals)
        first, end = offsets[row["example"]], offsets[row["example"] + 1]
        starts, ends, labels = (each[first:end] for each in actions)
        times = row["times"][:, tf.newaxis]
        is_there = tf.cast((starts <= times) & (times <= ends), tf.float32)
        found = tf.matmul(is_there, tf.one_hot(labels, self._config.classes))
        targets = tf.cast(found > 0, tf.float32)
        if self._config.task == MULTILABEL:
            targets = tf.reduce_max(targets, axis=0)
        return tf.ensure_shape(targets, self._config.target_spec.shape)

    @cached_property
    def _intervals(self):
        """The actions of all examples, one after the other."""
        examples = self._config.examples
        rows = [interval for example in examples for interval in example.intervals]
        counts = [len(example.intervals) for example in examples]
        return _Intervals(
            np.array([row.start for row in rows], np.float64),
            np.array([row.end for row in rows], np.float64),
            np.array([row.label for row in rows], np.int32),
            np.cumsum([0, *counts], dtype=np.int32),
        )

    def __call__(self, row: Row) -> tuple[tf.Tensor, ...]:
        """Makes the element of a row; of an unreadable record, black or motionless clips.

        Args:
            row: An element of `plan_dataset`.

        Returns:
            (clip of each stream, target, weight, number): the weight is 0 for an unreadable
            record, and the number is that of its example; else -1.
        """

        def make(row):
            return *self.clips(row), self.target(row), row["weight"], tf.constant(-1, tf.int32)

        def give_up(row):
            empty = [
                tf.zeros(self._config.shape(stream), DTYPES[stream])
                for stream in self._config.streams
            ]
            target = row["label"]
            if self._config.task in OF_ACTIONS:
                target = tf.zeros(self._config.target_spec.shape, tf.float32)
            return *empty, target, tf.constant(0.0), row["example"]

        # Not errors of many elements are ignored, which would shift those that follow, but that
        # of this one, in whose place another comes.
        rows = tf.data.Dataset.from_tensors(row)
        either = rows.map(make).ignore_errors().concatenate(rows.map(give_up)).take(1)
        return either.get_single_element()


class _Intervals(NamedTuple):
    """The actions of examples, one after the other; those of example n start at `offsets[n]`."""

    starts: np.ndarray
    ends: np.ndarray
    labels: np.ndarray
    offsets: np.ndarray


def _make_clips(pictures, row, settings: ClipSettings):
    """Decodes and augments the clip of each stream."""
    clips = []
    for index, stream in enumerate(settings.streams):
        make = _make_rgb if stream == "rgb" else _make_flow
        clip = make(pictures[stream], row, settings)
        if settings.frozen is not None:
            clip = tf.repeat(clip, settings.frozen[index], axis=0)
        clips.append(clip)
    return tuple(clips)


def _make_rgb(pictures, row, settings):
    frames = decode_pictures(pictures, row["rgb"])
    frames = resize_short_side(frames, settings.short_side)
    if settings.has_scales and settings.crop_size is not None:
        frames = tf.cond(
            row["scales"][0] > 0,
            lambda: _scaled_crop(frames, row, settings.crop_size),
            lambda: _crop(frames, row, settings.crop_size),
        )
    else:
        frames = _crop(frames, row, settings.crop_size)
    return change_colours(frames, row["colours"]) if settings.has_jitter else frames


def _make_flow(pictures, row, settings):
    codes = decode_pictures(pictures, row["flow"])[..., : CHANNELS["flow"]]
    codes = _crop(codes, row, settings.crop_size)
    values = tf.constant(
        np.stack([dequantize(np.arange(256, dtype=np.uint8), r) for r in FLOW_ROUNDINGS])
    )
    flow = tf.gather(tf.gather(values, row["rounding"]), tf.cast(codes, tf.int32))
    sign = tf.where(row["mirrored"], [-1.0, 1.0], [1.0, 1.0])
    return flow * sign if settings.frozen is None else tf.zeros_like(flow)


@lru_cache(maxsize=32)
def _clip_function(settings: ClipSettings):
    """Returns a function of a shard's path and a row, traced once."""
    row = {
        "offset": tf.TensorSpec((), tf.int64),
        "top": tf.TensorSpec((), tf.float64),
        "left": tf.TensorSpec((), tf.float64),
        "mirrored": tf.TensorSpec((), tf.bool),
        **{stream: tf.TensorSpec((None,), tf.int32) for stream in settings.streams},
    }
    if "rgb" in settings.streams and settings.has_jitter:
        row["colours"] = tf.TensorSpec((3, 4), tf.float32)
    if "flow" in settings.streams:
        row["rounding"] = tf.TensorSpec((), tf.int32)
    if settings.has_scales:
        row["scales"] = tf.TensorSpec((2,), tf.float64)

    @tf.function(input_signature=(tf.TensorSpec((), tf.string), row))
    def make(shard, row):
        return _make_clips(read_pictures(shard, row["offset"], settings.streams), row, settings)

    return make


def read_record_frames(path: str, place: Place, numbers: Sequence[int]) -> np.ndarray:
    """Reads some frames of a record, as they are stored.

    Args:
        path: Path of its example, for the error.
        place: The record.
        numbers: Of the frames.

    Returns:
        uint8 RGB (N, H, W, 3).

    Raises:
        VideoError: The record cannot be read; the reason names shard and record.
    """
    try:
        pictures = read_pictures(
            tf.constant(place.shard), tf.constant(place.record.offset, tf.int64), ("rgb",)
        )
        return decode_pictures(pictures["rgb"], tf.constant(numbers, tf.int32)).numpy()
    except tf.errors.OpError as error:
        raise _unreadable(path, place, error) from error


def _crop(frames, row, size):
    """Does the same as `i3d_tf.video.transforms.crop_at`, but leaves the sign of flow."""
    if size is None:
        return frames
    spare = tf.cast(tf.shape(frames)[1:3] - size, tf.float64)
    offsets = tf.cast(tf.math.ceil(tf.stack([row["top"], row["left"]]) * spare - 0.5), tf.int32)
    cut = frames[:, offsets[0] : offsets[0] + size, offsets[1] : offsets[1] + size]
    return _mirrored(cut, row)


def _mirrored(frames, row):
    return tf.cond(row["mirrored"], lambda: tf.reverse(frames, [2]), lambda: frames)


def _scaled_crop(frames, row, size):
    """Does the same as `i3d_tf.video.transforms.crop_at` with a `ScaledCropPlace`."""
    sides = tf.shape(frames)[1:3]
    short = tf.reduce_min(sides)
    lengths = tf.cast(tf.cast(short, tf.float64) * row["scales"], tf.int32)
    lengths = tf.maximum(lengths, 1)
    is_near = (tf.abs(lengths - size) < 3) & (size <= short)
    lengths = tf.where(is_near, size, lengths)
    spare = tf.cast(sides - lengths, tf.float64)
    offsets = tf.cast(tf.math.ceil(tf.stack([row["top"], row["left"]]) * spare - 0.5), tf.int32)
    ends = offsets + lengths
    part = frames[:, offsets[0] : ends[0], offsets[1] : ends[1]]
    is_that_size = tf.reduce_all(lengths == size)
    part = tf.cond(is_that_size, lambda: part, lambda: resize(part, size, size))
    return _mirrored(part, row)


def plan_dataset(
    config: RecordConfig, first_step: int, last_step: int, failures: Failures
) -> tf.data.Dataset:
    """Draws the clips of some steps, before anything is read.

    Args:
        config: Settings.
        first_step: First step.
        last_step: One after the last.
        failures: Filled with records that have none of the frames that are wanted.

    Returns:
        tf.data.Dataset of rows, one a clip in the order of the positions, dictionaries of
        tensors: those of `RecordConfig.row`, the label, the weight and the number of the example.
    """
    numbers = {example.path: number for number, example in enumerate(config.examples)}
    rows: dict[str, list] = {}
    for position in config.positions(first_step, last_step):
        example = config.read(position)
        weight = config.class_weights[example.label] if config.class_weights else 1
        try:
            row = config.row(example, config.sample(position, example))
        except VideoError as error:
            failures.reasons[error.path] = error.reason
            row = config.empty_row()
        row["example"] = np.int32(numbers[example.path])
        row["label"], row["weight"] = np.int32(example.label), np.float32(weight)
        for name, value in row.items():
            rows.setdefault(name, []).append(value)
    return tf.data.Dataset.from_tensor_slices({k: np.stack(v) for k, v in rows.items()})


class FailedRecords:
    """The records that could not be read while batches were made, noted by TensorFlow operations.

    Args:
        config: Settings of the batches.
    """

    def __init__(self, config: RecordConfig):
        self._config = config
        self._reasons: dict[str, str] = {}
        with tf.init_scope(), tf.device("CPU"):
            self._counts = tf.lookup.experimental.MutableHashTable(tf.int32, tf.int32, 0)

    def note(self, numbers: tf.Tensor) -> tf.Operation:
        """Notes the examples of a batch that failed, by their numbers; -1 are the others."""
        failed = tf.boolean_mask(numbers, numbers >= 0)
        return self._counts.insert(failed, tf.ones_like(failed))

    def reasons(self) -> dict[str, str]:
        """Returns the path of each to the reason, for which the record is read once more.

        Raises:
            OSError: A shard is missing, or cannot be read any more.
        """
        numbers, _ = self._counts.export()
        for number in sorted(numbers.numpy().tolist()):
            example = self._config.examples[number]
            if example.path not in self._reasons:
                self._reasons[example.path] = self._reason(example)
        return dict(self._reasons)

    def _reason(self, example):
        place = self._config.places[example.path]
        try:
            self._check(np.int64(place.record.offset), place.shard)
        except RECORD_ERRORS as error:
            return _unreadable(example.path, place, error).reason
        except tf.errors.OpError as error:
            raise RecordError(place.shard, short_reason(error)) from error
        return f"{_where(place)}: it has other frames than its index says, or could not be read"

    def _check(self, offset, shard):
        """Reads and decodes a record whole."""
        for pictures in read_pictures(tf.constant(shard), offset, self._config.streams).values():
            for picture in pictures:
                decode_picture(picture)


def record_batches(
    config: RecordConfig,
    first_step: int,
    last_step: int,
    failures: Failures,
    failed: FailedRecords,
    workers: int | None = None,
    distribute: Callable[[tf.data.Dataset], tf.data.Dataset] | None = None,
) -> tf.data.Dataset:
    """Makes the training batches of some steps, as `i3d_tf.data.pipeline.train_batches` does.

    Args:
        config: Settings.
        first_step: First step.
        last_step: One after the last.
        failures: See `plan_dataset`.
        failed: Notes records that could not be read. Such a clip stays in its batch as zeros with
            weight 0.
        workers: Clips made at once; None lets TensorFlow choose.
        distribute: Function that hands a dataset to other processes, which then make its elements:
            those of `ClipMaker`, clips as they are, not yet in [-1, 1]. So that clips that are lost
            on the way are replaced, the plan then starts over at its end.

    Returns:
        tf.data.Dataset of (clips, labels, weights), see `train_batches`.
    """

    def to_inputs(*batch):
        *clips, labels, weights, numbers = batch
        with tf.control_dependencies([failed.note(numbers)]):
            weights = tf.identity(weights)
        inputs = list(map(preprocess_batch, clips, config.streams))
        named = dict(zip(config.streams, inputs, strict=True))
        return (named if len(named) > 1 else inputs[0]), labels, weights

    batch_size = config.batch_size // config.share[1]
    plan = plan_dataset(config, first_step, last_step, failures)
    if distribute is not None:
        plan = plan.repeat()
    clips = plan.map(ClipMaker(config), workers or tf.data.AUTOTUNE, deterministic=True)
    if distribute is not None:
        clips = distribute(clips).take((last_step - first_step) * batch_size)
    batches = clips.batch(batch_size, drop_remainder=True)
    batches = batches.apply(tf.data.experimental.assert_cardinality(last_step - first_step))
    batches = batches.map(to_inputs, tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    # Batches are split by the strategy; records are chosen by position: nothing is to be sharded.
    sharding = tf.data.experimental.AutoShardPolicy.OFF
    options.experimental_distribute.auto_shard_policy = sharding
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
