"""The transforms of `video/transforms.py` and their neighbors as TensorFlow operations.

Frames get the values that they get there, to the last bit. OpenCV resizes uint8 in whole numbers,
with weights of 11 bits; `tf.image.resize`, rounded, is one level off in every eighth value.
"""

import tensorflow as tf

from i3d_tf.specs.streams import FLOW_BOUND

_WEIGHT_ONE = 1 << 11  # OpenCV's INTER_RESIZE_COEF_SCALE
_GREY_WEIGHTS = (9798, 19235, 3735)  # .299, .587 and .114 in 15 bits
_GREY_SHIFT = 15
_COLOUR_SHIFT = 10  # bits of the factors with which OpenCV's transform maps uint8


def resize_short_side(frames: tf.Tensor, short_side: int) -> tf.Tensor:
    """Does the same as `i3d_tf.video.transforms.resize_short_side`.

    Args:
        frames: uint8 (T, H, W, 3), of any size.
        short_side: Pixels.

    Returns:
        uint8 (T, H', W', 3).
    """
    size = tf.shape(frames)[1:3]
    short = tf.reduce_min(size)
    wanted = (2 * size * short_side + short) // (2 * short)
    resized = tf.cond(
        tf.reduce_all(wanted == size), lambda: frames, lambda: _resize(frames, size, wanted)
    )
    return tf.ensure_shape(resized, [None, None, None, 3])


