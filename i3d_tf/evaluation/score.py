"""Scores of submission files, by the rules of the benchmarks that they are for."""

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from i3d_tf.data.ava import read_frames, read_label_map, read_persons
from i3d_tf.data.example import DataReport
from i3d_tf.data.intervals import (
    read_activitynet_detections,
    read_activitynet_truth,
    read_intervals,
)
from i3d_tf.evaluation.ava import ava_average_precisions
from i3d_tf.evaluation.charades import (
    CLASSIFY,
    LOCALIZE,
    POINTS,
    charades_average_precisions,
    localization_times,
    read_charades_submission,
)
from i3d_tf.evaluation.video_scores import VideoScores
from i3d_tf.metrics.average_precision import ClassScores
from i3d_tf.metrics.detection import (
    ACTIVITYNET_THRESHOLDS,
    MAX_DETECTIONS,
    THUMOS14_THRESHOLDS,
    Segment,
    segment_average_precisions,
)
from i3d_tf.specs.datasets import SCORING_RULES
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.tables import SkippedRow

CHARADES_TASKS = {"charades_classify": CLASSIFY, "charades_localize": LOCALIZE}
OVERLAPS = {"activitynet": ACTIVITYNET_THRESHOLDS, "thumos14": THUMOS14_THRESHOLDS}
MAX_SHOWN = 5  # skipped rows of a file on the terminal


@dataclass(frozen=True)
class Score:
    """The score of a submission.

    Attributes:
        rule: One of `SCORING_RULES`.
        class_names: Of the values.
        by_overlap: Overlap of a correct detection, or None where there is none, to the average
            precisions.
        notes: What a user should know, a sentence each.
        skipped: Rows of the files that are not valid.
        left_out: What does not count, or has no scores, such as "videos of the annotation have no
            scores", to names of videos, frames or classes.
        protocol: How the scores were made, a name to its value.
        videos: The scores along each video, where they are known at several times.
        are_logits: Whether these are logits, of which a sigmoid makes probabilities.
    """

    rule: str
    class_names: tuple[str, ...]
    by_overlap: dict[float | None, ClassScores]
    notes: tuple[str, ...] = ()
    skipped: tuple[SkippedRow, ...] = ()
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    videos: tuple[VideoScores, ...] = ()
    are_logits: bool = False

    @property
    def mean(self) -> float:
        """The mean average precision; of several overlaps, their mean."""
        return float(np.mean([scores.mean for scores in self.by_overlap.values()]))

    def lines(self) -> list[str]:
        """Returns the lines that show the score on a terminal."""
        lines = []
        for overlap, scores in self.by_overlap.items():
            where = "" if overlap is None else f" at an overlap of {overlap:.2f}"
            lines.append(f"mAP{where}: {scores.mean:.6f}")
        if len(self.by_overlap) > 1:
            lines.append(f"mAP, mean of these: {self.mean:.6f}")
        else:
            (scores,) = self.by_overlap.values()
            lines.append(f"mAP weighted by positives: {scores.weighted_mean:.6f}")
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"skipped: {row}" for row in self.skipped[:MAX_SHOWN]]
        if len(self.skipped) > MAX_SHOWN:
            lines.append(f"skipped: ... and {len(self.skipped) - MAX_SHOWN} more")
        return lines

    def as_json(self) -> dict[str, Any]:
        """Returns plain values; None stands for a class without positives."""
        values = [
            {
                "overlap": overlap,
                "mAP": _plain(scores.mean),
                "wAP": _plain(scores.weighted_mean),
                "by_class": dict(
                    zip(self.class_names, map(_plain, scores.by_class.tolist()), strict=True)
                ),
            }
            for overlap, scores in self.by_overlap.items()
        ]
        return {
            "rule": self.rule,
            "mAP": _plain(self.mean),
            "values": values,
            "notes": list(self.notes),
            "skipped": list(map(str, self.skipped)),
            "left_out": {kind: list(names) for kind, names in self.left_out.items()},
        }


def score_submission(
    rule: str,
    truth: os.PathLike | str,
    predictions: os.PathLike | str,
    label_map: os.PathLike | str | None = None,
    exclusions: os.PathLike | str | None = None,
    subset: str | None = None,
    overlaps: Sequence[float] | None = None,
    max_detections: int | None = MAX_DETECTIONS,
) -> Score:
    """Scores a submission.

    Args:
        rule: One of `SCORING_RULES`; "activitynet" and "thumos14" differ in their overlaps alone.
        truth: The benchmark's annotation: Charades's CSV, AVA's CSV, or ActivityNet's JSON.
        predictions: The submission, in the benchmark's form.
        label_map: AVA's label map; needed for "ava".
        exclusions: AVA's list of frames to leave out, for the rule before April 2020.
        subset: ActivityNet's subset; None takes all of the annotation.
        overlaps: Overlaps in time of correct detections, instead of the rule's.
        max_detections: Of a frame, see `ava_average_precisions`.

    Raises:
        ValueError: An argument is invalid, or a file has another form.
        OSError: A file cannot be read.
    """
    check_choice("rule", rule, SCORING_RULES)
    for name, value, rules in (
        ("label_map", label_map, ("ava",)),
        ("exclusions", exclusions, ("ava",)),
        ("subset", subset, tuple(OVERLAPS)),
        ("overlaps", overlaps, tuple(OVERLAPS)),
    ):
        if value is not None and rule not in rules:
            raise ValueError(f"`{name}` is for {' and '.join(rules)}; received it for {rule}.")
    if rule in CHARADES_TASKS:
        score = _score_charades(rule, truth, predictions)
    elif rule == "ava":
        if label_map is None:
            raise ValueError("`label_map` must be given for ava: the actions that count.")
        score = _score_ava(truth, predictions, label_map, exclusions, max_detections)
    else:
        score = _score_segments(rule, truth, predictions, subset, overlaps)
    protocol = {
        "Annotation": os.fspath(truth),
        "Submission": os.fspath(predictions),
        "Subset": subset,
        "Label map": None if label_map is None else os.fspath(label_map),
        "Frames that are left out": None if exclusions is None else os.fspath(exclusions),
    }
    if rule == "ava":
        protocol["Detections of a frame that count"] = (
            "all" if max_detections is None else f"the best {max_detections}"
        )
    return dataclasses.replace(score, protocol=protocol)


