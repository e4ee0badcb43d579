"""A check of a dataset: decodes every video, and lists those that cannot be decoded.

```
<data_dir>/quarantine.jsonl           a record of each video that cannot be decoded
<data_dir>/quarantine.jsonl.journal   a record of each video decoded so far, to go on from
```
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from i3d_tf.data.dataset_report import DataReport
from i3d_tf.data.quarantine import (
    QUARANTINE_FILE,
    Cut,
    VideoCheck,
    absolute,
    check_line,
    read_checks,
)
from i3d_tf.data.readers import read_dataset
from i3d_tf.specs.datasets import find_dataset
from i3d_tf.system.console import printable, progress_bar
from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.system.storage import file_state, is_folder, join
from i3d_tf.system.worker_pool import check_processes, map_unordered
from i3d_tf.video.find import OtherFiles, videos_below

JOURNAL_SUFFIX = ".journal"  # after the name of the list
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

    Raises:
        ValueError: An argument is invalid, or there are no videos.
        OSError: A folder cannot be read, or the list cannot be written.
    """
    data_dir = os.fspath(data_dir)
    processes = check_processes(processes)
    quarantine = os.fspath(quarantine or join(data_dir, QUARANTINE_FILE))
    if "://" in quarantine:
        raise ValueError(f"`quarantine` must be a file on this machine; received {quarantine}.")
    for path in (quarantine, f"{quarantine}{JOURNAL_SUFFIX}"):
        check_target(path, _is_list, () if annotation is None else (annotation,))
    unreadable: list[OSError] = []
    others = OtherFiles(ignored=(QUARANTINE_FILE, QUARANTINE_FILE + JOURNAL_SUFFIX))
    cuts, reports = _find_cuts(data_dir, dataset, splits, annotation, classes, unreadable, others)
    with Journal(quarantine) as journal:
        todo, gone = journal.missing_from(cuts)
        with progress_bar() as progress:
            bar = progress.add_task("decoding videos", total=len(todo))
            for check, reason in map_unordered(decode_check, todo, processes, died=DIED):
                journal.add(replace(check, reason=reason))
                progress.advance(bar)
        closed = [(error.filename, _reason(error)) for error in unreadable]
        bad = gone + closed + journal.bad_among(cuts)
        _write_quarantine(Path(quarantine), journal.all_bad())
    known = len(cuts) - len(todo) - len(gone)
    return CheckReport(
        Path(quarantine), len(todo), known, tuple(sorted(bad)), tuple(reports), others.sentence()
    )


def _reason(error):
    return (error.strerror or str(error)).lower()


def _is_list(path):
    """Returns whether a file is a list of checks, or empty."""
    try:
        read_checks(path, torn_end=True)
    except (ValueError, OSError):
        return False
    return True


def decode_check(check: VideoCheck) -> str | None:
    """Decodes a video or its cut; returns why that fails, or None."""
    from i3d_tf.video.decode import read_watched, verify_video
    from i3d_tf.video.errors import VideoError

    try:
        read_watched(check.path, lambda: verify_video(check.path, check.start, check.end))
    except VideoError as error:
        return error.reason
    except MemoryError:
        return "decoding it takes more memory than there is"
    except Exception as error:  # whatever a decoder does with damage, the others are still checked
        return f"decoding it fails: {type(error).__name__}: {error}"
    return None


def _find_cuts(data_dir, dataset, splits, annotation, classes, unreadable, others):
    """Returns the cuts to decode, none twice, and the reports of the datasets.

    Of a plain folder, errors of folders that cannot be read are added to `unreadable`, and the
    files that are no videos to `others`.
    """
    if dataset is None:
        if splits or annotation is not None or classes is not None:
            raise ValueError("`splits`, `annotation` and `classes` need a `dataset`. Give one.")
        if not is_folder(data_dir):
            raise FileNotFoundError(f"`data_dir` {data_dir}: there is no such folder.")
        videos = videos_below(data_dir, unreadable, others)
        cuts = [(absolute(path), None, None) for path in videos]
        if not cuts and not unreadable:
            has = f", only {others}" if str(others) else ""
            raise ValueError(f"{data_dir}: there are no videos below this folder{has}.")
        return cuts, []
    splits = tuple(splits) or find_dataset(dataset).splits or (None,)
    found = [read_dataset(dataset, data_dir, split, annotation, classes) for split in splits]
    examples = (example for each in found for example in each.examples)
    cuts = dict.fromkeys((absolute(each.path), each.start, each.end) for each in examples)
    return list(cuts), [each.report for each in found]


def _write_quarantine(path, checks):
    with atomic_write(path) as temporary:
        lines = [check_line(check, path.parent.absolute()) + "\n" for check in checks]
        temporary.write_text("".join(lines), "ascii")


class Journal:
    """A file with a line for each video decoded so far; it is only added to.

    Args:
        quarantine: The list beside which the journal lies.
    """

    _file: BinaryIO  # open within the block

    def __init__(self, quarantine: os.PathLike | str):
        self._path = Path(f"{quarantine}{JOURNAL_SUFFIX}").absolute()
        self._checks = {}
        if self._path.exists():
            self._checks = {check.cut: check for check in read_checks(self._path, torn_end=True)}

    def __enter__(self) -> "Journal":
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "a+b")
        except OSError as error:
            raise OSError(
                f"{self._path} cannot be written ({error.strerror}). Give another `quarantine`."
            ) from error
        self._cut_torn_end()
        return self

    def __exit__(self, *exception):
        self._file.close()

    def add(self, check: VideoCheck):
        """Writes a check, so that it outlives this process."""
        line = check_line(check, self._path.parent)
        self._file.write(line.encode("ascii") + b"\n")
        self._file.flush()
        self._checks[check.cut] = check

    def missing_from(self, cuts: Iterable[Cut]) -> tuple[list[VideoCheck], list[tuple[str, str]]]:
        """Returns checks that are still to be done, and (path, reason) of files that are gone."""
        todo, gone = [], []
        for path, start, end in cuts:
            try:
                state = file_state(path)
            except OSError as error:
                gone.append((path, _reason(error)))
                continue
            check = VideoCheck(path, start, end, *state)
            known = self._checks.get(check.cut)
            if known is None or (known.size, known.mtime_ns) != tuple(state):
                todo.append(check)
        return todo, gone

    def bad_among(self, cuts: Iterable[Cut]) -> list[tuple[str, str]]:
        """Returns (path, reason) of those cuts that could not be decoded."""
        checks = filter(None, map(self._checks.get, cuts))
        return [(check.path, check.reason) for check in checks if check.reason is not None]

    def all_bad(self) -> list[VideoCheck]:
        """Returns the checks of all files that could not be decoded and are still the same."""
        bad = [check for check in self._checks.values() if check.reason is not None]
        return sorted((each for each in bad if each.is_current()), key=lambda each: each.path)

    def _cut_torn_end(self):
        """Removes the part of a line that a killed run left."""
        content = self._path.read_bytes()
        self._file.truncate(content.rfind(b"\n") + 1)
