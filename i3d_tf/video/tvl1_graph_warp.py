"""The graph engine's reading of images between their pixels: resize and warp."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

_BORDER = 4  # zero pixels around the warp table, so that outside the image it reads zeros
_TAPS = 4  # pixels that cubic interpolation reads along each axis
# In grey levels squared: flatter than this, a pixel says nothing about the flow (OpenCV's rule).
_FLAT = np.float32(np.finfo(np.float32).eps)


class DataTerm(NamedTuple):
    """What the difference of two images says about the flow: rho(u) = constant + gradient . u.

    Attributes:
        gradient_x: x derivative of the warped second image, (B, H, W), grey levels per pixel.
        gradient_y: y derivative of it.
        inverse_norm: 1 / (gradient_x^2 + gradient_y^2), or 0 where there is no gradient.
        constant: Grey levels.
    """

    gradient_x: tf.Tensor
    gradient_y: tf.Tensor
    inverse_norm: tf.Tensor
    constant: tf.Tensor


def sides(image):
    """Height and width of images (B, H, W): integers where known, else tensors."""
    dynamic = tf.shape(image)
    return tuple(image.shape[axis] or dynamic[axis] for axis in (1, 2))


def resize(image, size, steps):
    """Bilinear resize as OpenCV's INTER_LINEAR: centres at half pixels, no antialiasing.

    Args:
        image: float32 (B, H, W).
        size: (height, width) of the result, integers or int32 tensors.
        steps: Rows of `image` per row of the result, and columns per column.

    Returns:
        float32 (B, height, width).
    """
    for axis, length, count, step in zip((1, 2), sides(image), size, steps, strict=True):
        # In float64, so that positions are the same wherever the size is known.
        position = (tf.range(count, dtype=tf.float64) + 0.5) * step - 0.5
        position = tf.clip_by_value(position, 0.0, tf.cast(length - 1, tf.float64))
        before = tf.floor(position)
        share = tf.cast(position - before, tf.float32)
        share = share[:, tf.newaxis] if axis == 1 else share
        before = tf.cast(before, tf.int32)
        here = tf.gather(image, before, axis=axis)
        after = tf.gather(image, tf.minimum(before + 1, length - 1), axis=axis)
        image = here + share * (after - here)
    return image


def repeat_edge(image, border):
    """(B, H, W) with its edge repeated `border` times on all sides."""
    image = tf.concat([image[:, :1]] * border + [image] + [image[:, -1:]] * border, axis=1)
    return tf.concat([image[:, :, :1]] * border + [image] + [image[:, :, -1:]] * border, axis=2)


def warp_table(image):
    """What the warp reads: the image and its derivatives, with zeros around them.

    Derivatives are central differences, the image repeating its edge.

    Args:
        image: float32 (B, H, W).

    Returns:
        Image, x derivative and y derivative, each float32 (B * (H + 8) * (W + 8),).
    """
    padded = repeat_edge(image, 1)
    derivative_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    derivative_y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    border = [[0, 0], [_BORDER, _BORDER], [_BORDER, _BORDER]]
    return tuple(
        tf.reshape(tf.pad(channel, border), [-1]) for channel in (image, derivative_x, derivative_y)
    )


def linearise(previous, table, u1, u2):
    """Warps the second image by the flow, and linearises its difference to the first.

    Args:
        previous: The first image, float32 (B, H, W).
        table: `warp_table` of the second image.
        u1: Flow along x, (B, H, W), pixels.
        u2: Flow along y.

    Returns:
        `DataTerm`.
    """
    warped, gradient_x, gradient_y = _sample(table, u1, u2)
    norm = gradient_x * gradient_x + gradient_y * gradient_y
    inverse_norm = tf.where(norm > _FLAT, 1 / tf.maximum(norm, _FLAT), 0.0)
    constant = warped - gradient_x * u1 - gradient_y * u2 - previous
    return DataTerm(gradient_x, gradient_y, inverse_norm, constant)


def _sample(table, u1, u2):
    """Image and derivatives where the flow leads, by cubic interpolation."""
    batch, (height, width) = u1.shape[0], sides(u1)
    # Further outside there are only zeros, too.
    x, y = (tf.range(side, dtype=tf.float32) for side in (width, height))
    x = tf.clip_by_value(x + u1, -3.0, tf.cast(width + 1, tf.float32))
    y = tf.clip_by_value(y[:, tf.newaxis] + u2, -3.0, tf.cast(height + 1, tf.float32))
    before_x, before_y = tf.floor(x), tf.floor(y)
    weights_x, weights_y = _cubic(x - before_x), _cubic(y - before_y)
    rows, columns = height + 2 * _BORDER, width + 2 * _BORDER
    first = tf.cast(before_y, tf.int32) * columns + tf.cast(before_x, tf.int32)
    first += (tf.range(batch) * (rows * columns))[:, tf.newaxis, tf.newaxis]
    first += (_BORDER - 1) * (columns + 1)
    samples = []
    for channel in table:
        sample = 0.0
        for row in range(_TAPS):
            # One gather per number, because XLA vectorises neither short slices nor short axes.
            taps = (tf.gather(channel, first + (row * columns + tap)) for tap in range(_TAPS))
            sample += weights_y[row] * sum(map(tf.multiply, weights_x, taps))
        samples.append(sample)
    return samples


def _cubic(t):
    """Weights of the four pixels around a position, the second of which is `t` before it.

    Cubic convolution (Keys 1981) with the free parameter of OpenCV's INTER_CUBIC.
    """
    a, s = -0.75, 1 - t
    first = a * t * s * s
    second = ((a + 2) * t - (a + 3)) * t * t + 1
    third = ((a + 2) * s - (a + 3)) * s * s + 1
    return first, second, third, 1 - first - second - third
