"""Numbers that show whether a map means something: deletion, and networks with a random head."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from i3d_tf.explain.saliency import last_weighted_layer

FRACTIONS = (0.05, 0.1, 0.2, 0.4)  # of the clip, to be masked
DRAWS = 3  # random masks of each fraction, and random heads


def deletion_curve(
    logit_of: Callable[[np.ndarray], float],
    clip: np.ndarray,
    saliency: np.ndarray,
    block: Sequence[int],
    fractions: Sequence[float] = FRACTIONS,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Computes the logit of a clip without its most salient parts, and without random ones.

    The clip is cut into blocks, which are masked by the clip's mean of each channel; random masks
    have the same blocks, so that they are not easier to see through.

    Args:
        logit_of: Clip, (T, H, W, C), to the logit.
        clip: float32 (T, H, W, C).
        saliency: (T, H, W), in any unit.
        block: (frames, rows, columns) of a block.
        fractions: Of the blocks, to be masked.
        draws: Random masks of each fraction.
        seed: Of the random masks.

    Returns:
        Plain values: `logit` of the whole clip; `block`; and `masked`, for each fraction the logit
        `most_salient`, and the mean and the lowest `random`.
    """
    generator = np.random.default_rng(seed)
    means = _block_means(saliency, block)
    order = np.argsort(-means, axis=None, kind="stable")
    rows = []
    for fraction in fractions:
        count = max(1, round(fraction * means.size))
        random = [
            logit_of(_masked(clip, generator.permutation(means.size)[:count], means.shape, block))
            for _ in range(draws)
        ]
        rows.append(
            {
                "fraction": fraction,
                "most_salient": logit_of(_masked(clip, order[:count], means.shape, block)),
                "random_mean": float(np.mean(random)),
                "random_lowest": min(random),
            }
        )
    return {"logit": logit_of(clip), "block": list(block), "masked": rows}


def _block_means(saliency, block):
    """Returns the mean of each block; those at the end may be smaller."""
    for axis, size in enumerate(block):
        starts = np.arange(0, saliency.shape[axis], size)
        counts = np.diff([*starts, saliency.shape[axis]])
        sums = np.add.reduceat(saliency.astype(np.float64), starts, axis)
        saliency = sums / np.expand_dims(counts, [a for a in range(3) if a != axis])
    return saliency


def _masked(clip, blocks, grid, block):
    """Returns a clip with some blocks, given by their numbers, filled with its mean."""
    mask = np.zeros(grid, bool)
    mask.flat[blocks] = True
    for axis, size in enumerate(block):
        mask = np.repeat(mask, size, axis)
    mask = mask[tuple(slice(length) for length in clip.shape[:3])]
    masked = clip.copy()
    masked[mask] = clip.mean(axis=(0, 1, 2))
    return masked


def random_head_correlations(
    model: keras.Model,
    values_of: Callable[[], np.ndarray],
    draws: int = DRAWS,
    seed: int = 0,
) -> list[float]:
    """Computes how alike a map is to those of the same network with random class weights.

    A map that does not depend on what the network has learned about the classes has 1
    (arXiv:1810.03292).

    Args:
        model: The network; its weights are the same afterwards.
        values_of: Function without arguments to the values of the map by the network as it is.
        draws: Random heads.
        seed: Of their weights, which have the spread of the network's own.

    Returns:
        Spearman's rank correlation for each.
    """
    generator = np.random.default_rng(seed)
    values = values_of()
    correlations = []
    for _ in range(draws):
        with _random_head(model, generator):
            correlations.append(rank_correlation(values, values_of()))
    return correlations


@contextlib.contextmanager
def _random_head(model, generator) -> Iterator[None]:
    layer = last_weighted_layer(model)
    weights = layer.get_weights()
    try:
        layer.set_weights(
            [
                generator.normal(0, weight.astype(np.float32).std(), weight.shape).astype(
                    weight.dtype
                )
                for weight in weights
            ]
        )
        yield
    finally:
        layer.set_weights(weights)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Returns Spearman's rank correlation of two arrays; 0 where one of them is constant."""
    one, other = (_ranks(array) for array in (first, second))
    spread = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / spread) if spread else 0.0


def _ranks(array):
    """Returns the ranks less their mean; equal values share the mean of theirs."""
    _, places, counts = np.unique(array, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[places.ravel()]
    return ranks - ranks.mean()
