"""TV-L1 optical flow by JAX, for machines where it has a GPU and TensorFlow has none."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

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

    Arguments and result are those of `i3d_tf.flow.tvl1_tensorflow.flow_between`.
    """
    previous, following = np.asarray(previous), np.asarray(following)
    check_pairs(previous, following)
    compute = _cached_flow_function(*previous.shape[1:], parameters, schedule)
    return np.asarray(compute(previous.astype(np.float32), following.astype(np.float32)))


def flow_function(
    height: int,
    width: int,
    parameters: TVL1Parameters = DEFAULT,
    schedule: str = "early_stop",
    batch: int | None = None,
) -> Callable[[np.ndarray, np.ndarray], jax.Array]:
    """Builds a function that computes flow.

    Args:
        height: Height of the frames, at least 16.
        width: Width of the frames, at least 16.
        parameters: Parameters.
        schedule: See `flow_between`.
        batch: Pairs to compute at once; None means 16 where there is a GPU, and 1 otherwise.

    Returns:
        Function of `previous` and `following`, float32 (N, height, width) within [0, 255], N any
        number, that returns float32 (N, height, width, 2), x then y, pixels per frame.
    """
    check_choice("schedule", schedule, SCHEDULES)
    batch = batch or (GPU_BATCH if jax.default_backend() == "gpu" else 1)
    num_levels = len(pyramid_sizes(height, width, parameters))
    graph = TVL1Graph(JaxLibrary(), parameters, schedule)
    solve = jax.jit(functools.partial(graph.solve, num_levels=num_levels))

    def flow(previous, following):
        number = len(previous)
        # Zero frames fill up the last batch: their flow is zero, and found at once.
        padding = [[0, -number % batch], [0, 0], [0, 0]]
        pairs = [np.pad(images, padding) for images in (previous, following)]
        starts = range(0, number, batch)
        flows = [solve(*(images[start : start + batch] for images in pairs)) for start in starts]
        flows = flows or [jnp.zeros((0, height, width, 2), jnp.float32)]
        return jnp.concatenate(flows)[:number]

    return flow


_cached_flow_function = functools.lru_cache(maxsize=8)(flow_function)


class JaxLibrary:
    """JAX as an `ArrayLibrary`; every side is an integer."""

    minimum = staticmethod(jnp.minimum)
    maximum = staticmethod(jnp.maximum)
    clip = staticmethod(jnp.clip)
    floor = staticmethod(jnp.floor)
    sqrt = staticmethod(jnp.sqrt)
    where = staticmethod(jnp.where)
    zeros_like = staticmethod(jnp.zeros_like)
    any = staticmethod(jnp.any)
    arange = staticmethod(jnp.arange)
    pad = staticmethod(jnp.pad)
    concat = staticmethod(jnp.concatenate)
    to_float = staticmethod(jnp.float32)
    flat = staticmethod(jnp.ravel)
    full = staticmethod(jnp.full)

    def sides(self, image):
        """Returns height and width."""
        return image.shape[1:3]

    def scaled(self, side, scale):
        """Rounds as `pyramid_sizes`."""
        return round(side * scale)

    def taps(self, count, length, step):
        """Returns where linear interpolation reads; by NumPy, whose float64 needs no switch."""
        position = np.clip((np.arange(count) + 0.5) * step - 0.5, 0, length - 1)
        before = np.floor(position)
        share = (position - before).astype(np.float32)
        before = before.astype(np.int32)
        return before, np.minimum(before + 1, length - 1), share

    def to_int(self, array):
        """Converts to int32."""
        return array.astype(jnp.int32)

    def take(self, array, indices, axis=0):
        """Returns the slices at indices, see `ArrayLibrary`."""
        return jnp.take(array, indices, axis=axis, mode="clip")

    def stack(self, arrays):
        """Returns arrays along a new last axis."""
        return jnp.stack(arrays, axis=-1)

    def mean(self, image):
        """Returns the means of images."""
        return image.mean((1, 2))

    def while_loop(self, goes_on, body, variables):
        """Returns the variables after the loop, see `ArrayLibrary`."""
        return jax.lax.while_loop(lambda v: goes_on(*v), lambda v: tuple(body(*v)), variables)
