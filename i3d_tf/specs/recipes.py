"""Training recipes: published schedules, and the embedded dataset's, as data.

Recipes for another network, another task or so many clips follow from them.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypedDict

from i3d_tf.specs.baselines import (
    DIFFERENCE_FRAMES,
    FLOW_FRAMES,
    MODALITIES,
    NETWORK_MODALITIES,
    TSN_ARGUMENTS,
)
from i3d_tf.specs.datasets import INTERVALS, PERSON_BOXES
from i3d_tf.specs.further_networks import ALL_ROWS, FEATURE_NETWORKS, FURTHER_NETWORKS, TRAIN_ROWS
from i3d_tf.specs.recipe import (
    CLIP,
    FIXED,
    FRAMES,
    FULL,
    I3D_MODEL,
    PERSONS,
    SCRATCH,
    TASK_DATASETS,
    TASK_FIELDS,
    TASKS,
    TRAINED_STREAMS,
    TRANSFERS,
    Recipe,
    architecture_of,
)
from i3d_tf.specs.streams import FEATURES, FORWARD, TRAIN_FRAMES
from i3d_tf.specs.validation import check_choice

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
        sampling = {name: getattr(architecture_of(model), name) for name in SAMPLING}
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
