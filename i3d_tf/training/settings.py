"""The settings of a training run, and those that may change while it goes on."""

import dataclasses
import os
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i3d_tf.data.clips import unusual_folder_rate, unusual_options
from i3d_tf.specs.recipe import SCRATCH, Recipe
from i3d_tf.specs.releases import RELEASES
from i3d_tf.system.records import get_value, record_errors
from i3d_tf.zoo.run_record import RESTORE, RUN_FILE

# Fields of TrainOptions that a run keeps; the others, such as folders, may differ.
KEPT_OPTIONS = (
    "flow_rounding",
    "transfer",
    "init",
    "freeze_batch_norm",
    "partial_batch_norm",
    "sync_batch_norm",
    "accumulate",
    "class_weights",
    "precision",
    "deterministic",
    "seed",
)
# Fields of a recipe that do not change the states of a run.
LEFT_OUT = ("description", "derived", "keep_last")
VIDEOS, STEPS = "train_videos", "steps"  # the settings that may change
# Runs of former versions lack the fields that they did not know, which were as they are by default.
_DEFAULTS = {
    **{field.name: field.default for field in dataclasses.fields(Recipe)},
    "sync_batch_norm": False,
}


@dataclass(frozen=True)
class SecondDataset:
    """A second dataset that a network is trained on, with a classifier of its own.

    Attributes:
        data_dir: Its folder.
        dataset: Its reader, see `i3d_tf.specs.datasets.DATASETS`; None takes the recipe's.
        train_split: Its split to train on; None takes the recipe's.
        test_split: Its split to evaluate on; None takes the recipe's.
        annotation: See `TrainOptions`.
        quarantine: See `TrainOptions`.
        flow_dir: See `TrainOptions`.
    """

    data_dir: str
    dataset: str | None = None
    train_split: str | None = None
    test_split: str | None = None
    annotation: str | None = None
    quarantine: str | None = None
    flow_dir: str | None = None


@dataclass(frozen=True)
class TrainOptions:
    """Options of a training run besides its recipe.

    Attributes:
        data_dir: Folder of the dataset; None with records.
        workdir: Folder of the run.
        flow_dir: Folder of the flow files; those that are missing are computed.
        flow_engine: Engine that computes them.
        flow_rounding: How their codes are rounded and unpacked, see `FlowStore`.
        transfer: "scratch", "fixed" or "full", see `build_model`; None takes the recipe's.
        init: Initial weights, for the last two; None takes the recipe's.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        freeze_batch_norm: Keep batch norm as it is in the initial weights; None takes the recipe's.
        partial_batch_norm: The same of all batch norm but the first layer's.
        sync_batch_norm: Whether the batch norm that is trained sees the clips of all replicas.
        accumulate: Batches per update.
        class_weights: Weigh classes by the inverse of their frequency.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        deterministic: Same bits every time, at some cost in speed.
        seed: Seed of weights, order and views.
        workers: Clips made at once; None lets tf.data choose.
        input_processes: Processes that decode the clips, see `i3d_tf.data.clips.clip_processes`;
            None decodes them in threads of this one.
        profile: Whether TensorBoard profiles the tenth to twentieth step.
        annotation: Annotation file of the dataset, or the folder of its files; None looks where
            they usually are.
        classes: File with the class names to use, one a line; None for all.
        quarantine: List of unreadable videos to leave out, as check_videos writes it.
        features: Folder of the videos' stored features, for a network that reads these.
        intervals: Annotation file of what happens when, for a recipe whose task needs it; see
            `i3d_tf.data.intervals.read_intervals`.
        test_intervals: That of the test videos, where it is another file.
        boxes: File of persons of the training videos, for the task "persons"; see
            `i3d_tf.inference.person_dataset.read_person_dataset`.
        test_boxes: That of the test videos.
        label_map: File of their actions, see `i3d_tf.data.ava.read_label_map`.
        time_offset: Seconds of these files at which the videos start.
        second: A second dataset; the network then has a head for each (multi-task learning,
            arXiv:1406.2199, section 3.3).
        heads: Names of the two heads; None takes the names of the datasets' readers, or else of
            their folders.
        records: Shards of records to train on instead of videos, see
            `i3d_tf.records.record_set.find_shards`.
        test_records: Those to evaluate on; None takes a part of every class.
        data_service: Address of a tf.data service whose workers make the batches of records, see
            `i3d_tf.records.service`.
        cluster: "auto" trains together with the processes that TF_CONFIG or SLURM name, see
            `i3d_tf.training.process_group`; "none" trains alone.
    """

    data_dir: str | None
    workdir: str
    flow_dir: str | None = None
    flow_engine: str = "auto"
    flow_rounding: str | None = None
    transfer: str | None = None
    init: str | None = None
    checkpoint_dir: os.PathLike | str | None = None
    freeze_batch_norm: bool | None = None
    partial_batch_norm: bool | None = None
    sync_batch_norm: bool = False
    accumulate: int = 1
    class_weights: bool = False
    precision: str = "float32"
    deterministic: bool = False
    seed: int = 0
    workers: int | None = None
    input_processes: int | None = None
    profile: bool = False
    annotation: str | None = None
    classes: str | None = None
    quarantine: str | None = None
    features: str | None = None
    intervals: str | None = None
    test_intervals: str | None = None
    boxes: str | None = None
    test_boxes: str | None = None
    label_map: str | None = None
    time_offset: float = 0.0
    second: SecondDataset | None = None
    heads: tuple[str, ...] | None = None
    records: str | None = None
    test_records: str | None = None
    data_service: str | None = None
    cluster: str = "none"

    def for_recipe(self, recipe: Recipe) -> "TrainOptions":
        """Returns the options with the recipe's values of those that are None.

        Raises:
            ValueError: The recipe's initial weights are of another stream.
        """
        transfer = self.transfer or recipe.transfer
        init, frozen, partial = self.init, self.freeze_batch_norm, self.partial_batch_norm
        if transfer != SCRATCH:
            init = _initial_weights(recipe) if init is None else init
            # Either flag replaces both fields of the recipe.
            if frozen is None and partial is None:
                frozen, partial = recipe.freeze_batch_norm, recipe.partial_batch_norm
        if frozen and partial:
            raise ValueError(
                "`freeze_batch_norm` and `partial_batch_norm` exclude each other; received both."
            )
        return dataclasses.replace(
            self,
            transfer=transfer,
            init=init,
            freeze_batch_norm=bool(frozen),
            partial_batch_norm=bool(partial),
        )


