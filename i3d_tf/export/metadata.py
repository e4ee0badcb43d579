"""`export.json`: the metadata of an export."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import BOTH, FLOW_BOUND, JOINT, STREAM_CHOICES
from i3d_tf.specs.validation import check_choice
from i3d_tf.specs.version import __version__
from i3d_tf.system.files import check_regular
from i3d_tf.system.records import get_list, get_value, read_json_object, record_errors

if TYPE_CHECKING:
    from i3d_tf.zoo.checkpoint import Checkpoint

FORMATS = ("saved_model", "onnx", "pytorch")
METADATA_FILE = "export.json"
SAVED_MODEL_FILE = "saved_model.pb"
REMEDY = "Make one: i3d export --checkpoint=NAME --output_dir=FOLDER"
_NEEDED = ("format", "stream", "class_names", "protocol")


def export_metadata(checkpoints: Mapping[str, "Checkpoint"], format: str, precision: str) -> dict:
    """Returns the metadata of an export, in plain values.

    Args:
        checkpoints: Stream, or "joint" for one network of both, to its checkpoint.
        format: One of `FORMATS`.
        precision: "float32" or "bfloat16".
    """
    first = next(iter(checkpoints.values()))
    stream = JOINT if len(checkpoints) > 1 else first.stream
    return {
        "format": format,
        "stream": stream,
        "sources": {
            stream: {"name": str(checkpoint.name), "sha256": checkpoint.sha256}
            for stream, checkpoint in checkpoints.items()
        },
        "class_names": list(first.class_names),
        "protocol": first.protocol.as_json(),
        "preprocessing": describe_preprocessing(stream, first.protocol),
        "precision": precision,
        "made_by": f"i3d_tf {__version__}",
    }


def describe_preprocessing(stream: str, protocol: Protocol) -> dict[str, str]:
    """Returns the steps from a video to clips in words, for readers without this package.

    Args:
        stream: "rgb", "flow" or "joint".
        protocol: Number and size of the windows.
    """
    frames = f"the first {protocol.frames}"
    if protocol.windows > 1:
        frames = (
            f"{protocol.windows} windows of {protocol.frames}, spread evenly, whose logits are "
            "averaged,"
        )
    if protocol.segments > 1:
        frames = (
            f"one clip of {protocol.segments} snippets of {protocol.frames} frames, in the middle "
            "of equal parts of the video, taken"
        )
    steps = {
        "frames": f"{frames} at {protocol.frame_rate:.6g} per second; fewer are looped from the "
        "start",
        "resize": f"short side {protocol.short_side}, bilinear at half-pixel centres without "
        "antialiasing, rounded to 8 bits",
        "crop": f"{protocol.crop_size} x {protocol.crop_size}, centre",
    }
    if stream != "flow":
        step = protocol.rgb_step
        sparse = f" of the middle one of every {step} frames" if step > 1 else ""
        steps["rgb"] = f"value / 127.5 - 1{sparse}"
    if stream != "rgb":
        steps["flow"] = (
            "TV-L1 with OpenCV's parameters on the resized frames, grey; x "
            f"then y, pixels per frame, truncated at +-{FLOW_BOUND:g}, / {FLOW_BOUND:g}"
        )
        if protocol.flow_direction == BOTH:
            steps["flow"] += (
                "; of each window half of the fields, from its middle frame forward, then as many "
                "from that frame backward"
            )
    return steps


def metadata_text(metadata: Mapping) -> str:
    """Returns metadata as it is written into `export.json` and into a SavedModel."""
    return json.dumps(metadata, indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class SavedModelMetadata:
    """The part of `export.json` that the use of a SavedModel needs.

    Attributes:
        stream: "rgb", "flow" or "joint".
        class_names: In the order of the logits.
        protocol: Number and size of the windows.
    """

    stream: str
    class_names: tuple[str, ...]
    protocol: Protocol


def read_saved_model_metadata(folder: str | os.PathLike) -> SavedModelMetadata:
    """Reads `export.json` of a SavedModel.

    Args:
        folder: The export.

    Raises:
        FileNotFoundError: The folder is not an export; the message names what is missing.
        ValueError: It is an export of another format, or the metadata is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. {REMEDY}")
    path = folder / METADATA_FILE
    if not path.exists():
        raise FileNotFoundError(
            f"{folder}: not an export, there is no {METADATA_FILE} in it. {REMEDY}"
        )
    with record_errors(path, "the metadata of an export", REMEDY):
        values = read_json_object(path)
        if missing := [key for key in _NEEDED if key not in values]:
            raise ValueError(f"it does not name {', '.join(missing)}")
        made_as = get_value(values, "format", str)
        stream = check_choice("stream", values["stream"], STREAM_CHOICES)
        class_names = get_list(values, "class_names", str)
        protocol = Protocol(**get_value(values, "protocol", dict))
    if made_as != FORMATS[0]:
        raise ValueError(
            f"{folder}: exported as {made_as!r}; only {FORMATS[0]!r} can be used here."
        )
    if not (folder / SAVED_MODEL_FILE).exists():
        raise FileNotFoundError(
            f"{folder}: incomplete, there is no {SAVED_MODEL_FILE} in it. {REMEDY}"
        )
    for file in (*folder.glob("*"), *folder.glob("*/*")):  # TensorFlow reads some of them
        if not file.is_dir():
            check_regular(file)
    return SavedModelMetadata(stream, class_names, protocol)
