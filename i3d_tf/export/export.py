"""From trained networks to a folder that answers without this package: a SavedModel, or ONNX."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from i3d_tf.models.fold_batch_norm import PRECISIONS, fuse_for_inference
from i3d_tf.specs.streams import FLOW_BOUND, JOINT
from i3d_tf.system.files import atomic_folder, ensure_disk_space
from i3d_tf.zoo import open_checkpoint, open_checkpoints

FORMATS = ("saved_model", "onnx")
RECORD = "export.json"
_GRAPH_BYTES = 8 << 20  # more than all that is not weights takes


def export(
    checkpoint,
    output_dir,
    flow_checkpoint=None,
    form="saved_model",
    precision="float32",
    checkpoint_dir="checkpoints",
) -> Path:
    """Writes a folder with a network, its classes, its protocol, and `export.json` about them.

    Args:
        checkpoint: As of `open_checkpoint`: a network of one stream, RGB where there are two, or
            one that sees both.
        output_dir: The folder to make.
        flow_checkpoint: A flow network for the two-stream one, whose logits are the sum of both.
        form: One of `FORMATS`. A SavedModel has the signatures `serving_default`, `classify`,
            `features`, `labels` and `record`; ONNX is the network alone, `model.onnx`.
        precision: As of `fuse_for_inference`; ONNX is float32.
        checkpoint_dir: Where names are looked up.

    Returns:
        `output_dir`.

    Raises:
        ValueError: An argument cannot work, or the file does not answer like the network.
        FileNotFoundError: Weights are not there.
        OSError: The folder exists, or cannot be written; nothing has changed.
    """
    if form not in FORMATS:
        raise ValueError(f"`form` must be one of {FORMATS}; received {form!r}.")
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be one of {PRECISIONS}; received {precision!r}.")
    if form == "onnx" and precision != "float32":
        raise ValueError(f"`precision` of an ONNX export must be float32; received {precision!r}.")
    _check_new(output_dir)
    if form == "onnx":
        from i3d_tf.export.onnx import check_packages

        check_packages()
    checkpoints = open_streams(checkpoint, flow_checkpoint, checkpoint_dir)
    networks = {s: fuse_for_inference(c.model, precision) for s, c in checkpoints.items()}
    record = describe(checkpoints, form, precision)
    size = sum(4 * network.count_params() for network in networks.values())
    with new_folder(output_dir, size + _GRAPH_BYTES) as folder:
        write = _write_onnx if form == "onnx" else _write_saved_model
        record = write(folder, networks, record, next(iter(checkpoints.values())))
        (folder / RECORD).write_text(record + "\n", "utf-8")
    return Path(output_dir)


def open_streams(checkpoint, flow_checkpoint=None, checkpoint_dir="checkpoints") -> dict:
    """The checkpoints to export by stream, "joint" for one that sees both.

    Raises:
        ValueError: A network is of another stream, or the two do not share classes and protocol.
    """
    if flow_checkpoint is None:
        opened = open_checkpoint(checkpoint, checkpoint_dir)
        return {opened.stream: opened}
    references = {"rgb": checkpoint, "flow": flow_checkpoint}
    return open_checkpoints(references, checkpoint_dir).by_stream


def describe(checkpoints, form, precision) -> dict:
    """What `export.json` says.

    Args:
        checkpoints: Stream to `Checkpoint`.
        form: One of `FORMATS`.
        precision: As of `fuse_for_inference`.
    """
    first = next(iter(checkpoints.values()))
    protocol = first.protocol
    which = f"the first {protocol.frames}"
    if protocol.windows > 1:
        which = (
            f"{protocol.windows} windows of {protocol.frames}, spread evenly, whose logits are "
            "averaged,"
        )
    preprocessing = {
        "frames": f"{which} at {protocol.frame_rate:.6g} per second; fewer are looped from the "
        "start",
        "resize": f"short side {protocol.short_side}, bilinear at half-pixel centres without "
        "antialiasing, rounded to 8 bits",
        "crop": f"{protocol.crop_size} x {protocol.crop_size}, centre",
    }
    stream = JOINT if len(checkpoints) > 1 else first.stream
    if stream != "flow":
        step = protocol.rgb_step
        sparse = f" of the middle one of every {step} frames" if step > 1 else ""
        preprocessing["rgb"] = f"value / 127.5 - 1{sparse}"
    if stream != "rgb":
        preprocessing["flow"] = (
            "TV-L1 with OpenCV's parameters on the resized frames, grey; x "
            f"then y, pixels per frame, truncated at +-{FLOW_BOUND:g}, / {FLOW_BOUND:g}"
        )
    return {
        "format": form,
        "stream": stream,
        "sources": {
            stream: {"name": str(checkpoint.name), "sha256": checkpoint.sha256}
            for stream, checkpoint in checkpoints.items()
        },
        "class_names": list(first.class_names),
        "protocol": asdict(protocol),
        "preprocessing": preprocessing,
        "precision": precision,
        "made_by": f"i3d_tf {version('i3d_tf')}",
    }


@contextlib.contextmanager
def new_folder(path, size) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its name when the block ends without an error.

    Args:
        path: The folder to make, with the folders above it.
        size: Bytes that it will have at most.

    Yields:
        The temporary folder. After an error or an interrupt it is removed.

    Raises:
        OSError: Something is there already, or it cannot be written; nothing has changed.
    """
    import tensorflow as tf

    path = Path(path)
    _check_new(path)
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
    """What went wrong, without TensorFlow's names of the operation and of the temporary file."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return error.message.rpartition("; ")[-1].partition(" [Op:")[0]


def _check_new(path):
    if os.path.lexists(path):
        raise FileExistsError(f"{path}: exists already; name another folder or remove it.")


def _write_saved_model(folder, networks, record, checkpoint):
    import tensorflow as tf

    from i3d_tf.export.saved_model import ServingModule, signature_shapes

    served = ServingModule(networks, checkpoint.class_names, checkpoint.protocol)
    record["signatures"] = signature_shapes(served)
    text = _spell(record)
    served.add_record(text)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(served, str(folder), served.signatures(), options)
    return text


def _write_onnx(folder, networks, record, checkpoint):
    from i3d_tf.export.onnx import write_onnx

    shown = checkpoint.protocol
    error = write_onnx(folder / "model.onnx", networks, record, (shown.frames, shown.crop_size))
    return _spell({**record, "largest_error": error})


def _spell(record):
    return json.dumps(record, indent=2, ensure_ascii=False)
