"""The stored features of a dataset: one feature file for each video, all made alike."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from i3d_tf.data.example import VideoExample
from i3d_tf.data.feature_file import FORMATS, VideoFeatures, read_features
from i3d_tf.system.console import progress_bar
from i3d_tf.system.jobs import SOURCE, first_difference, source_difference
from i3d_tf.system.remote import check_local
from i3d_tf.video.errors import VideoError
from i3d_tf.video.find import as_stored
from i3d_tf.video.frame_folder import video_metadata
from i3d_tf.video.names import output_path

CHECK_THREADS = 8  # which wait for the disk, most of the time
# Entries of the metadata that say how features were made; the others are of the video.
SETTINGS = (
    *("stream", "endpoint", "pool", "window", "stride", "tail", "short", "lookahead"),
    *("weights", "precision", "preprocessing"),
)


class FeatureStore:
    """The feature files of a dataset in a folder, as `tools/extract_features.py` writes them.

    All of them are read once, so that what is wrong is said before hours are spent.

    Args:
        folder: Folder of the feature files.
        examples: The videos; their feature files must be there.
        data_dir: Folder of the videos; feature files lie in `folder` as the videos lie in it, or
            in a folder within it that was given to `extract_features.py`.

    Attributes:
        folder: Folder of the feature files.
        channels: Numbers of a row, in all files.
        settings: How they were made, in plain values by name, in all files.

    Raises:
        FileNotFoundError: A video has no feature file.
        ValueError: A file is damaged, of another video, has no rows, or rows that are no vectors;
            or two files were made with different settings; or an example is a cut of a video.
    """

    def __init__(
        self,
        folder: os.PathLike | str,
        examples: Iterable[VideoExample],
        data_dir: os.PathLike | str | None = None,
    ):
        self.folder = check_feature_folder(folder)
        examples = list(examples)
        if cut := next((e for e in examples if e.start is not None or e.end is not None), None):
            raise ValueError(
                f"{cut.path}: the dataset has a cut of it, and stored features are of whole "
                "videos. Make a file of each cut."
            )
        videos = list(dict.fromkeys(example.path for example in examples))
        found = {video: find_features(video, self.folder, data_dir) for video in videos}
        self._paths = {video: path for video, path in found.items() if path is not None}
        if missing := [video for video in videos if found[video] is None]:
            raise FileNotFoundError(
                f"{folder}: {len(missing)} of {len(videos)} videos have no feature file, such as "
                f"{missing[0]}, whose would be {_stem(missing[0], data_dir)}.npy below it. "
                "Extract them (extract_features; short videos with --short=loop), or leave out "
                "those that cannot be read (check_videos, --quarantine)."
            )
        self._counts: dict[str, int] = {}
        self.channels, self.settings = self._check_all(videos)

    def read(self, video: str) -> np.ndarray:
        """Returns the rows of a video, float32 (T, C).

        Raises:
            VideoError: Its feature file was damaged or removed meanwhile.
        """
        path = self._paths[video]
        try:
            return _rows(path, read_features(path))
        except (OSError, ValueError) as error:
            raise VideoError(video, str(error)) from error

    def count_rows(self, video: str) -> int:
        """Returns the number of rows of a video."""
        return self._counts[video]

    def check_settings(self, wanted: Mapping[str, Any], name: str):
        """Checks that the features were made like those that a network was trained on.

        Args:
            wanted: Settings of those.
            name: The network, for the message.

        Raises:
            ValueError: They were not.
        """
        if difference := first_difference(self.settings, wanted):
            raise ValueError(
                f"{self.folder}: its features are others than {name} was trained on: {difference}. "
                "Name the folder of the same ones."
            )

    def _check_all(self, videos):
        """Reads all files; returns the channels and the settings that they share."""
        with progress_bar() as bar, ThreadPoolExecutor(CHECK_THREADS) as pool:
            task = bar.add_task("looking at the feature files", total=len(videos))
            first = None
            for video, checked in zip(videos, pool.map(self._check, videos), strict=True):
                self._counts[video], *found = checked
                first = first or (video, *found)
                self._check_same(first, (video, *found))
                bar.advance(task)
        if first is None:
            raise ValueError("`examples` must not be empty; received none.")
        return first[1:]

    def _check(self, video):
        path = self._paths[video]
        features = read_features(path)
        rows, metadata = _rows(path, features), features.metadata
        found = metadata.get(SOURCE)
        difference = source_difference(found, video_metadata(video)) if found else None
        if difference is not None:
            raise ValueError(
                f"{path}: it has the features of another video than {video} ({difference}). "
                "Extract them anew (extract_features --overwrite), or name another folder."
            )
        return len(rows), rows.shape[1], _settings(metadata)

    def _check_same(self, first, other):
        (video, channels, settings), (other_video, other_channels, other_settings) = first, other
        difference = first_difference(settings, other_settings)
        if difference is None and channels != other_channels:
            difference = f"{channels} channels, not {other_channels}"
        if difference is not None:
            raise ValueError(
                f"{self.folder}: it holds features that were made differently, such as "
                f"{self._paths[video]} and {self._paths[other_video]}: {difference}. Name a folder "
                "with one kind."
            )


def check_feature_folder(folder: os.PathLike | str) -> str:
    """Returns the path of a folder of stored features.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It is an address.
    """
    check_local("features", folder)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"`features` {folder}: there is no such folder.")
    return os.fspath(folder)


def find_features(
    video: str, folder: os.PathLike | str, data_dir: os.PathLike | str | None = None
) -> Path | None:
    """Returns the feature file of a video, or None where there is none.

    The place below `folder` is that of the video below `data_dir`, or below a folder within it.

    Args:
        video: Path of the video.
        folder: Folder of the feature files.
        data_dir: Folder of the videos; None looks for the video's name alone.

    Raises:
        ValueError: The video is not below `data_dir`.
    """
    for keeps_ending in (True, False):
        parts = _stem(video, data_dir, keeps_ending).split("/")
        for first in range(len(parts)):
            place = os.path.join(folder, *parts[first:])
            for ending in FORMATS:
                path = Path(as_stored(f"{place}.{ending}"))
                if path.is_file():
                    return path
    return None


def _stem(video, data_dir, keeps_ending=False) -> str:
    """Returns the name of a video's feature file below their folder, without an ending."""
    return PurePosixPath(output_path(video, "", "", data_dir, keeps_ending)).as_posix()


def _rows(path: Path, features: VideoFeatures) -> np.ndarray:
    """Returns features as (T, C), without axes of length 1 between."""
    values = features.features
    if len(values) == 0:
        raise ValueError(f"{path}: it has no rows. Extract its features with --short=loop.")
    if any(length != 1 for length in values.shape[1:-1]):
        raise ValueError(
            f"{path}: its features are {values.shape}, not a row of numbers for each time. Extract "
            "them with --pool=mean and one crop."
        )
    return values.reshape(len(values), values.shape[-1])


def _settings(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how features were made, without what is of the one video."""
    settings = {name: metadata[name] for name in SETTINGS if name in metadata}
    preprocessing = settings.get("preprocessing")
    if isinstance(preprocessing, dict) and isinstance(preprocessing.get("flow"), dict):
        flow = {key: value for key, value in preprocessing["flow"].items() if key != SOURCE}
        settings["preprocessing"] = {**preprocessing, "flow": flow}
    return settings


def mean_rows(store: FeatureStore, videos: Sequence[str]) -> np.ndarray:
    """Returns the mean of each video's rows, float32 (N, C)."""
    return np.stack([store.read(video).mean(axis=0) for video in videos])
