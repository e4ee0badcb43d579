"""From a folder of videos to a trained network; stopped at any moment, it goes on where it was."""

import dataclasses
import sys
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.data.flow_store import FlowStore
from i3d_tf.data.pipeline import Failures, PipelineConfig, train_batches
from i3d_tf.data.readers import read_dataset
from i3d_tf.inference.dataset_logits import compute_logits, forward_function
from i3d_tf.metrics.classification import top_k_accuracy
from i3d_tf.specs.recipes import Recipe
from i3d_tf.training import model as training_model
from i3d_tf.training.callbacks import (
    Profile,
    Scalars,
    StopOnInterrupt,
    TerminateOnNaN,
    write_pictures,
)
from i3d_tf.training.workdir import Workdir


@dataclass(frozen=True)
class TrainOptions:
    """What a run needs besides its recipe.

    Attributes:
        data_dir: The dataset.
        workdir: Folder of the run.
        flow_dir: Where flow files are, or go.
        flow_engine: What computes flow that is not there yet.
        transfer: "scratch", "fixed" or "full".
        init: Weights to begin with, for the last two.
        checkpoint_dir: Where named weights are.
        freeze_batch_norm: Keep batch norm as it is in the initial weights.
        accumulate: Batches per update.
        class_weights: Weigh classes by the inverse of their frequency.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        deterministic: Same bits every time, at some cost in speed.
        seed: Of weights, order and views.
        workers: Clips made at once; by default what is best.
        profile: Whether TensorBoard profiles the tenth to twentieth step.
        annotation: Annotation file of the dataset, or their folder; None looks where they usually
            are.
        classes: File with the class names to use, one a line; None for all.
        quarantine: List of unreadable videos to leave out, as check_videos writes it.
    """

    data_dir: str
    workdir: str
    flow_dir: str | None = None
    flow_engine: str = "auto"
    transfer: str = "scratch"
    init: str | None = None
    checkpoint_dir: str = "checkpoints"
    freeze_batch_norm: bool = False
    accumulate: int = 1
    class_weights: bool = False
    precision: str = "float32"
    deterministic: bool = False
    seed: int = 0
    workers: int | None = None
    profile: bool = False
    annotation: str | None = None
    classes: str | None = None
    quarantine: str | None = None


def train(recipe: Recipe, options: TrainOptions) -> Workdir:
    """Trains one stream.

    Args:
        recipe: What to train, and how.
        options: Where, and with what.

    Returns:
        The run's folder, with the best and the last state.

    Raises:
        ValueError: Recipe, options, data or an earlier run in the folder do not fit.
        FloatingPointError: The loss is not finite; the message names the step and its videos.
        KeyboardInterrupt: After the state was saved.
    """
    training_model.set_precision(options.precision)
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    return _Run(recipe, options, choose_strategy()).train()


def choose_strategy():
    """All GPUs there are, or the one device."""
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


