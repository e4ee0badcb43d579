"""UCF-101 by its official lists: classInd.txt, trainlist01..03.txt, testlist01..03.txt."""

import posixpath
from collections.abc import Sequence

from i3d_tf.data.annotation import (
    find_annotation,
    parent_folder,
    text_rows,
    unknown_label_error,
)
from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.example import VideoDataset
from i3d_tf.data.match_videos import NOT_SELECTED, AnnotatedVideo, Candidate, collect
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.data.video_files import safe_name, safe_path
from i3d_tf.specs.datasets import Dataset
from i3d_tf.system.storage import is_file, join
from i3d_tf.system.tables import SkippedRow

CLASS_LIST = "classInd.txt"
# Class in classInd.txt -> its spelling in folders and file names of some archives and lists.
OTHER_SPELLINGS = {"HandstandPushups": "HandStandPushups"}


def read_ucf101(
    dataset: Dataset,
    data_dir: str,
    split: str,
    annotation: str | None,
    classes: Sequence[str] | None,
    quarantine: Quarantine,
) -> VideoDataset:
    """Reads a split of UCF-101, or of any dataset with lists of that form.

    Label k is the class that classInd.txt numbers k + 1. Videos lie in a folder for each class or
    all in one. Rows without a folder, or whose number is not that of their class, are counted as
    skipped; a class that classInd.txt does not have is an error.

    Args:
        dataset: The dataset.
        data_dir: Folder of the videos, or one above it.
        split: One of dataset.splits.
        annotation: Folder of the lists, one of them, or None.
        classes: Names of the classes to keep, or None for all; their order stays the official one.
        quarantine: Videos that are known to be unreadable.

    Raises:
        FileNotFoundError: A list does not exist.
        ValueError: A list is not of this form.
    """
    name = f"{split[:-1]}list0{split[-1]}.txt"
    path = find_annotation(dataset, data_dir, annotation, [name])
    class_list = join(parent_folder(path), CLASS_LIST)
    if not is_file(class_list):
        raise FileNotFoundError(f"{dataset.name}: there is no {CLASS_LIST} beside {path}.")
    official = ClassNames(_read_class_list(class_list))
    kept = official.subset(classes)
    rows = _rows(path, dataset.video_folders, official, kept)
    return collect(dataset, split, data_dir, kept, rows, quarantine)


def _read_class_list(path):
    """Returns the class names by their numbers, which must be 1, 2, 3 and so on."""
    names = []
    for line, text in text_rows(path):
        number, name = [*text.split(maxsplit=1), ""][:2]
        if number != str(len(names) + 1) or not name or name in names:
            raise ValueError(
                f"{path}: line {line} must be {len(names) + 1} and the name of a further class; "
                f"it is {text!r:.80}."
            )
        try:
            names.append(safe_name(name))
        except ValueError as error:
            raise ValueError(f"{path}: line {line}: {error}.") from error
    if not names:
        raise ValueError(f"{path}: the file is empty. Each line must be a number and a class.")
    return names


def _rows(path, video_folders, official, kept):
    source = posixpath.basename(path)
    for line, text in text_rows(path):
        listed, number = [*text.rsplit(maxsplit=1), ""][:2]
        if not number.isdecimal():  # the test lists have no numbers
            listed, number = text, ""
        try:
            folder, name = posixpath.split(safe_path(listed))
        except ValueError as error:
            raise ValueError(f"{path}: line {line}: {error}.") from error
        if not folder:
            reason = f"{text!r:.80} is not of the form Class/video.avi"
            yield SkippedRow(source, line, reason)
            continue
        class_name = posixpath.basename(folder)
        label = official.find(class_name)
        if label is None:
            raise unknown_label_error(
                path, line, class_name, official, f"Correct it or {CLASS_LIST}."
            )
        if number and number != str(label + 1):
            reason = f"it gives {class_name} the number {number}, {CLASS_LIST} gives {label + 1}"
            yield SkippedRow(source, line, reason)
            continue
        class_name = official.names[label]
        label = kept.find(class_name)
        if label is None:
            yield NOT_SELECTED
            continue
        yield _annotated_video(source, line, class_name, name, label, video_folders)


def _annotated_video(source, line, class_name, name, label, video_folders):
    spellings = [class_name, *filter(None, [OTHER_SPELLINGS.get(class_name)])]
    folders = tuple(join(base, last) for last in (*spellings, "") for base in video_folders)
    names = [name]
    for here in spellings:
        names += [name.replace(here, there) for there in spellings if here in name]
    candidates = tuple(Candidate(each) for each in dict.fromkeys(names))
    return AnnotatedVideo(source, line, f"{class_name}/{name}", label, folders, candidates)
