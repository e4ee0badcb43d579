"""Training recipes: published schedules, and the embedded dataset's, as data.

A recipe holds the sampling of clips, the optimization and its length. Every field can be overridden
by a flag of the same name.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.baselines import (
    DIFFERENCE_FRAMES,
    FLOW_FRAMES,
    MODALITIES,
    NETWORK_MODALITIES,
    TSN_ARGUMENTS,
)
from i3d_tf.specs.datasets import INTERVALS, PERSON_BOXES
from i3d_tf.specs.further_networks import (
    ALL_ROWS,
    FEATURE_NETWORKS,
    FURTHER_NETWORKS,
    LINEAR,
    TRAIN_ROWS,
)
from i3d_tf.specs.geometry import CENTERS, STEP_RULES
from i3d_tf.specs.inception_v1 import MIN_SIZE
from i3d_tf.specs.protocol import Protocol, clip_shape
from i3d_tf.specs.streams import (
    BOTH,
    CROP_SIZE,
    FEATURES,
    FLOW_DIRECTIONS,
    FORWARD,
    FRAME_RATE,
    JOINT,
    SHORT_SIDE,
    STREAMS,
    TEST_FRAMES,
    TRAIN_FRAMES,
    inputs_of,
)
from i3d_tf.specs.validation import (
    check_choice,
    check_fraction,
    check_integer,
    check_number,
    check_positive,
)

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("piecewise", "cosine")
LOSS_GAINS = (LINEAR,)
I3D_MODEL = "inception_i3d"
# Network to the streams that one training run can have; streams that are fused late are trained
# apart.
TRAINED_STREAMS = {
    I3D_MODEL: STREAMS,
    "convnet_lstm": ("rgb",),
    "c3d": ("rgb",),
    "two_stream": STREAMS,
    "fused_3d": (JOINT,),
    **{name: network.streams for name, network in FURTHER_NETWORKS.items()},
    **dict.fromkeys(FEATURE_NETWORKS, (FEATURES,)),
}
CLIP, MULTILABEL, FRAMES, PERSONS = TASKS = ("clip", "multilabel", "frames", "persons")
# Datasets that have what a task learns from; every other dataset has a class for each video.
TASK_DATASETS = {MULTILABEL: INTERVALS, FRAMES: INTERVALS, PERSONS: PERSON_BOXES}
MAX_BOXES = 8
SNIPPET_NETWORKS = ("tsn", *NETWORK_MODALITIES)
SCRATCH, FIXED, FULL = TRANSFERS = ("scratch", "fixed", "full")
CHOICES = {
    "model": tuple(TRAINED_STREAMS),
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "transfer": TRANSFERS,
    "task": TASKS,
    "step_rule": STEP_RULES,
    "flow_direction": FLOW_DIRECTIONS,
}
BIDIRECTIONAL = "two_stream_2014"  # the network that reads flow of both directions
MIN_INTEGERS = {
    "rgb_step": 1,
    "test_windows": 1,
    "segments": 1,
    "crop_size": MIN_SIZE,
    "batch_size": 1,
    "steps": 1,
    "evaluate_every": 1,
    "max_boxes": 1,
}
POSITIVE = ("frame_rate", "width_multiplier")
FRACTIONS = ("dropout_rate", "batch_norm_momentum", "momentum", "label_smoothing", "jitter")
# Arguments of networks that follow from other fields of a recipe, and from the dataset.
GIVEN_ARGUMENTS = (
    "input_shape",
    "classes",
    "dropout_rate",
    "width_multiplier",
    "stream",
    "all_steps",
    "is_bidirectional",
    "boxes",
    "heads",
    "name",
)
# Fields that a recipe for another network takes over from the paper's row of it.
SAMPLING = (
    "train_frames",
    "test_frames",
    "test_windows",
    "rgb_step",
    "short_side",
    "crop_size",
)
FEATURE_SAMPLING = SAMPLING[:4]


@dataclass(frozen=True)
class Recipe:
    """The training of one network.

    Attributes:
        name: Name in `RECIPES`.
        description: Source, cost and expected result.
        dataset: Name in `i3d_tf.specs.datasets.DATASETS`; "person_boxes" of persons.
        stream: "rgb" or "flow", or "joint" for a network of both, or "features" for one that reads
            stored features; see `TRAINED_STREAMS`.
        model: The network, one of `TRAINED_STREAMS`.
        train_split: The dataset's split to train on.
        test_split: The dataset's split to evaluate on.
        train_frames: Frames of a training clip, a random window.
        test_frames: Frames of a test clip; shorter videos are looped.
        test_windows: Clips of a test video, spread evenly; one is the first frames.
        segments: Snippets of a training clip, each of `train_frames`, from a random place of each
            of so many equal parts of the video; 1 is a clip of consecutive frames.
        test_segments: Snippets of a test clip; None means as many.
        rgb_step: An RGB network gets one of so many frames of a clip, a flow network all.
        frame_rate: Frames per second after resampling.
        short_side: Pixels, after resizing.
        crop_size: Pixels, side of the square that the network gets.
        width_multiplier: Scales the number of filters everywhere.
        dropout_rate: Dropout before the last convolution.
        batch_norm_momentum: Decay of the running statistics; short schedules need a small one.
        batch_size: Clips per replica.
        steps: Updates in all.
        optimizer: One of `OPTIMIZERS`.
        momentum: Momentum of SGD.
        weight_decay: Weight decay per unit of learning rate.
        clip_norm: Largest norm of the gradient of all variables together; None for any.
        schedule: One of `SCHEDULES`.
        boundaries: Steps at which a piecewise schedule changes, counted from 0: with 10 as the
            first, ten steps have the first rate.
        learning_rates: Rates, one more than boundaries; for cosine the peak alone, reached from a
            tenth of it in the first tenth of the steps.
        label_smoothing: Share of the uniform distribution in the target, in [0, 1).
        flip: Whether training clips are mirrored at random.
        jitter: Strength of random brightness, contrast and saturation in [0, 1); RGB only.
        crop_scales: Sizes of training crops as shares of the short side, in descending order, from
            which height and width are drawn; see `i3d_tf.data.views.random_view`. None for squares
            of `crop_size` at random places.
        evaluate_every: Steps between evaluations, each with a checkpoint.
        transfer: One of `TRANSFERS`: "scratch" trains everything from random weights, "full"
            everything from `init`, and "fixed" only the last layer on top of `init`.
        init: Weights to start from, or None.
        freeze_batch_norm: Whether batch norm stays as it is in `init`.
        partial_batch_norm: Whether all batch norm but the first layer's stays as it is in `init`.
        keep_last: Whether the last state counts as the best, whatever its test accuracy, which says
            little where test videos are few.
        derived: Fields that follow from the data and from `transfer`, see `fit_to_clips`; their
            values here are not used.
        loss_gain: Weights of the steps of a clip in the loss of a network with logits at every
            step: "linear" rises from 0 to 1 (arXiv:1503.08909); None weighs all alike.
        network_arguments: Further arguments of the network's function, see `i3d_tf.zoo.build`.

        task: What is learned: one class a clip ("clip"), several classes a clip ("multilabel"),
            the classes of every frame ("frames"), see `i3d_tf.data.pipeline.PipelineConfig`, or
            those of each person in the frame in the middle ("persons"), see
            `i3d_tf.inference.person_clips`.
        flow_direction: Direction in time of the fields of a flow network: "both" is bi-directional
            optical flow, of two_stream_2014; see `i3d_tf.specs.protocol.flow_fields`.
        step_rule: Where the logits at I3D's steps are taken to be in time, for the task "frames";
            see `i3d_tf.specs.geometry.head_positions`.
        max_boxes: Persons of a training clip, at most, for the task "persons".

    Raises:
        ValueError: A field is not allowed.
    """

    name: str
    description: str
    dataset: str
    stream: str
    model: str = I3D_MODEL
    train_split: str = "train"
    test_split: str = "test"
    train_frames: int = TRAIN_FRAMES
    test_frames: int = TEST_FRAMES
    test_windows: int = 1
    segments: int = 1
    test_segments: int | None = None
    rgb_step: int = 1
    frame_rate: float = FRAME_RATE
    short_side: int = SHORT_SIDE
    crop_size: int = CROP_SIZE
    width_multiplier: float = 1.0
    dropout_rate: float = 0.5
    batch_norm_momentum: float = 0.999
    batch_size: int = 6
    steps: int = 5_000
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-7
    clip_norm: float | None = None
    schedule: str = "piecewise"
    boundaries: tuple[int, ...] = ()
    learning_rates: tuple[float, ...] = (0.1,)
    label_smoothing: float = 0.0
    flip: bool = True
    jitter: float = 0.0
    evaluate_every: int = 1_000
    transfer: str = SCRATCH
    init: str | None = None
    freeze_batch_norm: bool = False
    partial_batch_norm: bool = False
    keep_last: bool = False
    derived: tuple[str, ...] = ()
    loss_gain: str | None = None
    network_arguments: Mapping[str, Any] | None = field(default=None, hash=False)
    task: str = CLIP
    step_rule: str = CENTERS
    flow_direction: str = FORWARD
    max_boxes: int = MAX_BOXES
    crop_scales: tuple[float, ...] | None = None

    def __post_init__(self):
        for name, choices in CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        if self.loss_gain is not None:
            check_choice("loss_gain", self.loss_gain, LOSS_GAINS)
        given = [name for name in self.network_arguments or () if name in GIVEN_ARGUMENTS]
        self._check("network_arguments", f"other than {GIVEN_ARGUMENTS}", not given)
        allowed = TRAINED_STREAMS[self.model]
        self._check("stream", f"one of {allowed} for {self.model}", self.stream in allowed)
        for name, minimum in MIN_INTEGERS.items():
            check_integer(name, getattr(self, name), minimum)
        min_frames = max(_architecture(self.model).min_frames, self.rgb_step // 2 + 1)
        for name in ("train_frames", "test_frames"):
            check_integer(name, getattr(self, name), min_frames)
        check_number("weight_decay", self.weight_decay, 0)
        if self.test_segments is not None:
            check_integer("test_segments", self.test_segments, 1)
        if self.clip_norm is not None:
            check_positive("clip_norm", self.clip_norm)
        for name in POSITIVE:
            check_positive(name, getattr(self, name))
        for name in FRACTIONS:
            check_fraction(name, getattr(self, name))
        if self.model in SNIPPET_NETWORKS:
            self._check_snippets()
        fits = self.short_side >= self.crop_size
        self._check("short_side", f"at least `crop_size`, {self.crop_size}", fits)
        self._check_schedule()
        self._check_task()
        self._check_flow_direction()
        if self.crop_scales is not None:
            self._check_crop_scales()

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that the network gets."""
        return inputs_of(self.stream)

    @property
    def protocol(self) -> Protocol:
        """The sampling of clips at test time."""
        return settings_protocol(vars(self))

    @property
    def train_protocol(self) -> Protocol:
        """The sampling of training clips."""
        windows = self.test_windows if self.segments == 1 else 1
        return replace(
            self.protocol, frames=self.train_frames, segments=self.segments, windows=windows
        )

    def clip_shape(self, stream: str, frames: int) -> tuple[int, int, int, int]:
        """Returns the shape (T, H, W, C) of a window of `frames` for a stream's network."""
        return clip_shape(stream, frames, self.rgb_step, self.crop_size)

    def _check_snippets(self):
        arguments = self.network_arguments or {}
        modality = NETWORK_MODALITIES.get(self.model, arguments.get("modality", self.stream))
        check_choice("modality", modality, MODALITIES)
        wanted = arguments.get("snippet_frames") or MODALITIES[modality].frames
        check_integer("snippet_frames", wanted, 1)
        for name in ("train_frames", "test_frames"):
            frames, *_ = self.clip_shape(self.stream, getattr(self, name))
            allowed = f"so many that {self.model} gets a multiple of {wanted} for {self.stream}"
            self._check(name, allowed, frames % wanted == 0)

    def _check_schedule(self):
        ascending = list(self.boundaries) == sorted({b for b in self.boundaries if b > 0})
        self._check("boundaries", "positive and ascending", ascending)
        fits = not self.boundaries or self.schedule == "piecewise"
        self._check("boundaries", f"empty for `schedule` {self.schedule!r}", fits)
        fits = len(self.learning_rates) == len(self.boundaries) + 1
        wanted = f"{len(self.boundaries) + 1} positive rates, one more than `boundaries`"
        self._check("learning_rates", wanted, fits and min(self.learning_rates) > 0)

    def _check_task(self):
        if self.task == CLIP:
            has_classes = self.dataset not in TASK_DATASETS.values()
            self._check("dataset", "one with a class for each video", has_classes)
        else:
            wanted = TASK_DATASETS[self.task]
            fits = self.dataset == wanted
            self._check("dataset", f"{wanted!r} for `task` {self.task!r}", fits)
            for name, value in TASK_FIELDS.items():
                fits = getattr(self, name) == value
                self._check(name, f"{value} for `task` {self.task!r}", fits)
            sees_clips = self.stream != FEATURES
            self._check("stream", f"of clips for `task` {self.task!r}", sees_clips)
        if self.task in (FRAMES, PERSONS):
            for name, value in {"model": I3D_MODEL, "rgb_step": 1, "segments": 1}.items():
                fits = getattr(self, name) == value
                self._check(name, f"{value!r} for `task` {self.task!r}", fits)
        if self.task != FRAMES:
            fits = self.step_rule == CENTERS
            self._check("step_rule", f"{CENTERS!r} for `task` {self.task!r}", fits)

    def _check_crop_scales(self):
        scales = list(self.crop_scales or ())
        is_descending = scales == sorted(set(scales), reverse=True) != []
        fits = is_descending and all(0 < scale <= 1 for scale in scales)
        self._check("crop_scales", "within (0, 1], in descending order", fits)
        fits = self.task != PERSONS and self.stream != FEATURES
        self._check("crop_scales", f"None for `task` {self.task!r} of {self.stream}", fits)

    def _check_flow_direction(self):
        if self.flow_direction == FORWARD:
            return
        fits = self.model == BIDIRECTIONAL and self.stream == "flow"
        allowed = f"{FORWARD!r} for {self.model} of {self.stream}"
        self._check("flow_direction", f"{allowed}; {BIDIRECTIONAL} of flow takes any", fits)
        for name in ("train_frames", "test_frames"):
            self._check(name, f"even for `flow_direction` {BOTH!r}", getattr(self, name) % 2 == 0)

    def _check(self, name, allowed, fits):
        if not fits:
            raise ValueError(f"`{name}` must be {allowed}; received {getattr(self, name)!r}.")


