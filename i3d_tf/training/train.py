"""Training from a folder of videos to a network; a stopped run goes on where it stopped."""

import contextlib
import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.data.feature_store import FeatureStore
from i3d_tf.specs.recipe import Recipe
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.console import print_lines
from i3d_tf.system.files import check_target, folder_lock
from i3d_tf.system.remote import file_name
from i3d_tf.training import model as training_model
from i3d_tf.training.options_check import check_options
from i3d_tf.training.process_group import join_group
from i3d_tf.training.replicas import synchronize
from i3d_tf.training.run import Run
from i3d_tf.training.settings import (
    RunBatch,
    TrainOptions,
    describe_changes,
    run_settings,
    share_batch,
)
from i3d_tf.training.splits import read_run_videos
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
        run = Run(recipe, options, model, workdir, start, replicas, store, group)
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
