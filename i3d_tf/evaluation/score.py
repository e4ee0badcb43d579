"""Scores of submission files, by the rules of the benchmarks that they are for."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from i3d_tf.data.ava import read_frames, read_label_map, read_persons
from i3d_tf.data.intervals import (
    read_activitynet_detections,
    read_activitynet_truth,
    read_intervals,
)
from i3d_tf.evaluation.ava import ava_average_precisions
from i3d_tf.evaluation.charades import (
    CLASSIFY,
    LOCALIZE,
    charades_average_precisions,
    read_charades_submission,
)
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
    """

    rule: str
    class_names: tuple[str, ...]
    by_overlap: dict[float | None, ClassScores]
    notes: tuple[str, ...] = ()
    skipped: tuple[SkippedRow, ...] = ()

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
        return _score_charades(rule, truth, predictions)
    if rule == "ava":
        if label_map is None:
            raise ValueError("`label_map` must be given for ava: the actions that count.")
        return _score_ava(truth, predictions, label_map, exclusions, max_detections)
    return _score_segments(rule, truth, predictions, subset, overlaps)


def _score_charades(rule, truth, predictions):
    annotation = read_intervals(truth)
    task, names = CHARADES_TASKS[rule], annotation.class_names
    scores, notes = read_charades_submission(predictions, len(names), task)
    known = {video.name for video in annotation.videos}
    named = {key[0] for key in scores}
    notes += _difference("videos of the annotation have no scores", known - named)
    notes += _difference("videos of the submission are not in the annotation", named - known)
    found = charades_average_precisions(annotation.videos, len(names), scores, task)
    return Score(rule, names, {None: found}, tuple(notes), annotation.skipped)


def _score_ava(truth, predictions, label_map, exclusions, max_detections):
    actions = read_label_map(label_map)
    true_file, found_file = (read_persons(path, actions) for path in (truth, predictions))
    excluded = None if exclusions is None else read_frames(exclusions)
    notes = []
    if excluded is None:
        unknown = {f"{f.video},{f.timestamp:g}" for f in found_file.frames - true_file.frames}
        notes = _difference("frames of the detections are not in the truth, and left out", unknown)
    found = ava_average_precisions(true_file, found_file, actions, excluded, max_detections)
    skipped = (*true_file.skipped, *found_file.skipped)
    return Score("ava", tuple(actions.values()), {None: found}, tuple(notes), skipped)


def _score_segments(rule, truth, predictions, subset, overlaps):
    detections, more = read_activitynet_detections(predictions)
    actions, skipped = read_activitynet_truth(truth, subset)
    names = tuple(sorted({action.class_name for action in actions}))
    labels = {name: label for label, name in enumerate(names)}
    unknown = {each.class_name for each in detections} - labels.keys()
    notes = _difference("classes of the detections are not in the annotation", unknown)
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
    return Score(rule, names, by_overlap, tuple(notes), (*skipped, *more))


def _difference(text, names):
    if not names:
        return []
    return [f"{len(names)} {text}, such as {min(names)}"]


def _plain(value):
    return None if np.isnan(value) else float(value)
