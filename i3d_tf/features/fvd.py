"""The Fréchet and kernel video distances of real and generated videos (arXiv:1812.01717)."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from i3d_tf.features.fvd_clips import FeatureNetwork, FeatureSet, gather_features
from i3d_tf.features.fvd_protocol import FORMER_METADATA, ClipConfig
from i3d_tf.features.fvd_reader import find_num_frames
from i3d_tf.features.npy_clips import DEFAULT_LAYOUT, ArrayLayout
from i3d_tf.metrics.frechet import (
    FeatureStatistics,
    Interval,
    frechet_distance,
    frechet_interval,
    is_statistics_file,
    sample_warning,
)
from i3d_tf.metrics.kernel import kernel_distance
from i3d_tf.specs.validation import check_integer, is_integer
from i3d_tf.system.console import print_lines, progress_bar
from i3d_tf.system.files import atomic_write, check_target, ensure_disk_space
from i3d_tf.video.find import find_videos

REPEATS = 100  # subsamples of an interval
MIN_VIDEOS = 2
MIN_VIDEOS_OF_INTERVAL = 4
NAME_OF_NETWORK = "weights"  # in the metadata; a network may have several names


@dataclass(frozen=True)
class FvdOptions:
    """Options of an FVD computation.

    Attributes:
        real: Files, folders and patterns of the reference videos, or one file of statistics.
        generated: The same of the videos to compare with them; empty to save statistics only.
        checkpoint: The network: a known name or the folder of a training run.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        config: The protocol, see `i3d_tf.features.fvd_protocol.clip_config`.
        layout: Layout of clip arrays, of both sets.
        batch_size: Clips of a batch.
        save_statistics: Path of a file for the statistics of `real`, or None.
        kvd: Whether to compute the kernel distance, too; this keeps all features.
        interval: Whether to compute a confidence interval.
        confidence: Confidence of the interval, within (0, 1).
        seed: Seed of random clips, and of the interval's subsamples.
    """

    real: tuple[str, ...]
    generated: tuple[str, ...] = ()
    checkpoint: str = "rgb_scratch"
    checkpoint_dir: os.PathLike | str | None = None
    config: ClipConfig = field(default_factory=ClipConfig)
    layout: ArrayLayout = DEFAULT_LAYOUT
    batch_size: int = 8
    save_statistics: str | None = None
    kvd: bool = False
    interval: bool = False
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self):
        if not self.real:
            raise ValueError("--real is missing. Name videos, or a file of statistics.")
        if not self.generated and not self.save_statistics:
            raise ValueError("Nothing to do. Give --generated, --save_statistics, or both.")
        if self.kvd and not self.generated:
            raise ValueError("--kvd compares two sets. Give --generated, too.")
        check_integer("batch_size", self.batch_size, 1)
        if not 0 < self.confidence < 1:
            raise ValueError(f"`confidence` must be within (0, 1); received {self.confidence!r}.")


@dataclass
class FvdResult:
    """Result of an FVD computation; its attributes are the names in the JSON output.

    Attributes:
        fvd: The distance, or None if only statistics were saved.
        real: Number of reference videos.
        generated: Number of generated videos.
        features: Number of features of a video.
        protocol: Metadata of the features, the covariance, and the parts in which the protocol
            that was named is overridden.
        kvd: The kernel distance, unbiased, so that it may be below zero; or None.
        interval: Interval, or None.
        interval_of: Set that is subsampled: "real", "generated" or "both"; or None.
        warning: Reason to distrust the distance, or None.
        failures: "set", "path" and "error" of each video that was left out.
    """

    fvd: float | None
    real: int
    generated: int
    features: int
    protocol: dict[str, Any]
    kvd: float | None = None
    interval: Interval | None = None
    interval_of: str | None = None
    warning: str | None = None
    failures: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Returns plain values by name."""
        interval = self.interval and {**self.interval._asdict(), "of": self.interval_of}
        return {**self.__dict__, "interval": interval}

    def lines(self) -> list[str]:
        """Returns the result as lines for a terminal."""
        protocol = self.protocol
        rate, parts = protocol["frame_rate"], protocol["overrides"]
        but = ", but " + ", ".join(f"{name} {value}" for name, value in parts.items())
        clip = f"{protocol['frames']} frames" + (f" at {rate:g} per second" if rate else "")
        lines = [] if self.fvd is None else [f"FVD {self.fvd:.4f}"]
        if self.interval is not None:
            of_set = "" if self.interval_of == "both" else f" of the {self.interval_of} videos only"
            low, high, confidence, repeats = self.interval
            lines.append(
                f"  {confidence:.0%} interval {low:.4f} to {high:.4f} ({repeats} halves{of_set})"
            )
        if self.kvd is not None:
            lines.append(f"KVD {self.kvd:.4f}")
        generated = "" if self.fvd is None else f", {self.generated} generated"
        return [
            *lines,
            f"  {self.real} real videos{generated}; {clip}, {protocol['resize']}",
            f"  {protocol['weights']}, {self.features} features ({protocol['features']})",
            f"  protocol {protocol['protocol']}{but if parts else ''}",
        ]


