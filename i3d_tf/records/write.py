"""One video, or a cut of one, as a SequenceExample: frames, flow, class, actions, persons."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from i3d_tf.data.clips import count_frames
from i3d_tf.data.example import NO_LABEL, VideoExample
from i3d_tf.data.flow_store import FlowStore
from i3d_tf.records import keys
from i3d_tf.records.record_format import MAX_RECORD, PNG, RecordFormat
from i3d_tf.records.regions import add_regions
from i3d_tf.specs.streams import FLOW_BOUND
from i3d_tf.video.decode import iter_frames, iter_watched
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms import resize_short_side

PNG_LEVEL = 3  # of compression; 6 takes twice as long and saves a few percent


def encode(picture: np.ndarray, form: RecordFormat, is_flow: bool = False) -> bytes:
    """Encodes a picture.

    Args:
        picture: uint8 (H, W, 3).
        form: Its format.
        is_flow: Whether the channels are no colours, so that none is stored more coarsely.
    """
    if form.format == PNG:
        return tf.io.encode_png(picture, compression=PNG_LEVEL).numpy()
    encoded = tf.io.encode_jpeg(
        picture, format="rgb", quality=form.quality, chroma_downsampling=not is_flow
    )
    return encoded.numpy()


def make_record(
    example: VideoExample,
    name: str,
    position: int,
    dataset_name: str,
    class_names: tuple[str, ...],
    form: RecordFormat,
    flow_store: FlowStore | None = None,
    action_ids: Sequence[int] | None = None,
) -> tf.train.SequenceExample:
    """Returns a video as a SequenceExample of MediaSequence.

    Args:
        example: The video, or the cut of one.
        name: Its id.
        position: Its place among the videos of its dataset.
        dataset_name: Name of the dataset.
        class_names: Of all classes.
        form: Its pictures.
        flow_store: The flow files, of the same frame rate and size; None without flow.
        action_ids: Of persons, see `add_regions`.

    Raises:
        VideoError: The video or its flow cannot be read, or is too long.
    """
    result = tf.train.SequenceExample()
    count = count_frames(example, form.frame_rate)
    context = {
        keys.EXAMPLE_ID: name,
        keys.DATASET_NAME: dataset_name,
        keys.DATA_PATH: name,
        keys.MEDIA_ID: name,
        keys.FRAME_COUNT: count,
        keys.POSITION: position,
        keys.FRAME_RATE: float(form.frame_rate),
        keys.FORMAT: form.format.upper(),
        keys.CHANNELS: 3,
    }
    if example.start is not None:
        context[keys.START] = round(example.start * keys.MICROSECONDS)
    if example.end is not None:
        context[keys.END] = round(example.end * keys.MICROSECONDS)
    if example.label != NO_LABEL:
        context[keys.LABEL_INDEX] = example.label
        context[keys.LABEL_STRING] = example.class_name
    frames, shape = _frames(example, count, form)
    context |= {keys.HEIGHT: shape[0], keys.WIDTH: shape[1]}
    _add_pictures(result, "", frames, form.frame_rate)
    if example.intervals:
        context |= _segments(example, class_names, len(frames), form.frame_rate)
    if example.key_frames:
        lists = result.feature_lists.feature_list
        add_regions(lists, example.key_frames, class_names, action_ids)
    if flow_store is not None:
        fields, flow = _flow(example, count, form, flow_store)
        context |= {
            keys.FLOW_PREFIX + keys.FORMAT: form.format.upper(),
            keys.FLOW_PREFIX + keys.CHANNELS: 3,
            keys.FLOW_PREFIX + keys.FRAME_RATE: float(form.frame_rate),
            keys.FLOW_PREFIX + keys.HEIGHT: flow.height,
            keys.FLOW_PREFIX + keys.WIDTH: flow.width,
            keys.SATURATION: float(FLOW_BOUND),
            keys.FLOW_ROUNDING: flow.rounding,
        }
        _add_pictures(result, keys.FLOW_PREFIX, fields, form.frame_rate)
    for key, value in context.items():
        add_values(result.context.feature[key], value)
    if result.ByteSize() > MAX_RECORD:
        raise VideoError(example.path, _too_long(result.ByteSize()))
    return result


def add_values(feature: tf.train.Feature, values) -> None:
    """Adds a value, or a list of values of one kind, to a feature."""
    for each in values if isinstance(values, list) else [values]:
        if isinstance(each, str):
            feature.bytes_list.value.append(each.encode("utf-8", "surrogateescape"))
        elif isinstance(each, bytes):
            feature.bytes_list.value.append(each)
        elif isinstance(each, float):
            feature.float_list.value.append(each)
        else:
            feature.int64_list.value.append(each)


def _too_long(size):
    return f"its record would have {size / 2**30:.1f} GiB, more than {MAX_RECORD / 2**30:g}"


def _frames(example, count, form):
    """Returns the encoded frames, at most `count`, and their height and width."""
    start = example.start or 0.0
    part = start, start + count / form.frame_rate
    encoded, shape, size = [], None, 0
    frames = iter_frames(example.path, form.frame_rate, *part)
    for frame, repeats in iter_watched(example.path, frames):
        resized = resize_short_side(frame[np.newaxis], form.short_side)[0]
        encoded += [encode(resized, form)] * repeats
        shape, size = resized.shape[:2], size + len(encoded[-1]) * repeats
        if size > MAX_RECORD:
            raise VideoError(example.path, _too_long(size))
    return encoded[:count], shape


def _flow(example, count, form, flow_store):
    """Returns the encoded fields of a video, x in red and y in green, and its flow."""
    flow = flow_store.open(example.path)
    offset = round((example.start or 0.0) * form.frame_rate)
    end = min(offset + count, flow.frames)
    if offset >= end:
        raise VideoError(flow.path, f"it ends before frame {offset}")
    encoded = []
    for index in range(offset, end):
        codes = flow.codes(index, index + 1)[0]
        picture = np.concatenate([codes, np.zeros_like(codes[..., :1])], axis=-1)
        encoded.append(encode(picture, form, is_flow=True))
    return encoded, flow


def _add_pictures(result, prefix, pictures, frame_rate):
    lists = result.feature_lists.feature_list
    for number, picture in enumerate(pictures):
        time = round(number * keys.MICROSECONDS / frame_rate)
        add_values(lists[prefix + keys.ENCODED].feature.add(), picture)
        add_values(lists[prefix + keys.TIMESTAMP].feature.add(), time)


def _segments(example, class_names, frames, frame_rate):
    """Returns the actions of a video, also as the first and last frames in them."""
    actions, last = example.intervals, frames - 1
    start = example.start or 0.0
    seconds = [(each.start - start, each.end - start) for each in actions]
    return {
        keys.SEGMENT_START: [round(each * keys.MICROSECONDS) for each, _ in seconds],
        keys.SEGMENT_END: [round(each * keys.MICROSECONDS) for _, each in seconds],
        keys.SEGMENT_START_INDEX: [
            min(last, max(0, math.ceil(each * frame_rate))) for each, _ in seconds
        ],
        keys.SEGMENT_END_INDEX: [
            min(last, max(0, math.floor(each * frame_rate))) for _, each in seconds
        ],
        keys.SEGMENT_LABEL_INDEX: [each.label for each in actions],
        keys.SEGMENT_LABEL_STRING: [class_names[each.label] for each in actions],
    }