def resize(frames: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes frames as `i3d_tf.video.transforms.crop_at` does the parts of TSN's crops.

    Args:
        frames: uint8 (T, H, W, 3), of any size.
        height: Pixels.
        width: Pixels.

    Returns:
        uint8 (T, height, width, 3).
    """
    resized = _resize(frames, tf.shape(frames)[1:3], tf.constant([height, width]))
    return tf.ensure_shape(resized, [None, height, width, 3])


def _resize(frames, size, wanted):
    top, bottom, *row_weights = _rows(size[0], wanted[0])
    left, right, *column_weights = _columns(size[1], wanted[1])
    above, below = (weight[:, tf.newaxis, tf.newaxis] for weight in row_weights)
    before, after = (weight[:, tf.newaxis] for weight in column_weights)

    def resize(frame):
        frame = tf.cast(frame, tf.int32)
        frame = tf.gather(frame, left, axis=1) * before + tf.gather(frame, right, axis=1) * after
        # OpenCV's vector code rounds down twice on the way, to stay within 16 bits.
        frame = _shift(frame, 4)
        rows = _shift(tf.gather(frame, top) * above, 16) + _shift(
            tf.gather(frame, bottom) * below, 16
        )
        return tf.cast(_shift(rows + 2, 2), tf.uint8)

    return tf.map_fn(resize, frames, fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8))


def _shift(values, bits):
    return tf.bitwise.right_shift(values, bits)


def _positions(length, wanted):
    """Returns the pixel before each new one, and the distance from it as float32."""
    ratio = 1.0 / (tf.cast(wanted, tf.float64) / tf.cast(length, tf.float64))
    centres = (tf.range(wanted, dtype=tf.float64) + 0.5) * ratio - 0.5
    centres = tf.cast(centres, tf.float32)
    first = tf.floor(centres)
    return tf.cast(first, tf.int32), centres - first


def _weights(share):
    return [tf.cast(tf.round(part * _WEIGHT_ONE), tf.int32) for part in (1.0 - share, share)]


def _rows(length, wanted):
    """Returns rows above and below, and their weights; beyond the edge both are the last row."""
    first, share = _positions(length, wanted)
    above, below = (tf.clip_by_value(row, 0, length - 1) for row in (first, first + 1))
    return above, below, *_weights(share)


def _columns(length, wanted):
    """Returns columns before and after, and their weights; at the edge the last has all weight."""
    first, share = _positions(length, wanted)
    inside = (first >= 0) & (first < length - 1)
    first = tf.clip_by_value(first, 0, length - 1)
    return first, tf.minimum(first + 1, length - 1), *_weights(tf.where(inside, share, 0.0))


def to_grey(frames: tf.Tensor) -> tf.Tensor:
    """Does the same as `i3d_tf.flow.compute.to_grey` for RGB.

    Args:
        frames: uint8 (T, H, W, 3).

    Returns:
        float32 (T, H, W), whole levels.
    """
    weighted = tf.cast(frames, tf.int32) * tf.constant(_GREY_WEIGHTS)
    rounded = tf.reduce_sum(weighted, axis=-1) + (1 << (_GREY_SHIFT - 1))
    return tf.cast(_shift(rounded, _GREY_SHIFT), tf.float32)


def change_colours(frames: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Does the same as `i3d_tf.video.transforms.change_colours`.

    Args:
        frames: uint8 RGB (T, H, W, 3).
        matrix: float32 (3, 4), see `i3d_tf.video.transforms.colour_matrix`.

    Returns:
        uint8 (T, H, W, 3).
    """
    # OpenCV computes in whole numbers; tf.round, as it does, rounds halves to even ones.
    factors = tf.cast(tf.round(matrix * (1 << _COLOUR_SHIFT)), tf.int32)
    half = 1 << (_COLOUR_SHIFT - 1)
    red, green, blue = (channel[..., tf.newaxis] for channel in tf.unstack(frames, axis=-1))
    red, green, blue = (tf.cast(channel, tf.int32) for channel in (red, green, blue))
    sums = red * factors[:, 0] + green * factors[:, 1] + blue * factors[:, 2] + factors[:, 3]
    return tf.cast(tf.clip_by_value(_shift(sums + half, _COLOUR_SHIFT), 0, 255), tf.uint8)


def center_crop(frames: tf.Tensor, size: int) -> tf.Tensor:
    """Does the same as `i3d_tf.video.transforms.center_crop`.

    Args:
        frames: (T, H, W, C).
        size: Side of the square in pixels.

    Returns:
        (T, size, size, C).
    """
    height, width = tf.unstack(tf.shape(frames)[1:3])
    top, left = (height - size) // 2, (width - size) // 2
    cropped = frames[:, top : top + size, left : left + size]
    return tf.ensure_shape(cropped, [None, size, size, frames.shape[-1]])


def uniform_windows(num_available: tf.Tensor, num_frames: int, num_windows: int) -> tf.Tensor:
    """Does the same as `i3d_tf.video.sampling.uniform_windows`, but a single window is the first.

    Args:
        num_available: Frames the video has, at least 1.
        num_frames: Frames in a window.
        num_windows: Windows wanted.

    Returns:
        int32 (num_windows, num_frames), each in [0, num_available).
    """
    last_start = tf.maximum(num_available - num_frames, 0)
    starts = last_start * tf.range(num_windows) // max(num_windows - 1, 1)
    return (starts[:, tf.newaxis] + tf.range(num_frames)) % num_available


def uniform_snippets(num_available: tf.Tensor, num_frames: int, segments: int) -> tf.Tensor:
    """Does the same as `i3d_tf.video.sampling.uniform_snippets`, one snippet after the other.

    Args:
        num_available: Frames the video has, at least 1.
        num_frames: Frames of a snippet.
        segments: Snippets.

    Returns:
        int32 (1, segments * num_frames), each in [0, num_available).
    """
    part = tf.cast(tf.maximum(num_available - num_frames + 1, 0), tf.float64) / segments
    starts = tf.cast(part / 2 + part * tf.range(segments, dtype=tf.float64), tf.int32)
    order = (starts[:, tf.newaxis] + tf.range(num_frames)) % num_available
    return tf.reshape(order, (1, -1))


def preprocess_input(frames: tf.Tensor, stream: str) -> tf.Tensor:
    """Does the same as `i3d_tf.video.transforms.preprocess_input`, to the last bit.

    Args:
        frames: uint8 RGB, or float32 flow in pixels per frame, of any shape.
        stream: "rgb" or "flow".

    Returns:
        float32 of the same shape within [-1, 1].
    """
    if stream == "rgb":
        return tf.cast(frames, tf.float32) / 127.5 - 1.0
    return tf.clip_by_value(frames, -FLOW_BOUND, FLOW_BOUND) / FLOW_BOUND


def preprocess_batch(frames: tf.Tensor, stream: str) -> tf.Tensor:
    """Does the same as `preprocess_input` in one pass over the memory, for input pipelines.

    RGB differs from it by at most one unit in the last place of float32, 1.2e-7: dequantization
    multiplies and adds, where a cast, a division and a subtraction take three passes.

    Args:
        frames: See `preprocess_input`.
        stream: "rgb" or "flow".
    """
    if stream == "rgb":
        codes = tf.bitcast(frames, tf.quint8)
        return tf.quantization.dequantize(codes, -1.0, 1.0, mode="MIN_COMBINED")
    return preprocess_input(frames, stream)
