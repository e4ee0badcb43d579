"""The datasets that can be read by name: splits, classes, folders.

The folders are those that each dataset's own archives make when unpacked into one place; "" is that
place itself.
"""

from dataclasses import dataclass

from i3d_tf.specs.validation import check_choice

INTERVALS = "intervals"
# Read with the boxes that a user names, see `i3d_tf.inference.person_dataset`.
PERSON_BOXES = "person_boxes"
# A split's name -> its spellings in folder names, file names and the `split` column.
SPLIT_SPELLINGS = {
    "train": ("train", "training"),
    "val": ("val", "validate", "validation"),
    "test": ("test", "testing"),
}
# Datasets without a class for each video, and the tool that is for them.
OTHER_TASKS = {
    INTERVALS: "evaluate_intervals for networks on actions in time",
    PERSON_BOXES: "evaluate_persons for networks on persons in boxes",
}
# Benchmarks by whose rules a submission is scored.
SCORING_RULES = ("charades_classify", "charades_localize", "ava", "activitynet", "thumos14")


@dataclass(frozen=True)
class Dataset:
    """A dataset, or a layout of one's own dataset.

    Attributes:
        name: Name in `DATASETS`.
        form: Its reader: "class_folders", "csv", "intervals", "ucf101", "hmdb51" or "kinetics".
        splits: Names of its splits; empty where the user names them.
        classes: Number of classes as published, or None.
        labels: Label set that gives its classes their order (see `i3d_tf.specs.labels`), or None.
        annotation_folders: Possible folders of its annotation files, below the dataset's own.
        video_folders: Possible folders of its videos, below the dataset's own.
        source: Its publication.
    """

    name: str
    form: str
    splits: tuple[str, ...] = ()
    classes: int | None = None
    labels: str | None = None
    annotation_folders: tuple[str, ...] = ("",)
    video_folders: tuple[str, ...] = ("",)
    source: str = "the user"


def _kinetics(classes, source, labels=None):
    return Dataset(
        name=f"kinetics{classes}",
        form="kinetics",
        splits=("train", "val", "test"),
        classes=classes,
        labels=labels,
        annotation_folders=("", "annotations"),
        video_folders=("", "videos"),
        source=source,
    )


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset("class_folders", form="class_folders"),
        Dataset("csv", form="csv", annotation_folders=("splits",)),
        # Actions in time, of Charades among others.
        Dataset(
            INTERVALS,
            form=INTERVALS,
            annotation_folders=("", "annotations"),
            video_folders=("", "videos", "Charades_v1_480"),
        ),
        Dataset(
            "stick_actions",
            form="csv",
            splits=("train", "test"),
            classes=12,
            annotation_folders=("splits",),
            source="rendered by this project",
        ),
        Dataset(
            "ucf101",
            form="ucf101",
            splits=("train1", "test1", "train2", "test2", "train3", "test3"),
            classes=101,
            annotation_folders=("", "ucfTrainTestlist", "annotations", "splits"),
            video_folders=("", "UCF-101", "videos"),
            source="Soomro et al., arXiv:1212.0402",
        ),
        Dataset(
            "hmdb51",
            form="hmdb51",
            splits=("train1", "test1", "train2", "test2", "train3", "test3"),
            classes=51,
            annotation_folders=("", "testTrainMulti_7030_splits", "annotations", "splits"),
            video_folders=("", "hmdb51_org", "videos"),
            source="Kuehne et al., ICCV 2011",
        ),
        _kinetics(400, "Kay et al., arXiv:1705.06950", labels="kinetics400"),
        _kinetics(600, "Carreira et al., arXiv:1808.01340", labels="kinetics600"),
        # Both editions: arXiv:2010.10864 changed the videos, not the classes.
        _kinetics(700, "Carreira et al., arXiv:1907.06987", labels="kinetics700"),
    )
}


def find_dataset(name: str) -> Dataset:
    """Returns one of `DATASETS` by its name.

    Raises:
        ValueError: There is no such dataset.
    """
    return DATASETS[check_choice("dataset", name, DATASETS)]


def check_has_classes(name: str) -> str:
    """Returns a dataset's name if each of its videos has one class.

    Raises:
        ValueError: Its videos have actions in time instead.
    """
    if name in OTHER_TASKS:
        raise ValueError(
            f"`dataset` must have a class for each video; received {name!r}. Use "
            f"{OTHER_TASKS[name]}."
        )
    return name