def settings_protocol(settings: Mapping[str, Any]) -> Protocol:
    """Returns the test protocol in a recipe's fields, which `run.json` keeps as settings."""
    return Protocol(
        frames=settings["test_frames"],
        frame_rate=settings["frame_rate"],
        short_side=settings["short_side"],
        crop_size=settings["crop_size"],
        windows=settings["test_windows"],
        rgb_step=settings["rgb_step"],
        # Former versions have none of these.
        segments=settings.get("test_segments") or settings.get("segments", 1),
        flow_direction=settings.get("flow_direction", FORWARD),
    )


def for_model(recipe: Recipe, model: str) -> Recipe:
    """Returns a recipe for another network, with the sampling that its inputs need.

    Args:
        recipe: The recipe; its stream stays if the network has it.
        model: One of `TRAINED_STREAMS`.

    Raises:
        ValueError: There is no such network.
    """
    check_choice("model", model, TRAINED_STREAMS)
    if model == recipe.model:
        return recipe
    streams = TRAINED_STREAMS[model]
    stream = recipe.stream if recipe.stream in streams else streams[0]
    sampling: Mapping[str, Any]
    further = FURTHER_NETWORKS.get(model)
    if model in FEATURE_NETWORKS:
        rows = {name: getattr(FEATURE_NETWORKS[model], name) for name in FEATURE_SAMPLING}
        sampling = {**_ONE_WINDOW, **rows}
    elif recipe.dataset == STICK_ACTIONS:
        sampling = {**_ONE_WINDOW, **STICK_SAMPLING[model]}
    else:
        sampling = {name: getattr(_architecture(model), name) for name in SAMPLING}
        segments = (1, None) if further is None else (further.segments, further.test_segments)
        sampling |= dict(zip(("segments", "test_segments"), segments, strict=True))
    return replace(
        recipe,
        model=model,
        stream=stream,
        network_arguments=None,
        flow_direction=FORWARD,
        loss_gain=None if further is None or recipe.task != CLIP else further.loss_gain,
        **sampling,
    )