class _Run:
    """A training run: what stays the same from its first step to its last."""

    def __init__(self, recipe, options, strategy):
        self.recipe, self.options, self.strategy = recipe, options, strategy
        self.train_set = _read(recipe, options, recipe.train_split, options.classes)
        self.test_set = _read(recipe, options, recipe.test_split, self.train_set.class_names)
        self.batch_size = recipe.batch_size * strategy.num_replicas_in_sync
        self.failures = Failures()
        self.workdir = Workdir(options.workdir)
        self.resumes = self.workdir.begin(self._settings(), self._facts())
        if self.resumes:
            self.failures.reasons.update(self.workdir.unreadable())
        self.writer = tf.summary.create_file_writer(str(self.workdir.tensorboard))

    def train(self):
        """Trains from the newest state to the last step."""
        for line in (*self.train_set.report.lines(), *self.test_set.report.lines()):
            print(line)
        with self.strategy.scope():
            step, model = self._model()
        self._warn(model)
        self.flow_store = self._flow_store()
        self.forward = forward_function(model)
        if step:
            print(f"going on from step {step} of {self.recipe.steps}")
            self._record(step)
        while step < self.recipe.steps:
            every = self.recipe.evaluate_every
            stop = min(self.recipe.steps, (step // every + 1) * every)
            self._fit(model, step, stop)
            step = stop
            self._save(model, step)
            self._record(step)
        if self.failures.reasons:
            print(f"{len(self.failures.reasons)} videos could not be read and taught nothing:")
            for path, reason in sorted(self.failures.reasons.items()):
                print(f"  {path}: {reason}")
        return self.workdir

    def _settings(self):
        """What must be the same when the run goes on."""
        fixed = ("transfer", "init", "freeze_batch_norm", "accumulate", "class_weights")
        fixed += ("precision", "deterministic", "seed")
        chosen = {name: getattr(self.options, name) for name in fixed}
        recipe = dataclasses.asdict(self.recipe)
        del recipe["description"]
        return {
            **recipe,
            **chosen,
            "replicas": self.strategy.num_replicas_in_sync,
            "class_names": self.train_set.class_names,
            "train_videos": len(self.train_set.examples),
        }

    def _facts(self):
        sets = {"train": self.train_set, "test": self.test_set}
        return {
            "class_names": list(self.train_set.class_names),
            "data": {name: found.report.as_json() for name, found in sets.items()},
        }

    def _model(self):
        """(steps done, model), from the newest state or from the beginning."""
        options, classes = self.options, len(self.train_set.class_names)
        if self.resumes:
            step, path = self.workdir.latest()
            return step, training_model.restore_model(
                path,
                self.recipe,
                classes,
                options.transfer,
                options.freeze_batch_norm,
                options.accumulate,
            )
        model = training_model.build_model(
            self.recipe, classes, options.transfer, options.init, options.checkpoint_dir
        )
        if options.freeze_batch_norm:
            if options.init is None:
                raise ValueError(
                    "`freeze_batch_norm` needs an `init` to keep it of; received None."
                )
            training_model.freeze_batch_norm(model)
        training_model.compile_model(model, self.recipe, options.accumulate)
        return 0, model

    def _warn(self, model):
        small = self.recipe.batch_size < training_model.SMALL_BATCH
        trains = any(layer.trainable for layer in training_model.batch_norms(model))
        if small and trains and self.options.transfer == "full":
            print(
                f"WARNING: batch norm trains on {self.recipe.batch_size} clips per replica, which "
                "makes its statistics noisy. Consider --freeze_batch_norm.",
                file=sys.stderr,
            )

    def _flow_store(self):
        """Computes the flow that is missing; None where the network sees none."""
        if "flow" not in self.recipe.streams:
            return None
        options = self.options
        store = FlowStore(
            options.flow_dir, self.recipe.protocol, options.data_dir, options.flow_engine
        )
        examples = (*self.train_set.examples, *self.test_set.examples)
        computed = store.compute_missing(example.path for example in examples)
        if computed is not None:
            print(computed)
        return store

    def _config(self, examples, protocol, batch_size):
        return PipelineConfig(
            examples=examples,
            streams=self.recipe.streams,
            protocol=protocol,
            batch_size=batch_size,
            seed=self.options.seed,
            flow_store=self.flow_store,
            flip=self.recipe.flip,
            jitter=self.recipe.jitter,
            class_weights=self._class_weights() if self.options.class_weights else None,
        )

    def _class_weights(self):
        """Weights inverse to the number of clips, 1 on average over clips."""
        labels = [example.label for example in self.train_set.examples]
        counts = np.bincount(labels, minlength=len(self.train_set.class_names))
        return tuple((len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).tolist())

    def _fit(self, model, step, stop):
        """Trains steps `step` to `stop`; Ctrl-C saves what was done."""
        protocol = dataclasses.replace(self.recipe.protocol, frames=self.recipe.train_frames)
        config = self._config(self.train_set.examples, protocol, self.batch_size)
        batches = train_batches(config, step, stop, self.failures, self.options.workers)
        watchers = [TerminateOnNaN(step, config.paths), Scalars(self.writer, step)]
        if step == 0 and self.options.profile:
            watchers.append(Profile(self.workdir.tensorboard))
        every = self.recipe.evaluate_every
        training_model.seed_dropout(model, self.options.seed, step)
        with self.failures.reraised(), StopOnInterrupt(step) as stopping:
            if step == 0:
                clips, *_ = next(iter(train_batches(config, 0, 1, self.failures)))
                seen = clips if isinstance(clips, dict) else {self.recipe.stream: clips}
                write_pictures(self.writer, seen, 0)
            try:
                model.fit(
                    batches,
                    initial_epoch=step // every,
                    epochs=step // every + 1,
                    steps_per_epoch=stop - step,
                    callbacks=[*watchers, stopping],
                    shuffle=False,  # the batches have an order of their own
                )
            except KeyboardInterrupt:
                if stopping.between_steps:
                    self._save_stopped(model, stopping.steps_done)
                raise

    def _save(self, model, step):
        self.workdir.keep_unreadable(self.failures.reasons)
        self.workdir.save(model, step)

    def _save_stopped(self, model, step):
        self._save(model, step)
        print(
            f"Saved step {step} in {self.workdir.path}; the same command goes on from there.",
            file=sys.stderr,
        )

    def _record(self, step):
        """Evaluates a saved state, once, if it is one of those to be evaluated."""
        history = self.workdir.history()
        due = step % self.recipe.evaluate_every == 0 or step == self.recipe.steps
        if not due or any(row["step"] == step for row in history):
            return
        # Runs on one replica, with no more frames at once than that trains on.
        recipe = self.recipe
        batch_size = max(1, recipe.batch_size * recipe.train_frames // recipe.test_frames)
        config = self._config(self.test_set.examples, recipe.protocol, batch_size)
        logits, failures = compute_logits(self.forward, config, self.options.workers)
        self.failures.reasons.update(failures.reasons)
        self.workdir.keep_unreadable(self.failures.reasons)
        labels = np.array([example.label for example in self.test_set.examples])
        read = np.isfinite(logits).all(axis=1)
        if not read.any():
            raise ValueError(f"{self.options.data_dir}: no video of the test split gave numbers.")
        accuracy = float(top_k_accuracy(logits[read], labels[read], 1))
        row = {"step": step, "test_accuracy": accuracy, "test_videos": int(read.sum())}
        print(f"step {step}: test accuracy {accuracy:.1%} of {row['test_videos']} videos")
        if all(accuracy > old["test_accuracy"] for old in history if old["step"] < step):
            self.workdir.keep_as_best()
        self.workdir.add_history(row)
        with self.writer.as_default(step):
            tf.summary.scalar("test/accuracy", accuracy)
            self.writer.flush()


def _read(recipe, options, split, classes):
    return read_dataset(
        recipe.dataset,
        options.data_dir,
        split,
        annotation=options.annotation,
        classes=classes,
        quarantine=options.quarantine,
    )
