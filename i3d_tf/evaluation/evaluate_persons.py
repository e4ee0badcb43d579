"""Evaluation of networks on persons in boxes, by the rules of AVA."""

import csv
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i3d_tf.data.ava import Frame, read_frames, read_label_map, read_persons
from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.example import VideoDataset, VideoExample
from i3d_tf.data.flow_store import FlowStore
from i3d_tf.data.pipeline import PipelineConfig
from i3d_tf.evaluation.score import Score, absent_videos, score_submission
from i3d_tf.evaluation.score_report import check_score_dir, write_score
from i3d_tf.evaluation.text import FUSION_NAMES, RESULT_NAMES
from i3d_tf.inference.person_dataset import read_person_dataset
from i3d_tf.inference.person_logits import compute_person_logits, person_function
from i3d_tf.specs.recipe import PERSONS
from i3d_tf.system.files import atomic_write
from i3d_tf.zoo.checkpoint import Checkpoints, open_checkpoints

SUBMISSION_FILE = "submission.csv"


@dataclass(frozen=True)
class PersonOptions:
    """The networks, the videos and the boxes of an evaluation.

    Attributes:
        data_dir: Folder of the videos.
        truth: The annotation, see `i3d_tf.data.ava.read_persons`.
        label_map: File of the actions that count, see `i3d_tf.data.ava.read_label_map`.
        output_dir: Folder of the score and the submission.
        checkpoints: "rgb" and "flow", or one of them, to what `open_checkpoint` takes; logits of
            two networks are added.
        boxes: A detector's file of persons; None takes the true boxes.
        min_score: Lowest score of a detected person; None takes all.
        exclusions: Frames to leave out, for the rule before April 2020.
        time_offset: Seconds of the files at which the videos start.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        flow_dir: Folder of the flow files; those that are missing are computed.
        flow_engine: Engine that computes them.
        flow_rounding: See `FlowStore`.
        quarantine: List of unreadable videos to leave out.
        workers: Clips made at once.
    """

    data_dir: str
    truth: str
    label_map: str
    output_dir: str
    checkpoints: Mapping[str, str]
    boxes: str | None = None
    min_score: float | None = None
    exclusions: str | None = None
    time_offset: float = 0.0
    checkpoint_dir: os.PathLike | str | None = None
    flow_dir: str | None = None
    flow_engine: str = "auto"
    flow_rounding: str | None = None
    quarantine: str | None = None
    workers: int | None = None


def evaluate_persons(options: PersonOptions) -> Score:
    """Evaluates one or two streams; writes the score and the submission.

    Clips are whole frames around the key frames, without a crop. The score is that of the
    submission: persons in videos that are missing or cannot be read count as not found, and a note
    says so.

    Raises:
        ValueError: Networks, actions and videos do not fit, or no video could be read.
        OSError: A file cannot be read or written.
    """
    if options.boxes is None and options.min_score is not None:
        raise ValueError("`min_score` needs `boxes`, a detector's file; true boxes have no scores.")
    folder = Path(options.output_dir)
    check_score_dir(folder)
    actions = read_label_map(options.label_map)
    if options.exclusions is not None:
        read_frames(options.exclusions)  # before hours of work
    networks = open_checkpoints(options.checkpoints, options.checkpoint_dir, sees_persons=True)
    labels = _labels(options, actions, networks.class_names)
    dataset = _read(options, actions, networks)
    folder.mkdir(parents=True, exist_ok=True)
    logits, reasons = _logits(options, networks, dataset)
    submission = folder / SUBMISSION_FILE
    write_person_submission(submission, dataset.examples, logits, labels)
    score = score_submission(
        "ava", options.truth, submission, options.label_map, options.exclusions
    )
    report = dataset.report
    lost = [*report.missing, *(path for path, _ in report.quarantined), *sorted(reasons)]
    notes = [*report.notes, *score.notes]
    if lost:
        notes.append(
            f"{len(lost)} videos are missing or cannot be read, such as {lost[0]}; their persons "
            "count as not found, as by the official rules"
        )
    unknown = [name for number, name in actions.items() if labels[number] is None]
    if unknown:
        notes.append(f"{len(unknown)} actions are not the network's, such as {unknown[0]!r}")
    score = dataclasses.replace(
        score,
        notes=tuple(notes),
        skipped=tuple(dict.fromkeys((*report.skipped, *score.skipped))),
        left_out={**absent_videos(report, reasons), **score.left_out},
        protocol={**_protocol(options, networks), **score.protocol},
    )
    more = {
        "data": report.as_json(),
        "unreadable": reasons,
        "checkpoints": {
            stream: {"name": network.name, "sha256": network.sha256}
            for stream, network in networks.by_stream.items()
        },
    }
    write_score(score, folder, more)
    return score


