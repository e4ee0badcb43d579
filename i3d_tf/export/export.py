"""Exports of trained networks that need nothing of this package: SavedModel, ONNX, PyTorch."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import tensorflow as tf

from i3d_tf.export.metadata import FORMATS, METADATA_FILE, export_metadata, metadata_text
from i3d_tf.export.saved_model import ServingModule, signature_shapes
from i3d_tf.models.fold_batch_norm import PRECISIONS, fuse_for_inference
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.files import atomic_folder, ensure_disk_space
from i3d_tf.zoo.checkpoint import (
    Checkpoint,
    check_head_is_used,
    open_checkpoint,
    open_checkpoints,
)

# The packages of the extra that a format needs.
PACKAGES = {"onnx": ("tf2onnx", "onnx", "onnxruntime"), "pytorch": ("safetensors",)}
_GRAPH_BYTES = 8 << 20  # more than a file takes beside its weights


def export(
    checkpoint: str | os.PathLike,
    output_dir: str | os.PathLike,
    flow_checkpoint: str | os.PathLike | None = None,
    format: str = "saved_model",
    precision: str = "float32",
    checkpoint_dir: str | os.PathLike | None = None,
    head: str | None = None,
) -> Path:
    """Writes a folder with a network, its classes and its protocol, and `export.json`.

    Args:
        checkpoint: See `open_checkpoint`: a network of one stream, RGB where there are two, or one
            of both.
        output_dir: The folder to make.
        flow_checkpoint: A flow network beside an RGB one, for the sum of both logits; or None.
        format: One of `FORMATS`. A SavedModel has the signatures of `ServingModule`; ONNX is the
            network alone, `model.onnx`; PyTorch the weights alone, `model.safetensors`, see
            `write_pytorch`.
        precision: See `fuse_for_inference`; ONNX and PyTorch are float32.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        head: Name of the classifier to export, of networks that were trained with several.

    Returns:
        `output_dir`.

    Raises:
        ValueError: An argument is invalid, or the logits of the file are not the network's.
        FileNotFoundError: Weights do not exist.
        OSError: The folder exists, or cannot be written; nothing has changed.
    """
    check_choice("format", format, FORMATS)
    check_choice("precision", precision, PRECISIONS)
    if format != "saved_model" and precision != "float32":
        raise ValueError(
            f"`precision` of the format {format!r} must be float32; received {precision!r}."
        )
    if format == "pytorch" and flow_checkpoint is not None:
        raise ValueError("the format 'pytorch' takes one network. Export each stream alone.")
    check_is_new(output_dir)
    _check_packages(format)
    checkpoints = _open(checkpoint, flow_checkpoint, checkpoint_dir, head)
    networks = {stream: checkpoint.model for stream, checkpoint in checkpoints.items()}
    if format != "pytorch":
        networks = {s: fuse_for_inference(model, precision) for s, model in networks.items()}
    metadata = export_metadata(checkpoints, format, precision)
    size = sum(4 * network.count_params() for network in networks.values())
    write = {"saved_model": _write_saved_model, "onnx": _write_onnx, "pytorch": _write_pytorch}
    with output_folder(output_dir, size + _GRAPH_BYTES) as folder:
        write[format](folder, networks, metadata, next(iter(checkpoints.values())))
    return Path(output_dir)


def _check_packages(format):
    """Checks that the packages of the extra that a format needs are installed."""
    packages = PACKAGES.get(format, ())
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise ValueError(
            f"the format {format!r} needs {', '.join(missing)}: pip install 'i3d_tf[export]'."
        )


def _open(checkpoint, flow_checkpoint, checkpoint_dir, head) -> dict[str, Checkpoint]:
    """Opens the networks by stream; "joint" is one network of both."""
    if flow_checkpoint is None:
        opened = open_checkpoint(checkpoint, checkpoint_dir, head=head)
        check_head_is_used(head, [opened])
        return {opened.stream: opened}
    checkpoints = {"rgb": checkpoint, "flow": flow_checkpoint}
    return open_checkpoints(checkpoints, checkpoint_dir, head=head).by_stream


@contextlib.contextmanager
def output_folder(path: str | os.PathLike, size: int) -> Iterator[Path]:
    """Makes a temporary folder that is renamed to `path` when the block ends without an error.

    Args:
        path: The folder to make, with the folders above it.
        size: Bytes that it will have at most.

    Yields:
        The temporary folder. After an error or an interrupt it is removed.

    Raises:
        OSError: The path exists already, or it cannot be written; nothing has changed.
    """
    path = Path(path)
    check_is_new(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{path.parent}: cannot be made ({error.strerror}). Name another folder."
        ) from error
    ensure_disk_space(path.parent, size)
    try:
        with atomic_folder(path) as temporary:  # fails where another has filled `path` meanwhile
            yield temporary
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            f"{path}: the export cannot be written ({_reason(error)}). Nothing was changed."
        ) from error


def _reason(error):
    """Returns the reason of an error without TensorFlow's names of operation and file."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return error.message.rpartition("; ")[-1].partition(" [Op:")[0]


def check_is_new(path: str | os.PathLike) -> None:
    """Refuses a path that exists.

    Raises:
        FileExistsError: It does.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"{path}: exists already; name another folder or remove it.")


def _write_saved_model(
    folder: Path, networks: Mapping[str, keras.Model], metadata: Mapping, checkpoint: Checkpoint
):
    module = ServingModule(networks, checkpoint.class_names, checkpoint.protocol)
    text = metadata_text({**metadata, "signatures": signature_shapes(module)})
    module.add_metadata(text)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), module.signatures(), options)
    _write_metadata(folder, text)


def _write_onnx(
    folder: Path, networks: Mapping[str, keras.Model], metadata: Mapping, checkpoint: Checkpoint
):
    from i3d_tf.export.onnx import write_onnx

    protocol = checkpoint.protocol
    clip_size = protocol.frames, protocol.crop_size
    error = write_onnx(folder / "model.onnx", networks, metadata, clip_size)
    _write_metadata(folder, metadata_text({**metadata, "largest_error": error}))


def _write_pytorch(
    folder: Path, networks: Mapping[str, keras.Model], metadata: Mapping, checkpoint: Checkpoint
):
    from i3d_tf.export.pytorch import write_pytorch

    text = metadata_text(metadata)
    (network,) = networks.values()
    write_pytorch(folder / "model.safetensors", network, {"record": text})
    _write_metadata(folder, text)


def _write_metadata(folder, text):
    (folder / METADATA_FILE).write_text(f"{text}\n", "utf-8")
