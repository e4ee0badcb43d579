"""Files of the features of one video: their names, and the part of the features in each."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from i3d_tf.data.feature_file import (
    METADATA_SUFFIX,
    VideoFeatures,
    array_contents,
    feature_contents,
    is_feature_file,
    read_features,
    read_metadata,
    write_contents,
)
from i3d_tf.specs.feature_profiles import (
    CROP_LAYOUTS,
    EXTRA_FILES,
    FORMATS,
    STREAM_LAYOUTS,
    FeatureSettings,
)
from i3d_tf.specs.streams import streams_of
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.files import check_target, sha256

FOLDERS = {"rgb": "RGB", "flow": "Flow"}
FILES = "files"  # of a set of .npy files, in the metadata beside the first: name to SHA-256
_SAFE = set('/\\\0:*?"<>|')


@dataclass(frozen=True)
class FileLayout:
    """Names and contents of the files of a video; see `FeatureSettings` for the meaning of each.

    Attributes:
        format: "npy", "npz", "h5" or "cmcs".
        streams: Streams of the features.
        crops: Crops of a frame.
        crop_layout: "axis", "files" or "mean".
        stream_layout: "joined", "files" or "folders"; "cmcs" has a file for each stream.
        prefix: Start of the names.
        suffix: End of the names.
        extra_files: Further files: "fps", "timestamps_ms".
    """

    format: str = "npy"
    streams: tuple[str, ...] = ("rgb",)
    crops: int = 1
    crop_layout: str = "axis"
    stream_layout: str = "joined"
    prefix: str = ""
    suffix: str = ""
    extra_files: tuple[str, ...] = ()

    def __post_init__(self):
        check_choice("file_format", self.format, FORMATS)
        check_choice("crop_layout", self.crop_layout, CROP_LAYOUTS)
        check_choice("stream_layout", self.stream_layout, STREAM_LAYOUTS)
        for name in self.extra_files:
            check_choice("extra_files", name, EXTRA_FILES)
        for name in ("prefix", "suffix"):
            if _SAFE & set(value := getattr(self, name)):
                raise ValueError(f"`{name}` must be a part of a file's name; received {value!r}.")
        if self.extra_files and self.format != "npy":
            raise ValueError(
                f"`extra_files` are .npy files; received `file_format` {self.format!r}."
            )
        if self.format == "cmcs" and (
            self.crop_layout == "files" or self.stream_layout == "folders"
        ):
            raise ValueError(
                "`file_format` 'cmcs' has an axis of crops and a file for each stream; received "
                f"`crop_layout` {self.crop_layout!r} and `stream_layout` {self.stream_layout!r}."
            )

    @property
    def extension(self) -> str:
        """End of the names of the files."""
        return ".npz" if self.format == "cmcs" else f".{self.format}"

    def names(self, stem: str) -> list[str]:
        """Returns the paths of a video's files below the output folder; the first is read back.

        Args:
            stem: The video's path below the output folder, without an ending.
        """
        return [name for name, *_ in self._parts(stem)] + self._extra_names(stem)

    def _parts(self, stem):
        """Returns (path, stream or None, crop or None) of each file of features."""
        streams: Sequence[str | None] = self.streams
        if self.stream_layout == "joined" and self.format != "cmcs":
            streams = [None]
        crops: Sequence[int | None] = [None]
        if self.crop_layout == "files" and self.crops > 1:
            crops = range(self.crops)
        return [
            (self._name(stem, stream, crop), stream, crop) for stream in streams for crop in crops
        ]

    def _name(self, stem, stream, crop):
        folder, name = os.path.split(stem)
        name = self._base(name)
        if stream is not None and self.stream_layout == "folders":
            folder = os.path.join(FOLDERS[stream], folder)
        elif stream is not None:
            name += f"{'-' if self.format == 'cmcs' else '_'}{stream}"
        if crop is not None:
            name += f"__{crop}"
        return os.path.join(folder, name + self.extension)

    def _base(self, name):
        prefix = "" if name.startswith(self.prefix) else self.prefix
        return f"{prefix}{name}{self.suffix}"

    def _extra_names(self, stem):
        folder, name = os.path.split(stem)
        return [os.path.join(folder, f"{self._base(name)}_{e}.npy") for e in self.extra_files]

    def metadata(self) -> dict[str, Any]:
        """Returns plain values; nothing for the layout of earlier versions."""
        usual = FileLayout(self.format, self.streams, self.crops)
        values = asdict(self)
        changed = {name: value for name, value in values.items() if value != getattr(usual, name)}
        if "extra_files" in changed:
            changed["extra_files"] = list(self.extra_files)
        if self.format == "cmcs":
            changed["format"] = self.format
        return {"layout": changed} if changed else {}


def settings_layout(settings: FeatureSettings) -> FileLayout:
    """Returns the layout that settings stand for.

    Raises:
        ValueError: A setting is invalid.
    """
    return FileLayout(
        settings.format,
        streams_of(settings.stream),
        settings.crops,
        settings.crop_layout,
        settings.stream_layout,
        settings.prefix,
        settings.suffix,
        tuple(filter(None, settings.extra_files.split(","))),
    )


def write_feature_set(
    paths: Sequence[Path],
    features: VideoFeatures,
    layout: FileLayout,
    staging: os.PathLike | str | None = None,
) -> None:
    """Writes all files of a video; the first one gets its name when all others have theirs.

    Args:
        paths: As many as `FileLayout.names` returns, in that order.
        features: Of one crop (N, ..., C); of several (N, crops, ..., C).
        layout: FileLayout.
        staging: See `write_features`.

    Raises:
        ValueError: The metadata are too long.
        OSError: A file cannot be written.
    """
    if layout.crops > 1 and layout.crop_layout == "mean":
        features = replace(features, features=features.features.mean(1, dtype=np.float32))
    parts = layout._parts("")
    values = [_part(features, layout, stream, crop) for _, stream, crop in parts]
    extra = [_extra(features, name) for name in layout.extra_files]
    for path in paths[1:]:
        path.parent.mkdir(parents=True, exist_ok=True)
    if layout.format != "npy":
        name = Path(str(features.metadata.get("source", {}).get("name", ""))).stem
        contents = [
            item
            for path, value in zip(paths, values, strict=True)
            for item in feature_contents(path, value, cmcs_name=_cmcs_name(layout, name))
        ]
    else:
        others = [
            array_contents(path, array)
            for path, array in zip(
                paths[1:], [*(value.features for value in values[1:]), *extra], strict=True
            )
        ]
        files = {_relative(path, paths[0]): digest for path, _, digest in others}
        more: dict[str, Any] = {FILES: files} if files else {}
        first, side = feature_contents(paths[0], values[0], **more)
        contents = [first, *((path, content) for path, content, _ in others), side]
    write_contents(contents, staging)


def _cmcs_name(layout, name):
    return layout._base(name) if layout.format == "cmcs" else None


def _part(features, layout, stream, crop):
    """Returns the features of one file."""
    values, metadata = features.features, features.metadata
    if crop is not None:
        values, metadata = values[:, crop], {**metadata, "crop": crop}
    if stream is not None:
        start, end = metadata["channels"][stream]
        values = values[..., start:end]
        metadata = {**metadata, "channels": {stream: [0, end - start]}}
    if layout.format == "cmcs" and values.ndim == 2:
        values = values[:, np.newaxis]
    return VideoFeatures(np.ascontiguousarray(values), features.times, metadata)


def _extra(features, name):
    """Returns the array of a further file, as the program video_features writes it."""
    if name == "fps":
        return np.array(features.metadata["frame_rate"], np.float64)
    return 1000 * features.times[:, 2]


def _relative(path, first):
    return os.path.relpath(path, first.parent).replace(os.sep, "/")


def set_fault(paths: Sequence[Path]) -> str | None:
    """Returns what is wrong with the files beside the first one of a video, or None.

    Args:
        paths: See `write_feature_set`; the first one is whole.
    """
    if len(paths) == 1:
        return None
    known = _known_files(paths[0])
    for path in paths[1:]:
        if not path.is_file():
            return f"{path.name} is missing"
        try:
            if known is None:
                read_features(path)
            elif known.get(_relative(path, paths[0])) != sha256(path):
                return f"{path.name} is another than its metadata say (SHA-256)"
        except (OSError, ValueError) as error:
            return str(error)
    return None


def check_set(paths: Sequence[Path]) -> None:
    """Checks that the files beside the first one of a video would replace nothing else.

    Raises:
        FileExistsError: A file that is not of an earlier run has the name of one.
    """
    if len(paths) == 1:
        return
    known = _known_files(paths[0])
    for path in paths[1:]:
        if known is None:
            check_target(path, is_feature_file)
        else:
            check_target(path, lambda other: _relative(other, paths[0]) in known)


def _known_files(first):
    """Returns the files that the metadata beside the first .npy name; None of other formats."""
    if first.suffix != ".npy":
        return None
    try:
        return read_metadata(first.with_name(first.name + METADATA_SUFFIX)).get(FILES, {})
    except (OSError, ValueError):
        return {}
