"""A trained network with what is needed to use it: its stream, classes, protocol and origin."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from i3d_tf.specs.labels import read_labels
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import CHANNELS, JOINT
from i3d_tf.system.files import sha256
from i3d_tf.weights.store import find_weights
from i3d_tf.zoo.pretrained import load, load_keras


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network and what is known of it.

    Attributes:
        name: What it was asked for by.
        model: Clips to logits.
        stream: "rgb" or "flow", or "joint" for a network that sees both.
        class_names: In the order of the logits.
        protocol: How it expects to be shown videos.
        sha256: Of its file.
        history: Evaluations during its training, if known.
    """

    name: str
    model: Any
    stream: str
    class_names: tuple[str, ...]
    protocol: Protocol
    sha256: str
    history: list[dict] = field(default_factory=list)

    @property
    def precision(self) -> str:
        """Name of the dtype policy of its layers: "float32" or "mixed_bfloat16"."""
        return self.model.layers[-1].dtype_policy.name


def open_checkpoint(name, checkpoint_dir="checkpoints") -> Checkpoint:
    """Opens a network by the folder of its training run, its `.keras` file, or its name.

    Args:
        name: A run's folder (its best state is taken), a `.keras` file in one, or a release or
            another name in the checkpoint directory.
        checkpoint_dir: Where names are looked up.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is not a network of this project, or what it was trained with is not known.
    """
    path = Path(name)
    if (path / "run.json").is_file():
        path = path / "best.keras"
    if path.suffix != ".keras":
        return _from_manifest(name, checkpoint_dir)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; the run has not evaluated yet.")
    return _from_run(str(name), path)


def stream_of(model) -> str:
    """Which stream a network reads, by its channels; "joint" where it has two inputs."""
    if isinstance(model.input_shape, dict | list):
        return JOINT
    streams = {channels: stream for stream, channels in CHANNELS.items()}
    channels = model.input_shape[-1]
    if channels not in streams:
        raise ValueError(f"{model.name!r} reads {channels} channels; RGB has 3, flow 2.")
    return streams[channels]


def _from_manifest(name, checkpoint_dir):
    path, row = find_weights(name, checkpoint_dir)
    model = load(name, checkpoint_dir)
    labels = row.get("labels")
    class_names = read_labels(labels) if isinstance(labels, str) else tuple(labels or ())
    if len(class_names) != model.output_shape[-1]:
        raise ValueError(
            f"{name} has {model.output_shape[-1]} classes, and its row in the manifest names "
            f"{len(class_names)}."
        )
    return Checkpoint(
        name=name,
        model=model,
        stream=stream_of(model),
        class_names=class_names,
        protocol=_manifest_protocol(name, row.get("protocol", {})),
        sha256=sha256(path),
    )


def _from_run(name, path):
    record = path.parent / "run.json"
    if not record.is_file():
        raise FileNotFoundError(
            f"{record}: no such file; {path.name} must lie in the folder of its training run."
        )
    class_names, protocol = _read_run(record)
    history = path.parent / "history.jsonl"
    lines = history.read_text("utf-8").splitlines() if history.is_file() else []
    model = load_keras(path)
    if len(class_names) != model.output_shape[-1]:
        raise ValueError(
            f"{path} has {model.output_shape[-1]} classes, and {record.name} beside it names "
            f"{len(class_names)}."
        )
    return Checkpoint(
        name=name,
        model=model,
        stream=stream_of(model),
        class_names=class_names,
        protocol=protocol,
        sha256=sha256(path),
        history=[json.loads(line) for line in lines],
    )


def _read_run(record):
    """(class names, Protocol) of a training run."""
    try:
        run = json.loads(record.read_text("utf-8"))
        settings = run["settings"]
        protocol = Protocol(
            frames=settings["test_frames"],
            frame_rate=settings["frame_rate"],
            short_side=settings["short_side"],
            crop_size=settings["crop_size"],
            windows=settings["test_windows"],
            rgb_step=settings["rgb_step"],
        )
        return tuple(run["class_names"]), protocol
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{record}: not the record of a training run ({error}); it must be the one that "
            "train.py wrote."
        ) from error


def _manifest_protocol(name, values):
    try:
        return Protocol(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name}: the `protocol` in its row of the manifest is not one ({error})."
        ) from error
