"""Temporal ablation: the accuracy of networks on frames in other orders, or on one of them.

```
<report_dir>/ablation.json   every number, and the prediction of every video under each condition
<report_dir>/index.html      the same as one page, which needs no other file and no network
<report_dir>/accuracy.svg    the page's chart
<report_dir>/videos/         logits of each video, by which a stopped job goes on
```
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from i3d_tf.data.clips import unusual_folder_rate, unusual_options
from i3d_tf.data.example import VideoExample
from i3d_tf.explain.ablation import FORMAT, Ablation, measure
from i3d_tf.explain.condition_logits import ConditionLogits
from i3d_tf.explain.frame_orders import (
    DEFAULT_CONDITIONS,
    Condition,
    parse_conditions,
)
from i3d_tf.explain.video_logits import (
    SETTINGS,
    VIDEO_FORMAT,
    read_video_logits,
    write_video_logits,
)
from i3d_tf.flow.engines import choose_engine
from i3d_tf.flow.quantize import check_rounding
from i3d_tf.inference.test_set import read_test_set
from i3d_tf.metrics.bootstrap import LEVEL, SAMPLES
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.datasets import check_has_classes
from i3d_tf.specs.streams import JOINT, streams_of
from i3d_tf.specs.validation import check_integer
from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.system.jobs import SOURCE, Task, first_difference, missing_outputs, run_each, run_job
from i3d_tf.system.records import read_json_object
from i3d_tf.system.report_folder import report_folder
from i3d_tf.video.find import find_targets
from i3d_tf.video.frame_folder import video_metadata
from i3d_tf.video.names import assign_outputs, output_path, relative_name
from i3d_tf.zoo import open_checkpoints
from i3d_tf.zoo.checkpoint import Checkpoints

NUMBERS, PAGE, CHART, VIDEOS = "ablation.json", "index.html", "accuracy.svg", "videos"
SUFFIX = ".json"
FROZEN_FRAMES = 9
MAX_FROZEN_FRAMES, MAX_SAMPLES = 1000, 10**6


@dataclass(frozen=True)
class AblationOptions:
    """The networks, the videos and the conditions of an ablation.

    Attributes:
        report_dir: Folder of the report.
        data_dir: Folder of a dataset, whose labels give accuracies; None with `videos`.
        dataset: Name of the dataset's reader.
        split: See `read_test_set`.
        annotation: Annotation file of the dataset, or the folder of its files.
        quarantine: List of unreadable videos to leave out.
        videos: Files, folders, patterns or lists, instead of a dataset: predictions alone.
        rgb_checkpoint: RGB network, see `open_checkpoint`; None leaves the stream out.
        flow_checkpoint: Flow network; None leaves the stream out.
        joint_checkpoint: A network that sees both streams, instead of one for each.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        conditions: Names, see `i3d_tf.explain.frame_orders`.
        frozen_frames: Frames of a clip among which "frozen:best" and "frozen:oracle" choose.
        seed: Of shuffling and of the bootstrap.
        bootstrap: Resampled test sets.
        flow_engine: Engine that computes flow.
        flow_rounding: Flow is given as if it had been stored in 8 bits, see `through_codes`.
        protocol: Fields of `Protocol` that replace the networks' own.
        overwrite: Whether to replace logits that were computed with other settings.
    """

    report_dir: str
    data_dir: str | None = None
    dataset: str = "class_folders"
    split: str = "test"
    annotation: str | None = None
    quarantine: str | None = None
    videos: Sequence[str] = ()
    rgb_checkpoint: str | None = None
    flow_checkpoint: str | None = None
    joint_checkpoint: str | None = None
    checkpoint_dir: os.PathLike | str | None = None
    conditions: Sequence[str] = DEFAULT_CONDITIONS
    frozen_frames: int = FROZEN_FRAMES
    seed: int = 0
    bootstrap: int = SAMPLES
    flow_engine: str = "auto"
    flow_rounding: str = "nearest"
    protocol: dict[str, Any] = field(default_factory=dict)
    overwrite: bool = False

    @property
    def checkpoints(self) -> dict[str, str]:
        """Stream, or "joint", to the network that was named for it.

        Raises:
            ValueError: No network was named, or another beside a joint one.
        """
        given = {
            "rgb": self.rgb_checkpoint,
            "flow": self.flow_checkpoint,
            JOINT: self.joint_checkpoint,
        }
        named = {stream: name for stream, name in given.items() if name is not None}
        if not named:
            raise ValueError(
                "no network was named. Give --rgb_checkpoint, --flow_checkpoint or both, or "
                "--joint_checkpoint."
            )
        if JOINT in named and len(named) > 1:
            raise ValueError(
                "--joint_checkpoint sees both streams. Give no other network beside it."
            )
        return named


@dataclass(frozen=True)
class _Video:
    """A video, with its name on every machine, and the file of its logits."""

    example: VideoExample
    name: str
    target: Path


def ablate_time(options: AblationOptions) -> Ablation:
    """Computes the accuracy under each condition, and writes the report.

    A video that cannot be read is named and left out. A stopped job goes on when it is run again.

    Raises:
        ValueError: An argument is not allowed, networks and data do not fit, logits that are there
            were computed with other settings, or no video could be read.
        OSError: A file cannot be read or written, or another process writes into the folder.
    """
    from i3d_tf.explain.ablation_page import ablation_page, accuracy_chart

    conditions = parse_conditions(options.conditions)
    check_integer("frozen_frames", options.frozen_frames, 1, MAX_FROZEN_FRAMES)
    check_integer("seed", options.seed, 0)
    check_integer("bootstrap", options.bootstrap, 1, MAX_SAMPLES)
    check_rounding(options.flow_rounding)
    folder = Path(options.report_dir)
    for name, is_own in ((NUMBERS, _is_numbers), (PAGE, _is_page), (CHART, _is_chart)):
        check_target(folder / name, is_own)
    if (options.data_dir is None) == (not options.videos):
        given = "both" if options.videos else "neither"
        raise ValueError(
            f"videos must be named by --data_dir or as arguments; received {given}. Give one of "
            "them."
        )
    networks = open_checkpoints(
        options.checkpoints, options.checkpoint_dir, protocol_overrides=options.protocol
    )
    videos, data = _find_videos(options, networks)
    settings = _settings(options, networks, conditions)
    with report_folder(folder):
        logits, failed = _compute(options, networks, conditions, videos, settings)
        found = [video for video in videos if video.name in logits]
        if not found:
            raise ValueError(f"{options.data_dir or 'the videos'}: none could be read.")
        metadata = {
            "data": {
                **data,
                "videos": len(found),
                "unreadable": [*data.get("unreadable", []), *failed],
            },
            SETTINGS: settings,
            "bootstrap": {"samples": options.bootstrap, "level": LEVEL},
        }
        labels = [video.example.label for video in found] if options.data_dir else None
        ablation = measure(
            networks.class_names,
            conditions,
            {video.name: logits[video.name] for video in found},
            labels,
            metadata,
            options.seed,
            options.bootstrap,
        )
        with atomic_write(folder / PAGE) as page:
            page.write_text(ablation_page(ablation), "utf-8")
        if labels is not None:
            with atomic_write(folder / CHART) as chart:
                chart.write_text(f"{accuracy_chart(ablation)}\n", "utf-8")
        with atomic_write(folder / NUMBERS) as numbers:
            numbers.write_text(_json(ablation), "utf-8")
    return ablation


def _find_videos(options, networks: Checkpoints) -> tuple[list[_Video], dict[str, Any]]:
    """Returns the videos, and the report of the dataset."""
    output_dir = os.path.join(options.report_dir, VIDEOS)
    if options.data_dir is None:
        targets = find_targets(options.videos, output_dir, SUFFIX)
        videos = [_Video(VideoExample(t.video, -1, ""), t.name, Path(t.path)) for t in targets]
        return videos, {"name": "videos"}
    check_has_classes(options.dataset)
    dataset = read_test_set(
        options.dataset,
        options.data_dir,
        options.split,
        networks.by_stream,
        networks.class_names,
        options.annotation,
        options.quarantine,
    )
    paths = assign_outputs(
        dict.fromkeys(example.path for example in dataset.examples),
        lambda path, keeps_ending: output_path(
            path, output_dir, SUFFIX, options.data_dir, keeps_ending
        ),
        "Rename one.",
    )
    videos = []
    for example in dataset.examples:
        cut, target = "", Path(paths[example.path])
        if example.start is not None or example.end is not None:
            cut = f"_{example.start or 0:g}-{'end' if example.end is None else f'{example.end:g}'}"
        name = relative_name(example.path, options.data_dir) + cut
        videos.append(_Video(example, name, target.with_name(target.stem + cut + SUFFIX)))
    return videos, dataset.report.as_json()


def _settings(options, networks: Checkpoints, conditions: Sequence[Condition]) -> dict[str, Any]:
    """Returns all that the logits depend on, as plain values."""
    has_flow = any("flow" in streams_of(stream) for stream in networks.by_stream)
    settings: dict[str, Any] = {
        "weights": {
            stream: {"name": str(network.name), "sha256": network.sha256}
            for stream, network in networks.by_stream.items()
        },
        "protocol": networks.protocol.as_json(),
        "conditions": [condition.name for condition in conditions],
        "frozen_frames": options.frozen_frames,
        "seed": options.seed,
    }
    if has_flow:
        settings["flow_engine"] = choose_engine(options.flow_engine)
        settings["flow_rounding"] = options.flow_rounding
    if (rate := unusual_folder_rate()) is not None:
        settings["folder_rate"] = rate
    if (words := unusual_options()) is not None:
        settings["video_options"] = words
    return settings


def _compute(options, networks, conditions, videos, settings):
    """Returns the logits by name of the video, and (path, reason) records of those that failed."""
    tasks = [
        Task(each.example.path, each.target, (each.name, each.example.start, each.example.end))
        for each in videos
    ]
    output_dir = Path(options.report_dir, VIDEOS)
    missing = missing_outputs(
        tasks,
        partial(_mismatch, settings),
        options.overwrite,
        is_own=_is_video,
        output_dir=output_dir,
    )
    failed: tuple = ()
    if missing:
        predict = ConditionLogits(
            {name: fuse_for_inference(n.model) for name, n in networks.by_stream.items()},
            networks.protocol,
            conditions,
            options.frozen_frames,
            options.seed,
            settings.get("flow_engine", "auto"),
            options.flow_rounding,
        )
        work = run_each(partial(_write_video, predict, settings))
        failed = run_job(missing, work, output_dir, "frames in other orders")
    unread = {path for path, _ in failed}
    logits = {
        each.name: read_video_logits(each.target)[0]
        for each in videos
        if each.example.path not in unread and each.target.exists()
    }
    return logits, [{"path": path, "reason": reason} for path, reason in failed]


def _write_video(predict: ConditionLogits, settings, task, staging):
    name, start, end = task.details
    found = predict(task.source, name, start, end)
    write_video_logits(found, name, task.source, settings, task.target, staging)


def _mismatch(settings: Mapping[str, Any], task) -> str | None:
    """Returns how the logits of a video differ from what is wanted, or None."""
    try:
        _, found = read_video_logits(task.target)
    except ValueError as error:
        return str(error)
    wanted = {SETTINGS: settings, SOURCE: video_metadata(task.source)}
    return first_difference(found, wanted, names=wanted)


def _is_video(path):
    return _format_of(path) == VIDEO_FORMAT


def _is_numbers(path):
    return _format_of(path) == FORMAT


def _format_of(path):
    try:
        return read_json_object(path).get("format")
    except (OSError, ValueError, RecursionError):
        return None


def _is_page(path):
    return b'<h1 class="any">Temporal ablation' in path.read_bytes()


def _is_chart(path):
    return b'class="shares"' in path.read_bytes()


def _json(ablation):
    """Returns JSON with a line for each entry and each video: searchable, and not long."""
    record = ablation.to_json()
    predictions = record.pop("predictions")
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in record.items()]
    rows = ",\n".join(json.dumps(row) for row in predictions)
    return "{\n" + ",\n".join([*lines, f'"predictions": [\n{rows}\n]']) + "\n}\n"
