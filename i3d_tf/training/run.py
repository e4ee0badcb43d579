"""The steps of a training run, with an evaluation and a saved state every so many."""

import contextlib
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from i3d_tf.data.clips import clip_processes
from i3d_tf.data.example import VideoExample
from i3d_tf.data.flow_store import FlowStore, JoinedFlowStore
from i3d_tf.data.pipeline import Failures, PipelineConfig, train_batches
from i3d_tf.inference.person_clips import CLIP_INPUT, BoxCounts, person_batches
from i3d_tf.records.pipeline import FailedRecords, RecordConfig, record_batches
from i3d_tf.records.record_set import Place
from i3d_tf.records.service import distribute_to
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.recipe import PERSONS
from i3d_tf.system.array_processes import ArrayProcesses
from i3d_tf.system.console import print_lines
from i3d_tf.training import model as training_model
from i3d_tf.training.callbacks import (
    Profile,
    Scalars,
    StepTime,
    StopOnInterrupt,
    TerminateOnNaN,
    WarnOfWaiting,
    write_pictures,
)
from i3d_tf.training.periodic_evaluation import PeriodicEvaluation
from i3d_tf.training.splits import RunVideos
from i3d_tf.training.workdir import Start


def class_weights(examples: Sequence[VideoExample], classes: int) -> tuple[float, ...]:
    """Returns weights inverse to the number of a class's clips, 1 on average over clips."""
    labels = [example.label for example in examples]
    counts = np.bincount(labels, minlength=classes)
    return tuple((len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).tolist())


