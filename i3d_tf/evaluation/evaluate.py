"""Networks over a test set: logits, then the report."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from i3d_tf.data.flow_store import FlowStore
from i3d_tf.data.pipeline import PipelineConfig
from i3d_tf.data.readers import read_dataset
from i3d_tf.evaluation.report import Evaluation, write_report
from i3d_tf.inference.dataset_logits import compute_logits, forward_function
from i3d_tf.specs.streams import JOINT, streams_of
from i3d_tf.zoo.checkpoint import open_checkpoint


@dataclass(frozen=True)
class EvaluateOptions:
    """What to evaluate, and on what.

    Attributes:
        dataset: Name of the reader.
        data_dir: The dataset.
        split: Its split.
        report_dir: Where the report goes.
        rgb_checkpoint: RGB network, see `open_checkpoint`; None leaves the stream out.
        flow_checkpoint: Flow network; None leaves the stream out.
        joint_checkpoint: A network that sees both streams, instead of one for each.
        checkpoint_dir: Where names are looked up.
        flow_dir: Where flow files are, or go.
        flow_engine: What computes flow that is not there yet.
        fusion: "logits" or "probabilities".
        protocol: Fields of `Protocol` that shall differ from the network's own.
        batch_size: Clips at once.
        annotation: Annotation file of the dataset, or their folder.
        quarantine: Videos to leave out.
        workers: Clips made at once.
        freeze_time: Show the middle frame of every clip, repeated: what a network knows without
            motion.
    """

    dataset: str
    data_dir: str
    split: str
    report_dir: str
    rgb_checkpoint: str | None = None
    flow_checkpoint: str | None = None
    joint_checkpoint: str | None = None
    checkpoint_dir: str = "checkpoints"
    flow_dir: str | None = None
    flow_engine: str = "auto"
    fusion: str = "logits"
    protocol: dict = dataclasses.field(default_factory=dict)
    batch_size: int = 4
    annotation: str | None = None
    quarantine: str | None = None
    workers: int | None = None
    freeze_time: bool = False


def evaluate(options: EvaluateOptions) -> dict:
    """Evaluates one or two streams and writes the report.

    Returns:
        The record that report.json holds.

    Raises:
        ValueError: No network was named, or networks and data do not fit.
    """
    asked = {
        "rgb": options.rgb_checkpoint,
        "flow": options.flow_checkpoint,
        JOINT: options.joint_checkpoint,
    }
    asked = {stream: name for stream, name in asked.items() if name is not None}
    if not asked:
        raise ValueError("give --rgb_checkpoint, --flow_checkpoint or both, or --joint_checkpoint.")
    if JOINT in asked and len(asked) > 1:
        raise ValueError("--joint_checkpoint sees both streams; give no other beside it.")
    networks = {s: open_checkpoint(name, options.checkpoint_dir) for s, name in asked.items()}
    for stream, network in networks.items():
        if network.stream != stream:
            raise ValueError(f"{network.name}: is a network for {network.stream}, not {stream}.")
    class_names = {network.class_names for network in networks.values()}
    if len(class_names) > 1:
        raise ValueError("both networks must have the same classes in the same order.")
    (class_names,) = class_names
    dataset = read_dataset(
        options.dataset,
        options.data_dir,
        options.split,
        annotation=options.annotation,
        classes=class_names,
        quarantine=options.quarantine,
    )
    if dataset.class_names != class_names:
        raise ValueError(
            f"{options.dataset} has {len(dataset.class_names)} classes in its own order; the "
            f"networks have {len(class_names)} others."
        )
    protocol = _protocol(options, networks)
    logits, unreadable = {}, {}
    flow_store = None
    if networks.keys() & {"flow", JOINT}:
        flow_store = FlowStore(options.flow_dir, protocol, options.data_dir, options.flow_engine)
        computed = flow_store.compute_missing(example.path for example in dataset.examples)
        if computed is not None:
            print(computed)
    for stream, network in networks.items():
        config = PipelineConfig(
            examples=dataset.examples,
            streams=streams_of(stream),
            protocol=protocol,
            batch_size=options.batch_size,
            seed=0,
            flow_store=flow_store,
            freeze_time=options.freeze_time,
        )
        logits[stream], failures = compute_logits(
            forward_function(network.model), config, options.workers, stream
        )
        unreadable |= failures.reasons
    read = np.all([np.isfinite(values).all(axis=1) for values in logits.values()], axis=0)
    examples = [e for e, seen in zip(dataset.examples, read, strict=True) if seen]
    if not examples:
        raise ValueError(f"{options.data_dir}: no video of {options.split} could be read.")
    facts = _protocol_facts(options, protocol, networks)
    if flow_store is not None:
        facts["flow_engine"] = ", ".join(
            sorted({flow_store.open(e.path).metadata["engine"] for e in examples})
        )
    evaluation = Evaluation(
        class_names=class_names,
        paths=tuple(example.path for example in examples),
        labels=np.array([example.label for example in examples]),
        logits={stream: values[read] for stream, values in logits.items()},
        protocol=facts,
        data_report=_data_facts(dataset.report.as_json(), unreadable),
        history={stream: n.history for stream, n in networks.items() if n.history} or None,
        fusion=options.fusion,
        cuts=tuple((example.start, example.end) for example in examples),
    )
    return write_report(evaluation, options.report_dir)


def _protocol(options, networks):
    """The one protocol that all networks are shown the videos by."""
    first, *others = (
        dataclasses.replace(n.protocol, **options.protocol) for n in networks.values()
    )
    for other in others:
        for name, value in dataclasses.asdict(first).items():
            if value != getattr(other, name):
                raise ValueError(
                    f"the networks expect {name} {value:g} and {getattr(other, name):g}; give "
                    f"--{name}."
                )
    return first


def _data_facts(report, unreadable):
    """The account of the data, with the videos that turned out unreadable."""
    found = [{"path": path, "reason": reason} for path, reason in sorted(unreadable.items())]
    return {**report, "unreadable": [*report["unreadable"], *found]}


def _protocol_facts(options, protocol, networks):
    facts = {
        "dataset": options.dataset,
        "split": options.split,
        "frames": protocol.frames,
        "frame_rate": protocol.frame_rate,
        "clips": protocol.windows,
        "crops": protocol.crops,
        "short_side": protocol.short_side,
        "crop_size": protocol.crop_size,
        "rgb_step": protocol.rgb_step,
        "precision": ", ".join(sorted({n.precision for n in networks.values()})),
        "checkpoints": {
            stream: {"name": network.name, "sha256": network.sha256}
            for stream, network in networks.items()
        },
    }
    if options.freeze_time:
        facts["time"] = "frozen: the middle frame of every clip, repeated"
    return facts


def summary(record, report_dir) -> list[str]:
    """The lines that show the outcome on a terminal."""
    lines = [f"{record['videos']} videos, {len(record['classes'])} classes"]
    for name, numbers in record["results"].items():
        top_5 = "" if numbers["top_5"] is None else f", top-5 {numbers['top_5']:.1%}"
        lines.append(f"  {name:<6} top-1 {numbers['top_1']:.1%}{top_5}")
    lines += [f"  note: {note}" for note in record["data"]["notes"]]
    return [*lines, f"report: {report_dir}/index.html"]