# Fields of every recipe for several classes at once.
TASK_FIELDS: Mapping[str, Any] = {"label_smoothing": 0.0, "loss_gain": None}


def for_task(recipe: Recipe, task: str) -> Recipe:
    """Returns a recipe for another task, with the dataset and the loss that it needs.

    Args:
        recipe: The recipe.
        task: One of `TASKS`.

    Raises:
        ValueError: There is no such task, or the recipe is of another one, and of its dataset.
    """
    check_choice("task", task, TASKS)
    if recipe.task == task:
        return recipe
    if recipe.task != CLIP or task == CLIP:  # of the same dataset, or refused
        return replace(recipe, task=task)
    derived = tuple(name for name in recipe.derived if name not in ("train_split", "test_split"))
    # Of persons, clips for training and for testing are around the same moments.
    frames: dict[str, Any] = {}
    if task == PERSONS:
        frames["test_frames"] = recipe.train_frames
    return replace(
        recipe,
        task=task,
        dataset=TASK_DATASETS[task],
        train_split="train",
        test_split="test",
        derived=derived,
        **frames,
        **TASK_FIELDS,
    )


# Length of a fine-tuning run: clips shown, for each training video and in all.
EPOCHS = 20
MIN_EPOCHS = 2
MIN_CLIPS, MAX_CLIPS = 240, 2_400
MIN_EVALUATIONS, MAX_EVALUATIONS = 2, 4
SMALLEST_BATCH = 2
LARGEST_BATCHES = {FIXED: 8, FULL: 4, SCRATCH: 4}  # of all layers, a clip takes gigabytes
FINE_TUNING_RATES = {FIXED: 0.01, FULL: 0.001, SCRATCH: 0.01}


