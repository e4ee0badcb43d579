"""The datasets that can be read by name: their splits, their classes, where their files lie.

The folders below are where each dataset's own archives put things when unpacked into one place;
"" is that place itself.
"""

from dataclasses import dataclass

# A split's name -> the spellings met in folder names, file names and the `split` column.
SPLIT_SPELLINGS = {
    "train": ("train", "training"),
    "val": ("val", "validate", "validation"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class Dataset:
    """A dataset, or a form in which people keep their own.

    Attributes:
        name: What it is asked for by.
        form: Which reader reads it: "class_folders", "csv", "ucf101", "hmdb51" or "kinetics".
        splits: Its splits; empty where the user names them.
        classes: How many classes it was published with, or None.
        labels: The label set that gives its classes their order (see `i3d_tf.specs.labels`), or
            None.
        annotation_folders: Below the dataset's folder, where its annotation files may lie.
        video_folders: Below the dataset's folder, where its videos may lie.
        source: Who published it.
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
        _kinetics(700, "Carreira et al., arXiv:1907.06987"),
    )
}


def find_dataset(name) -> Dataset:
    """Looks a dataset up.

    Args:
        name: One of DATASETS.

    Returns:
        The Dataset.

    Raises:
        ValueError: There is no such dataset.
    """
    if name not in DATASETS:
        raise ValueError(f"`dataset` must be one of {tuple(DATASETS)}; received {name!r}.")
    return DATASETS[name]
