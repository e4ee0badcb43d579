"""Check values of FVD: what this installation computes beside what is published.

The logits are those that a public log prints of the network of the original program, TF-Hub's
`deepmind/i3d-kinetics-400/1`. The distance of random clips is that of universome/fvd-comparison,
which the original program and StyleGAN-V's give to seven digits. Black and white clips have no
variance, so that their distance is that of the means alone.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from i3d_tf.features.fvd_clips import FeatureNetwork
from i3d_tf.features.fvd_protocol import clip_config
from i3d_tf.metrics.frechet import FeatureStatistics, frechet_distance
from i3d_tf.system.console import progress_bar

NETWORK = "rgb_scratch"
LOGITS = {
    0: 0.7422105,
    1: 2.829727,
    2: 0.39993525,
    397: -0.38092658,
    398: 0.65539014,
    399: -1.4021297,
}
BLACK_AND_WHITE = {15: 133.909, 16: 152.901}  # by the number of frames
RANDOM_CLIPS, RANDOM_FRAMES, RANDOM_SIZE = 128, 16, 224
RANDOM_DISTANCE = 10.138085
BATCH_SIZE = 8


@dataclass(frozen=True)
class CheckValue:
    """A value beside the one that it must have.

    Attributes:
        title: Words for a table.
        computed: What this installation gives.
        published: What it must be.
        tolerance: How far the one may be from the other.
    """

    title: str
    computed: float
    published: float
    tolerance: float

    @property
    def is_met(self) -> bool:
        """True where the value is within its tolerance."""
        return abs(self.computed - self.published) <= self.tolerance

    def as_json(self) -> dict[str, Any]:
        """Returns plain values by name."""
        return {**asdict(self), "is_met": self.is_met}

    def line(self) -> str:
        """Returns a row of a table."""
        mark = "" if self.is_met else "  OFF"
        return f"{self.title:<52} {self.computed:>12.6f} {self.published:>12.6f}{mark}"


HEADER = f"{'check':<52} {'computed':>12} {'published':>12}"


def check_values(
    quick: bool = False, checkpoint_dir: os.PathLike | str | None = None
) -> Iterator[CheckValue]:
    """Yields the check values, computed by the network of every published FVD, `rgb_scratch`.

    Args:
        quick: Whether to leave out the two sets of random clips, which take minutes.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
    """
    network = FeatureNetwork(NETWORK, checkpoint_dir, clip_config("original"))
    shades = {
        frames: [network(_constant_clips(frames, value)) for value in (-1, 1)]
        for frames in BLACK_AND_WHITE
    }
    logits = shades[15][0][0]
    for index, published in LOGITS.items():
        title = f"logit {index} of 15 black frames"
        yield CheckValue(title, float(logits[index]), published, 1e-4)
    for frames, published in BLACK_AND_WHITE.items():
        # The 16 videos are equal: one of them is computed.
        black, white = (
            FeatureStatistics.of(np.repeat(shade, 16, axis=0)) for shade in shades[frames]
        )
        title = f"FVD of 16 black and 16 white videos, {frames} frames"
        yield CheckValue(title, frechet_distance(black, white), published, 0.01)
    if quick:
        return
    with progress_bar() as bar:
        task = bar.add_task("random clips", total=2 * RANDOM_CLIPS)
        generated, real = (
            _random_statistics(network, seed, lambda count: bar.advance(task, count))
            for seed in (1, 2)
        )
    title = f"FVD of {RANDOM_CLIPS} and {RANDOM_CLIPS} random videos, {RANDOM_FRAMES} frames"
    yield CheckValue(title, frechet_distance(real, generated), RANDOM_DISTANCE, 1e-4)


def _constant_clips(frames, value):
    return np.full((1, frames, RANDOM_SIZE, RANDOM_SIZE, 3), value, np.float32)


def _random_statistics(network, seed, progress):
    """Returns the statistics of `RandomState(seed).rand(128, 16, 224, 224, 3)`, batch by batch."""
    generator, statistics = np.random.RandomState(seed), FeatureStatistics()
    for start in range(0, RANDOM_CLIPS, BATCH_SIZE):
        count = min(BATCH_SIZE, RANDOM_CLIPS - start)
        clips = generator.rand(count, RANDOM_FRAMES, RANDOM_SIZE, RANDOM_SIZE, 3)
        statistics.add(network(clips.astype(np.float32)))
        progress(count)
    return statistics
