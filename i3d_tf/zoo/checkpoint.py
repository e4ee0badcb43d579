"""Trained networks with their metadata: stream, classes, protocol and origin."""

import dataclasses
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from i3d_tf.specs.geometry import CENTERS, STEP_RULES
from i3d_tf.specs.labels import read_labels
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.recipe import settings_protocol
from i3d_tf.specs.streams import CHANNELS, FEATURES, JOINT, STREAM_CHOICES
from i3d_tf.specs.validation import check_choice, check_positive
from i3d_tf.system.records import get_list, of_kind, record_errors
from i3d_tf.zoo.heads import choose_head, head_names, select_head
from i3d_tf.zoo.network_file import load_network
from i3d_tf.zoo.resolve import KERAS_FILE, NAME, RUN, ResolvedWeights, resolve
from i3d_tf.zoo.run_record import HISTORY_FILE, read_history, read_run

if TYPE_CHECKING:
    import keras

BOXES_RANK = 3  # of boxes as an input, (N, M, 4); clips have more axes
PROTOCOL_FIELDS = tuple(field.name for field in dataclasses.fields(Protocol))


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network with its metadata.

    Attributes:
        name: The reference it was opened by.
        model: Clips to logits.
        stream: "rgb" or "flow", or "joint" for a network of both; "features" for one that reads
            stored features.
        class_names: In the order of the logits.
        protocol: How clips of a video are made for it.
        sha256: Of its file.
        history: Evaluations during its training, if known.
        width_multiplier: Scale of its numbers of filters.
        split: "train" and "test" to paths of videos below the folder that it was trained on, where
            training chose them itself; else empty.
        features: How the stored features were made that it was trained on, see
            `i3d_tf.data.feature_store.FeatureStore`, and their `channels`; empty for a network that
            sees clips.
        step_rule: Where its steps were taken to be in time when it was trained on frames, see
            `i3d_tf.specs.geometry.head_positions`.
        head: Name of the classifier, of a network that was trained with several; the classes, the
            history and the split are those of its dataset.
    """

    name: str
    model: "keras.Model"
    stream: str
    class_names: tuple[str, ...]
    protocol: Protocol
    sha256: str
    history: list[dict] = field(default_factory=list)
    width_multiplier: float = 1.0
    split: Mapping[str, Collection[str]] = field(default_factory=dict)
    features: Mapping[str, Any] = field(default_factory=dict)
    step_rule: str = CENTERS
    head: str | None = None

    @property
    def precision(self) -> str:
        """The name of its layers' dtype policy: "float32" or "mixed_bfloat16"."""
        return self.model.layers[-1].dtype_policy.name


@dataclass(frozen=True, eq=False)
class Checkpoints:
    """The networks of one or two streams, which fit together.

    Attributes:
        by_stream: Stream, or "joint" for one network of both, to its checkpoint.
        class_names: In the order of the logits; those of the first network where they may differ.
        protocol: How clips of a video are made for all of them; that of the first network where
            fields may differ.
    """

    by_stream: dict[str, Checkpoint]
    class_names: tuple[str, ...]
    protocol: Protocol


def open_checkpoint(
    reference: os.PathLike | str,
    checkpoint_dir: os.PathLike | str | None = None,
    reads_features: bool = False,
    sees_persons: bool | None = False,
    head: str | None = None,
    any_head: bool = False,
) -> Checkpoint:
    """Opens a trained network.

    Args:
        reference: The folder of a training run, which means its best state; a `.keras` file in
            such a folder; or a release or another known name.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        reads_features: Whether it must be a network that reads stored features, or must not.
        sees_persons: Whether it must be a network on persons in boxes, or must not; None allows
            both.
        head: Name of the classifier to use, of a network with several; without effect on others,
            see `check_head_is_used`.
        any_head: Whether the first one will do, as outputs of other layers are wanted.

    Raises:
        FileNotFoundError: The weights or their metadata do not exist.
        ValueError: The weights or their metadata are damaged, or do not fit; or the network has
            several classifiers, and `head` names none of them.
    """
    weights = resolve(reference, checkpoint_dir, (RUN, KERAS_FILE))
    metadata = _read_manifest_row(weights) if weights.kind == NAME else _read_run(weights)
    heads = metadata.pop("heads", {})
    head = next(iter(heads), None) if any_head else choose_head(str(reference), tuple(heads), head)
    model = load_network(weights)
    if head is not None:
        if head not in head_names(model):
            raise ValueError(f"{reference}: it has no head {head}, which {weights.run_file} names.")
        model, metadata = select_head(model, head), {**metadata, **heads[head], "head": head}
    classes, names = model.output_shape[-1], len(metadata["class_names"])
    if classes != names:
        source = "its row in the manifest" if weights.kind == NAME else weights.run_file
        raise ValueError(f"{reference}: it has {classes} classes, and {source} names {names}.")
    stream = stream_of(model)
    _check_reads_features(reference, stream, reads_features)
    if sees_persons is not None:
        check_sees_persons(reference, model, sees_persons)
    return Checkpoint(
        name=weights.reference,
        model=model,
        stream=stream,
        sha256=weights.sha256,
        **metadata,
    )


