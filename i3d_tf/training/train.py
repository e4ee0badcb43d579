"""Training from a folder of videos to a network; a stopped run goes on where it stopped."""

import contextlib
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.data.example import VideoExample
from i3d_tf.data.feature_store import FeatureStore
from i3d_tf.data.flow_store import FlowStore, JoinedFlowStore
from i3d_tf.data.pipeline import Failures, PipelineConfig, train_batches
from i3d_tf.inference.person_clips import CLIP_INPUT, BoxCounts, person_batches
from i3d_tf.records.pipeline import FailedRecords, RecordConfig, record_batches
from i3d_tf.records.record_set import Place
from i3d_tf.records.service import distribute_to
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.recipes import PERSONS, Recipe
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.console import print_lines
from i3d_tf.system.files import check_target, folder_lock
from i3d_tf.system.remote import file_name
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
from i3d_tf.training.options_check import check_options
from i3d_tf.training.periodic_evaluation import PeriodicEvaluation
from i3d_tf.training.process_group import join_group
from i3d_tf.training.replicas import synchronize
from i3d_tf.training.settings import (
    RunBatch,
    TrainOptions,
    describe_changes,
    run_settings,
    share_batch,
)
from i3d_tf.training.splits import RunVideos, read_run_videos
from i3d_tf.training.workdir import Start, Workdir, read_earlier
from i3d_tf.zoo.resolve import BEST_FILE


def train(recipe: Recipe, options: TrainOptions) -> Workdir:
    """Trains one network, or goes on with a run that was stopped.

    A run goes on with the same settings, with two exceptions. There may be training videos more or
    less: the epochs then start anew at the step that was reached, in an order that follows from the
    seed and that step. And the number of steps may change, to any that is not passed yet: a cosine
    schedule is then that of the new number, from the next step on; a piecewise one stays.

    Args:
        recipe: The network and its schedule.
        options: Folders, data, initial weights.

    Returns:
        The run's folder, with the best and the last state.

    Raises:
        ValueError: Recipe, options, data or an earlier run in the folder do not fit.
        BlockingIOError: Another process trains in the folder, or writes a report into it.
        FloatingPointError: The loss is not finite; the message names the step and its videos.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the state was saved.
        ConnectionError: Another process of the job has ended.
    """
    check_choice("cluster", options.cluster, ("auto", "none"))
    group = join_group() if options.cluster == "auto" else None
    if group is None:
        return _train(recipe, options, None)
    with group.quiet():
        workdir = _train(recipe, options, group)
        group.wait()  # for the chief's last evaluation
    return workdir


def _train(recipe, options, group):
    """Trains a network, alone or together with other processes."""
    options = options.for_recipe(recipe)
    check_options(recipe, options)
    training_model.set_precision(options.precision)
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = tf.distribute.get_strategy() if group else choose_strategy()
    replicas = group.count if group else strategy.num_replicas_in_sync
    earlier = read_earlier(options.workdir)
    videos = read_run_videos(recipe, options, replicas, earlier)
    batch = share_batch(options.workdir, videos.recipe.batch_size, replicas, earlier)
    recipe = dataclasses.replace(videos.recipe, batch_size=batch.clips)
    train_set, test_set = videos.train, videos.test
    store = None
    if options.features is not None:
        examples = (*train_set.examples, *test_set.examples)
        store = FeatureStore(options.features, examples, options.data_dir)
    workdir = Workdir(options.workdir)
    if options.init is not None:  # as a file, or as the folder of a run
        check_target(workdir.best, Path.is_file, (options.init, Path(options.init) / BEST_FILE))
    is_chief = group is None or group.is_chief
    if group is not None:  # also waits until all have read what the chief may now change
        names = [(example.label, file_name(example.path)) for example in videos.train_examples]
        group.check_same(recipe, options.seed, options.transfer, options.accumulate, names)
    with folder_lock(workdir.path, wait=False) if is_chief else contextlib.nullcontext():
        start = _start(videos, options, batch, workdir, store) if is_chief else Start()
        channels = None if store is None else store.channels
        with strategy.scope():
            model = _build_or_restore(recipe, options, videos.classes, start, channels)
        if options.sync_batch_norm:
            synchronize(training_model.batch_norms(model))
        if group is not None:
            start = _from_chief(group, model, start)
        if is_chief:
            _warn_of_small_batches(batch, options, model)
        run = _Run(recipe, options, model, workdir, start, replicas, store, group)
        run.train(videos)
    return workdir


