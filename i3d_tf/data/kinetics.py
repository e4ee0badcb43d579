"""Kinetics-400, -600 and -700 by their official CSV files.

`label,youtube_id,time_start,time_end,split`, and in some editions `is_cc`; the columns may come in
any order. A video is `<id>_<start>_<end>.mp4`, times with six digits, where it was cut, and
`<id>.mp4` where it is whole; in a folder for its class, with spaces or underscores, or in one for
its split, or in both, or in none.
"""

import posixpath
import re
from collections.abc import Sequence

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
from i3d_tf.system.storage import join
from i3d_tf.system.tables import SkippedRow

REQUIRED = ("label", "youtube_id", "time_start", "time_end")
OPTIONAL = ("split",)
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")


def read_kinetics(
    dataset: Dataset,
    data_dir: str,
    split: str,
    annotation: str | None,
    classes: Sequence[str] | None,
    quarantine: Quarantine,
) -> VideoDataset:
    """Reads a split of Kinetics, or of some of its classes, as miniKinetics is.

    The classes of Kinetics-400 and -600 are in the order of `i3d_tf.specs.labels`, which is that
    of the released models' logits; those of Kinetics-700 are sorted by name, as these are too. A
    malformed row is counted as skipped; a class that the dataset does not have is an error.

    Args:
        dataset: The dataset.
        data_dir: Folder of the videos, or one above it.
        split: "train", "val" or "test".
        annotation: The CSV file, its folder, or None.
        classes: Names of the classes to keep, or None for all; their order stays that above.
        quarantine: Videos that are known to be unreadable.

    Raises:
        FileNotFoundError: There is no CSV file.
        ValueError: The CSV file is not of this form.
    """
    path = find_annotation(dataset, data_dir, annotation, _file_names(dataset.name, split))
    official = _official_classes(dataset, path, classes)
    kept = official.subset(classes)
    rows = _rows(path, split, _folders(dataset, split), official, kept)
    return collect(dataset, split, data_dir, kept, rows, quarantine)


def _file_names(name, split):
    """Returns the names that the publishers of the annotation have given it."""
    size = name.removeprefix("kinetics")
    stems = ("", f"kinetics{size}_", f"kinetics-{size}_", f"kinetics_{size}_", "kinetics_")
    return [f"{stem}{spelling}.csv" for stem in stems for spelling in SPLIT_SPELLINGS[split]]


def _official_classes(dataset, path, classes):
    if dataset.labels is not None:
        return ClassNames(read_labels(dataset.labels))
    names = {row["label"] for _, row in _table(path) if isinstance(row, dict)} - {""}
    if classes is None and len(names) != dataset.classes:
        raise ValueError(
            f"{path}: it has {len(names)} classes, {dataset.name} has {dataset.classes}, so labels "
            "would depend on the file. Give `classes`."
        )
    return ClassNames(sorted(names.union(classes or ())))


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


def _rows(path, split, folders, official, kept):
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
