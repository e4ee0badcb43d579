"""The progress of an action over its frames, and the curves of which scripts are made."""

from collections.abc import Sequence

import numpy as np

from i3d_tf.specs.stick_actions import CLIP_FRAMES

HOLD_FRAMES = (3, 9)  # frames at rest before and after the action, drawn from one distribution
EASE = (0.35, 0.85)  # 0 is constant speed, 1 comes to rest at both ends
FIDGET = 0.05  # largest progress that is made, and undone, in a pause
SKEW = 0.22  # largest absolute logarithm of the exponent that makes one half faster than the other


def action_phase(rng: np.random.Generator) -> np.ndarray:
    """Draws a clip's length and the action's progress over it.

    Args:
        rng: Source of random numbers.

    Returns:
        float64 (T,), T within CLIP_FRAMES, from 0 (the first pose, held) to 1 (the last, held).
    """
    num_frames = int(rng.integers(CLIP_FRAMES[0], CLIP_FRAMES[1] + 1))
    before, after = rng.integers(HOLD_FRAMES[0], HOLD_FRAMES[1] + 1, size=2)
    skew = np.exp(rng.uniform(-SKEW, SKEW))
    ease = rng.uniform(*EASE)
    progress = (np.arange(num_frames) - before) / (num_frames - 1 - before - after)
    return _eased(np.clip(progress, 0, 1), skew, ease)


def _eased(progress, skew, ease):
    progress = progress**skew
    return progress - ease * np.sin(2 * np.pi * progress) / (2 * np.pi)


def turns(
    rng: np.random.Generator, at_end: bool, pauses: Sequence[int], moves: Sequence[int]
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Draws the progress of an action that is performed forwards and backwards in turn.

    In a pause the person fidgets: the progress leaves its end a little, and returns.

    Args:
        rng: Source of random numbers.
        at_end: Whether the first pause is at the action's end, so that it goes backwards first.
        pauses: Frames of each pause, >= 1.
        moves: Frames of each action, >= 2, one between any two pauses.

    Returns:
        float64 (T,), in [0, 1]; and the frames of each action, from its first to one after its
        last: the first and the last have the progress of the pauses beside them.
    """
    parts, spans, length = [_pause(rng, at_end, pauses[0])], [], pauses[0]
    for moving, resting in zip(moves, pauses[1:], strict=True):
        skew, ease = np.exp(rng.uniform(-SKEW, SKEW)), rng.uniform(*EASE)
        progress = _eased(np.linspace(0, 1, moving), skew, ease)
        parts.append(progress[::-1] if at_end else progress)
        at_end = not at_end
        parts.append(_pause(rng, at_end, resting))
        spans.append((length, length + moving))
        length += moving + resting
    return np.concatenate(parts), spans


def _pause(rng, at_end, frames):
    cycles = rng.integers(1, 3)
    wave = (1 - np.cos(2 * np.pi * cycles * np.linspace(0, 1, frames))) / 2
    fidget = rng.uniform(0, FIDGET) * wave
    return 1 - fidget if at_end else fidget


def ramp(phase: np.ndarray, start: float, end: float) -> np.ndarray:
    """Returns a smooth step from 0 (up to `start`) to 1 (from `end` on), at rest at both ends.

    Args:
        phase: float64 (T,), in [0, 1].
        start: Phase at which it leaves 0.
        end: Phase at which it reaches 1.

    Returns:
        float64 (T,).
    """
    progress = np.clip((phase - start) / (end - start), 0, 1)
    return progress * progress * (3 - 2 * progress)


def mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Mixes two tracks.

    Args:
        first: float64 (T, 2), or one point (2,).
        second: float64 (T, 2), or one point (2,).
        share: float64 (T,); 0 is the first track and 1 the second.

    Returns:
        float64 (T, 2).
    """
    share = share[:, None]
    return (1 - share) * np.asarray(first) + share * np.asarray(second)


def shift(track: np.ndarray, x: float, y: float) -> np.ndarray:
    """Moves a track, float64 (T, 2), by (x, y)."""
    return track + np.array([x, y])


def through(phase: np.ndarray, *keys: tuple) -> np.ndarray:
    """Returns a smooth curve through key poses, at rest in the first and in the last.

    It consists of cubic Hermite pieces; the slope at an inner key is that of the line through its
    two neighbors (Catmull-Rom).

    Args:
        phase: float64 (T,), in [0, 1].
        *keys: Pairs (phase, value), by rising phase from 0 to 1; a value is a number or (x, y).

    Returns:
        float64 (T,) or (T, 2).
    """
    times = np.array([time for time, _ in keys], np.float64)
    values = np.array([value for _, value in keys], np.float64)
    column = (slice(None),) + (None,) * (values.ndim - 1)
    slopes = np.zeros_like(values)
    slopes[1:-1] = (values[2:] - values[:-2]) / (times[2:] - times[:-2])[column]
    piece = np.clip(np.searchsorted(times, phase, side="right") - 1, 0, len(times) - 2)
    width = (times[piece + 1] - times[piece])[column]
    u = (phase - times[piece])[column] / width
    return (
        (1 + 2 * u) * (1 - u) ** 2 * values[piece]
        + u * (1 - u) ** 2 * width * slopes[piece]
        + u**2 * (3 - 2 * u) * values[piece + 1]
        + u**2 * (u - 1) * width * slopes[piece + 1]
    )


def strides(phase: np.ndarray, num_strides: int, leads: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns the strides of a foot or hand, which moves while its partner rests.

    Args:
        phase: float64 (T,), in [0, 1].
        num_strides: Number of strides of the action.
        leads: Moves it in the first half of every stride instead of the second.

    Returns:
        Two float64 (T,): strides completed, from 0 to num_strides; and its lift, 0..1.
    """
    completed, lifted = np.zeros_like(phase), np.zeros_like(phase)
    for stride in range(num_strides):
        start = (stride + (0 if leads else 0.5)) / num_strides
        step = ramp(phase, start, start + 0.5 / num_strides)
        completed += step
        lifted += 4 * step * (1 - step)
    return completed, lifted
