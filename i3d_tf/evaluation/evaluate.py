"""Evaluation of networks on a test set: logits, then the report."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from i3d_tf.data.clips import clip_processes, unusual_folder_rate, unusual_options
from i3d_tf.data.example import VideoDataset
from i3d_tf.data.feature_store import FeatureStore, check_feature_folder
from i3d_tf.data.flow_store import FlowStore
from i3d_tf.data.pipeline import PipelineConfig
from i3d_tf.evaluation.measure import Evaluation
from i3d_tf.evaluation.report import check_report_dir, write_report
from i3d_tf.evaluation.results import Results
from i3d_tf.evaluation.test_records import read_film_records, read_test_records
from i3d_tf.inference.dataset_logits import compute_logits, forward_function
from i3d_tf.inference.test_set import read_test_set
from i3d_tf.records.pipeline import RecordConfig
from i3d_tf.records.record_set import RecordSet
from i3d_tf.specs.datasets import check_has_classes
from i3d_tf.specs.protocol import SPREAD, Protocol
from i3d_tf.specs.streams import BOTH, FEATURES, JOINT, inputs_of
from i3d_tf.system.report_folder import report_folder
from i3d_tf.zoo import open_checkpoints
from i3d_tf.zoo.checkpoint import (
    Checkpoint,
    Checkpoints,
    check_head_is_used,
    open_checkpoint,
)

# Options of videos, which records have behind them.
RECORDS_EXCLUDE = (
    *("data_dir", "flow_dir", "annotation", "quarantine", "features"),
    "input_processes",
)


@dataclass(frozen=True)
class EvaluateOptions:
    """The networks, the data and the protocol of an evaluation.

    Attributes:
        dataset: Name of the dataset's reader; without effect on records.
        data_dir: Folder of the dataset; None with records.
        split: Its split; of class folders without folders for splits, and of records, that of the
            networks' runs, where these chose one.
        report_dir: Folder of the report.
        rgb_checkpoint: RGB network, see `open_checkpoint`; None leaves the stream out.
        flow_checkpoint: Flow network; None leaves the stream out.
        joint_checkpoint: A network that sees both streams, instead of one for each.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        flow_dir: Folder of the flow files; those that are missing are computed.
        flow_engine: Engine that computes them.
        flow_rounding: How their codes are rounded and unpacked, see `FlowStore`.
        fusion: "logits", "probabilities" or "log_probabilities".
        protocol: Fields of `Protocol` that replace the networks' own.
        batch_size: Clips at once.
        annotation: Annotation file of the dataset, or the folder of its files.
        quarantine: List of unreadable videos to leave out.
        workers: Clips made at once.
        input_processes: Processes that decode the clips, see `i3d_tf.data.clips.clip_processes`;
            None decodes them in threads of this one.
        freeze_time: Show the middle frame of every clip, repeated: accuracy without motion.
        fusion_weights: Weights of the two streams, RGB first; None for equal ones.
        features: Folder of the videos' stored features.
        features_checkpoint: Network that reads these, instead of any other.
        head: Name of the classifier to use, of networks that were trained with several.
        records: Shards of records to evaluate on instead of videos, see
            `i3d_tf.records.record_set.find_shards`.
    """

    dataset: str
    data_dir: str | None
    split: str
    report_dir: str
    rgb_checkpoint: str | None = None
    flow_checkpoint: str | None = None
    joint_checkpoint: str | None = None
    checkpoint_dir: os.PathLike | str | None = None
    flow_dir: str | None = None
    flow_engine: str = "auto"
    flow_rounding: str | None = None
    fusion: str = "logits"
    protocol: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 4
    annotation: str | None = None
    quarantine: str | None = None
    workers: int | None = None
    input_processes: int | None = None
    freeze_time: bool = False
    fusion_weights: tuple[float, ...] | None = None
    features: str | None = None
    features_checkpoint: str | None = None
    head: str | None = None
    records: str | None = None

    @property
    def checkpoints(self) -> dict[str, str]:
        """Stream, or "joint" or "features", to the network that was named for it.

        Raises:
            ValueError: No network was named, or another beside a joint one.
        """
        given = {
            "rgb": self.rgb_checkpoint,
            "flow": self.flow_checkpoint,
            JOINT: self.joint_checkpoint,
            FEATURES: self.features_checkpoint,
        }
        named = {stream: name for stream, name in given.items() if name is not None}
        if not named:
            raise ValueError(
                "no network was named. Give --rgb_checkpoint, --flow_checkpoint or both, or "
                "--joint_checkpoint."
            )
        if JOINT in named and len(named) > 1:
            raise ValueError(
                "--joint_checkpoint sees both streams. Give no other network beside it."
            )
        if (FEATURES in named) != (self.features is not None) or set(named) > {FEATURES}:
            raise ValueError(
                "--features is the folder of what one network reads. Give it with --checkpoint, "
                "that network, and no other."
            )
        return named


def evaluate(options: EvaluateOptions) -> Results:
    """Evaluates one or two streams and writes the report.

    Raises:
        ValueError: No network was named, or networks and data do not fit.
        OSError: The folder of the report cannot be written, or another process writes into it.
    """
    _check_source(options)
    check_report_dir(options.report_dir)
    opened = _open_networks(options)
    networks, class_names, protocol = opened.by_stream, opened.class_names, opened.protocol
    dataset, records = _read_source(options, networks, class_names, protocol)
    feature_store = _open_features(options, dataset, networks)
    with report_folder(options.report_dir):
        flow_store = None
        if records is None and any("flow" in inputs_of(stream) for stream in networks):
            flow_store = FlowStore(
                options.flow_dir,
                protocol,
                options.data_dir,
                options.flow_engine,
                options.flow_rounding,
            )
            flow_store.compute_missing(example.path for example in dataset.examples)
        with clip_processes(options.input_processes, flow_store, feature_store) as processes:
            inputs: dict[str, Any] = {
                "flow_store": flow_store,
                "feature_store": feature_store,
                "clip_processes": processes,
            }
            if records is not None:
                inputs |= {"places": records.places, "flow_rounding": options.flow_rounding}
            logits, unreadable = _compute_logits(options, networks, protocol, dataset, inputs)
        read = np.all([np.isfinite(values).all(axis=1) for values in logits.values()], axis=0)
        examples = [e for e, is_read in zip(dataset.examples, read, strict=True) if is_read]
        if not examples:
            if records is not None:
                raise ValueError(f"{options.records}: no record could be read.")
            raise ValueError(f"{options.data_dir}: no video of {options.split} could be read.")
        metadata = _protocol_metadata(options, protocol, networks, feature_store)
        if flow_store is not None:
            flows = [flow_store.open(example.path) for example in examples]
            engines, roundings = {f.metadata["engine"] for f in flows}, {f.rounding for f in flows}
            metadata["flow_engine"] = ", ".join(sorted(engines))
            metadata["flow_rounding"] = ", ".join(sorted(roundings))
        if records is not None:
            metadata |= _records_metadata(options, records, dataset, networks)
        evaluation = Evaluation(
            class_names=class_names,
            paths=(example.path for example in examples),
            labels=np.array([example.label for example in examples]),
            logits={stream: values[read] for stream, values in logits.items()},
            protocol=metadata,
            data_report=_data_report(dataset, unreadable),
            history={stream: n.history for stream, n in networks.items() if n.history},
            fusion=options.fusion,
            fusion_weights=options.fusion_weights,
            cuts=[(example.start, example.end) for example in examples],
        )
        read_frames = None if records is None else partial(read_film_records, records)
        return write_report(evaluation, options.report_dir, read_frames)


def _check_source(options):
    """Checks that there are videos or records, and for records nothing that only videos have."""
    if options.records is None:
        if options.data_dir is None:
            raise ValueError(
                "`data_dir` must be the folder of a dataset; received None. Give --data_dir, or "
                "--records to evaluate on records."
            )
        check_has_classes(options.dataset)
        return
    for name in RECORDS_EXCLUDE:
        if (value := getattr(options, name)) is not None:
            raise ValueError(
                f"`{name}` must be None with records; received {value!r}. Leave it out, or "
                "evaluate on the videos: give --data_dir without --records."
            )


def _read_source(options, networks, class_names, protocol) -> tuple[VideoDataset, RecordSet | None]:
    """Reads the test set, and the records that it is of, where it is of records."""
    if options.records is not None:
        records = read_test_records(options.records, options.split, networks, class_names, protocol)
        return records.dataset, records
    dataset = read_test_set(
        options.dataset,
        options.data_dir,
        options.split,
        networks,
        class_names,
        options.annotation,
        options.quarantine,
    )
    return dataset, None


def _open_networks(options) -> Checkpoints:
    """Opens the networks, of which one may read stored features."""
    references, protocol = options.checkpoints, options.protocol
    if FEATURES not in references:
        return open_checkpoints(
            references, options.checkpoint_dir, protocol_overrides=protocol, head=options.head
        )
    check_feature_folder(options.features)
    if others := sorted(set(protocol) - {"frames"}):
        raise ValueError(
            f"`protocol` must have frames alone with features, which are rows of them; received "
            f"{', '.join(others)}. Leave out {' and '.join(f'--{name}' for name in others)}."
        )
    network = open_checkpoint(
        references[FEATURES], options.checkpoint_dir, reads_features=True, head=options.head
    )
    check_head_is_used(options.head, [network])
    protocol = dataclasses.replace(network.protocol, **protocol)
    return Checkpoints({FEATURES: network}, network.class_names, protocol)


def _open_features(options, dataset, networks) -> FeatureStore | None:
    """Opens the stored features of a test set, and checks that they are those of the training."""
    if options.features is None:
        return None
    network = networks[FEATURES]
    store = FeatureStore(options.features, dataset.examples, options.data_dir)
    channels = network.model.input_shape[-1]
    if store.channels != channels:
        raise ValueError(
            f"{options.features}: its features have {store.channels} channels, and {network.name} "
            f"reads {channels}. Name the folder of those that it was trained on."
        )
    if network.features:
        wanted = {key: value for key, value in network.features.items() if key != "channels"}
        store.check_settings(wanted, network.name)
    return store


def _compute_logits(options, networks, protocol, dataset, inputs):
    """Returns stream to logits, NaN for unreadable videos, and these videos with reasons."""
    logits, unreadable = {}, {}
    make = RecordConfig if "places" in inputs else PipelineConfig
    for stream, network in networks.items():
        config = make(
            examples=dataset.examples,
            streams=inputs_of(stream),
            protocol=protocol,
            batch_size=options.batch_size if inputs["feature_store"] is None else 1,
            seed=0,
            freeze_time=options.freeze_time,
            **inputs,
        )
        logits[stream], failures = compute_logits(
            forward_function(network.model), config, options.workers, stream
        )
        unreadable |= failures.reasons
    return logits, unreadable


def _protocol_metadata(
    options: EvaluateOptions,
    protocol: Protocol,
    networks: Mapping[str, Checkpoint],
    feature_store: FeatureStore | None,
) -> dict[str, Any]:
    """Returns how the clips were made, by the keys of report.json."""
    sampling: dict[str, Any] = {
        "frames": protocol.frames,
        "frame_rate": protocol.frame_rate,
        "clips": protocol.windows,
        "crops": protocol.crops,
        "short_side": protocol.short_side,
        "crop_size": protocol.crop_size,
        "rgb_step": protocol.rgb_step,
    }
    if feature_store is not None:
        sampling = {"features": {"channels": feature_store.channels, **feature_store.settings}}
        if "frames" in options.protocol:
            sampling["frames"] = protocol.frames
    metadata = {
        "dataset": options.dataset,
        "split": options.split,
        **sampling,
        "precision": ", ".join(sorted({network.precision for network in networks.values()})),
        "checkpoints": {
            stream: {"name": network.name, "sha256": network.sha256}
            for stream, network in networks.items()
        },
    }
    if protocol.segments > 1:
        metadata["segments"] = protocol.segments
    if protocol.crop_set != SPREAD:
        metadata["crop_set"] = protocol.crop_set
    if options.head is not None:
        metadata["head"] = options.head
    if protocol.flow_direction == BOTH:
        metadata["flow_direction"] = protocol.flow_direction
    if (rate := unusual_folder_rate()) is not None:
        metadata["folder_rate"] = rate
    if (words := unusual_options()) is not None:
        metadata["video_options"] = words
    if options.freeze_time:
        metadata["time"] = "frozen: the middle frame of every clip, repeated"
    return metadata


def _records_metadata(options, records, dataset, networks):
    """Returns how the pictures of records were made, by the keys of report.json."""
    settings = dict(records.settings)
    flow = settings.pop("flow", None) or {}
    metadata: dict[str, Any] = {
        "dataset": dataset.report.name,
        "split": dataset.report.split,
        "records": settings,
    }
    if any("flow" in inputs_of(stream) for stream in networks):
        stored = {records.places[each.path].record.flow_rounding for each in dataset.examples}
        metadata["flow_engine"] = flow.get("algorithm")
        metadata["flow_rounding"] = options.flow_rounding or ", ".join(sorted(stored))
    return metadata


def _data_report(dataset: VideoDataset, unreadable: Mapping[str, str]) -> dict[str, Any]:
    """Returns the dataset's report, with the videos that turned out unreadable."""
    report = dataset.report.as_json()
    failed = [{"path": path, "reason": reason} for path, reason in sorted(unreadable.items())]
    return {**report, "unreadable": [*report["unreadable"], *failed]}