def _from_chief(group, model, start):
    """Gives all processes the chief's network and start."""
    group.copy_from_chief([*model.variables, *model.optimizer.variables])
    steps = np.array([start.step, start.epoch_start_step], np.int64)
    (steps,) = group.from_chief([steps])
    group.share_steps(model)
    step, epoch_start_step = map(int, steps)
    return dataclasses.replace(start, step=step, epoch_start_step=epoch_start_step)


def choose_strategy() -> tf.distribute.Strategy:
    """Returns a strategy for all GPUs there are, or for the one device."""
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def class_weights(examples: Sequence[VideoExample], classes: int) -> tuple[float, ...]:
    """Returns weights inverse to the number of a class's clips, 1 on average over clips."""
    labels = [example.label for example in examples]
    counts = np.bincount(labels, minlength=classes)
    return tuple((len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).tolist())


def _start(videos, options, batch: RunBatch, workdir, store):
    """Records or checks the run's settings, and says what is trained on, and from which step."""
    recipe, train_set = videos.recipe, videos.train
    settings = run_settings(
        dataclasses.replace(recipe, batch_size=batch.settings["batch_size"]),
        options,
        train_set.class_names,
        len(videos.train_examples),
        batch.settings["replicas"],
        None if store is None else {"channels": store.channels, **store.settings},
        videos.second_settings,
        videos.records,
    )
    metadata = _data_metadata(videos)
    if videos.second is not None:
        metadata["heads"] = {head: _data_metadata(each) for head, each in videos.by_head.items()}
    if batch.replicas != batch.settings["replicas"]:
        metadata["replicas"] = batch.replicas
    start = workdir.start(settings, metadata)
    for head, each in videos.by_head.items():
        if head is not None:
            print_lines(f"head {head}:")
        print_lines(*each.train.report.lines(), *each.test.report.lines())
    print(
        f"{recipe.steps} steps of {batch.size} clips, an evaluation every {recipe.evaluate_every}"
    )
    if batch.change:
        print_lines(f"{options.workdir}: {batch.change}")
    if start.changed:
        print_lines(describe_changes(options.workdir, start.changed, recipe.schedule, start.step))
    if start.step:
        print(f"going on from step {start.step} of {recipe.steps}")
    return start


def _data_metadata(videos):
    """Returns what run.json records of the videos of a dataset."""
    reports = {"train": videos.train.report, "test": videos.test.report}
    metadata = {
        "class_names": list(videos.train.class_names),
        "data": {name: report.as_json() for name, report in reports.items()},
    }
    if videos.split is not None:
        metadata["split"] = videos.split
    return metadata


def _build_or_restore(recipe, options, classes, start, channels):
    """Returns the compiled network: the newest state, or the initial one."""
    if start.state is not None:
        return training_model.restore_model(
            start.state,
            recipe,
            classes,
            options.transfer,
            options.freeze_batch_norm,
            options.accumulate,
            options.partial_batch_norm,
            channels,
        )
    model = training_model.build_model(
        recipe, classes, options.transfer, options.init, options.checkpoint_dir, channels
    )
    if options.freeze_batch_norm or options.partial_batch_norm:
        if options.init is None:
            name = "freeze_batch_norm" if options.freeze_batch_norm else "partial_batch_norm"
            raise ValueError(f"`{name}` needs an `init` to keep it of; received None.")
        training_model.freeze_batch_norm(model, but_first=bool(options.partial_batch_norm))
    training_model.compile_model(model, recipe, options.accumulate)
    return model


def _warn_of_small_batches(batch, options, model):
    seen = batch.size if options.sync_batch_norm else batch.clips
    small = seen < training_model.MIN_BATCH
    trains = any(layer.trainable for layer in training_model.batch_norms(model))
    if small and trains and options.transfer == "full":
        advice = " or --sync_batch_norm" if batch.size > seen else ""
        print(
            f"WARNING: batch norm trains on {seen} clips at once, which makes its statistics "
            f"noisy. Consider --freeze_batch_norm{advice}.",
            file=sys.stderr,
        )


class _Run:
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
        self.step_time = StepTime(start.step, recipe.steps)
        self.writer = (
            tf.summary.create_file_writer(str(workdir.tensorboard))
            if self.is_chief
            else tf.summary.create_noop_writer()
        )

    def train(self, videos: RunVideos):
        """Trains to the last step."""
        recipe = self.recipe
        train_protocol, examples = recipe.train_protocol, videos.train_examples
        self.classes = len(videos.train.class_names)
        persons = (len(f.persons) for each in examples for f in each.key_frames)
        self.max_boxes = min(recipe.max_boxes, max(persons, default=recipe.max_boxes))
        self.places = videos.places
        flow_store = self._flow_store(videos)
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
        self._report_failures()

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
