"""Indexes of shards: where each record lies in its file, and what a reader must know before it.

An index is a JSON file beside its shard, `NAME-00000-of-00016.index.json`. A shard without one is
read once from the start to the end, and its index is kept beside it, or else in the user's cache.
TensorFlow is imported where records themselves are looked at.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from i3d_tf.records import keys
from i3d_tf.records.regions import RegionFrame, parse_regions, read_regions
from i3d_tf.specs.protocol import MAX_FRAME_RATE
from i3d_tf.specs.streams import FLOW_ROUNDINGS
from i3d_tf.system import storage
from i3d_tf.system.cache import cache_dir
from i3d_tf.system.errors import UserError
from i3d_tf.system.files import atomic_write, check_regular, open_regular
from i3d_tf.system.records import get_list, get_value, of_kind, record_errors
from i3d_tf.system.remote import is_remote

SUFFIX = ".index.json"
DESCRIPTION, VERSION = "i3d_tf record index", 1
FRAME_BYTES = 16  # of a TFRecord around its content: length and two checksums
END_BYTES = 2**16  # at either end of a shard, which tell it from a later one
REMEDY = "Remove it; it is then made anew."
MAX_COUNT = 2**40  # of frames, pixels, videos, bytes; far above what there is
NUMBERS = {"frame_count", "position", "label", "flow_frames", "flow_height", "flow_width"}
NUMBERS |= {"height", "width"}
TEXTS = {"label_text", "flow_rounding"}
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x78\x9c": "zlib", b"\x78\x01": "zlib", b"\x78\xda": "zlib"}


class RecordError(UserError):
    """A shard, or a record of one, that cannot be read.

    Attributes:
        path: The shard.
        reason: What is wrong with it, in words.
    """

    def __init__(self, path: str, reason: str):
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self):
        return f"{self.path}: {self.reason}"

    def reason_for(self, source: str) -> str:
        """Returns the reason alone if the error is about this source, else the whole message."""
        return self.reason if source == self.path else str(self)


@dataclass(frozen=True)
class Record:
    """A record of a shard.

    Attributes:
        name: Its id, or what stands for it.
        offset: Bytes of the shard before it.
        length: Bytes of its content.
        frames: Frames that are stored.
        frame_rate: Frames per second; None where the record does not say.
        frame_count: Frames that the video has by its header; None where the record does not say.
        position: Its place among the videos of its dataset; None where the record does not say.
        label: Number of its class; None where the record does not say.
        label_text: Name of its class; None where the record does not say.
        is_label_trusted: Whether the number means the same class in every record.
        flow_frames: Fields of forward flow that are stored.
        flow_height: Pixels; 0 without flow.
        flow_width: Pixels; 0 without flow.
        flow_rounding: How the codes of flow were rounded, see `i3d_tf.flow.quantize`.
        height: Pixels; 0 where the record does not say.
        width: Pixels; 0 where the record does not say.
        segments: (start, end, class) of its actions: seconds, and a number or a name.
        persons: Its moments with persons in boxes.
    """

    name: str
    offset: int
    length: int
    frames: int
    frame_rate: float | None = None
    frame_count: int | None = None
    position: int | None = None
    label: int | None = None
    label_text: str | None = None
    is_label_trusted: bool = True
    flow_frames: int = 0
    flow_height: int = 0
    flow_width: int = 0
    flow_rounding: str = "nearest"
    height: int = 0
    width: int = 0
    segments: tuple[tuple[float, float, int | str], ...] = ()
    persons: tuple[RegionFrame, ...] = ()


@dataclass(frozen=True)
class ShardIndex:
    """The records of a shard.

    Attributes:
        records: They, in their order.
        class_names: All classes of the dataset, where the program that wrote the shard says so.
        settings: How the shard was made, where this program wrote it.
        left_out: (name, reason) of videos that could not be read when it was made.
    """

    records: tuple[Record, ...]
    class_names: tuple[str, ...] | None = None
    settings: dict[str, Any] | None = None
    left_out: tuple[tuple[str, str], ...] = ()


def index_path(shard: str) -> str:
    """Returns the path of a shard's index."""
    return f"{shard}{SUFFIX}"


