"""The test accuracy, or mean average precision, of a network between its training steps."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.data.intervals import interval_targets
from i3d_tf.data.pipeline import Failures, PipelineConfig
from i3d_tf.inference.dataset_logits import compute_logits, forward_function
from i3d_tf.inference.frame_logits import FrameLogits
from i3d_tf.inference.person_logits import compute_person_logits, person_function
from i3d_tf.metrics.average_precision import class_average_precisions
from i3d_tf.metrics.classification import top_k_accuracy
from i3d_tf.metrics.detection import Box, frame_average_precisions
from i3d_tf.specs.geometry import CENTERS
from i3d_tf.specs.recipe import CLIP, FRAMES, PERSONS
from i3d_tf.training.workdir import Workdir
from i3d_tf.zoo.heads import select_head

ACCURACY, MEAN_AP = "accuracy", "map"
TITLES = {ACCURACY: "accuracy", MEAN_AP: "mean average precision"}


class PeriodicEvaluation:
    """Evaluates saved states, keeps the best one and writes the history.

    One class a clip is measured by the accuracy; several by the mean average precision over
    classes, of the videos, or of all frames of all videos; of persons, by AVA's frame mAP with the
    true boxes.

    Args:
        model: The network.
        config: Examples, task and clips of the test split; of a network with several heads, those
            of each by its name, and the best state is that of the highest mean accuracy.
        workdir: Folder of the run.
        writer: Writer of TensorBoard's events.
        failures: Filled with the videos that could not be read.
        workers: Clips made at once.
        keep_last: Whether the last state is kept as the best, whatever its accuracy.
        step_rule: See `i3d_tf.specs.geometry.head_positions`, for logits of frames.
    """

    def __init__(
        self,
        model: keras.Model,
        config: PipelineConfig | Mapping[str, PipelineConfig],
        workdir: Workdir,
        writer: tf.summary.SummaryWriter,
        failures: Failures,
        workers: int | None = None,
        keep_last: bool = False,
        step_rule: str = CENTERS,
    ):
        self._heads: dict[str | None, tuple[Callable, PipelineConfig]] = {}
        if isinstance(config, Mapping):
            for head, of_head in config.items():
                self._heads[head] = forward_function(select_head(model, head)), of_head
            config = next(iter(config.values()))
        else:
            make_function = person_function if config.task == PERSONS else forward_function
            self._heads[None] = make_function(model), config
        self._frame_logits = (
            FrameLogits(model, config, step_rule) if config.task == FRAMES else None
        )
        self._config = config
        self._workdir = workdir
        self._writer = writer
        self._failures = failures
        self._workers = workers
        self._keep_last = keep_last

    def run(self, step: int):
        """Evaluates the state after a step, which is the newest saved one, if it is not yet.

        Raises:
            ValueError: No video could be read, or none has an action.
            FloatingPointError: The network has no finite logits for a video that could be read.
        """
        history = self._workdir.history()
        if any(row["step"] == step for row in history):
            return
        name = ACCURACY if self._config.task == CLIP else MEAN_AP
        noun = "key frames" if self._config.task == PERSONS else "videos"
        values = {head: self._value(step, head) for head in self._heads}
        for head, (of_head, videos) in values.items():
            title = TITLES[name] if head is None else f"{TITLES[name]} of {head}"
            print(f"step {step}: test {title} {of_head:.1%} of {videos} {noun}")
        value = float(np.mean([of_head for of_head, _ in values.values()]))
        videos = sum(videos for _, videos in values.values())
        before = [row[f"test_{name}"] for row in history if row["step"] < step]
        if self._keep_last or all(value > other for other in before):
            self._workdir.keep_as_best()
        row = {"step": step, f"test_{name}": value, "test_videos": videos}
        if None not in values:
            row["heads"] = {
                head: {f"test_{name}": of_head, "test_videos": count}
                for head, (of_head, count) in values.items()
            }
        self._workdir.add_history(row)
        with self._writer.as_default(step):
            tf.summary.scalar(f"test/{name}", value)
            for head in filter(None, values):
                tf.summary.scalar(f"test/{head}_{name}", values[head][0])
            self._writer.flush()

    def _value(self, step, head):
        """Returns the accuracy, or the mean average precision, and of how many videos it is."""
        others = {FRAMES: self._of_frames, PERSONS: self._of_persons}
        measure = others.get(self._config.task, self._of_videos)
        try:
            return measure(*self._heads[head])
        except FloatingPointError as error:
            raise FloatingPointError(
                f"step {step}: {error} Start in another --workdir with lower --learning_rates."
            ) from error

    def _of_videos(self, forward, config):
        logits, failures = compute_logits(forward, config, self._workers)
        self._note(failures.reasons)
        read = np.isfinite(logits).all(axis=1)
        self._check_any(read.any())
        examples = config.examples
        if config.task == CLIP:
            labels = np.array([example.label for example in examples])
            return float(top_k_accuracy(logits[read], labels[read], 1)), int(read.sum())
        targets = np.zeros(logits.shape, bool)
        for row, example in zip(targets, examples, strict=True):
            row[[interval.label for interval in example.intervals]] = True
        return _mean_average_precision(logits[read], targets[read]), int(read.sum())

    def _of_frames(self, _, config):
        scores, targets, failures = [], [], Failures()
        for example, logits in self._frame_logits.of_all(failures):
            if logits is not None:
                times, classes = logits.frame_times, logits.steps.shape[1]
                scores.append(logits.at(times))
                targets.append(interval_targets(example.intervals, times, classes))
        self._note(failures.reasons)
        self._check_any(scores)
        value = _mean_average_precision(np.concatenate(scores), np.concatenate(targets))
        return value, len(scores)

    def _of_persons(self, forward, config):
        found, failures = compute_person_logits(forward, config, self._workers)
        self._note(failures.reasons)
        truth, detections, classes = [], [], range(config.classes)
        num_frames = 0
        for number, (example, logits) in enumerate(zip(config.examples, found, strict=True)):
            if logits is None:
                continue
            num_frames += 1
            (key_frame,) = example.key_frames
            scores = keras.ops.convert_to_numpy(keras.ops.sigmoid(logits))
            for person, row in zip(key_frame.persons, scores, strict=True):
                boxes = [Box(str(number), person.box, label) for label in classes]
                truth += [boxes[label] for label in person.labels]
                detections += [box._replace(score=float(row[box.label])) for box in boxes]
        self._check_any(num_frames)
        _check_actions(truth)
        return frame_average_precisions(truth, detections, classes).mean, num_frames

    def _note(self, reasons):
        self._failures.reasons.update(reasons)
        self._workdir.keep_unreadable(self._failures.reasons)

    @staticmethod
    def _check_any(has_videos):
        if not has_videos:
            raise ValueError(
                "the test split: no video could be read. Check the videos: "
                "i3d check_videos --data_dir=FOLDER"
            )


def _check_actions(has_actions):
    if not has_actions:
        raise ValueError("the test split: no action is in its videos. Add annotated videos to it.")


def _mean_average_precision(scores, targets):
    _check_actions(targets.any())
    return class_average_precisions(scores, targets).mean
