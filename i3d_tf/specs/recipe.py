"""The training of one network as data: its clips, its optimization and its length, checked.

Every field can be overridden by a flag of the same name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from i3d_tf.specs.architectures import ARCHITECTURES, Architecture
from i3d_tf.specs.baselines import MODALITIES, NETWORK_MODALITIES
from i3d_tf.specs.datasets import INTERVALS, PERSON_BOXES
from i3d_tf.specs.further_networks import FEATURE_NETWORKS, FURTHER_NETWORKS, LINEAR, FurtherNetwork
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
# Fields of every recipe for several classes at once.
TASK_FIELDS: Mapping[str, Any] = {"label_smoothing": 0.0, "loss_gain": None}
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


@dataclass(frozen=True)
class Recipe:
    """The training of one network.

    Attributes:
        name: Name in `i3d_tf.specs.recipes.RECIPES`.
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
        derived: Fields that follow from the data and from `transfer`, see
            `i3d_tf.specs.recipes.fit_to_clips`; their values here are not used.
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
        min_frames = max(architecture_of(self.model).min_frames, self.rgb_step // 2 + 1)
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


def architecture_of(model: str) -> Architecture | FurtherNetwork:
    """Returns the row of the paper's comparison, or of the other networks, that a model has."""
    if model in FURTHER_NETWORKS:
        return FURTHER_NETWORKS[model]
    if model in FEATURE_NETWORKS:
        return FEATURE_NETWORKS[model]
    return ARCHITECTURES["two_stream_i3d" if model == I3D_MODEL else model]