def _initial_weights(recipe):
    release = RELEASES.get(recipe.init)
    if release is not None and release.stream != recipe.stream:
        raise ValueError(
            f"`init` must name weights for the stream {recipe.stream}; {recipe.name} starts from "
            f"{release.name}. Give --init, such as flow_imagenet for flow."
        )
    return recipe.init


def run_settings(
    recipe: Recipe,
    options: TrainOptions,
    class_names: Sequence[str],
    train_videos: int,
    replicas: int,
    features: Mapping[str, Any] | None = None,
    second: Mapping[str, Any] | None = None,
    records: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the settings of a run, as run.json keeps them.

    Args:
        recipe: The recipe, with the values of its derived fields.
        options: The options, with the recipe's values of those that were None.
        class_names: Names of the classes, in label order.
        train_videos: Number of training videos.
        replicas: Devices that share a batch.
        features: How stored features were made, for a network that reads these.
        second: Those of the second dataset and its head, where there is one.
        records: How the pictures of records were made, where these are trained on.
    """
    fields = dataclasses.asdict(recipe)
    return {
        **{name: value for name, value in fields.items() if name not in LEFT_OUT},
        **{name: getattr(options, name) for name in KEPT_OPTIONS},
        "replicas": replicas,
        "folder_rate": unusual_folder_rate(),
        "video_options": unusual_options(),
        "features": features,
        "class_names": list(class_names),
        VIDEOS: train_videos,
        **({} if second is None else {"second": dict(second)}),
        **({} if records is None else {"records": dict(records)}),
    }


@dataclass(frozen=True)
class RunBatch:
    """The clips of a step, and how the replicas share them.

    Attributes:
        clips: Clips of each replica.
        replicas: Devices that share a batch.
        settings: "batch_size" and "replicas" of the run when it was new, as run.json keeps them.
        before: Replicas that the run had when it was started last; None for a new run.
    """

    clips: int
    replicas: int
    settings: Mapping[str, int]
    before: int | None = None

    @property
    def size(self) -> int:
        """Clips of a step."""
        return self.clips * self.replicas

    @property
    def change(self) -> str | None:
        """A sentence about another number of replicas than before, or None."""
        if self.before in (None, self.replicas):
            return None
        return (
            f"goes on with {self._shares(self.replicas)} instead of {self._shares(self.before)}. "
            "The clips of every step stay the same; batch norm sees those of a replica at once, "
            "unless it is frozen or --sync_batch_norm was given."
        )

    def _shares(self, replicas):
        return f"{replicas} replica{'s' * (replicas > 1)} of {self.size // replicas} clips"


def share_batch(
    workdir: os.PathLike | str,
    batch_size: int,
    replicas: int,
    earlier: Mapping[str, Any] | None = None,
) -> RunBatch:
    """Returns the clips of a step of a run; of one that goes on, as many as before.

    With another number of replicas, both flags go on with the run: `batch_size` as it was when the
    run was new, and the one that makes the same batch now.

    Args:
        workdir: Folder of the run.
        batch_size: Clips of each replica, as the recipe has it.
        replicas: Devices that share a batch.
        earlier: The content of run.json of a run that goes on.

    Raises:
        ValueError: The replicas cannot share the batch, or run.json is damaged.
    """
    settings = {"batch_size": batch_size, "replicas": replicas}
    if earlier is None:
        return RunBatch(batch_size, replicas, settings)
    with record_errors(Path(workdir) / RUN_FILE, "the settings of a training run", RESTORE):
        was = {name: get_value(earlier["settings"], name, int) for name in settings}
        before = get_value(earlier, "replicas", int) if "replicas" in earlier else was["replicas"]
    size = was["batch_size"] * was["replicas"]
    if batch_size != was["batch_size"] and batch_size * replicas != size:
        return RunBatch(batch_size, replicas, settings)  # `changed_settings` refuses it
    if size % replicas:
        raise ValueError(
            f"{workdir}: holds a run with batches of {size} clips, which {replicas} replicas "
            "cannot share. Show as many GPUs as divide it (CUDA_VISIBLE_DEVICES), or name another "
            "--workdir."
        )
    return RunBatch(size // replicas, replicas, was, before)


def changed_settings(
    workdir: str, before: Mapping[str, Any], now: Mapping[str, Any], steps_done: int
) -> dict[str, tuple[Any, Any]]:
    """Returns the settings that changed: name to (before, now).

    The number of training videos may change, and the number of steps where so many are not done
    yet.

    Args:
        workdir: Folder of the run, for the message.
        before: Settings of the run.
        now: Settings to go on with.
        steps_done: Steps done so far.

    Raises:
        ValueError: Another setting changed, or fewer steps are wanted than are done.
    """
    pairs = {
        name: (before.get(name, _DEFAULTS.get(name)), now.get(name))
        for name in sorted({*before, *now})
    }
    changed = {name: (was, wanted) for name, (was, wanted) in pairs.items() if was != wanted}
    for name, (was, wanted) in changed.items():
        if name not in (VIDEOS, STEPS):
            raise ValueError(
                f"{workdir}: holds a run with {name}={reprlib.repr(was)}, not "
                f"{reprlib.repr(wanted)}. Name another --workdir, or use the same flags."
            )
    if STEPS in changed and now[STEPS] < steps_done:
        raise ValueError(
            f"{workdir}: {steps_done} steps are done already, more than {now[STEPS]}. Give --steps "
            "of at least as many, or name another --workdir."
        )
    return changed


def describe_changes(
    workdir: str, changed: Mapping[str, tuple[Any, Any]], schedule: str, steps_done: int
) -> str:
    """Returns a line that says with what changes a run goes on.

    Args:
        workdir: Folder of the run.
        changed: What `changed_settings` returns, not empty.
        schedule: Name of the learning-rate schedule, which may depend on the number of steps.
        steps_done: Steps done so far.
    """
    nouns = {VIDEOS: "training videos", STEPS: "steps"}
    changes = [
        f"{changed[name][1]} {noun} instead of {changed[name][0]}"
        for name, noun in nouns.items()
        if name in changed
    ]
    line = f"{workdir}: goes on with {' and '.join(changes)}."
    if STEPS in changed and schedule == "cosine":
        line += (
            f" From step {steps_done} on, the learning rate is that of a cosine schedule of "
            f"{changed[STEPS][1]} steps."
        )
    return line