def _score_charades(rule, truth, predictions):
    annotation = read_intervals(truth)
    task, names = CHARADES_TASKS[rule], annotation.class_names
    scores, notes = read_charades_submission(predictions, len(names), task)
    known = {video.name for video in annotation.videos}
    named = {key[0] for key in scores}
    left_out = {
        "videos of the annotation have no scores": known - named,
        "videos of the submission are not in the annotation": named - known,
    }
    found = charades_average_precisions(annotation.videos, len(names), scores, task)
    videos = _charades_videos(annotation.videos, scores, names) if task == LOCALIZE else ()
    return Score(
        rule,
        names,
        {None: found},
        (*notes, *left_out_notes(left_out)),
        annotation.skipped,
        _in_order(left_out),
        videos=videos,
    )


def _charades_videos(videos, scores, names):
    """Returns the scores of the videos that have any, at their 25 points."""
    lowest = np.full(len(names), -np.inf)
    found = []
    for video in videos:
        rows = [scores.get((video.name, str(point)), lowest) for point in range(1, POINTS + 1)]
        if np.isfinite(rows).any():
            times = localization_times(video.duration)
            found.append(VideoScores(video, times, np.array(rows)))
    return tuple(found)


def _score_ava(truth, predictions, label_map, exclusions, max_detections):
    actions = read_label_map(label_map)
    true_file, found_file = (read_persons(path, actions) for path in (truth, predictions))
    excluded = None if exclusions is None else read_frames(exclusions)
    left_out = {}
    if excluded is None:
        left_out["frames of the detections are not in the truth, and left out"] = {
            f"{f.video},{f.timestamp:g}" for f in found_file.frames - true_file.frames
        }
    found = ava_average_precisions(true_file, found_file, actions, excluded, max_detections)
    return Score(
        "ava",
        tuple(actions.values()),
        {None: found},
        tuple(left_out_notes(left_out)),
        (*true_file.skipped, *found_file.skipped),
        _in_order(left_out),
    )


def _score_segments(rule, truth, predictions, subset, overlaps):
    detections, more = read_activitynet_detections(predictions)
    actions, skipped = read_activitynet_truth(truth, subset)
    names = tuple(sorted({action.class_name for action in actions}))
    labels = {name: label for label, name in enumerate(names)}
    left_out = {
        "classes of the detections are not in the annotation": {
            each.class_name for each in detections
        }
        - labels.keys()
    }
    true_segments, found_segments = (
        [
            Segment(each.video, each.start, each.end, labels[each.class_name], each.score)
            for each in some
            if each.class_name in labels
        ]
        for some in (actions, detections)
    )
    by_overlap: dict[float | None, ClassScores] = {
        overlap: segment_average_precisions(
            true_segments, found_segments, range(len(names)), overlap
        )
        for overlap in overlaps or OVERLAPS[rule]
    }
    return Score(
        rule,
        names,
        by_overlap,
        tuple(left_out_notes(left_out)),
        (*skipped, *more),
        _in_order(left_out),
    )


def left_out_notes(left_out: Mapping[str, Collection[str]]) -> list[str]:
    """Returns a note for each kind of what was left out, with the first name."""
    return [
        f"{len(names)} {kind}, such as {min(names)}" for kind, names in left_out.items() if names
    ]


def absent_videos(report: DataReport, reasons: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Returns the videos of a dataset that have no scores, as in `Score.left_out`.

    Args:
        report: Of the dataset.
        reasons: Path of a video that could not be read to the reason.
    """
    unreadable = {**dict(report.quarantined), **reasons}
    kinds = {
        "missing videos": report.missing,
        "videos that cannot be read": tuple(f"{p}: {why}" for p, why in unreadable.items()),
    }
    return {kind: names for kind, names in kinds.items() if names}


def _in_order(left_out):
    """Returns the names of each kind of what was left out, sorted."""
    return {kind: tuple(sorted(names)) for kind, names in left_out.items() if names}


def _plain(value):
    return None if np.isnan(value) else float(value)
