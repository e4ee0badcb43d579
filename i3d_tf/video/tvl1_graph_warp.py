"""The graph engine's reading of images between their pixels: resize and warp."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

_BORDER = 4  # zero pixels around the warp table, so that outside the image it reads zeros
_TAPS = 4  # pixels that cubic interpolation reads along each axis
_CHANNELS = 3  # image, x derivative, y derivative
_FLAT = np.float32(np.finfo(np.float32).eps)  # grey levels squared; flatter pixels do not count (OpenCV)


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


def resize(image, size, steps):
    """Bilinear resize as OpenCV's INTER_LINEAR: centres at half pixels, no antialiasing.

    Args:
        image: float32 (B, H, W).
        size: (height, width) of the result.
        steps: Rows of `image` per row of the result, and columns per column.

    Returns:
        float32 (B, height, width).
    """
    for axis in (1, 2):
        last = image.shape[axis] - 1
        position = (np.arange(size[axis - 1]) + 0.5) * steps[axis - 1] - 0.5
        position = np.clip(position, 0, last)
        before = np.floor(position).astype(np.int32)
        share = (position - before).astype(np.float32)
        share = share[:, np.newaxis] if axis == 1 else share
        here = tf.gather(image, before, axis=axis)
        after = tf.gather(image, np.minimum(before + 1, last), axis=axis)
        image = here + share * (after - here)
    return image


def warp_table(image):
    """Lays out what the warp reads: every pixel with its three right neighbours, zeros around.

    Derivatives are central differences, the image repeating its edge.

    Args:
        image: float32 (B, H, W).

    Returns:
        float32 (B * (H + 8) * (W + 8), 12): for each of four pixels, the image and its derivatives.
    """
    padded = tf.pad(image, [[0, 0], [1, 1], [1, 1]], "SYMMETRIC")
    derivative_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    derivative_y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    pixels = tf.stack([image, derivative_x, derivative_y], axis=-1)
    columns = image.shape[2] + 2 * _BORDER
    border = [[0, 0], [_BORDER, _BORDER], [_BORDER, _BORDER + _TAPS - 1], [0, 0]]
    pixels = tf.pad(pixels, border)
    neighbours = [pixels[:, :, tap : tap + columns] for tap in range(_TAPS)]
    return tf.reshape(tf.concat(neighbours, axis=-1), [-1, _TAPS * _CHANNELS])


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
    batch, height, width = u1.shape
    # One pixel outside the image, interpolation reads zeros only, so positions end there.
    x = tf.clip_by_value(tf.range(width, dtype=tf.float32) + u1, -3.0, width + 1.0)
    y = tf.clip_by_value(tf.range(height, dtype=tf.float32)[:, tf.newaxis] + u2, -3.0, height + 1.0)
    before_x, before_y = tf.floor(x), tf.floor(y)
    weights_x, weights_y = _cubic(x - before_x), _cubic(y - before_y)
    rows, columns = height + 2 * _BORDER, width + 2 * _BORDER
    first = tf.cast(before_y, tf.int32) * columns + tf.cast(before_x, tf.int32)
    first += (tf.range(batch) * (rows * columns))[:, tf.newaxis, tf.newaxis]
    first += (_BORDER - 1) * (columns + 1)
    samples = [0.0] * _CHANNELS
    for row in range(_TAPS):
        pixels = tf.gather(table, first + row * columns)  # (B, H, W, 12)
        # Channels are taken apart first: XLA does not vectorise along an axis of 3 or 4.
        for channel in range(_CHANNELS):
            taps = (weights_x[tap] * pixels[..., _CHANNELS * tap + channel] for tap in range(_TAPS))
            samples[channel] += weights_y[row] * sum(taps)
    return samples


def _cubic(t):
    """Weights of cubic convolution with A = -0.75 (OpenCV's INTER_CUBIC), at 0 <= t < 1."""
    s = 1 - t
    first = -0.75 * t * s * s
    second = (1.25 * t - 2.25) * t * t + 1
    third = (1.25 * s - 2.25) * s * s + 1
    return first, second, third, 1 - first - second - third
