"""HMDB-51 by its official lists: `<class>_test_split<k>.txt`, a code behind each video."""

import posixpath
import re
from collections.abc import Sequence

from i3d_tf.data.annotation import annotation_folders, parent_folder, text_rows
from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.example import VideoDataset
from i3d_tf.data.match_videos import NOT_SELECTED, AnnotatedVideo, Candidate, collect
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.data.video_files import safe_name
from i3d_tf.specs.datasets import Dataset
from i3d_tf.system.storage import file_names, is_file, join
from i3d_tf.system.tables import SkippedRow

CODES = {"train": "1", "test": "2"}  # 0 is for videos that a split uses for neither
_LIST = re.compile(r"(?P<class_name>.+)_test_split(?P<number>[123])\.txt")


def read_hmdb51(
    dataset: Dataset,
    data_dir: str,
    split: str,
    annotation: str | None,
    classes: Sequence[str] | None,
    quarantine: Quarantine,
) -> VideoDataset:
    """Reads a split of HMDB-51, or of any dataset with lists of that form.

    The classes are those that have a list, sorted by name. Videos lie in a folder for each class or
    all in one. Rows without a code of 0, 1 or 2 are counted as skipped.

    Args:
        dataset: The dataset.
        data_dir: Folder of the videos, or one above it.
        split: One of dataset.splits.
        annotation: Folder of the lists, one of them, or None.
        classes: Names of the classes to keep, or None for all; their order stays the official one.
        quarantine: Videos that are known to be unreadable.

    Raises:
        FileNotFoundError: There are no lists.
        ValueError: A list is not of this form.
    """
    if annotation is not None and is_file(annotation):
        annotation = parent_folder(annotation)
    folders = annotation_folders(dataset, data_dir, annotation)
    lists = next(filter(None, (_lists(folder, split[-1]) for folder in folders)), None)
    if lists is None:
        raise FileNotFoundError(
            f"{dataset.name}: there is no <class>_test_split{split[-1]}.txt in "
            f"{' or '.join(folders)}. Name their folder with `annotation`."
        )
    class_names = ClassNames(sorted(lists)).subset(classes)
    rows = _rows(lists, CODES[split[:-1]], dataset.video_folders, class_names)
    return collect(dataset, split, data_dir, class_names, rows, quarantine)


def _lists(folder, number):
    """Returns class name to the path of its list."""
    matches = map(_LIST.fullmatch, file_names(folder) or ())
    return {
        match["class_name"]: join(folder, match.string)
        for match in matches
        if match and match["number"] == number
    }


def _rows(lists, wanted, video_folders, classes):
    for class_name, path in sorted(lists.items()):
        source = posixpath.basename(path)
        label = classes.find(class_name)
        folders = tuple(join(base, last) for last in (class_name, "") for base in video_folders)
        for line, text in text_rows(path):
            name, code = [*text.rsplit(maxsplit=1), ""][:2]
            if code not in {"0", *CODES.values()}:
                reason = f"{text!r:.80} is not a video and a code of 0, 1 or 2"
                yield SkippedRow(source, line, reason)
            elif label is None or code != wanted:
                yield NOT_SELECTED
            else:
                name = _safe(path, line, name)
                shown = f"{class_name}/{name}"
                yield AnnotatedVideo(source, line, shown, label, folders, (Candidate(name),))


def _safe(path, line, name):
    try:
        return safe_name(name)
    except ValueError as error:
        raise ValueError(f"{path}: line {line}: {error}.") from error