class Run:
    """The steps of a training run, with a saved state and an evaluation every so many.

    Args:
        recipe: The recipe.
        options: The options.
        model: The compiled network, as it is after `start.step` steps.
        workdir: The run's folder.
        start: Where the run starts.
        replicas: Devices that share a batch.
        store: The stored features that the network reads, or None.
        group: The processes that train together, or None. The chief alone writes and evaluates.
    """

    def __init__(self, recipe, options, model, workdir, start: Start, replicas, store, group=None):
        self.recipe, self.options, self.model, self.workdir = recipe, options, model, workdir
        self.start = start
        self.replicas, self.store, self.group = replicas, store, group
        self.is_chief = group is None or group.is_chief
        self.classes = 0
        self.max_boxes = recipe.max_boxes
        self.box_counts = BoxCounts()
        self.places: Mapping[str, Place] | None = None
        self.failed_records: FailedRecords | None = None
        self.batch_size = recipe.batch_size * replicas
        self.failures = Failures(workdir.unreadable() if start.step else {})
        self.clip_processes: ArrayProcesses | None = None
        self.step_time = StepTime(start.step, recipe.steps)
        self.writer = (
            tf.summary.create_file_writer(str(workdir.tensorboard))
            if self.is_chief
            else tf.summary.create_noop_writer()
        )

    def train(self, videos: RunVideos):
        """Trains to the last step."""
        self.places = videos.places
        flow_store = self._flow_store(videos)
        processes = clip_processes(self.options.input_processes, flow_store, self.store)
        with processes as self.clip_processes:
            self._train(videos, flow_store)
        self._report_failures()

    def _train(self, videos, flow_store):
        recipe = self.recipe
        train_protocol, examples = recipe.train_protocol, videos.train_examples
        self.classes = len(videos.train.class_names)
        persons = (len(f.persons) for each in examples for f in each.key_frames)
        self.max_boxes = min(recipe.max_boxes, max(persons, default=recipe.max_boxes))
        train_config = dataclasses.replace(
            self._config(examples, train_protocol, self.batch_size, flow_store),
            heads=videos.heads,
            share=(self.group.index, self.group.count) if self.group else (0, 1),
            class_weights=class_weights(examples, self.classes)
            if self.options.class_weights
            else None,
            epoch_start=self.start.epoch_start_step * self.batch_size,
        )
        if self.places is not None:
            self.failed_records = FailedRecords(train_config)
        # Evaluation runs on one replica, with no more frames at once than that trains on.
        frames_at_once = recipe.batch_size * recipe.train_frames * recipe.segments
        test_frames = recipe.test_frames * recipe.protocol.segments
        test_batch = max(1, frames_at_once // test_frames)
        if self.store is not None:  # each video has all its rows
            test_batch = 1
        test_configs = {
            head: self._config(each.test.examples, recipe.protocol, test_batch, flow_store)
            for head, each in videos.by_head.items()
        }
        evaluation = PeriodicEvaluation(
            self.model,
            test_configs.get(None, test_configs),
            self.workdir,
            self.writer,
            self.failures,
            self.options.workers,
            recipe.keep_last,
            recipe.step_rule,
        )
        step, every = self.start.step, recipe.evaluate_every
        if self.is_chief and step and (step % every == 0 or step == recipe.steps):
            evaluation.run(step)  # unless that was done before the run was stopped
        while step < recipe.steps:
            stop = min(recipe.steps, (step // every + 1) * every)
            self._fit(train_config, step, stop)
            step = stop
            if self.is_chief:
                self._save(step)
                evaluation.run(step)

    def _flow_store(self, videos):
        """Computes the flow that is missing; None where the network sees none."""
        if "flow" not in self.recipe.streams or self.places is not None:
            return None
        options, stores = self.options, {}
        datasets = [options] if options.second is None else [options, options.second]
        for of_dataset, each in zip(datasets, videos.by_head.values(), strict=True):
            store = FlowStore(
                of_dataset.flow_dir,
                self.recipe.protocol,
                of_dataset.data_dir,
                options.flow_engine,
                options.flow_rounding,
            )
            paths = [example.path for example in (*each.train.examples, *each.test.examples)]
            if self.is_chief:
                store.compute_missing(paths)
            stores |= dict.fromkeys(paths, store)
        if self.group is not None:
            self.group.wait()  # for the flow that the chief computes
        return store if videos.second is None else JoinedFlowStore(stores)

    def _config(self, examples, protocol: Protocol, batch_size, flow_store):
        make: type[PipelineConfig] = PipelineConfig
        of_records: dict[str, Any] = {}
        if self.places is not None:
            make = RecordConfig
            of_records = {"places": self.places, "flow_rounding": self.options.flow_rounding}
        return make(
            examples=examples,
            streams=self.recipe.streams,
            protocol=protocol,
            batch_size=batch_size,
            seed=self.options.seed,
            flow_store=flow_store,
            flip=self.recipe.flip,
            jitter=self.recipe.jitter,
            crop_scales=self.recipe.crop_scales,
            feature_store=self.store,
            task=self.recipe.task,
            classes=self.classes,
            clip_processes=self.clip_processes,
            **of_records,
        )

    def _fit(self, config, step, stop):
        """Trains steps `step` to `stop`; after Ctrl-C and SIGTERM the state is saved."""
        looks_before = self.replicas > 1 and self.group is None  # Keras, at the first batch
        iterations = 2 if looks_before else 1
        batches = self._batches(config, step, stop, self.box_counts, iterations)
        callbacks = [TerminateOnNaN(step, config.paths), Scalars(self.writer, step)]
        callbacks.append(self.step_time)
        if self.options.data_service is not None:
            callbacks.append(WarnOfWaiting(self.options.data_service))
        if step == 0 and self.options.profile and self.is_chief:
            callbacks.append(Profile(self.workdir.tensorboard))
        first_replica = self.group.index if self.group else 0
        training_model.seed_dropout(self.model, self.options.seed, step, first_replica)
        epoch = step // self.recipe.evaluate_every
        with self._errors(), StopOnInterrupt(step, self.group) as stopping:
            if step == 0 and self.store is None and self.is_chief:
                self._write_pictures(config)
            try:
                self.model.fit(
                    batches,
                    initial_epoch=epoch,
                    epochs=epoch + 1,
                    steps_per_epoch=stop - step,
                    callbacks=[*callbacks, stopping],
                    shuffle=False,  # the batches have an order of their own
                    verbose=1 if sys.stdout.isatty() else 2,  # 2: a line for each epoch
                )
                stopping.raise_if_stopped()
            except BaseException as error:
                print(flush=True)  # Keras's progress bar leaves its line open
                is_whole = isinstance(error, KeyboardInterrupt) and stopping.between_steps
                if is_whole and self.is_chief:
                    self._save(stopping.steps_done)
                    print_lines(
                        f"Saved step {stopping.steps_done} in {self.workdir.path}; the same "
                        "command goes on from there.",
                        file=sys.stderr,
                    )
                raise

    @contextlib.contextmanager
    def _errors(self):
        """Raises errors of the pipeline, or of other processes, in the place of TensorFlow's."""
        lost = self.group.errors() if self.group else contextlib.nullcontext()
        with lost, self.failures.reraised():
            yield

    def _batches(self, config, step, stop, counts, iterations=1):
        """Makes the batches of some steps, of persons or of clips."""
        steps, workers = (step, stop, self.failures), self.options.workers
        if self.recipe.task == PERSONS:
            return person_batches(config, self.max_boxes, *steps, counts, workers, iterations)
        if self.failed_records is not None:
            service = self.options.data_service
            distribute = None if service is None else distribute_to(service)
            return record_batches(config, *steps, self.failed_records, workers, distribute)
        return train_batches(config, *steps, workers, iterations)

    def _write_pictures(self, config):
        clips, *_ = next(iter(self._batches(config, 0, 1, BoxCounts())))
        if self.recipe.task == PERSONS:
            clips = clips[CLIP_INPUT]
        by_stream = clips if isinstance(clips, dict) else {self.recipe.stream: clips}
        write_pictures(self.writer, by_stream, 0)

    def _save(self, step):
        if self.failed_records is not None:
            for path, reason in self.failed_records.reasons().items():
                self.failures.reasons.setdefault(path, reason)
        self.workdir.keep_unreadable(self.failures.reasons)
        self.workdir.save(self.model, step)

    def _report_failures(self):
        for line in self.box_counts.lines():
            print_lines(line)
        if self.failures.reasons:
            print(f"unreadable videos, excluded: {len(self.failures.reasons)}")
            for path, reason in sorted(self.failures.reasons.items()):
                print_lines(f"  {path}: {reason}")
