"""Reader of PyTorch's files without PyTorch: state dicts, old and new, and TorchScript.

A file is a pickle of tensors, which are views of storages: arrays of numbers that stand beside the
pickle. The pickle is read by an unpickler that knows the names in this module and no others, and
that makes records; nothing of the file is run.
"""

import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from i3d_tf.system.errors import short_reason
from i3d_tf.system.files import check_regular, open_regular
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.restricted_pickle import (
    InertType,
    InertValue,
    UnknownNameError,
    load_pickle,
)

MAX_BYTES = 2 << 30  # of a file; I3D has 51 MB, three times that with an optimizer's state
MAX_RANK = 8  # axes of a tensor

# An old file is five pickles, the first of which is this number, and storages.
OLD_MAGIC = 0x1950A86A20F9469CFC6C
OLD_START = b"\x80\x02\x8a\x0a" + OLD_MAGIC.to_bytes(10, "little") + b"."
_OLD_PROTOCOL = 1001

BFLOAT16 = "bfloat16"
_STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_ADVICE = "Give a state dict: torch.save(model.state_dict(), FILE)."
# The entries of a training checkpoint that may hold the weights.
_STATE_DICTS = ("state_dict", "model_state_dict", "model_state", "model", "net")


@dataclass(eq=False)
class _Storage(InertValue):
    """An array of numbers of a file.

    Attributes:
        dtype: Name of the numbers' type, one of the values of `_STORAGES`.
        count: Number of numbers.
        content: Their bytes, little-endian; empty until they are read.
    """

    dtype: str
    count: int
    content: memoryview | bytes = b""

    def numbers(self) -> np.ndarray:
        """Returns the numbers; a bfloat16 as the upper half of a float32."""
        if self.dtype == BFLOAT16:
            halves = np.frombuffer(self.content, "<u2")
            return (halves.astype(np.uint32) << 16).view(np.float32)
        return np.frombuffer(self.content, np.dtype(self.dtype).newbyteorder("<"))


@dataclass(frozen=True, eq=False)
class TorchTensor(InertValue):
    """A tensor of a file: a view of a storage, whose numbers are read when they are wanted.

    Attributes:
        shape: Its shape.
        dtype: Name of the type of its numbers in the file, such as "float32" or "bfloat16".
    """

    shape: tuple[int, ...]
    dtype: str
    _storage: _Storage = field(repr=False)
    _offset: int = field(repr=False)
    _strides: tuple[int, ...] = field(repr=False)

    def read(self) -> np.ndarray:
        """Returns a copy of the numbers in the shape, which may need more memory than the file."""
        numbers = self._storage.numbers()[self._offset :]
        strides = [step * numbers.itemsize for step in self._strides]
        view = np.lib.stride_tricks.as_strided(numbers, self.shape, strides, writeable=False)
        return view.copy()


class TorchFile(NamedTuple):
    """The named tensors of a file.

    Attributes:
        tensors: Name to tensor; in TorchScript the names of the modules, joined by dots.
        is_script: Whether the file is TorchScript, not a state dict.
    """

    tensors: dict[str, TorchTensor]
    is_script: bool


