"""Logits at every step of the head as logits at every frame, linear in between."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import CENTERS, head_positions
from i3d_tf.specs.inception_v1 import I3D


def interpolation_weights(
    positions: Sequence[float] | np.ndarray, step_positions: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Returns weights with which steps are interpolated linearly, constant outside of them.

    Args:
        positions: (P,), where values are wanted, such as indices of frames.
        step_positions: (S,), where the steps are, ascending.

    Returns:
        float64 (P, S); every row adds up to 1. `weights @ values` equals `numpy.interp`.
    """
    one_step_each = np.eye(len(step_positions))
    columns = [np.interp(positions, step_positions, step) for step in one_step_each]
    return np.stack(columns, axis=-1)


def interpolate_steps(logits: KerasTensor, num_frames: int, rule: str = CENTERS) -> KerasTensor:
    """Interpolates I3D's logits at the steps of a clip to all its frames.

    Args:
        logits: (N, steps, classes), of the whole clip.
        num_frames: Frames of the clip, T.
        rule: Where the steps are, see `i3d_tf.specs.geometry.head_positions`.

    Returns:
        (N, T, classes).
    """
    weights = ops.convert_to_tensor(_frame_weights(num_frames, rule), logits.dtype)
    return ops.matmul(weights, logits)


@lru_cache(maxsize=64)
def _frame_weights(num_frames, rule):
    positions = head_positions(I3D, num_frames, rule)
    return interpolation_weights(np.arange(num_frames), positions).astype(np.float32)
