"""TV-L1 optical flow as a TensorFlow function: compiled by XLA, exportable, for CPU and GPU."""

import functools
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from i3d_tf.flow.tvl1 import DEFAULT, TVL1Parameters, check_pairs, pyramid_sizes
from i3d_tf.flow.tvl1_graph import GPU_BATCH, SCHEDULES, TVL1Graph
from i3d_tf.specs.validation import check_choice


def flow_between(
    previous: np.ndarray,
    following: np.ndarray,
    parameters: TVL1Parameters = DEFAULT,
    schedule: str = "early_stop",
) -> np.ndarray:
    """Computes the optical flow of each pair of frames.

    The first call for frames of another size compiles for some seconds.

    Args:
        previous: Grey (N, H, W), uint8 or float within [0, 255], H and W at least 16.
        following: Like `previous`: the frame after each of them.
        parameters: Parameters.
        schedule: One of `SCHEDULES`; "fixed" ignores the iterations and epsilon in `parameters`.

    Returns:
        float32 (N, H, W, 2), x then y, pixels per frame.
    """
    previous, following = np.asarray(previous), np.asarray(following)
    check_pairs(previous, following)
    compute = _cached_flow_function(*previous.shape[1:], parameters, schedule)
    return compute(previous.astype(np.float32), following.astype(np.float32)).numpy()


def flow_function(
    height: int | None,
    width: int | None,
    parameters: TVL1Parameters = DEFAULT,
    schedule: str = "early_stop",
    batch: int | None = None,
    short_side: int | None = None,
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Builds a TensorFlow function that computes flow, to be called, nested or exported.

    Args:
        height: Height of the frames, at least 16; None for any.
        width: Width of the frames, at least 16; None for any.
        parameters: Parameters.
        schedule: One of `SCHEDULES`; "fixed" ignores the iterations and epsilon in `parameters`.
        batch: Pairs to compute at once, on a CPU per core; memory grows with it and not with the
            number of pairs. None means 16 where there is a GPU, and 1 otherwise.
        short_side: Where height or width is None: the smaller of the two, which determines how many
            levels the pyramid has.

    Returns:
        tf.function of `previous` and `following`, float32 (N, height, width) within [0, 255], N any
        number, that returns float32 (N, height, width, 2), x then y, pixels per frame.
    """
    check_choice("schedule", schedule, SCHEDULES)
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    batch = (GPU_BATCH if on_gpu else 1) if batch is None else batch
    num_levels = len(pyramid_sizes(*_known_size(height, width, short_side), parameters))
    frames = tf.TensorSpec([None, height, width], tf.float32)
    graph = TVL1Graph(TensorFlowLibrary(), parameters, schedule)

    @tf.function(jit_compile=True, autograph=False)
    def solve(pairs):
        return graph.solve(*pairs, num_levels)

    @tf.function(input_signature=[frames, frames], autograph=False)
    def flow(previous, following):
        number, height, width = tf.unstack(tf.shape(previous))
        # Zero frames fill up the last batch: their flow is zero, and found at once.
        padding = [[0, -number % batch], [0, 0], [0, 0]]
        batches = [
            tf.ensure_shape(
                tf.reshape(tf.pad(images, padding), [-1, batch, height, width]),
                [None, batch, *frames.shape[1:]],
            )
            for images in (previous, following)
        ]
        flows = tf.map_fn(
            solve,
            batches,
            fn_output_signature=tf.TensorSpec([batch, *frames.shape[1:], 2], tf.float32),
            parallel_iterations=1 if on_gpu else os.cpu_count(),
        )
        return tf.reshape(flows, [-1, height, width, 2])[:number]

    return flow


_cached_flow_function = functools.lru_cache(maxsize=8)(flow_function)


def _known_size(height, width, short_side) -> tuple[int, int]:
    """Returns the size of frames, or one with as many levels where it is not known."""
    if None not in (height, width):
        return height, width
    if short_side is None:
        raise ValueError("`short_side` must be given where `height` or `width` is None.")
    return short_side, short_side


class TensorFlowLibrary:
    """TensorFlow as an `ArrayLibrary`; sides of images may be tensors."""

    minimum = staticmethod(tf.minimum)
    maximum = staticmethod(tf.maximum)
    clip = staticmethod(tf.clip_by_value)
    floor = staticmethod(tf.floor)
    sqrt = staticmethod(tf.sqrt)
    where = staticmethod(tf.where)
    zeros_like = staticmethod(tf.zeros_like)
    any = staticmethod(tf.reduce_any)
    arange = staticmethod(tf.range)
    pad = staticmethod(tf.pad)
    concat = staticmethod(tf.concat)

    def sides(self, image):
        """Returns height and width: integers where known, else tensors."""
        dynamic = tf.shape(image)
        return tuple(image.shape[axis] or dynamic[axis] for axis in (1, 2))

    def scaled(self, side, scale):
        """Rounds as `pyramid_sizes`."""
        if isinstance(side, int):
            return round(side * scale)
        return tf.cast(tf.round(tf.cast(side, tf.float64) * scale), tf.int32)

    def taps(self, count, length, step):
        """Returns where linear interpolation reads, see `ArrayLibrary`."""
        position = (tf.range(count, dtype=tf.float64) + 0.5) * step - 0.5
        position = tf.clip_by_value(position, 0.0, tf.cast(length - 1, tf.float64))
        before = tf.floor(position)
        share = tf.cast(position - before, tf.float32)
        before = tf.cast(before, tf.int32)
        return before, tf.minimum(before + 1, length - 1), share

    def to_float(self, array):
        """Converts to float32."""
        return tf.cast(array, tf.float32)

    def to_int(self, array):
        """Converts to int32."""
        return tf.cast(array, tf.int32)

    def full(self, length, value):
        """Returns (length,) of a value."""
        return tf.fill([length], value)

    def take(self, array, indices, axis=0):
        """Returns the slices at indices, see `ArrayLibrary`."""
        return tf.gather(array, indices, axis=axis)

    def flat(self, array):
        """Returns an array along one axis."""
        return tf.reshape(array, [-1])

    def stack(self, arrays):
        """Returns arrays along a new last axis."""
        return tf.stack(arrays, axis=-1)

    def mean(self, image):
        """Returns the means of images."""
        return tf.reduce_mean(image, [1, 2])

    def while_loop(self, goes_on, body, variables):
        """Returns the variables after the loop, see `ArrayLibrary`."""
        return tf.while_loop(goes_on, body, variables)