def write_index(path: os.PathLike | str, index: ShardIndex, shard: str) -> None:
    """Writes an index.

    Args:
        path: Where to write.
        index: The index.
        shard: The shard, a file on this machine that is whole.

    Raises:
        OSError: It cannot be written.
    """
    defaults = {each.name: each.default for each in fields(Record)}
    rows = []
    for record in index.records:
        values = asdict(record).items()
        rows.append({name: value for name, value in values if value != defaults[name]})
    content = {
        "description": DESCRIPTION,
        "version": VERSION,
        "shard": _state(shard),
        "class_names": None if index.class_names is None else list(index.class_names),
        "settings": index.settings,
        "left_out": [list(each) for each in index.left_out],
        "records": rows,
    }
    with atomic_write(path) as temporary:
        Path(temporary).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def read_index(shard: str) -> ShardIndex:
    """Returns the index of a shard, from its file, or by a look at every record.

    Args:
        shard: Path or address of the shard.

    Raises:
        RecordError: The shard cannot be read, or an index is that of another shard.
        ValueError: The index is no index.
        OSError: The shard is missing, or is no regular file.
    """
    if not is_remote(shard):
        check_regular(shard)
    path = index_path(shard)
    if storage.is_file(path):
        index, state = _parse(path)
        now = _state(shard)
        if not _agree(state, now):
            raise RecordError(
                shard,
                f"its index {path} is of another shard ({state['bytes']} bytes, and it has "
                f"{now['bytes']}, or other content). Remove the index; it is then made anew.",
            )
        return index
    kept = _cached_path(shard)
    with contextlib.suppress(OSError, ValueError):
        index, state = _parse(kept)
        if _agree(state, _state(shard)):
            return index
    index = ShardIndex(tuple(scan_shard(shard)))
    places = [kept] if is_remote(shard) else [path, kept]
    for place in places:
        with contextlib.suppress(OSError):
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            write_index(place, index, shard)
            break
    return index


def _cached_path(shard):
    name = hashlib.sha256(os.path.abspath(shard).encode("utf-8", "surrogateescape")).hexdigest()
    if is_remote(shard):
        name = hashlib.sha256(shard.encode()).hexdigest()
    return os.path.join(cache_dir(), "record_indexes", f"{name[:32]}{SUFFIX}")


def _agree(state, now):
    """Returns whether two states of shards agree, as far as both are known."""
    return all(state.get(name, value) == value for name, value in now.items())


def _state(shard):
    """Returns the size of a shard, and a hash of its first and last bytes where it is local."""
    state: dict[str, Any] = {"bytes": storage.file_state(shard).size}
    if not is_remote(shard):
        digest = hashlib.sha256()
        with open_regular(shard) as file:
            digest.update(file.read(END_BYTES))
            file.seek(max(END_BYTES, state["bytes"] - END_BYTES))
            digest.update(file.read(END_BYTES))
        state["digest"] = digest.hexdigest()
    return state


def _parse(path):
    """Returns an index file's ShardIndex, and the state of the shard that it is of."""
    with record_errors(path, "the index of a shard", REMEDY):
        text = "\n".join(storage.read_lines(path))
        content = of_kind(json.loads(text), "the file", dict)
        if content.get("description") != DESCRIPTION or content.get("version") != VERSION:
            raise ValueError("it is of another kind or version")
        state = get_value(content, "shard", dict)
        get_value(state, "bytes", int)
        names = content.get("class_names")
        index = ShardIndex(
            tuple(_record(row, state["bytes"]) for row in get_list(content, "records", dict)),
            None if names is None else get_list(content, "class_names", str),
            content.get("settings"),
            tuple((str(name), str(why)) for name, why in get_list(content, "left_out", list)),
        )
    return index, state


def _record(row, size):
    """Returns a record from its row, whose values are of the kinds that they should be.

    Args:
        row: The row.
        size: Bytes of the shard.
    """
    for name in ("offset", "length", "frames", *row.keys() & NUMBERS):
        if not 0 <= get_value(row, name, int) <= MAX_COUNT:
            raise ValueError(f"{name!r} is negative or too large")
    if row["offset"] + FRAME_BYTES + row["length"] > size:
        raise ValueError("a record reaches beyond the end of the shard")
    for name in ("name", *row.keys() & TEXTS):
        get_value(row, name, str)
    if not 0 < get_value({"frame_rate": 1, **row}, "frame_rate", (int, float)) < MAX_FRAME_RATE:
        raise ValueError(f"'frame_rate' is not between 0 and {MAX_FRAME_RATE}")
    if row.get("flow_rounding", "nearest") not in FLOW_ROUNDINGS:
        raise ValueError("'flow_rounding' is unknown")
    segments = []
    for start, end, label in row.get("segments", ()):
        numbers = [of_kind(each, "segments", (int, float)) for each in (start, end)]
        segments.append((*numbers, of_kind(label, "segments", (int, str))))
    persons = parse_regions(row.get("persons", ()))
    return Record(**row | {"segments": tuple(segments), "persons": persons})


def scan_shard(shard: str) -> Iterator[Record]:
    """Reads every record of a shard, and checks its checksums.

    Args:
        shard: Path or address of the shard, which TensorFlow can open.

    Raises:
        RecordError: It cannot be read, is compressed, or a record of it is damaged or is no
            SequenceExample with pictures.
    """
    import tensorflow as tf

    offset = number = 0
    try:
        with tf.io.gfile.GFile(shard, "rb") as file:
            start = file.read(2)
        if start in COMPRESSED:
            raise RecordError(
                shard,
                f"it is compressed ({COMPRESSED[start]}), so that no record can be read alone; "
                "unpack it",
            )
        for content in tf.data.TFRecordDataset(shard).as_numpy_iterator():
            yield describe_record(content, shard, number, offset)
            offset += FRAME_BYTES + len(content)
            number += 1
    except tf.errors.OpError as error:
        raise RecordError(shard, f"record {number} at byte {offset}: {error.message}") from error


