"""Named arrays of a file of any public form: PyTorch, Caffe, pickles of arrays, TensorFlow 1."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from i3d_tf.system.files import open_regular
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.caffe_model import read_caffe_model
from i3d_tf.weights.restricted_pickle import NUMPY_GLOBALS, PickledArray, load_pickle
from i3d_tf.weights.slim import slim_files
from i3d_tf.weights.tf_checkpoint import checkpoint_tensors
from i3d_tf.weights.tf_hub import hub_files
from i3d_tf.weights.torch_file import (
    OLD_START,
    is_torch_archive,
    read_old_torch_file,
    read_torch_archive,
)

MAX_PICKLE_BYTES = 1 << 30
MAX_DEPTH = 8
PICKLE_START = b"\x80"  # of every protocol since 2
# Towers of MMV are within other modules; what is in front of these names tells which.
_HAIKU_NAME = re.compile(r"(?:.*/)?((?:Conv2d|Mixed)_\d\w/.*|Conv2d_\d\w_\dx\d/.*)")


class Tensor(Protocol):
    """An array of a file, whose numbers are read when they are wanted."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    @property
    def dtype(self) -> str: ...  # noqa: D102

    def read(self) -> np.ndarray:
        """Returns the numbers."""
        ...


class NamedTensors(NamedTuple):
    """The arrays of a file.

    Attributes:
        tensors: Name to array.
        form: The form of the file, in words.
        files: The files that were read.
        has_checksum: Whether the form has checksums, by which a damaged value is noticed.
    """

    tensors: Mapping[str, Tensor]
    form: str
    files: tuple[Path, ...]
    has_checksum: bool


def read_named_tensors(source: os.PathLike | str) -> NamedTensors:
    """Reads names and shapes of the arrays of a file; nothing in it is run.

    Args:
        source: A file of PyTorch (state dict or TorchScript), a pickle of dictionaries of NumPy's
            arrays, of Python 2 too, a Caffe network, or the folder or prefix of a TensorFlow-1
            checkpoint.

    Raises:
        FileNotFoundError: There is no such file.
        WeightsError: The source is something else, or damaged.
    """
    source = Path(source)
    if (files := hub_files(source)) is not None or source.is_dir():
        files = files or slim_files(source)
        names = tuple(dict.fromkeys(files))
        return NamedTensors(checkpoint_tensors(files), "a TensorFlow-1 checkpoint", names, True)
    with open_regular(source) as file:
        start = file.read(32)
    if start.startswith(OLD_START):
        tensors = read_old_torch_file(source).tensors
        return NamedTensors(tensors, "an old PyTorch state dict", (source,), False)
    if is_torch_archive(source):
        torch_file = read_torch_archive(source)
        form = "TorchScript" if torch_file.is_script else "a PyTorch state dict"
        return NamedTensors(torch_file.tensors, form, (source,), True)
    if start.startswith(PICKLE_START):
        return NamedTensors(_read_pickle(source), "a pickle of arrays", (source,), False)
    if (blobs := read_caffe_model(source)) is not None:
        return NamedTensors(blobs, "a Caffe network", (source,), False)
    raise WeightsError(
        f"{source}: neither a file of PyTorch or Caffe, nor a pickle of arrays, nor a checkpoint."
    )


def _bytes_of(text="", encoding=""):
    """Returns the bytes that Python 3 writes as text for Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise WeightsError("a pickle with text of an unknown encoding.")
    return text.encode("latin1")


_GLOBALS = {**NUMPY_GLOBALS, ("_codecs", "encode"): _bytes_of}


def _read_pickle(source):
    if source.stat().st_size > MAX_PICKLE_BYTES:
        raise WeightsError(f"{source}: too large for the weights of a network.")
    try:
        with open_regular(source) as file:
            value = load_pickle(file, _GLOBALS, max_bytes=MAX_PICKLE_BYTES, encoding="latin1")
        if isinstance(value, dict) and isinstance(value.get("blobs"), dict):
            value = value["blobs"]  # of Caffe2
        named = list(_flatten(value, ""))
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error
    tensors = dict(named)
    if len(tensors) < len(named):
        raise WeightsError(f"{source}: damaged: two arrays have the same name.")
    return _without_towers(source, tensors)


def _flatten(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, PickledArray]]:
    """Yields (name, array) of nested dictionaries, the names joined by slashes."""
    if isinstance(value, PickledArray):
        yield name, value
    elif isinstance(value, dict) and depth < MAX_DEPTH:
        for key, part in value.items():
            if not isinstance(key, str):
                raise WeightsError("a pickle of something else (a name is no text).")
            yield from _flatten(part, f"{name}/{key}" if name else key, depth + 1)


def _without_towers(source, tensors):
    """Returns the S3D of a file of several networks in Haiku, named as if it were alone."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        match = _HAIKU_NAME.fullmatch(name)
        if (match and "/conv3_d" in name) or (match and ("batch_norm" in name or "gating" in name)):
            short = f"S3D/{match[1]}"
            if short in renamed:
                raise WeightsError(f"{source}: two S3D in one file; {short} is there twice.")
            renamed[short] = tensor
    return renamed or tensors
