"""Feature files: what a network makes of one video, row by row, with times and an account of it.

```
name.npy    the features alone, as most programs expect them; name.npy.json has all the rest
name.npz    arrays `features`, `times`, and `metadata`: JSON as a string
name.h5     datasets `features` and `times`; the attribute `metadata` is JSON
```

The same features give the same bytes. A file may come from anywhere: whatever is wrong with one
ends as a ValueError, before memory is taken for it, and nothing in it is unpickled.
"""

import contextlib
import hashlib
import io
import json
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from i3d_tf.system.files import atomic_write

FORMAT = "i3d_tf features"
VERSION = 1
FORMATS = ("npy", "npz", "h5")
SIDE_SUFFIX = ".json"
MAX_BYTES = 2**30  # of the features of one video; whoever needs more should pool them
MAX_TEXT = 2**20
MAX_TEXT_IN_HDF5 = 2**16 - 2**10  # what an attribute may hold, and some room for the format
# The same features give the same bytes: entries bear the earliest date that ZIP knows.
DATE = (1980, 1, 1, 0, 0, 0)
UNIX, READABLE = 3, 0o644 << 16
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_DAMAGE = (ValueError, EOFError, KeyError, RuntimeError, zlib.error, zipfile.BadZipFile)
_OWN = ("format", "version", "times", "sha256")  # what files say besides the metadata


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """The features of a video.

    Attributes:
        features: float32 (N, ..., C), a row for each stretch of time.
        times: float64 (N, 3), seconds after the first frame: where the row's stretch begins, what
            it looks at the middle of, and where it ends.
        metadata: How they were made, in plain values: `stream`, `endpoint`, `frame_rate` (frames
            per second), `stride` and `window` (frames), `weights`, `preprocessing`, `source` ...
    """

    features: np.ndarray
    times: np.ndarray
    metadata: dict

    def __post_init__(self):
        for name, dtype in (("features", np.float32), ("times", np.float64)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype))
        if wrong := _fault(self.features.shape, self.times.shape):
            raise ValueError(f"`features` and `times` do not fit: {wrong}.")


def feature_format(path) -> str:
    """The format of a feature file, by the ending of its name."""
    ending = Path(path).suffix.lower().removeprefix(".")
    ending = "h5" if ending == "hdf5" else ending
    if ending not in FORMATS:
        raise ValueError(f"{path}: a feature file must end in one of .npy, .npz, .h5.")
    return ending


def write_features(path, features: VideoFeatures, staging=None):
    """Writes a feature file, or nothing if that fails.

    Files appear under their names only when they are complete; those that were there before stay
    until then. (An .npy and its .json are replaced one after the other; one that does not fit the
    other is noticed by `read_features`.)

    Args:
        path: Where to write, in a folder that exists; its ending says in which format.
        features: VideoFeatures.
        staging: A folder on the same disk for half-written files; None means that of `path`.

    Raises:
        ValueError: The ending is of no known format, or the metadata are too long.
        OSError: The file cannot be written.
    """
    path = Path(path)
    contents = _WRITERS[feature_format(path)](features)
    try:
        with contextlib.ExitStack() as files:
            for suffix, content in contents:
                target = path.with_name(path.name + suffix)
                files.enter_context(atomic_write(target, folder=staging)).write_bytes(content)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OSError(f"{path}: it cannot be written: {reason}.") from error


def read_features(path) -> VideoFeatures:
    """Reads a feature file that `tools/extract_features.py` wrote.

    Args:
        path: An .npy with its .npy.json beside it, an .npz, or an .h5.

    Returns:
        VideoFeatures.

    Raises:
        ValueError: It is damaged, cut short, or not a feature file.
        OSError: It is not there, or cannot be read.
    """
    path = Path(path)
    read = _READERS[feature_format(path)]
    if not path.is_file():  # a pipe would wait for ever
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        features, times, record = read(path)
        if wrong := _fault(features.shape, times.shape):
            raise ValueError(wrong)
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or "it is damaged"
        raise ValueError(f"{path}: not a whole feature file: {reason}") from error
    metadata = {name: value for name, value in record.items() if name not in _OWN}
    return VideoFeatures(features, times, metadata)


def _fault(shape, times):
    """What is wrong with the shapes of features and times, in words, or None."""
    if len(shape) < 2 or 0 in shape:
        return f"features must be (N, ..., C), no side 0; they are {shape}"
    if times != (shape[0], 3):
        return f"times must be ({shape[0]}, 3), as there are {shape[0]} rows; they are {times}"
    if 4 * math.prod(shape) > MAX_BYTES:
        return f"features {shape} take more than {MAX_BYTES} bytes; pool them"
    return None


def _spell(features, most=MAX_TEXT, **more):
    record = {"format": FORMAT, "version": VERSION, **features.metadata, **more}
    text = json.dumps(record, indent=1, allow_nan=False)
    if len(text) > most:
        raise ValueError(f"`metadata` must be at most {most} characters; they are {len(text)}.")
    return text