def check_head_is_used(head: str | None, checkpoints: Collection[Checkpoint]) -> None:
    """Checks that a name of a classifier was given for at least one network with several.

    Raises:
        ValueError: It was not.
    """
    if head is not None and all(each.head is None for each in checkpoints):
        names = " and ".join(each.name for each in checkpoints)
        raise ValueError(f"{names}: it has one head. Leave out --head={head}.")


def open_checkpoints(
    references: Mapping[str, os.PathLike | str],
    checkpoint_dir: os.PathLike | str | None = None,
    *,
    same_classes: bool = True,
    sees_persons: bool = False,
    protocol_fields: Collection[str] = PROTOCOL_FIELDS,
    protocol_overrides: Mapping[str, Any] | None = None,
    head: str | None = None,
    any_head: bool = False,
) -> Checkpoints:
    """Opens the networks of one or two streams and checks that they fit together.

    Args:
        references: Stream, or "joint" for one network of both, to what `open_checkpoint` takes.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        same_classes: Whether the networks must have the same classes.
        sees_persons: See `open_checkpoint`.
        protocol_fields: Fields of the protocol that must be the same.
        protocol_overrides: Values that replace fields of the networks' protocols; None where the
            user cannot give any, so that a message does not ask for them.
        head: Name of the classifier to use, of networks with several.
        any_head: Whether the first one will do, as outputs of other layers are wanted.

    Raises:
        FileNotFoundError: See `open_checkpoint`.
        ValueError: A network is damaged or of another stream, or the networks do not have the same
            classes or protocol.
    """
    if not references:
        raise ValueError("`references` must name at least one network; received none.")
    opened = {}
    for stream, reference in references.items():
        checkpoint = open_checkpoint(
            reference, checkpoint_dir, sees_persons=sees_persons, head=head, any_head=any_head
        )
        opened[stream] = checkpoint
        if checkpoint.stream != stream:
            raise ValueError(
                f"{reference}: is for {checkpoint.stream}, not for {stream}. Name a network for "
                f"{stream}."
            )
    check_head_is_used(head, opened.values())
    first, *others = opened.values()
    if same_classes and any(other.class_names != first.class_names for other in others):
        raise ValueError(
            f"{_names(opened)} do not have the same classes. Name networks that were trained on "
            "the same dataset."
        )
    protocol = _shared_protocol(opened, protocol_fields, protocol_overrides)
    return Checkpoints(opened, first.class_names, protocol)


def _shared_protocol(opened, fields, overrides):
    """Returns the first network's protocol, after comparing some fields with the others'."""
    first, *others = (
        dataclasses.replace(checkpoint.protocol, **overrides or {})
        for checkpoint in opened.values()
    )
    by_stream = dict(zip(opened, (first, *others), strict=True))
    if seeing := [each for s, each in by_stream.items() if s in ("flow", JOINT)]:
        # The direction of flow matters to networks that see it alone.
        direction = seeing[0].flow_direction
        first, *others = (
            each if each in seeing else dataclasses.replace(each, flow_direction=direction)
            for each in by_stream.values()
        )
    for other in others:
        differing = {
            name: f"{name} {_text(getattr(first, name))} and {_text(getattr(other, name))}"
            for name in fields
            if getattr(first, name) != getattr(other, name)
        }
        if differing:
            advice = "Name networks that were trained on the same clips."
            if overrides is not None:
                advice = f"Give {' and '.join(f'--{name}' for name in differing)}."
            raise ValueError(
                f"{_names(opened)} do not have the same protocol: {', '.join(differing.values())}. "
                f"{advice}"
            )
    return first


def _text(value):
    return value if isinstance(value, str) else f"{value:g}"


def _names(opened):
    return " and ".join(checkpoint.name for checkpoint in opened.values())


def find_stream(
    reference: os.PathLike | str, checkpoint_dir: os.PathLike | str | None = None
) -> str:
    """Returns the stream of a trained network, from its metadata where they have it.

    Args:
        reference: See `open_checkpoint`.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.

    Raises:
        FileNotFoundError: See `open_checkpoint`.
        ValueError: See `open_checkpoint`; or it reads stored features.
    """
    weights = resolve(reference, checkpoint_dir, (RUN, KERAS_FILE))
    if weights.kind == NAME:
        stream = weights.row.get("stream")
    elif os.path.lexists(weights.run_file):
        stream = read_run(weights.run_file)["settings"].get("stream")
    else:
        stream = None
    if stream not in (*STREAM_CHOICES, FEATURES):
        stream = stream_of(load_network(weights))
    _check_reads_features(reference, stream, False)
    return stream