def is_torch_archive(path: os.PathLike | str) -> bool:
    """Returns whether a file is a ZIP archive with the members that PyTorch writes."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return any(_is_data(name) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def read_torch_archive(path: os.PathLike | str) -> TorchFile:
    """Reads the names and shapes of a ZIP archive: a state dict of `torch.save`, or TorchScript.

    Raises:
        WeightsError: The file is damaged, of another kind, or names what no weights need.
    """
    _check_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _Members(archive, Path(path))
            value = load_pickle(
                members.read("data.pkl"), _Globals(), members.storage, max_bytes=MAX_BYTES
            )
    except WeightsError as error:
        raise _about(path, error) from error
    except Exception as error:  # zipfile raises anything for damaged archives
        raise WeightsError(f"{path}: a damaged ZIP archive ({short_reason(error)}).") from error
    if isinstance(value, _Record):
        return TorchFile(_checked(path, dict(_attributes(value))), is_script=True)
    return TorchFile(_checked(path, _state_dict(value)), is_script=False)


def read_old_torch_file(path: os.PathLike | str) -> TorchFile:
    """Reads the names and shapes of a state dict as `torch.save` wrote it before PyTorch 1.6.

    Raises:
        WeightsError: See `read_torch_archive`.
    """
    _check_size(path)
    stream = BytesIO(Path(path).read_bytes())
    storages = _OldStorages()
    try:
        magic, protocol, system = (load_pickle(stream, {}) for _ in range(3))
        if (magic, protocol) != (OLD_MAGIC, _OLD_PROTOCOL) or not isinstance(system, dict):
            raise WeightsError("not a file of torch.save.")
        if system.get("little_endian") is not True:
            raise WeightsError("its numbers are big-endian. Save it again on another machine.")
        value = load_pickle(stream, _Globals(), storages.find, max_bytes=MAX_BYTES)
        storages.read(stream, load_pickle(stream, {}))
    except WeightsError as error:
        raise _about(path, error) from error
    return TorchFile(_checked(path, _state_dict(value)), is_script=False)


def _check_size(path):
    size = check_regular(path).st_size
    if size > MAX_BYTES:
        raise WeightsError(f"{path}: {size:,} bytes; weights of I3D have far fewer.")


def _about(path, error):
    """Returns an error with the file as its subject."""
    advice = f" {_ADVICE}" if isinstance(error, UnknownNameError) else ""
    return WeightsError(f"{path}: {error}{advice}")


def _is_data(member):
    return member.count("/") == 1 and member.endswith("/data.pkl")


class _Members:
    """The members of an archive, none of which unpacks to more than it takes in the file."""

    def __init__(self, archive, path):
        self._archive = archive
        infos = archive.infolist()
        names = [info.filename for info in infos]
        roots = [name.partition("/")[0] for name in names if _is_data(name)]
        if len(roots) != 1 or len(set(names)) != len(names):
            raise WeightsError("not one archive of PyTorch. Give a file that torch.save wrote.")
        self._root = roots[0]
        self._room = path.stat().st_size
        self._storages = {}
        if "byteorder" in self and self.read("byteorder") != b"little":
            raise WeightsError("its numbers are big-endian. Save it again on another machine.")

    def __contains__(self, name):
        return f"{self._root}/{name}" in self._archive.namelist()

    def read(self, name):
        """Returns the content of a member, whose checksum is verified."""
        info = self._archive.getinfo(f"{self._root}/{name}")
        # Members may overlap: what has been read is counted.
        self._room -= info.file_size
        if info.compress_type != zipfile.ZIP_STORED or self._room < 0:
            raise WeightsError(f"{name} is compressed, which torch.save never does.")
        return self._archive.read(info)

    def storage(self, reference):
        """Returns the storage that a pickle refers to."""
        key, dtype, count, view = _storage_reference(reference)
        if view is not None:
            raise WeightsError(f"storage {key!r} is a view of another.")
        storage = self._storages.get(key)
        if storage is None:
            content = memoryview(self.read(f"data/{key}"))
            storage = self._storages[key] = _Storage(dtype, count, content)
            _check_content(key, storage)
        return _same(key, storage, dtype, count)


class _OldStorages:
    """The storages of an old file, which come after the pickle that refers to them."""

    def __init__(self):
        self._storages = {}
        self._views = []

    def find(self, reference):
        """Returns the storage that a pickle refers to, whose content comes later."""
        key, dtype, count, view = _storage_reference(reference)
        storage = self._storages.setdefault(key, _Storage(dtype, count))
        _same(key, storage, dtype, count)
        if view is None:
            return storage
        view_key, offset, length = view
        part = _Storage(dtype, length)
        self._views.append((view_key, storage, offset, part))
        return part

    def read(self, stream, keys):
        """Reads the content of all storages."""
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(self._storages):
            raise WeightsError("its storages are not those that its tensors refer to.")
        for key in keys:
            storage = self._storages[str(key)]
            count = int.from_bytes(stream.read(8), "little", signed=True)
            if count != storage.count:
                raise WeightsError(f"storage {key!r} has {count} numbers, not {storage.count}.")
            size = count * _itemsize(storage.dtype)
            if size > stream.getbuffer().nbytes - stream.tell():
                raise WeightsError("cut short. Download it again.")
            storage.content = memoryview(stream.read(size))
            _check_content(key, storage)
        if stream.read(1):
            raise WeightsError("there are bytes after its last storage.")
        for key, storage, offset, part in self._views:
            size = _itemsize(storage.dtype)
            part.content = storage.content[offset * size : (offset + part.count) * size]
            _check_content(key, part)


def _storage_reference(reference):
    """Returns (key, type, count, view) of a reference in a pickle; view is None, or 3 values."""
    if not isinstance(reference, tuple) or len(reference) not in (5, 6):
        raise WeightsError("a reference is not a storage's.")
    tag, dtype, key, _, count, *rest = reference
    view = rest[0] if rest else None
    is_view = (
        isinstance(view, tuple)
        and len(view) == 3
        and isinstance(view[0], str)
        and _are_counts(view[1:])
    )
    if (
        tag != "storage"
        or not isinstance(dtype, _StorageType)
        or not isinstance(key, str)
        or not _are_counts([count])
        or not (view is None or is_view)
    ):
        raise WeightsError("a reference is not a storage's.")
    return key, dtype.dtype, count, view


def _same(key, storage, dtype, count):
    if (storage.dtype, storage.count) != (dtype, count):
        raise WeightsError(f"storage {key!r} is referred to as two different ones.")
    return storage


def _check_content(key, storage):
    if len(storage.content) != storage.count * _itemsize(storage.dtype):
        raise WeightsError(
            f"storage {key!r} has {len(storage.content):,} bytes, and should have {storage.count:,}"
            f" numbers of {storage.dtype}."
        )


def _itemsize(dtype):
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def _are_counts(values):
    return all(type(value) is int and 0 <= value < 1 << 62 for value in values)


class _StorageType(NamedTuple):
    """The type of a storage, which a pickle names as a class of `torch`."""

    dtype: str


class _StateDict(dict, metaclass=InertType):
    """The `OrderedDict` of a state dict; its attributes (versions of layers) are dropped."""

    def __setstate__(self, state):
        pass


class _Record(metaclass=InertType):
    """An object of a class of a TorchScript file, without the class: its attributes alone."""

    def __new__(cls, *arguments):
        record = super().__new__(cls)
        record.attributes = {}
        return record

    def __setstate__(self, state):
        if not isinstance(state, dict):
            raise WeightsError("the attributes of a module are no dictionary.")
        self.attributes = state


def _rebuild_tensor(storage, offset, shape, strides, *others):
    """Returns a view of a storage, of which every number is within the storage."""
    if not isinstance(storage, _Storage):
        raise WeightsError("a tensor has no storage.")
    is_view = (
        isinstance(shape, tuple)
        and isinstance(strides, tuple)
        and len(shape) == len(strides) <= MAX_RANK
        and _are_counts((offset, *shape, *strides))
    )
    if not is_view:
        raise WeightsError("a tensor has no shape and strides.")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if prod(shape) > 0 and last >= storage.count:
        raise WeightsError(f"a tensor of shape {shape} reaches beyond its storage.")
    if prod(shape) == 0 and offset > storage.count:
        raise WeightsError(f"a tensor of shape {shape} begins after its storage.")
    return TorchTensor(shape, storage.dtype, storage, offset, strides)


def _first(value, *others):
    """Returns the first argument, as functions do that add what is of no use here."""
    return value


# The names that a file may use, by (module, name), each with what stands for it here.
_GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _StateDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,  # before PyTorch 0.4
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch", "Size"): tuple,
    ("torch.jit._pickle", "restore_type_tag"): _first,
    **{
        ("torch.jit._pickle", f"build_{kind}list"): _first
        for kind in ("int", "double", "bool", "tensor")
    },
    **{
        (module, name): _StorageType(dtype)
        for module in ("torch", "torch.cuda")  # the second in old files of GPUs
        for name, dtype in _STORAGES.items()
    },
}


class _Globals(Mapping):
    """Those names, and the classes that a TorchScript file brings itself."""

    def __getitem__(self, name: tuple[str, str]) -> Any:
        module = name[0]
        if module == "__torch__" or module.startswith("__torch__."):
            return _Record  # a class of the file itself, whose code is not read
        return _GLOBALS[name]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(_GLOBALS)

    def __len__(self) -> int:
        return len(_GLOBALS)


def _attributes(module):
    """Yields name and tensor of every tensor in a module and in the modules below it."""
    seen, waiting = set(), [("", module)]
    while waiting:
        prefix, record = waiting.pop()
        if id(record) in seen:
            continue
        seen.add(id(record))
        for name, value in record.attributes.items():
            if isinstance(value, TorchTensor):
                yield f"{prefix}{name}", value
            elif isinstance(value, _Record):
                waiting.append((f"{prefix}{name}.", value))


def _state_dict(value):
    """Returns the tensors of a state dict, which may be an entry of a training checkpoint."""
    if not isinstance(value, dict):
        return {}
    if not any(isinstance(entry, TorchTensor) for entry in value.values()):
        for name in _STATE_DICTS:
            if isinstance(value.get(name), dict):
                value = value[name]
                break
    return {name: tensor for name, tensor in value.items() if isinstance(tensor, TorchTensor)}


def _checked(path, tensors):
    if not tensors:
        raise WeightsError(f"{path}: no named tensors, as in TorchScript that is frozen. {_ADVICE}")
    if not all(isinstance(name, str) for name in tensors):
        raise WeightsError(f"{path}: a tensor's name is not text.")
    return tensors