def _understand(text):
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("its description is not JSON") from error
    found = (record.get("format"), record.get("version")) if isinstance(record, dict) else None
    if found != (FORMAT, VERSION):
        raise ValueError(f"its description must be of {FORMAT!r}, version {VERSION}")
    return record


def _as_npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _read_array(stream, size, name, kinds):
    """An array as NumPy writes them, after its header was compared with the bytes that follow.

    Args:
        stream: Open file, at the array's beginning.
        size: Bytes of the array with its header.
        name: How it is called in errors.
        kinds: Which dtypes it may have: names, or one letter for all of a kind.
    """
    try:
        read = _HEADERS[np.lib.format.read_magic(stream)]
        shape, by_column, dtype = read(stream)
    except Exception as error:  # a damaged header fails anywhere, in any way
        raise ValueError(f"{name} is not an array as NumPy writes them") from error
    if by_column or not (dtype.name in kinds or dtype.kind in kinds):
        raise ValueError(f"{name} must be {kinds}, row by row; it is {dtype.name}")
    length = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or stream.tell() + length != size or length > MAX_BYTES:
        raise ValueError(f"{name} promises {shape}, which is not what is there")
    content = stream.read(length)
    if len(content) < length:
        raise EOFError(f"{name} is cut short")
    return np.frombuffer(bytearray(content), dtype).reshape(shape)  # one that may be written to


def _write_npy(features):
    content = _as_npy(features.features)
    digest = hashlib.sha256(content).hexdigest()
    text = _spell(features, sha256=digest, times=features.times.tolist())
    return [(SIDE_SUFFIX, text.encode()), ("", content)]  # the one that counts comes last


def _read_npy(path):
    side = path.with_name(path.name + SIDE_SUFFIX)
    if not side.is_file():
        raise ValueError(f"{side.name}, which describes it, is not beside it")
    if side.stat().st_size > MAX_BYTES:
        raise ValueError(f"{side.name} is too large")
    record = _understand(side.read_text("utf-8"))
    with open(path, "rb") as file:
        array = _read_array(file, path.stat().st_size, "it", ("float32",))
        file.seek(0)
        digest = hashlib.sha256(file.read()).hexdigest()
    if record.get("sha256") != digest:
        raise ValueError(f"it is not the one that {side.name} describes (SHA-256)")
    try:
        times = np.asarray(record["times"], np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the times in {side.name} are not numbers") from error
    return array, times, record


def _write_npz(features):
    file = io.BytesIO()
    arrays = {
        "features": features.features,
        "times": features.times,
        "metadata": np.array(_spell(features)),
    }
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", DATE)
            entry.create_system, entry.external_attr = UNIX, READABLE
            archive.writestr(entry, _as_npy(array))
    return [("", file.getvalue())]


def _read_npz(path):
    with zipfile.ZipFile(path) as archive:

        def read(name, kinds):
            entry = archive.getinfo(f"{name}.npy")
            if entry.file_size > MAX_BYTES + MAX_TEXT:
                raise ValueError(f"{name} is too large")
            with archive.open(entry) as stream:
                return _read_array(stream, entry.file_size, name, kinds)

        record = _understand(str(read("metadata", ("U",))))
        return read("features", ("float32",)), read("times", ("float64",)), record


def _write_h5(features):
    import h5py

    # In memory first: HDF5 itself does not survive a full disk.
    file = io.BytesIO()
    with h5py.File(file, "w") as store:
        store.create_dataset("features", data=features.features, track_times=False)
        store.create_dataset("times", data=features.times, track_times=False)
        store.attrs["metadata"] = _spell(features, MAX_TEXT_IN_HDF5)
    return [("", file.getvalue())]


def _read_h5(path):
    import h5py

    size = path.stat().st_size
    try:
        with h5py.File(path, "r") as store:
            record = _understand(store.attrs["metadata"])
            features = _read_dataset(store, "features", np.float32, size)
            return features, _read_dataset(store, "times", np.float64, size), record
    except OSError as error:
        raise ValueError("it is not an HDF5 file, or damaged") from error


def _read_dataset(store, name, dtype, size):
    """A dataset whose values lie in the file as they are."""
    import h5py

    if not isinstance(store.get(name, getlink=True), h5py.HardLink):  # not in another file
        raise ValueError(f"{name} is missing from it")
    dataset = store[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype != dtype or dataset.is_virtual:
        raise ValueError(f"{name} must be a dataset of {np.dtype(dtype).name}")
    length = math.prod(dataset.shape) * dataset.dtype.itemsize
    plain = dataset.chunks is None and dataset.external is None
    if not plain or not length == dataset.id.get_storage_size() <= min(size, MAX_BYTES):
        raise ValueError(f"{name} promises {dataset.shape}, which is not what is there")
    return dataset[()]


_WRITERS = {"npy": _write_npy, "npz": _write_npz, "h5": _write_h5}
_READERS = {"npy": _read_npy, "npz": _read_npz, "h5": _read_h5}