def write_person_submission(
    path: os.PathLike | str,
    examples: Sequence[VideoExample],
    logits: Sequence[np.ndarray | None],
    labels: Mapping[int, int | None],
) -> None:
    """Writes a submission in AVA's form, a row for each person and action.

    Args:
        path: The file.
        examples: Examples of one key frame each.
        logits: float (M, classes) of the persons of each; None leaves an example out.
        labels: Number of an action to its class; those without one are left out.

    Raises:
        OSError: It cannot be written.
    """
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for example, rows in zip(examples, logits, strict=True):
            if rows is not None:
                writer.writerows(_rows(example, rows, labels))


def _rows(example, logits, labels) -> Iterator[list[Any]]:
    (key_frame,) = example.key_frames
    scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
    stamp = key_frame.timestamp
    text = f"{stamp:04.0f}" if stamp == int(stamp) else f"{stamp:.6f}"
    for person, row in zip(key_frame.persons, scores, strict=True):
        for number, label in labels.items():
            if label is not None:
                yield [key_frame.video, text, *person.box, number, f"{row[label]:.7g}"]


def _labels(options, actions, class_names):
    """Returns the number of each action to the network's class, or None."""
    names = ClassNames(class_names)
    labels = {number: names.find(name) for number, name in actions.items()}
    if all(label is None for label in labels.values()):
        raise ValueError(
            f"{options.label_map}: none of its {len(actions)} actions is one of the network's, "
            f"such as {class_names[0]!r}. Give the label map that it was trained with."
        )
    return labels


def _read(options, actions, networks) -> VideoDataset:
    """Reads the key frames that count, with true or with detected boxes."""
    dataset = read_person_dataset(
        options.data_dir,
        options.truth if options.boxes is None else options.boxes,
        actions,
        networks.protocol.frame_rate,
        networks.class_names,
        options.quarantine,
        options.time_offset,
        min_score=options.min_score,
    )
    if options.boxes is None or options.exclusions is not None:
        return dataset
    frames = read_persons(options.truth, actions).frames
    examples = tuple(each for each in dataset.examples if _frame(each) in frames)
    notes = list(dataset.report.notes)
    if others := len(dataset.examples) - len(examples):
        notes.append(f"{others} frames of the boxes are not in the truth, and left out")
    if not examples:
        raise ValueError(
            f"{options.boxes}: none of its frames is in {options.truth}. Give the boxes of these "
            "videos."
        )
    report = dataclasses.replace(dataset.report, notes=tuple(notes))
    return dataclasses.replace(dataset, examples=examples, report=report)


def _frame(example):
    (key_frame,) = example.key_frames
    return Frame(key_frame.video, key_frame.timestamp)


def _logits(options, networks: Checkpoints, dataset):
    """Returns the sum of the networks' logits of each example, and reasons of unreadable videos."""
    total: list[np.ndarray | None] = [None] * len(dataset.examples)
    reasons: dict[str, str] = {}
    for index, (stream, network) in enumerate(networks.by_stream.items()):
        flow_store = None
        if stream == "flow":
            flow_store = FlowStore(
                options.flow_dir,
                networks.protocol,
                options.data_dir,
                options.flow_engine,
                options.flow_rounding,
            )
            flow_store.compute_missing({each.path: None for each in dataset.examples})
        config = PipelineConfig(
            examples=dataset.examples,
            streams=(stream,),
            protocol=networks.protocol,
            batch_size=1,
            seed=0,
            flow_store=flow_store,
            task=PERSONS,
            classes=len(networks.class_names),
        )
        forward = person_function(network.model)
        found, failures = compute_person_logits(forward, config, options.workers, stream)
        reasons |= failures.reasons
        if index:
            found = [
                None if a is None or b is None else a + b for a, b in zip(total, found, strict=True)
            ]
        total = found
    if all(rows is None for rows in total):
        fault = next(iter(reasons.values()), "there is nobody in its key frames")
        raise ValueError(f"{options.data_dir}: no person could be looked at: {fault}.")
    return total, reasons


def _protocol(options, networks: Checkpoints):
    """Returns how the scores were made, for the page."""
    protocol = networks.protocol
    rows: dict[str, Any] = {
        f"{RESULT_NAMES[stream]} network": {"name": network.name, "sha256": network.sha256}
        for stream, network in networks.by_stream.items()
    }
    if len(networks.by_stream) > 1:
        rows["Fusion of the networks"] = FUSION_NAMES["logits"]
    rows["Boxes"] = "the true ones" if options.boxes is None else options.boxes
    if options.min_score is not None:
        rows["Lowest score of a box"] = options.min_score
    return rows | {
        "Frames of a clip": protocol.frames,
        "Frames per second": protocol.frame_rate,
        "Short side": f"{protocol.short_side} pixels, whole frames",
    }
