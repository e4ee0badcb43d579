"""Evaluation of networks on videos with actions in time: which there are, and when.

At the points and by the rules of Charades, or at every frame.
"""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i3d_tf.data.flow_store import FlowStore
from i3d_tf.data.pipeline import Failures, PipelineConfig
from i3d_tf.data.readers import read_dataset
from i3d_tf.evaluation.charades import (
    CLASSIFY,
    LOCALIZE,
    charades_average_precisions,
    localization_times,
    write_charades_submission,
)
from i3d_tf.evaluation.score import Score, absent_videos
from i3d_tf.evaluation.score_report import check_score_dir, write_score
from i3d_tf.evaluation.text import FUSION_NAMES, RESULT_NAMES, counted
from i3d_tf.evaluation.video_scores import VideoScores
from i3d_tf.inference.dataset_logits import compute_logits, forward_function
from i3d_tf.inference.frame_logits import FrameLogits, gives_frame_logits
from i3d_tf.metrics.average_precision import class_average_precisions
from i3d_tf.specs.datasets import INTERVALS
from i3d_tf.specs.recipe import FRAMES
from i3d_tf.specs.streams import inputs_of
from i3d_tf.specs.validation import check_choice
from i3d_tf.zoo.checkpoint import Checkpoints, open_checkpoints

TASKS = (CLASSIFY, LOCALIZE, FRAMES)
SUBMISSION_FILE = "submission.txt"


@dataclass(frozen=True)
class IntervalOptions:
    """The networks and the videos of an evaluation.

    Attributes:
        data_dir: Folder of the videos.
        intervals: Annotation file, see `i3d_tf.data.intervals.read_intervals`.
        output_dir: Folder of the score and the submission.
        checkpoints: "rgb" and "flow", or one of them, to what `open_checkpoint` takes; logits of
            two networks are added.
        task: "classify" asks which classes a video has, "localize" which there are at each of 25
            points (both by Charades's rules), and "frames" which there are in every frame.
        split: Split of the annotation, if it has any.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        flow_dir: Folder of the flow files; those that are missing are computed.
        flow_engine: Engine that computes them.
        flow_rounding: See `FlowStore`.
        quarantine: List of unreadable videos to leave out.
        workers: Clips made at once, of a network that is asked about clips.
        batch_size: Clips at once, likewise.
    """

    data_dir: str
    intervals: str
    output_dir: str
    checkpoints: Mapping[str, str]
    task: str = LOCALIZE
    split: str = "test"
    checkpoint_dir: os.PathLike | str | None = None
    flow_dir: str | None = None
    flow_engine: str = "auto"
    flow_rounding: str | None = None
    quarantine: str | None = None
    workers: int | None = None
    batch_size: int = 4

    def __post_init__(self):
        check_choice("task", self.task, TASKS)


def evaluate_intervals(options: IntervalOptions) -> Score:
    """Evaluates one or two streams; writes the score, and for Charades's tasks the submission.

    A video that is missing or cannot be read is left out, and a note says so; Charades's program
    would give it the lowest scores.

    Raises:
        ValueError: Networks and videos do not fit, or no video could be read.
        OSError: A file cannot be read or written.
    """
    folder = Path(options.output_dir)
    check_score_dir(folder)
    folder.mkdir(parents=True, exist_ok=True)
    networks = open_checkpoints(options.checkpoints, options.checkpoint_dir)
    dataset = read_dataset(
        INTERVALS,
        options.data_dir,
        options.split,
        annotation=options.intervals,
        classes=networks.class_names,
        quarantine=options.quarantine,
    )
    flow_store = None
    if any("flow" in inputs_of(stream) for stream in networks.by_stream):
        flow_store = FlowStore(
            options.flow_dir,
            networks.protocol,
            options.data_dir,
            options.flow_engine,
            options.flow_rounding,
        )
        flow_store.compute_missing(example.path for example in dataset.examples)
    scores, reasons = _scores(options, networks, dataset, flow_store)
    if not scores:
        raise ValueError(f"{options.data_dir}: no video of {options.split} could be read.")
    protocol = _protocol(options, networks, flow_store)
    score = _score(options.task, scores, dataset, reasons, protocol, folder)
    more = {
        "data": dataset.report.as_json(),
        "unreadable": reasons,
        "checkpoints": {
            stream: {"name": network.name, "sha256": network.sha256}
            for stream, network in networks.by_stream.items()
        },
    }
    write_score(score, folder, more)
    return score


