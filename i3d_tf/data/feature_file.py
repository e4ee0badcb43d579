"""Feature files: the features of one video, row by row, with their times and metadata.

```
name.npy    the features alone, as most programs expect them; name.npy.json has the rest
name.npz    arrays `features`, `times`, and `metadata`: JSON as a string
name.npz    (of CMCS) `metadata`, `feature` (crops, N, C), `times`, `frame_cnt`, `video_name`
name.h5     datasets `features` and `times`; attributes `metadata`, JSON, and `sha256`, of all three
```

The same features give the same bytes. Files are untrusted: a damaged or forged one raises
ValueError before memory is allocated for it, and nothing is unpickled.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i3d_tf.system.array_header import read_array_header
from i3d_tf.system.errors import short_reason
from i3d_tf.system.expansion import check_archive
from i3d_tf.system.files import atomic_write, check_regular, check_target, open_regular
from i3d_tf.system.records import read_text
from i3d_tf.system.remote import as_path

FORMAT = "i3d_tf features"
VERSION = 1
FORMATS = ("npy", "npz", "h5")
ZIP_HEADER = 30  # bytes of a ZIP archive before the name of its first file
FIRST_ENTRIES = (b"features.npy", b"metadata.npy")  # of our own archive, and of that of CMCS
METADATA_SUFFIX = ".json"  # after the name of an .npy
MAX_BYTES = 2**30  # of the features of one video
MAX_METADATA = 2**20  # characters
MAX_SIDECAR = 2**27  # characters beside an .npy, with the times of a million rows
MAX_METADATA_HDF5 = 2**16 - 2**10  # an attribute holds 64 KiB, and the format needs some of it
# The same features give the same bytes: entries have the earliest date of the ZIP format.
DATE = (1980, 1, 1, 0, 0, 0)
UNIX, READABLE = 3, 0o644 << 16  # system and permissions of the entries, for unzip
H5_TRAILER = b"i3d_tf\0\1"  # before the SHA-256 of all that it follows; HDF5 passes over both
HASH_BYTES = 2**20  # at once
_DAMAGE = (ValueError, EOFError, KeyError, RuntimeError, zlib.error, zipfile.BadZipFile)
_RESERVED = ("format", "version", "times", "sha256")  # names that files add to the metadata


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """Features of a video.

    Attributes:
        features: float32 (N, ..., C), a row for each part of the video.
        times: float64 (N, 3), seconds after the first frame: the start, middle and end of the
            frames of each row.
        metadata: How they were made, plain values by name: `stream`, `endpoint`, `frame_rate`
            (frames per second), `stride` and `window` (frames), `weights`, `preprocessing`,
            `source` ...
    """

    features: np.ndarray
    times: np.ndarray
    metadata: dict[str, Any]

    def __post_init__(self):
        for name, dtype in (("features", np.float32), ("times", np.float64)):
            if (found := getattr(self, name).dtype) != dtype:
                raise ValueError(f"`{name}` must be {np.dtype(dtype).name}; received {found.name}.")
        if fault := _shape_fault(self.features.shape, self.times.shape):
            raise ValueError(f"`features` and `times` do not fit: {fault}.")


def feature_format(path: os.PathLike | str) -> str:
    """Returns the format of a feature file: one of `FORMATS`, by the ending of its name."""
    ending = Path(path).suffix.lower().removeprefix(".")
    ending = "h5" if ending == "hdf5" else ending
    if ending not in FORMATS:
        raise ValueError(f"{path}: a feature file must end in one of .npy, .npz, .h5.")
    return ending


def feature_paths(path: os.PathLike | str) -> list[Path | str]:
    """Returns the paths of the files that `write_features` writes: two for .npy, else one."""
    side = [as_path(f"{path}{METADATA_SUFFIX}")] if feature_format(path) == "npy" else []
    return [as_path(str(path)), *side]


def write_features(
    path: os.PathLike | str, features: VideoFeatures, staging: os.PathLike | str | None = None
):
    """Writes a feature file atomically.

    An existing file is replaced once the new one is complete. (An .npy and its .json
    are replaced one after the other; `read_features` notices two that do not belong together.)

    Args:
        path: Path in a folder that exists; its ending selects the format.
        features: VideoFeatures.
        staging: Folder on the same disk for half-written files; None means that of `path`.

    Raises:
        ValueError: The ending belongs to no known format, or the metadata are too long.
        OSError: The file cannot be written.
    """
    write_contents(feature_contents(path, features), staging)


def feature_contents(
    path: os.PathLike | str, features: VideoFeatures, cmcs_name: str | None = None, **more: Any
) -> list[tuple[Path, bytes]]:
    """Returns the files of features: the path and the content of each.

    Args:
        path: See `write_features`.
        features: VideoFeatures.
        cmcs_name: Name of the video in an .npz as CMCS has it, of features (N, crops, C); None
            gives one of our own.
        **more: Further plain values for the metadata of an .npy.

    Raises:
        ValueError: See `write_features`.
    """
    path = Path(path)
    if cmcs_name is not None:
        return [(path, _cmcs_content(features, cmcs_name))]
    contents = _WRITERS[feature_format(path)](features, **more)
    return [(path.with_name(path.name + suffix), content) for suffix, content in contents]


def array_contents(path: Path, array: np.ndarray) -> tuple[Path, bytes, str]:
    """Returns the path, the content and the SHA-256 of a plain .npy file."""
    content = _array_bytes(array)
    return path, content, hashlib.sha256(content).hexdigest()


def write_contents(
    contents: Sequence[tuple[Path, bytes]], staging: os.PathLike | str | None = None
) -> None:
    """Writes files that belong together, each atomically.

    They get their names from the last to the first: where an .npy is, its metadata are.

    Args:
        contents: Path and content of each.
        staging: See `write_features`.

    Raises:
        OSError: A file cannot be written.
    """
    path = contents[0][0]
    try:
        with contextlib.ExitStack() as files:
            for path, content in contents:
                files.enter_context(atomic_write(path, folder=staging)).write_bytes(content)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OSError(f"{contents[0][0]}: it cannot be written: {reason}.") from error


def read_features(path: os.PathLike | str) -> VideoFeatures:
    """Reads a feature file that `tools/extract_features.py` wrote.

    Args:
        path: An .npy with its .npy.json beside it, an .npz, or an .h5.

    Returns:
        VideoFeatures.

    Raises:
        ValueError: It is damaged, cut short, or not a feature file.
        OSError: It does not exist, or cannot be read.
    """
    path = Path(path)
    read = _READERS[feature_format(path)]
    check_regular(path)
    try:
        features, times, values = read(path)
        if fault := _shape_fault(features.shape, times.shape):
            raise ValueError(fault)
    except _DAMAGE as error:
        raise ValueError(f"{path}: not a whole feature file: {short_reason(error)}") from error
    metadata = {name: value for name, value in values.items() if name not in _RESERVED}
    # The values in a file may be of the other byte order.
    features, times = features.astype(np.float32, copy=False), times.astype(np.float64, copy=False)
    return VideoFeatures(features, times, metadata)


def read_metadata(path: os.PathLike | str) -> dict[str, Any]:
    """Reads the metadata beside an .npy.

    Args:
        path: The .json file.

    Raises:
        ValueError: They are not those of a feature file.
        OSError: They do not exist, or cannot be read.
    """
    return _from_json(read_text(Path(path), MAX_BYTES))


def source_name(path: os.PathLike | str) -> str | None:
    """Returns the name of the video that a feature file was made of; None where it is not known."""
    path = Path(path)
    try:
        if feature_format(path) == "npy":
            metadata = read_metadata(path.with_name(path.name + METADATA_SUFFIX))
        else:
            metadata = read_features(path).metadata
        return str(metadata["source"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_feature_file(path: os.PathLike | str) -> bool:
    """Returns whether a file says of itself that it is a feature file, be it whole or damaged."""
    path = Path(path)
    try:
        if feature_format(path) == "npy":
            return _is_sidecar(path.with_name(path.name + METADATA_SUFFIX))
        if feature_format(path) == "npz":
            with open_regular(path) as file:  # the start is there also if it was cut short
                return file.read(ZIP_HEADER + len(FIRST_ENTRIES[0])).endswith(FIRST_ENTRIES)
        import h5py

        check_regular(path)
        with h5py.File(path, "r") as store:
            return {"features", "times"} <= set(store) and "metadata" in store.attrs
    except (OSError, ValueError, RuntimeError, KeyError):
        return False


def check_sidecar(path: os.PathLike | str) -> None:
    """Checks that the metadata beside an .npy file to be written would replace nothing else.

    Raises:
        FileExistsError: A file of another kind has their name.
    """
    path = Path(path)
    if feature_format(path) == "npy":
        check_target(path.with_name(path.name + METADATA_SUFFIX), _is_sidecar)


def _is_sidecar(path):
    try:
        _from_json(read_text(path, MAX_BYTES))
    except (OSError, ValueError):
        return False
    return True


def _shape_fault(features, times):
    """Returns what is wrong with the shapes of features and times, or None."""
    if len(features) < 2 or 0 in features[1:]:
        return f"features must be (N, ..., C), C at least 1; they are {features}"
    if times != (features[0], 3):
        return f"times of {features[0]} rows must be ({features[0]}, 3); they are {times}"
    if 4 * math.prod(features) > MAX_BYTES:
        return f"features {features} take more than {MAX_BYTES} bytes; pool them"
    return None


def _to_json(features, max_length=MAX_METADATA, **more):
    values = {"format": FORMAT, "version": VERSION, **features.metadata, **more}
    text = json.dumps(values, indent=1, allow_nan=False)
    if len(text) > max_length:
        raise ValueError(
            f"`metadata` must be at most {max_length} characters as JSON; received {len(text)}."
        )
    return text


def _from_json(text):
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("its metadata are not JSON") from error
    found = (values.get("format"), values.get("version")) if isinstance(values, dict) else None
    if found != (FORMAT, VERSION):
        raise ValueError(f"its metadata must be of {FORMAT!r}, version {VERSION}")
    return values


def _array_bytes(array):
    file = io.BytesIO()
    array = np.asarray(array, order="C")
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _read_array(stream, size, name, kinds):
    """Reads an array in NumPy's format, after comparing its header with the bytes that follow.

    Args:
        stream: Open file, at the start of the array.
        size: Bytes of the array with its header.
        name: Name of the array in errors.
        kinds: Dtypes it may have: names, or one letter for all of a kind.
    """
    try:
        shape, by_column, dtype = read_array_header(stream)
    except Exception as error:  # a damaged header fails anywhere, in any way
        raise ValueError(f"{name} is not an array in NumPy's format") from error
    if by_column or not (dtype.name in kinds or dtype.kind in kinds):
        raise ValueError(f"{name} must be {kinds}, row by row; it is {dtype.name}")
    length = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or stream.tell() + length != size or length > MAX_BYTES:
        raise ValueError(f"{name} has another size than its header says, {shape}")
    content = stream.read(length)
    if len(content) < length:
        raise EOFError(f"{name} is cut short")
    return np.frombuffer(bytearray(content), dtype).reshape(shape)  # writable


def _npy_contents(features, **more) -> Iterable[tuple[str, bytes]]:
    content = _array_bytes(features.features)
    digest = hashlib.sha256(content).hexdigest()
    _to_json(features)  # without times and names of files, there is a limit
    more |= {"sha256": digest, "times": features.times.tolist()}
    text = _to_json(features, MAX_SIDECAR, **more)
    return [("", content), (METADATA_SUFFIX, text.encode())]


def _read_npy(path):
    side = path.with_name(path.name + METADATA_SUFFIX)
    if not side.exists():
        raise ValueError(f"its metadata, {side.name}, are not beside it")
    values = _from_json(read_text(side, MAX_BYTES))
    with open_regular(path) as file:
        array = _read_array(file, path.stat().st_size, "it", ("float32",))
        file.seek(0)
        digest = hashlib.sha256(file.read()).hexdigest()
    if values.get("sha256") != digest:
        raise ValueError(f"{side.name} belongs to another file (SHA-256)")
    try:
        times = np.asarray(values["times"] or np.zeros((0, 3)), np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the times in {side.name} are not numbers") from error
    return array, times, values


def _npz_contents(features) -> Iterable[tuple[str, bytes]]:
    file = io.BytesIO()
    arrays = {
        "features": features.features,
        "times": features.times,
        "metadata": np.array(_to_json(features)),
    }
    _write_archive(file, arrays)
    return [("", file.getvalue())]


def _write_archive(file, arrays):
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", DATE)
            entry.create_system, entry.external_attr = UNIX, READABLE
            archive.writestr(entry, _array_bytes(array))


def _read_npz(path):
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        check_archive(archive)

        def read(name, kinds):
            entry = archive.getinfo(f"{name}.npy")
            if entry.file_size > MAX_BYTES + MAX_METADATA:
                raise ValueError(f"{name} is too large")
            with archive.open(entry) as stream:
                return _read_array(stream, entry.file_size, name, kinds)

        values = _from_json(str(read("metadata", ("U",))))
        if "feature.npy" in archive.namelist():  # of CMCS: crops before rows
            features = np.swapaxes(read("feature", ("float32",)), 0, 1)
        else:
            features = read("features", ("float32",))
        return features, read("times", ("float64",)), values


def _cmcs_content(features, name):
    """Returns an .npz as CMCS has it, with times and metadata beside."""
    file = io.BytesIO()
    arrays = {
        "metadata": np.array(_to_json(features)),
        "feature": np.swapaxes(features.features, 0, 1),
        "times": features.times,
        "frame_cnt": np.array(features.metadata["frames"]),
        "video_name": np.array(name),
    }
    _write_archive(file, arrays)
    return file.getvalue()


def _h5_contents(features) -> Iterable[tuple[str, bytes]]:
    import h5py

    # In memory first: HDF5 itself does not survive a full disk.
    file = io.BytesIO()
    text = _to_json(features, MAX_METADATA_HDF5)
    with h5py.File(file, "w") as store:
        store.create_dataset("features", data=features.features, track_times=False)
        store.create_dataset("times", data=features.times, track_times=False)
        store.attrs["metadata"] = text
        store.attrs["sha256"] = _h5_digest(features.features, features.times, text)
        store.attrs["has_trailer"] = True
    content = file.getvalue()
    return [("", content + H5_TRAILER + hashlib.sha256(content).digest())]


def _read_h5(path):
    import h5py

    size = path.stat().st_size
    has_trailer = _check_h5_trailer(path, size)
    try:
        with h5py.File(path, "r") as store:
            text = store.attrs["metadata"]
            if not isinstance(text, str):
                raise ValueError("its metadata are not text")
            values = _from_json(text)
            features = _read_dataset(store, "features", np.float32, size)
            times = _read_dataset(store, "times", np.float64, size)
            digest = store.attrs.get("sha256")  # files of earlier versions have none
            if store.attrs.get("has_trailer", has_trailer) != has_trailer:
                raise ValueError("it is cut short, or was changed by another program")
    except OSError as error:
        raise ValueError("it is not an HDF5 file, or damaged") from error
    if not (digest is None or str(digest) == _h5_digest(features, times, text)):
        raise ValueError("it is damaged: its SHA-256 differs")
    return features, times, values


def _check_h5_trailer(path, size):
    """Checks the SHA-256 after the HDF5 file; returns whether there is one.

    It is checked before HDF5 sees the file, which may read a damaged one for ever.
    """
    with open_regular(path) as file:
        length = size - len(H5_TRAILER) - hashlib.sha256().digest_size
        file.seek(max(0, length))
        trailer = file.read()
        if length < 0 or not trailer.startswith(H5_TRAILER):
            return False
        file.seek(0)
        digest = hashlib.sha256()
        for start in range(0, length, HASH_BYTES):
            digest.update(file.read(min(HASH_BYTES, length - start)))
    if trailer[len(H5_TRAILER) :] != digest.digest():
        raise ValueError("it is damaged: its SHA-256 differs")
    return True


def _h5_digest(features, times, text):
    """Returns the SHA-256 of the values, little-endian and row by row, and the metadata."""
    digest = hashlib.sha256()
    for part in (features.astype("<f4"), times.astype("<f8")):
        digest.update(np.ascontiguousarray(part).data)
    digest.update(text.encode())
    return digest.hexdigest()


def _read_dataset(store, name, dtype, size):
    """Reads a dataset that is stored in this file, in one piece and uncompressed."""
    import h5py

    if not isinstance(store.get(name, getlink=True), h5py.HardLink):  # not in another file
        raise ValueError(f"{name} is missing from it")
    dataset = store[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype != dtype or dataset.is_virtual:
        raise ValueError(f"{name} must be a dataset of {np.dtype(dtype).name}")
    length = math.prod(dataset.shape) * dataset.dtype.itemsize
    plain = dataset.chunks is None and dataset.external is None
    if not plain or not length == dataset.id.get_storage_size() <= min(size, MAX_BYTES):
        raise ValueError(f"{name} has another size than its header says, {dataset.shape}")
    return dataset[()]


# Format to the suffixes and contents of a path's files.
_WRITERS = {"npy": _npy_contents, "npz": _npz_contents, "h5": _h5_contents}
_READERS = {"npy": _read_npy, "npz": _read_npz, "h5": _read_h5}
