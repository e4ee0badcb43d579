"""The job that writes a dataset as shards of records, one shard after the other, resumable."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from i3d_tf.data.class_folders import path_below
from i3d_tf.data.clips import unusual_folder_rate, unusual_options
from i3d_tf.data.example import VideoDataset, VideoExample
from i3d_tf.data.flow_store import FlowStore
from i3d_tf.flow.engines import ALGORITHMS, choose_engine
from i3d_tf.records.index import (
    FRAME_BYTES,
    RecordError,
    ShardIndex,
    describe_record,
    index_path,
    read_index,
    write_index,
)
from i3d_tf.records.record_format import RecordFormat
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import CROP_SIZE
from i3d_tf.specs.validation import check_integer
from i3d_tf.specs.version import __version__
from i3d_tf.system.console import print_lines, quiet_tensorflow
from i3d_tf.system.errors import UserError, short_reason
from i3d_tf.system.files import atomic_write, path_problem
from i3d_tf.system.jobs import (
    NO_MEMORY,
    JobRunner,
    Task,
    first_difference,
    missing_outputs,
    run_each,
    run_job,
)
from i3d_tf.system.remote import as_path
from i3d_tf.system.shards import Shard, shard_index
from i3d_tf.system.storage import is_file, join
from i3d_tf.system.worker_pool import check_processes

MAX_SHARDS = 99_999  # which have five digits in their names
REMEDY = "Give another `output_dir` or `name`, or `overwrite` to replace such files."
DIED = "writing it ended its process, perhaps for lack of memory"


class Entry(NamedTuple):
    """A video to be written.

    Attributes:
        example: The video, or the cut of one.
        name: Its id in the records.
        position: Its place in the dataset.
    """

    example: VideoExample
    name: str
    position: int


@dataclass(frozen=True)
class FlowOptions:
    """Flow files whose flow is written, too; those that are missing are computed.

    Attributes:
        flow_dir: Their folder.
        data_dir: Folder of the videos.
        engine: See `FlowStore`.
        rounding: See `FlowStore`.
    """

    flow_dir: str
    data_dir: str
    engine: str = "auto"
    rounding: str | None = None

    def store(self, form: RecordFormat) -> FlowStore:
        """Returns the flow files, at the rate and size of the frames of records."""
        side = form.short_side
        crop_size = min(side, CROP_SIZE)
        protocol = Protocol(frame_rate=form.frame_rate, short_side=side, crop_size=crop_size)
        return FlowStore(self.flow_dir, protocol, self.data_dir, self.engine, self.rounding)

    def settings(self) -> dict[str, str]:
        """Returns what determines the flow."""
        algorithm = ALGORITHMS[choose_engine(self.engine)]
        return {"algorithm": algorithm, "rounding": self.rounding or "as stored"}


class _Contents(NamedTuple):
    """The contents of a shard."""

    entries: tuple[Entry, ...]
    dataset_name: str
    class_names: tuple[str, ...]
    form: RecordFormat
    flow_store: FlowStore | None
    action_ids: tuple[int, ...] | None
    settings: dict[str, Any]


@dataclass(frozen=True)
class RecordsReport:
    """The result of a job.

    Attributes:
        output_dir: Folder of the shards.
        written: Shards that were written.
        kept: Shards that were there.
        records: Records in all of them.
        left_out: (name, reason) of videos that could not be read.
        failed: (shard, reason) of shards that could not be written.
    """

    output_dir: str
    written: int
    kept: int
    records: int
    left_out: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str], ...]

    def lines(self) -> list[str]:
        """Returns the lines that show the result."""
        lines = [f"  left out: {name}: {reason}" for name, reason in self.left_out]
        return [
            f"{self.output_dir}: {self.records} records; {self.written} shards written, "
            f"{self.kept} already there, {len(self.failed)} failed; {len(self.left_out)} videos "
            "left out",
            *lines,
        ]


def shard_name(name: str, index: int, shards: int) -> str:
    """Returns the name of a shard, such as train-00000-of-00016."""
    return f"{name}-{index:05d}-of-{shards:05d}"


def make_records(
    dataset: VideoDataset,
    output_dir: os.PathLike | str,
    name: str = "records",
    shards: int = 16,
    form: RecordFormat | None = None,
    flow: FlowOptions | None = None,
    processes: int | None = None,
    overwrite: bool = False,
    shard: Shard | None = None,
    action_ids: Sequence[int] | None = None,
    runner: JobRunner | None = None,
) -> RecordsReport:
    """Writes a dataset as shards of MediaSequence's SequenceExamples, each with an index.

    A video's name alone says which shard it is in. A shard appears when it is whole; a stopped job
    goes on with those that are missing. A video that cannot be read is left out, and reported.

    Args:
        dataset: The videos.
        output_dir: Folder of the shards, or an address; it is made where it does not exist.
        name: Start of their names.
        shards: Their number.
        form: The pictures; None means JPEG at 25 frames per second and a short side of 256.
        flow: The flow files; None writes no flow.
        processes: Shards at a time, each in a process of its own; None means one per processor.
        overwrite: Whether shards that were made with other settings are replaced.
        shard: The part of the shards that is written; None means all. Several machines may write
            parts of one set.
        action_ids: Of a dataset of persons, the number of each class in the label map; None counts
            them from 1.
        runner: The runner of the job, in place of `processes`; None means this machine.

    Raises:
        ValueError: An argument is invalid, or a shard exists that was made with other settings.
        FileExistsError: A file of another kind has the name of a shard.
        OSError: A folder or a shard cannot be written.
    """
    check_integer("shards", shards, 1, MAX_SHARDS)
    if not name or name != os.path.basename(name) or path_problem(name) or name.startswith("."):
        raise ValueError(f"`name` must be the start of a file's name; received {name!r}.")
    form, output_dir = form or RecordFormat(), os.fspath(output_dir)
    ids = None if action_ids is None else tuple(action_ids)
    tasks = _tasks(dataset, output_dir, name, shards, form, flow, ids)
    if shard is not None:
        tasks = tasks[shard.index :: shard.count]
    processes = check_processes(processes)
    missing = missing_outputs(
        tasks, _mismatch, overwrite, REMEDY, _is_own, _outdated, _outputs, output_dir
    )
    if flow is not None and missing:
        store = missing[0].details.flow_store  # one for all
        entries = (entry for task in missing for entry in task.details.entries)
        store.compute_missing(entry.example.path for entry in entries)
    if runner is not None:
        run = runner.run_each(_write_shard, output_dir, DIED, _videos)
    else:
        run = run_each(_write_shard, min(processes, max(1, len(missing))), DIED)
    failed = run_job(missing, run, output_dir, "writing records", _outputs)
    not_written = {source for source, _ in failed}
    indexes = [read_index(str(t.target)) for t in tasks if t.source not in not_written]
    return RecordsReport(
        output_dir,
        len(missing) - len(failed),
        len(tasks) - len(missing),
        sum(len(index.records) for index in indexes),
        tuple(each for index in indexes for each in index.left_out),
        failed,
    )


def entries_of(dataset: VideoDataset) -> list[Entry]:
    """Returns the videos of a dataset with their names: their paths below its folder.

    A cut has its start and end behind it, and a name that comes again its number.
    """
    entries, seen = [], set()
    for position, example in enumerate(dataset.examples):
        name = path_below(example.path, dataset.report.data_dir)
        if (example.start, example.end) != (None, None):
            end = "" if example.end is None else f"{example.end:g}"
            name += f"#{example.start or 0:g}-{end}"
        unique, count = name, 1
        while unique in seen:
            count += 1
            unique = f"{name}#{count}"
        seen.add(unique)
        entries.append(Entry(example, unique, position))
    return entries


def _tasks(dataset, output_dir, name, shards, form, flow, action_ids):
    by_shard: list[list[Entry]] = [[] for _ in range(shards)]
    for entry in entries_of(dataset):
        by_shard[shard_index(entry.name, shards)].append(entry)
    common = {
        "version": __version__,
        **asdict(form),
        "quality": form.quality if form.format == "jpeg" else None,
        "flow": None if flow is None else flow.settings(),
        "folder_rate": unusual_folder_rate(),
        "video_options": unusual_options(),
        "dataset": dataset.report.name,
        "split": dataset.report.split,
    }
    tasks, flow_store = [], None if flow is None else flow.store(form)
    for index, entries in enumerate(by_shard):
        settings = common | {"videos": _digest(entries, dataset.class_names, action_ids)}
        contents = _Contents(
            tuple(entries),
            dataset.report.name,
            dataset.class_names,
            form,
            flow_store,
            action_ids,
            settings,
        )
        shard = shard_name(name, index, shards)
        tasks.append(Task(shard, as_path(join(output_dir, shard)), contents))
    return tasks


def _digest(entries, class_names, action_ids):
    """Returns a hash of the names, places, labels, actions and persons of a shard's videos."""
    rows = [
        (name, position, each.label, each.start, each.end, each.intervals)
        for each, name, position in entries
    ]
    persons = [(name, each.key_frames) for each, name, _ in entries if each.key_frames]
    text = json.dumps([rows, list(class_names), *([persons, action_ids] if persons else ())])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _videos(task):
    """Returns the files that a shard is made of."""
    return (entry.example.path for entry in task.details.entries)