def frechet_video_distance(options: FvdOptions) -> FvdResult:
    """Computes the distance, saves the statistics, or both.

    Raises:
        ValueError: Options do not fit together, statistics are of other features, or too few videos
            of a set could be read.
        OSError: A file cannot be read or written.
    """
    files = {
        title: _load_statistics(sources)
        for title, sources in (("real", options.real), ("generated", options.generated))
    }
    options = replace(options, config=_with_frames(options, files))
    network = FeatureNetwork(options.checkpoint, options.checkpoint_dir, options.config)
    loaded = {title: _checked(file, network.metadata) for title, file in files.items()}
    for title, file in files.items():
        if file and options.kvd:
            raise ValueError(
                f"--kvd needs all features, and {file[0]} has their statistics only. Name the "
                f"{title} videos."
            )
    if options.interval and all(loaded.values()):
        raise ValueError(
            "--interval needs the videos of one set, and both are files of statistics. Name videos."
        )
    if options.save_statistics:
        _check_statistics_target(options, loaded["real"])
    real = loaded["real"] or _gather(options, network, "real")
    if options.save_statistics:
        _save_statistics(real, options.save_statistics)
    generated = None
    if options.generated:
        generated = loaded["generated"] or _gather(options, network, "generated")
    return _result(options, network, real, generated)


def print_result(result: FvdResult, as_json: bool = False) -> int:
    """Prints a result, with failures and warnings on stderr; returns the number of failures."""
    if as_json:
        print(json.dumps(result.as_json()), flush=True)
        return len(result.failures)
    print_lines(*result.lines())
    if result.warning:
        print_lines(f"warning: {result.warning}", file=sys.stderr)
    if result.failures:
        print_lines(f"{len(result.failures)} failed and were left out", file=sys.stderr)
    return len(result.failures)


def _gather(options, network, title):
    """Returns the FeatureSet of "real" or "generated" videos."""
    sources = getattr(options, title)
    gathered = gather_features(
        sources,
        network,
        options.batch_size,
        title,
        keep=options.interval or options.kvd,
        seed=options.seed,
        layout=options.layout,
    )
    for path, reason in gathered.failures.items():
        print_lines(f"error: {path}: {reason}", file=sys.stderr)
    count = gathered.statistics.count
    needed = MIN_VIDEOS_OF_INTERVAL if options.interval else MIN_VIDEOS
    if count < needed:
        raise ValueError(
            f"--{title}: {count} videos could be read and {len(gathered.failures)} could not. At "
            f"least {needed} are needed{' for an interval' if options.interval else ''}."
        )
    return gathered


