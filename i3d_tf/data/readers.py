"""One function for all readers of datasets."""

import os
from collections.abc import Callable, Sequence

from i3d_tf.data.class_folders import read_class_folders
from i3d_tf.data.class_names import read_class_names
from i3d_tf.data.csv_list import read_csv_list
from i3d_tf.data.example import VideoDataset
from i3d_tf.data.hmdb51 import read_hmdb51
from i3d_tf.data.intervals import read_interval_videos
from i3d_tf.data.kinetics import read_kinetics
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.data.ucf101 import read_ucf101
from i3d_tf.specs.datasets import find_dataset
from i3d_tf.specs.stick_actions import STICK_LABELS
from i3d_tf.system.storage import is_folder

READERS: dict[str, Callable[..., VideoDataset]] = {
    "csv": read_csv_list,
    "hmdb51": read_hmdb51,
    "intervals": read_interval_videos,
    "kinetics": read_kinetics,
    "ucf101": read_ucf101,
}


def read_dataset(
    dataset: str,
    data_dir: os.PathLike | str,
    split: str | None = None,
    annotation: os.PathLike | str | None = None,
    classes: Sequence[str] | os.PathLike | str | None = None,
    quarantine: os.PathLike | str | None = None,
) -> VideoDataset:
    """Reads the annotation of a split, and finds its videos; no video is opened.

    Passing `class_names` of an earlier result as `classes` gives every class the label it had
    there: so a model is evaluated on another split than it was trained on.

    Args:
        dataset: Name in `i3d_tf.specs.datasets.DATASETS`.
        data_dir: Folder of its videos.
        split: One of its splits; for "class_folders", "csv" and "intervals" any name, or None.
        annotation: Its annotation file, or their folder; None looks where they usually are.
        classes: Class names, a sequence or a text file with one on each line; None for all. For
            "class_folders", "csv" and "intervals" they give the label order; for the others they
            choose among the classes of the dataset, whose order stays.
        quarantine: A list of unreadable videos to leave out, as check_videos writes it, or None.

    Returns:
        VideoDataset; its report accounts for every row.

    Raises:
        ValueError: An argument or an annotation file is invalid, or no video was found.
        OSError: A file or a folder is missing or cannot be read.
    """
    spec = find_dataset(dataset)
    if spec.splits and split not in spec.splits:
        raise ValueError(f"`split` of {dataset} must be one of {spec.splits}; received {split!r}.")
    folder = _existing_folder("data_dir", data_dir)
    annotation = None if annotation is None else os.fspath(annotation)
    classes = read_class_names(classes)
    if dataset == "stick_actions" and classes is None:
        classes = STICK_LABELS
    unreadable = Quarantine(quarantine)
    if spec.form == "class_folders":
        if annotation is not None:
            raise ValueError(
                f"`annotation` must be None, class_folders has none; received {annotation!r}."
            )
        return read_class_folders(spec, folder, split, classes, unreadable)
    read = READERS[spec.form]
    return read(spec, folder, split, annotation, classes, unreadable)


def _existing_folder(argument: str, path: os.PathLike | str) -> str:
    path = os.fspath(path)
    if not is_folder(path):
        raise FileNotFoundError(f"`{argument}` {path}: there is no such folder.")
    return path