def fit_to_clips(recipe: Recipe, transfer: str, clips: int, replicas: int = 1) -> Recipe:
    """Returns a recipe with the values of its `derived` fields.

    Every video is shown `EPOCHS` times, so that a run of few videos takes minutes; of many, less
    often, so that it takes about an hour on two cores, but at least `MIN_EPOCHS` times.

    Args:
        recipe: The recipe.
        transfer: One of `TRANSFERS`.
        clips: Number of training videos.
        replicas: Devices that share a batch.
    """
    check_choice("transfer", transfer, TRANSFERS)
    derived = recipe.derived
    if "learning_rates" in derived:
        recipe = replace(recipe, learning_rates=(FINE_TUNING_RATES[transfer],))
    if "batch_size" in derived:
        batch_size = min(max(SMALLEST_BATCH, clips // 4), LARGEST_BATCHES[transfer])
        recipe = replace(recipe, batch_size=batch_size)
    if "steps" in derived:
        shown = max(min(max(EPOCHS * clips, MIN_CLIPS), MAX_CLIPS), MIN_EPOCHS * clips)
        recipe = replace(recipe, steps=math.ceil(shown / (recipe.batch_size * replicas)))
    if "evaluate_every" in derived:
        # A test clip is four times as long as a training clip, and a fifth of the videos is tested:
        # an evaluation takes about as long as showing every training video once.
        epochs = recipe.steps * recipe.batch_size * replicas // clips
        evaluations = min(max(MIN_EVALUATIONS, epochs // 2), MAX_EVALUATIONS)
        recipe = replace(recipe, evaluate_every=math.ceil(recipe.steps / evaluations))
    return recipe


def _architecture(model):
    """Returns the row of the paper's comparison, or of the other networks, that a model has."""
    if model in FURTHER_NETWORKS:
        return FURTHER_NETWORKS[model]
    if model in FEATURE_NETWORKS:
        return FEATURE_NETWORKS[model]
    return ARCHITECTURES["two_stream_i3d" if model == I3D_MODEL else model]


def _fine_tuning(name, dataset):
    return Recipe(
        name=name,
        description=(
            f"Fine-tuning on {dataset} after arXiv:1705.07750, section 5: up to 5k steps on 16 "
            "replicas of 6 clips. The paper does not print its learning rates; these divide the "
            "Kinetics schedule's by 10. Cost: some hours on 8 GPUs. Expected, ImageNet + Kinetics, "
            "mean of three splits, RGB / flow / both: UCF-101 95.6 / 96.7 / 98.0, HMDB-51 74.8 / "
            "77.1 / 80.7."
        ),
        dataset=dataset,
        stream="rgb",
        train_split="train1",
        test_split="test1",
        steps=5_000,
        boundaries=(3_000, 4_000),
        learning_rates=(0.01, 0.001, 0.0001),
        evaluate_every=500,
    )


# UCF-101's first split: 9,537 training videos, 128 a step.
_UCF_EPOCH = 9_537 / 128


def _tsn(
    modality: str, segments: int, epochs: tuple[int, ...], clip_norm: float, dropout_rate: float
) -> Recipe:
    """Returns a recipe of tsn-pytorch: its learning rate falls to a tenth after some epochs."""
    *boundaries, steps = (round(epoch * _UCF_EPOCH) for epoch in epochs)
    name = f"tsn_{modality}"
    network = FURTHER_NETWORKS[name if name in NETWORK_MODALITIES else "tsn"]
    return Recipe(
        name=name,
        description=(
            f"Temporal Segment Networks on UCF-101, arXiv:1608.00859, as the README of tsn-pytorch "
            f"trains {modality} with BN-Inception: {epochs[-1]} epochs of the first split, batches "
            "of 128 (--accumulate, where they do not fit), partial batch norm. --init names "
            "ImageNet's weights of BN-Inception; or --network_arguments=backbone=ResNet50 "
            "--init=imagenet:ResNet50. Crops are random here; --crop_scales=1,.875,.75,.66 (of "
            "flow and differences 1,.875,.75) has those at corners, in several scales. Published "
            "for three modalities together, mean of three splits: 94.2."
        ),
        dataset="ucf101",
        stream=MODALITIES[modality].stream,
        model=network.name,
        network_arguments=TSN_ARGUMENTS[modality],
        train_split="train1",
        test_split="test1",
        train_frames=network.train_frames,
        test_frames=network.test_frames,
        rgb_step=network.rgb_step,
        segments=segments,
        test_segments=network.test_segments,
        dropout_rate=dropout_rate,
        batch_norm_momentum=0.9,
        batch_size=128,
        steps=steps,
        weight_decay=5e-4,
        clip_norm=clip_norm,
        boundaries=tuple(boundaries),
        learning_rates=(1e-3, 1e-4, 1e-5),
        evaluate_every=500,
        transfer=FULL,
        partial_batch_norm=True,
    )


class StickSampling(TypedDict, total=False):
    """The fields of a recipe that differ between networks for the embedded dataset."""

    train_frames: int
    test_frames: int
    test_windows: int
    segments: int
    test_segments: int | None
    rgb_step: int
    frame_rate: float


def _charades(stream, init):
    return Recipe(
        name=f"charades_{stream}",
        description=(
            f"Charades, every frame: {init} with a new head for 157 classes, 64 frames at 24 per "
            "second, half of the loss of frames and half of clips. The schedule is that of the "
            "author of pytorch-i3d (its issue 14), whose run had 384 clips an update, as 64 "
            "replicas of 6 or --accumulate. Cost: days on 8 GPUs. Expected of RGB: 17.2 mAP at the "
            "25 points of a video."
        ),
        dataset=INTERVALS,
        stream=stream,
        test_frames=TRAIN_FRAMES,
        frame_rate=24.0,
        short_side=226,
        steps=65_000,
        boundaries=(45_000,),
        learning_rates=(0.1, 0.01),
        weight_decay=1e-6,
        evaluate_every=5_000,
        transfer=FULL,
        init=init,
        task=FRAMES,
    )


def _ava(stream, init):
    return Recipe(
        name=f"ava_{stream}",
        description=(
            f"Persons of AVA, after arXiv:1807.10066 with boxes that are given instead of its "
            f"detector: {init} with a new head for the actions of the label map, 64 frames at 25 "
            "per second around each annotated moment, batch norm as it was, a cosine schedule. The "
            "paper's clips have 400 x 400 pixels (--short_side=400 --crop_size=400); its number of "
            "steps and this one's differ. Cost: days on 8 GPUs. Published of RGB with its "
            "detector, on version 2.1: 21.9 frame mAP."
        ),
        dataset=PERSON_BOXES,
        stream=stream,
        test_frames=TRAIN_FRAMES,
        steps=60_000,
        schedule="cosine",
        learning_rates=(0.01,),
        evaluate_every=5_000,
        transfer=FULL,
        init=init,
        freeze_batch_norm=True,
        task=PERSONS,
    )


FINETUNE = "finetune"
FEATURE_RECIPE = "features"
STICK_ACTIONS = "stick_actions"
_STICK_STEPS = 1_440  # 32 epochs of 360 clips
# The paper's sampling, for clips of 2 s instead of 10 s, so that a clip spans a whole action. That
# takes 16 frames at 25/3 per second; networks of ten flow fields at a time keep the paper's 25, and
# so its distance between two frames of flow.
_ONE_WINDOW: StickSampling = {
    "test_windows": 1,
    "segments": 1,
    "test_segments": None,
    "rgb_step": 1,
}
STICK_SAMPLING: dict[str, StickSampling] = {
    I3D_MODEL: {"train_frames": 16, "test_frames": 16, "frame_rate": 25 / 3},
    "convnet_lstm": {"train_frames": 16, "test_frames": 16, "frame_rate": 25 / 3},
    "c3d": {"train_frames": 16, "test_frames": 16, "frame_rate": 25 / 3},
    "two_stream": {
        "train_frames": 10,
        "test_frames": 10,
        "test_windows": 5,
        "rgb_step": 10,
        "frame_rate": 25.0,
    },
    "fused_3d": {"train_frames": 50, "test_frames": 50, "rgb_step": 10, "frame_rate": 25.0},
    **{
        name: {"train_frames": 16, "test_frames": 16, "frame_rate": 25 / 3}
        for name in FURTHER_NETWORKS
    },
    "tsn": {
        "train_frames": FLOW_FRAMES,
        "test_frames": FLOW_FRAMES,
        "rgb_step": FLOW_FRAMES,
        "segments": 3,
        "test_segments": 5,
        "frame_rate": 25.0,
    },
    "tsn_rgb_difference": {
        "train_frames": DIFFERENCE_FRAMES,
        "test_frames": DIFFERENCE_FRAMES,
        "segments": 3,
        "test_segments": 5,
        "frame_rate": 25.0,
    },
}
STICK_SAMPLING |= {
    "two_stream_2014": STICK_SAMPLING["two_stream"],
    "sports_1m_single": {
        "train_frames": 1,
        "test_frames": 1,
        "test_windows": 16,
        "frame_rate": 25 / 3,
    },
    "sports_1m_early": {"train_frames": 10, "test_frames": 10, "frame_rate": 5.0},
    "sports_1m_slow": {"train_frames": 10, "test_frames": 10, "frame_rate": 5.0},
    "sports_1m_late": {
        "train_frames": 16,
        "test_frames": 16,
        "rgb_step": 8,
        "frame_rate": 25 / 3,
    },
}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="kinetics_rgb",
            description=(
                "RGB on Kinetics-400, arXiv:1705.07750, section 3: SGD on 64 replicas of 6 "
                "clips (384 a step), 115k steps. Cost: about 30 exaFLOP, days on 8 GPUs. Expected "
                "top-1 / top-5 on the test set: 71.1 / 89.3 from inflated ImageNet weights, 68.4 / "
                "88.0 from scratch."
            ),
            dataset="kinetics400",
            stream="rgb",
            test_split="val",
            steps=115_000,
            boundaries=(97_000, 108_000),
            learning_rates=(0.1, 0.01, 0.001),
        ),
        Recipe(
            name="kinetics_flow",
            description=(
                "Flow on Kinetics-400, arXiv:1705.07750, section 3, the release's schedule: "
                "155k steps, the learning rate raised again at 115k. Expected top-1 / top-5: "
                "63.4 / 84.9 from inflated ImageNet weights, 61.5 / 83.4 from scratch."
            ),
            dataset="kinetics400",
            stream="flow",
            test_split="val",
            steps=155_000,
            boundaries=(97_000, 104_500, 115_000, 140_000, 150_000),
            learning_rates=(0.1, 0.01, 0.001, 0.1, 0.01, 0.001),
        ),
        _fine_tuning("ucf101", "ucf101"),
        _fine_tuning("hmdb51", "hmdb51"),
        _tsn("rgb", 3, (30, 60, 80), clip_norm=20.0, dropout_rate=0.8),
        _tsn("flow", 3, (190, 300, 340), clip_norm=20.0, dropout_rate=0.7),
        _tsn("rgb_difference", 7, (80, 160, 180), clip_norm=40.0, dropout_rate=0.8),
        _charades("rgb", "rgb_imagenet"),
        _charades("flow", "flow_imagenet"),
        _ava("rgb", "rgb_imagenet"),
        _ava("flow", "flow_imagenet"),
        Recipe(
            name=FINETUNE,
            description=(
                "Your own videos, in a folder for each class: the head of a released RGB network, "
                "or all of it with `transfer` full. Length, batch and learning rate follow from "
                "the number of videos, see `fit_to_clips`. Cost on 2 cores: minutes for tens of "
                "videos, about an hour for hundreds. See docs/finetune.md."
            ),
            dataset="class_folders",
            stream="rgb",
            schedule="cosine",
            transfer=FIXED,
            init="rgb_scratch",
            freeze_batch_norm=True,
            keep_last=True,
            derived=(
                "train_split",
                "test_split",
                "learning_rates",
                "batch_size",
                "steps",
                "evaluate_every",
            ),
        ),
        Recipe(
            name=FEATURE_RECIPE,
            description=(
                "A recurrent network on stored features of the videos, see docs/homework.md: an "
                "LSTM of 1024 units, sequences of 15 rows, the loss averaged over them, SGD. "
                "3,000 steps are 20 epochs of UCF-101."
            ),
            dataset="class_folders",
            stream=FEATURES,
            model="feature_lstm",
            train_frames=TRAIN_ROWS,
            test_frames=ALL_ROWS,
            batch_size=64,
            steps=3_000,
            learning_rates=(0.01,),
            evaluate_every=300,
            derived=("train_split", "test_split"),
        ),
        Recipe(
            name=STICK_ACTIONS,
            description=(
                "The embedded dataset, from scratch: 12 actions that only motion tells apart, "
                "360 clips, a quarter of the width, 16 frames at 25/3 per second, so that a clip "
                "spans its whole action. Cost: minutes on 2 cores, see `make train`."
            ),
            dataset=STICK_ACTIONS,
            stream="rgb",
            **STICK_SAMPLING[I3D_MODEL],
            short_side=96,
            crop_size=80,
            width_multiplier=0.25,
            dropout_rate=0.3,
            batch_norm_momentum=0.9,
            batch_size=8,
            steps=_STICK_STEPS,
            optimizer="adamw",
            weight_decay=1e-2,
            schedule="cosine",
            learning_rates=(2e-3,),
            label_smoothing=0.1,
            evaluate_every=_STICK_STEPS // 8,
        ),
    )
}
