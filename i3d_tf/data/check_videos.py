"""A check of a dataset: decodes every video, and lists those that cannot be decoded.

```
<data_dir>/quarantine.jsonl           a record of each video that cannot be decoded
<data_dir>/quarantine.jsonl.journal   a record of each video decoded so far, to go on from
```

Of several shards, each has its own journal, and the list is made of all of them, see
`i3d_tf.data.check_journal`.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import gettempdir

from i3d_tf.data.check_journal import JOURNAL_SUFFIX, Journal, failure_reason, journal_paths
from i3d_tf.data.example import DataReport
from i3d_tf.data.quarantine import QUARANTINE_FILE, Cut, VideoCheck, absolute, read_checks
from i3d_tf.data.readers import read_dataset
from i3d_tf.specs.datasets import find_dataset
from i3d_tf.system.console import printable, progress_bar
from i3d_tf.system.files import atomic_write, check_target, staging_dir
from i3d_tf.system.job_status import MAX_RECORD, Failures, JobStatus, OutputFiles
from i3d_tf.system.jobs import JobRunner, Task, make_folder
from i3d_tf.system.remote import (
    RemoteFileError,
    as_path,
    check_local,
    copies_folder,
    is_remote,
    local_copy,
    read_bytes,
    remove,
)
from i3d_tf.system.shards import Shard
from i3d_tf.system.storage import is_folder, join
from i3d_tf.system.worker_pool import check_processes, map_unordered
from i3d_tf.video.find import find_videos, videos_below
from i3d_tf.video.names import OtherFiles, relative_name

RECORDS_SUFFIX = ".records"
DIED = "decoding it ends the process: a crash, or more memory than there is"


@dataclass(frozen=True)
class CheckReport:
    """The result of checking videos.

    Attributes:
        quarantine: Path of the list that was written.
        decoded: Number of videos, or cuts of them, decoded now.
        known: Number of those decoded by an earlier run, whose files have not changed since.
        bad: (path, reason) of each that cannot be decoded, sorted.
        datasets: Reports of the splits that were read; none for a plain folder.
        other_files: A sentence on the files of a plain folder that are no videos, or None.
    """

    quarantine: Path
    decoded: int
    known: int
    bad: tuple[tuple[str, str], ...]
    datasets: tuple[DataReport, ...] = ()
    other_files: str | None = None

    @property
    def faults(self) -> int:
        """Number of videos that are unreadable or missing."""
        return len(self.bad) + sum(len(report.missing) for report in self.datasets)

    def lines(self) -> list[str]:
        """Returns the lines that show the report on a terminal: every bad video, then the sums."""
        lines = [line for report in self.datasets for line in report.lines()]
        lines += [printable(f"unreadable: {path}: {reason}") for path, reason in self.bad]
        lines += filter(None, [self.other_files])
        return [
            *lines,
            f"{self.decoded} decoded, {self.known} known from before, {len(self.bad)} unreadable; "
            f"the list is {printable(str(self.quarantine))}",
        ]


def check_videos(
    data_dir: os.PathLike | str,
    dataset: str | None = None,
    splits: Sequence[str] = (),
    annotation: os.PathLike | str | None = None,
    classes: Sequence[str] | os.PathLike | str | None = None,
    quarantine: os.PathLike | str | None = None,
    processes: int | None = None,
    list_file: os.PathLike | str | None = None,
    shard: Shard | None = None,
    runner: JobRunner | None = None,
) -> CheckReport:
    """Decodes all videos of a dataset, or below a folder, completely.

    Of a video that the dataset cuts by start and end, the cut is decoded, as in training. A
    stopped check goes on when it is run again; later runs decode only new and changed videos. The
    list also keeps the bad videos of earlier runs with the same list, such as other splits'.

    Args:
        data_dir: Folder of the videos.
        dataset: A name in `i3d_tf.specs.datasets.DATASETS`, or None for all videos below data_dir.
        splits: Splits of the dataset; none means all that it has.
        annotation: See `read_dataset`.
        classes: See `read_dataset`.
        quarantine: The list to write; None for quarantine.jsonl in data_dir.
        processes: Videos at a time, each in a process of its own; None for one per processor.
        list_file: A text file with a video a line, a path relative to `data_dir`; None for all
            videos below `data_dir`, or of the dataset.
        shard: The part of the videos that is decoded; None means all. The list has the bad videos
            of all shards that are decoded so far.
        runner: The runner of the job, in place of `processes`; None means this machine.

    Raises:
        ValueError: An argument is invalid, or there are no videos.
        OSError: A folder cannot be read, or the list cannot be written.
    """
    data_dir = os.fspath(data_dir)
    processes = check_processes(processes)
    quarantine = _list_path(data_dir, quarantine, annotation)
    found = _find(data_dir, dataset, splits, annotation, classes, list_file, shard, quarantine)
    with Journal(quarantine, shard) as journal:
        todo, gone = journal.missing_from(found.cuts)
        unreached = []
        decode = _decode_here if runner is None else partial(_decode_elsewhere, runner, quarantine)
        with progress_bar() as progress:
            bar = progress.add_task("decoding videos", total=len(todo))
            with closing(decode(todo, processes)) as results:
                for check, reason in results:
                    if isinstance(reason, RemoteFileError):  # which says nothing of the video
                        unreached.append((check.path, reason.reason))
                    else:
                        journal.add(replace(check, reason=reason))
                    progress.advance(bar)
        journal.write_list()
    bad = found.closed + gone + unreached + journal.bad_among(found.cuts)
    return CheckReport(
        Path(quarantine),
        len(todo) - len(unreached),
        len(found.cuts) - len(todo) - len(gone),
        tuple(sorted(bad)),
        found.reports,
        found.other_files,
    )


def check_status(
    data_dir: os.PathLike | str,
    dataset: str | None = None,
    splits: Sequence[str] = (),
    annotation: os.PathLike | str | None = None,
    classes: Sequence[str] | os.PathLike | str | None = None,
    quarantine: os.PathLike | str | None = None,
    list_file: os.PathLike | str | None = None,
    shard: Shard | None = None,
) -> JobStatus:
    """Returns which videos are decoded, missing or bad, over all shards or of one.

    Args:
        data_dir: See `check_videos`.
        dataset: See `check_videos`.
        splits: See `check_videos`.
        annotation: See `check_videos`.
        classes: See `check_videos`.
        quarantine: See `check_videos`.
        list_file: See `check_videos`.
        shard: The part of the videos that is looked at; None means all.

    Raises:
        ValueError: See `check_videos`.
        OSError: See `check_videos`.
    """
    data_dir = os.fspath(data_dir)
    quarantine = _list_path(data_dir, quarantine, annotation)
    found = _find(data_dir, dataset, splits, annotation, classes, list_file, shard, quarantine)
    journal = Journal(quarantine, shard)
    todo, gone = journal.missing_from(found.cuts)
    bad = journal.bad_among(found.cuts)
    return JobStatus(
        str(quarantine),
        len(found.cuts) - len(todo) - len(gone) - len(bad),
        tuple(check.path for check in todo),
        tuple(sorted(found.closed + gone + bad)),
    )


def _list_path(data_dir, quarantine, annotation):
    """Returns the path of the list, where it and its journals may be written."""
    quarantine = os.fspath(quarantine or join(data_dir, QUARANTINE_FILE))
    check_local("quarantine", quarantine)
    for path in (quarantine, f"{quarantine}{JOURNAL_SUFFIX}", *journal_paths(quarantine)):
        check_target(path, _is_list, () if annotation is None else (annotation,))
    return quarantine


def _is_list(path):
    """Returns whether a file is a list of checks, or empty."""
    try:
        read_checks(path, torn_end=True)
    except (ValueError, OSError):
        return False
    return True


def _decode_here(checks, processes):
    """Yields checks and the results of `decode_check`, from processes of this machine."""
    with copies_folder(check.path for check in checks) as copies:
        decode = partial(decode_check, copies=copies)
        with closing(map_unordered(decode, checks, processes, died=DIED)) as results:
            yield from results


def _decode_elsewhere(runner, quarantine, checks, _):
    """Yields the same; a worker leaves each result in a file, which is removed when it is known.

    A stopped check leaves the files, and goes on from them.
    """
    if not checks:
        return
    place, name = os.path.split(quarantine)
    folder = runner.records_dir or os.path.join(place, f".{name}{RECORDS_SUFFIX}")
    is_local = not is_remote(folder)
    if is_local:
        make_folder(folder)
    files = OutputFiles(folder)
    tasks = [
        Task(check.path, as_path(join(folder, _record_name(check))), check) for check in checks
    ]
    known = [(task, None) for task in tasks if task.target in files]
    missing = [task for task in tasks if task.target not in files]
    with staging_dir(folder if is_local else gettempdir()) as staging:
        run = runner.run_each(_write_record, folder, DIED)
        with closing(run(missing, staging)) as outcomes:
            for task, reason in chain(known, outcomes):
                if reason is None:
                    yield task.details, _read_record(task.target)
                    _remove_record(task.target)  # which is in the journal now
                else:
                    is_verdict = reason == DIED
                    yield task.details, reason if is_verdict else RemoteFileError("", reason)
                    Failures(folder).discard(task.target)
    if is_local:
        with contextlib.suppress(OSError):  # another process has files there
            os.rmdir(folder)


def _record_name(check):
    text = json.dumps([check.path, check.start, check.end, check.size, check.mtime_ns])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".json"


def _write_record(task, staging):
    reason = _decode(task.source, task.details.start, task.details.end)
    with atomic_write(task.target, folder=staging) as unfinished:
        unfinished.write_text(json.dumps(reason), "ascii")


def _read_record(path):
    return json.loads(read_bytes(path, MAX_RECORD) if is_remote(path) else path.read_bytes())


def _remove_record(path):
    if is_remote(path):
        remove(path)
    else:
        path.unlink()


def decode_check(check: VideoCheck, copies: Path | None = None) -> str | RemoteFileError | None:
    """Decodes a video or its cut.

    Args:
        check: The video.
        copies: Folder on this machine for a copy of a remote one, see `copies_folder`.

    Returns:
        Why it cannot be decoded, or None; the error of a remote video that could not be copied.
    """
    try:
        with local_copy(check.path, copies) as path:
            return _decode(path, check.start, check.end)
    except RemoteFileError as error:
        return error


def _decode(path, start, end):
    from i3d_tf.video.decode import read_watched, verify_video
    from i3d_tf.video.errors import VideoError

    try:
        read_watched(path, lambda: verify_video(path, start, end))
    except VideoError as error:
        return error.reason
    except MemoryError:
        return "decoding it takes more memory than there is"
    except Exception as error:  # whatever a decoder does with damage, the others are still checked
        return f"decoding it fails: {type(error).__name__}: {error}"
    return None


@dataclass(frozen=True)
class _Found:
    """Videos to decode.

    Attributes:
        cuts: (path, start, end) of each, none twice.
        closed: (path, reason) of each folder that cannot be read.
        reports: Those of the datasets.
        other_files: See `CheckReport`.
    """

    cuts: list[Cut]
    closed: list[tuple[str, str]] = field(default_factory=list)
    reports: tuple[DataReport, ...] = ()
    other_files: str | None = None


def _find(data_dir, dataset, splits, annotation, classes, list_file, shard, quarantine):
    """Returns the videos of a shard."""
    if dataset is None:
        if splits or annotation is not None or classes is not None:
            raise ValueError("`splits`, `annotation` and `classes` need a `dataset`. Give one.")
        if not is_folder(data_dir):
            raise FileNotFoundError(f"`data_dir` {data_dir}: there is no such folder.")
        found = _find_below(data_dir, list_file, quarantine)
    elif list_file is not None:
        raise ValueError("`list_file` and `dataset` both say which videos. Give one of them.")
    else:
        splits = tuple(splits) or find_dataset(dataset).splits or (None,)
        read = [read_dataset(dataset, data_dir, split, annotation, classes) for split in splits]
        examples = (example for each in read for example in each.examples)
        cuts = dict.fromkeys((absolute(each.path), each.start, each.end) for each in examples)
        found = _Found(list(cuts), reports=tuple(each.report for each in read))
    if shard is None:
        return found
    root = absolute(data_dir)
    return replace(found, cuts=[c for c in found.cuts if shard.holds(relative_name(c[0], root))])


def _find_below(data_dir, list_file, quarantine):
    """Returns the videos of a list, or all below a folder."""
    if list_file is not None:
        videos = find_videos((), list_file=list_file, list_root=data_dir)
        return _Found([(absolute(path), None, None) for path in videos])
    unreadable: list[OSError] = []
    others = OtherFiles({QUARANTINE_FILE, *(path.name for path in journal_paths(quarantine))})
    videos = videos_below(data_dir, unreadable, others)
    if not videos and not unreadable:
        has = f", only {others}" if str(others) else ""
        raise ValueError(f"{data_dir}: there are no videos below this folder{has}.")
    return _Found(
        [(absolute(path), None, None) for path in videos],
        [(error.filename, failure_reason(error)) for error in unreadable],
        other_files=others.sentence(),
    )
