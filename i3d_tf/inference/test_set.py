"""The videos of a test set that networks are evaluated on, and those that they learn from."""

from collections.abc import Collection, Mapping, Sequence

from i3d_tf.data.class_folders import (
    is_split_folder,
    select_videos,
    split_videos,
    video_name,
)
from i3d_tf.data.example import VideoDataset
from i3d_tf.data.readers import read_dataset
from i3d_tf.zoo.checkpoint import Checkpoint


def read_test_set(
    dataset: str,
    data_dir: str,
    split: str,
    networks: Mapping[str, Checkpoint],
    class_names: Sequence[str],
    annotation: str | None = None,
    quarantine: str | None = None,
) -> VideoDataset:
    """Reads the videos of a split, with the labels of the networks' classes.

    Args:
        dataset: See `read_dataset`.
        data_dir: See `read_dataset`.
        split: Its split; of class folders without folders for splits, that of the networks' runs:
            of several networks, a test video is one that every network was tested on.
        networks: Stream to network.
        class_names: Those of the networks, in the order of the logits.
        annotation: See `read_dataset`.
        quarantine: See `read_dataset`.

    Raises:
        ValueError: See `read_dataset`; or the networks have other classes, or were tested on
            different videos.
    """
    recorded = None
    if dataset == "class_folders" and split and not is_split_folder(data_dir, split):
        recorded = recorded_videos(split, networks)
    found = read_dataset(
        dataset,
        data_dir,
        split if recorded is None else None,
        annotation=annotation,
        classes=class_names,
        quarantine=quarantine,
    )
    if found.class_names != class_names:
        raise ValueError(
            f"{dataset} has {len(found.class_names)} classes in its own order; the "
            f"networks have {len(class_names)} others."
        )
    return found if recorded is None else select_videos(found, split, recorded)


def recorded_videos(split: str, networks: Mapping[str, Checkpoint]) -> Collection[str] | None:
    """Returns the names of the videos of a split as training chose them.

    Args:
        split: "train" or "test".
        networks: Stream to network.

    Returns:
        Those that every network has in it; None where none has chosen its split.

    Raises:
        ValueError: The networks have no video of it in common.
    """
    splits = [network.split for network in networks.values() if network.split]
    if not splits or any(split not in recorded for recorded in splits):
        return None
    videos = set.intersection(*(set(recorded[split]) for recorded in splits))
    if not videos:
        raise ValueError(
            f"{' and '.join(network.name for network in networks.values())} have no video of the "
            f"split {split!r} in common. Train them with the same seed."
        )
    return videos


def read_train_and_test(
    dataset: str,
    data_dir: str,
    splits: tuple[str, str],
    annotation: str | None = None,
    classes: str | None = None,
    quarantine: str | None = None,
    seed: int = 0,
) -> tuple[VideoDataset, VideoDataset]:
    """Reads two splits; of class folders without folders for them, chooses as training does.

    Args:
        dataset: See `read_dataset`.
        data_dir: See `read_dataset`.
        splits: The training split and the test split.
        annotation: See `read_dataset`.
        classes: See `read_dataset`; the test split has those of the training split.
        quarantine: See `read_dataset`.
        seed: Of the choice.
    """

    def read(split, classes):
        return read_dataset(dataset, data_dir, split, annotation, classes, quarantine)

    if dataset != "class_folders" or is_split_folder(data_dir, splits[0]):
        train = read(splits[0], classes)
        return train, read(splits[1], train.class_names)
    videos = read(None, classes)
    folder = videos.report.data_dir
    names = {video_name(example, folder): example.class_name for example in videos.examples}
    split = split_videos(names, seed)
    notes = [f"chosen by seed {seed}, from every class"]
    return (
        select_videos(videos, "train", split["train"]),
        select_videos(videos, "test", split["test"], notes),
    )
