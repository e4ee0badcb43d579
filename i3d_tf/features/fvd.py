"""The Fréchet video distance between real and generated videos (arXiv:1812.01717)."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from i3d_tf.features.fvd_clips import ClipRules, FeatureNetwork, FeatureSet, gather_features
from i3d_tf.metrics.frechet import (
    FeatureStatistics,
    Interval,
    frechet_distance,
    frechet_interval,
    is_statistics_file,
    sample_warning,
)
from i3d_tf.system.console import progress_bar
from i3d_tf.system.files import atomic_write, ensure_disk_space

REPEATS = 100  # subsamples of an interval
MIN_VIDEOS = {False: 2, True: 4}  # without an interval, and with one
NAMES_ONLY = ("weights", "skipped")  # statistics may differ in these and be of the same features


@dataclass(frozen=True)
class FvdOptions:
    """What to compare, and how.

    Attributes:
        real: Files, folders and patterns of the reference videos, or one file of statistics.
        generated: The same of the videos to judge; empty where only statistics are to be saved.
        weights: Network, a name in the checkpoint directory or the folder of a training run.
        checkpoint_dir: Where names are looked up.
        rules: How clips are made of videos, and which features are taken.
        batch_size: Clips at once.
        save_statistics: Where the statistics of `real` go, or None.
        interval: Whether to compute a confidence interval.
        confidence: Of the interval, within (0, 1).
        seed: Of the interval's subsamples.
    """

    real: tuple[str, ...]
    generated: tuple[str, ...] = ()
    weights: str = "rgb_imagenet"
    checkpoint_dir: str = "checkpoints"
    rules: ClipRules = field(default_factory=ClipRules)
    batch_size: int = 8
    save_statistics: str | None = None
    interval: bool = False
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self):
        if not self.real:
            raise ValueError("--real is needed: videos, or a file of statistics.")
        if not self.generated and not self.save_statistics:
            raise ValueError("give --generated, --save_statistics, or both.")
        if self.batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1; received {self.batch_size!r}.")
        if not 0 < self.confidence < 1:
            raise ValueError(f"`confidence` must be within (0, 1); received {self.confidence!r}.")


@dataclass
class FvdResult:
    """What came of it.

    Attributes:
        fvd: The distance, or None where only statistics were made.
        real: Videos of the reference.
        generated: Videos that were judged.
        features: Features of each video.
        protocol: What the distance depends on.
        interval: Interval, or None.
        interval_of: Whose samples the interval varies: "both", or the set that was not given as
            statistics.
        warning: What to know about it, or None.
        failures: What was left out: "set", "path" and "error" of each.
    """

    fvd: float | None
    real: int
    generated: int
    features: int
    protocol: dict
    interval: Interval | None = None
    interval_of: str | None = None
    warning: str | None = None
    failures: list[dict] = field(default_factory=list)

    def as_json(self) -> dict:
        """A record of plain values."""
        interval = self.interval and {**self.interval._asdict(), "of": self.interval_of}
        return {**self.__dict__, "interval": interval}

    def lines(self) -> list[str]:
        """What a person reads."""
        protocol = self.protocol
        rate = protocol["frame_rate"]
        shown = f"{protocol['frames']} frames" + (f" at {rate:g} per second" if rate else "")
        lines = [] if self.fvd is None else [f"FVD {self.fvd:.4f}"]
        if self.interval is not None:
            whose = "" if self.interval_of == "both" else f", {self.interval_of} videos varied only"
            low, high, confidence, repeats = self.interval
            lines.append(
                f"  {confidence:.0%} interval {low:.4f} to {high:.4f} ({repeats} halves{whose})"
            )
        judged = "" if self.fvd is None else f", {self.generated} generated"
        return [
            *lines,
            f"  {self.real} real videos{judged}; {shown}, {protocol['resize']}",
            f"  {protocol['weights']}, {self.features} features ({protocol['features']})",
        ]


def frechet_video_distance(options: FvdOptions) -> FvdResult:
    """Computes the distance, saves the statistics, or both.

    Raises:
        ValueError: Options do not fit together, statistics are of other features, or fewer than two
            videos of a set could be read.
        OSError: A file cannot be read or written.
    """
    network = FeatureNetwork(options.weights, options.checkpoint_dir, options.rules)
    ready = {
        title: _read_statistics(sources, network.about)
        for title, sources in (("real", options.real), ("generated", options.generated))
    }
    if options.interval and all(ready.values()):
        raise ValueError("--interval needs the videos of one set; both are files of statistics.")
    if options.save_statistics:
        _check_target(options.save_statistics, ready["real"])
    real = ready["real"] or _gather(options, network, "real")
    if options.save_statistics:
        _save(real, options.save_statistics)
    if not options.generated:
        return _result(options, network, real, None)
    generated = ready["generated"] or _gather(options, network, "generated")
    return _result(options, network, real, generated)


def print_result(result, as_json=False) -> int:
    """Prints a result, failures and warnings on stderr; returns how many videos failed."""
    if as_json:
        print(json.dumps(result.as_json()), flush=True)
        return len(result.failures)
    print("\n".join(result.lines()), flush=True)
    if result.warning:
        print(f"warning: {result.warning}", file=sys.stderr)
    if result.failures:
        print(f"{len(result.failures)} failed and were left out", file=sys.stderr)
    return len(result.failures)


def _gather(options, network, title):
    sources = getattr(options, title)
    gathered = gather_features(sources, network, options.batch_size, title, options.interval)
    for path, reason in gathered.failures.items():
        print(f"error: {path}: {reason}", file=sys.stderr, flush=True)
    count, least = gathered.statistics.count, MIN_VIDEOS[options.interval]
    if count < least:
        raise ValueError(
            f"--{title}: {count} videos could be read and {len(gathered.failures)} could not; at "
            f"least {least} are needed{' for an interval' if options.interval else ''}."
        )
    return gathered


def _read_statistics(sources, about):
    """FeatureSet of a file of statistics, or None where the sources are videos."""
    files = [path for path in map(str, sources) if is_statistics_file(path)]
    if not files:
        return None
    if len(sources) > 1:
        raise ValueError(f"{files[0]}: is a file of statistics; name no other file beside it.")
    statistics = FeatureStatistics.load(files[0])
    names = [name for name in about if name not in NAMES_ONLY]
    different = [
        f"{name} {statistics.metadata.get(name)!r} instead of {about[name]!r}"
        for name in names
        if statistics.metadata.get(name) != about[name]
    ]
    if different:
        raise ValueError(
            f"{files[0]}: these statistics are of other features: {'; '.join(different)}. Give "
            "the flags that they were made with, or make them anew from the videos."
        )
    return FeatureSet(statistics)


def _check_target(path, ready):
    """Says what is wrong with the place for statistics before hours are spent on them."""
    path = Path(path)
    if ready:
        raise ValueError(f"--save_statistics: --real is a file of statistics; {path} is not made.")
    if path.suffix != ".npz" or path.is_dir():
        raise ValueError(f"{path}: statistics are .npz files; name one.")
    ensure_disk_space(path.parent, 1)


def _save(gathered, path):
    gathered.statistics.metadata["skipped"] = len(gathered.failures)
    features = len(gathered.statistics.mean)
    ensure_disk_space(Path(path).parent, 8 * features * (features + 1))
    with atomic_write(path, ".npz") as temporary:
        gathered.statistics.save(temporary)


def _result(options, network, real, generated):
    sets = {"real": real, "generated": generated} if generated else {"real": real}
    features = len(real.statistics.mean)
    result = FvdResult(
        fvd=None,
        real=real.statistics.count,
        generated=generated.statistics.count if generated else 0,
        features=features,
        protocol=network.about,
        warning=sample_warning(min(part.statistics.count for part in sets.values()), features),
        failures=[
            {"set": name, "path": path, "error": reason}
            for name, part in sets.items()
            for path, reason in part.failures.items()
        ],
    )
    if generated:
        result.fvd = frechet_distance(real.statistics, generated.statistics)
    if generated and options.interval:
        result.interval, result.interval_of = _interval(options, real, generated)
    return result


def _interval(options, real, generated):
    """The interval, and whose samples it varies."""
    varied = [
        name
        for name, part in (("real", real), ("generated", generated))
        if part.features is not None
    ]
    parts = (p.statistics if p.features is None else p.features for p in (real, generated))
    with progress_bar() as bar:
        task = bar.add_task("interval", total=REPEATS)
        interval = frechet_interval(
            *parts, options.confidence, REPEATS, options.seed, lambda: bar.advance(task)
        )
    return interval, "both" if len(varied) == 2 else varied[0]
