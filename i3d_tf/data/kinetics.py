"""Kinetics-400, -600 and -700 by their official CSV files.

`label,youtube_id,time_start,time_end,split`, and in some editions `is_cc`; the columns may come in
any order. A video is `<id>_<start>_<end>.mp4`, times with six digits, where it was cut, and
`<id>.mp4` where it is whole; in a folder for its class, with spaces or underscores, or in one for
its split, or in both, or in none. Of the CVDF mirror's folder of replacements for corrupted videos,
a file that begins with a video's id is preferred to the video.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from i3d_tf.data.annotation import (
    check_cut,
    find_annotation,
    parse_seconds,
    table_rows,
    unknown_label_error,
)
from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.example import VideoDataset
from i3d_tf.data.match_videos import NOT_SELECTED, AnnotatedVideo, Candidate, collect
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.data.video_files import safe_name
from i3d_tf.specs.datasets import SPLIT_SPELLINGS, Dataset
from i3d_tf.specs.labels import read_labels
from i3d_tf.system.storage import file_names, folder_names, join
from i3d_tf.system.tables import SkippedRow, Table
from i3d_tf.video.names import is_video_name, video_stem

REQUIRED = ("label", "youtube_id", "time_start", "time_end")
OPTIONAL = ("split",)
REPLACEMENTS = ("replacement/replacement_for_corrupted_k400", "replacement_for_corrupted_k400")
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_ID_LENGTH = 11


def read_kinetics(
    dataset: Dataset,
    data_dir: str,
    split: str,
    annotation: str | None,
    classes: Sequence[str] | None,
    quarantine: Quarantine,
) -> VideoDataset:
    """Reads a split of Kinetics, or of some of its classes, as miniKinetics is.

    The classes are in the order of `i3d_tf.specs.labels`, which is that of the released models'
    logits; names that differ in case between editions are the same. A malformed row is counted as
    skipped; a class that the dataset does not have is an error. The report's notes say how many
    videos were replaced, and how many in the split's folder are in no row.

    Args:
        dataset: The dataset.
        data_dir: Folder of the videos, or one above it.
        split: "train", "val" or "test".
        annotation: The CSV file, its folder, or None.
        classes: Names of the classes to keep, or None for all; their order stays that above.
        quarantine: Videos that are known to be unreadable.

    Raises:
        FileNotFoundError: There is no CSV file.
        ValueError: The CSV file is not of this form, or has no labels.
    """
    path = find_annotation(dataset, data_dir, annotation, _file_names(dataset.name, split))
    _check_labels(path)
    official = ClassNames(read_labels(dataset.labels))
    kept = official.subset(classes)
    files = _Files(_replacements(dataset, data_dir))
    rows = _rows(path, split, _folders(dataset, split), official, kept, files)
    notes = _notes(dataset, data_dir, split, files)
    return collect(dataset, split, data_dir, kept, rows, quarantine, notes)


@dataclass
class _Files:
    """Files of the videos, as the rows name them.

    Attributes:
        replacements: Id to (folder, name without ending) of a video that replaces it.
        replaced: Rows of the split that have one.
        listed: Ids in all rows.
    """

    replacements: dict[str, tuple[str, str]]
    replaced: int = 0
    listed: set[str] = field(default_factory=set)


def _check_labels(path):
    """Refuses a list without labels, as those of the test sets are often published."""
    if Table(path, REQUIRED[1:]).has_heading and not Table(path, REQUIRED).has_heading:
        raise ValueError(
            f"{path}: it has no column 'label', as the published lists of some test sets. Give a "
            "split with labels, or predict its videos with i3d predict."
        )


def _replacements(dataset, data_dir):
    """Returns id to (folder, name without ending) of the videos that replace corrupted ones."""
    found: dict[str, tuple[str, str]] = {}
    for base in dataset.video_folders:
        for last in REPLACEMENTS:
            folder = join(base, last)
            for name in file_names(join(data_dir, folder)) or ():
                youtube_id, after = name[:_ID_LENGTH], name[_ID_LENGTH : _ID_LENGTH + 1]
                if is_video_name(name) and _YOUTUBE_ID.fullmatch(youtube_id) and after in "_.":
                    found.setdefault(youtube_id, (folder, video_stem(name)))
    return found


def _notes(dataset, data_dir, split, files) -> Iterator[str]:
    """Yields notes on files, after the rows were read."""
    if files.replaced:
        yield f"{files.replaced} videos have a replacement for a corrupted file, which is used"
    unlisted = [
        name
        for base in dataset.video_folders
        for part in SPLIT_SPELLINGS[split]
        for name in _videos_below(join(data_dir, join(base, part)))
        if name[:_ID_LENGTH] not in files.listed
    ]
    if unlisted:
        yield (
            f"{len(unlisted)} files in the folder of {split} are in no row, such as {min(unlisted)}"
        )


def _videos_below(folder):
    """Yields the names of the videos in a folder and in its folders."""
    for below in ("", *(folder_names(folder) or ())):
        yield from filter(is_video_name, file_names(join(folder, below)) or ())


def _file_names(name, split):
    """Returns the names that the publishers of the annotation have given it."""
    size = name.removeprefix("kinetics")
    stems = ("", f"kinetics{size}_", f"kinetics-{size}_", f"kinetics_{size}_", "kinetics_")
    return [f"{stem}{spelling}.csv" for stem in stems for spelling in SPLIT_SPELLINGS[split]]


def _table(path):
    return table_rows(path, REQUIRED, OPTIONAL)


def _folders(dataset, split):
    """Returns a function from a class name to the folders of its videos, best first."""
    bases = [
        join(folder, part)
        for part in (*SPLIT_SPELLINGS[split], "")
        for folder in dataset.video_folders
    ]
    found = {}

    def folders(class_name):
        if class_name not in found:
            spellings = (class_name, class_name.replace(" ", "_"), "")
            found[class_name] = tuple(join(base, last) for last in spellings for base in bases)
        return found[class_name]

    return folders


def _rows(path, split, folders, official, kept, files):
    source = posixpath.basename(path)
    for line, row in _table(path):
        if isinstance(row, SkippedRow):
            yield row
            continue
        try:
            listed_split = _split(row["split"]) or split
            start, end = _cut(row)
        except ValueError as error:
            yield SkippedRow(source, line, str(error))
            continue
        files.listed.add(row["youtube_id"])
        label = official.find(row["label"])
        if label is None:
            advice = f"Give the annotation of the dataset with {len(official)} classes."
            raise unknown_label_error(path, line, row["label"], official, advice)
        label = kept.find(official.names[label])
        if label is None or listed_split != split:
            yield NOT_SELECTED
            continue
        cut, candidates = _candidates(row["youtube_id"], start, end)
        class_folders = folders(kept.names[label])
        if row["youtube_id"] in files.replacements:
            files.replaced += 1
            folder, name = files.replacements[row["youtube_id"]]
            class_folders, candidates = (folder, *class_folders), (Candidate(name), *candidates)
        yield AnnotatedVideo(source, line, f"{cut}.mp4", label, class_folders, candidates)


def _split(text):
    for split, spellings in SPLIT_SPELLINGS.items():
        if text.lower() in spellings:
            return split
    if text:
        raise ValueError(f"column split: {text!r} is not one of {tuple(SPLIT_SPELLINGS)}")
    return None


def _cut(row):
    """Returns the seconds at which a row's video starts and ends; checks the row's cells."""
    if not row["label"]:
        raise ValueError("column label: it is empty")
    safe_name(row["label"])
    if not _YOUTUBE_ID.fullmatch(row["youtube_id"]):
        raise ValueError(
            f"column youtube_id: {row['youtube_id']!r:.40} is not 11 of A-Z a-z 0-9 - _"
        )
    start = parse_seconds(row["time_start"], "time_start")
    end = parse_seconds(row["time_end"], "time_end")
    if start is None or end is None:
        raise ValueError(f"column time_{'start' if start is None else 'end'}: it is empty")
    check_cut(start, end)
    return start, end


def _candidates(youtube_id, start, end):
    """Returns the name of a video that was cut out, and the files that may hold it."""
    cut = f"{youtube_id}_{int(start):06d}_{int(end):06d}"
    return cut, (Candidate(cut), Candidate(youtube_id, start, end))