def _protocol(options, networks: Checkpoints, flow_store):
    """Returns how the scores were made, for the page."""
    protocol, by_stream = networks.protocol, networks.by_stream
    rows: dict[str, Any] = {
        f"{RESULT_NAMES[stream]} network": {"name": network.name, "sha256": network.sha256}
        for stream, network in by_stream.items()
    }
    if len(by_stream) > 1:
        rows["Fusion of the networks"] = FUSION_NAMES["logits"]
    rows |= {"Annotation": options.intervals, "Split": options.split}
    if options.task == CLASSIFY:
        is_clips = not all(gives_frame_logits(each.model) for each in by_stream.values())
        rows["A video"] = (
            f"mean of {counted(protocol.views, 'clip')} of {counted(protocol.frames, 'frame')}"
            if is_clips
            else "the highest logits of its frames"
        )
    else:
        rules = sorted({network.step_rule for network in by_stream.values()})
        rows["Steps of the network in time"] = ", ".join(rules)
    rows |= {
        "Frames per second": protocol.frame_rate,
        "Short side": f"{protocol.short_side} pixels",
        "Crop": f"{protocol.crop_size} x {protocol.crop_size} pixels, of the center",
    }
    if flow_store is not None:
        rows["Optical flow engine"] = options.flow_engine
    return rows


def _scores(options, networks: Checkpoints, dataset, flow_store):
    """Returns the scores of the videos that all networks could read, and reasons of the others."""
    found: list[VideoScores | None] = [None] * len(dataset.examples)
    reasons: dict[str, str] = {}
    for stream, network in networks.by_stream.items():
        config = PipelineConfig(
            examples=dataset.examples,
            streams=inputs_of(stream),
            protocol=networks.protocol,
            batch_size=options.batch_size,
            seed=0,
            flow_store=flow_store,
        )
        if options.task == CLASSIFY and not gives_frame_logits(network.model):
            of_network = _clip_scores(network, config, options.workers, reasons)
        else:
            of_network = _frame_scores(network, config, options.task, reasons)
        found = [_added(*pair) for pair in zip(found, of_network, strict=True)]
    return [
        video
        for example, video in zip(dataset.examples, found, strict=True)
        if video is not None and example.path not in reasons
    ], reasons


def _added(before, now):
    if before is None or now is None:
        return now
    return dataclasses.replace(now, values=before.values + now.values)


def _clip_scores(network, config, workers, reasons):
    """Yields the mean logits of each video's clips, or None."""
    forward = forward_function(network.model)
    logits, failures = compute_logits(forward, config, workers, network.stream)
    reasons |= failures.reasons
    for example, row in zip(config.examples, logits, strict=True):
        is_read = np.isfinite(row).all()
        yield VideoScores(example.actions, np.zeros(1), row[np.newaxis]) if is_read else None


def _frame_scores(network, config, task, reasons):
    """Yields the logits of each video at the times that are asked about, or None.

    For the whole video, the highest of each class counts, as in training.
    """
    frame_logits = FrameLogits(network.model, config, network.step_rule)
    failures = Failures()
    for example, logits in frame_logits.of_all(failures, network.stream):
        if logits is None:
            yield None
            continue
        actions = example.actions
        if actions.duration is None:
            duration = logits.num_frames / logits.frame_rate
            actions = dataclasses.replace(actions, duration=duration)
        times = logits.frame_times
        if task == LOCALIZE:
            times = localization_times(actions.duration)
        values = logits.at(times)
        if task == CLASSIFY:
            times, values = np.zeros(1), values.max(axis=0, keepdims=True)
        yield VideoScores(actions, times, values)
    reasons |= failures.reasons


def _score(task, scores, dataset, reasons, protocol, folder):
    """Returns the score; writes the submission of Charades's tasks."""
    names, report = dataset.class_names, dataset.report
    notes = list(report.notes)
    if absent := [*report.missing, *dict(report.quarantined), *reasons]:
        notes.append(
            f"{len(absent)} videos are missing or cannot be read, and left out, such as "
            f"{absent[0]}; by the official rules they would have the lowest scores"
        )
    if task == FRAMES:
        rule = FRAMES
        values = np.concatenate([video.values for video in scores])
        targets = np.concatenate([video.targets for video in scores])
        found = class_average_precisions(values, targets)
    else:
        rule, rows = f"charades_{task}", {}
        for video in scores:
            for point, row in enumerate(video.values, start=1):
                key = (video.actions.name,)
                rows[(*key, str(point)) if task == LOCALIZE else key] = row
        write_charades_submission(folder / SUBMISSION_FILE, rows)
        videos = [video.actions for video in scores]
        found = charades_average_precisions(videos, len(names), rows, task)
    return Score(
        rule,
        names,
        {None: found},
        tuple(notes),
        report.skipped,
        absent_videos(report, reasons),
        {"Dataset": report.name, **protocol, "Videos": len(scores)},
        tuple(scores) if task != CLASSIFY else (),
        are_logits=True,
    )
