"""Rows of an annotation -> the examples whose videos are there, and an account of the others.

Every reader turns its annotation into rows: each is an `AnnotatedVideo`, a `SkippedRow` or
`NOT_SELECTED`. What is done with them is the same for all datasets and is done here.
"""

from dataclasses import dataclass, field

from i3d_tf.data.dataset_report import DataReport, SkippedRow
from i3d_tf.data.example import VideoDataset, VideoExample
from i3d_tf.data.video_files import VideoFiles
from i3d_tf.system.storage import join

NOT_SELECTED = "left out"  # a row of another split, or of a class that was not asked for


@dataclass(frozen=True)
class Candidate:
    """A file that may hold a listed video.

    Attributes:
        name: File name, with or without its ending.
        start: Seconds at which the video begins in that file, or None where it is all of it.
        end: Seconds at which it ends, or None.
    """

    name: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class AnnotatedVideo:
    """A well-formed row.

    Attributes:
        source: Name of the annotation file.
        line: Its line, or None.
        shown: How the video is called in reports.
        label: Class index.
        folders: Folders below data_dir in which it may lie, best first.
        candidates: Candidates, best first.
    """

    source: str
    line: int | None
    shown: str
    label: int
    folders: tuple[str, ...]
    candidates: tuple[Candidate, ...]


@dataclass
class DatasetCounts:
    """Counts of a dataset's rows, by what became of them."""

    rows: int = 0
    left_out: int = 0
    examples: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    quarantined: list = field(default_factory=list)
    skipped: list = field(default_factory=list)


def collect(dataset, split, data_dir, classes, rows, quarantine, notes=()) -> VideoDataset:
    """Finds the listed videos.

    Args:
        dataset: Dataset, see `i3d_tf.specs.datasets`.
        split: Its split, or None.
        data_dir: Folder that holds the videos.
        classes: ClassNames.
        rows: Iterable of AnnotatedVideo, SkippedRow and NOT_SELECTED.
        quarantine: Quarantine.
        notes: What a person should know of the annotation, a sentence each.

    Returns:
        VideoDataset with at least one example.

    Raises:
        ValueError: No row can be used, or no video is there.
    """
    files = VideoFiles(data_dir)
    account = DatasetCounts()
    first_seen = {}
    for row in rows:
        account.rows += 1
        if row is NOT_SELECTED:
            account.left_out += 1
        elif isinstance(row, SkippedRow):
            account.skipped.append(row)
        else:
            _place(row, files, data_dir, classes, quarantine, account, first_seen)
    name = f"{dataset.name} {split}" if split else dataset.name
    _insist_on_videos(name, data_dir, account)
    report = DataReport(
        name=dataset.name,
        split=split,
        data_dir=data_dir,
        rows=account.rows,
        found=len(account.examples),
        missing=tuple(account.missing),
        quarantined=tuple(account.quarantined),
        skipped=tuple(account.skipped),
        left_out=account.left_out,
        classes=len(classes),
        notes=(*notes, *_notes(dataset, classes, account, files, quarantine)),
    )
    return VideoDataset(tuple(account.examples), classes.names, report)


def _place(row, files, data_dir, classes, quarantine, account, first_seen):
    """Puts a row where it belongs: among the examples, or what is missing, unreadable, repeated."""
    path = None
    for candidate in row.candidates:
        path = files.find(row.folders, candidate.name)
        if path is not None:
            break
    key = (path, candidate.start, candidate.end) if path else (row.shown, row.label)
    first = first_seen.setdefault(key, row)
    if first is not row:
        account.skipped.append(SkippedRow(row.source, row.line, _repetition(row, first, classes)))
        return
    if path is None:
        account.missing.append(row.shown)
        return
    path = join(data_dir, path)
    reason = quarantine.reason(path, candidate.start, candidate.end)
    if reason is not None:
        account.quarantined.append((path, reason))
        return
    account.examples.append(
        VideoExample(path, row.label, classes.names[row.label], candidate.start, candidate.end)
    )


def _repetition(row, first, classes):
    where = first.shown if first.line is None else f"{first.source} line {first.line}"
    if row.label == first.label:
        return f"{row.shown} is listed in {where} already"
    return (
        f"{row.shown} as {classes.names[row.label]!r} contradicts {where}, which says "
        f"{classes.names[first.label]!r} and was kept"
    )


def _insist_on_videos(name, data_dir, account):
    if account.examples:
        return
    if account.missing:
        raise ValueError(
            f"{name}: none of the {len(account.missing)} videos listed is in {data_dir}, not even "
            f"{account.missing[0]}; give the folder they lie in."
        )
    if account.quarantined:
        path, reason = account.quarantined[0]
        raise ValueError(
            f"{name}: all {len(account.quarantined)} videos are known to be unreadable, the first "
            f"is {path}: {reason}."
        )
    if account.skipped:
        raise ValueError(
            f"{name}: none of {account.rows} rows can be used; the first fault is in "
            f"{account.skipped[0]}."
        )
    if not account.rows:
        raise ValueError(f"{name}: the annotation has no rows.")
    raise ValueError(
        f"{name}: no row is of this split and these classes ({account.rows} rows read); look at "
        "the annotation file, or ask for others."
    )


def _notes(dataset, classes, account, files, quarantine):
    if dataset.classes is not None and len(classes) != dataset.classes:
        yield f"{len(classes)} classes; {dataset.name} was published with {dataset.classes}"
    empty = len(classes) - len({example.label for example in account.examples})
    if empty:
        yield f"{empty} of {len(classes)} classes have no video"
    if files.other_endings:
        yield f"{files.other_endings} videos were found under another ending than listed"
    if quarantine.outdated:
        yield (
            f"{quarantine.outdated} records of the quarantine are outdated: those files have "
            "changed or are gone; check the videos again"
        )
