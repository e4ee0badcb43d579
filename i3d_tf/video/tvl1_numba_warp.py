"""The warp of the numba engine: the second frame, moved by the flow, and linearised around it.

What bicubic interpolation reads lies side by side: a pixel of the warp table holds the image and
its two derivatives, and a fourth number that makes four pixels, one below the other, one vector.
"""

import numpy as np

from i3d_tf.video.tvl1_numba_planes import HERE, compiled, compiled_inline, compiled_row
from i3d_tf.video.tvl1_numba_vector import CHANNELS, TAPS, interpolate, multiply_add

BORDER = 4  # zero pixels around the table, so that whatever lies outside the image reads zeros

# The free parameter of cubic convolution (Keys 1981) as OpenCV's INTER_CUBIC has it: a = -0.75.
_A, _A_PLUS_2, _A_PLUS_3 = np.float32(-0.75), np.float32(1.25), np.float32(2.25)


def table_size(height, width):
    """Number of float32 in the warp table of an image."""
    return (height + 2 * BORDER) * (width + 2 * BORDER) * CHANNELS


@compiled
def fill_table(image, buffer):
    """Fills the warp table of an image: central differences, the image repeating its edge.

    Args:
        image: float32 (H, W).
        buffer: Flat float32, of at least `table_size` numbers.
    """
    height, width = image.shape
    rows, columns = height + 2 * BORDER, width + 2 * BORDER
    table = buffer[: rows * columns * CHANNELS].reshape(columns, rows, CHANNELS)
    table[:] = 0
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            pixel = table[x + BORDER, y + BORDER]
            pixel[0] = image[y, x]
            pixel[1] = np.float32(0.5) * (image[y, right] - image[y, left])
            pixel[2] = np.float32(0.5) * (image[below, x] - image[above, x])


@compiled
def linearise(level, previous, table):
    """Fills a level's data term: rho(u) = constant + gradient . u, linear around the flow so far.

    Args:
        level: A `Level`; its flow says where the warp reads.
        previous: The first image, float32 (H, W).
        table: The warp table of the second image.
    """
    height, width = previous.shape
    offsets = np.empty(width, np.int64)
    weights = np.empty((2 * TAPS, width), np.float32)
    samples = np.empty((3, width), np.float32)
    for y in range(height):
        _locate_row(level, y, height, width, offsets, weights)
        _sample_row(table, offsets, weights, (height + 2 * BORDER) * CHANNELS, samples)
        _linearise_row(level, previous, y, samples)


@compiled_row
def _locate_row(level, y, height, width, offsets, weights):
    """Where in the table each pixel starts to read, and with which weights along x and y."""
    rows = height + 2 * BORDER
    # Further outside there are only zeros, too.
    low, right, bottom = np.float32(-3), np.float32(width + 1), np.float32(height + 1)
    for x in range(width):
        position_x = min(max(np.float32(x) + level.u1[y + 1, x + HERE], low), right)
        position_y = min(max(np.float32(y) + level.u2[y + 1, x + HERE], low), bottom)
        before_x, before_y = np.floor(position_x), np.floor(position_y)
        row, column = np.int32(before_y) + BORDER - 1, np.int32(before_x) + BORDER - 1
        offsets[x] = (column * rows + row) * CHANNELS
        of_x, of_y = _cubic(position_x - before_x), _cubic(position_y - before_y)
        weights[0, x], weights[1, x], weights[2, x], weights[3, x] = of_x
        weights[4, x], weights[5, x], weights[6, x], weights[7, x] = of_y


@compiled_inline
def _cubic(t):
    """Weights of the four pixels around a position, the second of which is `t` before it."""
    one, s = np.float32(1), np.float32(1) - t
    first = _A * (t * (s * s))
    second = multiply_add(multiply_add(_A_PLUS_2, t, -_A_PLUS_3), t * t, one)
    fourth = _A * (t * t * s)
    return first, second, one - first - second - fourth, fourth


@compiled_row
def _sample_row(table, offsets, weights, column, samples):
    for x in range(len(offsets)):
        weights_x = (weights[0, x], weights[1, x], weights[2, x], weights[3, x])
        weights_y = (weights[4, x], weights[5, x], weights[6, x], weights[7, x])
        sample = interpolate(table, offsets[x], column, weights_x, weights_y)
        samples[0, x], samples[1, x], samples[2, x] = sample


@compiled_row
def _linearise_row(level, previous, y, samples):
    for x in range(samples.shape[1]):
        gradient_x, gradient_y = samples[1, x], samples[2, x]
        level.gradient_x[y + 1, x + HERE] = gradient_x
        level.gradient_y[y + 1, x + HERE] = gradient_y
        level.constant[y + 1, x + HERE] = (
            samples[0, x]
            - gradient_x * level.u1[y + 1, x + HERE]
            - gradient_y * level.u2[y + 1, x + HERE]
            - previous[y, x]
        )