def _outputs(task):
    return task.target, as_path(index_path(str(task.target)))


def _is_own(path):
    return is_file(index_path(str(path)))


def _outdated(task):
    """Returns why a shard is made anew: its index is missing, damaged, or of another file."""
    if not _is_own(task.target):
        return "it has no index"
    try:
        read_index(str(task.target))
    except (RecordError, ValueError) as error:
        return short_reason(error)
    return None


def _mismatch(task):
    settings = read_index(str(task.target)).settings or {}
    wanted = task.details.settings
    names = [name for name in wanted if name != "version"]
    return first_difference(settings, wanted, names)


def _write_shard(task, staging):
    """Writes a shard and its index, which comes first: no shard of this program is without."""
    quiet_tensorflow()  # in a process of its own nothing has imported it before
    import tensorflow as tf

    contents, records, left_out = task.details, [], []
    try:
        with atomic_write(task.target, folder=staging) as temporary:
            offset = 0
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for content in _serialized(contents, left_out):
                    number = len(records)
                    records.append(describe_record(content, task.source, number, offset))
                    writer.write(content)
                    offset += FRAME_BYTES + len(content)
            index = ShardIndex(
                tuple(records), contents.class_names, contents.settings, tuple(left_out)
            )
            write_index(index_path(str(task.target)), index, str(temporary))
    except tf.errors.OpError as error:
        raise OSError(f"{task.target}: it cannot be written: {short_reason(error)}.") from error


def _serialized(contents: _Contents, left_out: list[tuple[str, str]]) -> Iterator[bytes]:
    """Yields the records of a shard; videos that cannot be read are added to `left_out`."""
    from i3d_tf.records.write import make_record

    for example, name, position in contents.entries:
        try:
            record = make_record(
                example,
                name,
                position,
                contents.dataset_name,
                contents.class_names,
                contents.form,
                contents.flow_store,
                contents.action_ids,
            )
        except (UserError, MemoryError) as error:
            reason = NO_MEMORY
            if isinstance(error, UserError):
                reason = error.reason_for(example.path)
            left_out.append((name, reason))
            print_lines(f"error: {example.path}: {reason}", file=sys.stderr)
            continue
        yield record.SerializeToString(deterministic=True)