def _load_statistics(sources: Sequence[str]):
    """Returns (path, FeatureStatistics) of a file, or None if the sources are videos."""
    files = [path for path in map(str, sources) if is_statistics_file(path)]
    if not files:
        return None
    if len(sources) > 1:
        raise ValueError(f"{files[0]}: is a file of statistics. Name no other file beside it.")
    statistics = FeatureStatistics.load(files[0])
    statistics.metadata = {**FORMER_METADATA, **statistics.metadata}
    return files[0], statistics


def _with_frames(options, files):
    """Returns the ClipConfig with the number of frames, where a clip takes all of its video."""
    config = options.config
    if config.frames is not None:
        return config
    for title, file in files.items():
        sources = getattr(options, title)
        if file:
            frames = file[1].metadata.get("frames")
            frames = frames if is_integer(frames) and frames >= config.min_frames else None
        else:
            paths = find_videos(sources, quiet=True) if sources else []
            frames = find_num_frames(paths, config, options.layout)
        if frames is not None:
            return config.with_all_frames(frames)
    return config


def _checked(file, metadata):
    """Returns the FeatureSet of a file of statistics, if there is one and its features fit."""
    if file is None:
        return None
    path, statistics = file
    different = [
        f"{name} {statistics.metadata.get(name)!r} instead of {value!r}"
        for name, value in metadata.items()
        if name != NAME_OF_NETWORK and statistics.metadata.get(name) != value
    ]
    if different:
        raise ValueError(
            f"{path}: these statistics are of other features: {'; '.join(different)}. Give "
            "the flags that they were made with, or make them again from the videos."
        )
    return FeatureSet(statistics)


def _check_statistics_target(options, real):
    """Checks the path for statistics of real videos before hours are spent on them."""
    path = Path(options.save_statistics)
    if real:
        raise ValueError(
            f"--real is a file of statistics already. Leave out --save_statistics={path}."
        )
    if path.suffix != ".npz" or path.is_dir():
        raise ValueError(f"{path}: is no file name that ends in .npz. Name one for the statistics.")
    check_target(path, is_statistics_file, (*options.real, *options.generated, options.checkpoint))
    ensure_disk_space(path.parent, 1)


def _save_statistics(gathered, path):
    gathered.statistics.metadata["skipped"] = len(gathered.failures)
    features = len(gathered.statistics.mean)
    ensure_disk_space(Path(path).parent, 8 * features * (features + 1))
    with atomic_write(path, ".npz") as temporary:
        gathered.statistics.save(temporary)


def _result(options, network, real, generated):
    """Returns the FvdResult of one or two sets."""
    sets = {"real": real, "generated": generated} if generated else {"real": real}
    features = len(real.statistics.mean)
    result = FvdResult(
        fvd=None,
        real=real.statistics.count,
        generated=generated.statistics.count if generated else 0,
        features=features,
        protocol={
            **network.metadata,
            "covariance": options.config.covariance,
            "overrides": options.config.overrides,
        },
        warning=sample_warning(min(part.statistics.count for part in sets.values()), features),
        failures=[
            {"set": name, "path": path, "error": reason}
            for name, part in sets.items()
            for path, reason in part.failures.items()
        ],
    )
    if generated:
        result.fvd = frechet_distance(real.statistics, generated.statistics, _is_biased(options))
    if generated and options.kvd:
        result.kvd = kernel_distance(real.features, generated.features)
    if generated and options.interval:
        result.interval = _interval(options, real, generated)
        subsampled = [name for name, part in sets.items() if part.features is not None]
        result.interval_of = "both" if len(subsampled) == 2 else subsampled[0]
    return result


def _interval(options, real, generated):
    """Returns the Interval of two sets, of which at least one has kept its features."""
    samples = (
        part.statistics if part.features is None else part.features for part in (real, generated)
    )
    with progress_bar() as bar:
        task = bar.add_task("interval", total=REPEATS)
        return frechet_interval(
            *samples,
            options.confidence,
            REPEATS,
            options.seed,
            lambda: bar.advance(task),
            _is_biased(options),
        )


def _is_biased(options):
    return options.config.covariance == "biased"
