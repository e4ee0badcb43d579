"""Clips that excite a unit of a network most, by activation maximization over time and space.

After Feichtenhofer et al., "What have we learned from deep representations for action
recognition?" (arXiv:1801.01415): the smoothness in time has a weight of its own, so that the same
unit shows what it wants to see if it moves fast, and if it must be slow.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.explain.logit_gradient import gradient_function
from i3d_tf.specs.validation import check_integer, check_number

START_SPREAD = 0.1  # standard deviation of the random start
TIME_WEIGHTS = (10.0, 1.0, 0.0)  # slow to fast
SPACE_WEIGHT = 4.0
AVERAGE = 16  # steps of a moving average


@dataclass(frozen=True)
class ClipOptions:
    """The search for a unit's preferred clips.

    Attributes:
        steps: Steps of gradient ascent.
        space_weight: Weight of smoothness in space: half of the mean square of the differences
            between neighboring rows and columns, for a gradient of the activation of root mean
            square 1.
        time_weights: The same between frames, a clip for each; 0 leaves time free.
        jitter: Pixels by which the clip is shifted at random at each step, at most.
        seed: Of the start and of the shifts, an integer >= 0.

    Raises:
        ValueError: A number is not allowed.
    """

    steps: int = 200
    space_weight: float = SPACE_WEIGHT
    time_weights: tuple[float, ...] = TIME_WEIGHTS
    jitter: int = 4
    seed: int = 0

    def __post_init__(self):
        check_integer("steps", self.steps, 1)
        check_integer("jitter", self.jitter, 0)
        check_integer("seed", self.seed, 0)
        check_number("space_weight", self.space_weight, 0)
        if not self.time_weights:
            raise ValueError("`time_weights` must have at least one weight; received none.")
        for weight in self.time_weights:
            check_number("time_weights", weight, 0)


@dataclass(frozen=True, eq=False)
class PreferredClips:
    """The clips that were found.

    Attributes:
        clips: float32 (weights, T, H, W, C) in [-1, 1].
        activations: (steps, weights): the unit's mean activation before each step.
    """

    clips: np.ndarray
    activations: np.ndarray

    def moving_averages(self) -> np.ndarray:
        """Returns the activations, averaged over `AVERAGE` steps, (steps - AVERAGE + 1, weights).

        Of fewer steps, over all.
        """
        length = min(AVERAGE, len(self.activations))
        sums = np.cumsum(np.pad(self.activations, ((1, 0), (0, 0))), axis=0)
        return (sums[length:] - sums[:-length]) / length

    def time_changes(self) -> np.ndarray:
        """Returns the mean absolute difference between frames of each clip, (weights,)."""
        return np.abs(np.diff(self.clips, axis=1)).mean(axis=(1, 2, 3, 4))


def unit_activations(model: keras.Model, endpoint: str) -> Callable[..., Any]:
    """Returns a function of clips and a channel to the channel's mean activations and gradient.

    Args:
        model: Clips, (N, T, H, W, C), to logits.
        endpoint: Name of a layer; its last axis has the channels.

    Raises:
        ValueError: There is no such layer, or the network has several inputs.
    """
    if len(model.inputs) != 1:
        raise ValueError(f"`model` must have one input; received {model.name!r}.")
    names = [layer.name for layer in model.layers[1:]]
    if endpoint not in names:
        raise ValueError(f"`endpoint` must be one of {tuple(names)}; received {endpoint!r}.")
    part = keras.Model(model.inputs[0], model.get_layer(endpoint).output)

    def activations(clips, channel):
        outputs = tf.gather(tf.cast(part(clips, training=False), tf.float32), channel, axis=-1)
        return tf.reduce_mean(tf.reshape(outputs, [tf.shape(clips)[0], -1]), axis=1)

    return gradient_function(activations)


def find_preferred_clips(
    activations: Callable[..., Any],
    channel: int,
    shape: Sequence[int],
    options: ClipOptions,
    watch: Callable[[], None] = lambda: None,
) -> PreferredClips:
    """Finds the clips that excite a unit most, one for each weight of smoothness in time.

    All start from the same noise. A step goes along the gradient of the activation, scaled to a
    root mean square of 1, less that of the roughness; then values are clipped to [-1, 1].

    Args:
        activations: See `unit_activations`.
        channel: Index of the unit.
        shape: (T, H, W, C) of the clips.
        options: See `ClipOptions`.
        watch: Called after every step.
    """
    generator = np.random.default_rng(options.seed)
    start = generator.normal(0, START_SPREAD, shape).clip(-1, 1).astype(np.float32)
    clips = np.repeat(start[np.newaxis], len(options.time_weights), axis=0)
    weights = np.array(options.time_weights, np.float32).reshape(-1, 1, 1, 1, 1)
    # The largest for which differences of all lengths die out.
    rates = 1 / (4 * weights + 8 * options.space_weight + 10)
    history = []
    for shift in _shifts(generator, options):
        shifted = np.roll(clips, shift, axis=(2, 3))
        values, gradient = activations(tf.constant(shifted), tf.constant(channel))
        gradient = np.roll(gradient.numpy(), [-pixels for pixels in shift], axis=(2, 3))
        length = np.sqrt((gradient**2).mean(axis=(1, 2, 3, 4), keepdims=True))
        gradient = gradient / np.maximum(length, np.finfo(np.float32).tiny)
        space = options.space_weight * (roughness_gradient(clips, 2) + roughness_gradient(clips, 3))
        step = gradient - space - weights * roughness_gradient(clips, 1)
        clips = np.clip(clips + rates * step, -1, 1)
        history.append(values.numpy())
        watch()
    return PreferredClips(clips, np.array(history))


def roughness_gradient(clips: np.ndarray, axis: int) -> np.ndarray:
    """Returns the gradient of half of the sum of squared differences between neighbors."""
    steps = np.diff(clips, axis=axis)
    around = [(0, 0)] * clips.ndim
    around[axis] = (1, 1)
    return -np.diff(np.pad(steps, around), axis=axis)


def _shifts(generator, options) -> Iterator[list[int]]:
    for _ in range(options.steps):
        yield generator.integers(-options.jitter, options.jitter, 2, endpoint=True).tolist()