def describe_record(content: bytes, shard: str, number: int, offset: int) -> Record:
    """Returns what an index says of a record.

    Args:
        content: A serialised SequenceExample.
        shard: Its shard, for messages.
        number: Its number in the shard.
        offset: Bytes of the shard before it.

    Raises:
        RecordError: It is no SequenceExample, or has no pictures.
    """
    import tensorflow as tf

    try:
        example = tf.train.SequenceExample.FromString(content)
    except Exception as error:
        raise RecordError(shard, f"record {number} is no SequenceExample") from error
    lists, context = example.feature_lists.feature_list, _Context(example.context)
    frames = len(lists[keys.ENCODED].feature) if keys.ENCODED in lists else 0
    if not frames:
        raise RecordError(shard, f"record {number} has no {keys.ENCODED}")
    flow = len(lists[keys.FLOW_ENCODED].feature) if keys.FLOW_ENCODED in lists else 0
    name = context.text(keys.EXAMPLE_ID) or context.text(keys.MEDIA_ID)
    text = context.text(keys.LABEL_STRING)
    rate = context.number(keys.FRAME_RATE)
    if rate is None or not 0 < rate < MAX_FRAME_RATE:
        rate = _rate_of(lists)
    label = context.count(keys.LABEL_INDEX)
    return Record(
        name=name or context.text(keys.DATA_PATH) or f"{os.path.basename(shard)}#{number}",
        offset=offset,
        length=len(content),
        frames=frames,
        frame_rate=rate,
        frame_count=context.count(keys.FRAME_COUNT),
        position=context.count(keys.POSITION),
        label=label,
        label_text=text if text is not None else context.text(keys.LABEL_TEXT),
        is_label_trusted=text is not None or context.text(keys.LABEL_TEXT) is None,
        flow_frames=flow,
        flow_height=context.count(keys.FLOW_PREFIX + keys.HEIGHT) or 0,
        flow_width=context.count(keys.FLOW_PREFIX + keys.WIDTH) or 0,
        flow_rounding=_rounding(context.text(keys.FLOW_ROUNDING)),
        height=context.count(keys.HEIGHT) or 0,
        width=context.count(keys.WIDTH) or 0,
        segments=tuple(context.segments()),
        persons=read_regions(lists),
    )


def _rounding(text):
    """Returns how codes were rounded; to the nearest where a program does not say."""
    return text if text in FLOW_ROUNDINGS else FLOW_ROUNDINGS[0]


def _rate_of(lists):
    """Returns the rate that the frames' times say; None where they say none."""
    if keys.TIMESTAMP not in lists:
        return None
    times = [value for each in lists[keys.TIMESTAMP].feature for value in each.int64_list.value]
    if len(times) < 2 or times[-1] <= times[0]:
        return None
    rate = (len(times) - 1) * keys.MICROSECONDS / (times[-1] - times[0])
    # Times are whole microseconds, some programs' whole milliseconds: 25.0006 is 25.
    return float(round(rate)) if abs(rate - round(rate)) < 0.01 else rate


class _Context:
    """The context of a SequenceExample."""

    def __init__(self, context):
        self._features = context.feature

    def values(self, key):
        if key not in self._features:
            return []
        feature = self._features[key]
        kind = feature.WhichOneof("kind")
        return [] if kind is None else list(getattr(feature, kind).value)

    def number(self, key):
        values = self.values(key)
        return values[0] if values and not isinstance(values[0], bytes) else None

    def count(self, key):
        """Returns a whole number that counts something; None where it cannot."""
        number = self.number(key)
        return number if isinstance(number, int) and 0 <= number <= MAX_COUNT else None

    def text(self, key):
        values = self.values(key)
        if not values or not isinstance(values[0], bytes):
            return None
        return values[0].decode("utf-8", "replace")

    def segments(self):
        """Yields (start, end, class) of the actions, in seconds."""
        starts, ends = self.values(keys.SEGMENT_START), self.values(keys.SEGMENT_END)
        names, labels = (
            self.values(keys.SEGMENT_LABEL_STRING),
            self.values(keys.SEGMENT_LABEL_INDEX),
        )
        if len(starts) == len(ends) and len(starts) in (len(names), len(labels)):
            classes = names if len(names) == len(starts) else labels
            for start, end, label in zip(starts, ends, classes, strict=True):
                text = label.decode("utf-8", "replace") if isinstance(label, bytes) else label
                yield start / keys.MICROSECONDS, end / keys.MICROSECONDS, text