def references_by_stream(
    checkpoint: str | None,
    by_stream: Mapping[str, str | None],
    checkpoint_dir: os.PathLike | str | None = None,
) -> dict[str, str]:
    """Returns the networks that a user named, by stream, for `open_checkpoints`.

    Args:
        checkpoint: One network of any stream, or None.
        by_stream: Stream to its network, or None; not used where `checkpoint` is given.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.

    Raises:
        FileNotFoundError: See `find_stream`.
        ValueError: No network was named; or see `find_stream`.
    """
    if checkpoint is not None:
        return {find_stream(checkpoint, checkpoint_dir): checkpoint}
    named = {stream: value for stream, value in by_stream.items() if value is not None}
    if not named:
        flags = " and ".join(f"--{stream}_checkpoint" for stream in by_stream)
        raise ValueError(f"no network was named. Give --checkpoint, or {flags}.")
    return named


def _check_reads_features(reference, stream, expected):
    if expected and stream != FEATURES:
        raise ValueError(
            f"{reference}: it sees clips ({stream}), not features. Leave out --features."
        )
    if stream == FEATURES and not expected:
        raise ValueError(
            f"{reference}: it reads stored features, not videos. Evaluate it (evaluate) with "
            "--features=FOLDER."
        )


def has_boxes(model: "keras.Model") -> bool:
    """Returns whether a network looks at persons in boxes, see `i3d_tf.models.person_i3d`."""
    shapes = _input_shapes(model)
    return len(shapes) == 2 and any(len(shape) == BOXES_RANK for shape in shapes)


def _input_shapes(model):
    shape = model.input_shape  # of several inputs a dictionary, or, of a loaded model, a list
    if isinstance(shape, dict):
        return list(shape.values())
    return shape if isinstance(shape, list) else [shape]


def check_sees_persons(reference: os.PathLike | str, model: "keras.Model", expected: bool) -> None:
    """Refuses a network that does, or does not, look at persons in boxes.

    Raises:
        ValueError: It is of the other kind.
    """
    if has_boxes(model) and not expected:
        raise ValueError(
            f"{reference}: it looks at persons in boxes, and not at whole clips. Use "
            "evaluate_persons, or predict or extract_features with --boxes=FILE."
        )
    if expected and not has_boxes(model):
        raise ValueError(
            f"{reference}: it looks at whole clips, and not at persons in boxes. Train one that "
            "does with --task=persons."
        )


def stream_of(model: "keras.Model") -> str:
    """Returns the stream of a network, by its channels; "joint" where it sees both.

    Where its input is (N, T, C), it reads stored features.
    """
    shapes = _input_shapes(model)
    if has_boxes(model):
        shapes = [shape for shape in shapes if len(shape) != BOXES_RANK]
    if len(shapes) > 1:
        return JOINT
    (shape,) = shapes
    if len(shape) == 3:
        return FEATURES
    streams = {channels: stream for stream, channels in CHANNELS.items()}
    channels = shape[-1]
    if channels not in streams:
        raise ValueError(f"{model.name!r} reads {channels} channels; RGB has 3, flow 2.")
    return streams[channels]


def _read_manifest_row(weights: ResolvedWeights) -> dict:
    """Reads fields of `Checkpoint` from a row of the manifest."""
    labels = weights.row.get("labels")
    try:
        protocol = Protocol(**weights.row.get("protocol", {}))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{weights.reference}: the `protocol` in its row of the manifest is invalid ({error})."
        ) from error
    return {
        "class_names": read_labels(labels) if isinstance(labels, str) else tuple(labels or ()),
        "protocol": protocol,
        "width_multiplier": weights.row.get("width_multiplier", 1.0),
    }


def _read_run(weights: ResolvedWeights) -> dict:
    """Reads fields of `Checkpoint` from the folder of a training run."""
    path = weights.run_file
    if not os.path.lexists(path):
        raise FileNotFoundError(
            f"{path}: no such file. {weights.path.name} must be in the folder of its training run."
        )
    run = read_run(path)
    history = read_history(path.with_name(HISTORY_FILE))
    with record_errors(path, "the settings of a training run", "Restore the file."):
        settings = run["settings"]
        width = check_positive("width_multiplier", settings.get("width_multiplier", 1.0))
        return {
            "class_names": get_list(run, "class_names", str),
            "protocol": settings_protocol(settings),
            "width_multiplier": width,
            "history": history,
            "split": run.get("split", {}),
            "features": of_kind(settings.get("features") or {}, "features", dict),
            "step_rule": check_choice("step_rule", settings.get("step_rule", CENTERS), STEP_RULES),
            "heads": {
                name: {
                    "class_names": get_list(fields, "class_names", str),
                    "split": fields.get("split", {}),
                    "history": [_row_of_head(row, name) for row in history],
                }
                for name, fields in run.get("heads", {}).items()
            },
        }


def _row_of_head(row, head):
    """Returns an evaluation with the values of one classifier in the place of those of all."""
    return {"step": row["step"], **of_kind(row.get("heads", {}).get(head, {}), "heads", dict)}
